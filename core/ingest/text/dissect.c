/* dissect.c: the processor dissect: text cut at its delimiters into fields. */
#include "ingest/dissect.h"
#include "ingest/ingest_int.h"

typedef struct dissecting {
    qdi_path field;
    qd_dissect *pattern;
    bool ignore_missing;
} dissecting;

static int make(qdi_build *b, void *config, qd_err *err)
{
    dissecting *c = config;
    qd_str pattern, append;
    int rc = qdi_arg_path(b, "field", (qd_str){NULL, 0}, &c->field, err);
    if (!rc) rc = qdi_arg_str(b, "pattern", NULL, &pattern, err);
    if (!rc) rc = qdi_arg_str(b, "append_separator", "", &append, err);
    if (!rc) rc = qdi_arg_bool(b, "ignore_missing", false, &c->ignore_missing, err);
    return rc ? rc : qd_dissect_make(b->a, pattern, append, &c->pattern, err);
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    const dissecting *c = config;
    qd_dissect_pair *pairs;
    uint32_t n = 0;
    qd_str text;
    bool missing;
    int rc = qdi_path_text(r, &c->field, c->ignore_missing, &text, &missing, err);
    if (rc || missing) return rc;
    rc = qd_dissect_text(c->pattern, &r->arena, text, &pairs, &n, err);
    for (uint32_t k = 0; k < n && !rc; k++) {
        qdi_path path;
        rc = qdi_path_make(&r->arena, pairs[k].key, &path, err);
        if (!rc) rc = qdi_path_set(r, &path, QD_IV_STRING(pairs[k].value), err);
    }
    return rc;
}

const qdi_processor_type qdi_processor_dissect = {"dissect", sizeof(dissecting), .make = make,
                                                  .run = run};
