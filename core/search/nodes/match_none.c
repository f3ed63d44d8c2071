/* match_none.c: no document. */
#include "search/fetch/explain_int.h"
#include "search/nodes/nodes_int.h"

static void describe(const qd_node *n, bool in_bool, qd_buf *to)
{
    (void)n, (void)in_bool;
    qdi_put(to, "MatchNoDocsQuery(\"\")");
}

static bool may_match(const qd_leaf *leaf, const qd_node *n, uint32_t depth)
{
    (void)leaf, (void)n, (void)depth;
    return false;
}

static qd_explanation *explain(qdi_explaining *x, const qd_node *n, float boost, bool match,
                               float score)
{
    (void)n, (void)boost, (void)match, (void)score;
    return qdi_explain_make(x, false, 0, QD_STR("User requested \"match_none\" query."));
}

const qd_node_type qdi_node_match_none = {.name = "match_none",
                                          .describe = describe,
                                          .cost = qdi_cost_one,
                                          .may_match = may_match,
                                          .explain = explain};
