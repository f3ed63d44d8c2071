/*
 * metrics.h: the table of what /metrics shows of the core (metrics.def); plugins add their own.
 */
#ifndef QD_ACTION_METRICS_H
#define QD_ACTION_METRICS_H

#include "base/str.h"

typedef enum qd_metric {
#define QD_METRIC(id, name, type, labels, help) QD_M_##id,
#include "action/cat/metrics.def"
#undef QD_METRIC
    QD_METRICS
} qd_metric;

typedef struct qd_metric_row {
    const char *name;
    const char *type;   /* "counter", "gauge", "histogram" */
    const char *labels; /* separated by commas; empty: none */
    const char *help;
} qd_metric_row;

/* By qd_metric. */
extern const qd_metric_row qd_metrics[QD_METRICS];

/* `qd metrics`: name, labels, type and meaning; filter (may be empty) keeps those whose name
 * contains it. QD_E_NOMEM. */
int qd_metrics_print_list(qd_str filter, qd_buf *out);
/* docs/metrics.md. QD_E_NOMEM. */
int qd_metrics_print_markdown(qd_buf *out);

#endif
