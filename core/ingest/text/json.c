/* json.c: the processor json: text that is JSON as values. */
#include "ingest/ingest_int.h"
#include <stdio.h>

typedef struct parsing {
    qdi_path field, target;
    bool root, merge, duplicates, strict;
} parsing;

static int make(qdi_build *b, void *config, qd_err *err)
{
    parsing *c = config;
    qd_str target, strategy;
    int rc = qdi_arg_path(b, "field", (qd_str){NULL, 0}, &c->field, err);
    if (!rc) rc = qdi_arg_str_opt(b, "target_field", &target, err);
    if (!rc) rc = qdi_arg_bool(b, "add_to_root", false, &c->root, err);
    if (!rc) rc = qdi_arg_str_opt(b, "add_to_root_conflict_strategy", &strategy, err);
    if (!rc) rc = qdi_arg_bool(b, "allow_duplicate_keys", false, &c->duplicates, err);
    if (!rc) rc = qdi_arg_bool(b, "strict_json_parsing", true, &c->strict, err);
    if (rc) return rc;
    if (c->root && target.p)
        return qdi_arg_fail(b, "target_field", err,
                            "Cannot set a target field while also setting `add_to_root` to true");
    if (!c->root && strategy.p)
        return qdi_arg_fail(b, "add_to_root_conflict_strategy", err,
                            "Cannot set `add_to_root_conflict_strategy` if `add_to_root` is false");
    c->merge = qd_str_ieq(strategy, QD_STR("merge"));
    if (strategy.p && !c->merge && !qd_str_ieq(strategy, QD_STR("replace")))
        return qdi_arg_fail(b, "add_to_root_conflict_strategy", err,
                            "conflict strategy [%.*s] not supported, cannot convert field.",
                            QD_STR_ARG(strategy));
    if (c->root) return 0;
    rc = qdi_path_make(b->a, target.p ? target : c->field.full, &c->target, err);
    return rc ? qdi_arg_wrap(b, "target_field", err) : 0;
}

/* One value of text; what is read twice counts as it came last. */
static int parse(const parsing *c, qd_ingest_run *r, qd_str text, qd_iv *out, qd_err *err)
{
    qd_json_reader reader = QD_JSON_READER(r->arena.account);
    qd_iv v;
    uint32_t flags = c->duplicates ? 0 : QD_JSON_STRICT_KEYS;
    qd_json_reader_init(&reader, text, flags | (c->strict ? 0 : QD_JSON_ONE_VALUE), 0);
    int rc = qd_iv_read(&r->arena, &reader, &v, err);
    if (!rc && c->strict && qd_json_next(&reader) != QD_JSON_EOF) rc = qd_json_fail(&reader, err);
    if (!rc) rc = qdi_iv_own(&r->arena, &v, out, err); /* decoded text goes with the reader */
    qd_json_reader_fini(&reader);
    if (rc == QD_E_XCONTENT && err) {
        char why[400];
        snprintf(why, sizeof why, "%s", qd_err_reason(err));
        qd_err_fini(err);
        return qd_err_set(err, QD_E_ARG, "%s", why);
    }
    return rc;
}

/* Members of both stay, objects member by member. */
static int merge(qd_ingest_run *r, qd_iv *into, const qd_iv *from, bool deep, uint32_t depth,
                 qd_err *err)
{
    for (uint32_t k = 0; k < from->n; k++) {
        const qd_iv_member *m = &from->members[k];
        qd_iv *there = deep ? qd_iv_get(into, m->key) : NULL;
        if (there && there->kind == QD_IV_MAP && m->value.kind == QD_IV_MAP &&
            depth < QD_IV_DEPTH_MAX) {
            int rc = merge(r, there, &m->value, true, depth + 1, err);
            if (rc) return rc;
            continue;
        }
        qd_iv *at = qd_iv_put(&r->arena, into, m->key);
        if (!at) return qdi_run_nomem(err);
        *at = m->value;
    }
    return 0;
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    const parsing *c = config;
    qd_iv *v, out;
    int rc = qdi_path_get(r, &c->field, &v, err);
    if (rc) return rc;
    if (v->kind == QD_IV_NULL && c->root)
        return qd_err_set(err, QD_E_ARG, "cannot add non-map fields to root of document");
    if (v->kind == QD_IV_NULL) return qdi_path_set(r, &c->target, *v, err);
    if (v->kind == QD_IV_MAP || v->kind == QD_IV_LIST) {
        int no = qd_err_set(err, QD_E_ARG,
                            "field [%.*s] of type [%s] cannot be cast to [java.lang.String]",
                            QD_STR_ARG(c->field.full), qd_iv_class(v));
        return no;
    }
    qd_str text = qd_iv_text(&r->arena, v);
    if (!text.p) return qdi_run_nomem(err);
    rc = parse(c, r, text, &out, err);
    if (rc) return rc;
    if (!c->root) return qdi_path_set(r, &c->target, out, err);
    if (out.kind != QD_IV_MAP)
        return qd_err_set(err, QD_E_ARG, "cannot add non-map fields to root of document");
    return merge(r, &r->source, &out, c->merge, 0, err);
}

const qdi_processor_type qdi_processor_json = {"json", sizeof(parsing), .make = make, .run = run};
