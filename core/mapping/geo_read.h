/*
 * geo_read.h: points, corners and lengths as documents and requests write them.
 *
 * A point is {"lat", "lon"}, {"geohash"}, {"type": "Point", "coordinates"}, [lon, lat], "lat,lon",
 * "POINT (lon lat)" or a geohash. None of these forms is checked against the ranges of degrees.
 */
#ifndef QD_MAPPING_GEO_READ_H
#define QD_MAPPING_GEO_READ_H

#include "base/geo.h"
#include "mapping/field.h"
#include "json/reader.h"
#include "json/tree.h"

/* How points are read. */
typedef struct qd_geo_reading {
    bool refuse_z;        /* a third coordinate is an error */
    qd_geo_corner corner; /* of a geohash */
} qd_geo_reading;

/* The point that the present event of r begins, up to its end. 0; QD_E_ES_PARSE or QD_E_ARG as
 * Elasticsearch words them, within the value: qd_geo_skip goes to its end; or the reader's error.
 * [any] */
QD_MUST_CHECK
int qd_geo_read(qd_json_reader *r, const qd_geo_reading *how, qd_geo *out, qd_err *err);
/* The same of a text. [any] */
QD_MUST_CHECK
int qd_geo_read_text(qd_str text, const qd_geo_reading *how, qd_geo *out, qd_err *err);
/* The point that stands in an array whose first element is the present event, a number. [any] */
QD_MUST_CHECK
int qd_geo_read_array(qd_json_reader *r, const qd_geo_reading *how, qd_geo *out, qd_err *err);
/* To the end of what has begun at that depth of r. 0 or the reader's error. [any] */
QD_MUST_CHECK
int qd_geo_skip(qd_json_reader *r, uint32_t depth);
/* The same of a value of a request's tree. [any] */
QD_MUST_CHECK
int qd_geo_read_node(const qd_json_node *n, const qd_geo_reading *how, qd_geo *out, qd_err *err);
/* A point or an array of points, at most max of them, in the arena. [any] */
QD_MUST_CHECK
int qd_geo_read_list(const qd_json_node *n, const qd_geo_reading *how, uint32_t max,
                     qd_arena *arena, qd_geo **out, uint32_t *count, qd_err *err);
/* Numbers of WKT, "NAME (a b, c)", of which at most max are read: how many, or -1 when the text is
 * none of that name. [any] */
int qd_geo_wkt(qd_str text, const char *name, double *out, int max);

/* What requests do with degrees out of range. */
typedef enum qd_geo_validation {
    QD_GEO_STRICT,
    QD_GEO_COERCE,           /* brought into range */
    QD_GEO_IGNORE_MALFORMED, /* taken as they are */
} qd_geo_validation;
QD_MUST_CHECK
int qd_geo_validation_of(qd_str name, qd_geo_validation *out, qd_err *err);
/* Meters of a unit ("km", "miles"). [any] */
QD_MUST_CHECK
int qd_geo_unit(qd_str name, double *meters, qd_err *err);
/* "12km" in meters; a number alone is of `unit` meters each. [any] */
QD_MUST_CHECK
int qd_geo_distance(qd_str text, double unit, double *meters, qd_err *err);
/* "arc" or "plane". [any] */
QD_MUST_CHECK
int qd_geo_distance_type(qd_str name, bool *plane, qd_err *err);

/* Formats of geo_point fields in answers: "geojson", "wkt". */
typedef enum qd_geo_format { QD_GEO_TEXT, QD_GEO_GEOJSON, QD_GEO_WKT } qd_geo_format;
/* The format of a name, n 0: `otherwise`. [any] */
QD_MUST_CHECK
int qd_geo_format_of(qd_str name, qd_geo_format otherwise, qd_geo_format *out, qd_err *err);
/* Writes a point: "lat, lon", GeoJSON or WKT. [any] */
void qd_geo_write(qd_geo p, qd_geo_format format, qd_json_writer *w);
/* Writes all points of a value of a source that f can have; begin is called before each. [any] */
void qd_geo_show(const qd_field *f, const qd_json_node *n, qd_geo_format format, qd_json_writer *w,
                 void (*begin)(void *arg), void *arg);

#endif
