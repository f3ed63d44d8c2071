/* geo_read.c: see geo_read.h. */
#include "mapping/geo_read.h"
#include "mapping/type_int.h"

/* --- texts ------------------------------------------------------------------------------------ */

static int check_z(const qd_geo_reading *how, qd_str z, qd_err *err)
{
    double v;
    char text[QD_F64_TEXT_MAX];
    if (qd_f64_parse_java(z, &v))
        return qd_err_set(err, QD_E_ES_PARSE, "[%.*s] is not a number", QD_STR_ARG(z));
    if (!how->refuse_z) return 0;
    qd_f64_print(text, v);
    return qd_err_set(err, QD_E_ES_PARSE,
                      "Exception parsing coordinates: found Z value [%s] but [ignore_z_value] "
                      "parameter is [false]",
                      text);
}

/* "lat,lon" and "lat,lon,z". */
static int of_coordinates(qd_str text, const qd_geo_reading *how, qd_geo *out, qd_err *err)
{
    qd_str part[3], rest = text;
    uint32_t n = 0;
    for (; rest.p; n++) {
        qd_str one = qd_str_split(&rest, ',');
        if (n < 3) part[n] = qd_str_trim(one);
    }
    if (n < 2 || n > 3)
        return qd_err_set(err, QD_E_ES_PARSE,
                          "failed to parse [%.*s], expected 2 or 3 coordinates but found: [%u]",
                          QD_STR_ARG(text), n);
    if (qd_f64_parse_java(part[0], &out->lat))
        return qd_err_set(err, QD_E_ES_PARSE, "latitude must be a number");
    if (qd_f64_parse_java(part[1], &out->lon))
        return qd_err_set(err, QD_E_ES_PARSE, "longitude must be a number");
    return n == 3 ? check_z(how, part[2], err) : 0;
}

static qd_str skip_blanks(qd_str s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t' || s.p[0] == '\n' || s.p[0] == '\r'))
        s = qd_str_sub(s, 1, s.n);
    return s;
}

int qd_geo_wkt(qd_str text, const char *name, double *out, int max)
{
    qd_str word = qd_str_c(name), s = skip_blanks(text);
    int n = 0;
    if (s.n < word.n || !qd_str_ieq(qd_str_sub(s, 0, word.n), word)) return -1;
    s = skip_blanks(qd_str_sub(s, word.n, s.n));
    if (!s.n || s.p[0] != '(') return -1;
    s = skip_blanks(qd_str_sub(s, 1, s.n));
    while (s.n && s.p[0] != ')') {
        size_t k = 0;
        while (k < s.n && !strchr(" \t\r\n,()", s.p[k])) k++;
        if (n == max || !k || qd_f64_parse_java(qd_str_sub(s, 0, k), &out[n++])) return -1;
        s = skip_blanks(qd_str_sub(s, k, s.n));
        if (s.n && s.p[0] == ',') s = skip_blanks(qd_str_sub(s, 1, s.n));
    }
    return s.n && !skip_blanks(qd_str_sub(s, 1, s.n)).n ? n : -1;
}

static int of_wkt(qd_str text, const qd_geo_reading *how, qd_geo *out, qd_err *err)
{
    double v[3];
    char z[QD_F64_TEXT_MAX];
    int n = qd_geo_wkt(text, "POINT", v, 3);
    if (n < 2 || qd_str_find(text, ',') >= 0)
        return qd_err_set(err, QD_E_ES_PARSE, "Invalid WKT format: [%.*s]", QD_STR_ARG(text));
    *out = (qd_geo){v[1], v[0]};
    return n == 3 ? check_z(how, (qd_str){z, qd_f64_print(z, v[2])}, err) : 0;
}

static int of_geohash(qd_str text, const qd_geo_reading *how, qd_geo *out, qd_err *err)
{
    if (!text.n) return qd_err_set(err, QD_E_ARG, "empty geohash");
    size_t bad = qd_geohash_parse(text, how->corner, out);
    if (bad == SIZE_MAX) return 0;
    return qd_err_set(err, QD_E_ARG, "unsupported symbol [%.*s] in geohash [%.*s]",
                      QD_STR_ARG(qd_str_sub(text, bad, bad + 1)), QD_STR_ARG(text));
}

static bool holds_point(qd_str s)
{
    for (size_t i = 0; i + 5 <= s.n; i++)
        if (qd_str_ieq(qd_str_sub(s, i, i + 5), QD_STR("point"))) return true;
    return false;
}

