/*
 * wire.h: partial results of aggregations between nodes. The tree itself is not encoded: whoever
 * reads has parsed the same request, and bound it to the same index.
 */
#ifndef QD_AGGS_WIRE_H
#define QD_AGGS_WIRE_H

#include "aggs/aggs.h"
#include "rpc/codec.h"

/* Writes one shard's result (as qd_aggs_shard_finish gives it); errors are the writer's. [any] */
void qd_aggs_partial_write(const qd_aggs_partial *p, qd_writer *w);
/* Reads what qd_aggs_partial_write wrote for the same request and index into *out, charged to
 * account. Nothing read is trusted: counts are bounded by the bytes there are, sketches are checked
 * against the request. QD_E_CORRUPT, QD_E_NOMEM, QD_E_BREAKER. [any] */
QD_MUST_CHECK
int qd_aggs_partial_read(qd_body_reader *r, const qd_aggs_bound *b, qd_account *account,
                         qd_aggs_partial **out, qd_err *err);

/* Sort values of a hit: n of them. */
void qd_sort_values_write(const qd_sort_value *v, uint32_t n, qd_writer *w);
/* Back, in arena; NULL after an error, which is the reader's. [any] */
qd_sort_value *qd_sort_values_read(qd_body_reader *r, uint32_t n, qd_arena *arena);

#endif
