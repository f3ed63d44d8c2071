/*
 * pages_t.c: the state's rows cut into pages: which page changed when, what a page's bytes are,
 * that pages and values together give the same machine again, and how large they grow.
 */
#include "format.h"
#include <coordination-common/entry.h>
#include <coordination-common/machine.h>

static char why[CK_WHY];

static cr_item *row(uint32_t kind, const char *key, const void *value, size_t n, uint64_t version)
{
    cr_item *i = cr_item_pack(unit_heap(), kind, (qd_str){key, strlen(key)}, (qd_str){value, n});
    i->version = version;
    i->create_revision = 1;
    i->mod_revision = version + 1;
    return i;
}

static void push(ck_pages *p, uint64_t index, cr_item *item)
{
    cr_items rows = {0};
    cr_items_push(unit_heap(), &rows, item);
    ck_pages_push(p, index, &rows, 0);
    cr_items_free(unit_heap(), &rows);
}

static void put(ck_pages *p, uint64_t index, const char *key, const void *value, size_t n)
{
    push(p, index, row(CR_ROW_KEY, key, value, n, index));
}

static uint32_t page_of_key(const char *key)
{
    return ck_page_of(CR_ROW_KEY, (qd_str){key, strlen(key)});
}

static void rows_have_their_places(void **state)
{
    (void)state;
    static const uint32_t others[] = {CR_ROW_META, CR_ROW_SESSION, CR_ROW_ELECTION, CR_ROW_PART};
    uint32_t rows[CK_PAGES] = {0};
    for (uint32_t slot = 0; slot < CR_ID_WINDOW; slot++) {
        const char key[8] = {0, 0, 0, 0, 0, 0, (char)(slot >> 8), (char)slot};
        uint32_t page = ck_page_of(CR_ROW_ANSWER, (qd_str){key, 8});
        assert_int_equal(page, CK_PAGE_ANSWERS + slot / 256);
    }
    for (uint32_t i = 0; i < 6400; i++) {
        char key[32];
        snprintf(key, sizeof key, "key/%u", i);
        rows[page_of_key(key)]++;
        uint32_t page = ck_page_of(others[i % 4], (qd_str){key, strlen(key)});
        assert_true(page >= CK_PAGE_OTHERS && page < CK_PAGES);
    }
    for (uint32_t i = 0; i < CK_PAGES; i++) /* evenly */
        if (i < CK_PAGE_ANSWERS ? rows[i] < 60 || rows[i] > 140 : rows[i] != 0)
            fail_msg("page %u has %u rows", i, rows[i]);
}

/* The places, written down: other ones would be another format. */
static void places_stay(void **state)
{
    (void)state;
    assert_int_equal(page_of_key("state/index/a"), cr_sum64("state/index/a", 13, 2) % 64);
    assert_int_equal(page_of_key("a"), 39);
    assert_int_equal(ck_page_of(CR_ROW_META, (qd_str){"\0\0\0\0\0\0\0\0", 8}), 92);
}

static void a_page_looks_like_this(void **state)
{
    (void)state;
    uint32_t page = page_of_key("a");
    uint8_t large[CK_VALUE_INLINE + 1];
    uint64_t seed = 4;
    ck_pages *p = ck_pages_make(unit_heap());
    fill(&seed, large, sizeof large, 0);
    cr_item *i = row(CR_ROW_KEY, "a", "xyz", 3, 5);
    i->create_revision = 127;
    i->mod_revision = 128;
    i->session = 300;
    push(p, 1, i);
    ck_frozen *f = ck_pages_freeze(p, 0);
    ck_encoded e;
    ck_page_encode(f, page, &e);
    const uint8_t want[] = {'Q',  'D',  'P', '1', 2,   0,   0,  0,   (uint8_t)page, 0,    0,    0,
                            1,    0,    0,   0,   2,   0,   1,  'a', 127,           0x80, 0x01, 5,
                            0xac, 0x02, 0,   3,   'x', 'y', 'z'};
    assert_int_equal(e.bytes.n, sizeof want);
    assert_memory_equal(e.bytes.p, want, sizeof want);
    assert_int_equal(e.nvalues, 0);
    ck_hash h = ck_hash_of(want, sizeof want);
    assert_true(ck_hash_same(&h, &e.hash));
    ck_encoded_free(&e);
    ck_frozen_free(f);
    put(p, 2, "a", large, sizeof large);
    f = ck_pages_freeze(p, 1);
    ck_page_encode(f, page, &e);
    h = ck_hash_of(large, sizeof large);
    assert_int_equal(e.nvalues, 1);
    assert_true(ck_hash_same(&h, &e.values[0].hash));
    assert_memory_equal(e.bytes.p + e.bytes.n - 32, h.b, 32);
    assert_int_equal(cr_item_stored(e.values[0].item).n, sizeof large);
    ck_encoded_free(&e);
    ck_frozen_free(f);
    ck_pages_free(p);
    memory_check();
}

