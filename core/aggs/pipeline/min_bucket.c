/*
 * min_bucket.c: min_bucket: the least value among the buckets of a neighbour, with their keys.
 */
#include "aggs/pipeline/pipeline_int.h"

static int min_bucket_run(qdi_reduce *r, qdi_out *const *neighbours, qdi_out *to, qd_err *err)
{
    return qdi_aggs_pipe_extreme(r, -1, neighbours, to, err);
}

const qd_agg_type qdi_aggs_min_bucket = {
    .name = "min_bucket",
    .key = "bucket_metric_value",
    .flags = QDI_PIPELINE,
    .members = QDI_PIPE_MEMBERS,
    .parse = qdi_aggs_pipe_parse,
    .beside = min_bucket_run,
    .write = qdi_aggs_pipe_write_keys,
    QDI_PIPE,
};
