/*
 * derivative.c: derivative: the difference to the value of the bucket before.
 */
#include "aggs/pipeline/pipeline_int.h"
#include <math.h>

static int derivative_run(qdi_reduce *r, const qdi_agg *p, uint32_t at, qdi_out *o, qd_err *err)
{
    double before = NAN;
    for (uint32_t i = 0; i < o->n; i++) {
        double v = qdi_aggs_pipe_bucket(p, &o->b[i], 0);
        if (isnan(v)) continue;
        if (!isnan(before) && !qdi_aggs_pipe_within(r, p, at, o, i, v - before))
            return qdi_aggs_reduce_no_memory(r, 64, err);
        before = v;
    }
    return 0;
}

const qd_agg_type qdi_aggs_derivative = {
    .name = "derivative",
    .key = "derivative",
    .flags = QDI_PIPELINE | QDI_IN_SEQUENCE,
    .members = QDI_PIPE_MEMBERS ",unit",
    .parse = qdi_aggs_pipe_parse,
    .below = derivative_run,
    .write = qdi_aggs_pipe_write,
    QDI_PIPE,
};
