/* machine_t.c: the pure state machine of coordination-raft against a naive model, with restarts
 * from records and snapshots in between; the export of the past; large commands; damaged bytes. */
#include "unit/unit.h"

#include "unit/coordination/heap.h"
#include <coordination-common/entry.h>
#include <coordination-common/machine.h>
#include <coordination-common/snapshot.h>

#define KEYS 40
#define SESSIONS 6

/* --- one command at a time --- */

typedef struct rig {
    cr_machine *m;
    uint64_t ids, proposals;
} rig;

static cr_result apply(rig *r, cr_writer *w)
{
    cr_writer_end(w, ++r->proposals);
    assert_int_equal(cr_machine_apply(r->m, w->bytes.p, w->bytes.n), 0);
    cr_bytes_free(&w->bytes);
    assert_true(r->m->out.nresults > 0);
    return r->m->out.results[r->m->out.nresults - 1];
}

static void begin(cr_writer *w, uint8_t type)
{
    cr_writer_begin(w, unit_heap());
    if (type) cr_command_begin(w, type);
}

static void form(rig *r, uint64_t epoch)
{
    cr_writer w;
    begin(&w, CR_FORM);
    cr_put(&w.bytes, "0123456789abcdef", 16);
    cr_put64(&w.bytes, epoch);
    cr_command_end(&w);
    assert_int_equal(apply(r, &w).rc, 0);
}

static cr_result txn(rig *r, qd_coord_txn *t)
{
    cr_writer w;
    uint64_t id[2] = {++r->ids, 77};
    memcpy(t->id, id, 16);
    begin(&w, 0);
    cr_write_txn(&w, t);
    return apply(r, &w);
}

static cr_result put(rig *r, const char *key, const char *value, uint64_t session)
{
    qd_coord_change c = {QD_COORD_PUT, 0, {key, strlen(key)}, {value, strlen(value)}, session};
    qd_coord_txn t = {.changes = &c, .nchanges = 1};
    return txn(r, &t);
}

static cr_result open_session(rig *r, int64_t ttl_ns)
{
    cr_writer w;
    uint64_t id[2] = {++r->ids, 78};
    begin(&w, CR_OPEN);
    cr_put(&w.bytes, id, 16);
    cr_put64(&w.bytes, (uint64_t)ttl_ns);
    cr_command_end(&w);
    return apply(r, &w);
}

static cr_result close_session(rig *r, uint64_t session)
{
    cr_writer w;
    begin(&w, CR_CLOSE);
    cr_put64(&w.bytes, session);
    cr_command_end(&w);
    return apply(r, &w);
}

static cr_result elect(rig *r, const char *name, uint64_t session, uint64_t number)
{
    cr_writer w;
    begin(&w, CR_ELECT);
    cr_put64(&w.bytes, 1);
    cr_put64(&w.bytes, number);
    cr_put64(&w.bytes, session);
    cr_put_str(&w.bytes, (qd_str){name, strlen(name)});
    cr_put_str(&w.bytes, QD_STR("me"));
    cr_command_end(&w);
    return apply(r, &w);
}

static cr_result authority(rig *r, uint32_t action, uint64_t epoch, uint64_t new_epoch,
                           uint64_t revision)
{
    cr_writer w;
    uint64_t id[2] = {++r->ids, 79};
    begin(&w, CR_AUTHORITY);
    cr_put(&w.bytes, id, 16);
    cr_put32(&w.bytes, action);
    cr_put64(&w.bytes, epoch);
    cr_put64(&w.bytes, new_epoch);
    cr_put64(&w.bytes, revision);
    cr_command_end(&w);
    return apply(r, &w);
}

static rig make(void)
{
    rig r = {.m = cr_machine_make(unit_heap(), 100000, 1u << 30)};
    form(&r, 1);
    return r;
}

/* --- records: a machine loaded from them is the same --- */

static int32_t take(void *arg, cr_item *row)
{
    return cr_machine_load(arg, row);
}

/* All pieces one after the other; to be freed. */
static uint8_t *snapshot_of(const cr_machine *m, uint64_t index, size_t *n)
{
    cr_items rows = {0};
    cr_pieces p;
    cr_machine_rows(m, &rows);
    assert_int_equal(cr_snapshot_write(&rows, index, unit_heap(), &p), 0);
    cr_items_free(unit_heap(), &rows);
    *n = 0;
    for (uint32_t i = 0; i < p.n; i++) *n += p.at[i].n;
    uint8_t *all = malloc(*n), *at = all;
    for (uint32_t i = 0; i < p.n; i++) {
        memcpy(at, p.at[i].p, p.at[i].n);
        at += p.at[i].n;
    }
    cr_pieces_free(unit_heap(), &p);
    return all;
}

