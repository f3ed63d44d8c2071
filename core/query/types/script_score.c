/* script_score.c: the documents of a query, scored by a script. */
#include "query/build_int.h"
#include "query/read_int.h"
#include "query/script.h"

typedef struct script_score_query {
    qd_query base;
    const qd_query *query;
    qd_script_given given;
    bool has_min;
    float min_score;
} script_score_query;

static int read_member(qdi_reading *rd, qd_json_reader *r, script_score_query *s, qd_str key,
                       qd_err *err)
{
    if (qd_str_is(key, "script")) return qd_script_given_read(rd->how, r, &s->given, err);
    if (qd_str_is(key, "query") && r->event == QD_JSON_OBJECT)
        return qdi_read_inner(rd, r, &s->query, err);
    if (qd_str_is(key, "min_score") && r->event == QD_JSON_NUMBER) {
        double v;
        if (qd_json_f64(r, &v)) v = FLT_MAX;
        s->has_min = true;
        s->min_score = (float)v;
        return 0;
    }
    int rc = qdi_is_value(r->event) ? qdi_read_standard(rd, r, key, &s->base, err) : 1;
    return rc == 1 ? qdi_unsupported(r, &s->base, key, err) : rc;
}

static int read(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    script_score_query *s = (script_score_query *)q;
    int ev;
    while ((ev = qdi_query_next(r, err)) == QD_JSON_KEY) {
        qd_str key = r->text;
        ev = qdi_query_next(r, err);
        int rc = ev < 0 ? ev : read_member(rd, r, s, key, err);
        if (rc) return rc;
    }
    if (ev < 0) return ev;
    if (s->query && s->given.source.p) return 0;
    return qd_json_err_at(r, err, QD_E_ARG, "Required [%s]", s->query ? "script" : "query");
}

static int build(qdi_builder *b, const qd_query *q, const qd_node **out, qd_err *err)
{
    const script_score_query *s = (const script_score_query *)q;
    if (!b->limits.allow_expensive)
        return qd_err_set(err, QD_E_ARG,
                          "[script score] queries cannot be executed when "
                          "'search.allow_expensive_queries' is set to false.");
    const qd_node *child;
    int rc = qdi_build(b, s->query, &child, err);
    if (rc) return rc;
    qd_node *n = qdi_query_node(b, QD_NATIVE_SCRIPT, err);
    if (!n) return QD_E_NOMEM;
    n->u.script.child = child;
    n->u.script.has_min = s->has_min;
    n->u.script.min_score = s->min_score;
    *out = n;
    b->uncacheable = true;
    b->bare_error = true;
    rc = qd_script_bind_make(b->c, &s->given, QD_SCRIPT_SCORE, &n->u.script.bind, err);
    if (!rc) b->bare_error = false;
    return rc;
}

const qd_query_type qdi_query_script_score = {
    .name = "script_score", .size = sizeof(script_score_query), .read = read, .build = build};
