/*
 * nested.c: documents by their nested ones. The child is planned for the searcher of the nested
 * documents and filled window by window over those of the window above. Scores as Lucene's
 * ToParentBlockJoinQuery makes them: gathered in double, rounded once.
 */
#include "search/nested.h"
#include "search/fetch/explain_int.h"
#include "search/leaf/window_int.h"
#include "search/nodes/nodes_int.h"
#include <math.h>

typedef struct nested_plan {
    qd_plan *plan; /* of the nested documents */
    qd_nested_level level;
    qd_nested_score score;
} nested_plan;

typedef struct nested_leaf {
    qdi_run *run; /* of the nested documents */
    qd_nested_counts counts;
    qd_nested_score score;
    uint32_t *firsts; /* of a window, and one more */
    double *sum;      /* window, zero between uses */
    uint32_t *count;  /* window, zero between uses */
} nested_leaf;

static void describe(const qd_node *n, bool in_bool, qd_buf *to)
{
    (void)in_bool;
    qdi_put(to, "ToParentBlockJoinQuery (");
    qdi_describe(n->u.nested.child, false, to);
    qdi_put(to, ")");
}

/* --- the plan --------------------------------------------------------------------------------- */

/* The child under the boosts above. */
static int boosted(qd_plan *p, const qd_node *child, float boost, const qd_node **out, qd_err *err)
{
    *out = child;
    if (boost == 1) return 0;
    qd_node *b = qd_node_make(p->arena, QD_NATIVE_BOOST);
    if (!b) return qd_err_nomem(err, "query plan");
    b->boost = boost;
    b->u.child = child;
    *out = b;
    return 0;
}

static int compile(qd_plan *p, const qd_node *n, qdi_above a, qdi_node **out, qd_err *err)
{
    const qd_node_nested *q = &n->u.nested;
    bool scores = a.scores && q->score != QD_NESTED_NONE;
    qdi_node *x = qdi_plan_node(p, &qdi_node_match_none, n, a.boost, scores, err);
    nested_plan *y = qd_arena_calloc(p->arena, sizeof *y);
    const qd_node *child;
    if (!x || !y) return qd_err_nomem(err, "query plan");
    *out = x;
    bool found;
    int rc = qd_nested_level_open(p->searcher, q->paths, q->n, p->arena, &y->level, &found, err);
    if (rc || !found) return rc;
    qd_searcher *s = y->level.views[q->n - 1]->searcher;
    qd_plan_options o = p->o;
    o.no_scores = !scores;
    o.depth = a.depth + 1;
    rc = boosted(p, q->child, a.boost, &child, err);
    if (!rc) rc = qd_plan_make(s, child, &o, p->arena, &y->plan, err);
    if (rc) return rc;
    y->plan->next = p->nested;
    p->nested = y->plan;
    y->score = scores ? q->score : QD_NESTED_NONE;
    x->u.own = y;
    if (!qd_plan_is_empty(y->plan)) x->type = &qdi_node_nested;
    return 0;
}

/* --- a segment -------------------------------------------------------------------------------- */

static nested_leaf *leaf_of(const qdi_lnode *l)
{
    return l->u.own;
}

/* qd_nested_first of the documents of a window and of the one behind it. */
static void firsts_of(const nested_leaf *y, const qdi_win *w)
{
    uint32_t k = w->to - w->from;
    qd_children_firsts(y->counts.children, w->from, k, y->firsts);
    for (uint32_t i = 1; i < y->counts.n; i++) {
        uint32_t last = UINT32_MAX, first = 0;
        for (uint32_t d = 0; d <= k; d++) {
            if (y->firsts[d] != last)
                first = qd_children_first(&y->counts.children[i], y->firsts[d]);
            last = y->firsts[d];
            y->firsts[d] = first;
        }
    }
}

static int make_leaf(qdi_run *r, const nested_plan *x, nested_leaf **out, qd_err *err)
{
    nested_leaf *y = qd_arena_calloc(r->arena, sizeof *y);
    qd_reads *reads = qd_reads_make(r->arena, r->plan->account);
    if (!y || !reads) return qd_err_nomem(err, "search");
    y->firsts = qdi_scratch_alloc(r->scratch, (QDI_WINDOW + 1) * sizeof *y->firsts);
    y->sum = qdi_scratch_calloc(r->scratch, QDI_WINDOW * sizeof *y->sum);
    y->count = qdi_scratch_calloc(r->scratch, QDI_WINDOW * sizeof *y->count);
    y->score = x->score;
    *out = y;
    if (!y->firsts || !y->sum || !y->count) return qd_err_nomem(err, "search");
    int rc = qd_nested_counts_make(&y->counts, x->level.n, r->arena, err);
    return rc ? rc : qd_nested_counts_read(&y->counts, &x->level, r->leaf, reads, err);
}