/* One row with a value of n bytes, as a page of that version; alone: the value is a blob. */
static void old_page(cr_bytes *b, uint32_t version, const uint8_t *value, size_t n, int alone)
{
    ck_hash h = ck_hash_of(value, n);
    const uint8_t numbers[] = {1, 2, 1, 0, 0, (uint8_t)(n | 128), (uint8_t)(n >> 7)};
    b->n = 0;
    cr_put(b, "QDP1", 4);
    cr_put32(b, version);
    cr_put32(b, page_of_key("a"));
    cr_put32(b, 1);
    cr_put8(b, CR_ROW_KEY);
    cr_put8(b, (uint8_t)alone);
    cr_put(b, "\1a", 2);
    cr_put(b, numbers, sizeof numbers);
    cr_put(b, alone ? h.b : value, alone ? sizeof h.b : n);
}

/* Pages of version 1 have values from 257 bytes on beside them: they are read, and no others. */
static void pages_of_version_1_are_read(void **state)
{
    (void)state;
    static const struct {
        uint32_t version;
        size_t n;
        int alone, fine;
    } all[] = {{1, 256, 0, 1}, {1, 256, 1, 0},  {1, 257, 0, 0},  {1, 257, 1, 1},  {2, 257, 0, 1},
               {2, 257, 1, 0}, {2, 1024, 0, 1}, {2, 1025, 1, 1}, {2, 1025, 0, 0}, {3, 257, 0, 0}};
    uint8_t value[1025];
    uint64_t seed = 8;
    cr_bytes b = {.heap = unit_heap()};
    fill(&seed, value, sizeof value, 0);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        ck_decoded d;
        cr_items rows = {0};
        size_t at = 0;
        old_page(&b, all[i].version, value, all[i].n, all[i].alone);
        int32_t rc = ck_page_decode(unit_heap(), page_of_key("a"), b.p, b.n, &d, why);
        int32_t bad = all[i].version > 2 ? QD_E_FORMAT_NEW : QD_E_CORRUPT;
        assert_int_equal(rc, all[i].fine ? 0 : bad);
        if (rc) continue;
        const ck_hash *h = ck_decoded_next(&d, &at);
        assert_int_equal(h != NULL, all[i].alone);
        if (h) assert_int_equal(ck_decoded_value(&d, h, value, all[i].n, why), 0);
        assert_int_equal(ck_decoded_rows(&d, &rows), 0);
        qd_str got = cr_item_stored(rows.at[0]);
        assert_int_equal(got.n, all[i].n);
        assert_memory_equal(got.p, value, all[i].n);
        cr_items_free(unit_heap(), &rows);
        ck_decoded_free(&d);
    }
    cr_bytes_free(&b);
    memory_check();
}

/* --- what changed --- */

static uint32_t count_frozen(const ck_pages *p, uint64_t since)
{
    ck_frozen *f = ck_pages_freeze(p, since);
    uint32_t n = 0;
    for (uint32_t i = ck_frozen_next(f, 0); i < CK_PAGES; i = ck_frozen_next(f, i + 1)) n++;
    ck_frozen_free(f);
    return n;
}

