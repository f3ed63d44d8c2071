/* synonym.c: several terms of a field as one pseudo-term of summed frequency. */
#include "search/fetch/explain_int.h"
#include "search/highlight/highlight_int.h"
#include "search/nodes/nodes_int.h"

static void describe(const qd_node *n, bool in_bool, qd_buf *to)
{
    (void)in_bool;
    qdi_put_words(to, "Synonym(", n->u.synonym.field, n->u.synonym.terms, n->u.synonym.n);
}

static bool cost(const qd_node *n, uint32_t *passes)
{
    *passes += n->u.synonym.n;
    return true;
}

static qd_explanation *explain(qdi_explaining *x, const qd_node *n, float boost, bool match,
                               float score)
{
    if (!match) return qdi_explain_constant(x, n, match, score, false);
    uint64_t df, most = 0;
    uint32_t freq = 0;
    qd_collection_stats st;
    for (uint32_t i = 0; i < n->u.synonym.n; i++) {
        freq += qdi_explain_frequency(x, n->u.synonym.field, n->u.synonym.terms[i], &df);
        if (df > most) most = df;
    }
    qd_searcher_field_stats(x->s, n->u.synonym.field, &st);
    return qdi_explain_weight(x, n, n->u.synonym.field, boost, score, (float)freq,
                              qdi_explain_idf(x, most, st.doc_count), QDI_FREQ_SYNONYM);
}

static int matches(qdi_gather *g, const qd_node *n, float boost)
{
    if (!qdi_highlight_wants(g, n->u.synonym.field)) return 0;
    for (uint32_t i = 0; i < n->u.synonym.n; i++) {
        qdi_highlight_term(g, n->u.synonym.terms[i]);
        qdi_highlight_flat(g, HIGHLIGHT_FLAT_TERM, n->u.synonym.terms[i], 0, boost);
    }
    return 0;
}

const qd_node_type qdi_node_synonym = {
    .name = "synonym", .describe = describe, .cost = cost, .explain = explain, .matches = matches};
