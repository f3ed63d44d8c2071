/* geo_polygon.c: documents with a point in a polygon of straight lines in degrees. */
#include "query/geo_int.h"

#define CORNERS_MAX 10000u

/* The corners, without a last one that repeats the first. */
static int read_corners(const qd_query *q, qd_arena *arena, qd_geo **out, uint32_t *n, qd_err *err)
{
    const qd_json_node *points = NULL, *value = ((const qdi_geo_query *)q)->value;
    for (const qd_json_node *m = value->type == QD_JSON_T_OBJECT ? value->first : NULL; m;
         m = m->next) {
        if (!qd_str_is(m->key, "points"))
            return qd_err_set(err, QD_E_PARSE, "[geo_polygon] query does not support [%.*s]",
                              QD_STR_ARG(m->key));
        points = m;
    }
    if (!points || points->type != QD_JSON_T_ARRAY || !points->n)
        return qd_err_set(err, QD_E_PARSE, "no points defined for geo_polygon query");
    int rc = qd_geo_read_list(points, &(qd_geo_reading){0}, CORNERS_MAX, arena, out, n, err);
    if (rc) return rc;
    const qd_geo *p = *out;
    if (*n > 1 && p[0].lat == p[*n - 1].lat && p[0].lon == p[*n - 1].lon) --*n;
    return *n > 2 ? 0 : qd_err_set(err, QD_E_ARG, "too few points defined for geo_polygon query");
}

static int read(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    qd_geo *p;
    uint32_t n;
    int rc = qdi_read_geo(rd, r, NULL, q, err);
    return rc ? rc : read_corners(q, rd->arena, &p, &n, err);
}

static int build(qdi_builder *b, const qd_query *q, const qd_node **out, qd_err *err)
{
    const qd_field *f = NULL;
    qd_geo *p = NULL;
    uint32_t n = 0;
    int rc = qdi_geo_field(b, q, &f, err);
    if (rc) return rc < 0 ? rc : qdi_query_none(b, out, err);
    qd_node_geo *g = qd_arena_calloc(b->arena, sizeof *g);
    if (!g) return qd_err_nomem(err, "query");
    rc = read_corners(q, b->arena, &p, &n, err);
    double low = 90, high = -90;
    for (uint32_t i = 0; i < n && !rc; i++) {
        rc = qdi_geo_check(b, q, &p[i], err);
        low = fmin(low, p[i].lat);
        high = fmax(high, p[i].lat);
    }
    if (rc) return rc;
    *g = (qd_node_geo){.shape = QD_SHAPE_POLYGON,
                       .lat = {qd_geo_lat_cell(low), qd_geo_lat_cell(high)},
                       .corners = p,
                       .n = n};
    return qdi_geo_build(b, f, g, out, err);
}

const qd_query_type qdi_query_geo_polygon = {
    .name = "geo_polygon", .size = sizeof(qdi_geo_query), .read = read, .build = build};