static ck_hash hash_now(const ck_pages *p, uint32_t page)
{
    ck_frozen *f = ck_pages_freeze(p, 0);
    ck_encoded e;
    ck_page_encode(f, page, &e);
    ck_hash h = e.hash;
    ck_encoded_free(&e);
    ck_frozen_free(f);
    return h;
}

static void pages_know_when_they_changed(void **state)
{
    (void)state;
    ck_pages *p = ck_pages_make(unit_heap());
    uint32_t a = page_of_key("a");
    assert_int_equal(count_frozen(p, 0), 0);
    put(p, 5, "a", "1", 1);
    assert_int_equal(ck_pages_changed(p, a), 5);
    assert_int_equal(count_frozen(p, 4), 1);
    assert_int_equal(count_frozen(p, 5), 0);
    cr_item *same = row(CR_ROW_KEY, "a", "1", 1, 5);
    push(p, 6, same); /* what is there already changes nothing */
    assert_int_equal(ck_pages_changed(p, a), 5);
    push(p, 7, row(CR_ROW_KEY, "b", "", 0, 0)); /* nor does what is not there and goes */
    assert_int_equal(count_frozen(p, 5), 0);
    ck_hash one = hash_now(p, a);
    put(p, 8, "a", "2", 1);
    ck_hash two = hash_now(p, a);
    assert_false(ck_hash_same(&one, &two));
    push(p, 9, row(CR_ROW_KEY, "a", "", 0, 0));
    assert_int_equal(ck_pages_count(p, a), 0);
    assert_int_equal(ck_pages_changed(p, a), 9);
    ck_hash none = hash_now(p, a);
    assert_true(ck_hash_none(&none));
    put(p, 10, "a", "1", 1);
    put(p, 11, "b", "1", 1);
    cr_items rows = {0};
    cr_items_push(unit_heap(), &rows, row(CR_ROW_KEY, "c", "1", 1, 1));
    ck_pages_push(p, 12, &rows, 1); /* all others go */
    cr_items_free(unit_heap(), &rows);
    for (uint32_t i = 0; i < CK_PAGES; i++)
        assert_int_equal(ck_pages_count(p, i), i == page_of_key("c"));
    assert_int_equal(ck_pages_changed(p, a), 12);
    assert_int_equal(ck_pages_changed(p, page_of_key("b")), 12);
    ck_pages_free(p);
    memory_check();
}

/* Entry i: one of so many keys has another value of random size, or goes (of a third of them). */
static void put_or_drop(ck_pages *p, uint64_t *s, uint64_t i, uint64_t keys, size_t longest)
{
    char key[16];
    uint8_t value[2000];
    snprintf(key, sizeof key, "k%u", (unsigned)(dice(s) % keys));
    fill(s, value, longest, 0);
    if (dice(s) % 3)
        put(p, i, key, value, dice(s) % longest);
    else
        push(p, i, row(CR_ROW_KEY, key, "", 0, 0));
}

/* After changes of all sorts each page is shown as it was at entries before. */
static void pages_are_shown_as_they_were(void **state)
{
    (void)state;
    uint64_t rounds = unit_rounds(20);
    for (uint64_t seed = 1; seed <= rounds; seed++) {
        enum { LAST = 600, EACH = 50 };
        uint64_t s = seed * 89;
        static ck_hash was[LAST / EACH][CK_PAGES];
        ck_pages *p = ck_pages_make(unit_heap());
        for (uint64_t i = 1; i < LAST; i++) {
            for (uint64_t n = 1 + dice(&s) % 4; n > 0; n--) put_or_drop(p, &s, i, 150, 2000);
            if (i == 200) ck_pages_forget(p, 100);
            for (uint32_t k = 0; k < CK_PAGES && i % EACH == 0; k++)
                was[i / EACH][k] = hash_now(p, k);
        }
        assert_null(ck_pages_at(p, 0, 99));
        for (uint64_t at = 100; at < LAST; at += EACH)
            for (uint32_t k = 0; k < CK_PAGES; k++) {
                ck_encoded e;
                ck_frozen *f = ck_pages_at(p, k, at);
                assert_non_null(f);
                ck_page_encode(f, k, &e);
                if (!ck_hash_same(&e.hash, &was[at / EACH][k]))
                    fail_msg("seed %llu: page %u at %llu", (unsigned long long)seed, k,
                             (unsigned long long)at);
                for (size_t v = 0; v < e.nvalues;
                     v++) { /* and its values are found by half a hash */
                    ck_hash half = {{0}}, h;
                    memcpy(half.b, e.values[v].hash.b, 20);
                    assert_ptr_equal(ck_frozen_value(f, k, &half, &h), e.values[v].item);
                    assert_true(ck_hash_same(&h, &e.values[v].hash));
                }
                ck_encoded_free(&e);
                ck_frozen_free(f);
            }
        ck_pages_free(p);
    }
    memory_check();
}

