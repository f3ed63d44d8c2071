/*
 * request_cache.h: answers of searches that show no hits, kept until a refresh.
 *
 * The key holds everything that an answer comes from: the points in time of all shards, the
 * revision of the cluster state, indices as asked for, parameters, and the body without white
 * space. So nothing is ever invalidated: what is out of date is not found any more and falls out at
 * the end of the list of use, whose memory is bounded by indices.requests.cache.size. Searches that
 * look at the clock, profile, are limited in time and were stopped, or failed in a shard are not
 * kept.
 */
#ifndef QD_ACTION_REQUEST_CACHE_H
#define QD_ACTION_REQUEST_CACHE_H

#include "action/action.h"

typedef struct qd_request_cache qd_request_cache;

/* Opens an empty cache of at most so many bytes, whose entries live expire_ns (0: any time); goes
 * into qd_actions.request_cache. QD_E_NOMEM. */
QD_MUST_CHECK
int qd_request_cache_open(qd_actions *a, int64_t bytes, uint64_t expire_ns, qd_request_cache **out,
                          qd_err *err);
/* Frees it; no action runs. NULL is fine. */
void qd_request_cache_close(qd_request_cache *c);
/* Drops what the index of this uuid has part in. [any] */
void qd_request_cache_clear(qd_request_cache *c, qd_str index_uuid);

#endif
