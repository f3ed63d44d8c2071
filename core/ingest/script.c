/*
 * script.c: where scripts of pipelines come in: the parameter "if" and the processor "script".
 * There is no engine for them yet, so qdi_script_make refuses both when the pipeline is stored, and
 * the others are never called; an engine replaces this file.
 */
#include "ingest/ingest_int.h"

const bool qdi_script_there = false;

int qdi_script_make(const qdi_build *b, const char *property, const qd_json_node *n,
                    qdi_script **out, qd_err *err)
{
    (void)n;
    *out = NULL;
    if (property) return qdi_arg_fail(b, property, err, "needs a script engine");
    return qdi_arg_fail(b, NULL, err, "processor [script] needs a script engine");
}

int qdi_script_test(const qdi_script *s, qd_ingest_run *r, qd_err *err)
{
    (void)s;
    (void)r;
    return qd_err_set(err, QD_E_UNSUPPORTED, "there is no script engine");
}

int qdi_script_run(const qdi_script *s, qd_ingest_run *r, qd_err *err)
{
    (void)s;
    (void)r;
    return qd_err_set(err, QD_E_UNSUPPORTED, "there is no script engine");
}
