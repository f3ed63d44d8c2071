/*
 * script.c: languages, and the cache of compiled scripts: a list by last use under one lock,
 * bounded in bytes. A script that is evicted lives as long as its users.
 */
#include "script/script.h"
#include "runtime/sync.h"
#include "script/batch.h"
#include "script/expression/engine.h"
#include "script/mustache/engine.h"
#include "script/painless/engine.h"
#include <stdatomic.h>

#define CACHE_BYTES (64 << 20)
#define CACHE_SLOTS 1024u

struct qd_script {
    const qd_script_lang *lang;
    void *compiled;
    qd_script_context context;
    uint8_t variant;
    qd_str source;
    uint64_t hash;
    size_t bytes;
    _Atomic uint32_t refs;
    qd_script *older, *newer, *next; /* by use; in the slot */
    bool cached;
};

static qd_account account = {.name = "scripts"};

static struct {
    qd_mutex lock;
    qd_script *slots[CACHE_SLOTS];
    qd_script *oldest, *newest;
    int64_t bytes;
    uint64_t compilations, evictions;
} cache = {.lock = QD_MUTEX_INIT};

const qd_script_lang *const qd_script_langs[] = {&qd_script_painless, &qd_script_mustache,
                                                 &qd_script_expression, &qd_script_knn, NULL};

static const qd_script_context_info contexts[] = {
#define QD_SCRIPT_CONTEXT(id, name, vars, result, emit, method) {name, vars, result, emit, method},
#include "script/contexts.def"
};

const qd_script_context_info *qd_script_context_get(qd_script_context c)
{
    return &contexts[c];
}

bool qd_script_context_find(qd_str name, qd_script_context *out)
{
    for (int i = 0; i < QD_SCRIPT_CONTEXTS; i++) {
        if (!qd_str_is(name, contexts[i].name)) continue;
        *out = (qd_script_context)i;
        return true;
    }
    return false;
}

const qd_script_lang *qd_script_lang_find(qd_str name)
{
    for (size_t i = 0; qd_script_langs[i]; i++)
        if (qd_str_is(name, qd_script_langs[i]->name)) return qd_script_langs[i];
    return NULL;
}

static void script_free(qd_script *s)
{
    s->lang->free(s->compiled);
    qd_free(s);
}

qd_script *qd_script_get(qd_script *s)
{
    atomic_fetch_add(&s->refs, 1);
    return s;
}

qd_str qd_script_source(const qd_script *s)
{
    return s->source;
}

void qd_script_put(qd_script *s)
{
    if (s && atomic_fetch_sub(&s->refs, 1) == 1) script_free(s);
}

static void unlink_use(qd_script *s)
{
    *(s->older ? &s->older->newer : &cache.oldest) = s->newer;
    *(s->newer ? &s->newer->older : &cache.newest) = s->older;
}

static void link_newest(qd_script *s)
{
    s->older = cache.newest;
    s->newer = NULL;
    *(cache.newest ? &cache.newest->newer : &cache.oldest) = s;
    cache.newest = s;
}

/* Takes s out of the cache; the caller puts it. */
static void drop(qd_script *s)
{
    qd_script **at = &cache.slots[s->hash % CACHE_SLOTS];
    while (*at != s) at = &(*at)->next;
    *at = s->next;
    unlink_use(s);
    cache.bytes -= (int64_t)s->bytes;
}

static qd_script *find(const qd_script_lang *lang, qd_str source, qd_script_context c,
                       uint8_t variant, uint64_t hash)
{
    for (qd_script *s = cache.slots[hash % CACHE_SLOTS]; s; s = s->next)
        if (s->hash == hash && s->lang == lang && s->context == c && s->variant == variant &&
            qd_str_eq(s->source, source))
            return s;
    return NULL;
}

/* Puts s in, unless another was quicker; evicts the oldest. Returns what is to be used. */
static qd_script *keep(qd_script *s)
{
    qd_script *evicted = NULL;
    qd_mutex_lock(&cache.lock);
    cache.compilations++;
    qd_script *other = find(s->lang, s->source, s->context, s->variant, s->hash);
    if (other) {
        qd_script_get(other);
        qd_mutex_unlock(&cache.lock);
        qd_script_put(s);
        return other;
    }
    s->next = cache.slots[s->hash % CACHE_SLOTS];
    cache.slots[s->hash % CACHE_SLOTS] = qd_script_get(s);
    link_newest(s);
    cache.bytes += (int64_t)s->bytes;
    while (cache.bytes > CACHE_BYTES && cache.oldest != s) {
        qd_script *old = cache.oldest;
        drop(old);
        cache.evictions++;
        old->next = evicted;
        evicted = old;
    }
    qd_mutex_unlock(&cache.lock);
    while (evicted) {
        qd_script *next = evicted->next;
        qd_script_put(evicted);
        evicted = next;
    }
    return s;
}

