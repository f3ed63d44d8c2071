/*
 * nested.c: nested: the nested documents of those that are collected.
 */
#include "aggs/bucket/nested_int.h"

static int nested_parse(qdi_parse *p, qdi_agg *a)
{
    return qdi_aggs_nested_parse(p, a, false);
}

static int nested_bind(qdi_binder *x, qdi_bound *b)
{
    qdi_nested_bound *n = qdi_nested_bound_of(b);
    qd_str path = *(const qd_str *)b->def->params, above = qdi_aggs_nested_path(b->def);
    int rc = qdi_aggs_nested_levels(x, b->def, path, n);
    /* nested documents of another path have none of this one */
    bool below =
        above.n == 0 || (qd_str_starts(path, above) && path.n > above.n && path.p[above.n] == '.');
    n->unmapped |= !below;
    return rc;
}

typedef struct state {
    qdi_nested_batch batch;
} state;

static int nested_open(qdi_aggr *a, qd_err *err)
{
    const qdi_nested_bound *n = qdi_nested_bound_of(a->bound);
    state *t = a->state = qd_arena_calloc(&a->shard->arena, sizeof *t);
    if (!t) return qdi_aggs_no_memory(a->shard->account, sizeof *t, "aggregations", err);
    if (n->unmapped) return 0;
    int rc = qdi_aggs_level_make(a->shard, n->paths, n->n, &a->below, err);
    return rc || !a->below ? rc : qdi_aggs_nested_batch_make(a, &t->batch, err);
}

/* The nested documents of one, for its owners: buckets of places [from, to) of the pairs. */
static int give(qdi_aggr *a, uint32_t first, uint32_t end, float score, const uint32_t *bucket,
                uint32_t n, qd_err *err)
{
    qdi_nested_batch *b = &((state *)a->state)->batch;
    int rc = 0;
    for (uint32_t c = first; c < end && !rc; c++) {
        if (b->n == QD_COLLECT_BATCH || b->npairs > QDI_NESTED_PAIRS - QDI_EMIT)
            rc = qdi_aggs_nested_flush(a, b, err);
        b->docs[b->n] = c;
        b->scores[b->n] = score;
        for (uint32_t i = 0; i < n && !rc; i++) {
            if (b->npairs == QDI_NESTED_PAIRS) { /* more owners than there is room for */
                rc = qdi_aggs_level_emit(a, b->docs, NULL, b->n + 1, b->idx, b->bucket, b->npairs,
                                         err);
                b->npairs = 0;
            }
            b->idx[b->npairs] = b->n;
            b->bucket[b->npairs++] = bucket[i];
        }
        b->n++;
    }
    return rc;
}

static int collect_ordered(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                           uint32_t *bucket, qd_err *err)
{
    const qdi_batch *b = &a->shard->batch;
    const qd_nested_counts *counts = &a->below->counts;
    uint32_t own = a->shard->level.n;
    int rc = 0;
    for (uint32_t i = 0; i < n && !rc;) {
        uint32_t at = idx ? idx[i] : i, k = 0;
        uint32_t first = qd_nested_first(counts, own, b->docs[at]);
        uint32_t end = qd_nested_first(counts, own, b->docs[at] + 1);
        for (; i < n && (idx ? idx[i] : i) == at && !rc; i++) {
            if (first == end) continue;
            rc = qdi_aggs_bucket(a, owner ? owner[i] : 0, 0, &bucket[k], err);
            if (!rc) a->buckets.docs[bucket[k++]] += end - first;
        }
        if (!rc && k && a->nsubs)
            rc = give(a, first, end, b->scores ? b->scores[at] : 0, bucket, k, err);
    }
    return rc || !a->nsubs ? rc : qdi_aggs_nested_flush(a, &((state *)a->state)->batch, err);
}

static int nested_collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                          qd_err *err)
{
    if (!a->below || !a->below->leaf) return 0;
    qd_arena arena;
    qd_arena_init(&arena, a->shard->account, 0);
    uint32_t *bucket = qd_arena_alloc(&arena, (n + 1ul) * sizeof *bucket);
    int rc = bucket ? qdi_aggs_level_order(a, &arena, &idx, &owner, n, err)
                    : qdi_aggs_no_memory(a->shard->account, n * 4ul, "aggregations", err);
    if (!rc) rc = collect_ordered(a, idx, owner, n, bucket, err);
    qd_arena_fini(&arena);
    return rc;
}

static const qdi_ops ops = {
    .open = nested_open, .collect = nested_collect, .build = qdi_aggs_single_build};

const qd_agg_type qdi_aggs_nested = {
    .name = "nested",
    .key = "nested",
    .flags = QDI_SINGLE | QDI_NESTED_DOCS,
    .params_size = sizeof(qd_str),
    .bound_size = sizeof(qdi_nested_bound),
    .parse = nested_parse,
    .bind = nested_bind,
    .level = qdi_aggs_nested_own,
    .factory = "NestedAggregatorFactory",
    .ops = &ops,
    .reduce = qdi_aggs_single_reduce,
    .write = qdi_aggs_single_write,
};
