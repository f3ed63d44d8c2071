/* significant_int.h: what significant_terms keeps, between its collecting and its results. */
#ifndef QD_AGGS_SIGNIFICANT_INT_H
#define QD_AGGS_SIGNIFICANT_INT_H

#include "aggs/bucket/terms_int.h"
#include "aggs/significant/significance_int.h"

struct qd_query;

typedef struct qdi_significant {
    qdi_terms terms; /* first: sizes, include */
    qdi_significance heuristic;
    const struct qd_query *background; /* NULL: all documents of the shard */
} qdi_significant;
static inline qdi_significant *qdi_significant_of(const qdi_agg *a)
{
    return a->params;
}
typedef struct qdi_significant_bound {
    const struct qd_node *background;
} qdi_significant_bound;

/* A result: of how many documents, and of how many in the background. The buckets' own numbers of
 * the background stand in `error`. */
typedef struct qdi_significant_value {
    uint64_t docs, background;
    double *scores; /* by bucket, of the final result */
} qdi_significant_value;
static inline qdi_significant_value *qdi_significant_value_of(const qdi_out *o)
{
    return o->value;
}
static inline double qdi_significant_score(const qdi_agg *a, uint64_t with, uint64_t n,
                                           uint64_t bg_with, uint64_t bg_n)
{
    return qdi_significance_score(&qdi_significant_of(a)->heuristic, (double)with, (double)n,
                                  (double)bg_with, (double)bg_n);
}

extern const qdi_ops qdi_aggs_significant_ops;

#endif
