/* dis_max.c: the best child plus tie_breaker times the others. */
#include "search/fetch/explain_int.h"
#include "search/leaf/window_int.h"
#include "search/nodes/nodes_int.h"
#include "json/number.h"

/* The plan of it, and its part on a segment. */
typedef struct dis_max_plan {
    qdi_node **kids;
    uint32_t n;
    float tie;
    bool blended;
} dis_max_plan;

typedef struct dis_max_leaf {
    qdi_lnode **kids;
    uint32_t n;
    float tie;
    double *acc, *others; /* windows, zero between uses */
    float *max;
} dis_max_leaf;

static dis_max_plan *plan_of(const qdi_node *x)
{
    return x->u.own;
}

static dis_max_leaf *leaf_of(const qdi_lnode *l)
{
    return l->u.own;
}

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

static int compile(qd_plan *p, const qd_node *n, qdi_above a, qdi_node **out, qd_err *err)
{
    const qd_node_dis_max *d = &n->u.dis_max;
    qdi_node *x = qdi_plan_node(p, &qdi_node_dis_max, n, a.boost, a.scores, err);
    if (!x) return QD_E_NOMEM;
    *out = x;
    x->u.own = qd_arena_calloc(p->arena, sizeof(dis_max_plan));
    if (!x->u.own) return qd_err_nomem(err, "query plan");
    int rc = qdi_compile_list(p, d->children, d->n, a, &plan_of(x)->kids, err);
    if (rc) return rc;
    plan_of(x)->n = qdi_plan_drop(plan_of(x)->kids, d->n, QDI_NODE_NOTHING);
    plan_of(x)->tie = d->tie_breaker;
    plan_of(x)->blended = d->blended;
    for (uint32_t i = 0; d->blended && i < plan_of(x)->n; i++)
        if (!qdi_plan_can(plan_of(x)->kids[i], QDI_NODE_CURSOR))
            return qd_err_set(err, QD_E_ARG, "blended clauses must be terms");
    if (plan_of(x)->n == 0) {
        x->type = &qdi_node_match_none;
    } else if (plan_of(x)->n == 1) {
        qdi_plan_become(x, plan_of(x)->kids[0]);
    } else if (!a.scores) { /* only documents: a disjunction */
        qdi_node **kids = plan_of(x)->kids;
        uint32_t m = plan_of(x)->n;
        x->type = &qdi_node_bool;
        memset(&x->u, 0, sizeof x->u);
        x->u.b.should = kids;
        x->u.b.nshould = m;
        x->u.b.min_should = 1;
        return qdi_bool_flatten(p, x, err);
    }
    return 0;
}

/*
 * Elasticsearch's BlendedTermQuery over one word in several fields: document frequencies are raised
 * to the greatest one (falling ones counted up by one at each step, so that the order of fields by
 * frequency still shows), within the least number of tokens of the fields.
 */
static int weigh_blended(qd_plan *p, qdi_node *x, qd_err *err)
{
    uint32_t n = plan_of(x)->n;
    uint32_t *order = qd_arena_alloc(p->arena, n * sizeof *order);
    if (!order) return qd_err_nomem(err, "query plan");
    uint64_t most = 0, max_doc = qd_searcher_docs(p->searcher), least_ttf = UINT64_MAX;
    for (uint32_t i = 0; i < n; i++) {
        qdi_term_stats s = qdi_term_stats_of(p, plan_of(x)->kids[i]->u.term);
        most = s.df > most ? s.df : most;
        if (s.ttf > 0 && s.sum_ttf < least_ttf) least_ttf = s.sum_ttf;
        uint32_t j = i; /* by document frequency, falling; stable */
        for (; j && qdi_term_stats_of(p, plan_of(x)->kids[order[j - 1]]->u.term).df < s.df; j--)
            order[j] = order[j - 1];
        order[j] = i;
    }
    if (max_doc > least_ttf) max_doc = least_ttf;
    uint64_t df = most < max_doc ? most : max_doc;
    uint64_t before = n ? qdi_term_stats_of(p, plan_of(x)->kids[order[0]]->u.term).df : 0;
    for (uint32_t i = 0; i < n; i++) {
        qdi_node *c = plan_of(x)->kids[order[i]];
        qdi_term_stats s = qdi_term_stats_of(p, c->u.term);
        if (s.df && before > s.df) df++;
        before = s.df;
        uint64_t use = s.df ? (df < max_doc ? df : max_doc) : 0;
        int rc = qdi_weigh_stats(p, c, c->u.term->field, &s,
                                 qdi_idf(use, s.docs > use ? s.docs : use), err);
        if (rc) return rc;
    }
    return 0;
}