int qd_geo_read_text(qd_str text, const qd_geo_reading *how, qd_geo *out, qd_err *err)
{
    if (holds_point(text)) return of_wkt(text, how, out, err);
    if (qd_str_find(text, '(') >= 0) {
        size_t n = 0;
        while (n < text.n && text.p[n] != '(' && text.p[n] != ' ') n++;
        return qd_err_set(err, QD_E_ES_PARSE,
                          "[geo_point] supports only POINT among WKT primitives, but found %.*s",
                          QD_STR_ARG(qd_str_sub(text, 0, n)));
    }
    if (qd_str_find(text, ',') >= 0) return of_coordinates(text, how, out, err);
    return of_geohash(text, how, out, err);
}

/* --- values ----------------------------------------------------------------------------------- */

static int next(qd_json_reader *r, qd_err *err)
{
    qd_json_event ev = qd_json_next(r);
    return ev < 0 ? qd_json_fail(r, err) : 0;
}

int qd_geo_skip(qd_json_reader *r, uint32_t depth)
{
    while (r->depth >= depth && r->event > 0)
        if (qd_json_next(r) < 0) return QD_E_XCONTENT;
    return 0;
}

int qd_geo_read_array(qd_json_reader *r, const qd_geo_reading *how, qd_geo *out, qd_err *err)
{
    uint32_t n = 0;
    for (; r->event != QD_JSON_ARRAY_END; n++) {
        double v;
        if (r->event != QD_JSON_NUMBER)
            return qd_err_set(err, QD_E_ES_PARSE, "numeric value expected");
        if (n > 2)
            return qd_err_set(err, QD_E_ES_PARSE,
                              "[geo_point] field type does not accept more than 3 values");
        int rc = qd_json_f64(r, &v);
        if (rc) return qd_err_set(err, QD_E_ES_PARSE, "numeric value expected");
        if (n == 0)
            out->lon = v;
        else if (n == 1)
            out->lat = v;
        else
            rc = check_z(how, r->text, err);
        if (!rc) rc = next(r, err);
        if (rc) return rc;
    }
    return n < 2 ? qd_err_set(err, QD_E_ES_PARSE, "[geo_point] needs two coordinates, but found %u",
                              n)
                 : 0;
}

/* The members of an object of each form. */
enum { LAT = 1, LON = 2, GEOHASH = 4, TYPE = 8, COORDINATES = 16 };

static int read_number(qd_json_reader *r, double *out, qd_err *err)
{
    bool scalar = r->event == QD_JSON_NUMBER || r->event == QD_JSON_STRING;
    if (scalar && qd_f64_parse_java(r->text, out) == 0) return 0;
    return qd_err_set(err, QD_E_ES_PARSE, "[lat] and [lon] must be valid double values");
}

static int read_type(const qd_json_reader *r, qd_err *err)
{
    if (r->event == QD_JSON_STRING && qd_str_ieq(r->text, QD_STR("point"))) return 0;
    return qd_err_set(err, QD_E_ES_PARSE, "[type] for geo_point can only be 'Point'");
}

static int read_coordinates(qd_json_reader *r, const qd_geo_reading *how, qd_geo *out, qd_err *err)
{
    if (r->event != QD_JSON_ARRAY)
        return qd_err_set(err, QD_E_ES_PARSE, "[coordinates] must be an array");
    int rc = next(r, err);
    return rc ? rc : qd_geo_read_array(r, how, out, err);
}

static int read_member(qd_json_reader *r, const qd_geo_reading *how, uint32_t *had, qd_geo *out,
                       qd_err *err)
{
    static const char *const names[] = {"lat", "lon", "geohash", "type", "coordinates"};
    uint32_t i = 0;
    while (i < QD_COUNT_OF(names) && !qd_str_is(r->text, names[i])) i++;
    if (i == QD_COUNT_OF(names))
        return qd_err_set(
            err, QD_E_ES_PARSE,
            "field must be either [lon], [lat], [geohash], [type] or [coordinates], but was [%.*s]",
            QD_STR_ARG(r->text));
    *had |= 1u << i;
    int rc = next(r, err);
    if (rc) return rc;
    switch (1u << i) {
    case LAT:
        return read_number(r, &out->lat, err);
    case LON:
        return read_number(r, &out->lon, err);
    case GEOHASH:
        if (r->event != QD_JSON_STRING)
            return qd_err_set(err, QD_E_ES_PARSE, "[geohash] must be a string");
        return of_geohash(r->text, how, out, err);
    case TYPE:
        return read_type(r, err);
    default:
        return read_coordinates(r, how, out, err);
    }
}

