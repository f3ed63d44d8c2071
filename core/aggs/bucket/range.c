/*
 * range.c: range: intervals of numbers.
 */
#include "aggs/bucket/range_int.h"

const qd_agg_type qdi_aggs_range = {
    .name = "range",
    .key = "range",
    .flags = QDI_MULTI | QDI_VALUES | QDI_EMPTY_KNOWN,
    .members = "field,script,missing,format,value_type,ranges,keyed,time_zone",
    .parse = qdi_aggs_ranges_parse,
    .factory = "RangeAggregatorFactory",
    QDI_RANGES,
};
