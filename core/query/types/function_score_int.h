/* function_score_int.h: functions of function_score, between reading and building. */
#ifndef QD_QUERY_FUNCTION_SCORE_INT_H
#define QD_QUERY_FUNCTION_SCORE_INT_H

#include "query/build_int.h"
#include "query/read_int.h"
#include "query/script.h"

typedef enum qdi_function_kind {
    QDI_FUNCTION_WEIGHT, /* alone */
    QDI_FUNCTION_SCRIPT,
    QDI_FUNCTION_FACTOR,
    QDI_FUNCTION_RANDOM,
    QDI_FUNCTION_GAUSS,
    QDI_FUNCTION_EXP,
    QDI_FUNCTION_LINEAR,
} qdi_function_kind;

typedef struct qdi_function {
    qdi_function_kind kind;
    const qd_query *filter; /* NULL: all documents */
    float weight;
    qd_script_given given;
    const qd_json_node *body;
} qdi_function;

/* The script that a function of a field is, in an index. QD_E_ARG, QD_E_PARSE. */
QD_MUST_CHECK
int qdi_function_source(qdi_builder *b, const qdi_function *f, qd_script_given *out, qd_err *err);
/* random_score: seed and field. */
QD_MUST_CHECK
int qdi_function_random(qdi_builder *b, const qdi_function *f, qd_score_function *to, qd_err *err);

#endif
