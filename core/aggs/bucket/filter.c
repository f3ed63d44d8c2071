/*
 * filter.c: filter, filters, missing, global: buckets by a yes or no for each document.
 *
 * A filter is run once over the shard into a bitmap; a match_all needs none.
 */
#include "aggs/aggs_int.h"
#include "query/node.h"
#include "runtime/task.h"

typedef struct state {
    uint64_t **bits; /* by filter; NULL: all documents */
} state;

#define POLL_TESTS 65536u /* documents times filters between two looks at the clock */

/* Each filter is a search of its own: after the deadline none is begun any more, and the rest match
 * nothing in an answer that is partial anyway. */
static int none_left(qdi_aggr *a, uint64_t **bits, uint32_t n, qd_err *err)
{
    size_t words = qd_searcher_docs(a->shard->o.searcher) / 64 + 1;
    uint64_t *none = qd_arena_calloc(&a->shard->arena, words * 8);
    if (!none)
        return qdi_aggs_no_memory(a->shard->account, words * 8, "filter of an aggregation", err);
    for (uint32_t i = 0; i < n; i++) bits[i] = none;
    return 0;
}

static int filters_open(qdi_aggr *a, qd_err *err)
{
    uint32_t n = a->def->u.filters.n;
    state *t = a->state = qd_arena_calloc(&a->shard->arena, sizeof *t);
    if (t) t->bits = qd_arena_calloc(&a->shard->arena, (n + 1) * sizeof *t->bits);
    if (!t || !t->bits)
        return qdi_aggs_no_memory(a->shard->account, sizeof *t, "aggregations", err);
    for (uint32_t i = 0; i < n; i++) {
        if (a->bound->nodes[i]->kind == QD_NATIVE_MATCH_ALL) continue;
        int stopped = qd_task_poll(a->shard->o.task);
        if (stopped == QD_E_TIMEOUT) return none_left(a, t->bits + i, n - i, err);
        if (stopped) return qd_task_check(a->shard->o.task, err);
        int rc = qdi_aggs_filter_bits(a->shard, a->bound->nodes[i], &t->bits[i], err);
        if (rc) return rc;
    }
    return 0;
}

static int filters_collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                           qd_err *err)
{
    const state *t = a->state;
    const qdi_batch *b = &a->shard->batch;
    uint32_t nfilters = a->def->u.filters.n, base = b->leaf->base, bucket, tests = 0;
    int rc;
    for (uint32_t i = 0; i < n; i++) {
        tests += nfilters;
        if (QD_UNLIKELY(tests >= POLL_TESTS)) {
            tests = 0;
            if ((rc = qd_task_poll(a->shard->o.task))) return rc;
        }
        uint32_t at = idx ? idx[i] : i, d = base + b->docs[at];
        bool any = false;
        for (uint32_t f = 0; f < nfilters; f++) {
            if (t->bits[f] && !(t->bits[f][d / 64] >> (d & 63) & 1)) continue;
            any = true;
            rc = qdi_aggs_bucket(a, owner ? owner[i] : 0, f, &bucket, err);
            if (rc == 0) rc = qdi_emit(a, at, bucket, err);
            if (rc) return rc;
        }
        if (any || a->def->type == QDI_FILTER || !a->def->u.filters.other) continue;
        rc = qdi_aggs_bucket(a, owner ? owner[i] : 0, nfilters, &bucket, err);
        if (rc == 0) rc = qdi_emit(a, at, bucket, err);
        if (rc) return rc;
    }
    return qdi_aggs_emit_flush(a, err);
}

/* The one bucket of an owner. */
static int single_build(qdi_aggr *a, uint32_t owner, qdi_out *out, qd_err *err)
{
    uint32_t bucket = a->buckets.n;
    if (qdi_aggs_buckets_find(&a->buckets, owner, 0, &bucket)) out->docs = a->buckets.docs[bucket];
    return qdi_aggs_build_subs(a, bucket, &out->subs, err);
}

static int filters_build(qdi_aggr *a, uint32_t owner, qdi_out *out, qd_err *err)
{
    if (a->def->type == QDI_FILTER) return single_build(a, owner, out, err);
    uint32_t n = a->def->u.filters.n + a->def->u.filters.other;
    out->b = qd_arena_calloc(&a->shard->partial->arena, (n + 1ul) * sizeof *out->b);
    if (!out->b) return qdi_aggs_no_memory(a->shard->account, n * sizeof *out->b, "filters", err);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t bucket = a->buckets.n;
        out->b[i].key = i;
        if (qdi_aggs_buckets_find(&a->buckets, owner, i, &bucket))
            out->b[i].docs = a->buckets.docs[bucket];
        int rc = qdi_aggs_build_subs(a, bucket, &out->b[i].subs, err);
        if (rc) return rc;
        out->n = i + 1;
    }
    return 0;
}

const qdi_ops qdi_aggs_ops_filters = {
    .open = filters_open, .collect = filters_collect, .build = filters_build};

static int missing_collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                           qd_err *err)
{
    qdi_source *s = a->src;
    uint32_t bucket;
    int rc = s ? qdi_aggs_source_index(a->shard, s, err) : 0;
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        uint32_t at = idx ? idx[i] : i, from = 0, to = 0;
        if (s) qdi_source_doc(s, at, &from, &to);
        if (from < to) continue;
        rc = qdi_aggs_bucket(a, owner ? owner[i] : 0, 0, &bucket, err);
        if (rc == 0) rc = qdi_emit(a, at, bucket, err);
    }
    return rc ? rc : qdi_aggs_emit_flush(a, err);
}

const qdi_ops qdi_aggs_ops_missing = {.collect = missing_collect, .build = single_build};

static int global_collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                          qd_err *err)
{
    uint32_t bucket;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        rc = qdi_aggs_bucket(a, owner ? owner[i] : 0, 0, &bucket, err);
        if (rc == 0) rc = qdi_emit(a, idx ? idx[i] : i, bucket, err);
    }
    return rc ? rc : qdi_aggs_emit_flush(a, err);
}

const qdi_ops qdi_aggs_ops_global = {.collect = global_collect, .build = single_build};
