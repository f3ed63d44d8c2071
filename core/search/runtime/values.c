/* values.c: what scripts emit and sources hold, as columns of the fields' types have it. */
#include "base/geo.h"
#include "base/str.h"
#include "mapping/geo_read.h"
#include "search/runtime/runtime_int.h"
#include <math.h>

#define STRING_MAX 32766u /* bytes of a keyword, as of an indexed one */

void qdi_runtime_begin(qdi_runtime_sink *s, uint32_t doc)
{
    s->doc = doc;
    s->chars = 0;
    memset(s->n, 0, s->of->n * sizeof *s->n);
    if (s->scratch.chunk) qd_arena_reset(&s->scratch);
}

void qdi_runtime_undo(qdi_runtime_sink *s)
{
    for (uint32_t i = 0; i < s->of->n; i++)
        if (s->n[i]) qd_overlay_buffer_undo(s->columns[i], s->doc);
    memset(s->n, 0, s->of->n * sizeof *s->n);
}

static int count(qdi_runtime_sink *s, uint32_t i, qd_err *err)
{
    if (s->n[i]++ < QD_RUNTIME_VALUES_MAX) return 0;
    return qd_err_set(err, QD_E_ARG,
                      "Runtime field [%.*s] is emitting [%u] values while the maximum number of "
                      "values allowed is [%u]",
                      QD_STR_ARG(s->of->fields[i]->shown), s->n[i], QD_RUNTIME_VALUES_MAX);
}

int qdi_runtime_i64(qdi_runtime_sink *s, uint32_t i, int64_t v, qd_err *err)
{
    int rc = count(s, i, err);
    return rc ? rc : qd_overlay_buffer_i64(s->columns[i], s->doc, v, err);
}

static int put_str(qdi_runtime_sink *s, uint32_t i, qd_str v, qd_err *err)
{
    const qd_field *f = s->of->fields[i];
    int rc = count(s, i, err);
    if (rc) return rc;
    if (v.n > STRING_MAX)
        return qd_err_set(err, QD_E_ARG,
                          "Runtime field [%.*s] is emitting a string of [%zu] bytes while the "
                          "maximum is [%u]",
                          QD_STR_ARG(f->shown), v.n, STRING_MAX);
    s->chars += (uint32_t)v.n;
    if (s->chars > QD_RUNTIME_CHARS_MAX)
        return qd_err_set(err, QD_E_ARG,
                          "Runtime field [%.*s] is emitting [%u] characters while the maximum "
                          "number of characters allowed is [%u]",
                          QD_STR_ARG(f->shown), s->chars, QD_RUNTIME_CHARS_MAX);
    return qd_overlay_buffer_str(s->columns[i], s->doc, v, err);
}

static bool is_real(const qd_sv *v)
{
    return v->tag == QD_SV_FLOAT || v->tag == QD_SV_DOUBLE;
}

static bool is_whole(const qd_sv *v)
{
    return v->tag >= QD_SV_BYTE && v->tag <= QD_SV_LONG && v->tag != QD_SV_CHAR;
}

static bool to_long(const qd_sv *v, qd_str text, int64_t *out)
{
    double d;
    if (is_whole(v) || v->tag == QD_SV_DATE) {
        *out = is_whole(v) ? v->i : ((const qd_sv_time *)v->object)->ms;
        return true;
    }
    if (!is_real(v) && qd_i64_parse(text, out) == 0) return true;
    if (is_real(v))
        d = v->f;
    else if (qd_f64_parse_java(text, &d))
        return false;
    if (!(d >= -9223372036854775808.0 && d < 9223372036854775808.0)) return false;
    *out = (int64_t)d;
    return true;
}

static bool to_double(const qd_sv *v, qd_str text, double *out)
{
    if (is_whole(v)) *out = (double)v->i;
    if (is_real(v)) *out = v->f;
    return is_whole(v) || is_real(v) || qd_f64_parse_java(text, out) == 0;
}

