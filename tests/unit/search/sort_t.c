/*
 * sort_t.c: sorting by columns gives what sorting all documents gives: several segments with
 * different dictionaries, missing values at either end or replaced, several keys, search_after.
 * With a group, what grouping all of them gives.
 */
#include "base/str.h"
#include "lib/store_crash.h"
#include "search/collect/sort.h"
#include "search/plan/plan.h"
#include "segment/segment.h"
#include "unit/search/dice.h"

#define DOCS 2500u
#define SEGMENTS 4u

typedef struct doc {
    int64_t num[3];
    uint32_t nnum;
    char tag[12];
    bool has_tag;
    int64_t group; /* one value at most: a number, and text made of it */
    char group_text[8];
    bool has_group;
    uint32_t doc;
    bool matches;
} doc;

static doc D[DOCS];
static qd_account account;

static qd_searcher *make(store_crash *disk, qd_store *store, qd_segment **seg)
{
    static const qd_field_info infos[5] = {
        {.name = {"num", 3}, .column = QD_COLUMN_I64},
        {.name = {"tag", 3}, .index = QD_INDEX_DOCS, .column = QD_COLUMN_ORDINAL},
        {.name = {"on", 2}, .index = QD_INDEX_DOCS},
        {.name = {"group", 5}, .column = QD_COLUMN_I64},
        {.name = {"text", 4}, .index = QD_INDEX_DOCS, .column = QD_COLUMN_ORDINAL},
    };
    qd_buffer *b;
    uint32_t f[5], at = 0;
    (void)disk;
    OK(qd_buffer_create(&account, &b, &err));
    for (uint32_t s = 0; s < SEGMENTS; s++) {
        uint32_t end = s + 1 == SEGMENTS ? DOCS : at + 1 + (uint32_t)rnd(DOCS / SEGMENTS * 2 - 1);
        if (end > DOCS - (SEGMENTS - 1 - s)) end = DOCS - (SEGMENTS - 1 - s);
        for (uint32_t i = 0; i < 5; i++) OK(qd_buffer_field(b, &infos[i], &f[i], &err));
        for (; at < end; at++) {
            doc *d = &D[at];
            *d = (doc){.doc = at, .nnum = (uint32_t)rnd(4), .has_tag = rnd(6) != 0};
            for (uint32_t i = 0; i < d->nnum; i++) d->num[i] = (int64_t)rnd(50) - 25;
            snprintf(d->tag, sizeof d->tag, "t%u", (unsigned)(rnd(40) + 10 * s));
            if (s == 2) d->has_tag = false; /* a segment without the column */
            d->matches = rnd(3) != 0;
            d->has_group = s != 1 && rnd(9) != 0; /* nor has another one this column */
            d->group = rnd(20) ? (int64_t)rnd(90) - 45 : rnd(2) ? INT64_MIN : INT64_MAX;
            if (d->group > 0 && d->group < 50 && rnd(2)) d->group = (int64_t)(7 * s);
            if (rnd(30))
                snprintf(d->group_text, sizeof d->group_text, "g%d", (int)(d->group % 100));
            OK(qd_buffer_doc_begin(b, NULL, &err));
            if (d->nnum) OK(qd_buffer_column_i64(b, f[0], d->num, d->nnum, &err));
            if (d->has_tag) OK(qd_buffer_column_bytes(b, f[1], qd_str_c(d->tag), &err));
            if (d->has_group) {
                OK(qd_buffer_column_i64(b, f[3], &d->group, 1, &err));
                OK(qd_buffer_column_bytes(b, f[4], qd_str_c(d->group_text), &err));
            }
            OK(qd_buffer_term(b, f[2], d->matches ? QD_STR("yes") : QD_STR("no"), &err));
            OK(qd_buffer_doc_commit(b, &err));
        }
        char name[64];
        uint8_t id[16] = {(uint8_t)s};
        snprintf(name, sizeof name, "seg-%032u", s);
        qd_segment_attrs attrs = {
            .min_seq_no = -1, .max_seq_no = -1, .stored_codec = QD_STORED_NONE};
        OK(qd_buffer_flush(b, store, qd_str_c(name), id, &attrs, true, NULL, &err));
        qd_buffer_reset(b);
        OK(qd_segment_open(store, qd_str_c(name), &account, &seg[s], &err));
    }
    qd_buffer_destroy(b);
    qd_searcher *out;
    OK(qd_searcher_make(seg, NULL, SEGMENTS, &account, &out, &err));
    return out;
}

