/*
 * percentiles.c: percentiles: the values below which given shares of the numbers lie.
 */
#include "aggs/metric/percents_int.h"

static const char *percentiles_typed_key(const qdi_out *o)
{
    return qdi_percents_of(o->def)->digits >= 0 ? "hdr_percentiles" : "tdigest_percentiles";
}

const qd_agg_type qdi_aggs_percentiles = {
    .name = "percentiles",
    .members = QDI_NUMERIC ",percents,keyed,tdigest,hdr",
    .parse = qdi_aggs_percents_parse,
    .typed_key = percentiles_typed_key,
    QDI_PERCENTS,
};
