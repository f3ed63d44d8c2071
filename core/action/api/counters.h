/*
 * counters.h: what the node's actions count for /metrics and _nodes/stats: requests by API, time of
 * searches as a histogram, documents indexed. All functions [any], lock-free, and do nothing when
 * the actions have no counters.
 */
#ifndef QD_ACTION_COUNTERS_H
#define QD_ACTION_COUNTERS_H

#include "action/action.h"

typedef struct qd_action_counters qd_action_counters;

/* Makes the counters of a node with these routes of plugins (NULL: none), all zero; goes into
 * qd_actions.counters. QD_E_NOMEM. */
QD_MUST_CHECK
int qd_action_counters_open(const struct qd_plugin_routes *routes, qd_action_counters **out,
                            qd_err *err);
/* Frees them; no action runs. NULL is fine. */
void qd_action_counters_close(qd_action_counters *c);

/* A request of an API has ended with this HTTP status, ns after it came in. Requests of the pool
 * "search" go into the histogram of queries. */
void qd_count_request(qd_actions *a, const qd_api *api, int status, uint64_t ns);
/* Documents written durably (indexed, updated, deleted), and refused. */
void qd_count_documents(qd_actions *a, uint64_t written, uint64_t refused);

#define QD_LATENCY_BUCKETS 14
/* Upper bounds of the histogram's buckets in seconds; the last one is infinite and not here. */
extern const double qd_latency_bounds[QD_LATENCY_BUCKETS - 1];

typedef struct qd_action_counts {
    uint64_t queries, queries_failed, query_ns;
    uint64_t bucket[QD_LATENCY_BUCKETS]; /* not cumulated */
    uint64_t documents, documents_refused;
} qd_action_counts;
/* Reads them; zeros without counters. */
void qd_action_counts_get(const qd_actions *a, qd_action_counts *out);

typedef struct qd_api_counts {
    uint64_t requests, failed_4xx, failed_5xx, ns;
} qd_api_counts;
/* Counts of the i-th API of the table and of the plugins' routes behind it; its name, NULL when
 * there is none. */
const char *qd_api_counts_get(const qd_actions *a, uint32_t i, qd_api_counts *out);

#endif
