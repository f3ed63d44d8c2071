/*
 * value_count.c: value_count: the number of values.
 */
#include "aggs/metric/stats_int.h"

static int value_count_open(qdi_aggr *a, qd_err *err)
{
    return qdi_aggs_stats_open(a, 0, err);
}

static double value_count_metric(qdi_aggr *a, uint32_t owner, qd_str member)
{
    (void)member;
    return qdi_aggs_stats_metric(a, owner, 0, QD_STR("count"));
}

static const qdi_ops ops = {.open = value_count_open, .metric = value_count_metric, QDI_STATS_OPS};

static void value_count_write(const qdi_out *o, bool typed, qd_json_writer *w)
{
    (void)typed;
    qd_json_key_c(w, "value");
    qd_json_uint(w, qdi_stats_of(o)->n);
}

static double value_count_value(const qdi_out *o, qd_str member)
{
    (void)member;
    return (double)qdi_stats_of(o)->n;
}

const qd_agg_type qdi_aggs_value_count = {
    .name = "value_count",
    .key = "value_count",
    .flags = QDI_METRIC | QDI_VALUES | QDI_TAKES_BYTES | QDI_ANY_BYTES | QDI_RANGES,
    .members = QDI_NUMERIC,
    .parse = qdi_aggs_parse_field,
    .unmapped = "keyword",
    .ops = &ops,
    .empty = qdi_aggs_stats_zero,
    .value = value_count_value,
    .write = value_count_write,
    QDI_STATS,
};
