/* custom.c: an operator that could not be rewritten, by blocks of documents. */
#include "query/scope.h"
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

const qd_node_type qdi_node_custom = {.name = "custom", .describe = describe};
