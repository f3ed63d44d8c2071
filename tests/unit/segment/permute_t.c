/* permute_t.c: merges that put documents into another order: every part is byte for byte what
 * indexing the documents in that order gives, whatever has to be done in pieces. */
#include "segment/check.h"
#include "segment/merge/bisect_int.h"
#include "segment/postings/spool_int.h"
#include "segment/stored/stored_permute_int.h"
#include "unit/lib/corpus.h"
#include "unit/unit.h"

#define SEGMENTS 4u

typedef struct world {
    parts x;
    corpus c;
    uint8_t *gone; /* by document */
    uint32_t cut[SEGMENTS + 1];
    qd_merge_source sources[SEGMENTS];
    uint8_t codec;
    uint64_t steps, stop_after; /* of merges; 0: never */
    double ordered;             /* last word of the ordering */
} world;

static const char *const names[SEGMENTS] = {"seg-1", "seg-2", "seg-3", "seg-4"};
static const uint8_t the_id[16] = {7};

static uint32_t hash(uint32_t a, uint32_t b)
{
    uint64_t x = (a * 2654435761ull + b + 1) * 0x9e3779b97f4a7c15ull;
    return (uint32_t)(x >> 33);
}

/* What corpus_feed leaves out: id, source, numbers of all kinds. Few values, so that many documents
 * share them, and one that all have. */
static int feed(world *w, uint32_t doc, qd_buffer *b, qd_err *err)
{
    static char text[8192]; /* the source lives until the document is committed */
    uint32_t many, one, address, all;
    const qd_field_info infos[] = {
        {.name = QD_STR("many"), .column = QD_COLUMN_I64, .point = QD_POINT_I64},
        {.name = QD_STR("one"), .column = QD_COLUMN_I64, .point = QD_POINT_I64},
        {.name = QD_STR("address"), .point = QD_POINT_B16},
        {.name = QD_STR("all"), .column = QD_COLUMN_I64, .point = QD_POINT_I64}};
    int64_t v[5], constant = 4;
    int rc = corpus_feed(&w->c, doc, b, err);
    uint32_t *const fields[] = {&many, &one, &address, &all};
    for (unsigned i = 0; i < 4 && !rc; i++) rc = qd_buffer_field(b, &infos[i], fields[i], err);
    if (!rc)
        rc = qd_buffer_id(b, (qd_str){text, (size_t)snprintf(text, 40, "id-%u", doc * 7919u)}, err);
    uint32_t n = hash(doc, 1) % 6;
    for (uint32_t i = 0; i < n; i++) v[i] = hash(doc, 2 + i) % 9;
    if (!rc && n) rc = qd_buffer_column_i64(b, many, v, n, err);
    if (!rc && n) rc = qd_buffer_points_i64(b, many, v, n, err);
    v[0] = (int64_t)hash(doc, 10) - 1000000000;
    if (!rc && doc % 3) rc = qd_buffer_column_i64(b, one, v, 1, err);
    if (!rc && doc % 3) rc = qd_buffer_points_i64(b, one, v, 1, err);
    if (!rc) rc = qd_buffer_column_i64(b, all, &constant, 1, err);
    if (!rc) rc = qd_buffer_points_i64(b, all, &constant, 1, err);
    uint8_t b16[16] = {(uint8_t)hash(doc, 11), 0, 0, 0, 0, 0, 0, 0, 0, 3};
    if (!rc && doc % 5) rc = qd_buffer_point_b16(b, address, b16, err);
    memset(text, 'a' + (int)(doc % 26), sizeof text);
    size_t length = hash(doc, 12) % (doc % 50 ? 300 : sizeof text);
    snprintf(text + 40, 12, "%u", hash(doc, 13));
    if (!rc && doc % 11) rc = qd_buffer_source(b, (qd_str){text, length}, err);
    return rc;
}

