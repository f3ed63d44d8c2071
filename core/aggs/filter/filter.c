/*
 * filter.c: filter: the documents that a query matches.
 */
#include "aggs/bucket/single_int.h"
#include "aggs/filter/filters_int.h"

static int filter_parse(qdi_parse *p, qdi_agg *a)
{
    a->keyed = true;
    int rc = qdi_aggs_filters_room(p, a, a->json, 1);
    return rc ? rc : qdi_aggs_filters_read(p, a->json, qdi_filters_of(a)->queries);
}

static const qdi_ops ops = {.open = qdi_aggs_filters_open,
                            .collect = qdi_aggs_filters_collect,
                            .build = qdi_aggs_single_build};

const qd_agg_type qdi_aggs_filter = {
    .name = "filter",
    .key = "filter",
    .flags = QDI_SINGLE,
    .params_size = sizeof(qdi_filters),
    .bound_size = sizeof(qdi_filters_bound),
    .parse = filter_parse,
    .bind = qdi_aggs_filters_bind,
    .ops = &ops,
    .reduce = qdi_aggs_single_reduce,
    .write = qdi_aggs_single_write,
};