static void reload(rig *r)
{
    size_t n, again;
    uint64_t index = 0;
    uint8_t *before = snapshot_of(r->m, 42, &n);
    cr_machine *m = cr_machine_make(unit_heap(), 100000, 1u << 30);
    assert_int_equal(cr_snapshot_read(unit_heap(), before, n, &index, take, m), 0);
    assert_int_equal(index, 42);
    assert_int_equal(cr_machine_loaded(m), 0);
    uint8_t *after = snapshot_of(m, 42, &again);
    assert_int_equal(n, again);
    assert_memory_equal(before, after, n);
    free(before);
    free(after);
    cr_machine_free(r->m);
    r->m = m;
}

/* Rows as the database has them, kept up by what each apply says has changed. */
typedef struct rows {
    cr_items at;
} rows;

static void follow(rows *t, const cr_machine *m)
{
    for (size_t i = 0; i < m->out.rows.n; i++) {
        cr_item *x = m->out.rows.at[i];
        size_t k = 0;
        while (k < t->at.n && !(t->at.at[k]->kind == x->kind &&
                                cr_compare(cr_item_key(t->at.at[k]), cr_item_key(x)) == 0))
            k++;
        if (k < t->at.n) {
            cr_item_drop(t->at.at[k]);
            t->at.at[k] = t->at.at[--t->at.n];
        }
        if (x->version) cr_items_push(unit_heap(), &t->at, cr_item_ref(x));
    }
}

static int by_place(const void *a, const void *b)
{
    const cr_item *x = *(cr_item *const *)a, *y = *(cr_item *const *)b;
    return x->kind != y->kind ? (x->kind < y->kind ? -1 : 1)
                              : cr_compare(cr_item_key(x), cr_item_key(y));
}

static void same_rows(rows *t, const cr_machine *m)
{
    cr_items all = {0};
    cr_machine_rows(m, &all);
    assert_int_equal(all.n, t->at.n);
    qsort(all.at, all.n, sizeof *all.at, by_place);
    qsort(t->at.at, t->at.n, sizeof *t->at.at, by_place);
    for (size_t i = 0; i < all.n; i++)
        assert_int_equal(cr_item_sum(all.at[i]), cr_item_sum(t->at.at[i]));
    cr_items_free(unit_heap(), &all);
}

/* --- the model --- */

typedef struct model_key {
    uint64_t create, mod, version, session;
    char value[24];
} model_key;
typedef struct model {
    model_key key[KEYS];
    uint64_t revision;
} model;

static uint64_t state;
static uint64_t next(void)
{
    uint64_t z = (state += 0x9E3779B97F4A7C15ull);
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ z >> 27) * 0x94D049BB133111EBull;
    return z ^ z >> 31;
}

static void name_of(uint32_t k, char out[16])
{
    snprintf(out, 16, "%c/%02u", k % 3 ? 'a' : 'b', k);
}

static void compare(const rig *r, const model *m)
{
    uint32_t n = 0;
    char name[16];
    assert_int_equal(r->m->revision, m->revision);
    for (uint32_t k = 0; k < KEYS; k++) {
        name_of(k, name);
        const cr_item *i = cr_keys_find(&r->m->keys, (qd_str){name, strlen(name)});
        if (!m->key[k].version) {
            assert_null(i);
            continue;
        }
        n++;
        assert_non_null(i);
        assert_int_equal(i->version, m->key[k].version);
        assert_int_equal(i->create_revision, m->key[k].create);
        assert_int_equal(i->mod_revision, m->key[k].mod);
        assert_int_equal(i->session, m->key[k].session);
        assert_int_equal(i->value_len, strlen(m->key[k].value));
        void *room = malloc(cr_item_room(i) + 1);
        assert_memory_equal(cr_item_open(i, room).p, m->key[k].value, i->value_len);
        free(room);
    }
    uint32_t elections = 0;
    const cr_key *e = cr_keys_seek(&r->m->keys, QD_STR("_election/"));
    for (; e && cr_starts(cr_item_key(e->item), QD_STR("_election/")); e = e->next[0]) elections++;
    assert_int_equal(r->m->keys.n, n + elections);
}

