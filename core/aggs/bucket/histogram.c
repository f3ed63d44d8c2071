/*
 * histogram.c: histogram: intervals of numbers. A bucket's key is the number of its interval.
 */
#include "aggs/bucket/histogram_int.h"
#include <math.h>

static int histogram_parse(qdi_parse *p, qdi_agg *a)
{
    int rc = qdi_aggs_common(p, a, true);
    if (!rc) rc = qdi_aggs_get_f64(p, a, "interval", &qdi_histogram_of(a)->round.interval);
    if (!rc) rc = qdi_aggs_get_f64(p, a, "offset", &qdi_histogram_of(a)->round.offset);
    if (!rc) rc = qdi_aggs_histogram_members(p, a);
    const qd_json_node *m = qd_json_get(a->json, "interval");
    if (rc || !m) return rc;
    if (qdi_histogram_of(a)->round.interval > 0 && isfinite(qdi_histogram_of(a)->round.interval))
        return 0;
    return qdi_aggs_setter_arg(p, a, m, "[interval] must be >0 for histogram aggregation [%.*s]",
                               QD_STR_ARG(a->name));
}

static double histogram_key_real(const qdi_agg *a, int64_t key)
{
    return qdi_histogram_key(&qdi_histogram_of(a)->round, key);
}

const qd_agg_type qdi_aggs_histogram = {
    .name = "histogram",
    .key = "histogram",
    .flags = QDI_MULTI | QDI_VALUES | QDI_SEQUENCE | QDI_EMPTY_KNOWN | QDI_RANGES,
    .members =
        "field,script,missing,format,value_type,interval,offset,min_doc_count,extended_bounds,"
        "hard_bounds,order,keyed",
    .parse = histogram_parse,
    .factory = "HistogramAggregatorFactory",
    .key_real = histogram_key_real,
    QDI_HISTOGRAMS,
};
