/*
 * ranges_t.c: ranges, filters over them and sorts by numbers give what looking at each document
 * gives: columns in order, spread, with few and several values and at the ends of 64 bits; several
 * segments, deletions, totals of all kinds, search_after; on every instruction set.
 */
#include "base/str.h"
#include "lib/store_crash.h"
#include "runtime/cpu.h"
#include "search/collect/sort.h"
#include "search/plan/plan.h"
#include "segment/columns.h"
#include "segment/live.h"
#include "segment/segment.h"
#include "unit/search/dice.h"

#define DOCS 39000u
#define LARGE 7u /* times as many: lists and walks that few hits are not worth */
#define SEGMENTS 3u
#define FIELDS 5u /* time, flat, many, ends, few */
#define VALUES 3u

typedef struct doc {
    int64_t v[FIELDS][VALUES];
    uint8_t n[FIELDS];
    uint8_t tag; /* 0 a third of them, 1 one in 10, 2 one in 300, 3 the others, 4 one in 18 */
    bool third;
    bool deleted;
} doc;

static doc D[DOCS * LARGE];
static uint32_t ndocs;
static const char *const names[FIELDS] = {"time", "flat", "many", "ends", "few"};
static const char *const tags[5] = {"half", "tenth", "rare", "other", "some"};
static qd_account account;
static qd_arena A;
static qd_segment *seg[SEGMENTS];
static qd_live *live[SEGMENTS];
static qd_searcher *S;

/* --- the corpus --- */

static void make_doc(doc *d, uint32_t i)
{
    static const int64_t ends[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX - 1, INT64_MAX};
    *d = (doc){.n = {1, 1, (uint8_t)rnd(4), rnd(3) != 0, rnd(40) == 0}};
    d->v[0][0] = (int64_t)(i / 500) * 5000 + (int64_t)rnd(rnd(2) ? 2 : 200);
    uint32_t times = ndocs / DOCS;
    if (i >= 6000 * times && i < 26000 * times && rnd(3) == 0)
        d->v[0][0] = 500000 * times; /* the best of many windows */
    d->v[1][0] = (int64_t)rnd(rnd(2) ? 5 : 100000);
    for (uint32_t k = 0; k < d->n[2]; k++) d->v[2][k] = (int64_t)rnd(3000) - 1500;
    d->v[3][0] = ends[rnd(7)];
    d->v[4][0] = (int64_t)rnd(1000);
    uint64_t t = rnd(300);
    d->tag = t == 0 ? 2 : t < 17 ? 4 : t < 47 ? 1 : t < 150 ? 0 : 3;
    d->third = rnd(3) == 0;
    if (d->tag == 4 && d->v[1][0] > 90000) d->v[1][0] -= 90000; /* none of them at the best end */
}

static void write_segment(qd_store *store, qd_buffer *b, uint32_t s, uint32_t from, uint32_t to)
{
    uint32_t f[FIELDS], on;
    for (uint32_t k = 0; k < FIELDS; k++) {
        qd_field_info info = {.name = qd_str_c(names[k]), .column = QD_COLUMN_I64};
        if (k != 4 || s != 1) info.point = QD_POINT_I64; /* once by its column alone */
        OK(qd_buffer_field(b, &info, &f[k], &err));
    }
    qd_field_info tag = {.name = {"tag", 3}, .index = QD_INDEX_DOCS};
    OK(qd_buffer_field(b, &tag, &on, &err));
    for (uint32_t i = from; i < to; i++) {
        make_doc(&D[i], i);
        OK(qd_buffer_doc_begin(b, NULL, &err));
        for (uint32_t k = 0; k < FIELDS; k++) {
            if (!D[i].n[k]) continue;
            OK(qd_buffer_column_i64(b, f[k], D[i].v[k], D[i].n[k], &err));
            if (k != 4 || s != 1) OK(qd_buffer_points_i64(b, f[k], D[i].v[k], D[i].n[k], &err));
        }
        OK(qd_buffer_term(b, on, qd_str_c(tags[D[i].tag]), &err));
        if (D[i].third) OK(qd_buffer_term(b, on, QD_STR("third"), &err));
        OK(qd_buffer_doc_commit(b, &err));
    }
    char name[64];
    uint8_t id[16] = {(uint8_t)s};
    snprintf(name, sizeof name, "seg-%032u", s);
    qd_segment_attrs attrs = {.min_seq_no = -1, .max_seq_no = -1, .stored_codec = QD_STORED_NONE};
    OK(qd_buffer_flush(b, store, qd_str_c(name), id, &attrs, true, NULL, &err));
    qd_buffer_reset(b);
    OK(qd_segment_open(store, qd_str_c(name), &account, &seg[s], &err));
}

