/* match_all.c: all documents. */
#include "search/leaf/window_int.h"
#include "search/nodes/nodes_int.h"

static void describe(const qd_node *n, bool in_bool, qd_buf *to)
{
    (void)n, (void)in_bool;
    qdi_put(to, "*:*");
}

static int compile(qd_plan *p, const qd_node *n, qdi_above a, qdi_node **out, qd_err *err)
{
    qdi_node *x = qdi_plan_node(p, &qdi_node_match_all, n, a.boost, a.scores, err);
    if (!x) return QD_E_NOMEM;
    *out = x;
    return 0;
}

static int plan(qdi_run *r, const qdi_node *x, qdi_lnode *l, qd_err *err)
{
    (void)x, (void)err;
    l->type = &qdi_node_match_all;
    l->cost = r->ndocs;
    return 0;
}

static int fill(qdi_run *r, qdi_lnode *l, const qdi_win *w, const uint64_t *cand, uint64_t *out,
                double *acc, qd_err *err)
{
    (void)r, (void)err;
    memcpy(out, cand, w->words * sizeof *out);
    qdi_add_boost(l, w, out, acc);
    return 0;
}

const qd_node_type qdi_node_match_all = {.name = "match_all",
                                         .flags = QDI_NODE_EVERYTHING | QDI_NODE_FLAT,
                                         .describe = describe,
                                         .cost = qdi_cost_one,
                                         .compile = compile,
                                         .plan = plan,
                                         .next = qdi_next_any,
                                         .bound = qdi_bound_boost,
                                         .fill = fill};
