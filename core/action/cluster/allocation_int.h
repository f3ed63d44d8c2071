/* allocation_int.h: what the APIs about the allocation of shards share. */
#ifndef QD_ACTION_ALLOCATION_INT_H
#define QD_ACTION_ALLOCATION_INT_H

#include "action/indices/stats_int.h"
#include "cluster/allocation/reroute.h"

/* What this node knows beside the state; borrows a and its configuration. */
void qdi_alloc_facts_of(const qd_actions *a, qd_alloc_facts *out);
/* Bytes of a shard held here, 0 when it is not. */
int64_t qdi_shard_bytes(const qd_actions *a, const char *uuid, uint32_t number);
/* "key": [{decider, decision, explanation}, ...] */
void qdi_alloc_words_write(const qd_alloc_word *list, uint32_t n, const char *key,
                           qd_json_writer *w);
/* The state as GET /_cluster/state with these metrics writes it, as an object; records (may be
 * NULL) stand in place of those of the state. */
int qdi_state_write(qd_request *q, const qd_state *s, qd_str metrics, const qd_reroute *records,
                    qd_json_writer *w, qd_err *err);

#endif
