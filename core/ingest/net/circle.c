/*
 * circle.c: the processor circle: a circle, as WKT or GeoJSON, as a polygon that is nowhere farther
 * from it than an error distance.
 */
#include "ingest/ingest_int.h"
#include <math.h>
#include <stdio.h>

#define SIDES_MIN 4
#define SIDES_MAX 1000
#define PI 3.14159265358979323846
#define EARTH 6371008.7714 /* metres of its mean radius */

typedef struct circle {
    qdi_path field, target;
    double error;
    bool ignore_missing, geo;
} circle;

static int make(qdi_build *b, void *config, qd_err *err)
{
    circle *c = config;
    qd_str shape;
    int rc = qdi_arg_path(b, "field", (qd_str){NULL, 0}, &c->field, err);
    if (!rc) rc = qdi_arg_path(b, "target_field", c->field.full, &c->target, err);
    if (!rc) rc = qdi_arg_bool(b, "ignore_missing", false, &c->ignore_missing, err);
    if (!rc) rc = qdi_arg_str(b, "shape_type", NULL, &shape, err);
    if (rc) return rc;
    const qd_json_node *n = qdi_arg(b, "error_distance");
    if (!n) return qdi_arg_fail(b, "error_distance", err, "required property is missing");
    qd_str text = qd_json_text(n);
    if (!text.p || qd_f64_parse(text, &c->error))
        return qdi_arg_fail(b, "error_distance", err,
                            "property cannot be converted to a double [%.*s]", QD_STR_ARG(n->raw));
    if (!(c->error > 0))
        return qdi_arg_fail(b, "error_distance", err, "error_distance must be larger than 0");
    c->geo = qd_str_is(shape, "geo_shape");
    if (!c->geo && !qd_str_is(shape, "shape"))
        return qdi_arg_fail(
            b, "shape_type", err,
            "illegal [shape_type] value [%.*s]. valid values are [SHAPE, GEO_SHAPE]",
            QD_STR_ARG(shape));
    return 0;
}

/* "40m", "1.5km", "10": metres. */
static bool distance(qd_str text, double *out)
{
    static const struct {
        const char *unit;
        double metres;
    } units[] = {{"km", 1000}, {"mi", 1609.344}, {"yd", 0.9144}, {"ft", 0.3048}, {"nmi", 1852},
                 {"cm", 0.01}, {"mm", 0.001},    {"in", 0.0254}, {"m", 1}};
    double factor = 1;
    text = qd_str_trim(text);
    for (size_t k = 0; k < QD_COUNT_OF(units); k++) {
        qd_str unit = qd_str_c(units[k].unit);
        if (!qd_str_ends(text, unit)) continue;
        if (k == 1 && qd_str_ends(text, QD_STR("nmi"))) continue;
        factor = units[k].metres;
        text.n -= unit.n;
        break;
    }
    text = qd_str_trim(text);
    if (!text.n || qd_f64_parse_java(text, out)) return false;
    *out *= factor;
    return *out > 0 && *out < 1e8;
}

/* "CIRCLE (x y r)" */
static bool of_wkt(qd_str text, double v[3])
{
    qd_str rest = qd_str_trim(text);
    if (rest.n < 8 || !qd_str_ieq(qd_str_sub(rest, 0, 6), QD_STR("CIRCLE"))) return false;
    rest = qd_str_trim(qd_str_sub(rest, 6, rest.n));
    if (rest.n < 2 || rest.p[0] != '(' || rest.p[rest.n - 1] != ')') return false;
    rest = qd_str_trim(qd_str_sub(rest, 1, rest.n - 2));
    for (int k = 0; k < 3; k++) {
        size_t n = 0;
        while (n < rest.n && rest.p[n] != ' ') n++;
        if (!n || qd_f64_parse_java(qd_str_sub(rest, 0, n), &v[k])) return false;
        rest = qd_str_trim(qd_str_sub(rest, n, rest.n));
    }
    return !rest.n && v[2] > 0;
}

static bool of_json(qd_ingest_run *r, const qd_iv *map, double v[3])
{
    const qd_iv *type = qd_iv_get(map, QD_STR("type")), *radius = qd_iv_get(map, QD_STR("radius")),
                *at = qd_iv_get(map, QD_STR("coordinates"));
    if (!type || type->kind != QD_IV_STR || !qd_str_ieq(type->s, QD_STR("circle"))) return false;
    if (!at || at->kind != QD_IV_LIST || at->n < 2 || !radius) return false;
    if (!qd_iv_number(&at->items[0], &v[0]) || !qd_iv_number(&at->items[1], &v[1])) return false;
    qd_str text = qd_iv_text(&r->arena, radius);
    return text.p && distance(text, &v[2]);
}

