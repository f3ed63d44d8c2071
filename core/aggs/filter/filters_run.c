/*
 * filters_run.c: the queries of filter, filters and adjacency_matrix: each is run once over the
 * shard into a bitmap; one that all documents match needs none.
 */
#include "aggs/filter/filters_int.h"
#include "query/dsl.h"
#include "query/node.h"
#include "runtime/task.h"

int qdi_aggs_filters_room(qdi_parse *p, qdi_agg *a, const qd_json_node *m, uint32_t n)
{
    if (n > QD_AGGS_FILTERS_MAX - p->tree->nfilters)
        return qdi_aggs_parse_error(p, m, "The aggregations of a request hold at most [%u] filters",
                                    QD_AGGS_FILTERS_MAX);
    p->tree->nfilters += n;
    qdi_filters_of(a)->queries =
        qd_arena_calloc(p->arena, (n + 1) * sizeof *qdi_filters_of(a)->queries);
    if (!qdi_filters_of(a)->queries) return qd_err_nomem(p->err, "filters");
    qdi_filters_of(a)->n = n;
    return 0;
}

int qdi_aggs_filters_read(qdi_parse *p, const qd_json_node *m, const qd_query **out)
{
    qd_query_reading how = *p->how->reading;
    how.arena = p->arena;
    if (!how.origin) how.origin = p->how->body.p;
    int rc = qd_query_read_text(&how, m->raw, out, p->err);
    return rc;
}

int qdi_aggs_filters_read_all(qdi_parse *p, qdi_agg *a, const qd_json_node *m)
{
    qdi_filters *t = qdi_filters_of(a);
    uint32_t i = 0;
    int rc = qdi_aggs_filters_room(p, a, m, m->n);
    if (rc) return rc;
    if (m->type == QD_JSON_T_OBJECT) {
        t->keys = qd_arena_calloc(p->arena, (m->n + 1ul) * sizeof *t->keys);
        if (!t->keys) return qd_err_nomem(p->err, "filters");
    }
    for (const qd_json_node *f = m->first; rc == 0 && f; f = f->next, i++) {
        uint32_t at = i; /* named ones by name */
        for (; t->keys && at > 0 && qd_str_cmp(t->keys[at - 1], f->key) > 0; at--) {
            t->keys[at] = t->keys[at - 1];
            t->queries[at] = t->queries[at - 1];
        }
        if (t->keys) t->keys[at] = f->key;
        rc = qdi_aggs_filters_read(p, f, &t->queries[at]);
    }
    return rc;
}

/* The answer is partial: what is not bound by now matches nothing. */
static int none_bound(qdi_binder *x, const qd_node **nodes, uint32_t n)
{
    const qd_node *none = qd_node_make(x->arena, QD_NATIVE_MATCH_NONE);
    if (!none) return qd_err_nomem(x->err, "filters");
    for (uint32_t i = 0; i < n; i++) nodes[i] = none;
    return 0;
}

int qdi_aggs_filters_bind(qdi_binder *x, qdi_bound *b)
{
    uint32_t n = qdi_filters_of(b->def)->n;
    const qd_node **nodes = qd_arena_calloc(x->arena, n * sizeof *nodes);
    qdi_filters_bound_of(b)->nodes = nodes;
    if (!nodes) return qd_err_nomem(x->err, "filters");
    for (uint32_t i = 0; i < n; i++) {
        qd_query_built built;
        int rc = qd_task_poll(x->how->task);
        if (rc == QD_E_TIMEOUT) return none_bound(x, nodes + i, n - i);
        if (rc) return qd_task_check(x->how->task, x->err);
        rc = qd_query_build(x->q, qdi_filters_of(b->def)->queries[i], &built, x->err);
        if (rc) return rc;
        nodes[i] = built.root;
        x->clauses += built.clauses;
        x->uncacheable |= built.uncacheable;
        if (x->q->limits && x->clauses > x->q->limits->max_clauses)
            return qd_err_set(x->err, QD_E_LIMIT,
                              "The filters of the aggregations of a request hold more than [%u] "
                              "clauses in all; this limit can be set by "
                              "[indices.query.bool.max_clause_count]",
                              x->q->limits->max_clauses);
    }
    return 0;
}

/* --- collecting ------------------------------------------------------------------------------- */

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

int qdi_aggs_filters_open(qdi_aggr *a, qd_err *err)
{
    uint32_t n = qdi_filters_of(a->def)->n;
    qdi_filters_run *t = a->state = qd_arena_calloc(&a->shard->arena, sizeof *t);
    if (t) t->bits = qd_arena_calloc(&a->shard->arena, (n + 1) * sizeof *t->bits);
    if (!t || !t->bits)
        return qdi_aggs_no_memory(a->shard->account, sizeof *t, "aggregations", err);
    for (uint32_t i = 0; i < n; i++) {
        int stopped = qd_task_poll(a->shard->o.task);
        if (stopped == QD_E_TIMEOUT) return none_left(a, t->bits + i, n - i, err);
        if (stopped) return qd_task_check(a->shard->o.task, err);
        int rc = qdi_aggs_filter_bits(a->shard, qdi_filters_bound_of(a->bound)->nodes[i],
                                      &t->bits[i], err);
        if (rc) return rc;
    }
    return 0;
}

int qdi_aggs_filters_collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                             qd_err *err)
{
    const qdi_filters_run *t = a->state;
    const qdi_batch *b = &a->shard->batch;
    uint32_t nfilters = qdi_filters_of(a->def)->n, base = b->leaf->base, bucket, tests = 0;
    int rc;
    for (uint32_t i = 0; i < n; i++) {
        tests += nfilters;
        if (QD_UNLIKELY(tests >= QDI_FILTERS_POLL)) {
            tests = 0;
            if ((rc = qd_task_poll(a->shard->o.task))) return rc;
        }
        uint32_t at = idx ? idx[i] : i, d = base + b->docs[at];
        bool any = false;
        for (uint32_t f = 0; f < nfilters; f++) {
            if (!qdi_filters_match(t, f, d)) continue;
            any = true;
            rc = qdi_aggs_bucket(a, owner ? owner[i] : 0, f, &bucket, err);
            if (rc == 0) rc = qdi_emit(a, at, bucket, err);
            if (rc) return rc;
        }
        if (any || !qdi_filters_of(a->def)->other) continue;
        rc = qdi_aggs_bucket(a, owner ? owner[i] : 0, nfilters, &bucket, err);
        if (rc == 0) rc = qdi_emit(a, at, bucket, err);
        if (rc) return rc;
    }
    return qdi_aggs_emit_flush(a, err);
}
