/* geo_int.h: what the queries over points on the earth share (read_geo.c). */
#ifndef QD_QUERY_GEO_INT_H
#define QD_QUERY_GEO_INT_H

#include "mapping/geo_read.h"
#include "query/build_int.h"
#include "query/read_int.h"

/* The beginning of each of them. */
typedef struct qdi_geo_query {
    qd_query base;
    qd_geo_validation validation;
    bool ignore_unmapped;
    const qd_json_node *value; /* of the field */
} qdi_geo_query;

/* A scalar of the query's own, by its key; 1 when it has none of that name. */
typedef int (*qdi_geo_option_fn)(qd_json_reader *r, qd_str key, qd_query *q, qd_err *err);
/* The members of the query: options, and one field with its value. */
QD_MUST_CHECK
int qdi_read_geo(qdi_reading *rd, qd_json_reader *r, qdi_geo_option_fn option, qd_query *q,
                 qd_err *err);
/* Refuses what is out of range, or brings it into it, as the query says. */
QD_MUST_CHECK
int qdi_geo_check(qdi_builder *b, const qd_query *q, qd_geo *p, qd_err *err);
/* The field of the query, a geo_point that has an index or a column: 0; 1: no document matches. */
QD_MUST_CHECK
int qdi_geo_field(qdi_builder *b, const qd_query *q, const qd_field **out, qd_err *err);
/* Documents of the shape, whose latitudes are those of shape->lat at most; in *out. */
QD_MUST_CHECK
int qdi_geo_build(qdi_builder *b, const qd_field *f, qd_node_geo *shape, const qd_node **out,
                  qd_err *err);

#endif
