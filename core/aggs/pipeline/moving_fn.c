/* moving_fn.c: moving_fn: a script over the values of some buckets before. */
#include "aggs/pipeline/script_int.h"
#include <math.h>

static int moving_fn_parse(qdi_parse *p, qdi_agg *a)
{
    qdi_pipe_script *s = a->params;
    int rc = qdi_aggs_pipe_parse(p, a);
    if (!rc && !qd_json_get(a->json, "window"))
        rc = qdi_aggs_parse_error(
            p, a->json, "Missing required field [window] for moving_fn aggregation [%.*s]",
            QD_STR_ARG(a->name));
    if (!rc) rc = qdi_aggs_get_i64(p, a, "window", &s->window);
    if (!rc) rc = qdi_aggs_get_i64(p, a, "shift", &s->shift);
    if (rc) return rc;
    if (s->window <= 0 || s->window > INT32_MAX)
        return qd_err_set(p->err, QD_E_ARG, "[window] must be a positive, non-zero integer.");
    if (s->shift < INT32_MIN || s->shift > INT32_MAX)
        return qd_err_set(p->err, QD_E_ARG, "[shift] must be an integer.");
    return qdi_aggs_pipe_script(p, a, QD_SCRIPT_MOVING_FUNCTION);
}

static int64_t clamp(int64_t v, uint32_t n)
{
    return v < 0 ? 0 : v > n ? n : v;
}

/* The script over values [from, to). */
static int one(const qdi_pipe_script *s, qd_script_exec *x, qd_sv *all, int64_t from, int64_t to,
               double *out, qd_err *err)
{
    qd_sv *values = &x->vars[QD_SCRIPT_V_VALUES], *params = &x->vars[QD_SCRIPT_V_PARAMS], v;
    uint32_t n = to > from ? (uint32_t)(to - from) : 0;
    qd_arena_reset(&x->arena);
    int rc = s->params.p                         ? qd_sv_parse(&x->arena, s->params, params, err)
             : qd_sv_map_make(&x->arena, params) ? qd_err_nomem(err, "params of a script")
                                                 : 0;
    if (!rc && qd_sv_list_make(&x->arena, n, values)) rc = qd_err_nomem(err, "values of a script");
    if (rc) return rc;
    if (n) memcpy(values->list->v, all + from, n * sizeof *all);
    values->list->n = n;
    values->list->fixed = 2;
    values->tag = QD_SV_ARRAY;
    rc = qd_script_run(x, &v, err);
    *out = v.f;
    return rc;
}

static int moving_fn_run(qdi_reduce *r, const qdi_agg *p, uint32_t at, qdi_out *o, qd_err *err)
{
    const qdi_pipe_script *s = p->params;
    qd_sv *all = qd_arena_alloc(r->arena, (o->n + 1ul) * sizeof *all);
    uint32_t n = 0, index = 0;
    int rc = 0;
    if (!all) return qdi_aggs_reduce_no_memory(r, 64, err);
    for (uint32_t i = 0; i < o->n; i++) {
        double v = qdi_aggs_pipe_bucket(p, &o->b[i], 0);
        if (!isnan(v)) all[n++] = qd_sv_double(v);
    }
    qd_script_exec x;
    qd_script_exec_open(&x, s->script, r->arena->account);
    for (uint32_t i = 0; i < o->n && !rc; i++) {
        double v;
        if (isnan(qdi_aggs_pipe_bucket(p, &o->b[i], 0))) continue;
        rc = one(s, &x, all, clamp(index - s->window + s->shift, n), clamp(index + s->shift, n), &v,
                 err);
        if (rc) break;
        qdi_out *made = qdi_aggs_pipe_within(r, p, at, o, i, v);
        if (!made)
            rc = qdi_aggs_reduce_no_memory(r, 64, err);
        else
            qdi_pipe_value(made)->has = isfinite(v);
        index++;
    }
    qd_script_exec_close(&x);
    return rc;
}

const qd_agg_type qdi_aggs_moving_fn = {
    .name = "moving_fn",
    .key = "simple_value",
    .flags = QDI_PIPELINE | QDI_IN_SEQUENCE,
    .members = QDI_PIPE_MEMBERS ",script,window,shift",
    .parse = moving_fn_parse,
    .below = moving_fn_run,
    .write = qdi_aggs_pipe_write,
    QDI_PIPE_SCRIPT,
};
