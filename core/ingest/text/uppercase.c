/* uppercase.c: the processor uppercase: text in upper case. */
#include "ingest/text/case_int.h"

static int make(qdi_build *b, void *config, qd_err *err)
{
    return qdi_strings_make(b, config, err);
}

static int change(const void *config, qd_ingest_run *r, qd_str text, qd_iv *out, qd_err *err)
{
    (void)config;
    return qdi_case(r, text, true, out, err);
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    return qdi_strings_run(config, config, r, change, err);
}

const qdi_processor_type qdi_processor_uppercase = {"uppercase", sizeof(qdi_strings), .make = make,
                                                    .run = run};
