/* match_all.c: all documents. */
#include "search/nodes/nodes_int.h"

static void describe(const qd_node *n, bool in_bool, qd_buf *to)
{
    (void)n, (void)in_bool;
    qdi_put(to, "*:*");
}

const qd_node_type qdi_node_match_all = {
    .name = "match_all", .describe = describe, .cost = qdi_cost_one};
