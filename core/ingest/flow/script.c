/* script.c: the processor script: a script on the document. */
#include "ingest/ingest_int.h"

typedef struct scripting {
    qdi_script *script;
} scripting;

/* All parameters are the engine's. */
static int make(qdi_build *b, void *config, qd_err *err)
{
    scripting *c = config;
    b->used = UINT64_MAX;
    return qdi_script_make(b, NULL, b->config, &c->script, err);
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    const scripting *c = config;
    return qdi_script_run(c->script, r, err);
}

const qdi_processor_type qdi_processor_script = {"script", sizeof(scripting), .make = make,
                                                 .run = run, .short_form = "source"};
