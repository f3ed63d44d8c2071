/*
 * levels.c: aggregations over nested documents, and back over those above. The documents of another
 * level have numbers, columns and batches of their own, so what is below a nested or reverse_nested
 * aggregation runs in a shard of its own, which the shard of the search feeds.
 */
#include "aggs/type.h"

int qdi_aggs_level_make(qd_aggs_shard *s, const qd_str *paths, uint32_t n, qd_aggs_shard **out,
                        qd_err *err)
{
    qd_aggs_shard *w = s->whole;
    qd_nested_level level;
    bool found;
    *out = NULL;
    int rc = qd_nested_level_open(w->o.searcher, paths, n, &w->arena, &level, &found, err);
    if (rc || !found) return rc;
    qd_aggs_shard *x = qd_calloc(w->account, sizeof *x);
    if (!x || qd_vec_push(&w->levels, w->account, x)) {
        qd_free(x);
        return qdi_aggs_no_memory(w->account, sizeof *x, "aggregations", err);
    }
    x->bound = w->bound;
    x->whole = w;
    x->o = w->o;
    if (n) x->o.searcher = level.views[n - 1]->searcher;
    x->account = w->account;
    x->level = level;
    qd_arena_init(&x->arena, w->account, 0);
    qd_arena_init(&x->leaf_arena, w->account, 0);
    *out = x;
    return qd_nested_counts_make(&x->counts, n, &x->arena, err);
}

int qdi_aggs_levels_plan(qd_aggs_shard *s, const qd_leaf *leaf, qd_reads *reads, qd_err *err)
{
    int rc = 0;
    s->leaf = leaf;
    for (size_t i = 0; rc == 0 && i < s->levels.n; i++) {
        qd_aggs_shard *x = s->levels.at[i];
        qd_arena_reset(&x->leaf_arena);
        x->leaf = qd_nested_level_leaf(&x->level, leaf);
        if (!x->leaf) continue;
        rc = qd_nested_counts_plan(&x->counts, &x->level, leaf, reads, err);
        for (size_t k = 0; rc == 0 && k < x->sources.n; k++)
            rc = qdi_aggs_source_plan(x, x->sources.at[k], x->leaf, reads, err);
    }
    return rc;
}

int qdi_aggs_levels_begin(qd_aggs_shard *s, qd_reads *reads, qd_err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < s->levels.n; i++) {
        qd_aggs_shard *x = s->levels.at[i];
        if (x->leaf) rc = qd_nested_counts_open(&x->counts, &x->level, s->leaf, reads, err);
    }
    return rc;
}

void qdi_aggs_levels_free(qd_aggs_shard *s)
{
    for (size_t i = 0; i < s->levels.n; i++) qd_aggs_shard_free(s->levels.at[i]);
    qd_vec_fini(&s->levels);
}

int qdi_aggs_level_emit(qdi_aggr *a, const uint32_t *docs, const float *scores, uint32_t n,
                        const uint32_t *idx, const uint32_t *bucket, uint32_t npairs, qd_err *err)
{
    qdi_batch *b = &a->below->batch;
    uint64_t number = b->number + 1;
    int rc = 0;
    if (n == 0) return 0;
    *b = (qdi_batch){.leaf = a->below->leaf,
                     .docs = docs,
                     .scores = scores,
                     .n = n,
                     .first = docs[0],
                     .last = docs[n - 1],
                     .contiguous = docs[n - 1] - docs[0] == n - 1,
                     .number = number};
    for (uint32_t i = 0; rc == 0 && i < a->nsubs; i++) {
        rc = qdi_aggs_grow_to(a->subs[i], a->buckets.n, err);
        for (uint32_t p = 0; rc == 0 && p < npairs; p += QDI_EMIT) {
            uint32_t k = npairs - p < QDI_EMIT ? npairs - p : QDI_EMIT;
            rc = a->subs[i]->ops->collect(a->subs[i], idx + p, bucket + p, k, err);
        }
    }
    if (rc == 0 && qd_task_stopped(a->shard->o.task)) rc = qd_task_poll(a->shard->o.task);
    return rc;
}

int qdi_aggs_level_order(qdi_aggr *a, qd_arena *arena, const uint32_t **idx, const uint32_t **owner,
                         uint32_t n, qd_err *err)
{
    const uint32_t *in = *idx, *of = *owner;
    uint32_t i = 1, docs = a->shard->batch.n;
    while (in && i < n && in[i - 1] <= in[i]) i++;
    if (!in || i >= n) return 0;
    uint32_t *start = qd_arena_calloc(arena, (docs + 2ul) * sizeof *start);
    uint32_t *out = qd_arena_alloc(arena, n * sizeof *out);
    uint32_t *to = of ? qd_arena_alloc(arena, n * sizeof *to) : NULL;
    if (!start || !out || (of && !to))
        return qdi_aggs_no_memory(a->shard->account, n * 8ul, "aggregations", err);
    for (i = 0; i < n; i++) start[in[i] + 1]++;
    for (i = 1; i <= docs; i++) start[i] += start[i - 1];
    for (i = 0; i < n; i++) {
        uint32_t at = start[in[i]]++;
        out[at] = in[i];
        if (to) to[at] = of[i];
    }
    *idx = out;
    *owner = to;
    return 0;
}
