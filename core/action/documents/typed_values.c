/*
 * typed_values.c: see typed_int.h. Everything that the JSON writer asserts or mends is checked
 * before: the values are a plugin's.
 */
#include "action/documents/typed_int.h"
#include "base/base64.h"
#include "base/utf8.h"
#include "json/reader.h"
#include "json/writer.h"
#include <math.h>

#define VALUE_BYTES 8u /* of a value beside name and text: quotes, colon, comma, digits */
#define PATH_MAX_BYTES 256u

_Static_assert(QD_DOCS_LEVELS_MAX == QD_JSON_DEPTH_DEFAULT, "what is written can be read");

size_t qdi_typed_bytes(const qd_docs_value *values, uint32_t n)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < n; i++) {
        size_t more = values[i].name.n;
        if (values[i].type == QD_DOCS_STRING || values[i].type == QD_DOCS_BYTES)
            more += values[i].text.n;
        if (more > SIZE_MAX / 2 - bytes) return SIZE_MAX / 2;
        bytes += more + VALUE_BYTES;
    }
    return bytes;
}

/* --- writing --- */

typedef struct render {
    qd_json_writer w;
    const qd_docs_value *values;
    uint32_t at;
    uint32_t
        opened[QD_DOCS_LEVELS_MAX]; /* the values that opened what is open, below the document */
} render;

static uint32_t open_levels(const render *x)
{
    return x->w.depth - 1; /* without the document itself */
}

static bool in_array(const render *x)
{
    uint32_t n = open_levels(x);
    return n && x->values[x->opened[n - 1]].type == QD_DOCS_ARRAY;
}

/* Dotted name of the present value, cut where it is long. */
static void path_of(const render *x, qd_buf *out)
{
    for (uint32_t i = 0; i <= open_levels(x); i++) {
        qd_str name = x->values[i < open_levels(x) ? x->opened[i] : x->at].name;
        if (!name.n || (i == open_levels(x) && in_array(x))) continue;
        size_t room = PATH_MAX_BYTES - out->n;
        if (name.n + 2 > room) {
            (void)qd_buf_c(out, "\xe2\x80\xa6");
            return;
        }
        if (out->n) (void)qd_buf_char(out, '.');
        for (size_t k = 0; k < name.n;) { /* it may be no UTF-8, and that is what is told */
            uint32_t cp;
            char text[4];
            k += qd_utf8_next(name.p + k, name.p + name.n, &cp);
            (void)qd_buf_add(out, text, qd_utf8_put(text, cp));
        }
    }
}

static int fail(const render *x, qd_err *err, const char *what)
{
    qd_buf path;
    qd_buf_init(&path, NULL, 4 * PATH_MAX_BYTES);
    path_of(x, &path);
    int rc = qd_err_set(err, QD_E_DOC_PARSING, "failed to parse value [%u] at [%.*s]: %s", x->at,
                        QD_STR_ARG(qd_buf_view(&path)), what);
    qd_buf_fini(&path);
    return rc;
}

static void base64(qd_json_writer *w, qd_str bytes)
{
    qd_json_str(w, (qd_str){"", 0});
    if (qd_buf_status(w->out)) return;
    w->out->n--; /* the digits go between the quotes */
    char *text = qd_buf_reserve(w->out, qd_base64_size(bytes.n));
    if (text) w->out->n += qd_base64_encode(text, (const uint8_t *)bytes.p, bytes.n);
    (void)qd_buf_char(w->out, '"');
}

static int end_of(render *x, uint32_t opener, qd_err *err)
{
    uint32_t n = open_levels(x);
    if (!n || x->values[x->opened[n - 1]].type != opener)
        return fail(x, err,
                    opener == QD_DOCS_ARRAY ? "ARRAY_END without its ARRAY"
                                            : "OBJECT_END without its OBJECT");
    if (opener == QD_DOCS_ARRAY)
        qd_json_array_end(&x->w);
    else
        qd_json_object_end(&x->w);
    return 0;
}

static int name_of(render *x, const qd_docs_value *v, qd_err *err)
{
    if (in_array(x)) return v->name.n ? fail(x, err, "an element of an array has no name") : 0;
    if (!v->name.n) return fail(x, err, "a member of an object has a name");
    if (!qd_utf8_valid(v->name, NULL)) return fail(x, err, "the name is not valid UTF-8");
    return 0;
}

/* What a value must be before anything of it is written. */
static int check(render *x, const qd_docs_value *v, qd_err *err)
{
    int rc = name_of(x, v, err);
    if (rc) return rc;
    switch (v->type) {
    case QD_DOCS_OBJECT:
    case QD_DOCS_ARRAY:
        return x->w.depth < QD_DOCS_LEVELS_MAX
                   ? 0
                   : fail(x, err, "the document has more than 512 levels");
    case QD_DOCS_DOUBLE:
        return isfinite(v->number) ? 0 : fail(x, err, "DOUBLE is no finite number");
    case QD_DOCS_BOOL:
        return v->integer == 0 || v->integer == 1 ? 0 : fail(x, err, "BOOL is neither 0 nor 1");
    case QD_DOCS_STRING:
        return qd_utf8_valid(v->text, NULL) ? 0 : fail(x, err, "STRING is not valid UTF-8");
    case QD_DOCS_NULL:
    case QD_DOCS_INT:
    case QD_DOCS_UINT:
    case QD_DOCS_BYTES:
        return 0;
    default:
        return fail(x, err, "its type is unknown");
    }
}

