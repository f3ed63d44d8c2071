/* metrics_table.c: metrics.def as rows, and printed for people. See metrics.h. */
#include "action/cat/metrics.h"

#define COUNTER "counter"
#define GAUGE "gauge"
#define HISTOGRAM "histogram"
const qd_metric_row qd_metrics[QD_METRICS] = {
#define QD_METRIC(id, name, type, labels, help) [QD_M_##id] = {name, type, labels, help},
#include "action/cat/metrics.def"
#undef QD_METRIC
};

int qd_metrics_print_list(qd_str filter, qd_buf *out)
{
    for (uint32_t i = 0; i < QD_METRICS; i++) {
        const qd_metric_row *m = &qd_metrics[i];
        if (filter.n && qd_str_find_str(qd_str_c(m->name), filter) < 0) continue;
        (void)qd_buf_printf(out, "%s%s%s%s  %s\n    %s\n", m->name, m->labels[0] ? "{" : "",
                            m->labels, m->labels[0] ? "}" : "", m->type, m->help);
    }
    return qd_buf_status(out);
}

int qd_metrics_print_markdown(qd_buf *out)
{
    (void)qd_buf_c(
        out, "# Metrics\n\n"
             "`GET /metrics` shows these to Prometheus, on the REST port and on `metrics.port`. "
             "`qd metrics --markdown` prints this page.\n"
             "A node that has not joined its cluster yet shows those of the process alone.\n"
             "A plugin's own metrics begin with `quidditch_plugin_<name>_`: those of "
             "`coordination-raft` and\n`coordination-k8s` stand in "
             "[metrics.def](../plugins/coordination-common/metrics.def).\n\n"
             "| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n");
    for (uint32_t i = 0; i < QD_METRICS; i++) {
        const qd_metric_row *m = &qd_metrics[i];
        (void)qd_buf_printf(out, "| `%s` | %s | %s | %s |\n", m->name, m->type, m->labels, m->help);
    }
    return qd_buf_status(out);
}
