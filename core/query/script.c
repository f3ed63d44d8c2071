/* script.c: scripts of requests, read and bound. */
#include "query/script.h"

int qd_script_given_of(const qd_query_reading *how, const qd_json_node *n, qd_script_given *out,
                       qd_err *err)
{
    qd_script_ref ref;
    int rc = qd_script_ref_parse(n, &ref, err);
    if (rc) return rc;
    *out = (qd_script_given){.lang = ref.lang, .source = ref.source};
    if (ref.params) out->params = ref.params->raw;
    if (!ref.id.p) return 0;
    if (!how->stored)
        return qd_err_set(err, QD_E_ARG, "stored scripts are not supported here: give the source");
    return how->stored(how->lookup_arg, ref.id, how->arena, &out->lang, &out->source, err);
}

int qd_script_given_read(const qd_query_reading *how, qd_json_reader *r, qd_script_given *out,
                         qd_err *err)
{
    qd_json_node *n;
    qd_str raw;
    int rc = qd_json_raw(r, &raw);
    if (rc) return qd_json_fail(r, err);
    qd_str text = qd_arena_str(how->arena, raw);
    if (!text.p) return qd_err_nomem(err, "a script");
    rc = qd_json_parse(how->arena, text, 0, &n, err);
    return rc ? rc : qd_script_given_of(how, n, out, err);
}

static void put(void *script)
{
    qd_script_put(script);
}

int qd_script_bind_make(const qd_query_context *c, const qd_script_given *g,
                        qd_script_context context, const qd_script_bind **out, qd_err *err)
{
    qd_script_bind *b = qd_arena_calloc(c->arena, sizeof *b);
    const qd_str *names;
    if (!b) return qd_err_nomem(err, "a script");
    int rc = qd_script_compile(g->lang, g->source, context, &b->script, err);
    if (rc) return rc;
    if (qd_arena_on_reset(c->arena, put, b->script)) return qd_err_nomem(err, "a script");
    uint32_t n = qd_script_fields(b->script, &names);
    const qd_field **fields = qd_arena_calloc(c->arena, (n + 1) * sizeof *fields);
    if (!fields) return qd_err_nomem(err, "a script");
    for (uint32_t i = 0; i < n && !rc; i++)
        rc = qd_mapping_find(c->mapping, names[i], c->arena, &fields[i], err);
    b->fields = fields;
    b->params = g->params;
    b->mapping = c->mapping;
    b->now_ms = c->now_ms;
    *out = b;
    return rc;
}

int qd_script_params_make(qd_arena *arena, qd_str json, qd_sv *out, qd_err *err)
{
    if (json.p) return qd_sv_parse(arena, json, out, err);
    return qd_sv_map_make(arena, out) ? qd_err_nomem(err, "params of a script") : 0;
}

static void fix(qd_sv *v, int depth)
{
    if (depth > QD_SV_DEPTH) return;
    if (v->tag == QD_SV_MAP) {
        v->map->fixed = true;
        for (uint32_t i = 0; i < v->map->n; i++) fix(&v->map->e[i].value, depth + 1);
    } else if (v->tag == QD_SV_LIST) {
        v->list->fixed = 1;
        for (uint32_t i = 0; i < v->list->n; i++) fix(&v->list->v[i], depth + 1);
    }
}

void qd_script_params_fix(qd_sv *v)
{
    fix(v, 0);
}
