/*
 * template.c: mustache templates over documents, and values that hold such text. Names are looked
 * up in the document, below _ingest and _source, and among the metadata.
 */
#include "ingest/ingest_int.h"

/* --- a document, as templates see it --- */

static qd_mustache_value shown(const qd_iv *v)
{
    static const uint8_t kinds[] = {
        [QD_IV_NULL] = QD_MUSTACHE_NULL,   [QD_IV_BOOL] = QD_MUSTACHE_OTHER,
        [QD_IV_LONG] = QD_MUSTACHE_OTHER,  [QD_IV_BIG] = QD_MUSTACHE_OTHER,
        [QD_IV_FLOAT] = QD_MUSTACHE_OTHER, [QD_IV_DOUBLE] = QD_MUSTACHE_OTHER,
        [QD_IV_STR] = QD_MUSTACHE_STRING,  [QD_IV_LIST] = QD_MUSTACHE_LIST,
        [QD_IV_MAP] = QD_MUSTACHE_MAP,
    };
    qd_mustache_value out = {.kind = kinds[v->kind], .at = v};
    if (v->kind == QD_IV_BOOL && !v->truth) out.kind = QD_MUSTACHE_FALSE;
    if (v->kind == QD_IV_STR) out.text = v->s;
    if (v->kind == QD_IV_LIST || v->kind == QD_IV_MAP) out.n = v->n;
    return out;
}

/* The outermost scope is all of the run; it has no value of its own (at NULL). */
static qd_mustache_value everything(const qd_ingest_run *r)
{
    return (qd_mustache_value){.kind = QD_MUSTACHE_MAP, .n = r->source.n};
}

static bool member(void *arg, const qd_mustache_value *map, qd_str key, qd_mustache_value *out)
{
    const qd_ingest_run *r = arg;
    const qd_iv *in = map->at, *v = NULL;
    if (in) {
        v = qd_iv_get(in, key);
    } else if (qd_str_is(key, "_source")) {
        *out = everything(r);
        return true;
    } else if (qd_str_is(key, "_ingest")) {
        v = &r->ingest;
    } else {
        v = qd_iv_get(qdi_is_meta(key) ? &r->meta : &r->source, key);
    }
    if (v) *out = shown(v);
    return v != NULL;
}

static qd_mustache_value element(void *arg, const qd_mustache_value *list, uint32_t i)
{
    (void)arg;
    return shown(&((const qd_iv *)list->at)->items[i]);
}

static void print(void *arg, const qd_mustache_value *v, qd_buf *out)
{
    qd_iv_print(v->at ? v->at : &((const qd_ingest_run *)arg)->source, out);
}

static int json(void *arg, const qd_mustache_value *v, qd_buf *out, qd_err *err)
{
    const qd_iv *of = v->at ? v->at : &((const qd_ingest_run *)arg)->source;
    qd_json_writer w;
    int rc = qd_iv_check(of, err); /* processors may have made it too deep */
    if (rc) return rc;
    qd_json_writer_init(&w, out, false);
    qd_iv_write(of, &w);
    return 0;
}

static const qd_mustache_model model = {
    .member = member, .element = element, .print = print, .json = json, .linear = true};

int qdi_template_text(qd_ingest_run *r, const qd_mustache *t, qd_str *out, qd_err *err)
{
    qd_mustache_value root = everything(r);
    if (qd_mustache_constant(t, out)) return 0;
    qd_buf_reset(&r->out);
    int rc = qd_mustache_render(t, &model, r, &root, &r->out, err);
    if (rc) return rc;
    *out = qd_arena_str(&r->arena, qd_buf_view(&r->out));
    return out->p ? 0 : qdi_run_nomem(err);
}

/* --- values --- */

struct qdi_source {
    qd_iv fixed; /* nothing in it is a template */
    bool constant;
    bool list;         /* of several: a list, else an object */
    qd_mustache *text; /* a text; NULL: children */
    uint32_t n;
    qd_mustache **keys; /* of an object */
    qdi_source **at;
};

static int children(qd_arena *a, const qd_json_node *n, qd_mustache_escape escape, qdi_source *s,
                    qd_err *err)
{
    s->list = n->type == QD_JSON_T_ARRAY;
    s->at = qd_arena_calloc(a, n->n * sizeof *s->at + 1);
    s->keys = qd_arena_calloc(a, n->n * sizeof *s->keys + 1);
    if (!s->at || !s->keys) return qd_err_nomem(err, "value");
    s->constant = true;
    for (const qd_json_node *c = n->first; c; c = c->next, s->n++) {
        qd_str text;
        int rc = qdi_source_make(a, c, escape, &s->at[s->n], err);
        if (!rc) rc = qd_mustache_compile(a, c->key, escape, &s->keys[s->n], err);
        if (rc) return rc;
        s->constant &= s->at[s->n]->constant && qd_mustache_constant(s->keys[s->n], &text);
    }
    return 0;
}

int qdi_source_make(qd_arena *a, const qd_json_node *n, qd_mustache_escape escape, qdi_source **out,
                    qd_err *err)
{
    qdi_source *s = qd_arena_calloc(a, sizeof *s);
    qd_str text;
    int rc = 0;
    if (!s) return qd_err_nomem(err, "value");
    *out = s;
    if (n->type == QD_JSON_T_STRING) {
        rc = qd_mustache_compile(a, qd_json_text(n), escape, &s->text, err);
        s->constant = !rc && qd_mustache_constant(s->text, &text);
    } else if (n->type == QD_JSON_T_ARRAY || n->type == QD_JSON_T_OBJECT) {
        rc = children(a, n, escape, s, err);
    } else {
        s->constant = true;
    }
    return rc || !s->constant ? rc : qd_iv_of_node(a, n, &s->fixed, err);
}

int qdi_source_value(qd_ingest_run *r, const qdi_source *s, qd_iv *out, qd_err *err)
{
    int rc = 0;
    if (s->constant) return qd_iv_copy(&r->arena, &s->fixed, out, err);
    *out = (qd_iv){.kind = s->text ? QD_IV_STR : s->list ? QD_IV_LIST : QD_IV_MAP};
    if (s->text) return qdi_template_text(r, s->text, &out->s, err);
    for (uint32_t k = 0; k < s->n && !rc; k++) {
        qd_str key = {NULL, 0};
        qd_iv v;
        rc = qdi_source_value(r, s->at[k], &v, err);
        if (!rc && !s->list) rc = qdi_template_text(r, s->keys[k], &key, err);
        if (rc) return rc;
        qd_iv *at = s->list ? qd_iv_push(&r->arena, out) : qd_iv_put(&r->arena, out, key);
        if (!at) return qdi_run_nomem(err);
        *at = v;
    }
    return rc;
}

int qdi_tpath_get(qd_ingest_run *r, const qdi_tpath *t, qdi_path *room, const qdi_path **out,
                  qd_err *err)
{
    qd_str text;
    *out = t->constant ? &t->fixed : room;
    if (t->constant) return 0;
    int rc = qdi_template_text(r, t->text, &text, err);
    return rc ? rc : qdi_path_make(&r->arena, text, room, err);
}
