/* stats_analysis.h: which parts of analysis indices use, for _cluster/stats. */
#ifndef QD_ACTION_CLUSTER_STATS_ANALYSIS_H
#define QD_ACTION_CLUSTER_STATS_ANALYSIS_H

#include "action/action.h"

/* Writes the member "analysis": types that indices define, and built-in parts that they name, each
 * with how often and in how many indices. */
void qdi_stats_analysis_write(const qd_request *q, const qd_state *s, qd_json_writer *w);

#endif
