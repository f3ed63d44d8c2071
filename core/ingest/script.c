/*
 * script.c: scripts of pipelines: the parameter "if" and the processor "script". A script sees the
 * document as ctx: its members, its metadata (_index, _id …) and _ingest side by side. What the
 * processor leaves in ctx is the document from then on; what a condition changes is lost.
 */
#include "script/script.h"
#include "base/str.h"
#include "ingest/ingest_int.h"
#include "json/number.h"

const bool qdi_script_there = true;

struct qdi_script {
    qd_script *script;
    qd_str params; /* JSON; n 0: none */
};

/* --- compiling -------------------------------------------------------------------------------- */

static void release(void *arg)
{
    qd_script_put(((qdi_script *)arg)->script);
}

/* The script that n names, without what belongs to the processor. */
static int reference(const qdi_build *b, const qd_json_node *n, qd_script_ref *out, qd_err *err)
{
    static const char *const own[] = {"tag", "description", "if", "ignore_failure", "on_failure"};
    if (n->type != QD_JSON_T_OBJECT) return qd_script_ref_parse(n, out, err);
    qd_json_node copy = *n, *last = NULL;
    copy.first = NULL;
    copy.n = 0;
    for (const qd_json_node *m = n->first; m; m = m->next) {
        bool skip = false;
        for (size_t i = 0; i < QD_COUNT_OF(own); i++) skip |= qd_str_is(m->key, own[i]);
        if (skip) continue;
        qd_json_node *c = qd_arena_alloc(b->a, sizeof *c);
        if (!c) return qd_err_nomem(err, "pipeline");
        *c = *m;
        c->next = NULL;
        if (last)
            last->next = c;
        else
            copy.first = c;
        last = c;
        copy.n++;
    }
    return qd_script_ref_parse(&copy, out, err);
}

static int compile(const qdi_build *b, const char *property, const qd_json_node *n, qdi_script *s,
                   qd_err *err)
{
    qd_script_ref ref;
    int rc = reference(b, n, &ref, err);
    if (!rc && ref.id.p)
        rc = qd_err_set(err, QD_E_ARG, "stored scripts are not supported in pipelines");
    if (rc) return rc;
    if (ref.params) {
        s->params = qd_arena_str(b->a, ref.params->raw);
        if (!s->params.p) return qd_err_nomem(err, "pipeline");
    }
    return qd_script_compile(ref.lang, ref.source,
                             property ? QD_SCRIPT_CONDITION : QD_SCRIPT_INGEST, &s->script, err);
}

int qdi_script_make(const qdi_build *b, const char *property, const qd_json_node *n,
                    qdi_script **out, qd_err *err)
{
    qdi_script *s = *out = qd_arena_calloc(b->a, sizeof *s);
    if (!s || qd_arena_on_reset(b->a, release, s)) return qd_err_nomem(err, "pipeline");
    int rc = compile(b, property, n, s, err);
    return rc && rc != QD_E_NOMEM ? qdi_arg_wrap(b, property, err) : rc;
}

/* --- the document as ctx ---------------------------------------------------------------------- */

static int nomem(qd_err *err)
{
    return qd_err_nomem(err, "ctx of a script");
}

static int to_script(qd_arena *a, const qd_iv *v, qd_sv *out, qd_err *err);

static int add_members(qd_arena *a, const qd_iv *from, qd_sv_map *to, qd_err *err)
{
    int rc = 0;
    for (uint32_t i = 0; i < from->n && !rc; i++) {
        qd_sv x;
        rc = to_script(a, &from->members[i].value, &x, err);
        if (!rc && qd_sv_map_put(a, to, from->members[i].key, x)) rc = nomem(err);
    }
    return rc;
}

static int number_of(const qd_iv *v, bool single, qd_sv *out)
{
    double d = 0;
    (void)qd_iv_number(v, &d);
    *out = qd_sv_double(d);
    if (single) out->tag = QD_SV_FLOAT;
    return 0;
}

