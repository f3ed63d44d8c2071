/*
 * extended_stats.c: extended_stats: stats, and variance, standard deviation and bounds by it.
 */
#include "aggs/metric/stats_int.h"
#include <math.h>
#include <stdio.h>

typedef struct extended {
    double sigma;
} extended;

static double sigma_of(const qdi_agg *a)
{
    return ((const extended *)a->params)->sigma;
}

static int extended_parse(qdi_parse *p, qdi_agg *a)
{
    extended *e = a->params;
    e->sigma = 2;
    int rc = qdi_aggs_common(p, a, true);
    if (!rc) rc = qdi_aggs_get_f64(p, a, "sigma", &e->sigma);
    if (rc || e->sigma >= 0) return rc;
    char text[QD_F64_TEXT_MAX];
    qd_f64_print(text, e->sigma);
    return qdi_aggs_setter_arg(p, a, qd_json_get(a->json, "sigma"),
                               "[sigma] must be greater than or equal to 0. Found [%s] in [%.*s]",
                               text, QD_STR_ARG(a->name));
}

static bool extended_has_member(const qdi_agg *a, qd_str m)
{
    (void)a;
    return qdi_aggs_listed(
        "count,sum,avg,min,max,sum_of_squares,variance,variance_population,variance_sampling,"
        "std_deviation,std_deviation_population,std_deviation_sampling,std_upper,std_lower,"
        "std_upper_population,std_lower_population,std_upper_sampling,std_lower_sampling",
        m);
}

static int extended_open(qdi_aggr *a, qd_err *err)
{
    return qdi_aggs_stats_open(a, QDI_WANT_SUM | QDI_WANT_BOUNDS | QDI_WANT_SQUARES, err);
}

static double extended_metric(qdi_aggr *a, uint32_t owner, qd_str member)
{
    return qdi_aggs_stats_metric(a, owner, sigma_of(a->def), member);
}

static const qdi_ops ops = {.open = extended_open, .metric = extended_metric, QDI_STATS_OPS};

static double extended_value(const qdi_out *o, qd_str member)
{
    return qdi_aggs_stats_value(qdi_stats_of(o), sigma_of(o->def), member);
}

static void extended_write(const qdi_out *o, bool typed, qd_json_writer *w)
{
    static const char *const names[] = {"sum_of_squares",        "variance",
                                        "variance_population",   "variance_sampling",
                                        "std_deviation",         "std_deviation_population",
                                        "std_deviation_sampling"};
    const qdi_stats *s = qdi_stats_of(o);
    double sigma = sigma_of(o->def), avg = qdi_aggs_stats_value(s, sigma, QD_STR("avg"));
    qdi_aggs_stats_write(o, typed, w);
    for (uint32_t i = 0; i < QD_COUNT_OF(names); i++) {
        qd_json_key_c(w, names[i]);
        double v = qdi_aggs_stats_value(s, sigma, qd_str_c(names[i]));
        if (!s->n)
            qd_json_null(w);
        else
            qd_json_double(w, v);
    }
    static const struct {
        const char *name, *deviation;
        int sign;
    } bounds[] = {{"upper", "std_deviation", 1},
                  {"lower", "std_deviation", -1},
                  {"upper_population", "std_deviation_population", 1},
                  {"lower_population", "std_deviation_population", -1},
                  {"upper_sampling", "std_deviation_sampling", 1},
                  {"lower_sampling", "std_deviation_sampling", -1}};
    double ends[QD_COUNT_OF(bounds)];
    const qdi_format *f = qdi_aggs_format_of(o);
    qd_json_key_c(w, "std_deviation_bounds");
    qd_json_object(w);
    for (uint32_t i = 0; i < QD_COUNT_OF(bounds); i++) {
        qd_json_key_c(w, bounds[i].name);
        double v = qdi_aggs_stats_value(s, sigma, qd_str_c(bounds[i].deviation));
        ends[i] = avg + bounds[i].sign * sigma * v;
        if (!s->n)
            qd_json_null(w);
        else
            qd_json_double(w, ends[i]);
    }
    qd_json_object_end(w);
    if (!s->n || f->kind == QDI_FMT_RAW) return;
    for (uint32_t i = 0; i < QD_COUNT_OF(names); i++) {
        char key[64];
        snprintf(key, sizeof key, "%s_as_string", names[i]);
        double v = qdi_aggs_stats_value(s, sigma, qd_str_c(names[i]));
        if (i < 4) {
            qdi_aggs_write_text(f, key, v, w);
        } else {
            char text[128];
            size_t n = qdi_aggs_format_f64(f, v, text);
            qd_json_field_str(w, key, (qd_str){text, n});
        }
    }
    qd_json_key_c(w, "std_deviation_bounds_as_string");
    qd_json_object(w);
    for (uint32_t i = 0; i < QD_COUNT_OF(bounds); i++) {
        char text[128];
        size_t n = qdi_aggs_format_f64(f, ends[i], text);
        qd_json_field_str(w, bounds[i].name, (qd_str){text, n});
    }
    qd_json_object_end(w);
}

const qd_agg_type qdi_aggs_extended_stats = {
    .name = "extended_stats",
    .key = "extended_stats",
    .flags = QDI_METRIC | QDI_VALUES,
    .params_size = sizeof(extended),
    .members = QDI_NUMERIC ",sigma",
    .parse = extended_parse,
    .has_member = extended_has_member,
    .ops = &ops,
    .empty = qdi_aggs_stats_empty,
    .value = extended_value,
    .write = extended_write,
    QDI_STATS,
};
