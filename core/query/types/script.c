/* script.c: the documents for which a script is true, all with one score. */
#include "query/script.h"
#include "query/build_int.h"
#include "query/read_int.h"

typedef struct script_query {
    qd_query base;
    qd_script_given given;
} script_query;

static int read(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    script_query *s = (script_query *)q;
    int ev, rc = 0;
    while ((ev = qdi_query_next(r, err)) == QD_JSON_KEY && !rc) {
        qd_str key = r->text;
        ev = qdi_query_next(r, err);
        if (ev < 0) return ev;
        if (qd_str_is(key, "script")) {
            rc = qd_script_given_read(rd->how, r, &s->given, err);
        } else {
            rc = qdi_is_value(r->event) ? qdi_read_standard(rd, r, key, q, err) : 1;
            if (rc == 1) rc = qdi_unsupported(r, q, key, err);
        }
        if (rc) return rc;
    }
    if (ev < 0 || rc) return ev < 0 ? ev : rc;
    if (s->given.source.p) return 0;
    return qd_json_err_at(r, err, QD_E_PARSE, "script must be provided with a [script] query");
}

static int build(qdi_builder *b, const qd_query *q, const qd_node **out, qd_err *err)
{
    const script_query *s = (const script_query *)q;
    if (!b->limits.allow_expensive)
        return qd_err_set(err, QD_E_ARG,
                          "[script] queries cannot be executed when "
                          "'search.allow_expensive_queries' is set to false.");
    qd_node *all = qdi_query_node(b, QD_NATIVE_MATCH_ALL, err);
    qd_node *n = qdi_query_node(b, QD_NATIVE_SCRIPT, err);
    if (!all || !n) return QD_E_NOMEM;
    n->u.script.child = all;
    n->u.script.filter = true;
    *out = n;
    b->uncacheable = true;
    b->bare_error = true;
    int rc = qd_script_bind_make(b->c, &s->given, QD_SCRIPT_FILTER, &n->u.script.bind, err);
    if (!rc) b->bare_error = false;
    return rc;
}

const qd_query_type qdi_query_script = {
    .name = "script", .size = sizeof(script_query), .read = read, .build = build};
