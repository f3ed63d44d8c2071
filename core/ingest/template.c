/*
 * template.c: text with {{field}} in it, and values that hold such text. Names are looked up in the
 * document, below _ingest and among the metadata; what is not there is empty. {{x}} escapes the
 * value for where it goes, {{{x}}} and {{&x}} do not. Sections and partials are refused.
 */
#include "ingest/ingest_int.h"

typedef struct part {
    qd_str text; /* before the value */
    bool value, escaped;
    qdi_path path;
} part;
struct qdi_template {
    qdi_escape escape;
    uint32_t n;
    part *at;
};

static uint32_t count_parts(qd_str text)
{
    uint32_t n = 1;
    for (size_t k = 0; k + 1 < text.n; k++) n += text.p[k] == '{' && text.p[k + 1] == '{';
    return n;
}

static int bad(qd_str text, const char *why, qd_err *err)
{
    return qd_err_set(err, QD_E_ARG, "template [%.*s] cannot be compiled: %s", QD_STR_ARG(text),
                      why);
}

/* What stands between the braces. */
static int name_of(qd_arena *a, qd_str text, qd_str inner, bool raw, part *p, qd_err *err)
{
    inner = qd_str_trim(inner);
    p->escaped = !raw;
    if (inner.n && inner.p[0] == '!') return 0;
    if (inner.n && inner.p[0] == '&' && !raw) {
        inner = qd_str_trim(qd_str_sub(inner, 1, inner.n));
        p->escaped = false;
    }
    if (!inner.n || inner.p[0] == '{') return bad(text, "a name is missing", err);
    if (inner.p[0] == '#' || inner.p[0] == '^' || inner.p[0] == '/')
        return bad(text, "sections are not supported", err);
    if (inner.p[0] == '>' || inner.p[0] == '=')
        return bad(text, "partials and other delimiters are not supported", err);
    p->value = true;
    return qdi_path_make(a, inner, &p->path, err);
}

int qdi_template_make(qd_arena *a, qd_str text, qdi_escape escape, qdi_template **out, qd_err *err)
{
    qdi_template *t = qd_arena_calloc(a, sizeof *t);
    qd_str rest = text;
    int rc = 0;
    if (t) t->at = qd_arena_calloc(a, count_parts(text) * sizeof *t->at);
    if (!t || !t->at) return qd_err_nomem(err, "template");
    t->escape = escape;
    while (!rc) {
        part *p = &t->at[t->n++];
        ptrdiff_t from = qd_str_find_str(rest, QD_STR("{{"));
        p->text = from < 0 ? rest : qd_str_sub(rest, 0, (size_t)from);
        if (from < 0) break;
        rest = qd_str_sub(rest, (size_t)from + 2, rest.n);
        bool raw = rest.n && rest.p[0] == '{';
        if (raw) rest = qd_str_sub(rest, 1, rest.n);
        ptrdiff_t to = qd_str_find_str(rest, raw ? QD_STR("}}}") : QD_STR("}}"));
        if (to < 0) return bad(text, "a value has no end", err);
        rc = name_of(a, text, qd_str_sub(rest, 0, (size_t)to), raw, p, err);
        rest = qd_str_sub(rest, (size_t)to + (raw ? 3 : 2), rest.n);
    }
    *out = t;
    return rc;
}

bool qdi_template_constant(const qdi_template *t, qd_str *out)
{
    if (t->n > 1) return false;
    *out = t->at[0].text.p ? t->at[0].text : QD_STR("");
    return true;
}

static void url_escape(qd_buf *b, qd_str s)
{
    for (size_t k = 0; k < s.n; k++) {
        unsigned char c = (unsigned char)s.p[k];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '_' || c == '.' || c == '*';
        if (plain)
            (void)qd_buf_char(b, (char)c);
        else if (c == ' ')
            (void)qd_buf_char(b, '+');
        else
            (void)qd_buf_printf(b, "%%%02X", c);
    }
}

static int add_value(qd_ingest_run *r, const qdi_template *t, const part *p, qd_err *err)
{
    const qd_iv *v = qdi_path_look(r, &p->path);
    if (!v || v->kind == QD_IV_NULL) return 0;
    qd_str text = qd_iv_text(&r->arena, v);
    if (!text.p) return qdi_run_nomem(err);
    if (!p->escaped || t->escape == QDI_ESCAPE_NONE)
        (void)qd_buf_str(&r->out, text);
    else if (t->escape == QDI_ESCAPE_JSON)
        qd_json_escape(&r->out, text);
    else
        url_escape(&r->out, text);
    return 0;
}

int qdi_template_text(qd_ingest_run *r, const qdi_template *t, qd_str *out, qd_err *err)
{
    if (qdi_template_constant(t, out)) return 0;
    qd_buf_reset(&r->out);
    for (uint32_t k = 0; k < t->n; k++) {
        (void)qd_buf_str(&r->out, t->at[k].text);
        int rc = t->at[k].value ? add_value(r, t, &t->at[k], err) : 0;
        if (rc) return rc;
    }
    if (qd_buf_status(&r->out)) return qdi_run_nomem(err);
    *out = qd_arena_str(&r->arena, qd_buf_view(&r->out));
    return out->p ? 0 : qdi_run_nomem(err);
}

/* --- values --- */

struct qdi_source {
    qd_iv fixed; /* nothing in it is a template */
    bool constant;
    bool list;          /* of several: a list, else an object */
    qdi_template *text; /* a text; NULL: children */
    uint32_t n;
    qdi_template **keys; /* of an object */
    qdi_source **at;
};

static int children(qd_arena *a, const qd_json_node *n, qdi_escape escape, qdi_source *s,
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
        if (!rc) rc = qdi_template_make(a, c->key, escape, &s->keys[s->n], err);
        if (rc) return rc;
        s->constant &= s->at[s->n]->constant && qdi_template_constant(s->keys[s->n], &text);
    }
    return 0;
}

int qdi_source_make(qd_arena *a, const qd_json_node *n, qdi_escape escape, qdi_source **out,
                    qd_err *err)
{
    qdi_source *s = qd_arena_calloc(a, sizeof *s);
    qd_str text;
    int rc = 0;
    if (!s) return qd_err_nomem(err, "value");
    *out = s;
    if (n->type == QD_JSON_T_STRING) {
        rc = qdi_template_make(a, qd_json_text(n), escape, &s->text, err);
        s->constant = !rc && qdi_template_constant(s->text, &text);
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