static void model_txn(rig *r, model *m, const uint64_t *sessions)
{
    static char names[KEYS][16];
    qd_coord_change c[8];
    qd_coord_compare guard;
    uint32_t n = 0, at[8], first = (uint32_t)(next() % KEYS);
    for (uint32_t i = 0; i < 1 + next() % 4; i++) {
        uint32_t k = (first + i * 7) % KEYS;
        name_of(k, names[k]);
        uint64_t s = next() % 4 ? 0 : sessions[next() % SESSIONS];
        at[n] = k;
        c[n] = (qd_coord_change){next() % 3 ? QD_COORD_PUT : QD_COORD_DELETE,
                                 0,
                                 {names[k], strlen(names[k])},
                                 QD_STR(""),
                                 s};
        n++;
    }
    uint32_t k = (uint32_t)(next() % KEYS);
    char guard_name[16], values[8][24];
    name_of(k, guard_name);
    int holds = next() % 3 != 0;
    guard = (qd_coord_compare){
        {guard_name, strlen(guard_name)}, QD_COORD_CMP_VERSION, 0, m->key[k].version + !holds, {0}};
    for (uint32_t i = 0; i < n; i++) {
        snprintf(values[i], 24, "%llu", (unsigned long long)next());
        if (c[i].type == QD_COORD_PUT)
            c[i].value = (qd_str){values[i], strlen(values[i])};
        else
            c[i].session = 0;
    }
    qd_coord_txn t = {.compares = &guard, .ncompares = 1, .changes = c, .nchanges = n};
    cr_result got = txn(r, &t);
    assert_int_equal(got.rc, holds ? 0 : QD_E_CONFLICT);
    if (!holds) return;
    int any = 0;
    for (uint32_t i = 0; i < n; i++) {
        model_key *x = &m->key[at[i]];
        if (c[i].type == QD_COORD_DELETE) {
            any |= x->version != 0;
            *x = (model_key){0};
            continue;
        }
        any = 1;
        if (!x->version) x->create = m->revision + 1;
        x->version++;
        x->mod = m->revision + 1;
        x->session = c[i].session;
        memcpy(x->value, values[i], sizeof x->value);
    }
    m->revision += any;
    assert_int_equal(got.revision, m->revision);
}

static void model_close(rig *r, model *m, uint64_t *session)
{
    assert_int_equal(close_session(r, *session).rc, 0);
    int any = 0;
    for (uint32_t k = 0; k < KEYS; k++) {
        if (!m->key[k].version || m->key[k].session != *session) continue;
        m->key[k] = (model_key){0};
        any = 1;
    }
    m->revision += any;
    *session = open_session(r, 1000000000).session;
}

static void agrees_with_a_model(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        state = seed;
        print_message("# seed %llu\n", (unsigned long long)seed);
        rig r = make();
        rows t = {0};
        model m = {.revision = 0}, past = m;
        uint64_t sessions[SESSIONS];
        follow(&t, r.m);
        for (int i = 0; i < SESSIONS; i++) {
            sessions[i] = open_session(&r, 1000000000).session;
            follow(&t, r.m);
        }
        for (int step = 0; step < 700; step++) {
            uint64_t x = next() % 40;
            if (x == 0) {
                reload(&r);
                past = m;
            } else if (x == 1) {
                /* two commands, the second of which opens another session: rows of both */
                uint64_t *s = &sessions[next() % SESSIONS];
                uint64_t gone = *s;
                rig *p = &r;
                assert_int_equal(close_session(p, gone).rc, 0);
                follow(&t, r.m);
                int any = 0;
                for (uint32_t k = 0; k < KEYS; k++) {
                    if (!m.key[k].version || m.key[k].session != gone) continue;
                    m.key[k] = (model_key){0};
                    any = 1;
                }
                m.revision += (uint64_t)any;
                *s = open_session(p, 1000000000).session;
                follow(&t, r.m);
            } else if (x == 2) {
                past = m;
            } else {
                model_txn(&r, &m, sessions);
                follow(&t, r.m);
            }
            if (step % 20 == 0) {
                compare(&r, &m);
                same_rows(&t, r.m);
            }
        }
        /* the past, as it was */
        cr_items then = {0};
        assert_int_equal(cr_machine_past(r.m, past.revision, &then), 0);
        uint32_t n = 0;
        char name[16];
        for (uint32_t k = 0; k < KEYS; k++) n += past.key[k].version != 0;
        assert_int_equal(then.n, n);
        for (size_t i = 0; i < then.n; i++) {
            uint32_t k = 0;
            do name_of(k, name);
            while (cr_compare(cr_item_key(then.at[i]), (qd_str){name, strlen(name)}) != 0 && ++k);
            assert_int_equal(then.at[i]->mod_revision, past.key[k].mod);
            if (i)
                assert_true(cr_compare(cr_item_key(then.at[i - 1]), cr_item_key(then.at[i])) < 0);
        }
        cr_items_free(unit_heap(), &then);
        cr_items_free(unit_heap(), &t.at);
        cr_machine_free(r.m);
        unit_heap_check();
    }
}

