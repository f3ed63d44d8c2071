/* settings_json.c: settings from and to JSON, nested or flat. See settings.h. */
#include "base/vec.h"
#include "config/settings.h"

#define DEPTH_MAX 64

typedef struct json_in {
    qd_settings *s;
    qd_json_reader *r;
    qd_buf key;             /* the path so far, without a dot at the end */
    size_t ends[DEPTH_MAX]; /* length of key at each open object */
    uint32_t depth;
    qd_err *err;
} json_in;

static qd_str scalar_text(qd_json_event ev, qd_str text)
{
    return ev == QD_JSON_TRUE ? QD_STR("true") : ev == QD_JSON_FALSE ? QD_STR("false") : text;
}

static int put_array(json_in *in)
{
    QD_VEC(qd_str) items = {0};
    int rc = 0;
    qd_json_event ev;
    while (rc == 0 && (ev = qd_json_next(in->r)) != QD_JSON_ARRAY_END) {
        if (ev == QD_JSON_ERROR) {
            rc = qd_json_fail(in->r, in->err);
        } else if (ev == QD_JSON_OBJECT || ev == QD_JSON_ARRAY || ev == QD_JSON_NULL) {
            rc = qd_json_err_at(in->r, in->err, QD_E_ES_PARSE,
                                "only value lists are allowed in serialized settings");
        } else if (items.n == QD_SETTINGS_LIST_MAX) {
            rc = qd_json_err_at(in->r, in->err, QD_E_LIMIT, "more than %d items in a setting",
                                QD_SETTINGS_LIST_MAX);
        } else if (qd_vec_push(&items, NULL, scalar_text(ev, in->r->text)) != 0) {
            rc = qd_err_nomem(in->err, "settings");
        }
    }
    if (rc == 0)
        rc = qd_settings_put_list(in->s, qd_buf_view(&in->key), items.at, (uint32_t)items.n,
                                  in->err);
    qd_vec_fini(&items);
    return rc;
}

static int put_value(json_in *in, qd_json_event ev)
{
    qd_str key = qd_buf_view(&in->key);
    if (qd_settings_get(in->s, key))
        return qd_json_err_at(in->r, in->err, QD_E_ES_PARSE, "duplicate settings key [%.*s] found",
                              QD_STR_ARG(key));
    if (ev == QD_JSON_ARRAY) return put_array(in);
    if (ev == QD_JSON_NULL) return qd_settings_put_null(in->s, key, in->err);
    return qd_settings_put(in->s, key, scalar_text(ev, in->r->text), in->err);
}

/* One member: its key goes behind the path; an object is entered, anything else is put. */
static int put_member(json_in *in)
{
    size_t end = in->ends[in->depth - 1];
    in->key.n = end;
    if (end > 0 && in->key.p[end - 1] != '.') qd_buf_char(&in->key, '.');
    qd_buf_str(&in->key, in->r->text);
    if (qd_buf_status(&in->key) == QD_E_NOMEM) return qd_err_nomem(in->err, "settings");
    if (qd_buf_status(&in->key))
        return qd_json_err_at(in->r, in->err, QD_E_LIMIT, "the name of a setting is too long");
    qd_json_event ev = qd_json_next(in->r);
    if (ev == QD_JSON_ERROR) return qd_json_fail(in->r, in->err);
    if (ev != QD_JSON_OBJECT) return put_value(in, ev);
    if (in->depth == DEPTH_MAX)
        return qd_json_err_at(in->r, in->err, QD_E_LIMIT, "settings deeper than %d", DEPTH_MAX);
    in->ends[in->depth++] = in->key.n;
    return 0;
}

int qd_settings_put_json(qd_settings *s, qd_json_reader *r, qd_str prefix, qd_err *err)
{
    qd_assert(r->event == QD_JSON_OBJECT);
    json_in in = {.s = s, .r = r, .err = err};
    qd_buf_init(&in.key, NULL, QD_SETTINGS_KEY_MAX);
    int rc = qd_buf_str(&in.key, prefix) ? qd_err_nomem(err, "settings") : 0;
    in.ends[0] = in.key.n;
    in.depth = 1;
    while (rc == 0 && in.depth > 0) {
        qd_json_event ev = qd_json_next(r);
        if (ev == QD_JSON_KEY)
            rc = put_member(&in);
        else if (ev == QD_JSON_OBJECT_END)
            in.depth--;
        else
            rc = qd_json_fail(r, err);
    }
    qd_buf_fini(&in.key);
    return rc;
}

/* --- writing ------------------------------------------------------------------------------- */

static void write_value(qd_json_writer *w, const qd_setting_value *v)
{
    if (v->kind == QD_SETTING_NULL) {
        qd_json_null(w);
    } else if (v->kind == QD_SETTING_TEXT) {
        qd_json_str(w, v->text);
    } else {
        qd_json_array(w);
        for (uint32_t i = 0; i < v->n; i++) qd_json_str(w, v->items[i]);
        qd_json_array_end(w);
    }
}

/* May the component of key that ends at `end` (a '.') open an object? Not when the key up to there
 * is a setting of its own: then the rest stays dotted. */
static bool may_open(const qd_settings *s, qd_str key, size_t end)
{
    return !qd_settings_get(s, qd_str_sub(key, 0, end));
}

void qd_settings_write(const qd_settings *s, qd_json_writer *w, bool flat,
                       bool (*want)(void *arg, qd_str key), void *arg)
{
    qd_str open[DEPTH_MAX]; /* the path of each open object, with its dot */
    size_t depth = 0, n = qd_settings_count(s);
    qd_json_object(w);
    for (size_t i = 0; i < n; i++) {
        const qd_setting_value *v = qd_settings_at(s, i);
        if (want && !want(arg, v->key)) continue;
        while (depth > 0 && !qd_str_starts(v->key, open[depth - 1])) {
            qd_json_object_end(w);
            depth--;
        }
        size_t from = depth ? open[depth - 1].n : 0;
        while (!flat && depth < DEPTH_MAX) {
            ptrdiff_t dot = qd_str_find(qd_str_sub(v->key, from, SIZE_MAX), '.');
            if (dot <= 0 || from + (size_t)dot + 1 == v->key.n ||
                !may_open(s, v->key, from + (size_t)dot))
                break;
            qd_json_key(w, qd_str_sub(v->key, from, (size_t)dot));
            qd_json_object(w);
            from += (size_t)dot + 1;
            open[depth++] = qd_str_sub(v->key, 0, from);
        }
        qd_json_key(w, qd_str_sub(v->key, from, SIZE_MAX));
        write_value(w, v);
    }
    while (depth-- > 0) qd_json_object_end(w);
    qd_json_object_end(w);
}