/* Writes documents in the order given. */
static void flush(world *w, const uint32_t *docs, uint32_t n, const char *name)
{
    qd_buffer *b;
    parts *x = &w->x;
    OK(x, qd_buffer_create(&x->account, &b, &x->err));
    qd_buffer_stored_codec(b, w->codec);
    for (uint32_t i = 0; i < n; i++) {
        OK(x, qd_buffer_doc_begin(b, NULL, &x->err));
        OK(x, feed(w, docs[i], b, &x->err));
        OK(x, qd_buffer_doc_commit(b, &x->err));
    }
    const qd_segment_attrs attrs = {.min_seq_no = 3,
                                    .max_seq_no = 99,
                                    .user = QD_STR("mine"),
                                    .stored_codec = w->codec,
                                    .sparse_bitmaps = true};
    OK(x, qd_buffer_flush(b, x->store, qd_str_c(name), the_id, &attrs, false, NULL, &x->err));
    qd_buffer_destroy(b);
}

static void open_sources(world *w)
{
    parts *x = &w->x;
    for (unsigned i = 0; i < SEGMENTS; i++) {
        OK(x, qd_segment_open(x->store, qd_str_c(names[i]), &x->account, &w->sources[i].segment,
                              &x->err));
        uint32_t docs = w->cut[i + 1] - w->cut[i], dead = 0;
        qd_live *live;
        OK(x, qd_live_make(docs, &x->account, &live, &x->err));
        for (uint32_t d = 0; d < docs; d++) {
            if (!w->gone[w->cut[i] + d]) continue;
            qd_live_delete(live, d);
            dead++;
        }
        if (!dead) qd_live_unref(live), live = NULL;
        w->sources[i].live = live;
    }
}

/* Documents of about `length` words in four segments; one in `dead` is deleted (0: none). */
static void begin(world *w, uint32_t words, uint32_t docs, uint32_t length, uint32_t dead,
                  uint64_t seed)
{
    *w = (world){.codec = QD_STORED_DEFAULT};
    parts_begin(&w->x, seed % 2);
    w->x.seed += seed;
    corpus_begin(&w->c, &w->x, words);
    corpus_grow(&w->c, docs, length);
    w->gone = qd_calloc(&w->x.account, docs);
    for (uint32_t d = 0; dead && d < docs; d++) w->gone[d] = parts_random(&w->x, dead) == 0;
    const uint32_t cut[] = {0, docs / 5, docs / 5 + 1, docs / 2, docs};
    memcpy(w->cut, cut, sizeof cut);
    uint32_t *as_they_are = qd_alloc(&w->x.account, docs * sizeof *as_they_are);
    for (uint32_t d = 0; d < docs; d++) as_they_are[d] = d;
    for (unsigned i = 0; i < SEGMENTS; i++)
        flush(w, as_they_are + cut[i], cut[i + 1] - cut[i], names[i]);
    qd_free(as_they_are);
    open_sources(w);
}

static void end(world *w)
{
    for (unsigned i = 0; i < SEGMENTS; i++) {
        qd_live_unref((qd_live *)(uintptr_t)w->sources[i].live);
        qd_segment_unref(w->sources[i].segment);
    }
    qd_free(w->gone);
    corpus_end(&w->c);
    parts_end(&w->x);
}

static int step(void *arg, uint64_t written, qd_err *err)
{
    world *w = arg;
    (void)written;
    if (++w->steps != w->stop_after) return 0;
    return qd_err_set(err, QD_E_CANCELLED, "stopped");
}

static void ordering(void *arg, double done)
{
    world *w = arg;
    assert_true(done >= w->ordered && done <= 1.000001);
    w->ordered = done;
}

static int merge(world *w, qd_merge_order order, uint64_t memory, const char *to,
                 qd_merge_result *r, qd_err *err)
{
    const qd_merge_options o = {.attrs = {.min_seq_no = -1,
                                          .max_seq_no = -1,
                                          .stored_codec = w->codec,
                                          .sparse_bitmaps = true},
                                .order = order,
                                .order_memory = memory,
                                .step = step,
                                .ordering = ordering,
                                .arg = w};
    w->steps = 0;
    w->ordered = 0;
    return qd_segment_merge(w->sources, SEGMENTS, w->x.store, qd_str_c(to), the_id, &o,
                            &w->x.account, r, err);
}

