/*
 * reverse_nested.c: reverse_nested: the documents above the nested ones that are collected, each
 * once a bucket.
 */
#include "aggs/bucket/nested_int.h"

static int reverse_parse(qdi_parse *p, qdi_agg *a)
{
    for (const qdi_agg *d = a->parent; d; d = d->parent)
        if (d->type->flags & QDI_NESTED_DOCS) return qdi_aggs_nested_parse(p, a, true);
    return qd_err_set(p->err, QD_E_ARG,
                      "Reverse nested aggregation [%.*s] can not be used outside a [nested] "
                      "aggregation",
                      QD_STR_ARG(a->name));
}

static int reverse_bind(qdi_binder *x, qdi_bound *b)
{
    qdi_nested_bound *n = qdi_nested_bound_of(b);
    qd_str path = *(const qd_str *)b->def->params, from = qdi_aggs_nested_path(b->def);
    int rc = qdi_aggs_nested_levels(x, b->def, path, n);
    bool above =
        path.n == 0 || (qd_str_starts(from, path) && (from.n == path.n || from.p[path.n] == '.'));
    n->unmapped |= !above || !from.n;
    return rc;
}

typedef struct state {
    qdi_nested_batch batch;
    uint32_t *last; /* by bucket: the document above that was counted last, + 1 */
    uint32_t cap;
    const qd_leaf *leaf; /* of which they are */
} state;

static int reverse_open(qdi_aggr *a, qd_err *err)
{
    const qdi_nested_bound *n = qdi_nested_bound_of(a->bound);
    state *t = a->state = qd_arena_calloc(&a->shard->arena, sizeof *t);
    if (!t) return qdi_aggs_no_memory(a->shard->account, sizeof *t, "aggregations", err);
    if (n->unmapped || a->shard->whole == a->shard) return 0;
    int rc = qdi_aggs_level_make(a->shard, n->paths, n->n, &a->below, err);
    return rc || !a->below ? rc : qdi_aggs_nested_batch_make(a, &t->batch, err);
}

/* One pair: doc is counted for the owner's bucket unless it was the last one. */
static int give(qdi_aggr *a, uint32_t doc, float score, uint32_t owner, qd_err *err)
{
    state *t = a->state;
    qdi_nested_batch *b = &t->batch;
    uint32_t bucket;
    int rc = qdi_aggs_bucket(a, owner, 0, &bucket, err);
    if (!rc) rc = qdi_aggs_grow(a->shard->account, &t->last, &t->cap, bucket + 1, 4, err);
    if (rc || t->last[bucket] == doc + 1) return rc;
    t->last[bucket] = doc + 1;
    a->buckets.docs[bucket]++;
    if (!a->nsubs) return 0;
    bool new = b->n == 0 || b->docs[b->n - 1] != doc;
    if (b->npairs == QDI_NESTED_PAIRS || (new && b->n == QD_COLLECT_BATCH)) {
        rc = qdi_aggs_nested_flush(a, b, err);
        new = true;
    }
    if (new) {
        b->docs[b->n] = doc;
        b->scores[b->n++] = score;
    }
    b->idx[b->npairs] = b->n - 1;
    b->bucket[b->npairs++] = bucket;
    return rc;
}

static int reverse_collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                           qd_err *err)
{
    state *t = a->state;
    const qdi_batch *b = &a->shard->batch;
    if (!a->below || !a->below->leaf) return 0;
    if (t->leaf != b->leaf && t->last) memset(t->last, 0, t->cap * sizeof *t->last);
    t->leaf = b->leaf;
    qd_arena arena;
    qd_arena_init(&arena, a->shard->account, 0);
    int rc = qdi_aggs_level_order(a, &arena, &idx, &owner, n, err);
    uint32_t last = UINT32_MAX, doc = 0;
    for (uint32_t i = 0; i < n && !rc; i++) {
        uint32_t at = idx ? idx[i] : i;
        if (at != last) doc = qd_nested_parent(&a->shard->counts, a->below->level.n, b->docs[at]);
        last = at;
        rc = give(a, doc, b->scores ? b->scores[at] : 0, owner ? owner[i] : 0, err);
    }
    qd_arena_fini(&arena);
    return rc || !a->nsubs ? rc : qdi_aggs_nested_flush(a, &t->batch, err);
}

static void reverse_close(qdi_aggr *a)
{
    const state *t = a->state;
    if (t) qd_free(t->last);
}

static const qdi_ops ops = {.open = reverse_open,
                            .collect = reverse_collect,
                            .build = qdi_aggs_single_build,
                            .close = reverse_close};

const qd_agg_type qdi_aggs_reverse_nested = {
    .name = "reverse_nested",
    .key = "reverse_nested",
    .flags = QDI_SINGLE,
    .params_size = sizeof(qd_str),
    .bound_size = sizeof(qdi_nested_bound),
    .parse = reverse_parse,
    .bind = reverse_bind,
    .level = qdi_aggs_nested_own,
    .factory = "ReverseNestedAggregatorFactory",
    .ops = &ops,
    .reduce = qdi_aggs_single_reduce,
    .write = qdi_aggs_single_write,
};