static int plan(qdi_run *r, const qdi_node *x, qdi_lnode *l, qd_err *err)
{
    const nested_plan *p = x->u.own;
    const qd_leaf *leaf = qd_nested_level_leaf(&p->level, r->leaf);
    nested_leaf *y = NULL;
    qdi_below *below;
    if (!leaf) return 0;
    int rc = qdi_run_below(r, p->plan, leaf, l->scores, &below, err);
    if (rc || qdi_leaf_can(below->run.root, QDI_NODE_NOTHING)) return rc;
    rc = make_leaf(r, p, &y, err);
    if (rc) return rc;
    y->run = &below->run;
    l->u.own = y;
    l->type = &qdi_node_nested;
    l->cost = below->run.root->cost < r->ndocs ? below->run.root->cost : r->ndocs;
    return 0;
}

static uint32_t next(qdi_run *r, qdi_lnode *l, uint32_t from)
{
    const nested_leaf *y = leaf_of(l);
    (void)r;
    uint32_t child = qdi_next(y->run, y->run->root, qd_nested_first(&y->counts, 0, from));
    if (child >= y->run->ndocs) return QD_NO_DOC;
    uint32_t doc = qd_nested_parent(&y->counts, 0, child);
    return doc > from ? doc : from;
}

static float bound(qdi_run *r, qdi_lnode *l, uint32_t from, uint32_t to)
{
    const nested_leaf *y = leaf_of(l);
    (void)r;
    uint32_t a = qd_nested_first(&y->counts, 0, from), b = qd_nested_first(&y->counts, 0, to);
    if (a == b || y->score == QD_NESTED_NONE) return 0;
    double most = qdi_bound(y->run, y->run->root, a, b);
    return qdi_bound_up(y->score == QD_NESTED_SUM ? most * (b - a) : most);
}

/* The nested documents of candidates that lie in the window c, as a bitmap; false: none does. From
 * *at on, which is moved to the first document above that reaches behind it. */
static bool candidates(const nested_leaf *y, const qdi_win *w, const uint64_t *cand,
                       const qdi_win *c, uint32_t *at, uint64_t *out)
{
    uint32_t n = w->to - w->from, d = *at;
    bool any = false;
    memset(out, 0, QDI_WINDOW_WORDS * sizeof *out);
    for (; d < n; d++) {
        uint32_t a = y->firsts[d], b = y->firsts[d + 1];
        if (a >= c->to) break;
        if (a < b && (cand[d >> 6] >> (d & 63) & 1)) {
            uint32_t from = a > c->from ? a : c->from, to = b < c->to ? b : c->to;
            for (uint32_t k = from; k < to; k++) {
                uint32_t bit = k - c->from;
                out[bit >> 6] |= 1ull << (bit & 63);
            }
            any |= from < to;
        }
        if (b > c->to) break;
    }
    *at = d;
    return any;
}

static void add_score(const nested_leaf *y, uint32_t d, double s)
{
    if (y->count[d]++ == 0)
        y->sum[d] = s;
    else if (y->score == QD_NESTED_MIN)
        y->sum[d] = fmin(y->sum[d], s);
    else if (y->score == QD_NESTED_MAX)
        y->sum[d] = fmax(y->sum[d], s);
    else
        y->sum[d] += s;
}

/* What matched among the nested documents of c, for those above: *at as before. */
static void lift(const nested_leaf *y, const qdi_win *w, const qdi_win *c, const uint64_t *hits,
                 uint32_t *at, uint64_t *out, double *scores)
{
    uint32_t n = w->to - w->from, d = *at;
    for (uint32_t i = 0; i < c->words; i++)
        for (uint64_t x = hits[i]; x; x &= x - 1) {
            uint32_t bit = i * 64 + (uint32_t)__builtin_ctzll(x), child = c->from + bit;
            while (d + 1 < n && y->firsts[d + 1] <= child) d++;
            out[d >> 6] |= 1ull << (d & 63);
            if (!scores) continue;
            add_score(y, d, (double)(float)scores[bit]);
            scores[bit] = 0;
        }
    *at = d;
}

static void give_scores(const nested_leaf *y, const qdi_win *w, const uint64_t *out, double *acc)
{
    for (uint32_t i = 0; i < w->words; i++)
        for (uint64_t x = out[i]; x; x &= x - 1) {
            uint32_t d = i * 64 + (uint32_t)__builtin_ctzll(x);
            double s = y->score == QD_NESTED_AVG ? y->sum[d] / y->count[d] : y->sum[d];
            acc[d] += (double)(float)s;
            y->sum[d] = 0;
            y->count[d] = 0;
        }
}

/* A window's nested documents end where the next one's begin: windows below are cut there, so that
 * what goes forward alone is asked for each of them once. */
