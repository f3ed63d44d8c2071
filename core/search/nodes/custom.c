/* custom.c: an operator that could not be rewritten, by blocks of documents. */
#include "query/scope.h"
#include "search/leaf/window_int.h"
#include "search/nodes/nodes_int.h"

static void describe(const qd_node *n, bool in_bool, qd_buf *to)
{
    (void)in_bool;
    qdi_put(to, "Operator");
    if (n->u.custom.scope) {
        qdi_put(to, "(");
        qdi_put(to, n->u.custom.scope->name);
        qdi_put(to, ")");
    }
}

static int compile(qd_plan *p, const qd_node *n, qdi_above a, qdi_node **out, qd_err *err)
{
    qdi_node *x = qdi_plan_node(p, &qdi_node_custom, n, a.boost, a.scores, err);
    if (!x) return QD_E_NOMEM;
    *out = x;
    x->u.custom = n->u.custom;
    return 0;
}

static int plan(qdi_run *r, const qdi_node *x, qdi_lnode *l, qd_err *err)
{
    int rc = qdi_custom_open(r, x, &l->u.custom, err);
    l->cost = x->u.custom.cost ? x->u.custom.cost : r->ndocs;
    if (!rc && l->u.custom) l->type = &qdi_node_custom;
    return rc;
}

static float bound(qdi_run *r, qdi_lnode *l, uint32_t from, uint32_t to)
{
    (void)r;
    return qdi_custom_bound(l->u.custom, from, to) * l->boost;
}

const qd_node_type qdi_node_custom = {.name = "custom",
                                      .describe = describe,
                                      .compile = compile,
                                      .plan = plan,
                                      .next = qdi_next_any,
                                      .bound = bound,
                                      .fill = qdi_fill_custom};
