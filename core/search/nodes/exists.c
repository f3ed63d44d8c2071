/* exists.c: documents with any value in a field, all with the score boost. */
#include "search/fetch/explain_int.h"
#include "search/nodes/nodes_int.h"
#include "segment/segment.h"

static void describe(const qd_node *n, bool in_bool, qd_buf *to)
{
    (void)in_bool;
    qdi_put(to, "FieldExistsQuery [field=");
    qdi_put_str(to, n->u.exists);
    qdi_put(to, "]");
}

static bool may_match(const qd_leaf *leaf, const qd_node *n, uint32_t depth)
{
    (void)depth;
    return qd_segment_field_find(leaf->segment, n->u.exists) != QD_FIELD_NONE;
}

static qd_explanation *explain(qdi_explaining *x, const qd_node *n, float boost, bool match,
                               float score)
{
    (void)boost;
    return qdi_explain_constant(x, n, match, score, true);
}

const qd_node_type qdi_node_exists = {.name = "exists",
                                      .describe = describe,
                                      .cost = qdi_cost_one,
                                      .may_match = may_match,
                                      .explain = explain};