static int sides(double radius, double error)
{
    double n = error >= radius ? SIDES_MIN : ceil(2 * PI / acos(1 - error / radius));
    return n < SIDES_MIN ? SIDES_MIN : n > SIDES_MAX ? SIDES_MAX : (int)n;
}

/* The corner in a direction. */
static void corner(const circle *c, const double v[3], double angle, double *x, double *y)
{
    if (!c->geo) {
        *x = v[0] + cos(angle) * v[2];
        *y = v[1] + sin(angle) * v[2];
        return;
    }
    double lat = v[1] * PI / 180, lon = v[0] * PI / 180, d = v[2] / EARTH, bearing = PI / 2 - angle;
    double to = asin(sin(lat) * cos(d) + cos(lat) * sin(d) * cos(bearing));
    double east = lon + atan2(sin(bearing) * sin(d) * cos(lat), cos(d) - sin(lat) * sin(to));
    *x = east * 180 / PI;
    *y = to * 180 / PI;
}

static bool push(qd_ingest_run *r, qd_iv *list, qd_iv v)
{
    qd_iv *at = qd_iv_push(&r->arena, list);
    if (at) *at = v;
    return at != NULL;
}

static bool polygon(const circle *c, qd_ingest_run *r, const double v[3], bool wkt, qd_iv *out)
{
    int n = sides(v[2], c->error);
    qd_iv ring = {.kind = QD_IV_LIST}, rings = {.kind = QD_IV_LIST};
    qd_buf_reset(&r->out);
    (void)qd_buf_c(&r->out, "POLYGON ((");
    for (int k = 0; k <= n; k++) {
        char text[2][QD_F64_TEXT_MAX];
        double x, y;
        corner(c, v, 2 * PI * (k % n) / n, &x, &y);
        if (wkt) {
            (void)qd_f64_print(text[0], x);
            (void)qd_f64_print(text[1], y);
            (void)qd_buf_printf(&r->out, "%s%s %s", k ? ", " : "", text[0], text[1]);
            continue;
        }
        qd_iv point = {.kind = QD_IV_LIST};
        if (!push(r, &point, qd_iv_double(&r->arena, x)) ||
            !push(r, &point, qd_iv_double(&r->arena, y)) || !push(r, &ring, point))
            return false;
    }
    (void)qd_buf_c(&r->out, "))");
    if (wkt) {
        *out = QD_IV_STRING(qd_arena_str(&r->arena, qd_buf_view(&r->out)));
        return !qd_buf_status(&r->out) && out->s.p;
    }
    *out = (qd_iv){.kind = QD_IV_MAP};
    qd_iv *type = qd_iv_put(&r->arena, out, QD_STR("type"));
    if (!type || !push(r, &rings, ring)) return false;
    *type = QD_IV_STRING(QD_STR("Polygon"));
    qd_iv *at = qd_iv_put(&r->arena, out, QD_STR("coordinates"));
    if (at) *at = rings;
    return at != NULL;
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    const circle *c = config;
    qd_iv *there = qdi_path_look(r, &c->field), out;
    double v[3];
    int rc = 0;
    if (c->ignore_missing && (!there || there->kind == QD_IV_NULL)) return 0;
    if (!there && (rc = qdi_path_get(r, &c->field, &there, err))) return rc;
    if (there->kind == QD_IV_NULL) return qdi_is_null(&c->field, "process", err);
    bool wkt = there->kind == QD_IV_STR;
    if (!wkt && there->kind != QD_IV_MAP)
        return qd_err_set(err, QD_E_ARG,
                          "field [%.*s] must be a WKT Circle or a GeoJSON Circle value",
                          QD_STR_ARG(c->field.full));
    if (!(wkt ? of_wkt(there->s, v) : of_json(r, there, v)))
        return qd_err_set(err, QD_E_ARG, "invalid circle definition");
    if (c->geo && (fabs(v[1]) > 90 || fabs(v[0]) > 180))
        return qd_err_set(err, QD_E_ARG, "invalid circle definition: the centre is not on Earth");
    if (!polygon(c, r, v, wkt, &out)) return qdi_run_nomem(err);
    return qdi_path_set(r, &c->target, out, err);
}

const qdi_processor_type qdi_processor_circle = {"circle", sizeof(circle), .make = make,
                                                 .run = run};