/* Depth: that of a document's tree, QD_IV_DEPTH_MAX. */
static int to_script(qd_arena *a, const qd_iv *v, qd_sv *out, qd_err *err)
{
    int rc = 0;
    switch ((qd_iv_kind)v->kind) {
    case QD_IV_NULL:
        *out = qd_sv_null();
        break;
    case QD_IV_BOOL:
        *out = qd_sv_bool(v->truth);
        break;
    case QD_IV_LONG:
        *out = v->i >= INT32_MIN && v->i <= INT32_MAX ? qd_sv_int((int32_t)v->i) : qd_sv_long(v->i);
        break;
    case QD_IV_BIG:
        *out = (qd_sv){.tag = QD_SV_BIG, .n = (uint32_t)v->s.n, .p = v->s.p};
        break;
    case QD_IV_FLOAT:
    case QD_IV_DOUBLE:
        return number_of(v, v->kind == QD_IV_FLOAT, out);
    case QD_IV_STR:
        *out = qd_sv_str(v->s);
        break;
    case QD_IV_LIST:
        if (qd_sv_list_make(a, v->n, out)) return nomem(err);
        for (uint32_t i = 0; i < v->n && !rc; i++) {
            qd_sv x;
            rc = to_script(a, &v->items[i], &x, err);
            if (!rc && qd_sv_list_add(a, out->list, x)) rc = nomem(err);
        }
        break;
    case QD_IV_MAP:
        if (qd_sv_map_make(a, out)) return nomem(err);
        rc = add_members(a, v, out->map, err);
        break;
    }
    return rc;
}

static int make_ctx(qd_script_exec *x, const qd_ingest_run *r, qd_err *err)
{
    qd_sv ctx, ingest;
    if (qd_sv_map_make(&x->arena, &ctx)) return nomem(err);
    int rc = add_members(&x->arena, &r->source, ctx.map, err);
    if (!rc) rc = add_members(&x->arena, &r->meta, ctx.map, err);
    if (!rc) rc = to_script(&x->arena, &r->ingest, &ingest, err);
    if (!rc && qd_sv_map_put(&x->arena, ctx.map, QD_STR("_ingest"), ingest)) rc = nomem(err);
    x->vars[QD_SCRIPT_V_CTX] = ctx;
    return rc;
}

/* --- back ------------------------------------------------------------------------------------- */

static int from_script(qd_ingest_run *r, const qd_sv *v, uint32_t depth, qd_iv *out, qd_err *err);

static int own_text(qd_ingest_run *r, qd_str s, qd_str *out, qd_err *err)
{
    *out = qd_arena_str(&r->arena, s);
    return out->p || !s.n ? 0 : qdi_run_nomem(err);
}

/* Values that have a form in JSON alone: dates, sets, arrays. */
static int by_json(qd_ingest_run *r, const qd_sv *v, qd_iv *out, qd_err *err)
{
    qd_buf b;
    qd_json_writer w;
    qd_json_node *n = NULL;
    qd_buf_init(&b, r->arena.account, (size_t)1 << 26);
    qd_json_writer_init(&w, &b, false);
    int rc = qd_sv_write(v, &w, err);
    if (!rc && qd_buf_status(&b)) rc = qdi_run_nomem(err);
    qd_str text = {NULL, 0};
    if (!rc) rc = own_text(r, qd_buf_view(&b), &text, err);
    if (!rc) rc = qd_json_parse(&r->arena, text, 0, &n, err);
    if (!rc) rc = qd_iv_of_node(&r->arena, n, out, err);
    qd_buf_fini(&b);
    return rc;
}

static int list_back(qd_ingest_run *r, const qd_sv_list *l, uint32_t depth, qd_iv *out, qd_err *err)
{
    int rc = 0;
    *out = (qd_iv){.kind = QD_IV_LIST};
    for (uint32_t i = 0; i < l->n && !rc; i++) {
        qd_iv one;
        rc = from_script(r, &l->v[i], depth + 1, &one, err);
        qd_iv *at = rc ? NULL : qd_iv_push(&r->arena, out);
        if (!rc && !at) rc = qdi_run_nomem(err);
        if (!rc) *at = one;
    }
    return rc;
}

static int member_back(qd_ingest_run *r, const qd_sv_entry *e, uint32_t depth, qd_iv *map,
                       qd_err *err)
{
    qd_str key;
    qd_iv one;
    if (e->key.tag != QD_SV_STRING)
        return qd_err_set(err, QD_E_ARG, "a key that a script gave the document is no string");
    int rc = own_text(r, qd_sv_text(&e->key), &key, err);
    if (!rc) rc = from_script(r, &e->value, depth + 1, &one, err);
    qd_iv *at = rc ? NULL : qd_iv_put(&r->arena, map, key);
    if (!rc && !at) rc = qdi_run_nomem(err);
    if (!rc) *at = one;
    return rc;
}