/* What is kept of before has a limit; whoever asks is told so. */
static void what_was_is_forgotten_when_it_is_too_much(void **state)
{
    (void)state;
    enum { LARGE = 1 << 20 };
    uint8_t *value = malloc(LARGE);
    uint64_t s = 3, i = 1;
    ck_pages *p = ck_pages_make(unit_heap());
    fill(&s, value, LARGE, 0);
    long before = unit_blocks;
    for (; i <= 100; i++) {
        value[0] = (uint8_t)i;
        put(p, i, "a", value, LARGE);
        assert_true(unit_blocks - before < 2 * CK_WAS_MAX / LARGE + 16);
    }
    assert_null(ck_pages_at(p, page_of_key("a"), 1));
    ck_frozen *f = ck_pages_at(p, page_of_key("a"), 99);
    assert_non_null(f);
    ck_frozen_free(f);
    ck_pages_set(p, page_of_key("a"), 200, &(cr_items){0}); /* what was read is of an entry alone */
    assert_null(ck_pages_at(p, page_of_key("a"), 199));
    f = ck_pages_at(p, page_of_key("a"), 200);
    assert_non_null(f);
    ck_frozen_free(f);
    ck_pages_free(p);
    free(value);
    memory_check();
}

static void a_freeze_stays_as_it_was(void **state)
{
    (void)state;
    uint64_t rounds = unit_rounds(20);
    for (uint64_t seed = 1; seed <= rounds; seed++) {
        uint64_t s = seed * 97;
        ck_pages *p = ck_pages_make(unit_heap());
        ck_frozen *frozen[8] = {0};
        ck_hash was[8][CK_PAGES];
        uint64_t since[8] = {0};
        for (uint64_t i = 1; i <= 2000; i++) {
            put_or_drop(p, &s, i, 300, 700);
            if (i % 250) continue;
            uint64_t at = i / 250 - 1;
            since[at] = i - dice(&s) % 250;
            frozen[at] = ck_pages_freeze(p, since[at]);
            for (uint32_t k = 0; k < CK_PAGES; k++) was[at][k] = hash_now(p, k);
        }
        for (int at = 0; at < 8; at++) {
            for (uint32_t k = ck_frozen_next(frozen[at], 0); k < CK_PAGES;
                 k = ck_frozen_next(frozen[at], k + 1)) {
                ck_encoded e;
                ck_page_encode(frozen[at], k, &e);
                if (!ck_hash_same(&e.hash, &was[at][k]))
                    fail_msg("seed %llu: page %u", (unsigned long long)seed, k);
                ck_encoded_free(&e);
            }
            ck_frozen_free(frozen[at]);
        }
        ck_pages_free(p);
    }
    memory_check();
}

/* --- there and back --- */

/* A machine that went through some transactions: keys of all sizes, sessions, elections. */
static void commit(cr_machine *m, ck_pages *p, uint64_t index, cr_writer *w)
{
    cr_writer_end(w, index);
    assert_int_equal(cr_machine_apply(m, w->bytes.p, w->bytes.n), 0);
    cr_bytes_free(&w->bytes);
    ck_pages_push(p, index, &m->out.rows, m->out.replaced);
}

static void form(cr_machine *m, ck_pages *p)
{
    cr_writer w;
    cr_writer_begin(&w, unit_heap());
    cr_command_begin(&w, CR_FORM);
    cr_put(&w.bytes, "0123456789abcdef", 16);
    cr_put64(&w.bytes, 1);
    cr_command_end(&w);
    commit(m, p, 1, &w);
}

