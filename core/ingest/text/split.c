/* split.c: the processor split: text into a list, at what a regular expression matches. */
#include "base/utf8.h"
#include "ingest/ingest_int.h"

typedef struct splitting {
    qdi_path field, target;
    qdi_regex *separator;
    bool ignore_missing, trailing;
} splitting;

static int make(qdi_build *b, void *config, qd_err *err)
{
    splitting *c = config;
    qd_str separator;
    int rc = qdi_arg_path(b, "field", (qd_str){NULL, 0}, &c->field, err);
    if (!rc) rc = qdi_arg_path(b, "target_field", c->field.full, &c->target, err);
    if (!rc) rc = qdi_arg_bool(b, "ignore_missing", false, &c->ignore_missing, err);
    if (!rc) rc = qdi_arg_bool(b, "preserve_trailing", false, &c->trailing, err);
    if (!rc) rc = qdi_arg_str(b, "separator", NULL, &separator, err);
    if (rc) return rc;
    rc = qdi_regex_make(b->a, separator, QDI_REGEX_JAVA, &c->separator, err);
    return rc ? qdi_arg_wrap(b, "separator", err) : 0;
}

static int push(qd_ingest_run *r, qd_iv *list, qd_str s, qd_err *err)
{
    qd_iv *at = qd_iv_push(&r->arena, list);
    if (!at) return qdi_run_nomem(err);
    *at = QD_IV_STRING(s);
    return 0;
}

/* The parts, as Java's split cuts: an empty match at the start makes none. */
static int parts(const splitting *c, qd_ingest_run *r, qd_str text, qd_iv *list, qd_err *err)
{
    size_t from = 0, search = 0;
    const size_t *at;
    uint32_t cp;
    int rc = 0;
    while (search <= text.n) {
        int found = qdi_regex_find(c->separator, &r->regex, text, search, &at, err);
        if (found < 0) return found;
        if (!found) break;
        bool empty = at[1] == at[0];
        if (!(empty && (at[0] == 0 || at[0] >= text.n)) && !(at[1] == 0)) {
            rc = push(r, list, qd_str_sub(text, from, at[0] - from), err);
            if (rc) return rc;
            from = at[1];
        }
        search = at[1];
        if (empty)
            search += search < text.n ? qd_utf8_next(text.p + search, text.p + text.n, &cp) : 1;
    }
    return push(r, list, qd_str_sub(text, from, text.n), err);
}

static int run(const void *config, qd_ingest_run *r, qd_err *err)
{
    const splitting *c = config;
    qd_iv *v = qdi_path_look(r, &c->field), list = {.kind = QD_IV_LIST};
    int rc = 0;
    if (c->ignore_missing && (!v || v->kind == QD_IV_NULL)) return 0;
    if (!v && (rc = qdi_path_get(r, &c->field, &v, err))) return rc;
    if (v->kind == QD_IV_NULL) return qdi_is_null(&c->field, "split", err);
    if (v->kind != QD_IV_STR) return qdi_cannot_cast(&c->field, v, "java.lang.String", err);
    rc = parts(c, r, v->s.p ? v->s : QD_STR(""), &list, err);
    if (rc) return rc;
    while (!c->trailing && list.n > 1 && !list.items[list.n - 1].s.n) list.n--;
    return qdi_path_set(r, &c->target, list, err);
}

const qdi_processor_type qdi_processor_split = {"split", sizeof(splitting), .make = make,
                                                .run = run};
