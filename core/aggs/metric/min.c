/*
 * min.c: min: the least number.
 */
#include "aggs/metric/stats_int.h"
#include <math.h>

static int min_open(qdi_aggr *a, qd_err *err)
{
    return qdi_aggs_stats_open(a, QDI_WANT_BOUNDS, err);
}

static double min_metric(qdi_aggr *a, uint32_t owner, qd_str member)
{
    (void)member;
    return qdi_aggs_stats_metric(a, owner, 0, QD_STR("min"));
}

static const qdi_ops ops = {.open = min_open, .metric = min_metric, QDI_STATS_OPS};

static double min_empty(qd_str member)
{
    (void)member;
    return INFINITY;
}

static double min_value(const qdi_out *o, qd_str member)
{
    (void)member;
    return qdi_stats_of(o)->n ? qdi_stats_of(o)->min : NAN;
}

const qd_agg_type qdi_aggs_min = {
    .name = "min",
    .key = "min",
    .flags = QDI_METRIC | QDI_VALUES,
    .members = QDI_NUMERIC,
    .parse = qdi_aggs_parse_field,
    .ops = &ops,
    .empty = min_empty,
    .value = min_value,
    .write = qdi_aggs_write_single,
    QDI_STATS,
};
