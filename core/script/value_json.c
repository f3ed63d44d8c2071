/* value_json.c: trees of values from JSON and to JSON. */
#include "base/geo.h"
#include "mapping/date_format.h"
#include "script/object.h"
#include "script/value.h"

static int read_number(qd_arena *a, qd_json_reader *r, qd_sv *out)
{
    int64_t i;
    if (r->integer) {
        if (qd_json_i64(r, &i) == 0) {
            *out = i >= INT32_MIN && i <= INT32_MAX ? qd_sv_int((int32_t)i) : qd_sv_long(i);
            return 0;
        }
        int rc = qd_sv_str_copy(a, r->text, out);
        out->tag = QD_SV_BIG;
        return rc;
    }
    double f = 0;
    int rc = qd_json_f64(r, &f); /* one that overflows stays infinite */
    (void)rc;
    *out = qd_sv_double(f);
    return 0;
}

static int read_value(qd_arena *a, qd_json_reader *r, qd_json_event ev, qd_sv *out, int depth,
                      qd_err *err);

static int read_object(qd_arena *a, qd_json_reader *r, qd_sv *out, int depth, qd_err *err)
{
    qd_json_event ev;
    int rc = qd_sv_map_make(a, out);
    while (rc == 0 && (ev = qd_json_next(r)) == QD_JSON_KEY) {
        qd_sv key, v;
        rc = qd_sv_str_copy(a, r->text, &key);
        if (rc == 0) rc = read_value(a, r, qd_json_next(r), &v, depth + 1, err);
        if (rc == 0) rc = qd_sv_map_set(a, out->map, key, v);
    }
    if (rc == 0 && r->event == QD_JSON_ERROR) return qd_json_fail(r, err);
    return rc;
}

static int read_array(qd_arena *a, qd_json_reader *r, qd_sv *out, int depth, qd_err *err)
{
    qd_json_event ev;
    int rc = qd_sv_list_make(a, 0, out);
    while (rc == 0 && (ev = qd_json_next(r)) != QD_JSON_ARRAY_END) {
        qd_sv v;
        rc = read_value(a, r, ev, &v, depth + 1, err);
        if (rc == 0) rc = qd_sv_list_add(a, out->list, v);
    }
    return rc;
}

static int read_value(qd_arena *a, qd_json_reader *r, qd_json_event ev, qd_sv *out, int depth,
                      qd_err *err)
{
    if (depth > QD_SV_DEPTH) return qd_err_set(err, QD_E_ARG, "the value nests too deep");
    switch (ev) {
    case QD_JSON_OBJECT:
        return read_object(a, r, out, depth, err);
    case QD_JSON_ARRAY:
        return read_array(a, r, out, depth, err);
    case QD_JSON_STRING:
        return qd_sv_str_copy(a, r->text, out);
    case QD_JSON_NUMBER:
        return read_number(a, r, out);
    case QD_JSON_TRUE:
    case QD_JSON_FALSE:
        *out = qd_sv_bool(ev == QD_JSON_TRUE);
        return 0;
    case QD_JSON_NULL:
    case QD_JSON_EOF:
        *out = qd_sv_null();
        return 0;
    default:
        return qd_json_fail(r, err);
    }
}

int qd_sv_read(qd_arena *a, qd_json_reader *r, qd_sv *out, qd_err *err)
{
    int rc = read_value(a, r, r->event, out, 0, err);
    return rc == QD_E_NOMEM ? qd_err_nomem(err, "a document for a script") : rc;
}

int qd_sv_parse(qd_arena *a, qd_str json, qd_sv *out, qd_err *err)
{
    *out = qd_sv_null();
    if (json.n == 0) return 0;
    qd_json_reader r = QD_JSON_READER(a->account);
    qd_json_reader_init(&r, json, QD_JSON_COMMENTS, 0);
    qd_json_next(&r);
    int rc = qd_sv_read(a, &r, out, err);
    if (rc == 0 && qd_json_next(&r) == QD_JSON_ERROR) rc = qd_json_fail(&r, err);
    qd_json_reader_fini(&r);
    return rc;
}

