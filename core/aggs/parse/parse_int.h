/*
 * parse_int.h: reading the members of an aggregation's body.
 */
#ifndef QD_AGGS_PARSE_INT_H
#define QD_AGGS_PARSE_INT_H

#include "aggs/aggs_int.h"

/* Names like one that is not known, the nearest first: more than half of it has to be right. */
typedef struct qdi_near {
    qd_str at[6];
    double score[6];
    uint32_t n;
} qdi_near;
void qdi_aggs_near_add(qdi_near *n, qd_str given, qd_str name);
/* " did you mean [x]?", or nothing. */
const char *qdi_aggs_near_text(const qdi_near *n, char out[256]);
/* Is key among the names of a list "a,b,c"? */
bool qdi_aggs_listed(const char *list, qd_str key);
/* Name of a node's first token, as Elasticsearch names it. */
const char *qdi_aggs_token(const qd_json_node *n);
/* The error present becomes the cause of "[line:col] [type] failed to parse field [key]". */
int qdi_aggs_setter(qdi_parse *p, const char *type, const qd_json_node *m);
/* The same over a QD_E_ARG with this text. */
int qdi_aggs_setter_arg(qdi_parse *p, const qdi_agg *a, const qd_json_node *m, const char *fmt, ...)
    QD_PRINTF(4, 5);
/* "[line:col] [type] key doesn't support values of type: VALUE_NULL". */
int qdi_aggs_wrong_type(qdi_parse *p, const char *type, const qd_json_node *m);
/* "Failed to build [type] after last required field arrived" over a QD_E_ARG with this text. */
int qdi_aggs_build_arg(qdi_parse *p, const char *type, const char *fmt, ...) QD_PRINTF(3, 4);
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
