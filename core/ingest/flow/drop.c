/* drop.c: the processor drop: the document is not indexed, and that is no failure. */
#include "ingest/ingest_int.h"

static int make(qdi_build *b, void *config, qd_err *err)
{
    (void)b;
    (void)config;
    (void)err;
    return 0;
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    (void)config;
    (void)r;
    (void)err;
    return QD_INGEST_DROPPED;
}

const qdi_processor_type qdi_processor_drop = {"drop", 0, .make = make, .run = run};