static int check_members(uint32_t had, qd_err *err)
{
    if (had == (LAT | LON) || had == GEOHASH || had == (TYPE | COORDINATES)) return 0;
    if (had & GEOHASH)
        return qd_err_set(err, QD_E_ES_PARSE, "field must be either lat/lon or geohash");
    if (had & (TYPE | COORDINATES) && had & (LAT | LON))
        return qd_err_set(err, QD_E_ES_PARSE, "field must be either lat/lon or type/coordinates");
    return qd_err_set(err, QD_E_ES_PARSE, "field [%s] missing",
                      had == TYPE          ? "coordinates"
                      : had == COORDINATES ? "type"
                      : had == LAT         ? "lon"
                                           : "lat");
}

int qd_geo_read(qd_json_reader *r, const qd_geo_reading *how, qd_geo *out, qd_err *err)
{
    uint32_t had = 0;
    int rc = 0;
    switch (r->event) {
    case QD_JSON_STRING:
        return qd_geo_read_text(r->text, how, out, err);
    case QD_JSON_ARRAY:
        rc = next(r, err);
        return rc ? rc : qd_geo_read_array(r, how, out, err);
    case QD_JSON_OBJECT:
        for (rc = next(r, err); !rc && r->event == QD_JSON_KEY; rc = rc ? rc : next(r, err))
            rc = read_member(r, how, &had, out, err);
        return rc ? rc : check_members(had, err);
    default:
        return qd_err_set(err, QD_E_ES_PARSE, "geo_point expected");
    }
}

int qd_geo_read_node(const qd_json_node *n, const qd_geo_reading *how, qd_geo *out, qd_err *err)
{
    qd_json_reader r = QD_JSON_READER(NULL);
    qd_json_reader_init(&r, n->raw, QD_JSON_COMMENTS, 0);
    int rc = qd_json_next(&r) < 0 ? qd_json_fail(&r, err) : qd_geo_read(&r, how, out, err);
    qd_json_reader_fini(&r);
    return rc;
}

/* Is it [lon, lat], and no array of points? */
static bool is_pair(const qd_json_node *n)
{
    return n->type == QD_JSON_T_ARRAY && n->first && n->first->type == QD_JSON_T_NUMBER;
}

int qd_geo_read_list(const qd_json_node *n, const qd_geo_reading *how, uint32_t max,
                     qd_arena *arena, qd_geo **out, uint32_t *count, qd_err *err)
{
    bool one = n->type != QD_JSON_T_ARRAY || is_pair(n);
    uint32_t k = one ? 1 : n->n, i = 0;
    int rc = 0;
    if (k > max)
        return qd_err_set(err, QD_E_ARG, "at most [%u] points are allowed, but [%u] were given",
                          max, k);
    *out = qd_arena_alloc(arena, (k + 1) * sizeof **out);
    if (!*out) return qd_err_nomem(err, "points");
    for (const qd_json_node *x = one ? n : n->first; x && i < k && !rc; x = x->next)
        rc = qd_geo_read_node(x, how, &(*out)[i++], err);
    *count = i;
    return rc;
}

/* --- words of requests ------------------------------------------------------------------------ */

int qd_geo_validation_of(qd_str name, qd_geo_validation *out, qd_err *err)
{
    static const char *const names[] = {"STRICT", "COERCE", "IGNORE_MALFORMED"};
    for (uint32_t i = 0; i < QD_COUNT_OF(names); i++) {
        if (!qd_str_ieq(name, qd_str_c(names[i]))) continue;
        *out = (qd_geo_validation)i;
        return 0;
    }
    return qd_err_set(err, QD_E_ARG,
                      "No enum constant GeoValidationMethod.%.*s: one of STRICT, COERCE, "
                      "IGNORE_MALFORMED",
                      QD_STR_ARG(name));
}

/* Those that end in another's name stand before it. */
static const struct {
    const char *name;
    double meters;
} units[] = {{"inch", 0.0254},
             {"in", 0.0254},
             {"yards", 0.9144},
             {"yd", 0.9144},
             {"feet", 0.3048},
             {"ft", 0.3048},
             {"kilometers", 1000},
             {"km", 1000},
             {"nauticalmiles", 1852},
             {"nmi", 1852},
             {"NM", 1852},
             {"millimeters", 0.001},
             {"mm", 0.001},
             {"centimeters", 0.01},
             {"cm", 0.01},
             {"miles", 1609.344},
             {"mi", 1609.344},
             {"meters", 1},
             {"m", 1}};