/* --- the naive order
 * --------------------------------------------------------------------------------- */

static const qd_sort_key *K;
static uint32_t NK;

static bool num_of(const qd_sort_key *k, const doc *d, int64_t *out)
{
    if (!d->nnum) return false;
    int64_t lo = d->num[0], hi = lo, sum = 0;
    for (uint32_t i = 0; i < d->nnum; i++) {
        lo = d->num[i] < lo ? d->num[i] : lo;
        hi = d->num[i] > hi ? d->num[i] : hi;
        sum += d->num[i];
    }
    *out = k->mode == QD_SORT_MIN ? lo : k->mode == QD_SORT_MAX ? hi : sum;
    return true;
}

static qd_sort_value value_of(const qd_sort_key *k, const doc *d)
{
    qd_sort_value v = {.kind = (uint8_t)k->kind};
    bool high = (k->missing == QD_SORT_MISSING_LAST) != k->descending;
    if (k->kind == QD_SORT_DOC) {
        v.i64 = d->doc;
    } else if (k->kind == QD_SORT_I64) {
        if (!num_of(k, d, &v.i64)) {
            if (k->missing == QD_SORT_MISSING_VALUE) return k->missing_value;
            v.missing = true;
            v.i64 = high ? INT64_MAX : INT64_MIN;
        }
    } else if (d->has_tag) {
        v.bytes = qd_str_c(d->tag);
    } else {
        if (k->missing == QD_SORT_MISSING_VALUE) return k->missing_value;
        v.missing = true;
    }
    return v;
}

static int by_keys(const void *a, const void *b)
{
    const doc *x = *(const doc *const *)a, *y = *(const doc *const *)b;
    for (uint32_t i = 0; i < NK; i++) {
        qd_sort_value u = value_of(&K[i], x), v = value_of(&K[i], y);
        int c = qd_sort_compare(&K[i], 1, &u, &v);
        if (c) return c;
    }
    return x->doc < y->doc ? -1 : 1;
}

static void random_keys(qd_sort_key *k, uint32_t n)
{
    static const char *const words[] = {"t15", "t333", "a", "t2x"};
    for (uint32_t i = 0; i < n; i++) {
        uint64_t kind = rnd(5);
        k[i] = (qd_sort_key){.kind = kind < 2   ? QD_SORT_I64
                                     : kind < 4 ? QD_SORT_ORD
                                                : QD_SORT_DOC,
                             .descending = rnd(2)};
        k[i].field = k[i].kind == QD_SORT_I64 ? QD_STR("num") : QD_STR("tag");
        k[i].mode = (qd_sort_mode)rnd(k[i].kind == QD_SORT_I64 ? 3 : 1);
        k[i].missing = (qd_sort_missing)rnd(3);
        k[i].missing_value = (qd_sort_value){.kind = (uint8_t)k[i].kind,
                                             .i64 = (int64_t)rnd(20) - 10,
                                             .bytes = qd_str_c(words[rnd(4)])};
    }
}

static void same_value(const qd_sort_value *a, const qd_sort_value *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->missing, b->missing);
    if (a->kind == QD_SORT_ORD && !a->missing)
        assert_true(qd_str_eq(a->bytes, b->bytes));
    else if (a->kind != QD_SORT_ORD)
        assert_true(a->i64 == b->i64);
}

