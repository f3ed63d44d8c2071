/* trim.c: the processor trim: text without white space at its ends. */
#include "ingest/ingest_int.h"

static int make(qdi_build *b, void *config, qd_err *err)
{
    return qdi_strings_make(b, config, err);
}

/* As Java's trim: all up to the blank counts. */
static int change(const void *config, qd_ingest_run *r, qd_str text, qd_iv *out, qd_err *err)
{
    (void)config;
    (void)r;
    (void)err;
    while (text.n && (unsigned char)text.p[0] <= ' ') text = qd_str_sub(text, 1, text.n);
    while (text.n && (unsigned char)text.p[text.n - 1] <= ' ') text.n--;
    *out = QD_IV_STRING(text);
    return 0;
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    return qdi_strings_run(config, config, r, change, err);
}

const qdi_processor_type qdi_processor_trim = {"trim", sizeof(qdi_strings), .make = make,
                                               .run = run};
