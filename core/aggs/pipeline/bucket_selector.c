/* bucket_selector.c: bucket_selector: the buckets of its parent for which a script is true. */
#include "aggs/pipeline/script_int.h"

static int bucket_selector_parse(qdi_parse *p, qdi_agg *a)
{
    return qdi_aggs_pipe_script_vars(p, a, QD_SCRIPT_AGG_SELECTOR);
}

static int bucket_selector_run(qdi_reduce *r, const qdi_agg *p, uint32_t at, qdi_out *o,
                               qd_err *err)
{
    const qdi_pipe_script *s = p->params;
    qd_script_exec x;
    uint32_t n = 0;
    int rc = 0;
    (void)at;
    qd_script_exec_open(&x, s->script, r->arena->account);
    for (uint32_t i = 0; i < o->n && !rc; i++) {
        bool gap;
        qd_sv v = qd_sv_null();
        rc = qdi_aggs_pipe_script_run(r, p, &o->b[i], &x, false, &gap, &v, err);
        if (!rc && v.i) o->b[n++] = o->b[i];
    }
    if (!rc) o->n = n;
    qd_script_exec_close(&x);
    return rc;
}

const qd_agg_type qdi_aggs_bucket_selector = {
    .name = "bucket_selector",
    .key = "bucket_selector",
    .flags = QDI_PIPELINE | QDI_SILENT,
    .members = "buckets_path,gap_policy,script",
    .parse = bucket_selector_parse,
    .below = bucket_selector_run,
    .write = qdi_aggs_pipe_write,
    QDI_PIPE_SCRIPT,
};
