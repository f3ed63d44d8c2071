/* registered_domain.c: the processor registered_domain: a host's name by the public suffix list. */
#include "ingest/ingest_int.h"
#include <libpsl.h>

typedef struct registered {
    qdi_path field;
    qd_str target; /* a prefix; n 0: the document itself */
    bool ignore_missing;
} registered;

static int make(qdi_build *b, void *config, qd_err *err)
{
    registered *c = config;
    int rc = qdi_arg_path(b, "field", (qd_str){NULL, 0}, &c->field, err);
    if (!rc) rc = qdi_arg_str(b, "target_field", "", &c->target, err);
    return rc ? rc : qdi_arg_bool(b, "ignore_missing", true, &c->ignore_missing, err);
}

static int put(const registered *c, qd_ingest_run *r, const char *key, qd_str value, qd_err *err)
{
    qdi_path path;
    if (!value.n) return 0;
    qd_str full = c->target.n ? qd_arena_printf(&r->arena, "%.*s.%s", QD_STR_ARG(c->target), key)
                              : qd_str_c(key);
    if (!full.p) return qdi_run_nomem(err);
    int rc = qdi_path_make(&r->arena, full, &path, err);
    return rc ? rc : qdi_path_set(r, &path, QD_IV_STRING(value), err);
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    const registered *c = config;
    qd_str text;
    bool missing;
    int rc = qdi_path_text(r, &c->field, c->ignore_missing, &text, &missing, err);
    if (rc || missing) return rc;
    while (text.n && text.p[text.n - 1] == '.') text.n--;
    qd_str name = qd_arena_str(&r->arena, text); /* with a NUL behind */
    if (!name.p && text.n) return qdi_run_nomem(err);
    const psl_ctx_t *list = psl_builtin();
    const char *registrable =
        list && text.n && text.n < 1024 ? psl_registrable_domain(list, name.p) : NULL;
    if (!registrable) {
        if (c->ignore_missing) return 0;
        return qd_err_set(err, QD_E_ARG, "unable to set domain information for document");
    }
    qd_str domain = qd_str_c(registrable), sub = {NULL, 0}, top = domain;
    const char *suffix = psl_unregistrable_domain(list, name.p);
    if (suffix) top = qd_str_c(suffix);
    if (domain.n < name.n) sub = qd_str_sub(name, 0, name.n - domain.n - 1);
    rc = put(c, r, "domain", name, err);
    if (!rc) rc = put(c, r, "registered_domain", domain, err);
    if (!rc) rc = put(c, r, "top_level_domain", top, err);
    return rc ? rc : put(c, r, "subdomain", sub, err);
}

const qdi_processor_type qdi_processor_registered_domain = {"registered_domain", sizeof(registered),
                                                            .make = make, .run = run};