static bool to_bool(const qd_sv *v, qd_str text, int64_t *out)
{
    bool yes = qd_str_is(text, "true"), no = qd_str_is(text, "false") || !text.n;
    *out = v->tag == QD_SV_BOOL ? v->i : yes;
    return v->tag == QD_SV_BOOL || yes || no;
}

static bool to_date(const qd_field *f, const qd_sv *v, qd_str text, int64_t *out)
{
    if (v->tag == QD_SV_DATE || v->tag == QD_SV_INSTANT) {
        *out = ((const qd_sv_time *)v->object)->ms;
        return true;
    }
    if (is_whole(v) && v->i < 0) return qd_date_before_epoch(f->format, text, out);
    return qd_date_try(f->format, text, NULL, false, out);
}

static bool degrees(const qd_sv *v, double *out)
{
    char room[QD_SV_PRINT];
    return v && (is_whole(v) || is_real(v) || v->tag == QD_SV_STRING) &&
           to_double(v, v->tag == QD_SV_STRING ? qd_sv_text(v) : qd_sv_print(v, room), out);
}

static bool to_point(const qd_sv *v, qd_geo *out)
{
    static const qd_geo_reading how;
    if (v->tag == QD_SV_GEO) {
        *out = *(const qd_geo *)v->object;
        return true;
    }
    if (v->tag == QD_SV_STRING) return qd_geo_read_text(qd_sv_text(v), &how, out, NULL) == 0;
    if (v->tag == QD_SV_LIST && (v->list->n == 2 || v->list->n == 3))
        return degrees(&v->list->v[0], &out->lon) && degrees(&v->list->v[1], &out->lat);
    if (v->tag != QD_SV_MAP) return false;
    const qd_sv *coordinates = qd_sv_map_get(v->map, QD_STR("coordinates"));
    if (coordinates && coordinates->tag == QD_SV_LIST) return to_point(coordinates, out);
    return degrees(qd_sv_map_get(v->map, QD_STR("lat")), &out->lat) &&
           degrees(qd_sv_map_get(v->map, QD_STR("lon")), &out->lon);
}

static int put_point(qdi_runtime_sink *s, uint32_t i, qd_geo p, qd_err *err)
{
    if (!isfinite(p.lat) || !isfinite(p.lon)) return 0;
    return qdi_runtime_i64(s, i, qd_geo_encode(qd_geo_normal(p)), err);
}

/* One value; what is none of the type is left out. */
static int put(qdi_runtime_sink *s, uint32_t i, const qd_sv *v, qd_err *err)
{
    const qd_field *f = s->of->fields[i];
    char room[QD_SV_PRINT];
    int64_t whole;
    double real;
    uint8_t ip[16];
    qd_geo point;
    if (v->tag == QD_SV_NULL) return 0;
    if (f->value_class == QD_VALUE_GEO)
        return to_point(v, &point) ? put_point(s, i, point, err) : 0;
    if (v->tag == QD_SV_LIST || v->tag == QD_SV_MAP || v->tag == QD_SV_SET) return 0;
    qd_str text =
        v->tag == QD_SV_STRING || v->tag == QD_SV_BIG ? qd_sv_text(v) : qd_sv_print(v, room);
    switch (f->value_class) {
    case QD_VALUE_TERM:
        return put_str(s, i, text, err);
    case QD_VALUE_IP:
        return qd_ip_parse(text, ip) ? put_str(s, i, (qd_str){(const char *)ip, 16}, err) : 0;
    case QD_VALUE_BOOL:
        return to_bool(v, text, &whole) ? qdi_runtime_i64(s, i, whole, err) : 0;
    default:
        break;
    }
    if (f->dates) return to_date(f, v, text, &whole) ? qdi_runtime_i64(s, i, whole, err) : 0;
    if (f->number == QD_NUMBER_DOUBLE)
        return to_double(v, text, &real) ? qdi_runtime_i64(s, i, qd_f64_encode(real), err) : 0;
    return to_long(v, text, &whole) ? qdi_runtime_i64(s, i, whole, err) : 0;
}

