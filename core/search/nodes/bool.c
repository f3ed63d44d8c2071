/* bool.c: must, should, filter, must_not, minimum_should_match. */
#include "search/fetch/explain_int.h"
#include "search/leaf/range_int.h"
#include "search/leaf/window_int.h"
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

static bool any_can(qdi_node *const *list, uint32_t n, uint32_t capability)
{
    for (uint32_t i = 0; i < n; i++)
        if (qdi_plan_can(list[i], capability)) return true;
    return false;
}

/* Is x a disjunction that its parent disjunction may take over clause by clause? */
static bool is_plain_or(const qdi_node *x)
{
    return qdi_plan_can(x, QDI_NODE_CLAUSES) &&
           x->u.b.nmust + x->u.b.nfilter + x->u.b.nmust_not == 0 && x->u.b.min_should == 1;
}

/* Inlines disjunctions among the should clauses, as Lucene's rewrite does. */
int qdi_bool_flatten(qd_plan *p, qdi_node *x, qd_err *err)
{
    uint32_t n = 0;
    bool any = false;
    for (uint32_t i = 0; i < x->u.b.nshould; i++) {
        qdi_node *c = x->u.b.should[i];
        any |= is_plain_or(c);
        n += is_plain_or(c) ? c->u.b.nshould : 1;
    }
    if (!any) return 0;
    qdi_node **all = qd_arena_calloc(p->arena, (n + 1) * sizeof *all);
    if (!all) return qd_err_nomem(err, "query plan");
    uint32_t m = 0;
    for (uint32_t i = 0; i < x->u.b.nshould; i++) {
        qdi_node *c = x->u.b.should[i];
        if (is_plain_or(c))
            for (uint32_t k = 0; k < c->u.b.nshould; k++) all[m++] = c->u.b.should[k];
        else
            all[m++] = c;
    }
    x->u.b.should = all;
    x->u.b.nshould = m;
    return 0;
}

/* Is x a conjunction that is not scored, which its parent may take over clause by clause? */
static bool is_plain_and(const qdi_node *x)
{
    return qdi_plan_can(x, QDI_NODE_CLAUSES) &&
           x->u.b.nmust + x->u.b.nshould + x->u.b.nmust_not == 0;
}

/* Takes the clauses of required conjunctions that are not scored into x's own filters. */
static int flatten_filter(qd_plan *p, qdi_node *x, qd_err *err)
{
    uint32_t n = 0;
    bool any = false;
    for (uint32_t i = 0; i < x->u.b.nfilter; i++) {
        qdi_node *c = x->u.b.filter[i];
        any |= is_plain_and(c);
        n += is_plain_and(c) ? c->u.b.nfilter : 1;
    }
    if (!any) return 0;
    qdi_node **all = qd_arena_calloc(p->arena, (n + 1) * sizeof *all);
    if (!all) return qd_err_nomem(err, "query plan");
    uint32_t m = 0;
    for (uint32_t i = 0; i < x->u.b.nfilter; i++) {
        qdi_node *c = x->u.b.filter[i];
        if (is_plain_and(c))
            for (uint32_t k = 0; k < c->u.b.nfilter; k++) all[m++] = c->u.b.filter[k];
        else
            all[m++] = c;
    }
    x->u.b.filter = all;
    x->u.b.nfilter = m;
    return 0;
}

/* Moves must to filter where nothing is scored, optional clauses away. */
static int bool_without_scores(qd_plan *p, qdi_node *x, qd_err *err)
{
    uint32_t n = x->u.b.nmust + x->u.b.nfilter;
    if (x->u.b.nmust) {
        qdi_node **all = qd_arena_calloc(p->arena, (n + 1) * sizeof *all);
        if (!all) return qd_err_nomem(err, "query plan");
        memcpy(all, x->u.b.must, x->u.b.nmust * sizeof *all);
        if (x->u.b.nfilter) memcpy(all + x->u.b.nmust, x->u.b.filter, x->u.b.nfilter * sizeof *all);
        x->u.b.filter = all;
        x->u.b.nfilter = n;
        x->u.b.nmust = 0;
    }
    if (x->u.b.min_should == 0) x->u.b.nshould = 0;
    return flatten_filter(p, x, err);
}

/* Folds a bool whose lists are compiled: what always or never matches, single clauses, flattening.
 */