static void make(qd_store *store, uint32_t times, uint32_t delete_one_in)
{
    const uint32_t first[SEGMENTS + 1] = {0, 26000 * times, 29500 * times, DOCS * times};
    ndocs = DOCS * times;
    qd_buffer *b;
    OK(qd_buffer_create(&account, &b, &err));
    for (uint32_t s = 0; s < SEGMENTS; s++) {
        write_segment(store, b, s, first[s], first[s + 1]);
        live[s] = NULL;
        if (!delete_one_in) continue;
        OK(qd_live_make(first[s + 1] - first[s], &account, &live[s], &err));
        for (uint32_t i = first[s]; i < first[s + 1]; i++) {
            D[i].deleted = rnd(delete_one_in) == 0;
            if (D[i].deleted) qd_live_delete(live[s], i - first[s]);
        }
    }
    qd_buffer_destroy(b);
    OK(qd_searcher_make(seg, live, SEGMENTS, &account, &S, &err));
}

/* --- queries --- */

static qd_node *range_node(void)
{
    qd_node *q = qd_node_make(&A, QD_NATIVE_RANGE);
    uint32_t k = (uint32_t)rnd(FIELDS);
    const doc *a = &D[rnd(ndocs)], *b = &D[rnd(ndocs)];
    int64_t lo = a->v[k][0],
            hi = rnd(2) ? b->v[k][0] : lo + (int64_t)(lo < INT64_MAX - 9 ? rnd(9) : 0);
    if (rnd(8) == 0) lo = INT64_MIN;
    if (rnd(8) == 0) hi = INT64_MAX;
    if (rnd(8) == 0) lo = INT64_MIN, hi = 1 << 20; /* whole blocks, but for documents without */
    if (lo > hi && rnd(10)) {
        int64_t t = lo;
        lo = hi;
        hi = t;
    }
    q->u.range = (qd_node_range){.field = qd_str_c(names[k]), .lo = lo, .hi = hi};
    return q;
}

static qd_node *clause(void)
{
    if (rnd(3) == 0) return qd_node_term_make(&A, QD_STR("tag"), qd_str_c(tags[rnd(5)]));
    if (rnd(9) == 0) return qd_node_make(&A, QD_NATIVE_MATCH_ALL);
    return range_node();
}

static qd_node *query(void)
{
    if (rnd(4) == 0) return clause();
    if (rnd(6) == 0) {
        qd_node *c = qd_node_make(&A, QD_NATIVE_CONSTANT);
        c->u.child = clause();
        return c;
    }
    const qd_node **must, **should, **filter, **not ;
    uint32_t n[4] = {(uint32_t)rnd(2), (uint32_t)rnd(6) / 2, (uint32_t)rnd(4), rnd(4) == 0};
    qd_node *q = qd_node_bool_make(&A, n[0], n[1], n[2], n[3], &must, &should, &filter, &not );
    for (uint32_t i = 0; i < n[0]; i++) must[i] = clause();
    for (uint32_t i = 0; i < n[1]; i++) should[i] = clause();
    for (uint32_t i = 0; i < n[2]; i++) filter[i] = clause();
    for (uint32_t i = 0; i < n[3]; i++) not [i] = clause();
    if (n[1] && rnd(2)) q->u.boolean.min_should = 1;
    return q;
}

/* Required terms and ranges; one term is not frequent: its documents are a list. */
static qd_node *listed(void)
{
    qd_node *t = qd_node_term_make(&A, QD_STR("tag"), qd_str_c(tags[rnd(4) ? 4 : 2]));
    const qd_node **filter;
    uint32_t n = 1 + (uint32_t)rnd(3);
    if (n == 1 && rnd(2)) return t;
    qd_node *q = qd_node_bool_make(&A, 0, 0, n, 0, NULL, NULL, &filter, NULL);
    filter[0] = t;
    for (uint32_t i = 1; i < n; i++)
        filter[i] = rnd(3) ? range_node() : qd_node_term_make(&A, QD_STR("tag"), QD_STR("third"));
    return q;
}

