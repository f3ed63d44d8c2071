/*
 * stats.c: stats: count, min, max, avg and sum of numbers.
 */
#include "aggs/metric/stats_int.h"
#include <math.h>

static bool stats_has_member(const qdi_agg *a, qd_str m)
{
    (void)a;
    return qdi_aggs_listed("count,sum,avg,min,max", m);
}

static int stats_open(qdi_aggr *a, qd_err *err)
{
    return qdi_aggs_stats_open(a, QDI_WANT_SUM | QDI_WANT_BOUNDS, err);
}

static double stats_metric(qdi_aggr *a, uint32_t owner, qd_str member)
{
    return qdi_aggs_stats_metric(a, owner, 0, member);
}

static const qdi_ops ops = {.open = stats_open, .metric = stats_metric, QDI_STATS_OPS};

double qdi_aggs_stats_empty(qd_str m)
{
    if (qd_str_is(m, "min")) return INFINITY;
    if (qd_str_is(m, "max")) return -INFINITY;
    return qdi_aggs_listed("sum,count,sum_of_squares", m) ? 0 : NAN;
}

static double stats_value(const qdi_out *o, qd_str member)
{
    return qdi_aggs_stats_value(qdi_stats_of(o), 0, member);
}

static void write_number(qd_json_writer *w, double v)
{
    if (isfinite(v))
        qd_json_double(w, v);
    else
        qd_json_null(w);
}

void qdi_aggs_stats_write(const qdi_out *o, bool typed, qd_json_writer *w)
{
    (void)typed;
    qd_json_key_c(w, "count");
    qd_json_uint(w, qdi_stats_of(o)->n);
    static const char *const names[] = {"min", "max", "avg", "sum"};
    const qdi_format *f = qdi_aggs_format_of(o);
    for (uint32_t i = 0; i < 4; i++) {
        double v = qdi_aggs_stats_value(qdi_stats_of(o), 2, qd_str_c(names[i]));
        qd_json_key_c(w, names[i]);
        if (!qdi_stats_of(o)->n && i < 3)
            qd_json_null(w);
        else
            write_number(w, v);
    }
    if (!qdi_stats_of(o)->n || f->kind == QDI_FMT_RAW) return;
    static const char *const texts[] = {"min_as_string", "max_as_string", "avg_as_string",
                                        "sum_as_string"};
    for (uint32_t i = 0; i < 4; i++)
        qdi_aggs_write_text(f, texts[i],
                            qdi_aggs_stats_value(qdi_stats_of(o), 2, qd_str_c(names[i])), w);
}

const qd_agg_type qdi_aggs_stats = {
    .name = "stats",
    .key = "stats",
    .flags = QDI_METRIC | QDI_VALUES,
    .members = QDI_NUMERIC,
    .parse = qdi_aggs_parse_field,
    .has_member = stats_has_member,
    .ops = &ops,
    .empty = qdi_aggs_stats_empty,
    .value = stats_value,
    .write = qdi_aggs_stats_write,
    QDI_STATS,
};
