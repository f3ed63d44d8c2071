/*
 * parse_int.h: reading the members of an aggregation's body.
 */
#ifndef QD_AGGS_PARSE_INT_H
#define QD_AGGS_PARSE_INT_H

#include "aggs/type.h"

typedef struct qdi_parse {
    const qd_aggs_reading *how;
    qd_aggs *tree;
    qd_arena *arena;
    qd_err *err;
} qdi_parse;
/* QD_E_PARSE with line and col of n. */
int qdi_aggs_parse_error(qdi_parse *p, const qd_json_node *n, const char *fmt, ...) QD_PRINTF(3, 4);
/* QD_E_XCONTENT with "[line:col] " before the text. */
int qdi_aggs_xcontent_error(qdi_parse *p, const qd_json_node *n, const char *fmt, ...)
    QD_PRINTF(3, 4);
/* QD_E_VALIDATION: "Validation Failed: 1: …;". */
int qdi_aggs_invalid(qdi_parse *p, const char *fmt, ...) QD_PRINTF(2, 3);
/* "a>b.member", "a[member]": *out leads from the n subs downwards. */
int qdi_aggs_path_parse(qdi_parse *p, qdi_agg *const *subs, uint32_t n, bool order, qd_str text,
                        qdi_path *out);

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
/* A script of the body. */
int qdi_aggs_script(qdi_parse *p, const qd_json_node *m, const struct qd_script_given **out);
/* field, script, missing, format, time_zone, keyed. */
int qdi_aggs_common(qdi_parse *p, qdi_agg *a, bool field_needed);
/* A body of field, missing, format and so on alone, the field needed. */
int qdi_aggs_parse_field(qdi_parse *p, qdi_agg *a);
/* A body of one member alone, a text, which may be left out. */
int qdi_aggs_one_text(qdi_parse *p, const qdi_agg *a, const char *key, qd_str *out);
/* "order" into a->order. Ties go by key: added unless the order has it. */
int qdi_aggs_parse_order(qdi_parse *p, qdi_agg *a, qdi_order standard);
/* Refuses a number below its least value (0 or 1), as the setter of Elasticsearch's builder does.
 */
int qdi_aggs_at_least(qdi_parse *p, const qdi_agg *a, const char *key, const char *name, int64_t v,
                      int64_t least);

/* Members that metrics of one numeric field have. */
#define QDI_NUMERIC "field,script,missing,format,value_type"

#endif
