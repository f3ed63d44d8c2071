/* engine.c: mustache as a language of core/script: a template over the params of a request. */
#include "script/mustache/engine.h"
#include "script/mustache/mustache.h"
#include "script/object.h"
#include <stdio.h>

typedef struct program {
    qd_arena arena;
    qd_str source;
    qd_mustache *m;
} program;

/* --- values of scripts, as templates see them --- */

static qd_mustache_value shown(const qd_sv *v)
{
    qd_mustache_value out = {.kind = QD_MUSTACHE_OTHER, .at = v};
    switch (v->tag) {
    case QD_SV_NULL:
        out.kind = QD_MUSTACHE_NULL;
        break;
    case QD_SV_BOOL:
        if (!v->i) out.kind = QD_MUSTACHE_FALSE;
        break;
    case QD_SV_STRING:
        out.kind = QD_MUSTACHE_STRING;
        out.text = qd_sv_text(v);
        break;
    case QD_SV_LIST:
        out.kind = QD_MUSTACHE_LIST;
        out.n = v->list->n;
        break;
    case QD_SV_MAP:
        out.kind = QD_MUSTACHE_MAP;
        out.n = v->map->n;
        break;
    default:
        break;
    }
    return out;
}

static bool member(void *arg, const qd_mustache_value *map, qd_str key, qd_mustache_value *out)
{
    const qd_sv *v = qd_sv_map_get(((const qd_sv *)map->at)->map, key);
    (void)arg;
    if (v) *out = shown(v);
    return v != NULL;
}

static qd_mustache_value element(void *arg, const qd_mustache_value *list, uint32_t i)
{
    (void)arg;
    return shown(&((const qd_sv *)list->at)->list->v[i]);
}

static void print(void *arg, const qd_mustache_value *v, qd_buf *out)
{
    (void)arg;
    qd_sv_append(v->at, out);
}

static int json(void *arg, const qd_mustache_value *v, qd_buf *out, qd_err *err)
{
    qd_json_writer w;
    (void)arg;
    qd_json_writer_init(&w, out, false);
    return qd_sv_write(v->at, &w, err);
}

static const qd_mustache_model model = {
    .member = member, .element = element, .print = print, .json = json};

/* --- the language --- */

/* An error around one that is set, as Elasticsearch shows those of scripts. */
static int script_error(qd_err *err, int rc, qd_str source)
{
    char why[512];
    if (rc == QD_E_NOMEM || rc == QD_E_BREAKER || !err) return rc;
    (void)snprintf(why, sizeof why, "%s", qd_err_reason(err));
    rc = qd_err_wrap(err, QD_E_ARG, "%s", why);
    qd_err_type(err, "script_exception", 400);
    qd_err_detail_raw(err, "script_stack", QD_STR("[]"));
    qd_err_detail_str(err, "script", source);
    qd_err_detail_str(err, "lang", QD_STR("mustache"));
    return rc;
}

static void program_free(void *compiled)
{
    program *p = compiled;
    qd_arena_fini(&p->arena);
    qd_free(p);
}

static bool media(qd_str type, uint8_t *variant)
{
    qd_mustache_escape e;
    if (!qd_mustache_media(type, &e)) return false;
    *variant = (uint8_t)e;
    return true;
}

static int compile(qd_str source, qd_script_context c, uint8_t variant, qd_account *account,
                   void **out, size_t *bytes, qd_err *err)
{
    program *p = qd_calloc(account, sizeof *p);
    (void)c;
    if (!p) return qd_err_nomem(err, "a template");
    qd_arena_init(&p->arena, account, 32u << 20);
    p->source = qd_arena_str(&p->arena, source);
    int rc = p->source.p || !source.n ? qd_mustache_compile(&p->arena, p->source,
                                                            (qd_mustache_escape)variant, &p->m, err)
                                      : qd_err_nomem(err, "a template");
    if (rc) {
        program_free(p);
        return script_error(err, rc, source);
    }
    *bytes = p->arena.total + sizeof *p;
    *out = p;
    return 0;
}

static int run(const void *compiled, qd_script_exec *x, qd_sv *out, qd_err *err)
{
    const program *p = compiled;
    qd_mustache_value root = shown(&x->vars[QD_SCRIPT_V_PARAMS]);
    qd_buf b;
    qd_buf_init(&b, x->arena.account, x->text_max);
    int rc = qd_mustache_render(p->m, &model, NULL, &root, &b, err);
    if (!rc && qd_sv_str_copy(&x->arena, qd_buf_view(&b), out))
        rc = qd_err_nomem(err, "the text of a template");
    qd_buf_fini(&b);
    return rc;
}

static void close_run(qd_script_exec *x)
{
    (void)x;
}

static uint32_t fields(const void *compiled, const qd_str **names)
{
    (void)compiled;
    *names = NULL;
    return 0;
}

static bool uses(const void *compiled, qd_script_var v)
{
    (void)compiled;
    return v == QD_SCRIPT_V_PARAMS;
}

const qd_script_lang qd_script_mustache = {
    .name = "mustache",
    .module = "lang-mustache",
    .contexts = 1ull << QD_SCRIPT_TEMPLATE | 1ull << QD_SCRIPT_INGEST_TEMPLATE,
    .standard = QD_SCRIPT_TEMPLATE,
    .media = media,
    .compile = compile,
    .run = run,
    .close = close_run,
    .free = program_free,
    .fields = fields,
    .uses = uses,
};
