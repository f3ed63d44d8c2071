/* constant.c: the child's documents, all with the score boost. */
#include "search/leaf/window_int.h"
#include "search/nodes/nodes_int.h"

static void describe(const qd_node *n, bool in_bool, qd_buf *to)
{
    (void)in_bool;
    qdi_put(to, "ConstantScore(");
    qdi_describe(n->u.child, false, to);
    qdi_put(to, ")");
}

static int compile(qd_plan *p, const qd_node *n, qdi_above a, qdi_node **out, qd_err *err)
{
    qdi_node *child;
    int rc = qdi_compile(p, n->u.child, (qdi_above){1, false, a.depth + 1}, &child, err);
    if (rc) return rc;
    if (!a.scores || qdi_plan_can(child, QDI_NODE_NOTHING)) {
        *out = child;
        return 0;
    }
    qdi_node *x = qdi_plan_node(p, &qdi_node_constant, n, a.boost, true, err);
    if (!x) return QD_E_NOMEM;
    x->u.child = child;
    if (qdi_plan_can(child, QDI_NODE_EVERYTHING)) x->type = &qdi_node_match_all;
    *out = x;
    return 0;
}

static int plan(qdi_run *r, const qdi_node *x, qdi_lnode *l, qd_err *err)
{
    int rc = qdi_leaf_plan(r, x->u.child, &l->u.child, err);
    if (rc) return rc;
    l->cost = l->u.child->cost;
    if (!qdi_leaf_can(l->u.child, QDI_NODE_NOTHING)) l->type = &qdi_node_constant;
    return 0;
}

static void ready(qdi_lnode *l)
{
    qdi_leaf_ready(l->u.child);
}

static uint32_t next(qdi_run *r, qdi_lnode *l, uint32_t from)
{
    return qdi_next(r, l->u.child, from);
}

static int fill(qdi_run *r, qdi_lnode *l, const qdi_win *w, const uint64_t *cand, uint64_t *out,
                double *acc, qd_err *err)
{
    int rc = qdi_fill(r, l->u.child, w, cand, out, NULL, err);
    if (!rc) qdi_add_boost(l, w, out, acc);
    return rc;
}

const qd_node_type qdi_node_constant = {.name = "constant",
                                        .flags = QDI_NODE_SAME_DOCS | QDI_NODE_FLAT,
                                        .describe = describe,
                                        .cost = qdi_cost_child,
                                        .may_match = qdi_child_may_match,
                                        .compile = compile,
                                        .plan = plan,
                                        .ready = ready,
                                        .next = next,
                                        .bound = qdi_bound_boost,
                                        .fill = fill};
