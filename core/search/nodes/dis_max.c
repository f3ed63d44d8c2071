/* dis_max.c: the best child plus tie_breaker times the others. */
#include "search/fetch/explain_int.h"
#include "search/nodes/nodes_int.h"
#include "json/number.h"

static void describe(const qd_node *n, bool in_bool, qd_buf *to)
{
    const qd_node_dis_max *d = &n->u.dis_max;
    (void)in_bool;
    qdi_put(to, d->blended ? "blended(" : "(");
    for (uint32_t i = 0; i < d->n; i++) {
        if (i) qdi_put(to, " | ");
        qdi_describe(d->children[i], true, to);
    }
    qdi_put(to, ")");
    if (d->tie_breaker != 0) {
        qdi_put(to, "~");
        qdi_put_float(to, d->tie_breaker);
    }
}

static bool cost(const qd_node *n, uint32_t *passes)
{
    return qdi_cost_all(n->u.dis_max.children, n->u.dis_max.n, passes);
}

static bool may_match(const qd_leaf *leaf, const qd_node *n, uint32_t depth)
{
    for (uint32_t i = 0; i < n->u.dis_max.n; i++)
        if (qdi_node_may_match(leaf, n->u.dis_max.children[i], depth + 1)) return true;
    return false;
}

/* The children of a sum whose own children are summed as well stand in its place, as Lucene inlines
 * disjunctions. */
static void add_flat(qdi_explaining *x, qd_explanation *e, const qd_node *n, qd_explanation *k)
{
    if (!qdi_node_is_sum(n)) {
        qdi_explain_add(x, e, k);
        return;
    }
    for (uint32_t i = 0; i < k->n; i++) qdi_explain_add(x, e, k->details[i]);
}

static qd_explanation *explain_max(qdi_explaining *x, const qd_node *n, float boost, float score)
{
    char text[32];
    const qd_node_dis_max *d = &n->u.dis_max;
    (void)qd_f32_print(text, d->tie_breaker);
    bool sum = d->tie_breaker == 1; /* Lucene makes a disjunction of it */
    qd_str what = sum ? QD_STR("sum of:")
                  : d->tie_breaker == 0
                      ? QD_STR("max of:")
                      : qd_arena_printf(x->arena, "max plus %s times others of:", text);
    qd_explanation *e = qdi_explain_make(x, true, score, what);
    for (uint32_t i = 0; i < d->n && !x->rc; i++) {
        qd_explanation *k = qdi_explain_node(x, d->children[i], boost);
        if (!k || !k->match) continue;
        if (sum)
            add_flat(x, e, d->children[i], k);
        else
            qdi_explain_add(x, e, k);
    }
    return e;
}

/* Nothing of a dis_max matches: what became of each. */
static qd_explanation *explain_no_max(qdi_explaining *x, const qd_node *n)
{
    qd_explanation *e = qdi_explain_make(x, false, 0, QD_STR("No matching clause"));
    for (uint32_t i = 0; i < n->u.dis_max.n && !x->rc; i++)
        qdi_explain_add(x, e, qdi_explain_node(x, n->u.dis_max.children[i], 1));
    return e;
}

static qd_explanation *explain(qdi_explaining *x, const qd_node *n, float boost, bool match,
                               float score)
{
    return match ? explain_max(x, n, boost, score) : explain_no_max(x, n);
}

const qd_node_type qdi_node_dis_max = {.name = "dis_max",
                                       .describe = describe,
                                       .cost = cost,
                                       .may_match = may_match,
                                       .explain = explain};
