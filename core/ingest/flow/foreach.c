/* foreach.c: the processor foreach: one processor for each element of a list or object. */
#include "ingest/ingest_int.h"

typedef struct each {
    qdi_path field;
    qdi_steps step;
    bool ignore_missing;
} each;

static int make(qdi_build *b, void *config, qd_err *err)
{
    each *c = config;
    int rc = qdi_arg_path(b, "field", (qd_str){NULL, 0}, &c->field, err);
    if (!rc) rc = qdi_arg_bool(b, "ignore_missing", false, &c->ignore_missing, err);
    if (rc) return rc;
    const qd_json_node *n = qdi_arg(b, "processor");
    if (!n) return qdi_arg_fail(b, "processor", err, "required property is missing");
    if (n->type != QD_JSON_T_OBJECT)
        return qdi_arg_fail(b, "processor", err, "property isn't a map, but of type [%s]",
                            qdi_node_class(n));
    if (n->n != 1)
        return qdi_arg_fail(b, "processor", err, "Must specify exactly one processor type");
    c->step.at = qd_arena_calloc(b->a, sizeof *c->step.at);
    if (!c->step.at) return qd_err_nomem(err, "processor");
    c->step.n = 1;
    return qdi_step_make(b, n->first, c->step.at, err);
}

static bool put(qd_ingest_run *r, const char *key, qd_iv v)
{
    qd_iv *at = qd_iv_put(&r->arena, &r->ingest, qd_str_c(key));
    if (at) *at = v;
    return at != NULL;
}

/* Runs the processor on what stands at _ingest._value, which is then the element. */
static int element(const each *c, qd_ingest_run *r, const qd_str *key, qd_iv *v, qd_err *err)
{
    if (!put(r, "_value", *v) || (key && !put(r, "_key", QD_IV_STRING(*key))))
        return qdi_run_nomem(err);
    void (*told)(void *, const qd_ingest_run *, const qd_ingest_trace *) = r->told;
    r->told = NULL; /* what is shown is the loop */
    int rc = qdi_steps_run(r, &c->step, err);
    r->told = told;
    const qd_iv *now = qd_iv_get(&r->ingest, QD_STR("_value"));
    if (now)
        *v = *now;
    else
        v->kind = QD_IV_NULL;
    return rc;
}

static int of_list(const each *c, qd_ingest_run *r, const qd_iv *list, qd_iv *out, qd_err *err)
{
    int rc = 0;
    *out = (qd_iv){.kind = QD_IV_LIST};
    for (uint32_t k = 0; k < list->n && !rc; k++) {
        qd_iv v = list->items[k];
        rc = element(c, r, NULL, &v, err);
        if (rc < 0) return rc;
        qd_iv *at = qd_iv_push(&r->arena, out);
        if (!at) return qdi_run_nomem(err);
        *at = v;
    }
    return rc;
}

static int of_map(const each *c, qd_ingest_run *r, const qd_iv *map, qd_iv *out, qd_err *err)
{
    int rc = 0;
    *out = (qd_iv){.kind = QD_IV_MAP};
    for (uint32_t k = 0; k < map->n && !rc; k++) {
        qd_iv v = map->members[k].value;
        qd_str key = map->members[k].key;
        rc = element(c, r, &key, &v, err);
        if (rc < 0) return rc;
        const qd_iv *now = qd_iv_get(&r->ingest, QD_STR("_key"));
        if (now && now->kind == QD_IV_STR && now->s.n) key = now->s;
        qd_iv *at = qd_iv_put(&r->arena, out, key);
        if (!at) return qdi_run_nomem(err);
        *at = v;
    }
    return rc;
}

static void restore(qd_ingest_run *r, const char *key, const qd_iv *was)
{
    qd_iv *at = qd_iv_get(&r->ingest, qd_str_c(key));
    if (was && at)
        *at = *was;
    else if (!was)
        (void)qd_iv_remove(&r->ingest, qd_str_c(key));
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    const each *c = config;
    qd_iv *v = qdi_path_look(r, &c->field), out, value, key;
    int rc = 0;
    if (c->ignore_missing && (!v || v->kind == QD_IV_NULL)) return 0;
    if (!v && (rc = qdi_path_get(r, &c->field, &v, err))) return rc;
    if (v->kind == QD_IV_NULL)
        return qd_err_set(err, QD_E_ARG, "field [%.*s] is null, cannot loop over its elements.",
                          QD_STR_ARG(c->field.full));
    if (v->kind != QD_IV_LIST && v->kind != QD_IV_MAP)
        return qd_err_set(err, QD_E_ARG,
                          "field [%.*s] of type [%s] cannot be cast to a list or map",
                          QD_STR_ARG(c->field.full), qd_iv_class(v));
    const qd_iv *old_value = qd_iv_get(&r->ingest, QD_STR("_value")),
                *old_key = qd_iv_get(&r->ingest, QD_STR("_key"));
    bool had_value = old_value != NULL, had_key = old_key != NULL;
    if (had_value) value = *old_value;
    if (had_key) key = *old_key;
    qd_iv in = *v;
    rc = in.kind == QD_IV_LIST ? of_list(c, r, &in, &out, err) : of_map(c, r, &in, &out, err);
    restore(r, "_value", had_value ? &value : NULL);
    restore(r, "_key", had_key ? &key : NULL);
    if (rc < 0) return rc;
    int set = qdi_path_set(r, &c->field, out, err);
    return set ? set : rc;
}

const qdi_processor_type qdi_processor_foreach = {"foreach", sizeof(each), .make = make,
                                                  .run = run};
