/*
 * cumulative_sum.c: cumulative_sum: the sum of the values of a bucket and those before it.
 */
#include "aggs/pipeline/pipeline_int.h"
#include <math.h>

static int cumulative_sum_run(qdi_reduce *r, const qdi_agg *p, uint32_t at, qdi_out *o, qd_err *err)
{
    double sum = 0;
    for (uint32_t i = 0; i < o->n; i++) {
        double v = qdi_aggs_pipe_bucket(p, &o->b[i], 0);
        if (!isnan(v)) sum += v;
        if (!qdi_aggs_pipe_within(r, p, at, o, i, sum))
            return qdi_aggs_reduce_no_memory(r, 64, err);
    }
    return 0;
}

const qd_agg_type qdi_aggs_cumulative_sum = {
    .name = "cumulative_sum",
    .key = "simple_value",
    .flags = QDI_PIPELINE | QDI_IN_SEQUENCE,
    .members = QDI_PIPE_MEMBERS,
    .parse = qdi_aggs_pipe_parse,
    .below = cumulative_sum_run,
    .write = qdi_aggs_pipe_write,
    QDI_PIPE,
};