/* Documents by new number, from the maps; each live one must have one. */
static uint32_t *order_of(world *w, const qd_merge_result *r)
{
    uint32_t *docs = qd_alloc(&w->x.account, ((size_t)r->docs + 1) * sizeof *docs), live = 0;
    memset(docs, 0xff, (size_t)r->docs * sizeof *docs);
    for (unsigned i = 0; i < SEGMENTS; i++) {
        for (uint32_t d = w->cut[i]; d < w->cut[i + 1]; d++) {
            uint32_t to = r->map[i][d - w->cut[i]];
            assert_int_equal(to == UINT32_MAX, w->gone[d]);
            if (w->gone[d]) continue;
            assert_true(to < r->docs && docs[to] == UINT32_MAX);
            docs[to] = d;
            live++;
        }
    }
    assert_int_equal(live, r->docs);
    return docs;
}

/* The merge's result is what indexing in its order gives, and sound. */
static uint32_t *verify(world *w, const qd_merge_result *r, const char *name)
{
    parts *x = &w->x;
    uint32_t *docs = order_of(w, r);
    flush(w, docs, r->docs, "seg-direct");
    corpus_same_bytes(x, name, "seg-direct");
    OK(x, qd_store_delete(x->store, QD_STR("seg-direct"), &x->err));
    qd_check c = {.account = &x->account};
    OK(x, qd_segment_check(x->store, qd_str_c(name), &c, &x->err));
    assert_int_equal(c.findings, 0);
    qd_arena_reset(&x->arena);
    return docs;
}

static void merge_and_verify(world *w, qd_merge_order order)
{
    parts *x = &w->x;
    qd_merge_result r;
    OK(x, merge(w, order, 0, "seg-m", &r, &x->err));
    assert_int_equal(r.order, order);
    qd_free(verify(w, &r, "seg-m"));
    OK(x, qd_store_delete(x->store, QD_STR("seg-m"), &x->err));
    qd_merge_result_fini(&r);
}

static void every_part_follows_the_order(void **state)
{
    (void)state;
    static const struct {
        uint32_t words, docs, length, dead;
    } sizes[] = {{40, 12, 6, 0}, {600, 700, 30, 0}, {3000, 1500, 20, 4}, {4000, 9000, 12, 9}};
    for (unsigned i = 0; i < QD_COUNT_OF(sizes); i++) {
        world w;
        begin(&w, sizes[i].words, sizes[i].docs, sizes[i].length, sizes[i].dead, i);
        merge_and_verify(&w, QD_MERGE_LENGTH);
        merge_and_verify(&w, QD_MERGE_BISECT);
        end(&w);
    }
}

/* The same from windows of few documents, from logs on the disk, with a dictionary. */
static void pieces_make_no_difference(void **state)
{
    (void)state;
    uint32_t window = qdi_permute_window;
    size_t memory = qdi_stored_permute_memory, spool = qdi_spool_memory, bytes = qdi_permute_bytes;
    for (unsigned round = 0; round < 6; round++) {
        world w;
        begin(&w, 600, 3000, 15, round % 2 ? 5 : 0, round);
        w.codec = round < 2 ? QD_STORED_DEFAULT : QD_STORED_BEST;
        if (round < 4)
            qdi_permute_window = 1 + 100 * round;
        else
            qdi_permute_bytes = round == 4 ? 1 : 5000;
        qdi_stored_permute_memory = round ? 30000 : 3000;
        qdi_spool_memory = 5000;
        merge_and_verify(&w, round % 2 ? QD_MERGE_BISECT : QD_MERGE_LENGTH);
        qdi_permute_window = window;
        qdi_permute_bytes = bytes;
        qdi_stored_permute_memory = memory;
        qdi_spool_memory = spool;
        end(&w);
    }
}

