/* script.c: scripts of pipelines: read, bound to paths, run for a bucket. */
#include "query/script.h"
#include "aggs/pipeline/script_int.h"
#include <math.h>
#include <stdio.h>

static void put(void *script)
{
    qd_script_put(script);
}

int qdi_aggs_pipe_script(qdi_parse *p, qdi_agg *a, qd_script_context context)
{
    qdi_pipe_script *s = a->params;
    const qd_json_node *m = qd_json_get(a->json, "script");
    const qd_query_reading *how = p->how->reading;
    qd_script_ref ref;
    if (!m)
        return qdi_aggs_parse_error(p, a->json,
                                    "Missing required field [script] for %s aggregation [%.*s]",
                                    a->type->name, QD_STR_ARG(a->name));
    int rc = qd_script_ref_parse(m, &ref, p->err);
    if (!rc && ref.id.p && (!how || !how->stored))
        rc = qd_err_set(p->err, QD_E_ARG, "stored scripts are not supported here");
    if (!rc && ref.id.p)
        rc = how->stored(how->lookup_arg, ref.id, p->arena, &ref.lang, &ref.source, p->err);
    if (!rc) rc = qd_script_compile(ref.lang, ref.source, context, &s->script, p->err);
    if (rc) return rc;
    if (qd_arena_on_reset(p->arena, put, s->script)) return qd_err_nomem(p->err, "a script");
    if (ref.params) s->params = ref.params->raw;
    return 0;
}

static int add_var(qdi_parse *p, qdi_pipe_script *s, qd_str name, const qd_json_node *m)
{
    if (m->type != QD_JSON_T_STRING)
        return qdi_aggs_parse_error(p, m, "Unexpected token %s in [%s].",
                                    qd_json_type_token(m->type), "buckets_path");
    s->vars[s->nvars++] = (qdi_pipe_variable){.name = name, .text = m->text};
    return 0;
}

int qdi_aggs_pipe_script_vars(qdi_parse *p, qdi_agg *a, qd_script_context context)
{
    qdi_pipe_script *s = a->params;
    const qd_json_node *m = qd_json_get(a->json, "buckets_path");
    int rc = qdi_aggs_pipe_common(p, a);
    if (!rc && !m)
        rc = qdi_aggs_parse_error(p, a->json,
                                  "Missing required field [buckets_path] for %s aggregation [%.*s]",
                                  a->type->name, QD_STR_ARG(a->name));
    if (rc) return rc;
    bool list = m->type == QD_JSON_T_ARRAY;
    s->vars = qd_arena_calloc(p->arena, (m->n + 1) * sizeof *s->vars);
    if (!s->vars) return qd_err_nomem(p->err, "buckets_path");
    if (!list && m->type != QD_JSON_T_OBJECT) rc = add_var(p, s, QD_STR("_value"), m);
    for (const qd_json_node *x = m->first; x && !rc; x = x->next)
        rc = add_var(p, s, list ? qd_arena_printf(p->arena, "_value%u", s->nvars) : x->key, x);
    return rc ? rc : qdi_aggs_pipe_script(p, a, context);
}

int qdi_aggs_pipe_script_resolve(qdi_parse *p, qdi_agg *a, qdi_agg *const *level, uint32_t n)
{
    qdi_pipe_script *s = a->params;
    int rc = qdi_aggs_pipe_resolve(p, a, level, n);
    for (uint32_t i = 0; i < s->nvars && !rc; i++)
        rc = qdi_aggs_pipe_path(p, a, level, n, s->vars[i].text, &s->vars[i].path);
    return rc;
}

/* The value of a path in a bucket; NAN: a gap that is to be skipped. */
static double value_of(const qdi_pipe_script *s, const qdi_path *path, const qdi_bucket_out *b)
{
    double v = qdi_aggs_out_metric(b->subs, b->docs, path, 0);
    bool gap = !path->count && b->docs == 0;
    if (gap || !isfinite(v)) return s->pipe.skip_gaps ? NAN : 0;
    return v;
}

int qdi_aggs_pipe_script_run(qdi_reduce *r, const qdi_agg *a, const qdi_bucket_out *b,
                             qd_script_exec *x, bool skips, bool *gap, qd_sv *out, qd_err *err)
{
    const qdi_pipe_script *s = a->params;
    qd_sv *params = &x->vars[QD_SCRIPT_V_PARAMS];
    (void)r;
    *gap = false;
    qd_arena_reset(&x->arena);
    int rc = qd_script_params_make(&x->arena, s->params, params, err);
    for (uint32_t i = 0; i < s->nvars && !rc; i++) {
        double v = value_of(s, &s->vars[i].path, b);
        *gap |= isnan(v) != 0;
        if (qd_sv_map_put(&x->arena, params->map, s->vars[i].name, qd_sv_double(v)))
            rc = qd_err_nomem(err, "params of a script");
    }
    if (rc || (*gap && skips)) return rc;
    return qd_script_run(x, out, err);
}