static void sessions_end_with_keys(void **unused)
{
    (void)unused;
    rig r = make();
    model m = {.revision = 0};
    uint64_t s = open_session(&r, 1).session;
    assert_int_equal(cr_machine_session(r.m, s)->ttl_ns, CR_TTL_MIN_NS);
    assert_int_equal(put(&r, "a/01", "x", s).rc, 0);
    assert_int_equal(put(&r, "a/02", "x", s).rc, 0);
    assert_int_equal(put(&r, "a/01", "y", 0).rc, 0); /* not its any more */
    m.revision = 3;
    m.key[1] = (model_key){1, 3, 2, 0, "y"};
    m.key[2] = (model_key){2, 2, 1, s, "x"};
    compare(&r, &m);
    uint64_t gone = s;
    model_close(&r, &m, &s);
    compare(&r, &m);
    assert_int_equal(put(&r, "a/02", "z", gone).rc, QD_E_SESSION_EXPIRED);
    assert_true(s > gone);
    cr_machine_free(r.m);
    unit_heap_check();
}

static void repeats_answer_the_same(void **unused)
{
    (void)unused;
    rig r = make();
    qd_coord_change c = {QD_COORD_PUT, 0, QD_STR("k"), QD_STR("v"), 0};
    qd_coord_txn t = {.changes = &c, .nchanges = 1};
    cr_result first = txn(&r, &t);
    for (int i = 0; i < CR_ID_WINDOW - 1; i++) (void)put(&r, "other", "v", 0);
    reload(&r);
    r.ids = 0; /* the first id once more */
    cr_result again = txn(&r, &t);
    assert_int_equal(again.revision, first.revision);
    assert_int_equal(cr_keys_find(&r.m->keys, QD_STR("k"))->version, 1);
    r.ids = CR_ID_WINDOW;
    (void)put(&r, "other", "v", 0);
    r.ids = 0; /* forgotten now */
    again = txn(&r, &t);
    assert_true(again.revision > first.revision);
    cr_machine_free(r.m);
    unit_heap_check();
}

static void elections_go_by_arrival(void **unused)
{
    (void)unused;
    rig r = make();
    uint64_t s[3];
    for (int i = 0; i < 3; i++) s[i] = open_session(&r, 1000000000).session;
    cr_result won = elect(&r, "e", s[0], 1);
    assert_false(won.waiting);
    assert_true(elect(&r, "e", s[1], 2).waiting);
    assert_true(elect(&r, "e", s[2], 3).waiting);
    reload(&r);
    assert_int_equal(close_session(&r, s[1]).rc, 0); /* the next one dies first */
    assert_int_equal(r.m->out.nended, 1);
    assert_int_equal(r.m->out.ended[0].rc, QD_E_SESSION_EXPIRED);
    assert_int_equal(close_session(&r, s[0]).rc, 0);
    assert_int_equal(r.m->out.nended, 1);
    assert_int_equal(r.m->out.ended[0].number, 3);
    assert_true(r.m->out.ended[0].token.term > won.token.term);
    qd_coord_change c = {QD_COORD_PUT, 0, QD_STR("k"), QD_STR("v"), 0};
    qd_coord_txn t = {.changes = &c, .nchanges = 1, .token = won.token, .election = QD_STR("e")};
    assert_int_equal(txn(&r, &t).rc, QD_E_FENCED);
    t.token = r.m->elections[0].token;
    assert_int_equal(txn(&r, &t).rc, 0);
    assert_int_equal(close_session(&r, s[2]).rc, 0);
    assert_int_equal(r.m->nelections, 0);
    assert_int_equal(r.m->keys.n, 1);
    uint64_t last = r.m->last_term;
    assert_true(elect(&r, "e", open_session(&r, 1000000000).session, 4).token.term > last);
    cr_machine_free(r.m);
    unit_heap_check();
}

