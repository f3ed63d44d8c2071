/* grok_args.h: the parameters of grok and redact. */
#ifndef QD_INGEST_GROK_ARGS_H
#define QD_INGEST_GROK_ARGS_H

#include "ingest/grok.h"
#include "ingest/ingest_int.h"

/* patterns, pattern_definitions, ecs_compatibility; several patterns are tried together, or (each)
 * compiled each for itself: *out has *n of them. */
QD_MUST_CHECK
int qdi_arg_grok(qdi_build *b, bool each, qd_grok ***out, uint32_t *n, qd_err *err);

#endif
