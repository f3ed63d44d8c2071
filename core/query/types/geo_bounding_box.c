/* geo_bounding_box.c: documents with a point between two latitudes and two longitudes. */
#include "query/geo_int.h"

typedef struct box {
    double top, left, bottom, right;
} box;

enum { TOP = 1, LEFT = 2, BOTTOM = 4, RIGHT = 8, WKT = 16 };

static int read_wkt(const qd_json_node *n, box *b, qd_err *err)
{
    double v[4];
    qd_str text = qd_json_text(n);
    int k = qd_geo_wkt(text, "BBOX", v, 4);
    if (k < 0) k = qd_geo_wkt(text, "ENVELOPE", v, 4);
    if (k != 4)
        return qd_err_set(err, QD_E_ES_PARSE,
                          "failed to parse WKT bounding box: [%.*s] found. expected [BBOX]",
                          QD_STR_ARG(text));
    *b = (box){.left = v[0], .right = v[1], .top = v[2], .bottom = v[3]};
    return 0;
}

static int read_corner(const qd_json_node *n, qd_geo_corner corner, box *b, qd_err *err)
{
    qd_geo p;
    qd_geo_reading how = {.corner = corner};
    int rc = qd_geo_read_node(n, &how, &p, err);
    if (rc) return rc;
    *(corner == QD_GEO_TOP_LEFT || corner == QD_GEO_TOP_RIGHT ? &b->top : &b->bottom) = p.lat;
    *(corner == QD_GEO_TOP_LEFT || corner == QD_GEO_BOTTOM_LEFT ? &b->left : &b->right) = p.lon;
    return 0;
}

static int read_member(const qd_json_node *n, box *b, uint32_t *had, qd_err *err)
{
    static const struct {
        const char *name, *older;
        uint32_t sides;
        int corner; /* qd_geo_corner; -1: a side alone */
    } rows[] = {{"top_left", "topLeft", TOP | LEFT, QD_GEO_TOP_LEFT},
                {"top_right", "topRight", TOP | RIGHT, QD_GEO_TOP_RIGHT},
                {"bottom_left", "bottomLeft", BOTTOM | LEFT, QD_GEO_BOTTOM_LEFT},
                {"bottom_right", "bottomRight", BOTTOM | RIGHT, QD_GEO_BOTTOM_RIGHT},
                {"top", "top", TOP, -1},
                {"left", "left", LEFT, -1},
                {"bottom", "bottom", BOTTOM, -1},
                {"right", "right", RIGHT, -1}};
    if (qd_str_is(n->key, "wkt")) {
        *had |= WKT;
        return read_wkt(n, b, err);
    }
    size_t i = 0;
    while (i < QD_COUNT_OF(rows) && !qd_str_is(n->key, rows[i].name) &&
           !qd_str_is(n->key, rows[i].older))
        i++;
    if (i == QD_COUNT_OF(rows))
        return qd_err_set(err, QD_E_ES_PARSE,
                          "failed to parse bounding box. unexpected field [%.*s]",
                          QD_STR_ARG(n->key));
    *had |= rows[i].sides;
    if (rows[i].corner >= 0) return read_corner(n, (qd_geo_corner)rows[i].corner, b, err);
    double *side[] = {&b->top, &b->left, &b->bottom, &b->right};
    qd_str text = qd_json_text(n);
    if (text.p && !qd_f64_parse_java(text, side[__builtin_ctz(rows[i].sides)])) return 0;
    return qd_err_set(err, QD_E_ES_PARSE, "failed to parse bounding box. [%s] must be a number",
                      rows[i].name);
}

static int read_box(const qd_json_node *n, box *b, qd_err *err)
{
    uint32_t had = 0;
    int rc = 0;
    for (const qd_json_node *m = n->type == QD_JSON_T_OBJECT ? n->first : NULL; m && !rc;
         m = m->next)
        rc = read_member(m, b, &had, err);
    if (rc || had == WKT || had == (TOP | LEFT | BOTTOM | RIGHT)) return rc;
    if (had & WKT)
        return qd_err_set(err, QD_E_ES_PARSE,
                          "Conflicting definition found using well-known text and explicit "
                          "corners.");
    return qd_err_set(err, QD_E_ES_PARSE,
                      "failed to parse bounding box: it needs two opposite corners, or [top], "
                      "[left], [bottom] and [right], or [wkt]");
}

