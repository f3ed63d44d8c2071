/*
 * request_cache.h: answers of searches that show no hits, kept until a refresh.
 *
 * An entry is a question (shards, indices as asked for, parameters, the body without white space)
 * and its answer as of the points in time of all shards and a revision of the cluster state. So
 * nothing is ever invalidated: an answer as of something else is not given, and a newer one takes
 * its place, so that a shard that is refreshed all the time keeps one answer to a question. The
 * least used fall out; indices.requests.cache.size bounds their memory. Searches that look at the
 * clock, profile, are limited in time and were stopped, or failed in a shard are not kept.
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