static int write_value(const qd_sv *v, qd_json_writer *w, int depth, qd_err *err);

static int write_map(const qd_sv *v, qd_json_writer *w, int depth, qd_err *err)
{
    int rc = 0;
    qd_json_object(w);
    for (uint32_t i = 0; rc == 0 && i < v->map->n; i++) {
        const qd_sv_entry *e = &v->map->e[i];
        char text[QD_SV_PRINT];
        if (e->key.tag == QD_SV_GONE) continue;
        if (e->key.tag > QD_SV_STRING)
            rc = qd_err_set(err, QD_E_ARG, "a key of a map is no text and no number");
        else
            qd_json_key(w, qd_sv_print(&e->key, text));
        if (rc == 0) rc = write_value(&e->value, w, depth + 1, err);
    }
    if (rc == 0) qd_json_object_end(w);
    return rc;
}

static int write_list(const qd_sv *v, qd_json_writer *w, int depth, qd_err *err)
{
    int rc = 0;
    qd_json_array(w);
    if (v->tag == QD_SV_SET) {
        for (uint32_t i = 0; rc == 0 && i < v->map->n; i++)
            if (v->map->e[i].key.tag != QD_SV_GONE)
                rc = write_value(&v->map->e[i].key, w, depth + 1, err);
    } else {
        for (uint32_t i = 0; rc == 0 && i < v->list->n; i++)
            rc = write_value(&v->list->v[i], w, depth + 1, err);
    }
    if (rc == 0) qd_json_array_end(w);
    return rc;
}

static void write_point(const qd_geo *p, qd_json_writer *w)
{
    qd_json_object(w);
    qd_json_key_c(w, "lat");
    qd_json_double(w, p->lat);
    qd_json_key_c(w, "lon");
    qd_json_double(w, p->lon);
    qd_json_object_end(w);
}

static int write_value(const qd_sv *v, qd_json_writer *w, int depth, qd_err *err)
{
    char text[QD_SV_PRINT];
    if (depth > QD_SV_DEPTH)
        return qd_err_set(err, QD_E_ARG, "Iterable object is self-referencing itself");
    /* lists that share members may be more than can ever be written; the buffer's owner says why */
    if (qd_buf_status(w->out)) return 0;
    switch (v->tag) {
    case QD_SV_NULL:
        qd_json_null(w);
        return 0;
    case QD_SV_BOOL:
        qd_json_bool(w, v->i);
        return 0;
    case QD_SV_BYTE:
    case QD_SV_SHORT:
    case QD_SV_INT:
    case QD_SV_LONG:
        qd_json_int(w, v->i);
        return 0;
    case QD_SV_FLOAT:
        qd_json_float(w, (float)v->f);
        return 0;
    case QD_SV_DOUBLE:
        qd_json_double(w, v->f);
        return 0;
    case QD_SV_BIG:
        qd_json_raw_value(w, qd_sv_text(v));
        return 0;
    case QD_SV_MAP:
        return write_map(v, w, depth, err);
    case QD_SV_LIST:
    case QD_SV_SET:
    case QD_SV_ARRAY:
        return write_list(v, w, depth, err);
    case QD_SV_STRING:
    case QD_SV_CHAR:
    case QD_SV_WEEKDAY:
    case QD_SV_UNIT:
    case QD_SV_ZONE:
    case QD_SV_DURATION:
        qd_json_str(w, qd_sv_print(v, text));
        return 0;
    case QD_SV_DATE:
    case QD_SV_INSTANT:
        qd_json_str(w, qd_sv_print_iso(v, text));
        return 0;
    case QD_SV_GEO:
        write_point(v->object, w);
        return 0;
    case QD_SV_BUILDER:
        qd_json_str(w, qd_buf_view(v->object));
        return 0;
    default:
        return qd_err_set(err, QD_E_ARG, "cannot write xcontent for unknown value of type class %s",
                          qd_sv_class(v));
    }
}

int qd_sv_write(const qd_sv *v, qd_json_writer *w, qd_err *err)
{
    return write_value(v, w, 0, err);
}