static int fold_bool(qd_plan *p, qdi_node *x, qd_err *err)
{
    if (any_can(x->u.b.must, x->u.b.nmust, QDI_NODE_NOTHING) ||
        any_can(x->u.b.filter, x->u.b.nfilter, QDI_NODE_NOTHING) ||
        any_can(x->u.b.must_not, x->u.b.nmust_not, QDI_NODE_EVERYTHING)) {
        x->type = &qdi_node_match_none;
        return 0;
    }
    bool required = x->u.b.nmust + x->u.b.nfilter > 0;
    x->u.b.nmust_not = qdi_plan_drop(x->u.b.must_not, x->u.b.nmust_not, QDI_NODE_NOTHING);
    x->u.b.nshould = qdi_plan_drop(x->u.b.should, x->u.b.nshould, QDI_NODE_NOTHING);
    if (!required && x->u.b.min_should == 0) x->u.b.min_should = 1;
    if (x->u.b.nshould < x->u.b.min_should) {
        x->type = &qdi_node_match_none;
        return 0;
    }
    if (x->u.b.min_should <= 1) {
        int rc = qdi_bool_flatten(p, x, err);
        if (rc) return rc;
    }
    if (x->u.b.min_should && x->u.b.min_should == x->u.b.nshould) { /* all of them: required */
        qdi_node **all =
            qd_arena_calloc(p->arena, (x->u.b.nmust + x->u.b.nshould + 1) * sizeof *all);
        if (!all) return qd_err_nomem(err, "query plan");
        if (x->u.b.nmust) memcpy(all, x->u.b.must, x->u.b.nmust * sizeof *all);
        memcpy(all + x->u.b.nmust, x->u.b.should, x->u.b.nshould * sizeof *all);
        x->u.b.must = all;
        x->u.b.nmust += x->u.b.nshould;
        x->u.b.nshould = x->u.b.min_should = 0;
    }
    if (!x->scores) {
        int rc = bool_without_scores(p, x, err);
        if (rc) return rc;
    } else {
        int rc = flatten_filter(p, x, err);
        if (rc) return rc;
    }
    /* A filter of everything says nothing beside another required clause. */
    uint32_t left = qdi_plan_drop(x->u.b.filter, x->u.b.nfilter, QDI_NODE_EVERYTHING);
    if (left + x->u.b.nmust + x->u.b.min_should > 0)
        x->u.b.nfilter = left;
    else if (x->u.b.nfilter > 1)
        x->u.b.nfilter = 1;
    if (x->u.b.nmust_not == 0 && x->u.b.nshould == 0) {
        if (x->u.b.nmust == 1 && x->u.b.nfilter == 0)
            qdi_plan_become(x, x->u.b.must[0]);
        else if (x->u.b.nmust == 0 && x->u.b.nfilter == 1 && !x->scores)
            qdi_plan_become(x, x->u.b.filter[0]);
    }
    return 0;
}

static int compile(qd_plan *p, const qd_node *n, qdi_above a, qdi_node **out, qd_err *err)
{
    const qd_node_bool *b = &n->u.boolean;
    qdi_node *x = qdi_plan_node(p, &qdi_node_bool, n, a.boost, a.scores, err);
    if (!x) return QD_E_NOMEM;
    *out = x;
    /* optional clauses that nobody scores: their terms need not even be looked up */
    bool idle = !a.scores && b->min_should == 0 && b->nmust + b->nfilter > 0;
    x->u.b.nmust = b->nmust;
    x->u.b.nshould = idle ? 0 : b->nshould;
    x->u.b.nfilter = b->nfilter;
    x->u.b.nmust_not = b->nmust_not;
    x->u.b.min_should = b->min_should;
    qdi_above off = {1, false, a.depth};
    int rc = qdi_compile_list(p, b->must, b->nmust, a, &x->u.b.must, err);
    if (!rc) rc = qdi_compile_list(p, b->should, x->u.b.nshould, a, &x->u.b.should, err);
    if (!rc) rc = qdi_compile_list(p, b->filter, b->nfilter, off, &x->u.b.filter, err);
    if (!rc) rc = qdi_compile_list(p, b->must_not, b->nmust_not, off, &x->u.b.must_not, err);
    return rc ? rc : fold_bool(p, x, err);
}

static int weigh(qd_plan *p, qdi_node *x, qd_err *err)
{
    int rc = qdi_weigh_list(p, x->u.b.must, x->u.b.nmust, err);
    return rc ? rc : qdi_weigh_list(p, x->u.b.should, x->u.b.nshould, err);
}

static void by_cost(qdi_lnode **list, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        qdi_lnode *x = list[i];
        uint32_t j = i;
        for (; j && list[j - 1]->cost > x->cost; j--) list[j] = list[j - 1];
        list[j] = x;
    }
}

