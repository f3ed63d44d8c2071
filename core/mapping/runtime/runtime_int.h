/* runtime_int.h: definitions of runtime fields as read, for the files of the mapping. */
#ifndef QD_MAPPING_RUNTIME_INT_H
#define QD_MAPPING_RUNTIME_INT_H

#include "mapping/runtime/runtime.h"

struct qdi_type_source;
struct qd_field_def;
struct runtime_defs;

typedef struct runtime_def {
    qd_str name;
    qd_str json; /* as it is shown; p NULL: given as null, which removes it */
    qd_str script;
    bool composite, goes_on;
    struct qd_field_def **fields; /* of a composite by their last names, else one */
    uint32_t n;
} runtime_def;

typedef struct runtime_defs {
    runtime_def *at; /* ascending by name */
    uint32_t n;
} runtime_defs;

#define QDI_RUNTIME_MAX 10000u /* definitions of a mapping */

/* Reads the object of "runtime" or of runtime_mappings. removes: null takes a field away. */
QD_MUST_CHECK
int qdi_runtime_read(const struct qdi_type_source *from, qd_arena *a, const qd_json_node *n,
                     runtime_defs *out, qd_err *err);
/* Puts definitions in the place of those of their names, or takes these away. QD_E_NOMEM. */
QD_MUST_CHECK
int qdi_runtime_merge(qd_arena *a, runtime_defs *into, const runtime_defs *from);
/* QD_E_MAPPER_PARSING: one is null where nothing can be removed. */
QD_MUST_CHECK
int qdi_runtime_check(const runtime_defs *d, qd_err *err);
/* Writes "runtime": {…}; nothing where there is none. */
void qdi_runtime_write(const runtime_defs *d, qd_json_writer *w);
/* Appends the definition of a field that a document brought, as `dynamic: runtime` makes it. */
void qdi_runtime_dynamic(const char *kind, const qd_date_format *format, qd_buf *out);
/* The field of a name; NULL: there is none. */
const qd_field *qdi_runtime_find(const qd_mapping *m, qd_str name);
/* The field that a script makes, as the compiled mapping has it. mapping.c */
struct compiler;
QD_MUST_CHECK
int qdi_runtime_field(struct compiler *c, const struct qd_field_def *d, qd_str name,
                      const qd_runtime_field *of, qd_field **out, qd_err *err);
/* Compiles all definitions of m. */
QD_MUST_CHECK
int qdi_runtime_compile(struct compiler *c, qd_mapping *m, qd_err *err);

#endif
