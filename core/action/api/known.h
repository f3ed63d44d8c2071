/*
 * known.h: the APIs that Elasticsearch and OpenSearch have. A request to one that this version has
 * not is refused by its name.
 */
#ifndef QD_ACTION_KNOWN_H
#define QD_ACTION_KNOWN_H

#include "config/known.h"

typedef struct qd_known_api {
    const char *name; /* "graph.explore"; several rows may have it, with other paths */
    uint32_t products;
    const char *methods; /* "GET|POST" */
    const char *paths;   /* "/_search;/{index}/_search" */
} qd_known_api;

/* The i-th row, by name; NULL behind the last one. [any] */
const qd_known_api *qd_known_api_at(size_t i);
/* The name of the API that a request's method and path mean; NULL: neither product has it. [any] */
const char *qd_known_api_of(qd_str method, qd_str path);
/* Is there an API here for a method and a path of known.def? [any] */
bool qd_known_api_works(qd_str method, qd_str path);

#endif