static int fill(qdi_run *r, qdi_lnode *l, const qdi_win *w, const uint64_t *cand, uint64_t *out,
                double *acc, qd_err *err)
{
    const nested_leaf *y = leaf_of(l);
    qdi_run *run = y->run;
    uint64_t in[QDI_WINDOW_WORDS], hits[QDI_WINDOW_WORDS];
    double *scores = acc && run->root->scores ? run->scratch->acc : NULL;
    uint32_t n = w->to - w->from, put = 0, lifted = 0;
    int rc = 0;
    (void)r;
    memset(out, 0, w->words * sizeof *out);
    firsts_of(y, w);
    uint32_t end = y->firsts[n], from = qdi_next(run, run->root, y->firsts[0]);
    while (from < end && !rc) {
        qdi_win c = {.from = from & ~(QDI_WINDOW - 1)};
        c.to = end - c.from > QDI_WINDOW ? c.from + QDI_WINDOW : end;
        c.words = (c.to - c.from + 63) / 64;
        rc = qdi_run_tick(run);
        if (!rc && candidates(y, w, cand, &c, &put, in)) {
            rc = qdi_fill(run, run->root, &c, in, hits, scores, err);
            if (!rc) lift(y, w, &c, hits, &lifted, out, scores);
        }
        from = c.to < end ? qdi_next(run, run->root, c.to) : end;
    }
    if (acc && scores && !rc) give_scores(y, w, out, acc);
    if (rc && scores) memset(scores, 0, QDI_WINDOW * sizeof *scores);
    return rc;
}

/* --- explanation ------------------------------------------------------------------------------ */

typedef struct nested_found {
    uint32_t first, end, n; /* nested documents, and how many match */
    uint32_t best;          /* global, of the searcher of nested documents */
    float score;
} nested_found;

/* The nested documents of the one that is explained, and the best match. */
static int find_best(qdi_explaining *x, const qd_node *n, float boost, const qd_nested_level *l,
                     nested_found *f)
{
    qd_plan *p;
    const qd_leaf *leaf = qd_nested_level_leaf(l, x->leaf);
    qd_node *b = qd_node_make(x->arena, QD_NATIVE_BOOST);
    qd_reads *reads = qd_reads_make(x->arena, x->arena->account);
    qd_nested_counts c;
    if (!b || !reads) return qd_err_nomem(x->err, "explanation");
    if (!leaf) return 0;
    b->boost = boost;
    b->u.child = n->u.nested.child;
    int rc = qd_nested_counts_make(&c, l->n, x->arena, x->err);
    if (!rc) rc = qd_nested_counts_read(&c, l, x->leaf, reads, x->err);
    if (!rc) f->first = qd_nested_first(&c, 0, x->local);
    if (!rc) f->end = qd_nested_first(&c, 0, x->local + 1);
    qd_reads_release(reads);
    if (!rc) rc = qd_plan_make(l->views[l->n - 1]->searcher, b, x->o, x->arena, &p, x->err);
    for (uint32_t d = f->first; !rc && d < f->end; d++) {
        uint64_t bit = 0;
        float score = 0;
        uint32_t doc = leaf->base + d;
        rc = qd_plan_test(p, &doc, 1, &bit, &score, x->err);
        if (!(bit & 1)) continue;
        if (f->n++ == 0 || score > f->score) {
            f->best = doc;
            f->score = score;
        }
    }
    return rc;
}

static qd_explanation *explain_best(qdi_explaining *x, const qd_node *n, float boost,
                                    qd_searcher *s, uint32_t doc)
{
    const qd_leaf *leaf = qd_searcher_leaf_of(s, doc);
    qdi_explaining below = *x;
    below.s = s;
    below.doc = doc;
    below.leaf = leaf;
    below.local = doc - leaf->base;
    qd_explanation *e = qdi_explain_node(&below, n->u.nested.child, boost);
    x->rc = below.rc;
    return e;
}

static qd_explanation *explain(qdi_explaining *x, const qd_node *n, float boost, bool match,
                               float score)
{
    static const char *const modes[] = {"Avg", "Total", "Min", "Max", "None"};
    const qd_node_nested *q = &n->u.nested;
    qd_nested_level l;
    nested_found f = {0};
    bool found;
    x->rc = qd_nested_level_open(x->s, q->paths, q->n, x->arena, &l, &found, x->err);
    if (!x->rc && found) x->rc = find_best(x, n, boost, &l, &f);
    if (x->rc) return NULL;
    if (!match || f.n == 0) return qdi_explain_make(x, false, 0, QD_STR("Not a match"));
    qd_explanation *e = qdi_explain_make(
        x, true, n->u.nested.score == QD_NESTED_NONE ? 0 : score,
        qd_arena_printf(x->arena,
                        "Score based on %u child docs in range from %u to %u, using score mode %s",
                        f.n, f.first, f.end - 1, modes[n->u.nested.score]));
    qdi_explain_add(x, e, explain_best(x, n, boost, l.views[l.n - 1]->searcher, f.best));
    return e;
}

const qd_node_type qdi_node_nested = {.name = "nested",
                                      .describe = describe,
                                      .explain = explain,
                                      .compile = compile,
                                      .plan = plan,
                                      .next = next,
                                      .bound = bound,
                                      .fill = fill};