/* All keys of one store, imported into another that mirrors it, which then takes over. */
static void authority_moves(void **unused)
{
    (void)unused;
    rig a = make(), b = {.m = cr_machine_make(unit_heap(), 1000, 1u << 20)};
    form(&b, 0);
    assert_int_equal(b.m->state, QD_COORD_EMPTY);
    assert_int_equal(put(&b, "x", "y", 0).rc, QD_E_FENCED);
    uint64_t s = open_session(&a, 5000000000).session;
    (void)put(&a, "one", "1", s);
    (void)put(&a, "two", "2", 0);
    assert_int_equal(authority(&a, QD_COORD_SEAL, 2, 0, 0).rc, QD_E_CONFLICT);
    assert_int_equal(authority(&a, QD_COORD_SEAL, 1, 0, 0).rc, 0);
    assert_int_equal(put(&a, "three", "3", 0).rc, QD_E_FENCED);
    assert_int_equal(authority(&b, QD_COORD_BEGIN_MIRROR, 0, 2, 0).rc, 0);
    qd_coord_event e[2] = {0};
    const char *names[] = {"one", "two"};
    for (int i = 0; i < 2; i++) {
        const cr_item *x = cr_keys_find(&a.m->keys, (qd_str){names[i], 3});
        e[i] = (qd_coord_event){QD_COORD_PUT,
                                0,
                                {cr_item_key(x), (const uint8_t *)cr_item_value(x).p, x->value_len,
                                 x->create_revision, x->mod_revision, x->version, x->session, 0}};
    }
    qd_coord_import import = {.epoch = 2, .revision = a.m->revision, .events = e, .nevents = 2};
    for (int i = 0; i < 2; i++) { /* the second time it is done already */
        cr_writer w;
        begin(&w, 0);
        cr_write_import(&w, &import);
        assert_int_equal(apply(&b, &w).rc, 0);
        assert_int_equal(b.m->revision, a.m->revision);
    }
    assert_int_equal(authority(&b, QD_COORD_ACTIVATE, 2, 0, 1).rc, QD_E_CONFLICT);
    assert_int_equal(authority(&b, QD_COORD_ACTIVATE, 2, 0, a.m->revision).rc, 0);
    assert_int_equal(authority(&a, QD_COORD_RETIRE, 1, 0, 0).rc, 0);
    assert_int_equal(b.m->revision, a.m->revision + 1);
    assert_non_null(cr_machine_session(b.m, s));
    reload(&b);
    assert_int_equal(close_session(&b, s).rc, 0);
    assert_null(cr_keys_find(&b.m->keys, QD_STR("one")));
    assert_true(open_session(&b, 1000000000).session > s);
    cr_machine_free(a.m);
    cr_machine_free(b.m);
    unit_heap_check();
}

static void large_commands_come_in_parts(void **unused)
{
    (void)unused;
    rig r = make();
    size_t n = 3 * (size_t)CR_PART_BYTES + 1234;
    char *value = malloc(n);
    for (size_t i = 0; i < n; i++) value[i] = (char)(i * 31 + (i >> 12));
    qd_coord_change c = {QD_COORD_PUT, 0, QD_STR("big"), {value, n}, 0};
    qd_coord_txn t = {.id = "large command 1", .changes = &c, .nchanges = 1};
    cr_writer w;
    begin(&w, 0);
    cr_write_txn(&w, &t);
    cr_bytes whole = cr_command_take(&w);
    cr_bytes_free(&w.bytes);
    uint8_t sum[16];
    cr_sum128(whole.p, whole.n, sum);
    for (int round = 0; round < 2; round++) {
        uint32_t parts = 0;
        for (size_t at = 0; at < whole.n; at += CR_PART_BYTES, parts++) {
            begin(&w, CR_PART);
            cr_put(&w.bytes, sum, 16);
            cr_put32(&w.bytes, parts);
            size_t left = whole.n - at;
            cr_put_str(&w.bytes, (qd_str){(const char *)whole.p + at,
                                          left < CR_PART_BYTES ? left : CR_PART_BYTES});
            cr_command_end(&w);
            assert_int_equal(apply(&r, &w).rc, 0);
            if (parts == 1) reload(&r);
        }
        if (round == 0) { /* another leader came between */
            begin(&w, CR_LEAD);
            cr_command_end(&w);
            (void)apply(&r, &w);
        }
        begin(&w, CR_WHOLE);
        cr_put(&w.bytes, sum, 16);
        cr_put32(&w.bytes, parts);
        cr_command_end(&w);
        assert_int_equal(apply(&r, &w).rc, round ? 0 : QD_E_NO_COORDINATION);
        assert_int_equal(r.m->nparts, 0);
    }
    const cr_item *i = cr_keys_find(&r.m->keys, QD_STR("big"));
    assert_int_equal(i->value_len, n);
    void *room = malloc(cr_item_room(i) + 1);
    assert_memory_equal(cr_item_open(i, room).p, value, n);
    free(room);
    reload(&r);
    cr_bytes_free(&whole);
    free(value);
    cr_machine_free(r.m);
    unit_heap_check();
}