static int check_sides(const box *b, qd_err *err)
{
    char one[QD_F64_TEXT_MAX], other[QD_F64_TEXT_MAX];
    const double v[] = {b->top, b->left, b->bottom, b->right};
    static const char *const names[] = {"top latitude", "left longitude", "bottom latitude",
                                        "right longitude"};
    for (int i = 0; i < 4; i++) {
        if (isfinite(v[i])) continue;
        qd_f64_print(one, v[i]);
        return qd_err_set(err, QD_E_ARG, "%s is invalid: %s", names[i], one);
    }
    bool flat = b->top <= b->bottom;
    qd_f64_print(one, flat ? b->top : b->left);
    qd_f64_print(other, flat ? b->bottom : b->right);
    if (b->top < b->bottom)
        return qd_err_set(err, QD_E_ARG, "top is below bottom corner: %s vs. %s", one, other);
    if (flat)
        return qd_err_set(err, QD_E_ARG, "top cannot be the same as bottom: %s == %s", one, other);
    if (b->left == b->right)
        return qd_err_set(err, QD_E_ARG, "left cannot be the same as right: %s == %s", one, other);
    return 0;
}

static int read(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    box b;
    int rc = qdi_read_geo(rd, r, NULL, q, err);
    const qdi_geo_query *g = (const qdi_geo_query *)q;
    if (!rc) rc = read_box(g->value, &b, err);
    return rc || g->validation == QD_GEO_IGNORE_MALFORMED ? rc : check_sides(&b, err);
}

/* Brought into range: a box around the whole earth stays one. */
static int into_range(qdi_builder *x, const qd_query *q, box *b, qd_err *err)
{
    bool around = b->right > b->left && fmod(b->right - b->left, 360) == 0;
    bool strict = ((const qdi_geo_query *)q)->validation == QD_GEO_STRICT;
    qd_geo high = {b->top, b->left}, low = {b->bottom, b->right};
    int rc = qdi_geo_check(x, q, &high, err);
    if (!rc) rc = qdi_geo_check(x, q, &low, err);
    *b = (box){high.lat, high.lon, low.lat, low.lon};
    if (!strict && around) {
        b->left = -180;
        b->right = 180;
    }
    return rc;
}

static int build(qdi_builder *x, const qd_query *q, const qd_node **out, qd_err *err)
{
    box b = {0, 0, 0, 0};
    const qd_field *f = NULL;
    int rc = qdi_geo_field(x, q, &f, err);
    if (rc) return rc < 0 ? rc : qdi_query_none(x, out, err);
    rc = read_box(((const qdi_geo_query *)q)->value, &b, err);
    if (!rc) rc = into_range(x, q, &b, err);
    if (rc) return rc;
    qd_node_geo *g = qd_arena_calloc(x->arena, sizeof *g);
    if (!g) return qd_err_nomem(err, "query");
    *g = (qd_node_geo){.shape = QD_SHAPE_BOX,
                       .lat = {qd_geo_lat_cell_up(b.bottom), qd_geo_lat_cell(b.top)},
                       .lon = {qd_geo_lon_cell_up(b.left), qd_geo_lon_cell(b.right)}};
    /* cells within one cell are none: left is not above right, then */
    if (g->lat[0] > g->lat[1] || (b.left <= b.right && g->lon[0] > g->lon[1]))
        return qdi_query_none(x, out, err);
    return qdi_geo_build(x, f, g, out, err);
}

const qd_query_type qdi_query_geo_bounding_box = {
    .name = "geo_bounding_box", .size = sizeof(qdi_geo_query), .read = read, .build = build};