static bool matches(const qd_node *q, const doc *d)
{
    const qd_node_bool *b = &q->u.boolean;
    switch (q->kind) {
    case QD_NATIVE_MATCH_ALL:
        return true;
    case QD_NATIVE_TERM:
        return qd_str_is(q->u.term.term, tags[d->tag]) ||
               (d->third && qd_str_is(q->u.term.term, "third"));
    case QD_NATIVE_CONSTANT:
        return matches(q->u.child, d);
    case QD_NATIVE_RANGE:
        for (uint32_t k = 0; k < FIELDS; k++)
            for (uint32_t i = 0; qd_str_is(q->u.range.field, names[k]) && i < d->n[k]; i++)
                if (d->v[k][i] >= q->u.range.lo && d->v[k][i] <= q->u.range.hi) return true;
        return false;
    default:
        break;
    }
    bool any = b->nmust + b->nfilter > 0;
    for (uint32_t i = 0; i < b->nmust; i++)
        if (!matches(b->must[i], d)) return false;
    for (uint32_t i = 0; i < b->nfilter; i++)
        if (!matches(b->filter[i], d)) return false;
    for (uint32_t i = 0; i < b->nmust_not; i++)
        if (matches(b->must_not[i], d)) return false;
    uint32_t optional = 0;
    for (uint32_t i = 0; i < b->nshould; i++) optional += matches(b->should[i], d);
    return b->min_should ? optional >= b->min_should : any || optional;
}

static uint32_t all_of(const qd_node *q, uint32_t *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < ndocs; i++)
        if (!D[i].deleted && matches(q, &D[i])) out[n++] = i;
    return n;
}

/* --- counts and the best --- */

static void same_total(uint64_t want, uint64_t limit, uint64_t got, bool lower)
{
    if (limit == QD_TOTAL_EXACT || want <= limit) {
        if (limit) assert_int_equal(got, want);
        assert_false(limit && lower);
    } else {
        assert_int_equal(got, limit);
        assert_true(lower || limit == 0);
    }
}

static uint64_t some_limit(void)
{
    static const uint64_t limits[] = {0, 10, 1000, 10000, QD_TOTAL_EXACT};
    return limits[rnd(5)];
}

static void one_query(void)
{
    static uint32_t want[DOCS];
    qd_node *q = rnd(4) ? query() : listed();
    uint32_t n = all_of(q, want);
    uint64_t got;
    qd_plan *p;
    qd_top_result plain, windows;
    qd_plan_options po = {.no_scores = rnd(2)};
    OK(qd_plan_make(S, q, &po, &A, &p, &err));
    OK(qd_plan_count(p, 0, &got, &err));
    assert_int_equal(got, n);
    qd_top_options o = {.k = 1 + (uint32_t)rnd(rnd(4) ? 20 : 500), .total = some_limit()};
    OK(qd_plan_top(p, &o, &plain, &err));
    same_total(n, o.total, plain.total, plain.total_lower_bound);
    assert_int_equal(plain.n, n < o.k ? n : o.k);
    o.strategy = QD_STRATEGY_WINDOWS;
    o.total = QD_TOTAL_EXACT;
    o.k = DOCS;
    OK(qd_plan_top(p, &o, &windows, &err));
    assert_int_equal(windows.n, n);
    for (uint32_t i = 0; i < plain.n; i++) {
        assert_int_equal(plain.hits[i].doc, windows.hits[i].doc);
        assert_true(plain.hits[i].score == windows.hits[i].score);
    }
    static uint8_t found[DOCS];
    memset(found, 0, sizeof found);
    for (uint32_t i = 0; i < n; i++) found[windows.hits[i].doc] = 1;
    for (uint32_t i = 0; i < n; i++) assert_int_equal(found[want[i]], 1);
    uint32_t some[40];
    uint64_t bits;
    for (uint32_t i = 0, d = (uint32_t)rnd(300); i < 40; i++) {
        some[i] = d;
        d += 1 + (uint32_t)rnd(600);
    }
    OK(qd_plan_test(p, some, 40, &bits, NULL, &err));
    for (uint32_t i = 0; i < 40; i++) assert_int_equal(bits >> i & 1, found[some[i]]);
}

