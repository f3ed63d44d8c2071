/*
 * children.c: children: the children of the documents that are collected.
 */
#include "aggs/bucket/joined_int.h"

static int children_bind(qdi_binder *x, qdi_bound *b)
{
    return qdi_aggs_joined_bind(x, b, false);
}

const qd_agg_type qdi_aggs_children = {
    .name = "children",
    .key = "children",
    .flags = QDI_SINGLE,
    .params_size = sizeof(qd_str),
    .bound_size = sizeof(qdi_joined_bound),
    .parse = qdi_aggs_joined_parse,
    .bind = children_bind,
    .factory = "ChildrenAggregatorFactory",
    .ops = &qdi_aggs_joined_ops,
    .reduce = qdi_aggs_single_reduce,
    .write = qdi_aggs_single_write,
};