static int weigh(qd_plan *p, qdi_node *x, qd_err *err)
{
    if (plan_of(x)->blended && x->scores) {
        int rc = weigh_blended(p, x, err);
        if (rc) return rc;
    }
    return qdi_weigh_list(p, plan_of(x)->kids, plan_of(x)->n, err);
}

static int plan(qdi_run *r, const qdi_node *x, qdi_lnode *l, qd_err *err)
{
    bool ignored = false;
    l->u.own = qd_arena_calloc(r->arena, sizeof(dis_max_leaf));
    if (!l->u.own) return qd_err_nomem(err, "search");
    dis_max_leaf *y = l->u.own;
    y->kids = qd_arena_calloc(r->arena, (plan_of(x)->n + 1) * sizeof(qdi_lnode *));
    if (!y->kids) return qd_err_nomem(err, "search");
    int rc = qdi_leaf_plan_list(r, plan_of(x)->kids, plan_of(x)->n, y->kids, &y->n, &ignored, err);
    if (rc || !y->n) return rc;
    l->type = &qdi_node_dis_max;
    y->tie = plan_of(x)->tie;
    for (uint32_t i = 0; i < y->n; i++) l->cost += y->kids[i]->cost;
    y->acc = qdi_scratch_calloc(r->scratch, QDI_WINDOW * sizeof(double));
    y->others = qdi_scratch_calloc(r->scratch, QDI_WINDOW * sizeof(double));
    y->max = qdi_scratch_calloc(r->scratch, QDI_WINDOW * sizeof(float));
    return y->acc && y->others && y->max ? 0 : qd_err_nomem(err, "search");
}

static void ready(qdi_lnode *l)
{
    const dis_max_leaf *y = leaf_of(l);
    for (uint32_t i = 0; i < y->n; i++) qdi_leaf_ready(y->kids[i]);
}

static uint32_t next(qdi_run *r, qdi_lnode *l, uint32_t from)
{
    const dis_max_leaf *y = leaf_of(l);
    return qdi_next_least(r, y->kids, y->n, from);
}

static float bound(qdi_run *r, qdi_lnode *l, uint32_t from, uint32_t to)
{
    const dis_max_leaf *y = leaf_of(l);
    double s = 0, m = 0;
    for (uint32_t i = 0; i < y->n; i++) {
        double x = qdi_bound(r, y->kids[i], from, to);
        s += x;
        m = x > m ? x : m;
    }
    return qdi_bound_up(m + (s - m) * y->tie);
}

/* Lucene's DisjunctionMaxScorer: max + tie * sum of the others, the sum in double. */
static int fill(qdi_run *r, qdi_lnode *l, const qdi_win *w, const uint64_t *cand, uint64_t *out,
                double *acc, qd_err *err)
{
    const dis_max_leaf *y = leaf_of(l);
    uint64_t o[QDI_WINDOW_WORDS];
    double *own = y->acc, *others = y->others;
    float *max = y->max;
    int rc = 0;
    memset(out, 0, w->words * sizeof *out);
    for (uint32_t k = 0; k < y->n && !rc; k++) {
        rc = qdi_fill(r, y->kids[k], w, cand, o, acc ? own : NULL, err);
        if (rc) break;
        for (uint32_t i = 0; i < w->words; i++) {
            out[i] |= o[i];
            for (uint64_t x = acc ? o[i] : 0; x; x &= x - 1) {
                uint32_t at = i * 64 + (uint32_t)__builtin_ctzll(x);
                float s = (float)own[at];
                own[at] = 0;
                if (s >= max[at]) {
                    others[at] += (double)max[at];
                    max[at] = s;
                } else {
                    others[at] += (double)s;
                }
            }
        }
    }
    for (uint32_t i = 0; acc && i < w->words; i++)
        for (uint64_t x = out[i]; x; x &= x - 1) {
            uint32_t at = i * 64 + (uint32_t)__builtin_ctzll(x);
            acc[at] += (double)(float)((double)max[at] + others[at] * (double)y->tie);
            max[at] = 0;
            others[at] = 0;
        }
    return rc;
}

const qd_node_type qdi_node_dis_max = {.name = "dis_max",
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
                                       .fill = fill};
