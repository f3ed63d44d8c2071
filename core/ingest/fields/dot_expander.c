/* dot_expander.c: the processor dot_expander: the field "a.b" as b of the object a. */
#include "ingest/ingest_int.h"

typedef struct expanding {
    qd_str field;
    qdi_path at; /* of the object that has the field; n 0: the document */
    bool all, override;
} expanding;

static int make(qdi_build *b, void *config, qd_err *err)
{
    expanding *c = config;
    qd_str path;
    int rc = qdi_arg_str(b, "field", NULL, &c->field, err);
    if (!rc) rc = qdi_arg_str_opt(b, "path", &path, err);
    if (!rc) rc = qdi_arg_bool(b, "override", false, &c->override, err);
    if (rc) return rc;
    c->all = qd_str_is(c->field, "*");
    if (!c->all && qd_str_find(c->field, '.') < 0)
        return qdi_arg_fail(b, "field", err, "field does not contain a dot and is not a wildcard");
    if (!c->all && (c->field.p[0] == '.' || c->field.p[c->field.n - 1] == '.'))
        return qdi_arg_fail(b, "field", err, "Field can't start or end with a dot");
    for (size_t k = 1; k < c->field.n; k++) {
        if (c->field.p[k] == '.' && c->field.p[k - 1] == '.')
            return qdi_arg_fail(b, "field", err, "No space between dots");
    }
    if (!path.p) return 0;
    rc = qdi_path_make(b->a, path, &c->at, err);
    return rc ? qdi_arg_wrap(b, "path", err) : 0;
}

/* Moves one member to where its name leads. */
static int expand(const expanding *c, qd_ingest_run *r, qd_iv *map, qd_str name, qd_err *err)
{
    qdi_path path;
    qd_str full = name;
    qd_iv *there = qd_iv_get(map, name);
    if (!there) return 0;
    if (c->at.n) {
        full = qd_arena_printf(&r->arena, "%.*s.%.*s", QD_STR_ARG(c->at.full), QD_STR_ARG(name));
        if (!full.p) return qdi_run_nomem(err);
    }
    int rc = qdi_path_make(&r->arena, full, &path, err);
    if (rc) return rc;
    qd_iv v = *there;
    qd_iv *target = qdi_path_look(r, &path);
    if (target && c->override) {
        (void)qd_iv_remove(map, name);
        return qdi_path_set(r, &path, v, err);
    }
    if (target) {
        rc = qdi_path_append(r, &path, &v, true, err);
        if (!rc) (void)qd_iv_remove(map, name);
        return rc;
    }
    /* what is on the way must be an object */
    for (uint32_t k = path.n - 1; k > c->at.n; k--) {
        qdi_path part = path;
        part.n = k;
        const qd_iv *on = qdi_path_look(r, &part);
        if (!on || on->kind == QD_IV_MAP) continue;
        return qd_err_set(
            err, QD_E_ARG,
            "cannot expand [%.*s], because [%.*s] is not an object field, but a value "
            "field",
            QD_STR_ARG(full), (int)(path.at[k - 1].p + path.at[k - 1].n - full.p), full.p);
    }
    (void)qd_iv_remove(map, name);
    return qdi_path_set(r, &path, v, err);
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    const expanding *c = config;
    qd_iv *map = c->at.n ? qdi_path_look(r, &c->at) : &r->source;
    if (!map || map->kind != QD_IV_MAP) return 0;
    if (!c->all) return expand(c, r, map, c->field, err);
    uint32_t n = 0;
    qd_str *names = qd_arena_alloc(&r->arena, map->n * sizeof *names + 1);
    if (!names) return qdi_run_nomem(err);
    for (uint32_t k = 0; k < map->n; k++) {
        qd_str name = map->members[k].key;
        if (qd_str_find(name, '.') > 0) names[n++] = name;
    }
    int rc = 0;
    for (uint32_t k = 0; k < n && !rc; k++) {
        if ((r->steps += n / 64) > QDI_STEPS_MAX)
            return qd_err_set(err, QD_E_ARG, "the document has too many fields with dots");
        map = c->at.n ? qdi_path_look(r, &c->at) : &r->source;
        if (map && map->kind == QD_IV_MAP) rc = expand(c, r, map, names[k], err);
    }
    return rc;
}

const qdi_processor_type qdi_processor_dot_expander = {"dot_expander", sizeof(expanding),
                                                       .make = make, .run = run};