/* --- sorts --- */

static qd_sort_key K[2];
static uint32_t NK;

static qd_sort_value value_of(const qd_sort_key *k, uint32_t i)
{
    const doc *d = &D[i];
    qd_sort_value v = {.kind = (uint8_t)k->kind, .i64 = i};
    for (uint32_t f = 0; f < FIELDS && k->kind == QD_SORT_I64; f++) {
        if (!qd_str_is(k->field, names[f])) continue;
        bool high = (k->missing == QD_SORT_MISSING_LAST) != k->descending;
        v.i64 = k->missing == QD_SORT_MISSING_VALUE ? k->missing_value.i64
                : high                              ? INT64_MAX
                                                    : INT64_MIN;
        v.missing = !d->n[f] && k->missing != QD_SORT_MISSING_VALUE;
        for (uint32_t j = 0; j < d->n[f]; j++)
            if (j == 0 || (k->mode == QD_SORT_MIN ? d->v[f][j] < v.i64 : d->v[f][j] > v.i64))
                v.i64 = d->v[f][j];
    }
    return v;
}

static int by_keys(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    for (uint32_t i = 0; i < NK; i++) {
        qd_sort_value u = value_of(&K[i], x), v = value_of(&K[i], y);
        int c = qd_sort_compare(&K[i], 1, &u, &v);
        if (c) return c;
    }
    return x < y ? -1 : x > y;
}

static void some_keys(void)
{
    NK = 1 + (rnd(4) == 0);
    for (uint32_t i = 0; i < NK; i++) {
        K[i] = (qd_sort_key){.kind = i && rnd(2) ? QD_SORT_DOC : QD_SORT_I64,
                             .descending = rnd(2),
                             .field = qd_str_c(names[rnd(FIELDS)]),
                             .mode = rnd(2) ? QD_SORT_MIN : QD_SORT_MAX,
                             .missing = rnd(4) ? QD_SORT_MISSING_LAST : (qd_sort_missing)rnd(3)};
        K[i].missing_value = (qd_sort_value){.kind = QD_SORT_I64, .i64 = (int64_t)rnd(1000)};
    }
}

static bool behind(uint32_t d, const qd_sort_value *after)
{
    for (uint32_t i = 0; i < NK; i++) {
        qd_sort_value v = value_of(&K[i], d);
        int c = qd_sort_compare(&K[i], 1, &v, &after[i]);
        if (c) return c > 0;
    }
    return false;
}

/* Keys are set. */
static void sort_pages(const qd_node *q)
{
    static uint32_t want[DOCS * LARGE];
    uint32_t n = all_of(q, want);
    qd_plan *p;
    qsort(want, n, sizeof *want, by_keys);
    qd_plan_options po = {.no_scores = true};
    OK(qd_plan_make(S, q, &po, &A, &p, &err));
    qd_sort_value after[2];
    uint32_t from = 0;
    for (int page = 0; page < 3; page++) {
        qd_sort_options o = {.keys = K, .nkeys = NK, .after = page ? after : NULL};
        o.k = 1 + (uint32_t)rnd(rnd(4) ? 20 : 500);
        o.total = some_limit();
        qd_sorter *sorter;
        qd_sort_hit *hits;
        uint32_t got;
        uint64_t total;
        bool lower;
        OK(qd_sorter_make(&o, &A, &sorter, &err));
        OK(qd_plan_collect(p, NULL, qd_sorter_collector(sorter), NULL, &err));
        OK(qd_sorter_finish(sorter, &hits, &got, &total, &lower, &err));
        same_total(n, o.total, total, lower);
        while (page && from < n && !behind(want[from], after)) from++;
        assert_int_equal(got, n - from < o.k ? n - from : o.k);
        for (uint32_t i = 0; i < got; i++) {
            assert_int_equal(hits[i].doc, want[from + i]);
            for (uint32_t j = 0; j < NK; j++) {
                qd_sort_value v = value_of(&K[j], want[from + i]);
                assert_true(hits[i].values[j].i64 == v.i64);
            }
        }
        if (!got) break;
        if (rnd(3) == 0 && n) from = (uint32_t)rnd(n), got = 0; /* a page far away */
        for (uint32_t j = 0; j < NK; j++)
            after[j] = got ? hits[got - 1].values[j] : value_of(&K[j], want[from]);
        from = 0;
    }
}