/* Documents of the smallest range among the required clauses but x, at most. */
static uint64_t least_range(const qdi_run *r, const qdi_node *x, const qdi_node *but)
{
    uint64_t least = UINT64_MAX;
    uint32_t n = x->u.b.nmust + x->u.b.nfilter;
    for (uint32_t i = 0; i < n; i++) {
        const qdi_node *c = i < x->u.b.nmust ? x->u.b.must[i] : x->u.b.filter[i - x->u.b.nmust];
        qdi_range_plan_out g;
        if (c == but || !qdi_range_in(c)) continue;
        qdi_range_plan(r, qdi_range_in(c), &g);
        least = g.most < least ? g.most : least;
    }
    return least;
}

/* Required clauses: ranges last, as they go by what the others leave. */
static int plan_required(qdi_run *r, const qdi_node *x, qdi_lnode *l, bool *none, qd_err *err)
{
    uint32_t n = x->u.b.nmust + x->u.b.nfilter;
    for (int ranges = 0; ranges < 2; ranges++)
        for (uint32_t i = 0; i < n && !*none; i++) {
            qdi_node *c = i < x->u.b.nmust ? x->u.b.must[i] : x->u.b.filter[i - x->u.b.nmust];
            if ((qdi_range_in(c) != NULL) != ranges) continue;
            uint64_t lead = r->hint.lead, other = ranges && n <= 16 ? least_range(r, x, c) : lead;
            r->hint.lead = other < lead ? other : lead;
            r->hint.beside = ranges && n <= 16 ? x : NULL;
            uint32_t had = l->u.b.nreq;
            int rc = qdi_leaf_plan_list(r, &c, 1, l->u.b.req, &l->u.b.nreq, none, err);
            if (rc) return rc;
            r->hint.lead = lead;
            r->hint.beside = NULL;
            if (l->u.b.nreq > had && l->u.b.req[had]->cost < lead)
                r->hint.lead = l->u.b.req[had]->cost;
        }
    return 0;
}

static int plan(qdi_run *r, const qdi_node *x, qdi_lnode *l, qd_err *err)
{
    uint32_t nreq = x->u.b.nmust + x->u.b.nfilter;
    uint32_t all = nreq + x->u.b.nmust_not + x->u.b.nshould;
    qdi_lnode **at = qd_arena_calloc(r->arena, (all + 1) * sizeof *at);
    if (!at) return qd_err_nomem(err, "search");
    bool none = false, ignored = false;
    l->u.b.req = at;
    l->u.b.not = at + nreq;
    l->u.b.should = at + nreq + x->u.b.nmust_not;
    l->u.b.min_should = x->u.b.min_should;
    uint64_t lead = r->hint.lead;
    int rc = plan_required(r, x, l, &none, err);
    if (!rc && !none)
        rc = qdi_leaf_plan_list(r, x->u.b.should, x->u.b.nshould, l->u.b.should, &l->u.b.nshould,
                                &ignored, err);
    if (!rc && !none && l->u.b.nshould >= l->u.b.min_should)
        rc = qdi_leaf_plan_list(r, x->u.b.must_not, x->u.b.nmust_not, l->u.b.not, &l->u.b.nnot,
                                &ignored, err);
    r->hint.lead = lead;
    if (rc || none || l->u.b.nshould < l->u.b.min_should) return rc;
    by_cost(l->u.b.req, l->u.b.nreq);
    l->cost = l->u.b.nreq ? l->u.b.req[0]->cost : 0;
    if (!l->u.b.nreq)
        for (uint32_t i = 0; i < l->u.b.nshould; i++) l->cost += l->u.b.should[i]->cost;
    l->type = &qdi_node_bool;
    if (l->scores) {
        l->u.b.acc = qdi_scratch_calloc(r->scratch, QDI_WINDOW * sizeof(double));
        if (!l->u.b.acc) return qd_err_nomem(err, "search");
    }
    if (l->u.b.min_should > 1) {
        l->u.b.count = qdi_scratch_calloc(r->scratch, QDI_WINDOW * sizeof(uint16_t));
        if (!l->u.b.count) return qd_err_nomem(err, "search");
    }
    return 0;
}

static void ready(qdi_lnode *l)
{
    for (uint32_t i = 0; i < l->u.b.nreq; i++) qdi_leaf_ready(l->u.b.req[i]);
    for (uint32_t i = 0; i < l->u.b.nshould; i++) qdi_leaf_ready(l->u.b.should[i]);
    for (uint32_t i = 0; i < l->u.b.nnot; i++) qdi_leaf_ready(l->u.b.not [i]);
}

static uint32_t next(qdi_run *r, qdi_lnode *l, uint32_t from)
{
    if (l->u.b.nreq == 0) return qdi_next_least(r, l->u.b.should, l->u.b.nshould, from);
    for (uint32_t i = 0; i < l->u.b.nreq && from != QD_NO_DOC; i++) {
        uint32_t d = qdi_next(r, l->u.b.req[i], from);
        from = d > from ? d : from;
    }
    return from;
}

