/*
 * histogram_int.h: what histogram and date_histogram share.
 */
#ifndef QD_AGGS_HISTOGRAM_INT_H
#define QD_AGGS_HISTOGRAM_INT_H

#include "aggs/bucket/rounding.h"
#include "aggs/reduce/reduce_int.h"

enum { QDI_BOUNDS_EXTENDED = 0, QDI_BOUNDS_HARD = 1 };

typedef struct qdi_histogram {
    qdi_rounding round;
    bool dates;                  /* date_histogram */
    qd_query_value bounds[2][2]; /* extended, hard; least, greatest; text.p NULL: none */
} qdi_histogram;
static inline qdi_histogram *qdi_histogram_of(const qdi_agg *a)
{
    return a->params;
}

typedef struct qdi_bounds {
    bool has[2];
    double f[2];
    int64_t i[2];
} qdi_bounds;

typedef struct qdi_histogram_bound {
    qdi_bounds bounds[2];
} qdi_histogram_bound;
static inline qdi_bounds *qdi_histogram_bounds(const qdi_bound *b)
{
    return ((qdi_histogram_bound *)b->state)->bounds;
}

/* min_doc_count, bounds and order of a body. */
int qdi_aggs_histogram_members(qdi_parse *p, qdi_agg *a);
int qdi_aggs_histogram_bind(qdi_binder *x, qdi_bound *b);
/* Collects from a field of intervals: histogram_ranges.c. */
int qdi_aggs_histogram_ranges(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                              qd_err *err);
/* Is the field one? */
static inline bool qdi_histogram_of_ranges(const qdi_bound *b)
{
    return b->field && b->field->value_class == QD_VALUE_RANGE;
}
extern const qdi_ops qdi_aggs_histogram_ops;
/* The buckets of an owner by key, of any type that keeps numbers as keys. */
int qdi_aggs_histogram_build(qdi_aggr *a, uint32_t owner, qdi_out *out, qd_err *err);
int qdi_aggs_histogram_reduce(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out,
                              qd_err *err);
void qdi_aggs_histogram_write(const qdi_out *o, bool typed, qd_json_writer *w);

/* What the rows of both have in common. */
#define QDI_HISTOGRAMS                                                                             \
    .params_size = sizeof(qdi_histogram), .bound_size = sizeof(qdi_histogram_bound),               \
    .bind = qdi_aggs_histogram_bind, .ops = &qdi_aggs_histogram_ops,                               \
    .reduce = qdi_aggs_histogram_reduce, .write = qdi_aggs_histogram_write

#endif
