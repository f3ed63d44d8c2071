/* geo_distance.c: documents with a point within a distance of one. */
#include "query/geo_int.h"

typedef struct distance_query {
    qdi_geo_query geo; /* first */
    qd_str distance;   /* p NULL: none given */
    double unit;       /* meters */
    double meters;
    qd_geo center;
    bool plane;
    char text[64];
} distance_query;

static int option(qd_json_reader *r, qd_str key, qd_query *q, qd_err *err)
{
    distance_query *d = (distance_query *)q;
    if (qd_str_is(key, "distance")) {
        if (r->text.n > sizeof d->text || r->event == QD_JSON_TRUE || r->event == QD_JSON_FALSE)
            return qd_err_set(err, QD_E_ARG, "[distance] of a [geo_distance] query is no distance");
        memcpy(d->text, r->text.p, r->text.n);
        d->distance = (qd_str){d->text, r->text.n};
        return 0;
    }
    if (qd_str_is(key, "unit")) return qd_geo_unit(r->text, &d->unit, err);
    if (qd_str_is(key, "distance_type")) return qd_geo_distance_type(r->text, &d->plane, err);
    return 1;
}

static int read(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    distance_query *d = (distance_query *)q;
    d->unit = 1;
    int rc = qdi_read_geo(rd, r, option, q, err);
    if (rc) return rc;
    if (!d->distance.p)
        return qd_err_set(err, QD_E_PARSE, "geo_distance requires 'distance' to be specified");
    rc = qd_geo_distance(d->distance, d->unit, &d->meters, err);
    if (rc) return rc;
    if (!(d->meters > 0 && isfinite(d->meters)))
        return qd_err_set(err, QD_E_ARG, "distance must be greater than zero");
    return qd_geo_read_node(d->geo.value, &(qd_geo_reading){0}, &d->center, err);
}

/* The latitudes that the circle reaches, a little more for what is cut. */
static void bounds(qd_node_geo *g)
{
    double reach = g->meters / QD_GEO_RADIUS * 180 / M_PI + 1e-6;
    g->lat[0] = qd_geo_lat_cell(fmax(-90, g->center.lat - reach));
    g->lat[1] = qd_geo_lat_cell(fmin(90, g->center.lat + reach));
}

static int build(qdi_builder *b, const qd_query *q, const qd_node **out, qd_err *err)
{
    const distance_query *d = (const distance_query *)q;
    const qd_field *f = NULL;
    int rc = qdi_geo_field(b, q, &f, err);
    if (rc) return rc < 0 ? rc : qdi_query_none(b, out, err);
    qd_node_geo *g = qd_arena_calloc(b->arena, sizeof *g);
    if (!g) return qd_err_nomem(err, "query");
    g->shape = QD_SHAPE_CIRCLE;
    g->plane = d->plane;
    g->meters = d->meters;
    g->center = d->center;
    rc = qdi_geo_check(b, q, &g->center, err);
    if (rc) return rc;
    bounds(g);
    return qdi_geo_build(b, f, g, out, err);
}

const qd_query_type qdi_query_geo_distance = {
    .name = "geo_distance", .size = sizeof(distance_query), .read = read, .build = build};
