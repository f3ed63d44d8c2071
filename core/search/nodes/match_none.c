/* match_none.c: no document. */
#include "search/fetch/explain_int.h"
#include "search/leaf/leaf_int.h"
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

static int compile(qd_plan *p, const qd_node *n, qdi_above a, qdi_node **out, qd_err *err)
{
    qdi_node *x = qdi_plan_node(p, &qdi_node_match_none, n, a.boost, a.scores, err);
    if (!x) return QD_E_NOMEM;
    *out = x;
    return 0;
}

static int plan(qdi_run *r, const qdi_node *x, qdi_lnode *l, qd_err *err)
{
    (void)r, (void)x, (void)l, (void)err;
    return 0;
}

static uint32_t next(qdi_run *r, qdi_lnode *l, uint32_t from)
{
    (void)r, (void)l, (void)from;
    return QD_NO_DOC;
}

static float bound(qdi_run *r, qdi_lnode *l, uint32_t from, uint32_t to)
{
    (void)r, (void)l, (void)from, (void)to;
    return 0;
}

static int fill(qdi_run *r, qdi_lnode *l, const qdi_win *w, const uint64_t *cand, uint64_t *out,
                double *acc, qd_err *err)
{
    (void)r, (void)l, (void)cand, (void)acc, (void)err;
    memset(out, 0, w->words * sizeof *out);
    return 0;
}

const qd_node_type qdi_node_match_none = {.name = "match_none",
                                          .flags = QDI_NODE_NOTHING,
                                          .describe = describe,
                                          .cost = qdi_cost_one,
                                          .may_match = may_match,
                                          .explain = explain,
                                          .compile = compile,
                                          .plan = plan,
                                          .next = next,
                                          .bound = bound,
                                          .fill = fill};
