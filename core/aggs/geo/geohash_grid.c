/*
 * geohash_grid.c: geohash_grid: a bucket for each cell of a geohash. A key is the cell's bits above
 * four bits of its precision, as Lucene's Geohash.longEncode has it.
 */
#include "aggs/geo/geo_grid_int.h"
#include "mapping/geo_read.h"

#define PRECISION 5
#define PI 3.14159265358979323846
#define EQUATOR (2 * PI * 6378137.0) /* meters round the earth */
#define POLES (PI * 6356752.314245)  /* and from pole to pole */

static const char digits[] = "0123456789bcdefghjkmnpqrstuvwxyz";

/* Every second bit of 32, spread over 64. */
static uint64_t spread(uint32_t v)
{
    uint64_t x = v;
    x = (x | x << 16) & 0x0000FFFF0000FFFFull;
    x = (x | x << 8) & 0x00FF00FF00FF00FFull;
    x = (x | x << 4) & 0x0F0F0F0F0F0F0F0Full;
    x = (x | x << 2) & 0x3333333333333333ull;
    return (x | x << 1) & 0x5555555555555555ull;
}

static int64_t cell(uint32_t precision, int64_t point)
{
    uint32_t lat = (uint32_t)qd_geo_lat_of(point) ^ 0x80000000u;
    uint32_t lon = (uint32_t)qd_geo_lon_of(point) ^ 0x80000000u;
    uint64_t bits = spread(lat) | spread(lon) << 1; /* longitude first */
    return (int64_t)((bits >> (64 - 5 * precision)) << 4 | precision);
}

static void box(int64_t key, qdi_geo_box *out)
{
    uint32_t precision = (uint32_t)key & 15u, n = 5 * precision;
    uint64_t bits = (uint64_t)key >> 4;
    double lat = -90, lon = -180, h = 180, w = 360;
    for (uint32_t i = 0; i < n; i++) {
        bool one = bits >> (n - 1 - i) & 1;
        if (i % 2 == 0)
            lon += one ? w / 2 : 0, w /= 2;
        else
            lat += one ? h / 2 : 0, h /= 2;
    }
    *out = (qdi_geo_box){.north = lat + h, .south = lat, .west = lon, .east = lon + w};
}

static qd_str key_text(const qdi_out *o, uint32_t i, char out[128])
{
    uint32_t precision = (uint32_t)o->b[i].key & 15u;
    uint64_t bits = (uint64_t)o->b[i].key >> 4;
    for (uint32_t k = precision; k-- > 0; bits >>= 5) out[k] = digits[bits & 31];
    return (qd_str){out, precision};
}

/* The shortest geohash whose cells are no larger than a length, as Elasticsearch reckons it. */
static int64_t of_length(double meters)
{
    double ratio = 1 + POLES / EQUATOR;
    if (meters <= 0) return QD_GEOHASH_MAX;
    double part = ceil(EQUATOR / sqrt(meters * meters / (ratio * ratio)));
    if (part <= 1) return 1;
    int64_t bits = (int64_t)ceil(log(part) / log(2)), full = bits / 5, left = bits - full * 5;
    return 2 * full + (left > 0) + (left > 3);
}

static int precision_of(qdi_parse *p, qdi_agg *a, int64_t *out)
{
    double meters;
    const qd_json_node *m = qd_json_get(a->json, "precision");
    *out = PRECISION;
    if (!m) return 0;
    if (qd_str_i64(qd_json_text(m), out)) return 0;
    if (m->type != QD_JSON_T_STRING || qd_geo_distance(m->text, 1, &meters, p->err))
        return m->type == QD_JSON_T_STRING ? qdi_aggs_setter(p, a->type->name, m)
                                           : qdi_aggs_wrong_type(p, a->type->name, m);
    *out = of_length(meters);
    return 0;
}

static int parse(qdi_parse *p, qdi_agg *a)
{
    int64_t precision;
    qdi_geo_grid *g = qdi_geo_grid_of(a);
    g->cell = cell;
    g->box = box;
    int rc = qdi_aggs_geo_grid_parse(p, a);
    if (!rc) rc = precision_of(p, a, &precision);
    if (rc) return rc;
    if (precision < 1 || precision > QD_GEOHASH_MAX) {
        return qdi_aggs_setter_arg(p, a, qd_json_get(a->json, "precision"),
                                   "Invalid geohash aggregation precision of %lld. Must be between "
                                   "1 and 12.",
                                   (long long)precision);
    }
    g->precision = (uint32_t)precision;
    return 0;
}

const qd_agg_type qdi_aggs_geohash_grid = {
    .name = "geohash_grid",
    .key = "geohash_grid",
    QDI_GEO_GRID,
    .parse = parse,
    .key_text = key_text,
    .factory = "GeoHashGridAggregatorFactory",
};
