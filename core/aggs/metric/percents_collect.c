/*
 * percents_collect.c: the collectors of percentiles and percentile_ranks, one sketch an owner.
 */
#include "aggs/metric/percents_int.h"
#include <math.h>

/* --- t-digest --------------------------------------------------------------------------------- */

static int no_memory(qdi_aggr *a, qd_err *err)
{
    return qdi_aggs_no_memory(a->shard->account, 64, "sketches of aggregations", err);
}

typedef struct dstate {
    qdi_digest *at;
    uint32_t cap;
} dstate;

int qdi_percents_open(qdi_aggr *a, qd_err *err)
{
    dstate *t = a->state = qd_arena_calloc(&a->shard->arena, sizeof *t);
    return t ? 0 : no_memory(a, err);
}

int qdi_percents_grow(qdi_aggr *a, uint32_t n, qd_err *err)
{
    dstate *t = a->state;
    uint32_t from = t->cap;
    int rc = qdi_aggs_grow(a->shard->account, &t->at, &t->cap, n, sizeof *t->at, err);
    for (uint32_t i = from; rc == 0 && i < t->cap; i++)
        qdi_aggs_digest_init(&t->at[i], qdi_percents_of(a->def)->compression,
                             a->shard->bound->tree->flavour);
    return rc;
}

int qdi_percents_collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                         qd_err *err)
{
    dstate *t = a->state;
    qdi_source *s = a->src;
    if (!s) return 0;
    int rc = idx || owner ? qdi_aggs_source_index(a->shard, s, err) : 0;
    if (rc == 0) rc = qdi_aggs_source_f64(a->shard, s, err);
    if (rc) return rc;
    if (!idx && !owner)
        return qdi_aggs_digest_add(&t->at[0], s->f64, s->n, a->shard->account) ? no_memory(a, err)
                                                                               : 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t from, to;
        qdi_source_doc(s, idx ? idx[i] : i, &from, &to);
        if (from < to && qdi_aggs_digest_add(&t->at[owner ? owner[i] : 0], s->f64 + from, to - from,
                                             a->shard->account))
            return no_memory(a, err);
    }
    return 0;
}

const qdi_digest *qdi_percents_digest(qdi_aggr *a, uint32_t owner)
{
    dstate *t = a->state;
    return qdi_aggs_digest_settle(&t->at[owner], a->shard->account) ? NULL : &t->at[owner];
}

int qdi_percents_build(qdi_aggr *a, uint32_t owner, qdi_out *out, qd_err *err)
{
    const qdi_digest *d = qdi_percents_digest(a, owner);
    if (!d) return no_memory(a, err);
    qdi_percents_value(out)->digest = qdi_aggs_digest_copy(d, &a->shard->partial->arena);
    return qdi_percents_value(out)->digest ? 0 : no_memory(a, err);
}

static double pct_metric(qdi_aggr *a, uint32_t owner, qd_str member)
{
    const qdi_digest *d = qdi_percents_digest(a, owner);
    double v;
    if (!d || qd_f64_parse(member, &v)) return NAN;
    return !qdi_percents_of(a->def)->ranks ? qdi_aggs_digest_quantile(d, v / 100)
                                           : qdi_aggs_digest_cdf(d, v) * 100;
}

void qdi_percents_close(qdi_aggr *a)
{
    dstate *t = a->state;
    if (!t) return;
    for (uint32_t i = 0; i < t->cap; i++) qdi_aggs_digest_fini(&t->at[i]);
    qd_free(t->at);
}

const qdi_ops qdi_aggs_digest_ops = {.open = qdi_percents_open,
                                     .grow = qdi_percents_grow,
                                     .collect = qdi_percents_collect,
                                     .build = qdi_percents_build,
                                     .metric = pct_metric,
                                     .close = qdi_percents_close};

/* --- HdrHistogram ----------------------------------------------------------------------------- */

typedef struct rstate {
    qdi_hdr *at;
    uint32_t cap;
} rstate;

static int hdr_open(qdi_aggr *a, qd_err *err)
{
    a->state = qd_arena_calloc(&a->shard->arena, sizeof(rstate));
    return a->state ? 0 : no_memory(a, err);
}

static int hdr_grow(qdi_aggr *a, uint32_t n, qd_err *err)
{
    rstate *t = a->state;
    uint32_t from = t->cap;
    int rc = qdi_aggs_grow(a->shard->account, &t->at, &t->cap, n, sizeof *t->at, err);
    for (uint32_t i = from; rc == 0 && i < t->cap; i++)
        qdi_aggs_hdr_init(&t->at[i], (uint32_t)qdi_percents_of(a->def)->digits);
    return rc;
}

static int hdr_collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                       qd_err *err)
{
    rstate *t = a->state;
    qdi_source *s = a->src;
    if (!s) return 0;
    int rc = qdi_aggs_source_index(a->shard, s, err);
    if (rc == 0) rc = qdi_aggs_source_f64(a->shard, s, err);
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        uint32_t from, to;
        qdi_source_doc(s, idx ? idx[i] : i, &from, &to);
        for (uint32_t k = from; k < to; k++) {
            double v = s->f64[k];
            if (!(v >= 0) || isinf(v)) {
                rc = qd_err_set(err, QD_E_ARG,
                                "Negative values are not supported by HDR aggregation");
                return rc;
            }
            if (qdi_aggs_hdr_add(&t->at[owner ? owner[i] : 0], v, a->shard->account))
                return no_memory(a, err);
        }
    }
    return rc;
}

static int hdr_build(qdi_aggr *a, uint32_t owner, qdi_out *out, qd_err *err)
{
    rstate *t = a->state;
    qdi_percents_value(out)->hdr = qdi_aggs_hdr_copy(&t->at[owner], &a->shard->partial->arena);
    return qdi_percents_value(out)->hdr ? 0 : no_memory(a, err);
}

static double hdr_metric(qdi_aggr *a, uint32_t owner, qd_str member)
{
    rstate *t = a->state;
    double v, found = NAN;
    qd_arena arena;
    if (qd_f64_parse(member, &v)) return NAN;
    qd_arena_init(&arena, a->shard->account, 0);
    const qdi_hdr *h = qdi_aggs_hdr_copy(&t->at[owner], &arena);
    if (h)
        found =
            !qdi_percents_of(a->def)->ranks ? qdi_aggs_hdr_value(h, v) : qdi_aggs_hdr_percent(h, v);
    qd_arena_fini(&arena);
    return found;
}

static void hdr_close(qdi_aggr *a)
{
    rstate *t = a->state;
    for (uint32_t i = 0; t && i < t->cap; i++) qdi_aggs_hdr_fini(&t->at[i]);
    if (t) qd_free(t->at);
}

const qdi_ops qdi_aggs_hdr_ops = {.open = hdr_open,
                                  .grow = hdr_grow,
                                  .collect = hdr_collect,
                                  .build = hdr_build,
                                  .metric = hdr_metric,
                                  .close = hdr_close};
