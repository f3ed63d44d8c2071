/*
 * sum.c: sum: the sum of numbers.
 */
#include "aggs/metric/stats_int.h"

static int sum_open(qdi_aggr *a, qd_err *err)
{
    return qdi_aggs_stats_open(a, QDI_WANT_SUM, err);
}

static double sum_metric(qdi_aggr *a, uint32_t owner, qd_str member)
{
    (void)member;
    return qdi_aggs_stats_metric(a, owner, 0, QD_STR("sum"));
}

static const qdi_ops ops = {.open = sum_open, .metric = sum_metric, QDI_STATS_OPS};

static double sum_value(const qdi_out *o, qd_str member)
{
    (void)member;
    return qdi_aggs_stats_value(qdi_stats_of(o), 0, QD_STR("sum"));
}

const qd_agg_type qdi_aggs_sum = {
    .name = "sum",
    .key = "sum",
    .flags = QDI_METRIC | QDI_VALUES,
    .members = QDI_NUMERIC,
    .parse = qdi_aggs_parse_field,
    .ops = &ops,
    .empty = qdi_aggs_stats_zero,
    .value = sum_value,
    .write = qdi_aggs_write_single,
    QDI_STATS,
};
