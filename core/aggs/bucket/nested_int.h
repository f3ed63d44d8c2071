/*
 * nested_int.h: what nested and reverse_nested share: the path, and the batches of another level.
 */
#ifndef QD_AGGS_NESTED_INT_H
#define QD_AGGS_NESTED_INT_H

#include "aggs/bind/bind_int.h"
#include "aggs/bucket/single_int.h"
#include "aggs/parse/parse_int.h"

/* What an index makes of the path. */
typedef struct qdi_nested_bound {
    qd_str path;         /* n 0: the documents of the search */
    const qd_str *paths; /* from those down to it, outer first */
    uint32_t n;
    bool unmapped;
} qdi_nested_bound;
static inline qdi_nested_bound *qdi_nested_bound_of(const qdi_bound *b)
{
    return b->state;
}

/* {"path": …} into *(qd_str *)a->params; may it be left out? */
int qdi_aggs_nested_parse(qdi_parse *p, qdi_agg *a, bool optional);
/* The levels of path in x's mapping. QD_E_ARG where it is an object of another kind. */
int qdi_aggs_nested_levels(qdi_binder *x, const qdi_agg *a, qd_str path, qdi_nested_bound *out);
/* The path of the definition itself (qd_agg_type.level). */
qd_str qdi_aggs_nested_own(const qdi_agg *a);
/* The path of the nested documents that a definition's parent hands down; n 0: none. */
qd_str qdi_aggs_nested_path(const qdi_agg *a);

/* Documents of the level and pairs that wait for the subs. */
typedef struct qdi_nested_batch {
    uint32_t *docs, *idx, *bucket;
    float *scores;
    uint32_t n, npairs;
} qdi_nested_batch;
#define QDI_NESTED_PAIRS (4 * QDI_EMIT)
int qdi_aggs_nested_batch_make(qdi_aggr *a, qdi_nested_batch *out, qd_err *err);
/* Hands over what waits. */
int qdi_aggs_nested_flush(qdi_aggr *a, qdi_nested_batch *b, qd_err *err);

#endif
