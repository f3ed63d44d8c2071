/* boost.c: the child, its scores times boost. */
#include "search/fetch/explain_int.h"
#include "search/nodes/nodes_int.h"
#include "search/plan/plan_int.h"

static void describe(const qd_node *n, bool in_bool, qd_buf *to)
{
    (void)in_bool;
    qdi_describe(n->u.child, true, to);
}

static qd_explanation *explain(qdi_explaining *x, const qd_node *n, float boost, bool match,
                               float score)
{
    (void)match, (void)score;
    return qdi_explain_node(x, n->u.child, boost);
}

static int compile(qd_plan *p, const qd_node *n, qdi_above a, qdi_node **out, qd_err *err)
{
    a.depth++;
    return qdi_compile(p, n->u.child, a, out, err);
}

const qd_node_type qdi_node_boost = {.name = "boost",
                                     .describe = describe,
                                     .cost = qdi_cost_child,
                                     .may_match = qdi_child_may_match,
                                     .explain = explain,
                                     .compile = compile};
