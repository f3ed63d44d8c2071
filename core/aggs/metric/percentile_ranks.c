/*
 * percentile_ranks.c: percentile_ranks: the shares of the numbers that lie below given values.
 */
#include "aggs/metric/percents_int.h"

static int ranks_parse(qdi_parse *p, qdi_agg *a)
{
    qdi_percents_of(a)->ranks = true;
    return qdi_aggs_percents_parse(p, a);
}

static const char *ranks_typed_key(const qdi_out *o)
{
    return qdi_percents_of(o->def)->digits >= 0 ? "hdr_percentile_ranks"
                                                : "tdigest_percentile_ranks";
}

const qd_agg_type qdi_aggs_percentile_ranks = {
    .name = "percentile_ranks",
    .members = QDI_NUMERIC ",values,keyed,tdigest,hdr",
    .parse = ranks_parse,
    .typed_key = ranks_typed_key,
    QDI_PERCENTS,
};
