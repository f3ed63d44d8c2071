/* ids.c: documents by _id, all with the score boost. */
#include "search/nodes/nodes_int.h"

static void describe(const qd_node *n, bool in_bool, qd_buf *to)
{
    (void)in_bool;
    qdi_put_words(to, "_id:(", (qd_str){"", 0}, n->u.ids.ids, n->u.ids.n);
}

static bool cost(const qd_node *n, uint32_t *passes)
{
    *passes += n->u.ids.n;
    return true;
}

const qd_node_type qdi_node_ids = {.name = "ids", .describe = describe, .cost = cost};
