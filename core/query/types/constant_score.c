/* constant_score.c: the documents of a query, all with one score. */
#include "query/build_int.h"
#include "query/read_int.h"

typedef struct constant_query {
    qd_query base;
    const qd_query *filter;
} constant_query;
#define FILTER(q) (((constant_query *)(q))->filter)

static int read(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    int ev, rc;
    while ((ev = qdi_query_next(r, err)) == QD_JSON_KEY) {
        qd_str key = r->text;
        ev = qdi_query_next(r, err);
        if (ev < 0) return ev;
        if (ev == QD_JSON_OBJECT) {
            if (!qd_str_is(key, "filter"))
                return qd_json_err_at(r, err, QD_E_PARSE,
                                      "[constant_score] query does not support [%.*s]",
                                      QD_STR_ARG(key));
            if (FILTER(q))
                return qd_json_err_at(r, err, QD_E_PARSE,
                                      "[constant_score] accepts only one 'filter' element.");
            rc = qdi_read_inner(rd, r, &FILTER(q), err);
        } else if (qdi_is_value(r->event)) {
            rc = qdi_read_standard(rd, r, key, q, err);
            if (rc == 1)
                return qd_json_err_at(r, err, QD_E_PARSE,
                                      "[constant_score] query does not support [%.*s]",
                                      QD_STR_ARG(key));
        } else {
            return qd_json_err_at(r, err, QD_E_PARSE, "unexpected token [%s]",
                                  qd_json_event_name(r->event));
        }
        if (rc) return rc;
    }
    if (ev < 0) return ev;
    if (FILTER(q)) return 0;
    return qd_json_err_at(r, err, QD_E_PARSE, "[constant_score] requires a 'filter' element");
}

static int build(qdi_builder *b, const qd_query *q, const qd_node **out, qd_err *err)
{
    const qd_node *child;
    int rc = qdi_build(b, ((const constant_query *)q)->filter, &child, err);
    if (rc) return rc;
    qd_node *n = qdi_query_node(b, QD_NATIVE_CONSTANT, err);
    if (!n) return QD_E_NOMEM;
    n->u.child = child;
    *out = n;
    return 0;
}

const qd_query_type qdi_query_constant_score = {
    .name = "constant_score", .size = sizeof(constant_query), .read = read, .build = build};
