/* term_set.c: documents with any of many terms, all with the score boost. */
#include "search/highlight/highlight_int.h"
#include "search/nodes/nodes_int.h"

static void describe(const qd_node *n, bool in_bool, qd_buf *to)
{
    (void)in_bool;
    qdi_put_words(to, "(", n->u.term_set.field, n->u.term_set.terms, n->u.term_set.n);
}

static bool cost(const qd_node *n, uint32_t *passes)
{
    *passes += n->u.term_set.n;
    return true;
}

static int matches(qdi_gather *g, const qd_node *n, float boost)
{
    if (!qdi_highlight_wants(g, n->u.term_set.field)) return 0;
    for (uint32_t i = 0; i < n->u.term_set.n; i++) {
        qdi_highlight_term(g, n->u.term_set.terms[i]);
        qdi_highlight_flat(g, HIGHLIGHT_FLAT_TERM, n->u.term_set.terms[i], 0, boost);
    }
    return 0;
}

const qd_node_type qdi_node_term_set = {
    .name = "term_set", .describe = describe, .cost = cost, .matches = matches};
