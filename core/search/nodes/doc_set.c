/* doc_set.c: documents given as bitmaps by segment, all with the score boost. */
#include "search/leaf/window_int.h"
#include "search/nodes/nodes_int.h"

static void describe(const qd_node *n, bool in_bool, qd_buf *to)
{
    (void)n, (void)in_bool;
    qdi_put(to, "DocSet");
}

static int compile(qd_plan *p, const qd_node *n, qdi_above a, qdi_node **out, qd_err *err)
{
    qdi_node *x = qdi_plan_node(p, &qdi_node_doc_set, n, a.boost, a.scores, err);
    if (!x) return QD_E_NOMEM;
    *out = x;
    x->u.doc_set = n->u.doc_set;
    return 0;
}

/* A provider's bitmap, copied so that whole windows can be read. */
static int plan(qdi_run *r, const qdi_node *x, qdi_lnode *l, qd_err *err)
{
    const uint64_t *bits = x->u.doc_set.bits(x->u.doc_set.arg, r->leaf->index, r->ndocs);
    if (!bits) return 0;
    uint64_t *own = qdi_make_bits(r);
    if (!own) return qd_err_nomem(err, "search");
    size_t words = ((size_t)r->ndocs + 63) / 64;
    memcpy(own, bits, words * sizeof *own);
    if (r->ndocs & 63) own[words - 1] &= (1ull << (r->ndocs & 63)) - 1;
    l->type = &qdi_node_doc_set;
    l->u.bits = own;
    l->cost = r->k->popcount(own, words);
    return 0;
}

static uint32_t next(qdi_run *r, qdi_lnode *l, uint32_t from)
{
    uint32_t words = (r->ndocs + 63) / 64, i = from >> 6;
    if (i >= words) return QD_NO_DOC;
    uint64_t x = l->u.bits[i] & ~0ull << (from & 63);
    while (!x) {
        if (++i >= words) return QD_NO_DOC;
        x = l->u.bits[i];
    }
    return i * 64 + (uint32_t)__builtin_ctzll(x);
}

static int fill(qdi_run *r, qdi_lnode *l, const qdi_win *w, const uint64_t *cand, uint64_t *out,
                double *acc, qd_err *err)
{
    (void)r, (void)err;
    const uint64_t *bits = l->u.bits + (w->from >> 6);
    for (uint32_t i = 0; i < w->words; i++) out[i] = cand[i] & bits[i];
    qdi_add_boost(l, w, out, acc);
    return 0;
}

const qd_node_type qdi_node_doc_set = {.name = "doc_set",
                                       .flags = QDI_NODE_BITMAP | QDI_NODE_FLAT,
                                       .describe = describe,
                                       .compile = compile,
                                       .plan = plan,
                                       .next = next,
                                       .bound = qdi_bound_boost,
                                       .fill = fill};