static float bound(qdi_run *r, qdi_lnode *l, uint32_t from, uint32_t to)
{
    double s = 0;
    for (uint32_t i = 0; i < l->u.b.nreq; i++) s += qdi_bound(r, l->u.b.req[i], from, to);
    for (uint32_t i = 0; i < l->u.b.nshould; i++) s += qdi_bound(r, l->u.b.should[i], from, to);
    return s > 0 ? qdi_bound_up(s) : 0; /* filters alone score 0 */
}

static bool is_flat(const qdi_lnode *l)
{
    bool flat = true;
    for (uint32_t i = 0; i < l->u.b.nreq; i++) flat &= !l->u.b.req[i]->scores;
    for (uint32_t i = 0; i < l->u.b.nshould; i++) flat &= !l->u.b.should[i]->scores;
    return flat;
}

/* Optional clauses: at least min_should of them must match; narrows c. */
static int fill_should(qdi_run *r, qdi_lnode *l, const qdi_win *w, uint64_t *c, uint64_t *touched,
                       double *acc, qd_err *err)
{
    uint64_t o[QDI_WINDOW_WORDS], any[QDI_WINDOW_WORDS];
    uint32_t min = l->u.b.min_should;
    memset(any, 0, sizeof any);
    for (uint32_t s = 0; s < l->u.b.nshould; s++) {
        int rc = qdi_fill(r, l->u.b.should[s], w, c, o, acc, err);
        if (rc) return rc;
        for (uint32_t i = 0; i < w->words; i++) {
            any[i] |= o[i];
            touched[i] |= o[i];
            for (uint64_t x = min > 1 ? o[i] : 0; x; x &= x - 1)
                l->u.b.count[i * 64 + (uint32_t)__builtin_ctzll(x)]++;
        }
    }
    if (min == 0) return 0;
    for (uint32_t i = 0; i < w->words; i++) {
        uint64_t keep = min == 1 ? any[i] : 0;
        for (uint64_t x = min > 1 ? any[i] : 0; x; x &= x - 1) {
            uint32_t bit = (uint32_t)__builtin_ctzll(x);
            if (l->u.b.count[i * 64 + bit] >= min) keep |= 1ull << bit;
            l->u.b.count[i * 64 + bit] = 0;
        }
        c[i] &= keep;
    }
    return 0;
}

static int fill(qdi_run *r, qdi_lnode *l, const qdi_win *w, const uint64_t *cand, uint64_t *out,
                double *acc, qd_err *err)
{
    uint64_t c[QDI_WINDOW_WORDS], o[QDI_WINDOW_WORDS], touched[QDI_WINDOW_WORDS];
    double *own = acc ? l->u.b.acc : NULL;
    int rc = 0;
    memcpy(c, cand, w->words * sizeof *c);
    memset(touched, 0, sizeof touched);
    bool some = true;
    for (uint32_t q = 0; q < l->u.b.nreq && some && !rc; q++) {
        qdi_lnode *child = l->u.b.req[q];
        rc = qdi_fill(r, child, w, c, o, child->scores ? own : NULL, err);
        if (rc) break;
        if (child->scores)
            for (uint32_t i = 0; i < w->words; i++) touched[i] |= o[i];
        memcpy(c, o, w->words * sizeof *c);
        some = qdi_any(c, w->words);
    }
    for (uint32_t q = 0; q < l->u.b.nnot && some && !rc; q++) {
        rc = qdi_fill(r, l->u.b.not [q], w, c, o, NULL, err);
        for (uint32_t i = 0; i < w->words; i++) c[i] &= ~o[i];
        some = qdi_any(c, w->words);
    }
    if (some && l->u.b.nshould && !rc) rc = fill_should(r, l, w, c, touched, own, err);
    memcpy(out, c, w->words * sizeof *c);
    if (!some) memset(out, 0, w->words * sizeof *out);
    if (!own) return rc;
    for (uint32_t i = 0; i < w->words && !rc; i++)
        for (uint64_t x = out[i]; x; x &= x - 1) {
            uint32_t at = i * 64 + (uint32_t)__builtin_ctzll(x);
            acc[at] += (double)(float)own[at];
        }
    qdi_clear_acc(own, touched, w->words);
    return rc;
}

const qd_node_type qdi_node_bool = {.name = "bool",
                                    .flags = QDI_NODE_CLAUSES,
                                    .describe = describe,
                                    .cost = cost,
                                    .may_match = may_match,
                                    .explain = explain,
                                    .compile = compile,
                                    .weigh = weigh,
                                    .plan = plan,
                                    .ready = ready,
                                    .next = next,
                                    .bound = bound,
                                    .is_flat = is_flat,
                                    .fill = fill};
