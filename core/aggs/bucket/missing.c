/*
 * missing.c: missing: the documents without a value of a field.
 */
#include "aggs/bucket/single_int.h"
#include "aggs/parse/parse_int.h"

static int missing_collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                           qd_err *err)
{
    qdi_source *s = a->src;
    uint32_t bucket;
    int rc = s ? qdi_aggs_source_index(a->shard, s, err) : 0;
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        uint32_t at = idx ? idx[i] : i, from = 0, to = 0;
        if (s) qdi_source_doc(s, at, &from, &to);
        if (from < to) continue;
        rc = qdi_aggs_bucket(a, owner ? owner[i] : 0, 0, &bucket, err);
        if (rc == 0) rc = qdi_emit(a, at, bucket, err);
    }
    return rc ? rc : qdi_aggs_emit_flush(a, err);
}

static const qdi_ops ops = {.collect = missing_collect, .build = qdi_aggs_single_build};

const qd_agg_type qdi_aggs_missing = {
    .name = "missing",
    .key = "missing",
    .flags = QDI_SINGLE | QDI_VALUES | QDI_TAKES_BYTES | QDI_ANY_BYTES | QDI_RANGES,
    .members = "field,missing,format,value_type,time_zone",
    .parse = qdi_aggs_parse_field,
    .unmapped = "keyword",
    .factory = "MissingAggregatorFactory",
    .ops = &ops,
    .reduce = qdi_aggs_single_reduce,
    .write = qdi_aggs_single_write,
};