/* One sort, and from a place in the middle the rest of it by search_after. */
static void one_sort(qd_searcher *s, qd_arena *arena)
{
    qd_sort_key keys[3];
    const doc *want[DOCS];
    uint32_t n = 0;
    NK = 1 + (uint32_t)rnd(3);
    K = keys;
    random_keys(keys, NK);
    for (uint32_t i = 0; i < DOCS; i++)
        if (D[i].matches) want[n++] = &D[i];
    qsort(want, n, sizeof *want, by_keys);
    qd_node *q = qd_node_term_make(arena, QD_STR("on"), QD_STR("yes"));
    qd_plan *p;
    OK(qd_plan_make(s, q, NULL, arena, &p, &err));
    uint32_t from = 0, k = 1 + (uint32_t)rnd(60);
    qd_sort_value after[3];
    for (int page = 0; page < 3; page++) {
        qd_sort_options o = {
            .keys = keys, .nkeys = NK, .k = k, .after = page ? after : NULL, .total = UINT64_MAX};
        qd_sorter *sorter;
        qd_sort_hit *hits;
        uint32_t got;
        uint64_t total;
        bool lower;
        OK(qd_sorter_make(&o, arena, &sorter, &err));
        OK(qd_plan_collect(p, NULL, qd_sorter_collector(sorter), NULL, &err));
        OK(qd_sorter_finish(sorter, &hits, &got, &total, &lower, &err));
        assert_int_equal(total, n);
        assert_false(lower);
        assert_int_equal(got, n - from < k ? n - from : k);
        for (uint32_t i = 0; i < got; i++) {
            for (uint32_t j = 0; j < NK && hits[i].doc != want[from + i]->doc; j++) {
                qd_sort_value v = value_of(&keys[j], want[from + i]);
                print_error("page %d place %u key %u: kind %d %s missing %d mode %d: %lld %.*s, "
                            "wanted %lld %.*s\n",
                            page, i, j, (int)keys[j].kind, keys[j].descending ? "desc" : "asc",
                            (int)keys[j].missing, (int)keys[j].mode,
                            (long long)hits[i].values[j].i64, QD_STR_ARG(hits[i].values[j].bytes),
                            (long long)v.i64, QD_STR_ARG(v.bytes));
            }
            assert_int_equal(hits[i].doc, want[from + i]->doc);
            for (uint32_t j = 0; j < NK; j++) {
                qd_sort_value v = value_of(&keys[j], want[from + i]);
                same_value(&hits[i].values[j], &v);
            }
        }
        if (!got) break;
        memcpy(after, hits[got - 1].values, NK * sizeof *after);
        from += got; /* and past all that equal the last one */
        while (from < n) {
            bool equal = true;
            for (uint32_t j = 0; j < NK && equal; j++) {
                qd_sort_value v = value_of(&keys[j], want[from]);
                equal = qd_sort_compare(&keys[j], 1, &v, &after[j]) == 0;
            }
            if (!equal) break;
            from++;
        }
    }
}

static bool same_group(const doc *a, const doc *b, bool text)
{
    if (!a->has_group || !b->has_group) return a->has_group == b->has_group;
    return text ? strcmp(a->group_text, b->group_text) == 0 : a->group == b->group;
}

