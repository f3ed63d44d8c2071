/* doc_error.c: errors of documents in Elasticsearch's words, with "[line:column] " before them. */
#include "mapping/doc_parser_int.h"
#include <stdarg.h>
#include <stdio.h>

#define PREVIEW_MAX 4096

/* The present value as Java prints it: {a=1, b=[x, y]}. */
static void preview(doc *d, qd_buf *out)
{
    qd_json_reader *r = &d->r;
    if (r->event != QD_JSON_OBJECT && r->event != QD_JSON_ARRAY) {
        bool none = r->event == QD_JSON_NULL || r->event == QD_JSON_ARRAY_END; /* behind it */
        qd_str text = none ? QD_STR("null") : qdi_doc_text(d);
        (void)qd_buf_str(out, qd_str_sub(text, 0, PREVIEW_MAX));
        return;
    }
    uint32_t outside = r->depth - 1;
    qd_json_event ev = r->event;
    bool first = true;
    for (;;) {
        bool end = ev == QD_JSON_OBJECT_END || ev == QD_JSON_ARRAY_END;
        if (!first && !end) (void)qd_buf_c(out, ", ");
        first = false;
        switch (ev) {
        case QD_JSON_KEY:
            (void)qd_buf_str(out, r->text);
            (void)qd_buf_char(out, '=');
            first = true;
            break;
        case QD_JSON_OBJECT:
        case QD_JSON_ARRAY:
            (void)qd_buf_char(out, ev == QD_JSON_OBJECT ? '{' : '[');
            first = true;
            break;
        case QD_JSON_OBJECT_END:
            (void)qd_buf_char(out, '}');
            break;
        case QD_JSON_ARRAY_END:
            (void)qd_buf_char(out, ']');
            break;
        case QD_JSON_NULL:
            (void)qd_buf_c(out, "null");
            break;
        default:
            (void)qd_buf_str(out, qdi_doc_text(d));
            break;
        }
        if (r->depth <= outside || out->n > PREVIEW_MAX) return;
        ev = qd_json_next(r);
        if (ev <= 0) return;
    }
}

/* The frame around what is wrong with the present value of a field. */
static int in_frame(doc *d, qd_str name, const char *type, qd_err *err)
{
    qd_buf b;
    uint32_t line, column;
    qd_json_position(&d->r, d->r.token, &line, &column);
    qd_buf_init(&b, d->account, 1 << 20);
    preview(d, &b);
    qd_str text = qd_str_sub(qd_buf_view(&b), 0, PREVIEW_MAX);
    int rc = qd_err_wrap(err, QD_E_DOC_PARSING,
                         "[%u:%u] failed to parse field [%.*s] of type [%s] in document with id "
                         "'%.*s'. Preview of field's "
                         "value: '%.*s'",
                         line, column, QD_STR_ARG(name), type, QD_STR_ARG(d->id), QD_STR_ARG(text));
    qd_buf_fini(&b);
    return rc;
}

int qdi_doc_field_error(doc *d, const qd_field *f, int rc, qd_err *err)
{
    if (rc == QD_E_NOMEM || !err) return rc == QD_E_NOMEM ? rc : QD_E_DOC_PARSING;
    return in_frame(d, f->name, qd_field_type_name(f), err);
}

int qdi_doc_metadata_error(doc *d, qd_str key, qd_err *err)
{
    char name[64];
    snprintf(name, sizeof name, "%.*s", QD_STR_ARG(key)); /* the key's view ends with its token */
    if (qd_json_next(&d->r) <= 0) return QD_E_XCONTENT;
    if (!err) return QD_E_DOC_PARSING;
    (void)qdi_doc_error(d, err, QD_E_DOC_PARSING,
                        "Field [%s] is a metadata field and cannot be added inside a document. Use "
                        "the index API request parameters.",
                        name);
    return in_frame(d, qd_str_c(name), name, err);
}

int qdi_doc_wrap(doc *d, int rc, qd_err *err)
{
    if (rc == 0 || rc == QD_E_NOMEM || rc == QD_E_DOC_PARSING || rc == QD_E_STRICT_MAPPING)
        return rc;
    if (!err) return QD_E_DOC_PARSING;
    uint32_t line, column;
    qd_json_position(&d->r, d->r.token, &line, &column);
    qd_str reason = qd_arena_str(&d->arena, qd_str_c(qd_err_reason(err)));
    return qd_err_wrap(err, QD_E_DOC_PARSING, "[%u:%u] failed to parse: %.*s", line, column,
                       QD_STR_ARG(reason));
}

int qdi_doc_error(doc *d, qd_err *err, int code, const char *fmt, ...)
{
    if (!err) return code;
    uint32_t line, column;
    va_list ap;
    char text[1024];
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    qd_json_position(&d->r, d->r.token, &line, &column);
    return qd_err_set(err, code, "[%u:%u] %s", line, column, text);
}
