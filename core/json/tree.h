/*
 * tree.h: a small read-only tree of a JSON value, for requests whose parts must be looked at in an
 * order of our own (mappings, settings, aggregations). Never for documents: they are streamed.
 *
 * Everything lives in the caller's arena; strings may be views into the input, which must live as
 * long. Members keep their order. Immutable after parsing [any].
 */
#ifndef QD_JSON_TREE_H
#define QD_JSON_TREE_H

#include "base/arena.h"
#include "base/err.h"
#include "json/reader.h"

typedef enum qd_json_type {
    QD_JSON_T_NULL,
    QD_JSON_T_BOOL,
    QD_JSON_T_NUMBER,
    QD_JSON_T_STRING,
    QD_JSON_T_ARRAY,
    QD_JSON_T_OBJECT,
} qd_json_type;

typedef struct qd_json_node {
    qd_json_type type;
    bool truth;   /* BOOL */
    bool integer; /* NUMBER without fraction and exponent */
    uint32_t n;   /* children */
    qd_str key;   /* of a member of an object */
    qd_str text;  /* STRING: decoded; NUMBER: as written */
    qd_str raw;   /* the value's bytes in the input */
    struct qd_json_node *first, *next;
} qd_json_node;

/* Parses all of input (strict keys, comments) into the arena; at most depth_max levels (0 =
 * default). input must live as long as the tree. */
QD_MUST_CHECK
int qd_json_parse(qd_arena *a, qd_str input, uint32_t depth_max, qd_json_node **out, qd_err *err);
/* Name of the token that starts a value of a type: START_OBJECT, VALUE_NUMBER … */
const char *qd_json_type_token(qd_json_type type);
/* Member of an object by name; NULL when absent or n is no object. */
const qd_json_node *qd_json_get(const qd_json_node *n, const char *key);
/* The same by view. */
const qd_json_node *qd_json_get_str(const qd_json_node *n, qd_str key);
/* A node's text as Elasticsearch turns scalars into strings (true, 12, text); {NULL,0} for others.
 */
qd_str qd_json_text(const qd_json_node *n);
/* BOOL, or the strings "true" and "false" (and "" as false, when lenient): 0 or QD_E_ARG. */
QD_MUST_CHECK
int qd_json_truth(const qd_json_node *n, bool *out);

#endif
