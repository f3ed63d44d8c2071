/* joining.c: what has_child, has_parent and parent_id share. */
#include "query/types/joining_int.h"

int qdi_read_joining(qdi_reading *rd, qd_json_reader *r, qd_query *q, const char *type,
                     int (*value)(qdi_reading *rd, qd_json_reader *r, qd_str key, qd_query *q,
                                  qd_err *err),
                     qd_err *err)
{
    const qdi_other to = {&JOINING(q)->query, &JOINING(q)->inner_hits, value};
    JOINING(q)->score = QD_NESTED_NONE;
    JOINING(q)->min = 1;
    JOINING(q)->max = INT32_MAX;
    int rc = qdi_read_other(rd, r, &to, q, err);
    if (rc) return rc;
    if (!JOINING(q)->type.p)
        return qd_err_set(err, QD_E_ARG, "[%s] requires '%s' field", q->type->name, type);
    if (!JOINING(q)->query)
        return qd_err_set(err, QD_E_ARG, "[%s] requires 'query' field", q->type->name);
    return 0;
}

int qdi_joining_allowed(const qdi_builder *b, qd_err *err)
{
    if (b->limits.allow_expensive) return 0;
    int rc = qd_err_set(err, QD_E_ARG,
                        "[joining] queries cannot be executed when "
                        "'search.allow_expensive_queries' is set to false.");
    qd_err_type(err, "exception", 0);
    return rc;
}

const qd_node *qdi_joining_type(qdi_builder *b, const qd_join *j, const qd_str *names, uint32_t n,
                                qd_err *err)
{
    qd_node *x = qdi_query_node(b, n == 1 ? QD_NATIVE_TERM : QD_NATIVE_TERM_SET, err);
    if (x && n == 1)
        x->u.term = (qd_node_term){.field = j->field->name, .term = names[0]};
    else if (x)
        x->u.term_set = (qd_node_term_set){.field = j->field->name, .terms = names, .n = n};
    return x;
}

/* The query among `from`: of documents of the index, whatever is asked of above. */
static int build_child(qdi_builder *b, const qdi_joining *x, const qd_node *from, uint32_t own,
                       const qd_node **out, qd_err *err)
{
    uint32_t in = b->inner_in;
    const qd_node *query;
    b->inner_in = own;
    int rc = qdi_build(b, x->query, &query, err);
    b->inner_in = in;
    if (rc) return rc;
    *out = qd_node_filtered(b->arena, query, &from, 1);
    return *out ? 0 : qd_err_nomem(err, "query");
}

int qdi_build_joining(qdi_builder *b, const qdi_joining *x, const qd_join_relation *relation,
                      const qd_node *from, const qd_node *to, const qd_node **out, qd_err *err)
{
    uint32_t own;
    if (!from || !to) return QD_E_NOMEM;
    if (b->nested.n) return qdi_query_none(b, out, err); /* nested documents have no relations */
    qd_node *n = qdi_query_node(b, QD_NATIVE_JOIN, err);
    if (!n) return QD_E_NOMEM;
    n->u.join = (qd_node_join){.to = to,
                               .ids = relation->ids->name,
                               .score = x->score,
                               .min = (uint32_t)x->min,
                               .max = (uint32_t)x->max};
    const qd_query_inner inner = {.join = &n->u.join};
    int rc = qdi_inner_add(b, inner, x->type, x->inner_hits, &own, err);
    if (!rc) rc = build_child(b, x, from, own, &n->u.join.child, err);
    if (!rc && own != QD_INNER_NONE) b->inner.at[own].node = n->u.join.child;
    *out = n;
    return rc;
}
