/*
 * boosting.c: the documents of one query, the scores of those that another matches times a factor:
 * a function of function_score with a filter and a weight.
 */
#include "query/build_int.h"
#include "query/read_int.h"
#include "query/script.h"

typedef struct boosting_query {
    qd_query base;
    const qd_query *positive, *negative;
    float factor; /* negative_boost; below 0: none was given */
} boosting_query;

static int read_member(qdi_reading *rd, qd_json_reader *r, boosting_query *q, qd_str key,
                       qd_err *err)
{
    if (r->event == QD_JSON_OBJECT && qd_str_is(key, "positive"))
        return qdi_read_inner(rd, r, &q->positive, err);
    if (r->event == QD_JSON_OBJECT && qd_str_is(key, "negative"))
        return qdi_read_inner(rd, r, &q->negative, err);
    if (!qdi_is_value(r->event)) return 1;
    if (qd_str_is(key, "negative_boost")) return qdi_read_float(r, &q->factor, err);
    return qdi_read_standard(rd, r, key, &q->base, err);
}

static int complete(qd_json_reader *r, const boosting_query *q, qd_err *err)
{
    if (!q->positive)
        return qd_json_err_at(r, err, QD_E_PARSE,
                              "[boosting] query requires 'positive' query to be set'");
    if (!q->negative)
        return qd_json_err_at(r, err, QD_E_PARSE,
                              "[boosting] query requires 'negative' query to be set'");
    if (q->factor >= 0) return 0;
    return qd_json_err_at(r, err, QD_E_PARSE,
                          "[boosting] query requires 'negative_boost' to be set to be a positive "
                          "value'");
}

static int read(qdi_reading *rd, qd_json_reader *r, qd_query *query, qd_err *err)
{
    boosting_query *q = (boosting_query *)query;
    int ev;
    q->factor = -1;
    while ((ev = qdi_query_next(r, err)) == QD_JSON_KEY) {
        qd_str key = r->text;
        ev = qdi_query_next(r, err);
        int rc = ev < 0 ? ev : read_member(rd, r, q, key, err);
        if (rc == 1)
            rc = qd_json_err_at(r, err, QD_E_PARSE, "[boosting] query does not support [%.*s]",
                                QD_STR_ARG(key));
        if (rc) return rc;
    }
    return ev < 0 ? ev : complete(r, q, err);
}

static int build(qdi_builder *b, const qd_query *query, const qd_node **out, qd_err *err)
{
    const boosting_query *q = (const boosting_query *)query;
    const qd_node *positive = NULL;
    qd_node *n = qdi_query_node(b, QD_NATIVE_FUNCTION_SCORE, err);
    qd_node_function_score *f = qd_arena_calloc(b->arena, sizeof *f);
    qd_score_function *negative = qd_arena_calloc(b->arena, sizeof *negative);
    if (!n || !f || !negative) return qd_err_nomem(err, "query");
    int rc = qdi_build(b, q->positive, &positive, err);
    if (!rc) rc = qdi_build(b, q->negative, &negative->filter, err);
    if (rc) return rc;
    *out = positive;
    if (!positive || !negative->filter) return 0;
    negative->weight = q->factor;
    *f = (qd_node_function_score){.functions = negative,
                                  .n = 1,
                                  .score_mode = QD_SCORE_MULTIPLY,
                                  .boost_mode = QD_BOOST_MULTIPLY,
                                  .max_boost = FLT_MAX};
    n->u.functions.child = positive;
    n->u.functions.of = f;
    *out = n;
    return 0;
}

const qd_query_type qdi_query_boosting = {
    .name = "boosting", .size = sizeof(boosting_query), .read = read, .build = build};
