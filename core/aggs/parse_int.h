/*
 * parse_int.h: reading the members of an aggregation's body.
 */
#ifndef QD_AGGS_PARSE_INT_H
#define QD_AGGS_PARSE_INT_H

#include "aggs/aggs_int.h"

/* A member that the type does not know: the refusal, with the nearest name of the list "a,b". */
int qdi_aggs_unknown(qdi_parse *p, const char *type, const char *list, const qd_json_node *m);
/* Refuses members that are not on the list. */
int qdi_aggs_members(qdi_parse *p, const char *type, const qd_json_node *body, const char *list);
int qdi_aggs_bad_value(qdi_parse *p, qdi_agg *a, const qd_json_node *m);
/* A member's value, *out as it was when the member is not there. */
int qdi_aggs_get_f64(qdi_parse *p, qdi_agg *a, const char *key, double *out);
int qdi_aggs_get_i64(qdi_parse *p, qdi_agg *a, const char *key, int64_t *out);
int qdi_aggs_get_bool(qdi_parse *p, qdi_agg *a, const char *key, bool *out);
int qdi_aggs_get_value(qdi_parse *p, qdi_agg *a, const qd_json_node *m, qd_query_value *out);
/* field, missing, format, time_zone, keyed. */
int qdi_aggs_common(qdi_parse *p, qdi_agg *a, bool field_needed);

int qdi_aggs_parse_percents(qdi_parse *p, qdi_agg *a);
int qdi_aggs_parse_hits(qdi_parse *p, qdi_agg *a);
int qdi_aggs_parse_weighted(qdi_parse *p, qdi_agg *a);
int qdi_aggs_parse_pipeline(qdi_parse *p, qdi_agg *a);

#endif
