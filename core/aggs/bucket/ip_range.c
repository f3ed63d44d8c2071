/*
 * ip_range.c: ip_range: intervals of addresses, also as a mask (CIDR).
 */
#include "aggs/bucket/range_int.h"

static int ip_range_parse(qdi_parse *p, qdi_agg *a)
{
    qdi_ranges_of(a)->addresses = true;
    return qdi_aggs_ranges_parse(p, a);
}

const qd_agg_type qdi_aggs_ip_range = {
    .name = "ip_range",
    .key = "ip_range",
    .flags = QDI_MULTI | QDI_VALUES | QDI_EMPTY_KNOWN | QDI_TAKES_BYTES | QDI_ADDRESSES,
    .members = "field,missing,format,value_type,ranges,keyed",
    .parse = ip_range_parse,
    .unmapped = "ip",
    .factory = "BinaryRangeAggregatorFactory",
    QDI_RANGES,
};
