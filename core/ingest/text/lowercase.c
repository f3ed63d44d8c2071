/* lowercase.c: the processor lowercase: text in lower case. */
#include "ingest/text/case_int.h"

static int make(qdi_build *b, void *config, qd_err *err)
{
    return qdi_strings_make(b, config, err);
}

static int change(const void *config, qd_ingest_run *r, qd_str text, qd_iv *out, qd_err *err)
{
    (void)config;
    return qdi_case(r, text, false, out, err);
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    return qdi_strings_run(config, config, r, change, err);
}

const qdi_processor_type qdi_processor_lowercase = {"lowercase", sizeof(qdi_strings), .make = make,
                                                    .run = run};