static void one_sort(void)
{
    some_keys();
    sort_pages(rnd(3) == 0 ? listed() : rnd(4) ? query() : qd_node_make(&A, QD_NATIVE_MATCH_ALL));
}

static void one_list(void)
{
    some_keys();
    sort_pages(listed());
}

/* Newest first: the list is taken from its end, and many windows have the same best. */
static void newest_of_a_list(void)
{
    NK = 1;
    K[0] = (qd_sort_key){.kind = QD_SORT_I64, .descending = true, .field = QD_STR("time")};
    sort_pages(listed());
}

/* --- what the planner knows of columns --- */

/* Values whose block's bounds do not decide; those that stand for their documents one by one are
 * compared without a walk. */
static void one_estimate(void)
{
    qd_node_range q = range_node()->u.range;
    for (uint32_t s = 0; s < SEGMENTS; s++) {
        uint32_t f = qd_segment_field_find(seg[s], q.field), docs = qd_segment_docs(seg[s]);
        const qd_column *c = qd_columns_get(qd_segment_columns(seg[s]), f);
        qd_column_open_values got;
        uint64_t plain = 0, walked = 0;
        qd_column_block_info b;
        for (uint32_t at = 0; at < docs; at = b.to) {
            qd_column_block_at(c, at, &b);
            bool none = !b.docs || b.min > q.hi || b.max < q.lo;
            bool all = b.docs && b.min >= q.lo && b.max <= q.hi;
            if (none || all) continue;
            *(b.docs == b.to - b.from && b.values == b.docs ? &plain : &walked) += b.values;
        }
        qd_column_undecided(c, q.lo, q.hi, &got);
        assert_int_equal(got.packed + got.decoded, plain);
        assert_int_equal(got.walked, walked);
    }
}

static void run(uint64_t s, uint32_t times, bool copies, uint32_t delete_one_in, int queries,
                int sorts)
{
    store_crash *disk = store_crash_make(&(store_crash_options){.copies = copies});
    qd_store *store;
    qd_err_init(&err);
    qd_account_init(&account, "test", NULL, 0);
    qd_arena_init(&A, &account, 0);
    seed = s;
    OK(store_crash_open(disk, &store, &err));
    make(store, times, delete_one_in);
    for (int i = 0; i < queries; i++, qd_arena_reset(&A)) one_query();
    for (int i = 0; i < sorts; i++, qd_arena_reset(&A)) times > 1 ? one_list() : one_sort();
    for (int i = 0; i < sorts / 10; i++, qd_arena_reset(&A)) newest_of_a_list();
    for (int i = 0; i < 300; i++, qd_arena_reset(&A)) one_estimate();
    qd_arena_fini(&A);
    qd_searcher_unref(S);
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        qd_segment_unref(seg[i]);
        qd_live_unref(live[i]);
    }
    qd_store_close(store);
    store_crash_free(disk);
    assert_int_equal(qd_account_used(&account), 0);
    qd_err_fini(&err);
}

static void as_looking_at_each_document(void **state)
{
    (void)state;
    run(1, 1, false, 0, 80, 120);
}
static void with_deletions(void **state)
{
    (void)state;
    run(2, 1, false, 5, 60, 100);
}
static void over_a_store_that_copies(void **state)
{
    (void)state;
    run(3, 1, true, 0, 30, 25);
}
static void over_long_lists(void **state)
{
    (void)state;
    run(5, LARGE, false, 0, 0, 100);
    run(6, LARGE, false, 9, 0, 60);
}
static void on_every_instruction_set(void **state)
{
    (void)state;
    qd_cpu was = qd_cpu_level();
    for (int level = QD_CPU_V2; level < (int)was; level++) {
        qd_cpu_level_set((qd_cpu)level);
        run(4, 1, false, 9, 30, 25);
    }
    qd_cpu_level_set(was);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_looking_at_each_document), cmocka_unit_test(with_deletions),
        cmocka_unit_test(over_a_store_that_copies),    cmocka_unit_test(over_long_lists),
        cmocka_unit_test(on_every_instruction_set),
    };
    return unit_run(tests);
}
