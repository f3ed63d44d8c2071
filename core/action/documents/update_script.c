/*
 * update_script.c: updates by script, on the primary: the document as ctx._source, and what the
 * script says is to become of it (ctx.op).
 */
#include "action/documents/documents_int.h"
#include "action/script/script_int.h"
#include "base/str.h"

#define SOURCE_MAX ((size_t)1 << 31)

static int put(qd_script_exec *x, qd_sv_map *m, const char *key, qd_sv v, qd_err *err)
{
    return qd_sv_map_put(&x->arena, m, qd_str_c(key), v) ? qd_err_nomem(err, "ctx of a script") : 0;
}

int qdi_script_ctx(qd_script_exec *x, const doc_ctx *c, qd_err *err)
{
    qd_sv ctx, source = qd_sv_null();
    int rc = qd_sv_map_make(&x->arena, &ctx) ? qd_err_nomem(err, "ctx of a script") : 0;
    if (!rc) rc = put(x, ctx.map, "_index", qd_sv_str(c->index), err);
    if (!rc && c->types) rc = put(x, ctx.map, "_type", qd_sv_str(QD_STR("_doc")), err);
    if (!rc) rc = put(x, ctx.map, "_id", c->id.p ? qd_sv_str(c->id) : qd_sv_null(), err);
    if (!rc) rc = put(x, ctx.map, "_version", qd_sv_long(c->version), err);
    if (!rc)
        rc = put(x, ctx.map, "_routing", c->routing.n ? qd_sv_str(c->routing) : qd_sv_null(), err);
    if (!rc) rc = put(x, ctx.map, "op", qd_sv_str(qd_str_c(c->op)), err);
    if (!rc && c->now) rc = put(x, ctx.map, "_now", qd_sv_long(x->now_ms), err);
    if (!rc) rc = qd_sv_parse(&x->arena, c->source, &source, err);
    if (!rc) rc = put(x, ctx.map, "_source", source, err);
    x->vars[QD_SCRIPT_V_CTX] = ctx;
    return rc;
}

int qdi_script_source(qd_script_exec *x, qd_arena *arena, qd_str *out, qd_err *err)
{
    const qd_sv *s = qd_sv_map_get(x->vars[QD_SCRIPT_V_CTX].map, QD_STR("_source"));
    qd_json_writer w;
    qd_buf b;
    if (!s || s->tag != QD_SV_MAP)
        return qd_err_set(err, QD_E_ARG, "the script left no object in ctx._source");
    qd_buf_init(&b, x->arena.account, SOURCE_MAX);
    qd_json_writer_init(&w, &b, false);
    int rc = qd_sv_write(s, &w, err);
    if (!rc && qd_buf_status(&b)) rc = qd_err_nomem(err, "updated document");
    if (!rc) {
        *out = qd_arena_str(arena, qd_buf_view(&b));
        if (!out->p) rc = qd_err_nomem(err, "updated document");
    }
    qd_buf_fini(&b);
    return rc;
}

/* What ctx.op says; what it does not know is nothing, as in Elasticsearch. */
static doc_change change_of(const qd_script_exec *x, bool creates)
{
    const qd_sv *op = qd_sv_map_get(x->vars[QD_SCRIPT_V_CTX].map, QD_STR("op"));
    if (!op || op->tag != QD_SV_STRING) return DOC_CHANGE_NONE;
    if (qd_sv_is(op, creates ? "create" : "index")) return DOC_CHANGE_INDEX;
    return !creates && qd_sv_is(op, "delete") ? DOC_CHANGE_DELETE : DOC_CHANGE_NONE;
}

int qdi_update_by_script(doc_batch *b, const doc_item *i, const qd_engine_doc *now,
                         const doc_script *u, qd_str *source, doc_change *change, qd_err *err)
{
    qd_script_ref ref;
    qd_script *script = NULL;
    qd_script_exec x;
    bool creates = !now->found;
    int rc = qdi_script_of(b->state, u->script, QD_SCRIPT_UPDATE, &ref, &script, err);
    if (rc) return rc;
    qd_script_exec_open(&x, script, b->a->account);
    x.now_ms = qd_env_wall_ms(b->a->env);
    rc = qdi_script_params(&x, &ref, err);
    doc_ctx c = {.index = i->concrete,
                 .id = i->id,
                 .routing = creates ? i->routing : now->routing,
                 .source = creates ? u->upsert->raw : now->source,
                 .version = creates ? -1 : (int64_t)now->version,
                 .op = creates ? "create" : "index",
                 .types = qdi_has_types(b->a),
                 .now = true};
    if (!rc) rc = qdi_script_ctx(&x, &c, err);
    if (!rc) {
        qd_sv none;
        rc = qd_script_run(&x, &none, err);
        if (rc) rc = qd_err_wrap(err, QD_E_ARG, "failed to execute script");
    }
    if (!rc) {
        *change = change_of(&x, creates);
        if (*change == DOC_CHANGE_DELETE)
            *source = now->source;
        else
            rc = qdi_script_source(&x, b->arena, source, err);
    }
    qd_script_exec_close(&x);
    qd_script_put(script);
    return rc;
}
