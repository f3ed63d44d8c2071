/* bool.c: must, should, filter, must_not, minimum_should_match. */
#include "search/fetch/explain_int.h"
#include "search/nodes/nodes_int.h"

static void describe_list(const char *sign, const qd_node *const *list, uint32_t n, bool *first,
                          qd_buf *to)
{
    for (uint32_t i = 0; i < n; i++) {
        if (!*first) qdi_put(to, " ");
        *first = false;
        qdi_put(to, sign);
        qdi_describe(list[i], true, to);
    }
}

static void describe_clauses(const qd_node_bool *b, qd_buf *to)
{
    bool first = true;
    describe_list("+", b->must, b->nmust, &first, to);
    describe_list("", b->should, b->nshould, &first, to);
    describe_list("#", b->filter, b->nfilter, &first, to);
    describe_list("-", b->must_not, b->nmust_not, &first, to);
}

static void describe(const qd_node *n, bool in_bool, qd_buf *to)
{
    const qd_node_bool *b = &n->u.boolean;
    bool least = b->min_should > 0 && !(b->min_should == 1 && !b->nmust && !b->nfilter);
    bool parens = in_bool || least || n->boost != 1;
    if (parens) qdi_put(to, "(");
    describe_clauses(b, to);
    if (parens) qdi_put(to, ")");
    if (!least) return;
    qdi_put(to, "~");
    qdi_put_int(to, b->min_should);
}

static bool cost(const qd_node *n, uint32_t *passes)
{
    const qd_node_bool *b = &n->u.boolean;
    return qdi_cost_all(b->must, b->nmust, passes) && qdi_cost_all(b->should, b->nshould, passes) &&
           qdi_cost_all(b->filter, b->nfilter, passes) &&
           qdi_cost_all(b->must_not, b->nmust_not, passes);
}

static bool may_match(const qd_leaf *leaf, const qd_node *n, uint32_t depth)
{
    const qd_node_bool *b = &n->u.boolean;
    depth++;
    uint32_t should = 0, least = b->min_should;
    for (uint32_t i = 0; i < b->nmust; i++) {
        if (!qdi_node_may_match(leaf, b->must[i], depth)) return false;
    }
    for (uint32_t i = 0; i < b->nfilter; i++) {
        if (!qdi_node_may_match(leaf, b->filter[i], depth)) return false;
    }
    if (!least && !b->nmust && !b->nfilter) least = 1;
    if (!least) return true;
    for (uint32_t i = 0; i < b->nshould && should < least; i++) {
        should += qdi_node_may_match(leaf, b->should[i], depth);
    }
    return should >= least;
}

bool qdi_node_is_sum(const qd_node *n)
{
    return n->kind == QD_NATIVE_BOOL && n->boost == 1 && !n->u.boolean.nmust &&
           !n->u.boolean.nfilter && !n->u.boolean.nmust_not && n->u.boolean.min_should <= 1;
}

static qd_explanation *required_missing(qdi_explaining *x, const qd_node *n, qd_explanation *why)
{
    qd_explanation *no =
        qdi_explain_make(x, false, 0,
                         qd_arena_printf(x->arena, "no match on required clause (%.*s)",
                                         QD_STR_ARG(qdi_explain_describe(x, n))));
    qdi_explain_add(x, no, why);
    return no;
}

static qd_explanation *explain(qdi_explaining *x, const qd_node *n, float boost, bool match,
                               float score)
{
    const qd_node_bool *b = &n->u.boolean;
    qd_explanation *e = qdi_explain_make(x, match, score, QD_STR("sum of:"));
    uint32_t matched = 0;
    bool fail = false;
    for (uint32_t i = 0; i < b->nmust && !x->rc; i++) {
        qd_explanation *d = qdi_explain_node(x, b->must[i], boost);
        if (d && !d->match) d = required_missing(x, b->must[i], d);
        fail |= d && !d->match;
        matched += d && d->match;
        qdi_explain_add(x, e, d);
    }
    for (uint32_t i = 0; i < b->nshould && !x->rc; i++) {
        qd_explanation *d = qdi_explain_node(x, b->should[i], boost);
        if (!d || !d->match) continue;
        qdi_explain_add(x, e, d);
        matched++;
    }
    for (uint32_t i = 0; i < b->nfilter && !x->rc; i++) {
        qd_explanation *d = qdi_explain_node(x, b->filter[i], 1), *f = NULL;
        if (d && d->match) {
            f = qdi_explain_make(x, true, 0, QD_STR("match on required clause, product of:"));
            qdi_explain_add(x, f, qdi_explain_number(x, 0, "# clause"));
            qdi_explain_add(x, f, d);
            matched++;
        } else if (d) {
            f = required_missing(x, b->filter[i], d);
            fail = true;
        }
        qdi_explain_add(x, e, f);
    }
    for (uint32_t i = 0; i < b->nmust_not && !x->rc; i++) {
        qd_explanation *d = qdi_explain_node(x, b->must_not[i], 1);
        if (!d || !d->match) continue;
        qd_explanation *f =
            qdi_explain_make(x, false, 0,
                             qd_arena_printf(x->arena, "match on prohibited clause (%.*s)",
                                             QD_STR_ARG(qdi_explain_describe(x, b->must_not[i]))));
        qdi_explain_add(x, f, d);
        qdi_explain_add(x, e, f);
        fail = true;
    }
    if (match || !e) return e;
    e->description =
        fail ? QD_STR("Failure to meet condition(s) of required/prohibited clause(s)")
        : !matched
            ? QD_STR("No matching clauses")
            : qd_arena_printf(x->arena, "Failure to match minimum number of optional clauses: %u",
                              b->min_should);
    return e;
}

const qd_node_type qdi_node_bool = {
    .name = "bool", .describe = describe, .cost = cost, .may_match = may_match, .explain = explain};
