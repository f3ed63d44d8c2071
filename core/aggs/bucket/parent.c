/*
 * parent.c: parent: the parents of the documents that are collected, each once a bucket.
 */
#include "aggs/bucket/joined_int.h"

static int parent_bind(qdi_binder *x, qdi_bound *b)
{
    return qdi_aggs_joined_bind(x, b, true);
}

const qd_agg_type qdi_aggs_parent = {
    .name = "parent",
    .key = "parent",
    .flags = QDI_SINGLE,
    .params_size = sizeof(qd_str),
    .bound_size = sizeof(qdi_joined_bound),
    .parse = qdi_aggs_joined_parse,
    .bind = parent_bind,
    .factory = "ParentAggregatorFactory",
    .ops = &qdi_aggs_joined_ops,
    .reduce = qdi_aggs_single_reduce,
    .write = qdi_aggs_single_write,
};
