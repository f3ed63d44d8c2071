/* runtime.h: the scripts of runtime fields, bound to their mapping. */
#ifndef QD_QUERY_RUNTIME_H
#define QD_QUERY_RUNTIME_H

#include "mapping/runtime/runtime.h"
#include "query/script.h"

/* Compiles and binds the script of a definition that has one; texts live in c's arena. QD_E_ARG
 * script_exception, QD_E_NOMEM. */
QD_MUST_CHECK
int qd_runtime_bind(const qd_query_context *c, const qd_runtime_field *d,
                    const qd_script_bind **out, qd_err *err);
/* Can the scripts of a mapping be compiled? QD_E_MAPPER_PARSING around the script's error. */
QD_MUST_CHECK
int qd_runtime_check(const qd_mapping *m, qd_err *err);

#endif
