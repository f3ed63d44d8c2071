/*
 * runtime.h: runtime fields of a mapping: their values are what a script makes of a document, or
 * what its source has, when a search asks for them. Documents and segments know nothing of them.
 */
#ifndef QD_MAPPING_RUNTIME_H
#define QD_MAPPING_RUNTIME_H

#include "mapping/mapping.h"

#define QD_RUNTIME_VALUES_MAX 100u         /* that a script may emit for a document */
#define QD_RUNTIME_CHARS_MAX (1024 * 1024) /* of strings, the same */

/* A definition. */
typedef struct qd_runtime_field {
    qd_str name;
    qd_str script;  /* JSON; p NULL: the values of that name in the source */
    bool composite; /* its fields are NAME.x; else it is one field itself */
    bool goes_on;   /* on_script_error: continue */
    qd_field **fields;
    uint32_t n;
} qd_runtime_field;

/* The definitions, ascending by name. [any] */
uint32_t qd_mapping_runtime(const qd_mapping *m, const qd_runtime_field *const **out);
/* The fields that they make, ascending by name: qd_field.runtime is set. [any] */
uint32_t qd_mapping_runtime_fields(const qd_mapping *m, const qd_field *const **out);
/* m with the runtime fields of a request (runtime_mappings), which hide m's of their names.
 * QD_E_MAPPER_PARSING, QD_E_ARG, QD_E_NOMEM. [any] */
QD_MUST_CHECK
int qd_mapping_with_runtime(const qd_mapping *m, const qd_json_node *runtime, qd_mapping **out,
                            qd_err *err);

#endif
