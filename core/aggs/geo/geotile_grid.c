/*
 * geotile_grid.c: geotile_grid: a bucket for each tile of a map in the Web Mercator projection. A
 * key is the zoom above 29 bits of x above 29 bits of y, as Elasticsearch's GeoTileUtils has it.
 */
#include "aggs/geo/geo_grid_int.h"
#include <stdio.h>

#define PRECISION 7
#define ZOOM_MAX 29
#define PI 3.14159265358979323846
#define MASK ((1ll << 29) - 1)

static int64_t clamp(double v, int64_t tiles)
{
    return v < 0 ? 0 : v >= (double)tiles ? tiles - 1 : (int64_t)floor(v);
}

static int64_t cell(uint32_t zoom, int64_t point)
{
    qd_geo p = qd_geo_decode(point);
    int64_t tiles = 1ll << zoom;
    double s = sin(p.lat * PI / 180);
    int64_t x = clamp((p.lon + 180) / 360 * (double)tiles, tiles);
    int64_t y = clamp((0.5 - log((1 + s) / (1 - s)) / (4 * PI)) * (double)tiles, tiles);
    return (int64_t)zoom << 58 | x << 29 | y;
}

static double lat_of(int64_t y, double tiles)
{
    return atan(sinh(PI * (1 - 2 * (double)y / tiles))) * 180 / PI;
}

static void box(int64_t key, qdi_geo_box *out)
{
    int64_t x = key >> 29 & MASK, y = key & MASK;
    double tiles = (double)(1ll << (key >> 58));
    *out = (qdi_geo_box){.north = lat_of(y, tiles),
                         .south = lat_of(y + 1, tiles),
                         .west = (double)x / tiles * 360 - 180,
                         .east = (double)(x + 1) / tiles * 360 - 180};
}

static qd_str key_text(const qdi_out *o, uint32_t i, char out[128])
{
    int64_t key = o->b[i].key;
    int n = snprintf(out, 128, "%lld/%lld/%lld", (long long)(key >> 58),
                     (long long)(key >> 29 & MASK), (long long)(key & MASK));
    return (qd_str){out, (size_t)n};
}

static int parse(qdi_parse *p, qdi_agg *a)
{
    int64_t zoom = PRECISION;
    qdi_geo_grid *g = qdi_geo_grid_of(a);
    g->cell = cell;
    g->box = box;
    int rc = qdi_aggs_geo_grid_parse(p, a);
    if (!rc) rc = qdi_aggs_get_i64(p, a, "precision", &zoom);
    if (rc) return rc;
    if (zoom < 0 || zoom > ZOOM_MAX) {
        return qdi_aggs_setter_arg(p, a, qd_json_get(a->json, "precision"),
                                   "Invalid geotile_grid precision of %lld. Must be between 0 and "
                                   "29.",
                                   (long long)zoom);
    }
    g->precision = (uint32_t)zoom;
    return 0;
}

const qd_agg_type qdi_aggs_geotile_grid = {
    .name = "geotile_grid",
    .key = "geotile_grid",
    QDI_GEO_GRID,
    .parse = parse,
    .key_text = key_text,
    .factory = "GeoTileGridAggregatorFactory",
};
