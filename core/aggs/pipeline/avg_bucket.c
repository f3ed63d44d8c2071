/*
 * avg_bucket.c: avg_bucket: the mean of the values of a neighbour's buckets.
 */
#include "aggs/pipeline/pipeline_int.h"

static int avg_bucket_run(qdi_reduce *r, qdi_out *const *neighbours, qdi_out *to, qd_err *err)
{
    uint64_t n;
    double sum;
    (void)r, (void)err;
    const qdi_out *o = qdi_aggs_pipe_sum(to->def, neighbours, &sum, &n);
    to->bound = o ? o->bound : NULL;
    qdi_pipe_value(to)->has = n > 0;
    qdi_pipe_value(to)->value = sum / (double)n;
    return 0;
}

const qd_agg_type qdi_aggs_avg_bucket = {
    .name = "avg_bucket",
    .key = "simple_value",
    .flags = QDI_PIPELINE,
    .members = QDI_PIPE_MEMBERS,
    .parse = qdi_aggs_pipe_parse,
    .beside = avg_bucket_run,
    .write = qdi_aggs_pipe_write,
    QDI_PIPE,
};
