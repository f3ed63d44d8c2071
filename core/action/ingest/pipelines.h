/*
 * pipelines.h: the pipelines of the cluster state, compiled on this node when they are first run or
 * after they have changed, and what they have counted.
 */
#ifndef QD_ACTION_PIPELINES_H
#define QD_ACTION_PIPELINES_H

#include "action/action.h"
#include "ingest/ingest.h"

#define QDI_PIPELINE_KEY "pipeline/"
#define QDI_PIPELINE_MAX ((size_t)1 << 20) /* bytes of one, as a value of the store */

typedef struct qd_pipelines qd_pipelines;
/* Opens the table into a->pipelines, before requests come. QD_E_NOMEM. */
QD_MUST_CHECK
int qd_pipelines_open(qd_actions *a, qd_err *err);
/* Frees it; no request runs any more. */
void qd_pipelines_close(qd_actions *a);
/* What pipelines of this node are compiled with; as long as the node's actions. */
const qd_ingest_settings *qdi_pipelines_settings(qd_actions *a);
/* From now on the processor enrich asks these (core/ingest/ingest.h); before requests come. */
void qdi_pipelines_lookup_set(qd_actions *a,
                              int (*has_policy)(void *arg, qd_str policy, qd_err *err),
                              int (*lookup)(void *arg, qd_task *task, qd_str policy, uint32_t max,
                                            qd_ingest_lookup *looks, uint32_t n, qd_err *err),
                              void *arg);
/* The pipeline of this id in state s, with a reference: 0 with *out NULL when there is none, or why
 * it cannot be compiled here. [worker] */
QD_MUST_CHECK
int qdi_pipelines_get(qd_actions *a, const qd_state *s, qd_str id, qd_ingest_pipeline **out,
                      qd_err *err);
/* A document was worked on, for so long. */
void qdi_pipelines_count(qd_actions *a, uint64_t ns, bool failed);
/* Documents so far, and those that failed. */
void qdi_pipelines_totals(const qd_actions *a, uint64_t *count, uint64_t *failed);
/* Writes "total" and "pipelines" of the statistics: all of state s, also those that have not run.
 */
void qdi_pipelines_stats_write(qd_actions *a, const qd_state *s, qd_json_writer *w);
/* Pipelines in state s. */
uint32_t qdi_pipelines_number(const qd_state *s);
/* The id behind a document's key; false: it is no pipeline. */
bool qdi_pipeline_is(qd_str key, qd_str *id);

#endif
