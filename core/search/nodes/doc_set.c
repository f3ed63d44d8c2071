/* doc_set.c: documents given as bitmaps by segment, all with the score boost. */
#include "search/nodes/nodes_int.h"

static void describe(const qd_node *n, bool in_bool, qd_buf *to)
{
    (void)n, (void)in_bool;
    qdi_put(to, "DocSet");
}

const qd_node_type qdi_node_doc_set = {.name = "doc_set", .describe = describe};