/* One sort of groups. */
static void one_grouped(qd_searcher *s, qd_arena *arena)
{
    qd_sort_key keys[3], group = {.kind = QD_SORT_I64, .field = QD_STR("group")};
    const doc *want[DOCS];
    uint32_t n = 0, groups = 0, k = 1 + (uint32_t)rnd(rnd(2) ? 12 : 200), got;
    bool text = rnd(2);
    if (text) group = (qd_sort_key){.kind = QD_SORT_ORD, .field = QD_STR("text")};
    NK = 1 + (uint32_t)rnd(3);
    K = keys;
    random_keys(keys, NK);
    for (uint32_t i = 0; i < DOCS; i++)
        if (D[i].matches) want[n++] = &D[i];
    qsort(want, n, sizeof *want, by_keys);
    for (uint32_t i = 0; i < n; i++) {
        bool first = true;
        for (uint32_t j = 0; j < groups && first; j++) first = !same_group(want[j], want[i], text);
        if (first) want[groups++] = want[i];
    }
    qd_plan *p;
    OK(qd_plan_make(s, qd_node_term_make(arena, QD_STR("on"), QD_STR("yes")), NULL, arena, &p,
                    &err));
    uint64_t total, limit = rnd(2) ? UINT64_MAX : rnd(100);
    qd_sort_options o = {.keys = keys, .nkeys = NK, .k = k, .total = limit, .group = &group};
    qd_sorter *sorter;
    qd_sort_hit *hits;
    bool lower;
    OK(qd_sorter_make(&o, arena, &sorter, &err));
    OK(qd_plan_collect(p, NULL, qd_sorter_collector(sorter), NULL, &err));
    OK(qd_sorter_finish(sorter, &hits, &got, &total, &lower, &err));
    assert_int_equal(total, limit < n ? limit : n);
    assert_int_equal(got, groups < k ? groups : k);
    for (uint32_t i = 0; i < got; i++) {
        const doc *d = want[i];
        qd_sort_value v = {.kind = (uint8_t)group.kind, .missing = !d->has_group};
        if (!v.missing && text) v.bytes = qd_str_c(d->group_text);
        if (!v.missing && !text) v.i64 = d->group;
        assert_int_equal(hits[i].doc, d->doc);
        same_value(&hits[i].group, &v);
    }
}

/* A document with several values has no group. */
static void one_refused(qd_searcher *s, qd_arena *arena)
{
    qd_sort_key key = {.kind = QD_SORT_DOC}, group = {.kind = QD_SORT_I64, .field = QD_STR("num")};
    qd_sort_options o = {.keys = &key, .nkeys = 1, .k = 10, .total = 0, .group = &group};
    qd_sorter *sorter;
    qd_plan *p;
    OK(qd_plan_make(s, qd_node_term_make(arena, QD_STR("on"), QD_STR("yes")), NULL, arena, &p,
                    &err));
    OK(qd_sorter_make(&o, arena, &sorter, &err));
    assert_int_equal(qd_plan_collect(p, NULL, qd_sorter_collector(sorter), NULL, &err), QD_E_ARG);
    assert_non_null(strstr(qd_err_reason(&err), "the grouping field must be single valued"));
    qd_err_fini(&err);
    group.kind = QD_SORT_SCORE;
    assert_int_equal(qd_sorter_make(&o, arena, &sorter, &err), QD_E_ARG);
    qd_err_fini(&err);
}

static void sorts_as_sorting_everything(void **state)
{
    (void)state;
    store_crash *disk = store_crash_make(&(store_crash_options){.copies = true});
    qd_store *store;
    qd_segment *seg[SEGMENTS];
    qd_arena arena;
    qd_err_init(&err);
    qd_account_init(&account, "test", NULL, 0);
    qd_arena_init(&arena, &account, 0);
    seed = 11;
    OK(store_crash_open(disk, &store, &err));
    qd_searcher *s = make(disk, store, seg);
    for (int i = 0; i < 300; i++) {
        one_sort(s, &arena);
        qd_arena_reset(&arena);
        one_grouped(s, &arena);
        qd_arena_reset(&arena);
    }
    one_refused(s, &arena);
    qd_arena_fini(&arena);
    qd_searcher_unref(s);
    for (uint32_t i = 0; i < SEGMENTS; i++) qd_segment_unref(seg[i]);
    qd_store_close(store);
    store_crash_free(disk);
    assert_int_equal(qd_account_used(&account), 0);
    qd_err_fini(&err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sorts_as_sorting_everything)};
    return unit_run(tests);
}
