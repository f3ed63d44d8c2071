/* rename.c: the processor rename: a value moves to another path. */
#include "ingest/ingest_int.h"

typedef struct renaming {
    qdi_tpath field, target;
    bool ignore_missing, override;
} renaming;

static int make(qdi_build *b, void *config, qd_err *err)
{
    renaming *c = config;
    const qd_str none = {NULL, 0};
    int rc = qdi_arg_tpath(b, "field", none, &c->field, err);
    if (!rc) rc = qdi_arg_tpath(b, "target_field", none, &c->target, err);
    if (!rc) rc = qdi_arg_bool(b, "ignore_missing", false, &c->ignore_missing, err);
    return rc ? rc : qdi_arg_bool(b, "override", false, &c->override, err);
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    const renaming *c = config;
    qdi_path room[2];
    const qdi_path *from, *to;
    int rc = qdi_tpath_get(r, &c->field, &room[0], &from, err);
    if (!rc) rc = qdi_tpath_get(r, &c->target, &room[1], &to, err);
    if (rc) return rc;
    const qd_iv *there = qdi_path_look(r, from);
    if (!there && c->ignore_missing) return 0;
    if (!there)
        return qd_err_set(err, QD_E_ARG, "field [%.*s] doesn't exist", QD_STR_ARG(from->full));
    if (!c->override && qdi_path_look(r, to))
        return qd_err_set(err, QD_E_ARG, "field [%.*s] already exists", QD_STR_ARG(to->full));
    qd_iv v = *there;
    rc = qdi_path_remove(r, from, err);
    if (!rc) rc = qdi_path_set(r, to, v, err);
    if (rc && qdi_path_set(r, from, v, NULL)) return qdi_run_nomem(err);
    return rc; /* after a failure nothing has moved */
}

const qdi_processor_type qdi_processor_rename = {"rename", sizeof(renaming), .make = make,
                                                 .run = run};