static void put(render *x, const qd_docs_value *v)
{
    qd_json_writer *w = &x->w;
    if (!in_array(x)) qd_json_key(w, v->name);
    switch (v->type) {
    case QD_DOCS_OBJECT:
    case QD_DOCS_ARRAY:
        x->opened[open_levels(x)] = x->at;
        if (v->type == QD_DOCS_ARRAY)
            qd_json_array(w);
        else
            qd_json_object(w);
        break;
    case QD_DOCS_BOOL:
        qd_json_bool(w, v->integer != 0);
        break;
    case QD_DOCS_INT:
        qd_json_int(w, v->integer);
        break;
    case QD_DOCS_UINT:
        qd_json_uint(w, (uint64_t)v->integer);
        break;
    case QD_DOCS_DOUBLE:
        qd_json_double(w, v->number);
        break;
    case QD_DOCS_STRING:
        qd_json_str(w, v->text.p ? v->text : (qd_str){"", 0});
        break;
    case QD_DOCS_BYTES:
        base64(w, v->text);
        break;
    default:
        qd_json_null(w);
        break;
    }
}

static int one(render *x, qd_err *err)
{
    const qd_docs_value *v = &x->values[x->at];
    if (v->type == QD_DOCS_OBJECT_END) return end_of(x, QD_DOCS_OBJECT, err);
    if (v->type == QD_DOCS_ARRAY_END) return end_of(x, QD_DOCS_ARRAY, err);
    int rc = check(x, v, err);
    if (!rc) put(x, v);
    return rc;
}

int qdi_typed_write(const qd_docs_value *values, uint32_t n, qd_buf *out, qd_err *err)
{
    render x = {.values = values};
    size_t before = out->n;
    int rc = 0;
    qd_json_writer_init(&x.w, out, false);
    qd_json_object(&x.w);
    for (; x.at < n && !rc && !qd_buf_status(out); x.at++) rc = one(&x, err);
    if (!rc && open_levels(&x) && !qd_buf_status(out)) {
        x.at = x.opened[open_levels(&x) - 1];
        x.w.depth--; /* the place is that of what stays open */
        rc = fail(&x, err, "OBJECT or ARRAY without its end");
    }
    if (!rc && !qd_buf_status(out)) qd_json_object_end(&x.w);
    if (!rc && qd_buf_status(out)) rc = qd_err_nomem(err, "text of a document");
    if (rc && !qd_buf_status(out)) out->n = before;
    return rc;
}

/* --- reading --- */

struct qd_docs_cursor {
    qd_json_reader r;
    bool begun, ended;
};

int qdi_cursor_open(qd_account *account, qd_str source, qd_docs_cursor **out, qd_err *err)
{
    qd_docs_cursor *c = qd_calloc(account, sizeof *c);
    if (!c) return qd_err_nomem(err, "cursor of a document");
    c->r = QD_JSON_READER(account);
    qd_json_reader_init(&c->r, source, QD_JSON_COMMENTS, QD_JSON_DEPTH_DEFAULT);
    *out = c;
    return 0;
}

static void number(const qd_json_reader *r, qd_docs_value *v)
{
    uint64_t u = 0;
    v->text = r->text;
    (void)!qd_json_f64(r, &v->number); /* infinite beyond a double: the text has it */
    v->type = QD_DOCS_DOUBLE;
    if (qd_json_i64(r, &v->integer) == 0) {
        v->type = QD_DOCS_INT;
    } else if (qd_json_u64(r, &u) == 0) {
        v->type = QD_DOCS_UINT;
        v->integer = (int64_t)u;
    } else {
        v->integer = 0;
    }
}

static void scalar(const qd_docs_cursor *c, qd_json_event ev, qd_docs_value *v)
{
    static const uint32_t types[] = {
        [QD_JSON_OBJECT] = QD_DOCS_OBJECT, [QD_JSON_OBJECT_END] = QD_DOCS_OBJECT_END,
        [QD_JSON_ARRAY] = QD_DOCS_ARRAY,   [QD_JSON_ARRAY_END] = QD_DOCS_ARRAY_END,
        [QD_JSON_STRING] = QD_DOCS_STRING, [QD_JSON_TRUE] = QD_DOCS_BOOL,
        [QD_JSON_FALSE] = QD_DOCS_BOOL,    [QD_JSON_NULL] = QD_DOCS_NULL,
    };
    if (ev == QD_JSON_NUMBER) {
        number(&c->r, v);
        return;
    }
    v->type = types[ev];
    v->integer = ev == QD_JSON_TRUE;
    if (ev == QD_JSON_STRING) v->text = c->r.text;
}

int qdi_cursor_next(qd_docs_cursor *c, qd_docs_value *out, qd_err *err)
{
    memset(out, 0, sizeof *out);
    if (c->ended) return 0;
    qd_json_event ev = qd_json_next(&c->r);
    if (!c->begun && ev == QD_JSON_OBJECT) {
        c->begun = true;
        ev = qd_json_next(&c->r);
    }
    if (ev == QD_JSON_KEY) {
        out->name = c->r.text;
        ev = qd_json_next(&c->r);
    }
    if (ev == QD_JSON_ERROR) return qd_json_fail(&c->r, err);
    if (!c->begun) return qd_err_set(err, QD_E_XCONTENT, "the source of a document is no object");
    c->ended = ev == QD_JSON_EOF || (ev == QD_JSON_OBJECT_END && c->r.depth == 0);
    if (!c->ended) scalar(c, ev, out);
    return 0;
}

int qdi_cursor_skip(qd_docs_cursor *c, qd_err *err)
{
    bool open =
        c->begun && !c->ended && (c->r.event == QD_JSON_OBJECT || c->r.event == QD_JSON_ARRAY);
    if (!open) return 0;
    return qd_json_skip(&c->r) ? qd_json_fail(&c->r, err) : 0;
}

void qdi_cursor_close(qd_docs_cursor *c)
{
    if (!c) return;
    qd_json_reader_fini(&c->r);
    qd_free(c);
}
