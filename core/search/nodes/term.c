/* term.c: one indexed term, scored by BM25. */
#include "search/fetch/explain_int.h"
#include "search/highlight/highlight_int.h"
#include "search/leaf/own_int.h"
#include "search/nodes/nodes_int.h"

static void describe(const qd_node *n, bool in_bool, qd_buf *to)
{
    (void)in_bool;
    qdi_put_field(to, n->u.term.field);
    qdi_put_str(to, n->u.term.term);
}

static qd_explanation *explain(qdi_explaining *x, const qd_node *n, float boost, bool match,
                               float score)
{
    if (!match) return qdi_explain_make(x, false, 0, QD_STR("no matching term"));
    qdi_sim_stats st;
    const qd_node_term *t = &n->u.term;
    uint32_t freq = qdi_explain_frequency(x, t->field, t->term, &st);
    qd_node plain = *n;
    plain.boost = 1;
    if (qdi_explain_similarity(x, t->field).kind != QD_SIM_BM25)
        return qdi_explain_own(x, &plain, t->field, boost, score, (float)freq, &st, 1);
    return qdi_explain_weight(x, &plain, t->field, boost, score, (float)freq,
                              qdi_explain_idf(x, st.df, st.docs), QDI_FREQ_TERM);
}

static int matches(qdi_gather *g, const qd_node *n, float boost)
{
    if (!qdi_highlight_wants(g, n->u.term.field)) return 0;
    qdi_highlight_term(g, n->u.term.term);
    qdi_highlight_flat(g, HIGHLIGHT_FLAT_TERM, n->u.term.term, 0, boost);
    return 0;
}

static int compile(qd_plan *p, const qd_node *n, qdi_above a, qdi_node **out, qd_err *err)
{
    qdi_field *f = qdi_plan_field(p, n->u.term.field, err);
    qdi_node *x = f ? qdi_plan_node(p, &qdi_node_term, n, a.boost, a.scores, err) : NULL;
    if (!x) return QD_E_NOMEM;
    x->u.term = qdi_plan_term(p, f, n->u.term.term, n->u.term.stats, err);
    if (!x->u.term) return QD_E_NOMEM;
    *out = x;
    return 0;
}

static int weigh(qd_plan *p, qdi_node *x, qd_err *err)
{
    if (!x->scores || x->ninv || x->scorer) return 0;
    qdi_term_stats s = qdi_term_stats_of(p, x->u.term);
    if (qdi_scores_own(x->u.term->field)) return qdi_weigh_own(p, x, x->u.term->field, &s, 1, err);
    return qdi_weigh_stats(p, x, x->u.term->field, &s, qdi_idf(s.df, s.docs), err);
}

static int plan(qdi_run *r, const qdi_node *x, qdi_lnode *l, qd_err *err)
{
    const qd_term *t = qdi_leaf_term(r, x->u.term);
    if (!t) return 0;
    l->cost = t->df;
    if (l->scores && x->scorer) return qdi_own_term_plan(r, x, l, err);
    l->type = &qdi_node_term;
    return qdi_leaf_cursor(r, x->u.term, l->scores, false, x->weight, x->ninv, &l->u.cur, err);
}

static uint32_t next(qdi_run *r, qdi_lnode *l, uint32_t from)
{
    (void)r;
    return qdi_cur_next(l->u.cur, from);
}

static float bound(qdi_run *r, qdi_lnode *l, uint32_t from, uint32_t to)
{
    (void)r;
    return qdi_cur_bound(l->u.cur, from, to);
}

static int fill(qdi_run *r, qdi_lnode *l, const qdi_win *w, const uint64_t *cand, uint64_t *out,
                double *acc, qd_err *err)
{
    (void)err;
    qdi_fill_term(r, l->u.cur, w, cand, out, acc);
    return 0;
}

const qd_node_type qdi_node_term = {.name = "term",
                                    .flags = QDI_NODE_CURSOR,
                                    .describe = describe,
                                    .cost = qdi_cost_one,
                                    .explain = explain,
                                    .matches = matches,
                                    .compile = compile,
                                    .weigh = weigh,
                                    .plan = plan,
                                    .next = next,
                                    .bound = bound,
                                    .fill = fill};
