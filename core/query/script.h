/*
 * script.h: scripts within queries, sorts and fields: as a request gives them, and bound to an
 * index's fields.
 */
#ifndef QD_QUERY_SCRIPT_H
#define QD_QUERY_SCRIPT_H

#include "query/dsl.h"
#include "script/script.h"

/* As a request gives it; texts live in the arena of the reading. */
typedef struct qd_script_given {
    qd_str lang, source;
    qd_str params; /* JSON of an object; p NULL: none */
} qd_script_given;

/* Compiled, with the fields that it names. Immutable. */
typedef struct qd_script_bind {
    qd_script *script;             /* the arena of the tree holds a reference */
    qd_str params;                 /* JSON; p NULL: none */
    const qd_field *const *fields; /* by number of the script's field; NULL: there is none */
    const qd_mapping *mapping;
    int64_t now_ms;
} qd_script_bind;

/* Reads a script: the reader stands on its first event (an object or a string) and is left on its
 * last. A stored one is looked up (qd_query_reading.stored). QD_E_PARSE, QD_E_ARG, QD_E_NOTFOUND.
 */
QD_MUST_CHECK
int qd_script_given_read(const qd_query_reading *how, qd_json_reader *r, qd_script_given *out,
                         qd_err *err);
/* The same from a tree, which outlives *out. */
QD_MUST_CHECK
int qd_script_given_of(const qd_query_reading *how, const qd_json_node *n, qd_script_given *out,
                       qd_err *err);
/* What params is in a run (JSON; p NULL: an empty map). QD_E_NOMEM, QD_E_ARG. */
QD_MUST_CHECK
int qd_script_params_make(qd_arena *arena, qd_str json, qd_sv *out, qd_err *err);
/* A script cannot change v any more: the same serves all documents. */
void qd_script_params_fix(qd_sv *v);
/* Compiles and binds it. QD_E_ARG script_exception, QD_E_NOMEM. */
QD_MUST_CHECK
int qd_script_bind_make(const qd_query_context *c, const qd_script_given *g,
                        qd_script_context context, const qd_script_bind **out, qd_err *err);

#endif
