/*
 * enrich.h: enrich policies as the daemon sees them: what is kept for them while a node runs.
 */
#ifndef QD_ACTION_ENRICH_H
#define QD_ACTION_ENRICH_H

#include "action/action.h"

/* Gives the processor enrich what it asks for, after qd_pipelines_open and before requests come.
 * QD_E_NOMEM, QD_E_CONFIG: enrich.cache_size. */
QD_MUST_CHECK
int qd_enrich_open(qd_actions *a, qd_err *err);
/* Frees it; no request runs any more, and the pipelines are still there. */
void qd_enrich_close(qd_actions *a);

#endif