/* The most that a merge holds at once, beyond what was there. */
static int64_t most_held(world *w, size_t bytes)
{
    size_t was = qdi_permute_bytes;
    qd_account *a = &w->x.account;
    int64_t used = qd_account_used(a);
    atomic_store(&a->peak, used);
    qdi_permute_bytes = bytes;
    qd_merge_result r;
    OK(&w->x, merge(w, QD_MERGE_LENGTH, 0, "seg-m", &r, &w->x.err));
    int64_t peak = atomic_load(&a->peak);
    qdi_permute_bytes = was;
    OK(&w->x, qd_store_delete(w->x.store, QD_STR("seg-m"), &w->x.err));
    qd_merge_result_fini(&r);
    return peak - used;
}

/* Words that stand in all documents many times: windows are bounded by what they hold. */
static void windows_are_bounded_by_bytes(void **state)
{
    (void)state;
    size_t memory = qdi_stored_permute_memory, spool = qdi_spool_memory;
    world w;
    begin(&w, 3, 6000, 200, 0, 4);
    qdi_stored_permute_memory = 20000;
    qdi_spool_memory = 5000;
    int64_t whole = most_held(&w, SIZE_MAX), bound = most_held(&w, 60000);
    /* positions of one word in all documents, with what sorts them, beside what any merge takes */
    assert_true(whole - bound > 4 << 20);
    qdi_stored_permute_memory = memory;
    qdi_spool_memory = spool;
    end(&w);
}

static void lengths_rise_and_ties_stay(void **state)
{
    (void)state;
    world w;
    begin(&w, 300, 2000, 20, 7, 3);
    parts *x = &w.x;
    qd_merge_result r;
    OK(x, merge(&w, QD_MERGE_LENGTH, 0, "seg-m", &r, &x->err));
    uint32_t *docs = order_of(&w, &r);
    uint8_t before = 0;
    uint32_t changes = 0;
    for (uint32_t i = 0; i < r.docs; i++) {
        uint32_t words = 0;
        for (unsigned f = 0; f < CORPUS_FIELDS; f++)
            if (w.c.fields[f].info.norms)
                words += qd_norm_length(qd_norm_of(w.c.fields[f].length.at[docs[i]]));
        uint8_t norm = qd_norm_of(words);
        assert_true(norm >= before);
        if (i && norm == before) assert_true(docs[i] > docs[i - 1]);
        changes += norm != before;
        before = norm;
    }
    assert_true(changes > 20);
    qd_free(docs);
    qd_merge_result_fini(&r);
    end(&w);
}

/* Two vocabularies by turns: the bisection parts them; groups of neighbours do within themselves.
 */
static uint32_t borders_of(qdi_forward *f, uint32_t *order, qd_account *account, qd_err *err)
{
    const qdi_bisect_options o = {0};
    assert_int_equal(qdi_bisect(f, order, &o, account, err), 0);
    uint8_t *seen = qd_calloc(account, f->docs);
    uint32_t borders = 0;
    for (uint32_t i = 0; i < f->docs; i++) {
        assert_true(order[i] < f->docs && !seen[order[i]]);
        seen[order[i]] = 1;
        borders += i && order[i] % 4 != order[i - 1] % 4;
    }
    qd_free(seen);
    return borders;
}

