/*
 * slow_int.h: the slow logs of an index: what took longer than its thresholds, one line each.
 */
#ifndef QD_ACTION_SLOW_INT_H
#define QD_ACTION_SLOW_INT_H

#include "action/documents/documents_int.h"
#include "action/search/search_int.h"

/* The shortest time of an operation that is told; INT64_MAX: none is. [any] */
int64_t qdi_slow_index_ns(const qd_values *v);
/* Tells an operation on a document that took that long. */
void qdi_slow_index(const qd_index_meta *m, const doc_item *i, uint64_t took_ns);
/* Tells the phase of a search on one shard, if it took long enough. */
void qdi_slow_query(const search_run *x, const search_shard *s, uint64_t took_ns);
/* The same of a fetch; total: hits that are fetched. */
void qdi_slow_fetch(const search_run *x, const qd_index_meta *m, uint32_t shard, uint32_t total,
                    uint64_t took_ns);

#endif
