/* dis_max.c: the best of several queries, and a share of the others. */
#include "query/build_int.h"
#include "query/read_int.h"

typedef struct dis_max_query {
    qd_query base;
    const qd_query *const *queries;
    uint32_t n;
    float tie_breaker;
} dis_max_query;
#define DIS_MAX(q) ((dis_max_query *)(q))

static int read(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    int ev, rc;
    while ((ev = qdi_query_next(r, err)) == QD_JSON_KEY) {
        qd_str key = r->text;
        ev = qdi_query_next(r, err);
        if (ev < 0) return ev;
        if (ev == QD_JSON_OBJECT || ev == QD_JSON_ARRAY) {
            if (!qd_str_is(key, "queries"))
                return qd_json_err_at(r, err, QD_E_PARSE, "[dis_max] query does not support [%.*s]",
                                      QD_STR_ARG(key));
            rc = qdi_read_clauses(rd, r, &DIS_MAX(q)->queries, &DIS_MAX(q)->n, err);
            if (!rc && !DIS_MAX(q)->n) return qdi_not_an_object(r, err); /* of an empty array */
        } else if (qd_str_is(key, "tie_breaker")) {
            rc = qdi_read_float(r, &DIS_MAX(q)->tie_breaker, err);
        } else {
            rc = qdi_read_standard(rd, r, key, q, err);
            if (rc == 1)
                return qd_json_err_at(r, err, QD_E_PARSE, "[dis_max] query does not support [%.*s]",
                                      QD_STR_ARG(key));
        }
        if (rc) return rc;
    }
    if (ev < 0) return ev;
    if (DIS_MAX(q)->n) return 0;
    return qd_json_err_at(r, err, QD_E_PARSE,
                          "[dis_max] requires 'queries' field with at least one clause");
}

static int build(qdi_builder *b, const qd_query *q, const qd_node **out, qd_err *err)
{
    const dis_max_query *s = (const dis_max_query *)q;
    qdi_clauses c = {0};
    int rc = qdi_clauses_build(b, &c, QD_OCCUR_SHOULD, s->queries, s->n, err);
    if (rc) {
        qdi_clauses_fini(&c);
        return rc;
    }
    rc = qdi_clauses_dis_max(b, &c, s->tie_breaker, out, err);
    return rc || *out ? rc : qdi_query_none(b, out, err);
}

const qd_query_type qdi_query_dis_max = {
    .name = "dis_max", .size = sizeof(dis_max_query), .read = read, .build = build};