int qd_script_media(const qd_script_lang *lang, qd_str media, uint8_t *out, qd_err *err)
{
    *out = 0;
    if (!media.n) return 0;
    if (!lang->media)
        return qd_err_set(err, QD_E_ARG,
                          "Unrecognized compile-time parameter(s): {content_type=%.*s}",
                          QD_STR_ARG(media));
    return lang->media(media, out)
               ? 0
               : qd_err_set(err, QD_E_ARG, "No encoder found for media type [%.*s]",
                            QD_STR_ARG(media));
}

int qd_script_compile(qd_str lang_name, qd_str source, qd_script_context c, qd_script **out,
                      qd_err *err)
{
    qd_script_ref ref = {.lang = lang_name, .source = source};
    return qd_script_compile_ref(&ref, c, out, err);
}

int qd_script_compile_ref(const qd_script_ref *ref, qd_script_context c, qd_script **out,
                          qd_err *err)
{
    qd_str source = ref->source;
    uint8_t variant;
    const qd_script_lang *lang = qd_script_lang_find(ref->lang);
    if (!lang)
        return qd_err_set(err, QD_E_ARG, "script_lang not supported [%.*s]", QD_STR_ARG(ref->lang));
    if (!(lang->contexts & 1ull << c))
        return qd_err_set(err, QD_E_ARG, "%s does not know how to handle context [%s]", lang->name,
                          contexts[c].name);
    if (source.n > QD_SCRIPT_SOURCE_MAX)
        return qd_err_set(err, QD_E_ARG,
                          "exceeded max allowed inline script size in bytes [%u] with size [%zu] "
                          "for script [%.*s...]",
                          QD_SCRIPT_SOURCE_MAX, source.n, 40, source.p);
    int rc = qd_script_media(lang, ref->media, &variant, err);
    if (rc) return rc;
    uint64_t hash = qd_json_key_hash(source) * 31 + (uint64_t)c;
    qd_mutex_lock(&cache.lock);
    qd_script *s = find(lang, source, c, variant, hash);
    if (s) {
        qd_script_get(s);
        unlink_use(s);
        link_newest(s);
    }
    qd_mutex_unlock(&cache.lock);
    if (s) {
        *out = s;
        return 0;
    }
    void *compiled;
    size_t bytes = 0;
    rc = lang->compile(source, c, variant, &account, &compiled, &bytes, err);
    if (rc) return rc;
    s = qd_calloc(&account, sizeof *s + source.n + 1);
    if (!s) {
        lang->free(compiled);
        return qd_err_nomem(err, "a script");
    }
    char *text = (char *)(s + 1);
    memcpy(text, source.p ? source.p : "", source.n);
    s->lang = lang;
    s->compiled = compiled;
    s->context = c;
    s->variant = variant;
    s->source = (qd_str){text, source.n};
    s->hash = hash;
    s->bytes = bytes + sizeof *s + source.n;
    atomic_store(&s->refs, 1);
    *out = keep(s);
    return 0;
}

uint32_t qd_script_fields(const qd_script *s, const qd_str **names)
{
    return s->lang->fields(s->compiled, names);
}

bool qd_script_uses(const qd_script *s, qd_script_var v)
{
    return s->lang->uses(s->compiled, v);
}

int qd_script_batch_make(const qd_script *s, const uint8_t *kinds, const qd_sv *params,
                         qd_arena *arena, struct qd_script_batch **out)
{
    *out = NULL;
    return s->lang->batch ? s->lang->batch(s->compiled, kinds, params, arena, out) : 0;
}

void qd_script_cache_stats(uint64_t *compilations, uint64_t *evictions, int64_t *bytes)
{
    qd_mutex_lock(&cache.lock);
    *compilations = cache.compilations;
    *evictions = cache.evictions;
    *bytes = cache.bytes;
    qd_mutex_unlock(&cache.lock);
}

void qd_script_cache_close(void)
{
    qd_mutex_lock(&cache.lock);
    while (cache.oldest) {
        qd_script *s = cache.oldest;
        drop(s);
        qd_script_put(s);
    }
    qd_mutex_unlock(&cache.lock);
}

