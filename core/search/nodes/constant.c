/* constant.c: the child's documents, all with the score boost. */
#include "search/nodes/nodes_int.h"

static void describe(const qd_node *n, bool in_bool, qd_buf *to)
{
    (void)in_bool;
    qdi_put(to, "ConstantScore(");
    qdi_describe(n->u.child, false, to);
    qdi_put(to, ")");
}

const qd_node_type qdi_node_constant = {.name = "constant",
                                        .describe = describe,
                                        .cost = qdi_cost_child,
                                        .may_match = qdi_child_may_match};
