/* request_cache_int.h: looking up and keeping; search/cache.c says what. See request_cache.h. */
#ifndef QD_ACTION_REQUEST_CACHE_INT_H
#define QD_ACTION_REQUEST_CACHE_INT_H

#include "action/action_int.h"
#include "action/indices/request_cache.h"
#include "base/str.h"

/* A shard that has part in an answer. */
typedef struct request_cache_shard {
    char uuid[QD_UUID_TEXT];
    uint32_t number;
} request_cache_shard;

/* Which answer: what is asked, and as of what. Plain bytes. */
typedef struct request_cache_key {
    qd_str question, as_of;
} request_cache_key;

/* Adds the text kept under key to out: 1; 0 when there is none; negative when out is full. [any] */
int qdi_request_cache_get(qd_request_cache *c, request_cache_key key, qd_buf *out);
/* Keeps a copy of text, if it fits, in place of what answered the question as of something else.
 * [any] */
void qdi_request_cache_put(qd_request_cache *c, request_cache_key key, qd_str text,
                           const request_cache_shard *shards, uint32_t nshards);

#endif
