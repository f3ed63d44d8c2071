/* term.c: one indexed term, scored by BM25. */
#include "search/fetch/explain_int.h"
#include "search/highlight/highlight_int.h"
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
    uint64_t df;
    qd_collection_stats st;
    const qd_node_term *t = &n->u.term;
    uint32_t freq = qdi_explain_frequency(x, t->field, t->term, &df);
    qd_searcher_field_stats(x->s, t->field, &st);
    qd_node plain = *n;
    plain.boost = 1;
    return qdi_explain_weight(x, &plain, t->field, boost, score, (float)freq,
                              qdi_explain_idf(x, df, st.doc_count), QDI_FREQ_TERM);
}

static int matches(qdi_gather *g, const qd_node *n, float boost)
{
    if (!qdi_highlight_wants(g, n->u.term.field)) return 0;
    qdi_highlight_term(g, n->u.term.term);
    qdi_highlight_flat(g, HIGHLIGHT_FLAT_TERM, n->u.term.term, 0, boost);
    return 0;
}

const qd_node_type qdi_node_term = {.name = "term",
                                    .describe = describe,
                                    .cost = qdi_cost_one,
                                    .explain = explain,
                                    .matches = matches};
