/*
 * single_int.h: what aggregations of one bucket share.
 */
#ifndef QD_AGGS_SINGLE_INT_H
#define QD_AGGS_SINGLE_INT_H

#include "aggs/reduce/reduce_int.h"

/* The one bucket of an owner (qdi_ops.build). */
int qdi_aggs_single_build(qdi_aggr *a, uint32_t owner, qdi_out *out, qd_err *err);
int qdi_aggs_single_reduce(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out,
                           qd_err *err);
void qdi_aggs_single_write(const qdi_out *o, bool typed, qd_json_writer *w);

#endif
