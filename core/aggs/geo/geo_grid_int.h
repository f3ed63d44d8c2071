/*
 * geo_grid_int.h: cells of the earth as buckets: what geohash_grid and geotile_grid share.
 */
#ifndef QD_AGGS_GEO_GRID_INT_H
#define QD_AGGS_GEO_GRID_INT_H

#include "aggs/bucket/terms_int.h"
#include "aggs/parse/parse_int.h"
#include "base/geo.h"

/* Degrees. */
typedef struct qdi_geo_box {
    double north, south, west, east; /* west above east: over the date line */
} qdi_geo_box;

typedef struct qdi_geo_grid {
    qdi_terms terms; /* first: sizes */
    uint32_t precision;
    bool bounded;
    qdi_geo_box bounds;
    int64_t (*cell)(uint32_t precision, int64_t point); /* key of the cell of a column's value */
    void (*box)(int64_t key, qdi_geo_box *out);
} qdi_geo_grid;
static inline qdi_geo_grid *qdi_geo_grid_of(const qdi_agg *a)
{
    return a->params;
}

extern const qdi_ops qdi_aggs_geo_grid_ops;

/* Reads field, size, shard_size, bounds; the precision is the type's. */
int qdi_aggs_geo_grid_parse(qdi_parse *p, qdi_agg *a);
/* "buckets", with keys as the type's key_text has them. */
void qdi_aggs_geo_grid_write(const qdi_out *o, bool typed, qd_json_writer *w);

#define QDI_GEO_GRID                                                                               \
    .flags = QDI_MULTI | QDI_VALUES | QDI_GEO | QDI_EXACT, .params_size = sizeof(qdi_geo_grid),    \
    .members = "field,precision,size,shard_size,bounds", .ops = &qdi_aggs_geo_grid_ops,            \
    .reduce = qdi_terms_reduce, .write = qdi_aggs_geo_grid_write

#endif
