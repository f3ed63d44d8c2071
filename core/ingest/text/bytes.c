/* bytes.c: the processor bytes: "1kb" as 1024. */
#include "config/value.h"
#include "ingest/ingest_int.h"

static int make(qdi_build *b, void *config, qd_err *err)
{
    return qdi_strings_make(b, config, err);
}

static int change(const void *config, qd_ingest_run *r, qd_str text, qd_iv *out, qd_err *err)
{
    int64_t bytes;
    (void)config;
    (void)r;
    int rc = qd_value_bytes(text, "Ingest Field", &bytes, err);
    if (rc) return rc;
    *out = QD_IV_INTEGER(bytes);
    return 0;
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    return qdi_strings_run(config, config, r, change, err);
}

const qdi_processor_type qdi_processor_bytes = {"bytes", sizeof(qdi_strings), .make = make,
                                                .run = run};