int qd_geo_unit(qd_str name, double *meters, qd_err *err)
{
    for (size_t i = 0; i < QD_COUNT_OF(units); i++) {
        if (!qd_str_is(name, units[i].name)) continue;
        *meters = units[i].meters;
        return 0;
    }
    return qd_err_set(err, QD_E_ARG, "No distance unit match [%.*s]", QD_STR_ARG(name));
}

int qd_geo_distance(qd_str text, double unit, double *meters, qd_err *err)
{
    qd_str number = text;
    for (size_t i = 0; i < QD_COUNT_OF(units); i++) {
        qd_str name = qd_str_c(units[i].name);
        if (!qd_str_ends(text, name)) continue;
        unit = units[i].meters;
        number = qd_str_sub(text, 0, text.n - name.n);
        break;
    }
    if (qd_f64_parse_java(number, meters))
        return qd_err_set(err, QD_E_NUMBER_FORMAT,
                          number.n ? "For input string: \"%.*s\"" : "empty String",
                          QD_STR_ARG(number));
    *meters *= unit;
    return 0;
}

int qd_geo_distance_type(qd_str name, bool *plane, qd_err *err)
{
    *plane = qd_str_ieq(name, QD_STR("plane"));
    if (*plane || qd_str_ieq(name, QD_STR("arc"))) return 0;
    return qd_err_set(err, QD_E_ARG, "No geo distance for [%.*s]", QD_STR_ARG(name));
}

/* --- answers ---------------------------------------------------------------------------------- */

int qd_geo_format_of(qd_str name, qd_geo_format otherwise, qd_geo_format *out, qd_err *err)
{
    *out = !name.n || qd_str_is(name, "use_field_mapping") ? otherwise
           : qd_str_is(name, "geojson")                    ? QD_GEO_GEOJSON
                                                           : QD_GEO_WKT;
    if (*out != QD_GEO_WKT || qd_str_is(name, "wkt")) return 0;
    return qd_err_set(err, QD_E_ARG, "Unrecognized geometry format [%.*s].", QD_STR_ARG(name));
}

void qd_geo_write(qd_geo p, qd_geo_format format, qd_json_writer *w)
{
    char lat[QD_F64_TEXT_MAX], lon[QD_F64_TEXT_MAX];
    if (format == QD_GEO_GEOJSON) {
        qd_json_object(w);
        qd_json_key_c(w, "coordinates");
        qd_json_array(w);
        qd_json_double(w, p.lon);
        qd_json_double(w, p.lat);
        qd_json_array_end(w);
        qd_json_field_c(w, "type", "Point");
        qd_json_object_end(w);
        return;
    }
    qd_f64_print(lat, p.lat);
    qd_f64_print(lon, p.lon);
    if (format == QD_GEO_WKT)
        qd_json_printf(w, "POINT (%s %s)", lon, lat);
    else
        qd_json_printf(w, "%s, %s", lat, lon);
}

static void show_one(const qd_field *f, const qd_json_node *n, qd_geo_format format,
                     qd_json_writer *w, void (*begin)(void *arg), void *arg)
{
    qd_geo p = {0, 0};
    if (n->type == QD_JSON_T_NULL && !f->has_null_value) return;
    if (n->type == QD_JSON_T_NULL)
        p = qd_geo_decode(f->null_i64);
    else if (qd_geo_read_node(n, &(qd_geo_reading){.refuse_z = f->refuse_z}, &p, NULL) ||
             !isfinite(p.lat) || !isfinite(p.lon))
        return;
    if (f->ignore_malformed) p = qd_geo_normal(p);
    if (!qd_geo_lat_valid(p.lat) || !qd_geo_lon_valid(p.lon)) return;
    begin(arg);
    qd_geo_write(p, format, w);
}

void qd_geo_show(const qd_field *f, const qd_json_node *n, qd_geo_format format, qd_json_writer *w,
                 void (*begin)(void *arg), void *arg)
{
    if (n->type != QD_JSON_T_ARRAY || is_pair(n)) {
        show_one(f, n, format, w, begin, arg);
        return;
    }
    for (const qd_json_node *x = n->first; x; x = x->next) show_one(f, x, format, w, begin, arg);
}
