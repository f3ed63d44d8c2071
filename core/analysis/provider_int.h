/* provider_int.h: the built-in analyzers (type "standard", "english", … of an analyzer). */
#ifndef QD_ANALYSIS_PROVIDER_INT_H
#define QD_ANALYSIS_PROVIDER_INT_H

#include "analysis/analyzer_int.h"

/* Is there a built-in analyzer of that type? */
bool qd_provider_known(qd_str type);
/* Makes one from its settings (c->name is its name). One reference. */
QD_MUST_CHECK
int qd_provider_make(qd_str type, const qd_part_conf *c, qd_analyzer **out, qd_err *err);
/* The built-in analyzer of that name with default settings, made at its first use and kept for the
 * process. NULL when there is none, or out of memory. [any] */
const qd_analyzer *qd_provider_shared(qd_str name);

#endif
