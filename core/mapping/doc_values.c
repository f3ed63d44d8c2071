/*
 * doc_values.c: values of a document gathered by field, and their delivery to the sink.
 */
#include "mapping/doc_int.h"
#include "mapping/doc_parser_int.h"
#include <stdarg.h>
#include <stdio.h>

/* The state of f in this document; NULL: out of memory. */
static doc_field *touch(doc *d, const qd_field *f)
{
    doc_field *s = &d->fields.at[f->id];
    if (QD_LIKELY(s->gen == d->gen)) return s;
    *s = (doc_field){.gen = d->gen, .first = NO_VALUE, .last = NO_VALUE};
    return qd_vec_push(&d->touched, d->account, f->id) ? NULL : s;
}

static doc_value *add(doc *d, const qd_field *f, qd_err *err)
{
    doc_field *s = touch(d, f);
    if (QD_UNLIKELY(!s || qd_vec_reserve(&d->values, d->account, 1) || d->values.n >= NO_VALUE)) {
        (void)qd_err_nomem(err, "values of a document");
        return NULL;
    }
    uint32_t at = (uint32_t)d->values.n++;
    if (s->n++)
        d->values.at[s->last].next = at;
    else
        s->first = at;
    s->last = at;
    d->values.at[at].next = NO_VALUE;
    return &d->values.at[at];
}

int qdi_doc_i64(doc *d, const qd_field *f, int64_t v, qd_err *err)
{
    doc_value *x = add(d, f, err);
    if (!x) return QD_E_NOMEM;
    x->v.i64 = v;
    return 0;
}

int qdi_doc_str(doc *d, const qd_field *f, qd_str v, qd_err *err)
{
    doc_value *x = add(d, f, err);
    if (!x) return QD_E_NOMEM;
    x->v.str = v;
    return 0;
}

int qdi_doc_ip(doc *d, const qd_field *f, const uint8_t v[16], qd_err *err)
{
    doc_value *x = add(d, f, err);
    if (!x) return QD_E_NOMEM;
    memcpy(x->v.ip, v, 16);
    return 0;
}

int qdi_doc_one_value(doc *d, const qd_field *f, doc_value *v, bool *any, qd_err *err)
{
    doc_field had = d->fields.at[f->id];
    size_t values = d->values.n, touched = d->touched.n;
    int rc = f->type->value(d, f, err);
    *any = d->values.n > values;
    if (*any) *v = d->values.at[values];
    /* as if nothing had been added */
    if (had.gen == d->gen && had.n) d->values.at[had.last].next = NO_VALUE;
    d->fields.at[f->id] = had;
    d->values.n = values;
    d->touched.n = touched;
    return rc;
}

int qdi_doc_part(doc *d, const qd_field *f, qd_str v, qd_err *err)
{
    doc_field *s = touch(d, f);
    if (!s) return qd_err_nomem(err, "values of a document");
    if (s->part.p)
        return qd_err_set(err, QD_E_ARG,
                          "field [%.*s] of type [%s] has at most one value a document",
                          QD_STR_ARG(f->name), f->type->name);
    s->part = qd_arena_str(&d->arena, v);
    return s->part.p ? 0 : qd_err_nomem(err, "values of a document");
}

int qdi_doc_ignored(doc *d, const qd_field *f, qd_err *err)
{
    doc_field *s = touch(d, f);
    if (!s) return qd_err_nomem(err, "values of a document");
    s->ignored = true;
    return 0;
}

qd_str qdi_doc_text(const doc *d)
{
    switch (d->r.event) {
    case QD_JSON_TRUE:
        return QD_STR("true");
    case QD_JSON_FALSE:
        return QD_STR("false");
    default:
        return d->r.text;
    }
}

int qdi_doc_token_error(const doc *d, qd_err *err, const char *fmt, ...)
{
    char text[512];
    uint32_t line, column;
    va_list ap;
    if (!err) return QD_E_XCONTENT;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    qd_json_position(&d->r, d->r.token, &line, &column);
    return qd_err_set(err, QD_E_XCONTENT,
                      "[%u:%u] %s\n at [Source: REDACTED "
                      "(`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); "
                      "line: %u, column: %u]",
                      line, column, text, line, column);
}

/* --- delivery
 * ------------------------------------------------------------------------------------- */

/* The values of a field side by side. One value stands where it is; more are copied to the arena.
 */
static const void *side_by_side(doc *d, const doc_field *s, size_t size)
{
    if (s->n == 1) return &d->values.at[s->first].v;
    char *out = qd_arena_alloc(&d->arena, s->n * size), *o = out;
    for (uint32_t i = s->first; out && i != NO_VALUE; i = d->values.at[i].next) {
        memcpy(o, &d->values.at[i].v, size);
        o += size;
    }
    return out;
}

