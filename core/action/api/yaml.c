/* yaml.c: an answer of JSON as YAML, in the form that Elasticsearch's ?format=yaml has. */
#include "action/api/admin_int.h"
#include "base/str.h"
#include "json/reader.h"

#define YAML_DEPTH_MAX 512u

typedef struct level {
    bool array;
    uint32_t indent;
} level;

typedef struct yaml {
    qd_buf *out;
    level stack[YAML_DEPTH_MAX];
    uint32_t depth;
    bool inline_next; /* the next thing stands behind "- " on the same line */
} yaml;

static void line_start(yaml *y, uint32_t indent)
{
    if (!y->inline_next) {
        for (uint32_t i = 0; i < indent; i++) (void)qd_buf_char(y->out, ' ');
    }
    y->inline_next = false;
}

static void quoted(yaml *y, qd_str s)
{
    (void)qd_buf_char(y->out, '"');
    qd_json_escape(y->out, s);
    (void)qd_buf_char(y->out, '"');
}

static bool plain_key(qd_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '_' || c == '-' || c == '.';
        if (!fine || (i == 0 && (c == '-' || c == '.'))) return false;
    }
    return s.n > 0;
}

static void key(yaml *y, qd_str s)
{
    line_start(y, y->stack[y->depth - 1].indent);
    if (plain_key(s)) {
        (void)qd_buf_str(y->out, s);
    } else {
        quoted(y, s);
    }
    (void)qd_buf_char(y->out, ':');
}

/* Before a value: the dash of an element, or the blank behind a key. */
static void before_value(yaml *y, bool on_this_line)
{
    if (y->depth == 0) return;
    const level *l = &y->stack[y->depth - 1];
    if (l->array) {
        line_start(y, l->indent);
        (void)qd_buf_c(y->out, "- ");
        y->inline_next = true;
    } else {
        (void)qd_buf_char(y->out, on_this_line ? ' ' : '\n');
        y->inline_next = false;
    }
}

static void scalar(yaml *y, const qd_json_reader *r, qd_json_event ev)
{
    before_value(y, true);
    switch (ev) {
    case QD_JSON_STRING:
        quoted(y, r->text);
        break;
    case QD_JSON_NUMBER:
        (void)qd_buf_str(y->out, r->text);
        break;
    default:
        (void)qd_buf_c(y->out, ev == QD_JSON_TRUE    ? "true"
                               : ev == QD_JSON_FALSE ? "false"
                                                     : "null");
    }
    (void)qd_buf_char(y->out, '\n');
    y->inline_next = false;
}

/* Opens a container that has members. */
static int open_container(yaml *y, bool array)
{
    level l = {.array = array};
    if (y->depth == YAML_DEPTH_MAX) return QD_E_LIMIT;
    if (y->depth) {
        const level *up = &y->stack[y->depth - 1];
        l.indent = up->indent + (up->array || !array ? 2 : 0);
    }
    before_value(y, false);
    y->stack[y->depth++] = l;
    return 0;
}

int qdi_yaml_from_json(qd_str json, qd_buf *out)
{
    yaml y = {.out = out};
    qd_json_reader r = QD_JSON_READER(NULL);
    int rc = 0;
    (void)qd_buf_c(out, "---\n");
    qd_json_reader_init(&r, json, 0, 0);
    for (qd_json_event ev = qd_json_next(&r); ev > 0 && !rc;) {
        bool array = ev == QD_JSON_ARRAY;
        if (array || ev == QD_JSON_OBJECT) {
            qd_json_event next = qd_json_next(&r);
            if (next == QD_JSON_OBJECT_END || next == QD_JSON_ARRAY_END) {
                before_value(&y, true);
                (void)qd_buf_c(out, array ? "[]\n" : "{}\n");
                y.inline_next = false;
            } else {
                rc = open_container(&y, array);
                ev = next;
                continue;
            }
        } else if (ev == QD_JSON_OBJECT_END || ev == QD_JSON_ARRAY_END) {
            y.depth--;
        } else if (ev == QD_JSON_KEY) {
            key(&y, r.text);
        } else {
            scalar(&y, &r, ev);
        }
        ev = qd_json_next(&r);
    }
    if (r.event == QD_JSON_ERROR) rc = QD_E_XCONTENT;
    qd_json_reader_fini(&r);
    return rc ? rc : qd_buf_status(out);
}