static void history_is_bounded(void **unused)
{
    (void)unused;
    rig r = {.m = cr_machine_make(unit_heap(), 10, 1u << 20)};
    form(&r, 1);
    for (int i = 0; i < 50; i++) (void)put(&r, "k", "v", 0);
    assert_int_equal(r.m->history_n, 10);
    assert_int_equal(r.m->compacted, 40);
    cr_items then = {0};
    assert_int_equal(cr_machine_past(r.m, 39, &then), QD_E_COMPACTED);
    assert_int_equal(cr_machine_past(r.m, 51, &then), QD_E_ARG);
    assert_int_equal(cr_machine_past(r.m, 40, &then), 0);
    assert_int_equal(then.at[0]->version, 40);
    cr_items_free(unit_heap(), &then);
    cr_machine_compact(r.m, 1000);
    assert_int_equal(r.m->compacted, 50);
    assert_int_equal(r.m->history_n, 0);
    cr_machine_free(r.m);
    unit_heap_check();
}

static void damage_is_found(void **unused)
{
    (void)unused;
    rig r = make();
    size_t n;
    uint64_t index;
    for (int i = 0; i < 30; i++) (void)put(&r, "key", "value", 0);
    uint8_t *s = snapshot_of(r.m, 7, &n);
    for (size_t i = 0; i < n; i += 1 + i / 64) {
        s[i] ^= 0x20;
        cr_machine *m = cr_machine_make(unit_heap(), 10, 1u << 20);
        assert_int_equal(cr_snapshot_read(unit_heap(), s, n, &index, take, m), QD_E_CORRUPT);
        cr_machine_free(m);
        s[i] ^= 0x20;
    }
    for (size_t cut = 0; cut < n; cut += 8) {
        cr_machine *m = cr_machine_make(unit_heap(), 10, 1u << 20);
        assert_int_equal(cr_snapshot_read(unit_heap(), s, cut, &index, take, m), QD_E_CORRUPT);
        cr_machine_free(m);
    }
    free(s);
    cr_writer w;
    begin(&w, CR_KEEP);
    cr_put64(&w.bytes, 1);
    cr_command_end(&w);
    cr_writer_end(&w, 1);
    assert_int_equal(w.bytes.n % 8, 0);
    for (size_t i = 0; i < w.bytes.n; i++) {
        w.bytes.p[i] ^= 1;
        assert_int_equal(cr_machine_apply(r.m, w.bytes.p, w.bytes.n), QD_E_CORRUPT);
        w.bytes.p[i] ^= 1;
    }
    assert_int_equal(cr_machine_apply(r.m, w.bytes.p, w.bytes.n - 8), QD_E_CORRUPT);
    cr_bytes_free(&w.bytes);
    cr_machine_free(r.m);
    unit_heap_check();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_a_model),     cmocka_unit_test(sessions_end_with_keys),
        cmocka_unit_test(repeats_answer_the_same), cmocka_unit_test(elections_go_by_arrival),
        cmocka_unit_test(authority_moves),         cmocka_unit_test(large_commands_come_in_parts),
        cmocka_unit_test(history_is_bounded),      cmocka_unit_test(damage_is_found),
    };
    return unit_run(tests);
}