static int deliver_stored(doc *d, const qd_field *f, const doc_field *s, const qd_doc_sink *sink,
                          qd_err *err)
{
    qd_str *list = qd_arena_alloc(&d->arena, s->n * sizeof *list);
    uint32_t n = 0;
    for (uint32_t i = s->first; list && i != NO_VALUE; i = d->values.at[i].next) {
        const doc_value *v = &d->values.at[i];
        char text[128];
        size_t len;
        if (f->value_class == QD_VALUE_TEXT || f->value_class == QD_VALUE_TERM ||
            f->value_class == QD_VALUE_RANGE) {
            list[n++] = v->v.str;
            continue;
        }
        len = f->value_class == QD_VALUE_IP ? qd_ip_print(text, v->v.ip)
                                            : qd_field_text(f, v->v.i64, NULL, NULL, text);
        list[n] = qd_arena_str(&d->arena, (qd_str){text, len});
        if (!list[n++].p) return qd_err_nomem(err, "values of a document");
    }
    if (!list) return qd_err_nomem(err, "values of a document");
    return sink->stored(sink->arg, f, list, n, err);
}

static int deliver_values(doc *d, const qd_field *f, const doc_field *s, const qd_doc_sink *sink,
                          qd_err *err)
{
    bool number = f->value_class == QD_VALUE_I64 || f->value_class == QD_VALUE_BOOL ||
                  f->value_class == QD_VALUE_GEO;
    size_t size = number ? sizeof(int64_t) : 16;
    _Static_assert(sizeof(qd_str) == 16, "strings and addresses are of one size");
    const void *v = side_by_side(d, s, size);
    if (!v) return qd_err_nomem(err, "values of a document");
    switch (f->value_class) {
    case QD_VALUE_TEXT:
        return f->indexed && sink->text ? sink->text(sink->arg, f, v, s->n, err) : 0;
    case QD_VALUE_RANGE:
        return f->doc_values && sink->terms ? sink->terms(sink->arg, f, v, s->n, err) : 0;
    case QD_VALUE_TERM:
        return (f->indexed || f->doc_values) && sink->terms
                   ? sink->terms(sink->arg, f, v, s->n, err)
                   : 0;
    case QD_VALUE_IP:
        return (f->indexed || f->doc_values) && sink->ip ? sink->ip(sink->arg, f, v, s->n, err) : 0;
    default:
        return (f->indexed || f->doc_values) && sink->i64 ? sink->i64(sink->arg, f, v, s->n, err)
                                                          : 0;
    }
}

static int deliver_field(doc *d, uint32_t id, const doc_field *s, const qd_doc_sink *sink,
                         qd_err *err)
{
    const qd_field *f = qd_mapping_field_at(d->m, id);
    int rc = 0;
    if (s->n) rc = deliver_values(d, f, s, sink, err);
    if (rc == 0 && s->n && f->stored && sink->stored) rc = deliver_stored(d, f, s, sink, err);
    if (rc == 0 && s->part.p && sink->part) rc = sink->part(sink->arg, f, s->part, err);
    bool has = s->n || s->part.p;
    if (rc == 0 && has && f->exists_by == QD_EXISTS_FIELD_NAME && sink->field_name) {
        rc = sink->field_name(sink->arg, f, err);
    }
    if (rc == 0 && s->ignored && sink->ignored) rc = sink->ignored(sink->arg, f, err);
    return rc;
}

/* What of nested documents is a document's as well; no index parts, which have one value. */
static int deliver_included(doc *d, uint32_t owner, const qd_doc_sink *sink, qd_err *err)
{
    int rc = 0;
    for (size_t i = 0; i < d->included.n && !rc; i++) {
        doc_kept *k = &d->included.at[i];
        k->state.part.p = NULL;
        if (k->owner == owner) rc = deliver_field(d, k->id, &k->state, sink, err);
    }
    return rc;
}

/* In the order in which they began: one ends where the next one is no deeper. */
static int deliver_nested(doc *d, const qd_doc_sink *sink, qd_err *err)
{
    uint32_t open = 0;
    int rc = 0;
    for (uint32_t i = 0; i < d->nested.n && !rc; i++) {
        const doc_nested *n = &d->nested.at[i];
        for (; open > n->depth && !rc; open--) rc = sink->nested_end(sink->arg, err);
        if (!rc) rc = sink->nested_begin(sink->arg, n->object->path, err);
        open++;
        for (uint32_t k = n->first; k < n->first + n->n && !rc; k++)
            rc = deliver_field(d, d->kept.at[k].id, &d->kept.at[k].state, sink, err);
        if (!rc) rc = deliver_included(d, i, sink, err);
    }
    for (; open > 0 && !rc; open--) rc = sink->nested_end(sink->arg, err);
    return rc;
}

int qdi_doc_deliver(doc *d, const qd_doc_sink *sink, qd_err *err)
{
    int rc = 0;
    for (size_t i = 0; i < d->touched.n && !rc; i++)
        rc = deliver_field(d, d->touched.at[i], &d->fields.at[d->touched.at[i]], sink, err);
    if (QD_LIKELY(d->nested.n == 0)) return rc;
    if (!rc) rc = deliver_included(d, QDI_DOC_ROOT, sink, err);
    for (size_t i = 0; i < d->ignored.n && !rc && sink->ignored; i++)
        rc = sink->ignored(sink->arg, qd_mapping_field_at(d->m, d->ignored.at[i]), err);
    return rc || !sink->nested_begin ? rc : deliver_nested(d, sink, err);
}