void qd_script_exec_open(qd_script_exec *x, const qd_script *s, qd_account *of)
{
    *x = (qd_script_exec){
        .script = s, .lang = s->lang, .steps_max = QD_SCRIPT_STEPS, .text_max = QD_SCRIPT_TEXT};
    qd_arena_init(&x->arena, of, QD_SCRIPT_MEMORY);
    x->vars[QD_SCRIPT_V_DOC].tag = QD_SV_DOC;
}

void qd_script_exec_use(qd_script_exec *x, const qd_script *s)
{
    if (x->lang != s->lang) {
        x->lang->close(x);
        x->state = NULL;
    }
    x->script = s;
    x->lang = s->lang;
}

void qd_script_exec_close(qd_script_exec *x)
{
    if (x->lang) x->lang->close(x);
    qd_arena_fini(&x->arena);
    x->script = NULL;
    x->lang = NULL;
}

int qd_script_run(qd_script_exec *x, qd_sv *out, qd_err *err)
{
    return x->script->lang->run(x->script->compiled, x, out, err);
}

int qd_script_options_parse(const qd_json_node *n, qd_str *media, qd_err *err)
{
    if (n->type != QD_JSON_T_OBJECT)
        return qd_err_set(err, QD_E_ARG, "[script] options doesn't support values of type: %s",
                          qd_json_type_token(n->type));
    for (const qd_json_node *m = n->first; m; m = m->next) {
        if (!qd_str_is(m->key, "content_type") || m->type != QD_JSON_T_STRING)
            return qd_err_set(err, QD_E_ARG, "illegal compiler options [%.*s] specified",
                              QD_STR_ARG(n->raw));
        *media = m->text;
    }
    return 0;
}

static int ref_member(const qd_json_node *m, qd_script_ref *out, qd_err *err)
{
    if (qd_str_is(m->key, "params")) {
        if (m->type != QD_JSON_T_OBJECT && m->type != QD_JSON_T_NULL)
            return qd_err_set(err, QD_E_PARSE, "[script] params doesn't support values of type: %s",
                              qd_json_type_token(m->type));
        out->params = m->type == QD_JSON_T_OBJECT ? m : NULL;
        return 0;
    }
    bool source = qd_str_is(m->key, "source") || qd_str_is(m->key, "inline");
    if (source && m->type == QD_JSON_T_OBJECT) { /* a template */
        out->source = m->raw;
        return 0;
    }
    if (qd_str_is(m->key, "options")) return qd_script_options_parse(m, &out->media, err);
    if (!source && !qd_str_is(m->key, "id") && !qd_str_is(m->key, "lang"))
        return qd_err_set(err, QD_E_ARG, "[script] unknown field [%.*s]", QD_STR_ARG(m->key));
    if (m->type != QD_JSON_T_STRING)
        return qd_err_set(err, QD_E_ARG, "[script] %.*s doesn't support values of type: %s",
                          QD_STR_ARG(m->key), qd_json_type_token(m->type));
    *(source ? &out->source : qd_str_is(m->key, "id") ? &out->id : &out->lang) = m->text;
    return 0;
}

int qd_script_ref_parse(const qd_json_node *n, qd_script_ref *out, qd_err *err)
{
    *out = (qd_script_ref){.lang = {NULL, 0}};
    if (n->type == QD_JSON_T_STRING) {
        out->source = n->text;
        out->lang = QD_STR("painless");
        return 0;
    }
    if (n->type != QD_JSON_T_OBJECT)
        return qd_err_set(err, QD_E_ARG, "unexpected token [%s] for a script",
                          qd_json_type_token(n->type));
    for (const qd_json_node *m = n->first; m; m = m->next) {
        int rc = ref_member(m, out, err);
        if (rc) return rc;
    }
    if (!out->source.p && !out->id.p)
        return qd_err_set(
            err, QD_E_ARG,
            "must specify either [source] for an inline script or [id] for a stored script");
    if (out->source.p && out->id.p)
        return qd_err_set(err, QD_E_ARG,
                          "[id] and [source] cannot be used at the same time in a script");
    if (out->id.p && out->lang.p)
        return qd_err_set(err, QD_E_ARG, "illegally specified <lang> for a stored script");
    if (out->id.p && out->media.p)
        return qd_err_set(err, QD_E_ARG, "illegally specified <options> for a stored script");
    if (!out->lang.p) out->lang = QD_STR("painless");
    const qd_script_lang *lang = qd_script_lang_find(out->lang);
    uint8_t variant;
    return lang ? qd_script_media(lang, out->media, &variant, err) : 0;
}