static void topics_come_together(void **state)
{
    (void)state;
    parts x;
    parts_begin(&x, false);
    enum { DOCS = 3000, TERMS = 12, WORDS = 100 };
    uint32_t *start = qd_alloc(&x.account, (DOCS + 1) * sizeof *start),
             *count = qd_alloc(&x.account, DOCS * sizeof *count),
             *term = qd_alloc(&x.account, DOCS * TERMS * sizeof *term),
             *order = qd_alloc(&x.account, 2 * DOCS * sizeof *order);
    for (unsigned round = 0; round < 2; round++) {
        uint32_t n = 0;
        for (uint32_t d = 0; d < DOCS; d++) {
            start[d] = n;
            /* eight words of the document's topic, some of all */
            for (uint32_t k = 0; k < TERMS; k++) {
                uint32_t topic = k < 8 ? d % 4 : 4;
                term[n++] = topic * WORDS + k * (WORDS / TERMS) + hash(d, k) % (WORDS / TERMS);
            }
            count[d] = n - start[d];
        }
        qdi_forward f = {DOCS, 5 * WORDS, start, count, term};
        uint32_t borders = borders_of(&f, order + round * DOCS, &x.account, &x.err);
        assert_true(borders < 200); /* 2,999 as they come */
    }
    assert_memory_equal(order, order + DOCS, DOCS * sizeof *order);
    qd_free(start);
    qd_free(count);
    qd_free(term);
    qd_free(order);
    parts_end(&x);
}

/* Documents without terms, all alike, one, none. */
static void odd_graphs_are_ordered(void **state)
{
    (void)state;
    parts x;
    parts_begin(&x, false);
    uint32_t start[500], count[500], term[500], order[500];
    for (uint32_t docs = 0; docs < 500; docs = docs * 2 + 1) {
        for (unsigned kind = 0; kind < 3; kind++) {
            for (uint32_t d = 0; d < docs; d++) {
                start[d] = d;
                count[d] = kind > 0;
                term[d] = kind == 1 ? 0 : d;
            }
            qdi_forward f = {docs, docs + 1, start, count, term};
            borders_of(&f, order, &x.account, &x.err);
            for (uint32_t d = 0; d < docs; d++) assert_int_equal(order[d], d);
        }
    }
    parts_end(&x);
}

static void memory_bounds_the_groups(void **state)
{
    (void)state;
    world w;
    begin(&w, 300, 6000, 12, 0, 5);
    parts *x = &w.x;
    qd_merge_result r;
    OK(x, merge(&w, QD_MERGE_BISECT, 1000, "seg-kept", &r, &x->err));
    assert_int_equal(r.order, QD_MERGE_KEPT);
    assert_true(r.order_wants > 1000 && r.order_wants < 1000000);
    for (uint32_t d = 0; d < w.cut[1]; d++) assert_int_equal(r.map[0][d], d);
    uint64_t wants = r.order_wants;
    qd_merge_result_fini(&r);
    uint32_t *order[3];
    for (unsigned i = 0; i < 3; i++) {
        OK(x, merge(&w, QD_MERGE_BISECT, i ? wants : 0, "seg-m", &r, &x->err));
        assert_int_equal(r.order, QD_MERGE_BISECT);
        assert_int_equal(r.order_wants, 0);
        assert_true(w.ordered > 0.5);
        order[i] = verify(&w, &r, "seg-m");
        OK(x, qd_store_delete(x->store, QD_STR("seg-m"), &x->err));
        qd_merge_result_fini(&r);
    }
    assert_memory_not_equal(order[0], order[1], 6000 * sizeof **order);
    assert_memory_equal(order[1], order[2], 6000 * sizeof **order);
    for (unsigned i = 0; i < 3; i++) qd_free(order[i]);
    end(&w);
}

static int count_objects(void *arg, qd_str name, uint64_t bytes)
{
    (void)name;
    (void)bytes;
    ++*(uint32_t *)arg;
    return 0;
}

static uint32_t objects(world *w)
{
    uint32_t n = 0;
    OK(&w->x, qd_store_list(w->x.store, QD_STR(""), count_objects, &n, &w->x.err));
    return n;
}

