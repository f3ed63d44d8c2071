/* pipeline.c: the processor pipeline: another pipeline on the same document. */
#include "ingest/ingest_int.h"

typedef struct calling {
    qd_mustache *name;
    bool ignore_missing;
} calling;

static int make(qdi_build *b, void *config, qd_err *err)
{
    calling *c = config;
    int rc = qdi_arg_template(b, "name", &c->name, err);
    return rc ? rc : qdi_arg_bool(b, "ignore_missing_pipeline", false, &c->ignore_missing, err);
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    const calling *c = config;
    qd_str id;
    int rc = qdi_template_text(r, c->name, &id, err);
    return rc ? rc : qdi_run_pipeline(r, id, c->ignore_missing, err);
}

const qdi_processor_type qdi_processor_pipeline = {"pipeline", sizeof(calling), .make = make,
                                                   .run = run};