static int map_back(qd_ingest_run *r, const qd_sv_map *m, uint32_t depth, qd_iv *out, qd_err *err)
{
    int rc = 0;
    *out = (qd_iv){.kind = QD_IV_MAP};
    for (uint32_t i = 0; i < m->n && !rc; i++)
        if (m->e[i].key.tag != QD_SV_GONE) rc = member_back(r, &m->e[i], depth, out, err);
    return rc;
}

static int from_script(qd_ingest_run *r, const qd_sv *v, uint32_t depth, qd_iv *out, qd_err *err)
{
    char text[QD_F64_TEXT_MAX];
    if (depth > QD_IV_DEPTH_MAX)
        return qd_err_set(err, QD_E_ARG,
                          "a script left values that are nested deeper than %u levels",
                          QD_IV_DEPTH_MAX);
    switch (v->tag) {
    case QD_SV_NULL:
        *out = (qd_iv){.kind = QD_IV_NULL};
        return 0;
    case QD_SV_BOOL:
        *out = QD_IV_TRUTH(v->i != 0);
        return 0;
    case QD_SV_BYTE:
    case QD_SV_SHORT:
    case QD_SV_INT:
    case QD_SV_LONG:
        *out = QD_IV_INTEGER(v->i);
        return 0;
    case QD_SV_FLOAT:
        *out = (qd_iv){.kind = QD_IV_FLOAT};
        return own_text(r, (qd_str){text, qd_f32_print(text, (float)v->f)}, &out->s, err);
    case QD_SV_DOUBLE:
        *out = qd_iv_double(&r->arena, v->f);
        return out->s.p ? 0 : qdi_run_nomem(err);
    case QD_SV_BIG:
    case QD_SV_STRING:
        *out = (qd_iv){.kind = v->tag == QD_SV_BIG ? QD_IV_BIG : QD_IV_STR};
        return own_text(r, qd_sv_text(v), &out->s, err);
    case QD_SV_LIST:
        return list_back(r, v->list, depth, out, err);
    case QD_SV_MAP:
        return map_back(r, v->map, depth, out, err);
    default:
        return by_json(r, v, out, err);
    }
}

/* ctx becomes the document: metadata, _ingest, and the rest. */
static int take_back(qd_ingest_run *r, const qd_sv_map *ctx, qd_err *err)
{
    qd_iv source = {.kind = QD_IV_MAP}, meta = {.kind = QD_IV_MAP}, ingest = r->ingest;
    int rc = 0;
    for (uint32_t i = 0; i < ctx->n && !rc; i++) {
        const qd_sv_entry *e = &ctx->e[i];
        if (e->key.tag == QD_SV_GONE) continue;
        qd_str key = e->key.tag == QD_SV_STRING ? qd_sv_text(&e->key) : (qd_str){"", 0};
        if (qd_str_is(key, "_ingest") && e->value.tag == QD_SV_MAP)
            rc = map_back(r, e->value.map, 1, &ingest, err);
        else
            rc = member_back(r, e, 0, qdi_is_meta(key) ? &meta : &source, err);
    }
    if (rc) return rc;
    r->source = source;
    r->meta = meta;
    r->ingest = ingest;
    return 0;
}

/* --- running ---------------------------------------------------------------------------------- */

static int run(const qdi_script *s, qd_ingest_run *r, qd_script_exec *x, qd_sv *out, qd_err *err)
{
    qd_sv params;
    qd_script_exec_open(x, s->script, r->s->account);
    x->now_ms = qd_env_wall_ms(r->s->env);
    int rc = s->params.n                          ? qd_sv_parse(&x->arena, s->params, &params, err)
             : qd_sv_map_make(&x->arena, &params) ? nomem(err)
                                                  : 0;
    x->vars[QD_SCRIPT_V_PARAMS] = params;
    if (!rc) rc = make_ctx(x, r, err);
    return rc ? rc : qd_script_run(x, out, err);
}

int qdi_script_test(const qdi_script *s, qd_ingest_run *r, qd_err *err)
{
    qd_script_exec x;
    qd_sv v = qd_sv_null();
    int rc = run(s, r, &x, &v, err);
    bool yes = !rc && v.tag == QD_SV_BOOL && v.i;
    qd_script_exec_close(&x);
    return rc ? rc : yes;
}

int qdi_script_run(const qdi_script *s, qd_ingest_run *r, qd_err *err)
{
    qd_script_exec x;
    qd_sv none;
    int rc = run(s, r, &x, &none, err);
    if (!rc) rc = take_back(r, x.vars[QD_SCRIPT_V_CTX].map, err);
    qd_script_exec_close(&x);
    return rc;
}
