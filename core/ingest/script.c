/*
 * script.c: scripts of pipelines: the parameter "if" and the processor "script". A script sees the
 * document as ctx: its members, its metadata (_index, _id …) and _ingest side by side. Nothing is
 * copied but what the script holds or changes. What the processor leaves in ctx is the document
 * from then on; what a condition changes is lost.
 */
#include "script/script.h"
#include "base/str.h"
#include "ingest/ingest_int.h"
#include "json/number.h"

const bool qdi_script_there = true;

struct qdi_script {
    qd_script *script; /* NULL: it cannot be had, why and rc */
    qd_str why;
    int rc;
    qd_sv params; /* a map that no run changes */
};

/* --- compiling -------------------------------------------------------------------------------- */

static void release(void *arg)
{
    qd_script_put(((qdi_script *)arg)->script);
}

/* The script that n names, without what belongs to the processor. */
static int reference(const qdi_build *b, const qd_json_node *n, qd_script_ref *out, qd_err *err)
{
    if (n->type != QD_JSON_T_OBJECT) return qd_script_ref_parse(n, out, err);
    qd_json_node copy = *n, *last = NULL;
    copy.first = NULL;
    copy.n = 0;
    for (const qd_json_node *m = n->first; m; m = m->next) {
        if (qdi_arg_common(m->key)) continue;
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

/* The source of a stored script, which the pipeline then depends on. */
static int of_stored(const qdi_build *b, qd_script_ref *ref, qd_err *err)
{
    qdi_stored *d = qd_arena_calloc(b->a, sizeof *d);
    if (!d) return qd_err_nomem(err, "pipeline");
    if (!b->s->stored) return qd_err_set(err, QD_E_ARG, "there are no stored scripts here");
    d->id = qd_arena_str(b->a, ref->id);
    d->next = *b->stored;
    *b->stored = d;
    int rc = b->s->stored(b->s->arg, ref->id, b->a, &ref->lang, &ref->source, &d->revision, err);
    if (!rc && !ref->source.p) {
        rc = qd_err_set(err, QD_E_NOTFOUND, "unable to find script [%.*s] in cluster state",
                        QD_STR_ARG(ref->id));
        qd_err_type(err, "resource_not_found_exception", 404);
    }
    return rc;
}

/* Why a script cannot be had, for each document that it was to run on. */
static int keep_reason(const qdi_build *b, const qd_err *why, qdi_script *s, qd_err *err)
{
    const qd_err *root = why;
    while (root->cause) root = root->cause;
    s->rc = why->code;
    s->why = root == why ? qd_arena_str(b->a, qd_str_c(qd_err_reason(why)))
                         : qd_arena_printf(b->a, "%s: %s", qd_err_reason(why), qd_err_reason(root));
    return s->why.p ? 0 : qd_err_nomem(err, "pipeline");
}

static int source_of(const qdi_build *b, const qd_script_ref *ref, bool condition, qdi_script *s,
                     qd_err *err)
{
    qd_script_context context = condition ? QD_SCRIPT_CONDITION : QD_SCRIPT_INGEST;
    qd_script_ref now = *ref;
    qd_err why;
    qd_err_init(&why); /* compilers want one */
    int rc = ref->id.p ? of_stored(b, &now, &why) : 0;
    if (!rc) rc = qd_script_compile(now.lang, now.source, context, &s->script, &why);
    if (rc && ref->id.p && b->s->late && rc != QD_E_NOMEM && rc != QD_E_BREAKER)
        rc = keep_reason(b, &why, s, err);
    else if (rc && err)
        qd_err_move(err, &why);
    qd_err_fini(&why);
    return rc;
}

static int compile(const qdi_build *b, const char *property, const qd_json_node *n, qdi_script *s,
                   qd_err *err)
{
    qd_script_ref ref;
    int rc = reference(b, n, &ref, err);
    if (rc) return rc;
    if (ref.params)
        rc = qd_sv_parse(b->a, ref.params->raw, &s->params, err);
    else if (qd_sv_map_make(b->a, &s->params))
        rc = qd_err_nomem(err, "pipeline");
    return rc ? rc : source_of(b, &ref, property != NULL, s, err);
}

int qdi_script_make(const qdi_build *b, const char *property, const qd_json_node *n,
                    qdi_script **out, qd_err *err)
{
    qdi_script *s = *out = qd_arena_calloc(b->a, sizeof *s);
    if (!s || qd_arena_on_reset(b->a, release, s)) return qd_err_nomem(err, "pipeline");
    int rc = compile(b, property, n, s, err);
    if (rc == QD_E_ARG && err && strcmp(qd_err_es_type(err), "script_exception") == 0) {
        qdi_arg_details(b, property, err); /* as it is */
        return rc;
    }
    return rc && rc != QD_E_NOMEM ? qdi_arg_wrap(b, property, err) : rc;
}

/* --- the document as ctx ---------------------------------------------------------------------- */

static int nomem(qd_err *err)
{
    return qd_err_nomem(err, "ctx of a script");
}

static int to_script(qd_arena *a, const qd_iv *v, uint32_t depth, qd_sv *out);

static int add_member(qd_arena *a, const qd_iv_member *m, uint32_t depth, qd_sv_map *to)
{
    qd_sv x;
    int rc = to_script(a, &m->value, depth, &x);
    return rc ? rc : qd_sv_map_put(a, to, m->key, x);
}

static qd_sv number_of(const qd_iv *v)
{
    double d = 0;
    (void)qd_iv_number(v, &d);
    qd_sv out = qd_sv_double(d);
    if (v->kind == QD_IV_FLOAT) out.tag = QD_SV_FLOAT;
    return out;
}

static int list_of(qd_arena *a, const qd_iv *v, uint32_t depth, qd_sv *out)
{
    int rc = qd_sv_list_make(a, v->n, out);
    for (uint32_t i = 0; i < v->n && !rc; i++) {
        qd_sv x;
        rc = to_script(a, &v->items[i], depth + 1, &x);
        if (!rc) rc = qd_sv_list_add(a, out->list, x);
    }
    return rc;
}

static int map_of(qd_arena *a, const qd_iv *v, uint32_t depth, qd_sv *out)
{
    int rc = qd_sv_map_make(a, out);
    for (uint32_t i = 0; i < v->n && !rc; i++)
        rc = add_member(a, &v->members[i], depth + 1, out->map);
    return rc;
}

/* Trees that processors have made deeper than documents may be end as those that are too large. */
static int to_script(qd_arena *a, const qd_iv *v, uint32_t depth, qd_sv *out)
{
    switch ((qd_iv_kind)v->kind) {
    case QD_IV_BOOL:
        *out = qd_sv_bool(v->truth);
        return 0;
    case QD_IV_LONG:
        *out = v->i >= INT32_MIN && v->i <= INT32_MAX ? qd_sv_int((int32_t)v->i) : qd_sv_long(v->i);
        return 0;
    case QD_IV_BIG:
        *out = (qd_sv){.tag = QD_SV_BIG, .n = (uint32_t)v->s.n, .p = v->s.p};
        return 0;
    case QD_IV_FLOAT:
    case QD_IV_DOUBLE:
        *out = number_of(v);
        return 0;
    case QD_IV_STR:
        *out = qd_sv_str(v->s);
        return 0;
    case QD_IV_LIST:
        return depth > QD_IV_DEPTH_MAX ? QD_E_LIMIT : list_of(a, v, depth, out);
    case QD_IV_MAP:
        return depth > QD_IV_DEPTH_MAX ? QD_E_LIMIT : map_of(a, v, depth, out);
    case QD_IV_NULL:
        break;
    }
    *out = qd_sv_null();
    return 0;
}

/* --- ctx and params, as a script asks for them ------------------------------------------------ */

/* The scripts of a run, one after the other. The language follows paths (ctx.a.b) in the document
 * itself; what is an object or list there becomes a member of `ctx`, where the script may change
 * it, and so does what the script puts. A script that names ctx alone gets all of it. */
struct qdi_scripting {
    qd_script_exec x;
    qd_ingest_run *run;
    const qdi_script *script;
    qd_sv ctx; /* MAP; NULL: nothing is there yet */
    bool whole, params;
};

/* A member of ctx in the document; NULL: there is none. */
static const qd_iv *in_document(const qd_ingest_run *r, qd_str name)
{
    if (qd_str_is(name, "_ingest")) return &r->ingest;
    const qd_iv *v = name.n && name.p[0] == '_' ? qd_iv_get(&r->meta, name) : NULL;
    return v ? v : qd_iv_get(&r->source, name);
}

static int ctx_open(qdi_scripting *s)
{
    return s->ctx.tag == QD_SV_MAP ? 0 : qd_sv_map_make(&s->x.arena, &s->ctx);
}

static bool holds(const qd_sv *v)
{
    return v->tag == QD_SV_LIST || v->tag == QD_SV_MAP;
}

static int whole(void *self, qd_script_var var);

static int param(qdi_scripting *s, const qd_str *names, uint32_t n, qd_sv *out, uint32_t *used)
{
    const qd_sv *v = &s->script->params;
    uint32_t k = 0;
    while (!s->params && k < n && v && v->tag == QD_SV_MAP) v = qd_sv_map_get(v->map, names[k++]);
    if (s->params || (v && holds(v))) {
        if (whole(s, QD_SCRIPT_V_PARAMS)) return QD_E_NOMEM;
        *out = s->x.vars[QD_SCRIPT_V_PARAMS];
        *used = 0;
        return 0;
    }
    *out = v ? *v : qd_sv_null();
    *used = k;
    return 0;
}

static int member(void *self, qd_script_var var, const qd_str *names, uint32_t n, qd_sv *out,
                  uint32_t *used)
{
    qdi_scripting *s = self;
    if (var == QD_SCRIPT_V_PARAMS) return param(s, names, n, out, used);
    const qd_sv *there = s->ctx.tag == QD_SV_MAP ? qd_sv_map_get(s->ctx.map, names[0]) : NULL;
    *used = 1;
    *out = there ? *there : qd_sv_null();
    if (there || s->whole) return 0;
    const qd_iv *top = in_document(s->run, names[0]), *v = top;
    while (v && *used < n && v->kind == QD_IV_MAP) v = qd_iv_get(v, names[(*used)++]);
    if (!v) return 0;
    if (v->kind != QD_IV_LIST && v->kind != QD_IV_MAP) return to_script(&s->x.arena, v, 0, out);
    *used = 1;
    int rc = ctx_open(s);
    if (!rc) rc = to_script(&s->x.arena, top, 0, out);
    return rc ? rc : qd_sv_map_put(&s->x.arena, s->ctx.map, names[0], *out);
}

/* Members of a map of the document that ctx does not have yet, in their order. */
static int add_others(qd_arena *a, const qd_iv *from, const qd_sv *had, qd_sv_map *to)
{
    int rc = 0;
    for (uint32_t i = 0; i < from->n && !rc; i++) {
        const qd_iv_member *m = &from->members[i];
        const qd_sv *there = had->tag == QD_SV_MAP ? qd_sv_map_get(had->map, m->key) : NULL;
        rc = there ? qd_sv_map_put(a, to, m->key, *there) : add_member(a, m, 0, to);
    }
    return rc;
}

static int whole_ctx(qdi_scripting *s)
{
    qd_arena *a = &s->x.arena;
    const qd_iv_member ingest = {.key = QD_STR("_ingest"), .value = s->run->ingest};
    qd_sv now;
    int rc = qd_sv_map_make(a, &now);
    if (!rc) rc = add_others(a, &s->run->source, &s->ctx, now.map);
    if (!rc) rc = add_others(a, &s->run->meta, &s->ctx, now.map);
    if (!rc) rc = add_member(a, &ingest, 0, now.map);
    for (uint32_t i = 0; s->ctx.tag == QD_SV_MAP && i < s->ctx.map->n && !rc; i++)
        rc = qd_sv_map_set(a, now.map, s->ctx.map->e[i].key, s->ctx.map->e[i].value);
    s->ctx = s->x.vars[QD_SCRIPT_V_CTX] = now;
    s->whole = true;
    return rc;
}

static int whole(void *self, qd_script_var var)
{
    qdi_scripting *s = self;
    if (var == QD_SCRIPT_V_CTX) return s->whole ? 0 : whole_ctx(s);
    if (s->params) return 0;
    s->params = true;
    return qd_sv_copy(&s->x.arena, &s->script->params, &s->x.vars[QD_SCRIPT_V_PARAMS]);
}

static bool there(void *self, qd_script_var var, qd_str name)
{
    const qdi_scripting *s = self;
    if (var == QD_SCRIPT_V_PARAMS) {
        const qd_sv *p = s->params ? &s->x.vars[var] : &s->script->params;
        return qd_sv_map_get(p->map, name) != NULL;
    }
    if (s->ctx.tag == QD_SV_MAP && qd_sv_map_get(s->ctx.map, name)) return true;
    return !s->whole && in_document(s->run, name);
}

static int put(void *self, qd_script_var var, qd_str name, const qd_sv *value)
{
    qdi_scripting *s = self;
    (void)var; /* scripts put members of ctx alone this way */
    int rc = ctx_open(s);
    return rc ? rc : qd_sv_map_put(&s->x.arena, s->ctx.map, name, *value);
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

/* Of a member of ctx: where it goes, source or metadata. */
static qd_iv *home(const qd_sv_entry *e, qd_iv *source, qd_iv *meta)
{
    return e->key.tag == QD_SV_STRING && qdi_is_meta(qd_sv_text(&e->key)) ? meta : source;
}

static bool is_ingest(const qd_sv_entry *e)
{
    return qd_sv_is(&e->key, "_ingest") && e->value.tag == QD_SV_MAP;
}

/* The members of ctx apart: metadata, _ingest, and the rest. */
static int members_back(qd_ingest_run *r, const qd_sv_map *ctx, qd_iv *source, qd_iv *meta,
                        qd_iv *ingest, qd_err *err)
{
    int rc = 0;
    for (uint32_t i = 0; i < ctx->n && !rc; i++) {
        const qd_sv_entry *e = &ctx->e[i];
        if (e->key.tag == QD_SV_GONE) continue;
        rc = is_ingest(e) ? map_back(r, e->value.map, 1, ingest, err)
                          : member_back(r, e, 0, home(e, source, meta), err);
    }
    return rc;
}

static int put_all(qd_ingest_run *r, const qd_iv *from, qd_iv *to, qd_err *err)
{
    for (uint32_t i = 0; i < from->n; i++) {
        qd_iv *at = qd_iv_put(&r->arena, to, from->members[i].key);
        if (!at) return qdi_run_nomem(err);
        *at = from->members[i].value;
    }
    return 0;
}

/* What the script has left becomes the document, or what it has touched goes into it. */
static int take_back(qd_ingest_run *r, const qdi_scripting *s, qd_err *err)
{
    qd_iv source = {.kind = QD_IV_MAP}, meta = source, ingest = r->ingest;
    if (s->ctx.tag != QD_SV_MAP) return 0;
    int rc = members_back(r, s->ctx.map, &source, &meta, &ingest, err);
    if (rc) return rc;
    r->ingest = ingest;
    if (s->whole) {
        r->source = source;
        r->meta = meta;
        return 0;
    }
    rc = put_all(r, &source, &r->source, err);
    return rc ? rc : put_all(r, &meta, &r->meta, err);
}

/* --- running ---------------------------------------------------------------------------------- */

void qdi_scripting_free(qdi_scripting *s)
{
    if (!s) return;
    qd_script_exec_close(&s->x);
    qd_free(s);
}

static qdi_scripting *scripting_of(qd_ingest_run *r, const qdi_script *script)
{
    qdi_scripting *s = r->scripting;
    if (!s) {
        s = r->scripting = qd_calloc(r->s->account, sizeof *s);
        if (!s) return NULL;
        s->run = r;
        qd_script_exec_open(&s->x, script->script, r->s->account);
        s->x.host = (qd_script_host){.lazy = QD_SCRIPT_BIT(CTX) | QD_SCRIPT_BIT(PARAMS),
                                     .member = member,
                                     .whole = whole,
                                     .there = there,
                                     .put = put,
                                     .self = s};
    }
    qd_script_exec_use(&s->x, script->script);
    s->script = script;
    s->ctx = qd_sv_null();
    s->whole = s->params = false;
    s->x.now_ms = r->now_ms;
    return s;
}

static int not_there(const qdi_script *script, qd_err *err)
{
    return qd_err_set(err, script->rc, "%.*s", QD_STR_ARG(script->why));
}

int qdi_script_test(const qdi_script *script, qd_ingest_run *r, qd_err *err)
{
    if (!script->script) return not_there(script, err);
    qdi_scripting *s = scripting_of(r, script);
    qd_sv v = qd_sv_null();
    if (!s) return nomem(err);
    int rc = qd_script_run(&s->x, &v, err);
    qd_arena_reset(&s->x.arena);
    return rc ? rc : v.tag == QD_SV_BOOL && v.i;
}

int qdi_script_run(const qdi_script *script, qd_ingest_run *r, qd_err *err)
{
    if (!script->script) return not_there(script, err);
    qdi_scripting *s = scripting_of(r, script);
    qd_sv none;
    if (!s) return nomem(err);
    int rc = qd_script_run(&s->x, &none, err);
    if (!rc) rc = take_back(r, s, err);
    qd_arena_reset(&s->x.arena);
    return rc;
}
