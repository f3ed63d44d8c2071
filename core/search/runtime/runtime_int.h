/* runtime_int.h: values of runtime fields on their way into columns. */
#ifndef QD_SEARCH_RUNTIME_INT_H
#define QD_SEARCH_RUNTIME_INT_H

#include "script/object.h"
#include "search/runtime/runtime.h"
#include "segment/overlay.h"

/* The values of one definition in a segment. */
typedef struct qdi_runtime_sink {
    const qd_runtime_field *of;
    qd_overlay_buffer **columns; /* by of->fields */
    uint32_t *n;                 /* values of the present document, by field */
    uint32_t chars;              /* of its strings */
    uint32_t doc;
    qd_arena scratch; /* texts of the present document */
} qdi_runtime_sink;

/* Begins a document. */
void qdi_runtime_begin(qdi_runtime_sink *s, uint32_t doc);
/* Takes back what the present document has. */
void qdi_runtime_undo(qdi_runtime_sink *s);
/* emit of a script: arg is the sink. QD_E_ARG: more than a document may have. */
QD_MUST_CHECK
int qdi_runtime_emit(void *arg, const qd_sv *v, uint32_t n, qd_err *err);
/* All values of a source; what is no value of the type is left out. */
QD_MUST_CHECK
int qdi_runtime_source(qdi_runtime_sink *s, qd_str json, qd_err *err);
/* Adds a number as the column has it. */
QD_MUST_CHECK
int qdi_runtime_i64(qdi_runtime_sink *s, uint32_t field, int64_t v, qd_err *err);

#endif