static void change(cr_machine *m, ck_pages *p, uint64_t index, uint64_t *s)
{
    static uint8_t value[5000];
    static const size_t lengths[] = {0, 10, 257, 1024, 1025, 5000};
    char key[32];
    cr_writer w;
    qd_coord_change c[3];
    qd_coord_txn t = {.changes = c, .nchanges = 1};
    snprintf(key, sizeof key, "key/%u", (unsigned)(dice(s) % 500));
    fill(s, value, sizeof value, (int)(dice(s) % 2));
    memset(c, 0, sizeof c);
    c[0].type = dice(s) % 5 ? QD_COORD_PUT : QD_COORD_DELETE;
    c[0].key = (qd_str){key, strlen(key)};
    c[0].value = (qd_str){(const char *)value, lengths[dice(s) % 6]};
    memcpy(t.id, &index, 8);
    cr_writer_begin(&w, unit_heap());
    if (dice(s) % 10 == 0) {
        cr_command_begin(&w, CR_OPEN);
        uint8_t id[16] = {1};
        memcpy(id + 8, &index, 8);
        cr_put(&w.bytes, id, 16);
        cr_put64(&w.bytes, 1000000000);
        cr_command_end(&w);
    }
    cr_write_txn(&w, &t);
    commit(m, p, index, &w);
}

/* Blobs by hash, as the API server would keep them. */
typedef struct shelf {
    struct {
        ck_hash hash;
        uint8_t *p;
        size_t n;
    } at[4000];
    size_t n;
    size_t fetched;
} shelf;

static void shelve(shelf *v, const ck_hash *h, const void *p, size_t n)
{
    for (size_t i = 0; i < v->n; i++)
        if (ck_hash_same(&v->at[i].hash, h)) return;
    assert_true(v->n < sizeof v->at / sizeof *v->at);
    v->at[v->n].hash = *h;
    v->at[v->n].p = memcpy(malloc(n + 1), p, n);
    v->at[v->n++].n = n;
}

static size_t seek(shelf *v, const ck_hash *h)
{
    for (size_t i = 0; i < v->n; i++)
        if (ck_hash_same(&v->at[i].hash, h)) return v->fetched++, i;
    fail_msg("a hash that nobody wrote");
    return 0;
}

/* A checkpoint: what changed goes to the shelf, its hashes to the root's list. */
static void checkpoint(const ck_pages *p, uint64_t since, shelf *v, ck_hash pages[CK_PAGES])
{
    ck_frozen *f = ck_pages_freeze(p, since);
    for (uint32_t i = ck_frozen_next(f, 0); i < CK_PAGES; i = ck_frozen_next(f, i + 1)) {
        ck_encoded e;
        ck_page_encode(f, i, &e);
        pages[i] = e.hash;
        if (e.bytes.n) shelve(v, &e.hash, e.bytes.p, e.bytes.n);
        for (size_t k = 0; k < e.nvalues; k++) {
            qd_str s = cr_item_stored(e.values[k].item);
            shelve(v, &e.values[k].hash, s.p, s.n);
        }
        ck_encoded_free(&e);
    }
    ck_frozen_free(f);
}

static void count_value(void *arg, const ck_hash *h)
{
    (void)h;
    ++*(size_t *)arg;
}

/* Reads a page with its values into rows. */
static void fetch(shelf *v, uint32_t page, const ck_hash *h, const ck_pages *now, cr_items *rows)
{
    ck_decoded d;
    size_t i = seek(v, h), at = 0, named = 0;
    if (ck_page_decode(unit_heap(), page, v->at[i].p, v->at[i].n, &d, why)) fail_msg("%s", why);
    assert_int_equal(ck_page_values(v->at[i].p, v->at[i].n, count_value, &named, why), 0);
    assert_int_equal(named, d.missing);
    if (d.missing) assert_int_equal(ck_decoded_rows(&d, rows), QD_E_STATE);
    if (now) ck_decoded_borrow(&d, now);
    for (const ck_hash *value; (value = ck_decoded_next(&d, &at));) {
        size_t k = seek(v, value);
        assert_int_equal(ck_decoded_value(&d, value, v->at[k].p, v->at[k].n, why), 0);
    }
    assert_int_equal(ck_decoded_rows(&d, rows), 0);
    ck_decoded_free(&d);
}

