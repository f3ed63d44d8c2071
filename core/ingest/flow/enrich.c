/*
 * enrich.c: the processor enrich: what an enrich policy has for a value of the document. Documents
 * that go through a pipeline together are looked up in one call (ingest.h, qd_ingest_lookup).
 */
#include "ingest/ingest_int.h"

#define MATCHES_MAX 128

typedef struct enriching {
    qd_str policy;
    qdi_tpath field, target;
    bool override, ignore_missing;
    uint32_t max;
} enriching;

static int make(qdi_build *b, void *config, qd_err *err)
{
    enriching *c = config;
    int64_t max;
    int rc = qdi_arg_str(b, "policy_name", NULL, &c->policy, err);
    if (!rc) rc = qdi_arg_tpath(b, "field", (qd_str){NULL, 0}, &c->field, err);
    if (!rc) rc = qdi_arg_tpath(b, "target_field", (qd_str){NULL, 0}, &c->target, err);
    if (!rc) rc = qdi_arg_bool(b, "override", true, &c->override, err);
    if (!rc) rc = qdi_arg_bool(b, "ignore_missing", false, &c->ignore_missing, err);
    if (!rc) rc = qdi_arg_int(b, "max_matches", 1, &max, err);
    if (rc) return rc;
    if (qdi_arg(b, "shape_relation"))
        return qdi_arg_fail(b, "shape_relation", err,
                            "is not supported by this version, which has no policies of type "
                            "[geo_match]");
    if (max < 1 || max > MATCHES_MAX)
        return qdi_arg_fail(b, "max_matches", err, "should be between 1 and %d", MATCHES_MAX);
    c->max = (uint32_t)max;
    /* one that was stored runs also when its policy cannot be had: each document tells then */
    if (b->s->late || !b->s->has_policy) return 0;
    return b->s->has_policy(b->s->lookup_arg, c->policy, err);
}

/* A list of texts, numbers and truths; others match nothing in the reference either. */
static bool is_flat(const qd_iv *v)
{
    for (uint32_t i = 0; v->kind == QD_IV_LIST && i < v->n; i++)
        if (v->items[i].kind == QD_IV_NULL || v->items[i].kind >= QD_IV_LIST) return false;
    return v->kind != QD_IV_MAP;
}

/* The value to look for; *yes false: nothing is to be done. */
static int value_of(const enriching *c, qd_ingest_run *r, qd_ingest_lookup *look, bool *yes,
                    qd_err *err)
{
    qdi_path room;
    const qdi_path *from;
    qd_iv *v;
    qd_json_writer w;
    qd_buf b;
    *yes = false;
    int rc = qdi_tpath_get(r, &c->field, &room, &from, err);
    if (rc) return rc;
    v = qdi_path_look(r, from);
    if (!v && !c->ignore_missing) return qdi_path_get(r, from, &v, err);
    if (!v || v->kind == QD_IV_NULL) return 0;
    if (v->kind == QD_IV_LIST && !v->n) return 0;
    if (!is_flat(v))
        return qd_err_set(err, QD_E_ARG,
                          "field [%.*s] is an object or a list with objects or nulls, which an "
                          "enrich policy cannot match",
                          QD_STR_ARG(from->full));
    rc = qd_iv_check(v, err);
    if (rc) return rc;
    qd_buf_init(&b, r->s->account, (size_t)1 << 20);
    qd_json_writer_init(&w, &b, false);
    qd_iv_write(v, &w);
    if (qd_buf_status(&b) == QD_E_LIMIT)
        rc = qd_err_set(err, QD_E_ARG, "field [%.*s] is too large for an enrich policy",
                        QD_STR_ARG(from->full));
    else if (qd_buf_status(&b))
        rc = qdi_run_nomem(err);
    if (!rc) {
        *look = (qd_ingest_lookup){.value = qd_arena_str(&r->arena, qd_buf_view(&b)),
                                   .list = v->kind == QD_IV_LIST,
                                   .arena = &r->arena};
        *yes = look->value.p != NULL;
        if (!*yes) rc = qdi_run_nomem(err);
    }
    qd_buf_fini(&b);
    return rc;
}

/* Puts what was found into the document. */
static int put(const enriching *c, qd_ingest_run *r, const qd_ingest_lookup *look, qd_err *err)
{
    qdi_path room;
    const qdi_path *to;
    qd_json_node *root;
    qd_iv found;
    if (look->rc) return look->rc;
    int rc = qd_json_parse(&r->arena, look->found, 0, &root, err);
    if (rc || !root->n) return rc;
    rc = qdi_tpath_get(r, &c->target, &room, &to, err);
    if (rc || (!c->override && qdi_path_look(r, to))) return rc;
    rc = qd_iv_of_node(&r->arena, c->max == 1 ? root->first : root, &found, err);
    return rc ? rc : qdi_path_set(r, to, found, err);
}

static void run_all(const void *config, qd_ingest_run *const *runs, uint32_t n, int *rc,
                    qd_err *const *err)
{
    const enriching *c = config;
    const qd_ingest_settings *s = runs[0]->s;
    qd_ingest_lookup looks[QD_INGEST_BATCH];
    uint32_t of[QD_INGEST_BATCH], nlooks = 0;
    qd_err why;
    for (uint32_t i = 0; i < n; i++) {
        bool yes;
        rc[i] = value_of(c, runs[i], &looks[nlooks], &yes, err[i]);
        if (rc[i] || !yes) continue;
        looks[nlooks].err = err[i];
        of[nlooks++] = i;
    }
    if (!nlooks) return;
    qd_err_init(&why);
    int all = s->lookup ? s->lookup(s->lookup_arg, runs[0]->calls.task, c->policy, c->max, looks,
                                    nlooks, &why)
                        : qd_err_set(&why, QD_E_STATE, "this node has no enrich policies");
    for (uint32_t k = 0; k < nlooks; k++) {
        uint32_t i = of[k];
        rc[i] = all ? all : put(c, runs[i], &looks[k], err[i]);
        if (all && err[i]) qd_err_copy(err[i], &why);
    }
    qd_err_fini(&why);
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    int rc;
    run_all(config, &r, 1, &rc, &err);
    return rc;
}

const qdi_processor_type qdi_processor_enrich = {"enrich", sizeof(enriching), .make = make,
                                                 .run = run, .run_all = run_all};
