/* set.c: the processor set: a value, or that of another field, at a path. */
#include "ingest/ingest_int.h"

typedef struct set {
    qdi_tpath field, copy_from;
    qdi_source *value; /* NULL: copy_from */
    bool override, ignore_empty;
} set;

static int make(qdi_build *b, void *config, qd_err *err)
{
    set *c = config;
    qd_mustache_escape escape;
    qd_str copy;
    int rc = qdi_arg_tpath(b, "field", (qd_str){NULL, 0}, &c->field, err);
    if (!rc) rc = qdi_arg_str_opt(b, "copy_from", &copy, err);
    if (!rc) rc = qdi_arg_media_type(b, &escape, err);
    if (rc) return rc;
    if (copy.p && qdi_arg(b, "value"))
        return qdi_arg_fail(b, "copy_from", err,
                            "cannot set both `copy_from` and `value` in the same processor");
    rc = copy.p ? qdi_tpath_make(b, "copy_from", copy, &c->copy_from, err)
                : qdi_arg_value(b, "value", escape, &c->value, err);
    if (!rc) rc = qdi_arg_bool(b, "override", true, &c->override, err);
    return rc ? rc : qdi_arg_bool(b, "ignore_empty_value", false, &c->ignore_empty, err);
}

static int value_of(const set *c, qd_ingest_run *r, qd_iv *out, qd_err *err)
{
    qdi_path room;
    const qdi_path *from;
    qd_iv *there;
    if (c->value) return qdi_source_value(r, c->value, out, err);
    int rc = qdi_tpath_get(r, &c->copy_from, &room, &from, err);
    if (rc) return rc;
    *out = (qd_iv){.kind = QD_IV_NULL};
    there = qdi_path_look(r, from);
    if (!there && c->ignore_empty) return 0;
    if (!there && (rc = qdi_path_get(r, from, &there, err))) return rc;
    return qd_iv_copy(&r->arena, there, out, err);
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    const set *c = config;
    qdi_path room;
    const qdi_path *p;
    qd_iv v;
    int rc = qdi_tpath_get(r, &c->field, &room, &p, err);
    if (rc) return rc;
    const qd_iv *there = c->override ? NULL : qdi_path_look(r, p);
    if (there && there->kind != QD_IV_NULL) return 0;
    rc = value_of(c, r, &v, err);
    if (rc) return rc;
    if (c->ignore_empty && (v.kind == QD_IV_NULL || (v.kind == QD_IV_STR && !v.s.n))) return 0;
    return qdi_path_set(r, p, v, err);
}

const qdi_processor_type qdi_processor_set = {"set", sizeof(set), .make = make, .run = run};