static void same_machine(const cr_machine *a, const cr_machine *b)
{
    cr_items x = {0}, y = {0};
    cr_machine_rows(a, &x);
    cr_machine_rows(b, &y);
    assert_int_equal(x.n, y.n);
    for (size_t i = 0; i < x.n; i++) {
        assert_int_equal(x.at[i]->kind, y.at[i]->kind);
        assert_int_equal(cr_item_sum(x.at[i]), cr_item_sum(y.at[i]));
    }
    cr_items_free(unit_heap(), &x);
    cr_items_free(unit_heap(), &y);
}

static cr_machine *loaded(const cr_items *rows)
{
    cr_machine *m = cr_machine_make(unit_heap(), 16, 1 << 16);
    for (size_t i = 0; i < rows->n; i++)
        assert_int_equal(cr_machine_load(m, cr_item_ref(rows->at[i])), 0);
    assert_int_equal(cr_machine_loaded(m), 0);
    return m;
}

static void pages_give_the_same_machine(void **state)
{
    (void)state;
    uint64_t rounds = unit_rounds(7);
    for (uint64_t seed = 1; seed <= rounds; seed++) {
        uint64_t s = seed * 101, since = 0;
        const cr_heap *h = unit_heap();
        cr_machine *m = cr_machine_make(h, 16, 1 << 16);
        ck_pages *p = ck_pages_make(h), *follower = ck_pages_make(h);
        shelf *v = calloc(1, sizeof *v);
        ck_hash pages[CK_PAGES] = {{{0}}}, before[CK_PAGES] = {{{0}}};
        form(m, p);
        for (uint64_t i = 2; i <= 900; i++) {
            change(m, p, i, &s);
            if (i % 300) continue;
            checkpoint(p, since, v, pages);
            since = i;
            cr_items rows = {0};
            for (uint32_t k = 0; k < CK_PAGES; k++) /* a follower fetches what differs */
                if (!ck_hash_same(&pages[k], &before[k])) {
                    cr_items some = {0};
                    if (!ck_hash_none(&pages[k])) fetch(v, k, &pages[k], follower, &some);
                    ck_pages_set(follower, k, i, &some);
                    cr_items_free(h, &some);
                }
            for (uint32_t k = 0; k < CK_PAGES; k++) {
                ck_hash is = hash_now(follower, k);
                assert_true(ck_hash_same(&is, &pages[k]));
                ck_pages_rows(follower, k, &rows);
            }
            memcpy(before, pages, sizeof before);
            cr_machine *again = loaded(&rows);
            same_machine(m, again);
            cr_machine_free(again);
            cr_items_free(h, &rows);
        }
        for (size_t i = 0; i < v->n; i++) free(v->at[i].p);
        free(v);
        ck_pages_free(p);
        ck_pages_free(follower);
        cr_machine_free(m);
    }
    memory_check();
}

static void values_at_hand_are_not_fetched(void **state)
{
    (void)state;
    static uint8_t value[CK_VALUE_INLINE + 88];
    uint64_t seed = 3;
    fill(&seed, value, sizeof value, 0);
    ck_pages *p = ck_pages_make(unit_heap()), *now = ck_pages_make(unit_heap());
    put(p, 1, "a", value, sizeof value);
    put(now, 4, "a", value, sizeof value); /* other numbers, same value */
    ck_frozen *f = ck_pages_freeze(p, 0);
    ck_encoded e;
    ck_decoded d;
    cr_items rows = {0};
    ck_page_encode(f, page_of_key("a"), &e);
    assert_int_equal(ck_page_decode(unit_heap(), page_of_key("a"), e.bytes.p, e.bytes.n, &d, why),
                     0);
    assert_int_equal(d.missing, 1);
    assert_int_equal(ck_decoded_value(&d, &e.values[0].hash, value, sizeof value - 1, why),
                     QD_E_CORRUPT);
    ck_decoded_borrow(&d, now);
    assert_int_equal(d.missing, 0);
    assert_int_equal(ck_decoded_rows(&d, &rows), 0);
    assert_int_equal(rows.at[0]->version, 1); /* the page's numbers */
    cr_items_free(unit_heap(), &rows);
    ck_decoded_free(&d);
    ck_encoded_free(&e);
    ck_frozen_free(f);
    ck_pages_free(p);
    ck_pages_free(now);
    memory_check();
}

