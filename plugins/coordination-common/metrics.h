/*
 * metrics.h: what an open store shows at /metrics, as quidditch_plugin_<plugin>_<name>.
 */
#ifndef COORDINATION_COMMON_METRICS_H
#define COORDINATION_COMMON_METRICS_H

#include <quidditch/abi.h>

struct qd_coord;

typedef enum cr_metric {
#define CR_ROW(id, name, type, help) CR_METRIC_##id,
#include "metrics.def"
#undef CR_ROW
    CR_METRICS
} cr_metric;

/* The plugin's metrics, registered once; svc NULL: the host has none, and nothing is shown. */
typedef struct cr_metrics {
    const qd_svc_metric *svc;
    qd_plugin_metric *metrics[CR_METRICS];
} cr_metrics;

/* Registers them. [init] */
void cr_metrics_make(cr_metrics *f, qd_self *self, const qd_svc_metric *svc);
/* Shows what the store's view says; leader: the one before the look. [loop] */
void cr_metrics_show(const struct qd_coord *c, uint64_t leader);
/* The store is closed: gauges fall to 0, the counter stays. [any] */
void cr_metrics_clear(const cr_metrics *f);

#endif
