/* bucket_script.c: bucket_script: a number that a script makes of others in the bucket. */
#include "aggs/pipeline/script_int.h"

static int bucket_script_parse(qdi_parse *p, qdi_agg *a)
{
    return qdi_aggs_pipe_script_vars(p, a, QD_SCRIPT_BUCKET_AGG);
}

static int one(qdi_reduce *r, const qdi_agg *p, uint32_t at, qdi_out *o, uint32_t i,
               qd_script_exec *x, qd_err *err)
{
    bool gap;
    qd_sv v = qd_sv_null();
    int rc = qdi_aggs_pipe_script_run(r, p, &o->b[i], x, true, &gap, &v, err);
    if (rc || gap || v.tag == QD_SV_NULL) return rc;
    if (v.tag < QD_SV_BYTE || v.tag > QD_SV_DOUBLE || v.tag == QD_SV_CHAR)
        return qd_err_set(err, QD_E_ARG,
                          "series_arithmetic script for reducer [%.*s] must return a Number",
                          QD_STR_ARG(p->name));
    double number = v.tag >= QD_SV_FLOAT ? v.f : (double)v.i;
    return qdi_aggs_pipe_within(r, p, at, o, i, number) ? 0 : qdi_aggs_reduce_no_memory(r, 64, err);
}

static int bucket_script_run(qdi_reduce *r, const qdi_agg *p, uint32_t at, qdi_out *o, qd_err *err)
{
    const qdi_pipe_script *s = p->params;
    qd_script_exec x;
    int rc = 0;
    qd_script_exec_open(&x, s->script, r->arena->account);
    for (uint32_t i = 0; i < o->n && !rc; i++) rc = one(r, p, at, o, i, &x, err);
    qd_script_exec_close(&x);
    return rc;
}

const qd_agg_type qdi_aggs_bucket_script = {
    .name = "bucket_script",
    .key = "simple_value",
    .flags = QDI_PIPELINE,
    .members = QDI_PIPE_MEMBERS ",script",
    .parse = bucket_script_parse,
    .below = bucket_script_run,
    .write = qdi_aggs_pipe_write,
    QDI_PIPE_SCRIPT,
};
