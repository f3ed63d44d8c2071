/* urldecode.c: the processor urldecode: %XX and + as what they stand for. */
#include "ingest/percent.h"

static int make(qdi_build *b, void *config, qd_err *err)
{
    return qdi_strings_make(b, config, err);
}

static int change(const void *config, qd_ingest_run *r, qd_str text, qd_iv *out, qd_err *err)
{
    bool bad;
    qd_str decoded = {NULL, 0};
    (void)config;
    int rc = qdi_percent_decode(r, text, true, &decoded, &bad, err);
    if (!rc && bad) return qd_err_set(err, QD_E_ARG, "Could not URL-decode value.");
    *out = QD_IV_STRING(decoded);
    return rc;
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    return qdi_strings_run(config, config, r, change, err);
}

const qdi_processor_type qdi_processor_urldecode = {"urldecode", sizeof(qdi_strings), .make = make,
                                                    .run = run};
