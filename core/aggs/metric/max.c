/*
 * max.c: max: the greatest number.
 */
#include "aggs/metric/stats_int.h"
#include <math.h>

static int max_open(qdi_aggr *a, qd_err *err)
{
    return qdi_aggs_stats_open(a, QDI_WANT_BOUNDS, err);
}

static double max_metric(qdi_aggr *a, uint32_t owner, qd_str member)
{
    (void)member;
    return qdi_aggs_stats_metric(a, owner, 0, QD_STR("max"));
}

static const qdi_ops ops = {.open = max_open, .metric = max_metric, QDI_STATS_OPS};

static double max_empty(qd_str member)
{
    (void)member;
    return -INFINITY;
}

static double max_value(const qdi_out *o, qd_str member)
{
    (void)member;
    return qdi_stats_of(o)->n ? qdi_stats_of(o)->max : NAN;
}

const qd_agg_type qdi_aggs_max = {
    .name = "max",
    .key = "max",
    .flags = QDI_METRIC | QDI_VALUES,
    .members = QDI_NUMERIC,
    .parse = qdi_aggs_parse_field,
    .ops = &ops,
    .empty = max_empty,
    .value = max_value,
    .write = qdi_aggs_write_single,
    QDI_STATS,
};
