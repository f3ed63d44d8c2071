/*
 * script.c: where scripts of pipelines come in: the parameter "if" and the processor "script".
 * There is no engine for them yet, so both are refused when the pipeline is stored; an engine
 * replaces what stands here.
 */
#include "ingest/ingest_int.h"

int qdi_ingest_script(const qdi_build *b, const char *property, const qd_json_node *n, qd_err *err)
{
    (void)n;
    if (property) return qdi_arg_fail(b, property, err, "needs a script engine");
    return qdi_arg_fail(b, NULL, err, "processor [script] needs a script engine");
}
