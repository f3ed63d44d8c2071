/*
 * sum_bucket.c: sum_bucket: the sum of the values of a neighbour's buckets.
 */
#include "aggs/pipeline/pipeline_int.h"

static int sum_bucket_run(qdi_reduce *r, qdi_out *const *neighbours, qdi_out *to, qd_err *err)
{
    uint64_t n;
    (void)r, (void)err;
    const qdi_out *o = qdi_aggs_pipe_sum(to->def, neighbours, &qdi_pipe_value(to)->value, &n);
    to->bound = o ? o->bound : NULL;
    qdi_pipe_value(to)->has = true;
    return 0;
}

const qd_agg_type qdi_aggs_sum_bucket = {
    .name = "sum_bucket",
    .key = "simple_value",
    .flags = QDI_PIPELINE,
    .members = QDI_PIPE_MEMBERS,
    .parse = qdi_aggs_pipe_parse,
    .beside = sum_bucket_run,
    .write = qdi_aggs_pipe_write,
    QDI_PIPE,
};
