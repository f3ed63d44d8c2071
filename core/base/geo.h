/*
 * geo.h: points on the earth: 64-bit numbers of them, distances, geohashes.
 *
 * A point is a number of 32 bits of latitude above 32 bits of longitude, as Lucene's
 * LatLonDocValuesField has it: cells of 180 / 2^32 and 360 / 2^32 degrees, cut down. The order of
 * the numbers is that of latitudes. All functions [any].
 */
#ifndef QD_BASE_GEO_H
#define QD_BASE_GEO_H

#include "base/str.h"
#include <math.h>

#define QD_GEO_RADIUS 6371008.7714 /* meters: the mean radius of the earth */
#define QD_GEO_LAT_CELL (180.0 / 4294967296.0)
#define QD_GEO_LON_CELL (360.0 / 4294967296.0)
#define QD_GEOHASH_MAX 12

/* Degrees; lat within -90 to 90, lon within -180 to 180 where nothing else is said. */
typedef struct qd_geo {
    double lat, lon;
} qd_geo;

/* What a geohash stands for where one point is wanted: a corner of its cell. */
typedef enum qd_geo_corner {
    QD_GEO_BOTTOM_LEFT,
    QD_GEO_TOP_LEFT,
    QD_GEO_BOTTOM_RIGHT,
    QD_GEO_TOP_RIGHT,
} qd_geo_corner;

/* Is lat one, is lon? NaN is none. */
static inline bool qd_geo_lat_valid(double lat)
{
    return lat >= -90 && lat <= 90;
}
/* See above. */
static inline bool qd_geo_lon_valid(double lon)
{
    return lon >= -180 && lon <= 180;
}

/* The cell of a latitude, of a longitude. */
static inline int32_t qd_geo_lat_cell(double lat)
{
    return lat >= 90 ? INT32_MAX : (int32_t)floor(lat / QD_GEO_LAT_CELL);
}
/* See above. */
static inline int32_t qd_geo_lon_cell(double lon)
{
    return lon >= 180 ? INT32_MAX : (int32_t)floor(lon / QD_GEO_LON_CELL);
}
/* The first cell that does not begin below. */
static inline int32_t qd_geo_lat_cell_up(double lat)
{
    double c = ceil(lat / QD_GEO_LAT_CELL);
    return c >= INT32_MAX ? INT32_MAX : (int32_t)c;
}
/* See above. */
static inline int32_t qd_geo_lon_cell_up(double lon)
{
    double c = ceil(lon / QD_GEO_LON_CELL);
    return c >= INT32_MAX ? INT32_MAX : (int32_t)c;
}

/* A number of two cells, and its parts. */
static inline int64_t qd_geo_join(int32_t lat, int32_t lon)
{
    return (int64_t)((uint64_t)(uint32_t)lat << 32 | (uint32_t)lon);
}
/* See above. */
static inline int32_t qd_geo_lat_of(int64_t v)
{
    return (int32_t)((uint64_t)v >> 32);
}
/* See above. */
static inline int32_t qd_geo_lon_of(int64_t v)
{
    return (int32_t)(uint32_t)v;
}

/* A point as a number, and what its cells begin with. */
static inline int64_t qd_geo_encode(qd_geo p)
{
    return qd_geo_join(qd_geo_lat_cell(p.lat), qd_geo_lon_cell(p.lon));
}
/* See above. */
static inline qd_geo qd_geo_decode(int64_t v)
{
    return (qd_geo){qd_geo_lat_of(v) * QD_GEO_LAT_CELL, qd_geo_lon_of(v) * QD_GEO_LON_CELL};
}

/* Brings any finite degrees into range, over the poles and the date line. */
qd_geo qd_geo_normal(qd_geo p);

/* Meters between two points: over the sphere (haversine), and on a plane (quicker, wrong over long
 * ways, near the poles and over the date line). */
double qd_geo_arc(qd_geo a, qd_geo b);
/* See above. */
double qd_geo_plane(qd_geo a, qd_geo b);

/* A corner of the cell of a geohash, of which QD_GEOHASH_MAX characters count: SIZE_MAX; or the
 * place of the character that no geohash has. */
size_t qd_geohash_parse(qd_str text, qd_geo_corner corner, qd_geo *out);
/* The geohash of n characters, 1 to QD_GEOHASH_MAX, with a NUL. */
void qd_geohash_print(qd_geo p, uint32_t n, char out[QD_GEOHASH_MAX + 1]);

#endif
