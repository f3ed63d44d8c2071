/* cache_int.h: which searches the request cache serves. See indices/request_cache.h. */
#ifndef QD_ACTION_SEARCH_CACHE_INT_H
#define QD_ACTION_SEARCH_CACHE_INT_H

#include "action/search/search_int.h"

/* The place of one search in the cache. */
typedef struct search_cached {
    qd_buf question, as_of;
    bool usable;
} search_cached;
/* Looks whether x may be kept, and for its answer: 1 when it was there and is written behind
 * "took", 0 when the search is to run, negative on errors. End with qdi_search_cached_end. */
int qdi_search_cached_begin(search_cached *c, search_run *x, qd_str expression, uint32_t options,
                            qd_str routing, qd_json_writer *w, qd_err *err);
/* Keeps what was written behind "took". */
void qdi_search_cached_keep(search_cached *c, search_run *x, const qd_json_writer *w);
/* Frees the key. */
void qdi_search_cached_end(search_cached *c);

#endif
