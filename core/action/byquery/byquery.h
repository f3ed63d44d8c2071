/*
 * byquery.h: _reindex, _update_by_query and _delete_by_query as the folders above see them.
 */
#ifndef QD_ACTION_BYQUERY_H
#define QD_ACTION_BYQUERY_H

#include "action/action.h"
#include "json/tree.h"

/* Opens what keeps this node's jobs, with the thread that takes over those of nodes that have gone;
 * before requests come. [worker] QD_E_NOMEM */
QD_MUST_CHECK
int qd_by_query_open(qd_actions *a, qd_err *err);
/* Ends the jobs under way: those in the background go on at another node, or here after the next
 * start. While calls are still answered; none begins afterwards. [worker] */
void qd_by_query_stop(qd_actions *a);
/* The same, and frees it; no request runs any more. [worker] */
void qd_by_query_close(qd_actions *a);
/* Gives another rate (documents a second; 0: as fast as it goes) to the job of that task on this
 * node; false: there is none. [any] */
bool qdi_bq_rethrottle(qd_actions *a, uint64_t task, double rate);
/* requests_per_second: 0 for -1; QD_E_ARG. */
QD_MUST_CHECK
int qdi_bq_rate(qd_str text, double *out, qd_err *err);
/* What the index .tasks has of a task ("node:number"), in arena: NULL when there is nothing.
 * [worker] errors of the read. */
QD_MUST_CHECK
int qdi_bq_record_get(qd_actions *a, qd_str id, qd_arena *arena, const qd_json_node **out,
                      qd_err *err);
/* An API that a client need not wait for (deferred.c). */
typedef struct bq_deferred {
    const char *action; /* Elasticsearch's name of it */
    bool opensearch;    /* Elasticsearch does not know the parameter here */
    /* what a client is told at once */
    int (*check)(qd_request *q, qd_err *err);
    int (*run)(qd_request *q, qd_response *r, qd_err *err);
    qd_str (*describe)(const qd_request *q, qd_arena *arena);
} bq_deferred;
/* Runs it, or behind the answer with wait_for_completion=false. [worker] */
QD_MUST_CHECK
int qdi_deferred_run(qd_request *q, const bq_deferred *e, qd_response *r, qd_err *err);
/* Calls an API of this node and waits for its answer, parsed into arena, which the texts point
 * into: 0 with status < 400; an error as the API told it (its type and status are kept). [worker]
 */
QD_MUST_CHECK
int qdi_bq_call(qd_actions *a, const char *api, const qd_pair *params, uint32_t n, qd_str body,
                qd_arena *arena, const qd_json_node **out, qd_err *err);
/* The task under which a job runs that was taken over ("node:number"); n 0: it was not. */
qd_str qdi_bq_record_runs_as(const qd_json_node *record);

#endif
