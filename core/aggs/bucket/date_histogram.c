/*
 * date_histogram.c: date_histogram: intervals of time, by the calendar and a zone or of one length.
 * Keys are milliseconds.
 */
#include "aggs/bucket/histogram_int.h"

#define MEMBERS                                                                                    \
    "field,script,missing,format,value_type,calendar_interval,fixed_interval,offset,"              \
    "time_zone,min_doc_count,extended_bounds,hard_bounds,order,keyed"

static int date_histogram_parse(qdi_parse *p, qdi_agg *a)
{
    qdi_histogram_of(a)->dates = true;
    int rc = qdi_aggs_common(p, a, true);
    if (!rc) rc = qdi_aggs_rounding_parse(p, a, &qdi_histogram_of(a)->round);
    return rc ? rc : qdi_aggs_histogram_members(p, a);
}

const qd_agg_type qdi_aggs_date_histogram = {
    .name = "date_histogram",
    .key = "date_histogram",
    .flags = QDI_MULTI | QDI_VALUES | QDI_SEQUENCE | QDI_EMPTY_KNOWN | QDI_DATES | QDI_INTEGERS |
             QDI_RANGES,
    .members = MEMBERS,
    .members_old = MEMBERS ",interval",
    .parse = date_histogram_parse,
    .unmapped = "date",
    .factory = "DateHistogramAggregatorFactory",
    QDI_HISTOGRAMS,
};