/* Stopped at any step a merge leaves nothing behind. */
static void it_stops_anywhere(void **state)
{
    (void)state;
    size_t memory = qdi_stored_permute_memory, spool = qdi_spool_memory;
    world w;
    begin(&w, 600, 2500, 25, 6, 8);
    qdi_stored_permute_memory = 20000;
    qdi_spool_memory = 5000;
    uint32_t before = objects(&w), stopped = 0;
    int64_t used = qd_account_used(&w.x.account);
    for (unsigned k = 0; k < 2; k++) {
        int rc = QD_E_CANCELLED;
        for (w.stop_after = 1; rc; w.stop_after++) {
            qd_merge_result r;
            qd_err err;
            qd_err_init(&err);
            rc = merge(&w, k ? QD_MERGE_BISECT : QD_MERGE_LENGTH, 0, "seg-m", &r, &err);
            assert_true(rc == 0 || rc == QD_E_CANCELLED);
            if (rc == 0) {
                qd_merge_result_fini(&r);
                OK(&w.x, qd_store_delete(w.x.store, QD_STR("seg-m"), &w.x.err));
            }
            stopped += rc != 0;
            qd_err_fini(&err);
            assert_int_equal(objects(&w), before);
            assert_int_equal(qd_account_used(&w.x.account), used);
        }
    }
    assert_true(stopped > 20);
    qdi_stored_permute_memory = memory;
    qdi_spool_memory = spool;
    end(&w);
}

/* Each allocation and each write fails once: an error, or a good segment in some order. Want of
 * memory for finding the order is no error: it stays as it was. */
static void failures_leave_nothing(void **state)
{
    (void)state;
    size_t memory = qdi_stored_permute_memory, spool = qdi_spool_memory;
    world w;
    begin(&w, 100, 150, 8, 5, 9);
    qdi_stored_permute_memory = 20000;
    qdi_spool_memory = 5000;
    merge_and_verify(&w, QD_MERGE_LENGTH); /* what the test keeps is there from now on */
    uint32_t before = objects(&w);
    int64_t used = qd_account_used(&w.x.account);
    for (unsigned k = 0; k < 4; k++) {
        qd_merge_order order = k % 2 ? QD_MERGE_BISECT : QD_MERGE_LENGTH, got = QD_MERGE_KEPT;
        uint32_t kept = 0;
        int rc = -1;
        for (uint64_t n = 1; rc || got != order; n++) {
            qd_merge_result r = {0};
            qd_err err;
            qd_err_init(&err);
            if (k < 2)
                qd_mem_fail_at(n, false);
            else
                store_crash_fail_at(w.x.disk, STORE_CRASH_WRITES | STORE_CRASH_READS, n, QD_E_IO,
                                    false);
            rc = merge(&w, order, 0, "seg-m", &r, &err);
            got = r.order;
            qd_mem_fail_at(0, false);
            store_crash_fail_at(w.x.disk, 0, 0, 0, false);
            assert_true(rc == 0 || rc == (k < 2 ? QD_E_NOMEM : QD_E_IO));
            if (rc == 0) {
                assert_int_equal(r.order_wants != 0, got == QD_MERGE_KEPT);
                kept += got == QD_MERGE_KEPT;
                qd_free(verify(&w, &r, "seg-m"));
                OK(&w.x, qd_store_delete(w.x.store, QD_STR("seg-m"), &w.x.err));
            }
            qd_merge_result_fini(&r);
            qd_err_fini(&err);
            assert_int_equal(qd_account_used(&w.x.account), used);
            assert_int_equal(objects(&w), before);
        }
        assert_int_equal(kept > 2, k < 2);
    }
    qdi_stored_permute_memory = memory;
    qdi_spool_memory = spool;
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_part_follows_the_order),
        cmocka_unit_test(pieces_make_no_difference),
        cmocka_unit_test(windows_are_bounded_by_bytes),
        cmocka_unit_test(lengths_rise_and_ties_stay),
        cmocka_unit_test(topics_come_together),
        cmocka_unit_test(odd_graphs_are_ordered),
        cmocka_unit_test(memory_bounds_the_groups),
        cmocka_unit_test(it_stops_anywhere),
        cmocka_unit_test(failures_leave_nothing),
    };
    return unit_run(tests);
}
