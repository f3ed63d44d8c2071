/* date_name.h: names with date math: "<logs-{now/d}-000001>". */
#ifndef QD_ACTION_DATE_NAME_H
#define QD_ACTION_DATE_NAME_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

/* The parameter that keeps {index} of a request as its client gave it, with its date math. */
#define QDI_INDEX_GIVEN "index as given"

/* Is it a name with date math? [any] */
static inline bool qdi_is_date_name(qd_str name)
{
    return name.n > 1 && name.p[0] == '<' && name.p[name.n - 1] == '>';
}
/* The name at a time, in the arena; one without date math is as it is. QD_E_ES_PARSE tells what is
 * wrong with the expression. [any] */
QD_MUST_CHECK
int qdi_date_name(qd_arena *a, qd_str name, int64_t now_ms, qd_str *out, qd_err *err);
/* A list of names, some with a - before them, joined by commas: all of them at a time, in the
 * arena; a list without date math is as it is. Errors as above. [any] */
QD_MUST_CHECK
int qdi_date_names(qd_arena *a, qd_str names, int64_t now_ms, qd_str *out, qd_err *err);

#endif
