/* term_set.c: documents with any of many terms, all with the score boost. */
#include "search/highlight/highlight_int.h"
#include "search/leaf/set_int.h"
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

static int compile(qd_plan *p, const qd_node *n, qdi_above a, qdi_node **out, qd_err *err)
{
    return qdi_set_from_terms(p, n, a.boost, a.scores, out, err);
}

/* Documents of many terms: their bitmap is made here, with fetches of its own. */
static int plan(qdi_run *r, const qdi_node *x, qdi_lnode *l, qd_err *err)
{
    uint32_t f = x->u.set.field->number[r->leaf->index];
    if (f == QD_FIELD_NONE) return 0;
    if (x->u.set.by_column || qd_segment_field(r->leaf->segment, f)->index == QD_INDEX_NONE)
        return qdi_leaf_by_column(r, x, f, l, err);
    uint64_t *bits = NULL, docs = 0;
    int rc = qdi_group_bits(r, x, f, &bits, &docs, err);
    if (rc < 0) return rc;
    if (rc == 0) {
        bits = qdi_make_bits(r);
        if (!bits) return qd_err_nomem(err, "search");
        rc = qdi_set_bits(r, x, f, bits, &docs, err);
        if (rc) return rc;
    }
    if (!docs) return 0;
    l->type = &qdi_node_doc_set;
    l->u.bits = bits;
    l->cost = docs < r->ndocs ? docs : r->ndocs;
    return 0;
}

const qd_node_type qdi_node_term_set = {.name = "term_set",
                                        .flags = QDI_NODE_TERMS,
                                        .describe = describe,
                                        .cost = cost,
                                        .matches = matches,
                                        .compile = compile,
                                        .plan = plan};
