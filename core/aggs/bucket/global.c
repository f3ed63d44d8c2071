/*
 * global.c: global: all documents, whatever the query matches.
 */
#include "aggs/bucket/single_int.h"
#include "aggs/parse/parse_int.h"

static int global_parse(qdi_parse *p, qdi_agg *a)
{
    if (a->parent)
        return qdi_aggs_execution_error(
            p->tree, p->err,
            "Aggregation [%.*s] cannot have a global sub-aggregation [%.*s]. Global "
            "aggregations can only be defined as top level aggregations",
            QD_STR_ARG(a->parent->name), QD_STR_ARG(a->name));
    if (!a->json->first) return 0;
    return qdi_aggs_parse_error(
        p, a->json->first, "Expected [FIELD_NAME] under a [START_OBJECT], but got a [%s] in [%.*s]",
        qd_json_type_token(a->json->first->type), QD_STR_ARG(a->name));
}

static int global_collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                          qd_err *err)
{
    uint32_t bucket;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        rc = qdi_aggs_bucket(a, owner ? owner[i] : 0, 0, &bucket, err);
        if (rc == 0) rc = qdi_emit(a, idx ? idx[i] : i, bucket, err);
    }
    return rc ? rc : qdi_aggs_emit_flush(a, err);
}

static const qdi_ops ops = {.collect = global_collect, .build = qdi_aggs_single_build};

const qd_agg_type qdi_aggs_global = {
    .name = "global",
    .key = "global",
    .flags = QDI_SINGLE | QDI_ALL_DOCS,
    .parse = global_parse,
    .factory = "GlobalAggregatorFactory",
    .ops = &ops,
    .reduce = qdi_aggs_single_reduce,
    .write = qdi_aggs_single_write,
};
