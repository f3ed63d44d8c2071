/*
 * date_range.c: date_range: intervals of dates, also by date math and formats of the request.
 */
#include "aggs/bucket/range_int.h"

const qd_agg_type qdi_aggs_date_range = {
    .name = "date_range",
    .key = "date_range",
    .flags = QDI_MULTI | QDI_VALUES | QDI_EMPTY_KNOWN | QDI_DATES | QDI_BY_FORMAT,
    .members = "field,script,missing,format,value_type,ranges,keyed,time_zone",
    .parse = qdi_aggs_ranges_parse,
    .unmapped = "date",
    .factory = "DateRangeAggregatorFactory",
    QDI_RANGES,
};