/* Lists are flat, but for a point as a list of numbers. */
static int put_all(qdi_runtime_sink *s, uint32_t i, const qd_sv *v, uint32_t depth, qd_err *err)
{
    qd_geo point;
    bool geo = s->of->fields[i]->value_class == QD_VALUE_GEO;
    if (v->tag != QD_SV_LIST || depth > QD_SV_DEPTH || (geo && to_point(v, &point)))
        return put(s, i, v, err);
    int rc = 0;
    for (uint32_t k = 0; k < v->list->n && !rc; k++)
        rc = put_all(s, i, &v->list->v[k], depth + 1, err);
    return rc;
}

static int member(qdi_runtime_sink *s, qd_str name, const qd_sv *v, qd_err *err)
{
    for (uint32_t i = 0; i < s->of->n; i++)
        if (qd_str_eq(s->of->fields[i]->leaf, name)) return put_all(s, i, v, 0, err);
    return 0; /* nobody asks for it */
}

int qdi_runtime_emit(void *arg, const qd_sv *v, uint32_t n, qd_err *err)
{
    qdi_runtime_sink *s = arg;
    const qd_field *f = s->of->fields[0];
    if (s->of->composite && n == 2)
        return v->tag == QD_SV_STRING ? member(s, qd_sv_text(v), &v[1], err) : 0;
    if (s->of->composite) {
        int rc = 0;
        for (uint32_t i = 0; v->tag == QD_SV_MAP && i < v->map->n && !rc; i++)
            if (v->map->e[i].key.tag == QD_SV_STRING)
                rc = member(s, qd_sv_text(&v->map->e[i].key), &v->map->e[i].value, err);
        return rc;
    }
    if (f->dates && is_whole(v)) return qdi_runtime_i64(s, 0, v->i, err); /* ms, by no format */
    if (n == 2) return put_point(s, 0, (qd_geo){.lat = v[0].f, .lon = v[1].f}, err);
    if (f->value_class == QD_VALUE_IP && v->tag == QD_SV_STRING) {
        uint8_t ip[16];
        qd_str text = qd_sv_text(v);
        if (!qd_ip_parse(text, ip))
            return qd_err_set(err, QD_E_ARG, "'%.*s' is not an IP string literal.",
                              QD_STR_ARG(text));
    }
    return put(s, 0, v, err);
}

/* --- the source ------------------------------------------------------------------------------- */

/* Values at a path, whose dots are levels of objects or parts of names. */
static int walk(qdi_runtime_sink *s, uint32_t i, const qd_sv *v, qd_str path, uint32_t depth,
                qd_err *err)
{
    int rc = 0;
    if (depth > QD_SV_DEPTH) return 0;
    if (v->tag == QD_SV_LIST)
        for (uint32_t k = 0; k < v->list->n && !rc; k++)
            rc = walk(s, i, &v->list->v[k], path, depth + 1, err);
    if (v->tag != QD_SV_MAP) return rc;
    for (size_t end = 1; end <= path.n && !rc; end++) {
        if (end < path.n && path.p[end] != '.') continue;
        const qd_sv *at = qd_sv_map_get(v->map, qd_str_sub(path, 0, end));
        if (!at) continue;
        rc = end == path.n ? put_all(s, i, at, 0, err)
                           : walk(s, i, at, qd_str_sub(path, end + 1, path.n), depth + 1, err);
    }
    return rc;
}

int qdi_runtime_source(qdi_runtime_sink *s, qd_str json, qd_err *err)
{
    qd_sv root;
    int rc = json.n ? qd_sv_parse(&s->scratch, json, &root, err) : 0;
    for (uint32_t i = 0; i < s->of->n && json.n && !rc; i++)
        rc = walk(s, i, &root, s->of->fields[i]->name, 0, err);
    return rc;
}
