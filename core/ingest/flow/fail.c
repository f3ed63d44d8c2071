/* fail.c: the processor fail: a failure with a text of its own. */
#include "ingest/ingest_int.h"

typedef struct failing {
    qd_mustache *message;
} failing;

static int make(qdi_build *b, void *config, qd_err *err)
{
    failing *c = config;
    return qdi_arg_template(b, "message", &c->message, err);
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    const failing *c = config;
    qd_str text;
    int rc = qdi_template_text(r, c->message, &text, err);
    if (rc) return rc;
    rc = qd_err_set(err, QD_E_ARG, "%.*s", QD_STR_ARG(text));
    qd_err_type(err, "fail_processor_exception", 500);
    return rc;
}

const qdi_processor_type qdi_processor_fail = {"fail", sizeof(failing), .make = make, .run = run};
