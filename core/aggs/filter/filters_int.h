/*
 * filters_int.h: what filter, filters and adjacency_matrix share: queries run once over the shard.
 */
#ifndef QD_AGGS_FILTERS_INT_H
#define QD_AGGS_FILTERS_INT_H

#include "aggs/bind/bind_int.h"
#include "aggs/parse/parse_int.h"

typedef struct qdi_filters {
    qd_str *keys; /* ascending; NULL: anonymous */
    const struct qd_query **queries;
    uint32_t n;
    bool other;
    qd_str other_key;
} qdi_filters;
static inline qdi_filters *qdi_filters_of(const qdi_agg *a)
{
    return a->params;
}

typedef struct qdi_filters_bound {
    const struct qd_node **nodes; /* by query */
} qdi_filters_bound;
static inline qdi_filters_bound *qdi_filters_bound_of(const qdi_bound *b)
{
    return b->state;
}

/* Room for n queries; m: where a refusal points. */
int qdi_aggs_filters_room(qdi_parse *p, qdi_agg *a, const qd_json_node *m, uint32_t n);
int qdi_aggs_filters_read(qdi_parse *p, const qd_json_node *m, const struct qd_query **out);
/* The queries of an object, by their names, or of an array. */
int qdi_aggs_filters_read_all(qdi_parse *p, qdi_agg *a, const qd_json_node *m);
int qdi_aggs_filters_bind(qdi_binder *x, qdi_bound *b);
/* What open keeps. */
typedef struct qdi_filters_run {
    uint64_t **bits; /* documents of the shard, by filter; NULL: all documents */
} qdi_filters_run;
static inline bool qdi_filters_match(const qdi_filters_run *t, uint32_t filter, uint32_t doc)
{
    return !t->bits[filter] || t->bits[filter][doc / 64] >> (doc & 63) & 1;
}
#define QDI_FILTERS_POLL 65536u /* documents times filters between two looks at the clock */
/* open and collect of qdi_ops. */
int qdi_aggs_filters_open(qdi_aggr *a, qd_err *err);
int qdi_aggs_filters_collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                             qd_err *err);

#endif
