/*
 * median_absolute_deviation.c: median_absolute_deviation: the median of the distances of the values
 * from their median, by the t-digest of percentiles.
 */
#include "aggs/metric/percents_int.h"
#include <math.h>

typedef struct deviation {
    qdi_percents_sketch sketch; /* a t-digest */
    double value;               /* of the last merge */
} deviation;

static int deviation_parse(qdi_parse *p, qdi_agg *a)
{
    qdi_percents *o = a->params;
    const qd_json_node *m = qd_json_get(a->json, "compression");
    char text[QD_F64_TEXT_MAX];
    o->compression = 1000;
    o->digits = -1;
    int rc = qdi_aggs_common(p, a, true);
    if (!rc) rc = qdi_aggs_get_f64(p, a, "compression", &o->compression);
    if (rc) return rc;
    qd_f64_print(text, o->compression);
    if (!(o->compression > 0))
        return qdi_aggs_setter_arg(p, a, m,
                                   "[compression] must be greater than 0. Found [%s] in [%.*s]",
                                   text, QD_STR_ARG(a->name));
    if (o->compression > QDI_COMPRESSION_MAX)
        return qdi_aggs_setter_arg(p, a, m,
                                   "[compression] must be at most %d. Found [%s] in [%.*s]",
                                   QDI_COMPRESSION_MAX, text, QD_STR_ARG(a->name));
    if (o->compression < QDI_COMPRESSION_MIN) o->compression = QDI_COMPRESSION_MIN;
    return 0;
}

static double deviation_metric(qdi_aggr *a, uint32_t owner, qd_str member)
{
    const qdi_digest *d = qdi_percents_digest(a, owner);
    double v;
    (void)member;
    return d && !qdi_aggs_digest_deviation(d, a->shard->account, &v) ? v : NAN;
}

static int deviation_reduce(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out,
                            qd_err *err)
{
    deviation *v = out->value;
    int rc = qdi_aggs_percents_reduce(r, in, k, out, err);
    if (rc || !r->final) return rc;
    rc = qdi_aggs_digest_deviation(v->sketch.digest, r->arena->account, &v->value);
    return rc ? qdi_aggs_reduce_no_memory(r, v->sketch.digest->n * sizeof(qdi_centroid), err) : 0;
}

static double deviation_value(const qdi_out *o, qd_str member)
{
    const deviation *v = o->value;
    (void)member;
    return v->value;
}

static const qdi_ops ops = {.open = qdi_percents_open,
                            .grow = qdi_percents_grow,
                            .collect = qdi_percents_collect,
                            .build = qdi_percents_build,
                            .metric = deviation_metric,
                            .close = qdi_percents_close};

const qd_agg_type qdi_aggs_median_absolute_deviation = {
    .name = "median_absolute_deviation",
    .key = "median_absolute_deviation",
    .flags = QDI_METRIC | QDI_VALUES,
    .params_size = sizeof(qdi_percents),
    .value_size = sizeof(deviation),
    .members = QDI_NUMERIC ",compression",
    .parse = deviation_parse,
    .ops = &ops,
    .reduce = deviation_reduce,
    .value = deviation_value,
    .send = qdi_aggs_percents_send,
    .receive = qdi_aggs_percents_receive,
    .write = qdi_aggs_write_single,
};