/* --- damage --- */

/* A page with rows of each form. */
static void sample_page(ck_encoded *e, uint32_t page)
{
    static uint8_t value[2000];
    uint64_t seed = 8;
    ck_pages *p = ck_pages_make(unit_heap());
    for (uint64_t i = 1, found = 0; found < 6; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%llu", (unsigned long long)i);
        if (page_of_key(key) != page) continue;
        fill(&seed, value, sizeof value, found % 2 == 0);
        if (found == 2) memset(value, 'x', sizeof value); /* packed, in the page */
        put(p, i, key, value, found % 3 ? sizeof value : 20 * found);
        found++;
    }
    ck_frozen *f = ck_pages_freeze(p, 0);
    ck_page_encode(f, page, e);
    ck_frozen_free(f);
    ck_pages_free(p);
}

static void damaged_pages_are_refused(void **state)
{
    (void)state;
    ck_encoded e;
    ck_decoded d;
    sample_page(&e, 9);
    assert_true(e.nvalues > 0);
    for (size_t n = 0; n <= e.bytes.n; n++) { /* cut off */
        uint8_t *p = malloc(n + 1);           /* so that a sanitizer sees what is read behind it */
        memcpy(p, e.bytes.p, n);
        why[0] = 0;
        int32_t rc = ck_page_decode(unit_heap(), 9, p, n, &d, why);
        assert_int_equal(rc, n == e.bytes.n ? 0 : QD_E_CORRUPT);
        if (rc && !why[0]) fail_msg("no sentence at %zu", n);
        if (rc == 0) ck_decoded_free(&d);
        free(p);
    }
    for (size_t i = 0; i < e.bytes.n * 8; i++) { /* each bit */
        e.bytes.p[i / 8] ^= (uint8_t)(1 << i % 8);
        why[0] = 0;
        int32_t rc = ck_page_decode(unit_heap(), 9, e.bytes.p, e.bytes.n, &d, why);
        if (rc == 0) ck_decoded_free(&d);
        if (rc && !why[0]) fail_msg("no sentence for bit %zu", i);
        if (i / 8 < 16) assert_int_not_equal(rc, 0);
        e.bytes.p[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    assert_int_equal(ck_page_decode(unit_heap(), 10, e.bytes.p, e.bytes.n, &d, why), QD_E_CORRUPT);
    assert_string_equal(why, "the bytes are of page 9, not of page 10");
    e.bytes.p[4] = 3;
    assert_int_equal(ck_page_decode(unit_heap(), 9, e.bytes.p, e.bytes.n, &d, why),
                     QD_E_FORMAT_NEW);
    ck_encoded_free(&e);
    memory_check();
}

/* --- sizes --- */

/* The text of a blob's objects. */
static size_t blob_size(int kind, const ck_hash *h, const uint8_t *p, size_t n, size_t *largest)
{
    size_t size = 0;
    for (uint32_t i = 0; i < ck_blob_slices(n); i++) {
        json_t *o = ck_blob_write(unit_heap(), &site, kind, h, p, n, i);
        size_t is = text_length(o);
        size += is;
        if (is > *largest) *largest = is;
        json_decref(o);
    }
    return size;
}

/* Keys as of 10,000 indices: one of each, with a mapping, and one and a half of its shards. */
static void sizes_with_25_000_keys(void **state)
{
    (void)state;
    const unsigned indices = 10000;
    uint64_t s = 5;
    ck_pages *p = ck_pages_make(unit_heap());
    char key[64], value[700];
    for (unsigned i = 0; i < indices; i++) {
        snprintf(key, sizeof key, "state/index/logs-service-%u-2024.01.%02u", i / 31, i % 31);
        int n =
            snprintf(value, sizeof value,
                     "{\"uuid\":\"%016llx%06llx\",\"settings\":{\"shards\":1,\"replicas\":1},"
                     "\"mappings\":{\"properties\":{\"@timestamp\":{\"type\":\"date\"},\"host\":"
                     "{\"type\":\"keyword\"},\"message\":{\"type\":\"text\"},\"status%llu\":"
                     "{\"type\":\"integer\"},\"bytes\":{\"type\":\"long\"},\"trace\":{\"type\":"
                     "\"keyword\"}}},\"version\":3}",
                     (unsigned long long)dice(&s), (unsigned long long)dice(&s) & 0xffffff,
                     (unsigned long long)dice(&s) % 100);
        put(p, 1 + i, key, value, (size_t)n);
        for (unsigned k = 0; k < 1 + i % 2; k++) {
            snprintf(key, sizeof key, "state/shard/logs-service-%u-2024.01.%02u/%u", i / 31, i % 31,
                     k);
            n = snprintf(value, sizeof value,
                         "{\"term\":%llu,\"primary\":\"%016llx\",\"copies\":[{\"id\":\"%016llx\","
                         "\"node\":\"n%llu\",\"state\":\"started\"},{\"id\":\"%016llx\"}]}",
                         (unsigned long long)dice(&s) % 9, (unsigned long long)dice(&s),
                         (unsigned long long)dice(&s), (unsigned long long)dice(&s) % 50,
                         (unsigned long long)dice(&s));
            put(p, 1 + i, key, value, (size_t)n);
        }
    }
    ck_frozen *f = ck_pages_freeze(p, 0);
    ck_root *r = sample_root(1, 0, 1);
    ck_hash pages[CK_PAGES] = {{{0}}};
    size_t rows = 0, text = 0, largest = 0, values = 0, plain = 0;
    for (uint32_t i = ck_frozen_next(f, 0); i < CK_PAGES; i = ck_frozen_next(f, i + 1)) {
        ck_encoded e;
        ck_page_encode(f, i, &e);
        pages[i] = e.hash;
        rows += ck_pages_count(p, i);
        plain += e.bytes.n;
        values += e.nvalues;
        text += blob_size(CK_BLOB_PAGE, &e.hash, e.bytes.p, e.bytes.n, &largest);
        ck_encoded_free(&e);
    }
    ck_frozen_free(f);
    print_message(
        "# %zu rows: %zu bytes in pages, %zu as text, the largest object %zu; %zu values\n", rows,
        plain, text, largest, values);
    assert_int_equal(rows, 25000);
    assert_int_equal(values, 0);       /* a start reads the pages and nothing beside them */
    assert_true(largest <= 128 << 10); /* one object a page, far from what the API server takes */
    assert_true(text <= 6 << 20);
    ck_root_checkpoint(r, 0, pages);
    json_t *spec = ck_root_write(r, &site);
    assert_true(text_length(spec) <= 8 << 10); /* the root does not grow with the state */
    json_decref(spec);
    ck_root_free(r);
    ck_pages_free(p);
    memory_check();
}

int main(void)
{
    json_count();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_have_their_places),
        cmocka_unit_test(places_stay),
        cmocka_unit_test(a_page_looks_like_this),
        cmocka_unit_test(pages_of_version_1_are_read),
        cmocka_unit_test(pages_know_when_they_changed),
        cmocka_unit_test(pages_are_shown_as_they_were),
        cmocka_unit_test(what_was_is_forgotten_when_it_is_too_much),
        cmocka_unit_test(a_freeze_stays_as_it_was),
        cmocka_unit_test(pages_give_the_same_machine),
        cmocka_unit_test(values_at_hand_are_not_fetched),
        cmocka_unit_test(damaged_pages_are_refused),
        cmocka_unit_test(sizes_with_25_000_keys),
    };
    return unit_run(tests);
}
