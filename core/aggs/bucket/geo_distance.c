/*
 * geo_distance.c: geo_distance: intervals of distances from a point.
 */
#include "aggs/bucket/range_int.h"
#include "mapping/geo_read.h"

static int read_origin(qdi_parse *p, qdi_agg *a)
{
    qdi_ranges *g = qdi_ranges_of(a);
    const qd_json_node *m = qd_json_get(a->json, "origin");
    if (!m) m = qd_json_get(a->json, "point");
    if (!m) m = qd_json_get(a->json, "center");
    if (!m) return qd_err_set(p->err, QD_E_ARG, "Required [origin, point, center]");
    int rc = qd_geo_read_node(m, &(qd_geo_reading){0}, &g->origin, p->err);
    if (rc) return rc;
    char text[QD_F64_TEXT_MAX];
    bool lat = qd_geo_lat_valid(g->origin.lat);
    if (lat && qd_geo_lon_valid(g->origin.lon)) return 0;
    qd_f64_print(text, lat ? g->origin.lon : g->origin.lat);
    return qd_err_set(p->err, QD_E_ARG, "illegal %s value [%s] for [origin] of [geo_distance]",
                      lat ? "longitude" : "latitude", text);
}

static int parse(qdi_parse *p, qdi_agg *a)
{
    qdi_ranges *g = qdi_ranges_of(a);
    const qd_json_node *m;
    g->distances = true;
    g->unit = 1;
    int rc = read_origin(p, a);
    if (!rc && (m = qd_json_get(a->json, "unit")))
        rc = qd_geo_unit(qd_json_text(m), &g->unit, p->err);
    if (!rc && (m = qd_json_get(a->json, "distance_type")))
        rc = qd_geo_distance_type(qd_json_text(m), &g->plane, p->err);
    return rc ? rc : qdi_aggs_ranges_parse(p, a);
}

const qd_agg_type qdi_aggs_geo_distance = {
    .name = "geo_distance",
    .key = "geo_distance",
    .flags = QDI_MULTI | QDI_VALUES | QDI_EMPTY_KNOWN | QDI_GEO,
    .members = "field,origin,point,center,ranges,unit,distance_type,keyed",
    .parse = parse,
    .factory = "GeoDistanceRangeAggregatorFactory",
    QDI_RANGES,
};
