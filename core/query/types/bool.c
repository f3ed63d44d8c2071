/* bool.c: must, should, filter and must_not. */
#include "query/build_int.h"
#include "query/read_int.h"

typedef struct bool_query {
    qd_query base;
    const qd_query *const *must, *const *should, *const *filter, *const *must_not;
    uint32_t nmust, nshould, nfilter, nmust_not;
    qd_str minimum_should_match;
    bool has_minimum, keep_pure_negative;
} bool_query;
#define BOOL(q) ((bool_query *)(q))

#define CLAUSES(member)                                                                            \
    static int bool_##member(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)         \
    {                                                                                              \
        return qdi_read_clauses(rd, r, &BOOL(q)->member, &BOOL(q)->n##member, err);                \
    }
CLAUSES(must)
CLAUSES(should)
CLAUSES(filter)
CLAUSES(must_not)

static int bool_minimum(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    BOOL(q)->has_minimum = r->event != QD_JSON_NULL;
    if (r->event == QD_JSON_NULL) return 0;
    return qdi_read_text(rd, r, &BOOL(q)->minimum_should_match, err);
}

static int bool_adjust(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    bool adjust;
    (void)rd;
    int rc = qdi_read_bool(r, &adjust, err);
    BOOL(q)->keep_pure_negative = !rc && !adjust;
    return rc;
}

static int read(qdi_reading *rd, qd_json_reader *r, qd_query *q, qd_err *err)
{
    static const qdi_declared rows[] = {
        {"must", QDI_VALUE_QUERIES, bool_must},
        {"should", QDI_VALUE_QUERIES, bool_should},
        {"must_not", QDI_VALUE_QUERIES, bool_must_not},
        {"filter", QDI_VALUE_QUERIES, bool_filter},
        {"minimum_should_match", QDI_VALUE_SCALAR_OR_NULL, bool_minimum},
        {"adjust_pure_negative", QDI_VALUE_BOOLEAN, bool_adjust},
        {"mustNot", QDI_VALUE_QUERIES, bool_must_not},
        QDI_DECLARED_STANDARD,
    };
    return qdi_read_declared(rd, r, rows, QD_COUNT_OF(rows), q, err);
}

static int build(qdi_builder *b, const qd_query *q, const qd_node **out, qd_err *err)
{
    const bool_query *s = (const bool_query *)q;
    qdi_clauses c = {0};
    int rc = qdi_clauses_build(b, &c, QD_OCCUR_MUST, s->must, s->nmust, err);
    if (!rc) rc = qdi_clauses_build(b, &c, QD_OCCUR_MUST_NOT, s->must_not, s->nmust_not, err);
    if (!rc) rc = qdi_clauses_build(b, &c, QD_OCCUR_SHOULD, s->should, s->nshould, err);
    if (!rc) rc = qdi_clauses_build(b, &c, QD_OCCUR_FILTER, s->filter, s->nfilter, err);
    bool negative = c.must_not.n && !c.must.n && !c.should.n && !c.filter.n;
    bool completed =
        negative && !s->keep_pure_negative; /* Elasticsearch forgets the minimum then */
    if (!rc && completed) {
        qd_node *all = qdi_query_node(b, QD_NATIVE_MATCH_ALL, err);
        rc = all ? qdi_clause_add(b, &c, QD_OCCUR_FILTER, all, err) : QD_E_NOMEM;
    }
    if (rc) {
        qdi_clauses_fini(&c);
        return rc;
    }
    bool minimum = s->has_minimum && !completed;
    rc = qdi_clauses_bool(b, &c, minimum ? s->minimum_should_match : (qd_str){NULL, 0}, out, err);
    if (!rc && !*out) *out = qdi_query_node(b, QD_NATIVE_MATCH_ALL, err);
    return rc ? rc : *out ? 0 : QD_E_NOMEM;
}

const qd_query_type qdi_query_bool = {
    .name = "bool", .size = sizeof(bool_query), .read = read, .build = build};
