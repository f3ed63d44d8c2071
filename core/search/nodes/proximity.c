/*
 * proximity.c: words at places: span queries and intervals. Documents that have the words come
 * first, by bitmaps of a window; then the places of each candidate (leaf/prox_eval.c). Spans score
 * as a phrase of all their words, of as many occurrences as their places count; intervals by
 * freq / (freq + 1), without statistics.
 */
#include "query/prox.h"
#include "search/fetch/explain_int.h"
#include "search/highlight/highlight_int.h"
#include "search/leaf/own_int.h"
#include "search/leaf/prox_int.h"
#include "search/nodes/nodes_int.h"
#include <math.h>

/* Of a plan: the tree with its terms. */
typedef struct prox_plan {
    const qd_prox *from;
    qdi_term **terms;
    uint32_t n;
    struct prox_plan **sub;
} prox_plan;

typedef struct proximity_plan {
    qdi_field *field; /* that scores */
    prox_plan *root;
    qdi_term **terms; /* all of them, each once */
    bool *counts;     /* by term: for the score, unlike those of what is excluded only */
    uint32_t n, cap;
    bool intervals;
} proximity_plan;

/* Of a segment. */
typedef struct proximity_leaf {
    qdi_prox *root;
    qdi_cur **curs; /* by term of the plan; NULL: not there */
    int32_t extent;
    float w;
    const float *ninv;
    const qdi_scorer *scorer;
    struct qdi_norms *of;
    const uint8_t *norms;
    uint32_t norm_mask;
    bool intervals;
} proximity_leaf;

/* --- describing --------------------------------------------------------------------------------
 */

static const char *const names[] = {
    [QD_PROX_NONE] = "SpanMatchNoDocsQuery(",
    [QD_PROX_OR] = "spanOr([",
    [QD_PROX_NEAR] = "spanNear([",
    [QD_PROX_ANY_ORDER] = "spanNear([",
    [QD_PROX_NOT] = "spanNot(",
    [QD_PROX_FIRST] = "spanFirst(",
    [QD_PROX_CONTAINING] = "SpanContain(",
    [QD_PROX_WITHIN] = "SpanWithin(",
    [QD_PROX_PHRASE] = "BLOCK(",
    [QD_PROX_ORDERED] = "ORDERED(",
    [QD_PROX_UNORDERED] = "UNORDERED(",
    [QD_PROX_REPEAT] = "REPEAT(",
    [QD_PROX_MAX_GAPS] = "MAXGAPS/",
    [QD_PROX_EXTEND] = "EXTEND(",
    [QD_PROX_HOLDS] = "CONTAINING(",
    [QD_PROX_INSIDE] = "CONTAINED_BY(",
    [QD_PROX_OVERLAPS] = "OVERLAPPING(",
    [QD_PROX_BEFORE] = "BEFORE(",
    [QD_PROX_AFTER] = "AFTER(",
    [QD_PROX_NOT_HOLDS] = "NOT_CONTAINING(",
    [QD_PROX_NOT_INSIDE] = "NOT_CONTAINED_BY(",
    [QD_PROX_NOT_OVERLAPS] = "NON_OVERLAPPING(",
};

static void put_numbers(const qd_prox *x, qd_buf *to)
{
    if (x->kind == QD_PROX_NEAR || x->kind == QD_PROX_ANY_ORDER) {
        qdi_put(to, "], ");
        qdi_put_int(to, x->a);
        qdi_put(to, x->kind == QD_PROX_NEAR ? ", true" : ", false");
    } else if (x->kind == QD_PROX_NOT || x->kind == QD_PROX_EXTEND) {
        qdi_put(to, x->kind == QD_PROX_NOT ? ", " : ",");
        qdi_put_int(to, x->a);
        qdi_put(to, x->kind == QD_PROX_NOT ? ", " : ",");
        qdi_put_int(to, x->b);
    } else if (x->kind == QD_PROX_FIRST) {
        qdi_put(to, ", ");
        qdi_put_int(to, x->a);
    }
}

static void put_prox(const qd_prox *x, bool intervals, qd_buf *to)
{
    bool list = x->kind == QD_PROX_OR || x->kind == QD_PROX_NEAR || x->kind == QD_PROX_ANY_ORDER;
    if (x->kind == QD_PROX_TERM) {
        if (!intervals) qdi_put_field(to, x->field);
        qdi_put_str(to, x->term);
        return;
    }
    if (x->kind == QD_PROX_MULTI) {
        if (!intervals) qdi_put(to, "SpanMultiTermQueryWrapper(");
        qdi_describe(x->multi, true, to);
        if (!intervals) qdi_put(to, ")");
        return;
    }
    if (x->kind == QD_PROX_GAP) {
        qdi_put(to, "SpanGap(");
        qdi_put_field(to, x->field);
        qdi_put_int(to, x->a);
        qdi_put(to, ")");
        return;
    }
    if (x->kind == QD_PROX_NONE && intervals) {
        qdi_put(to, "NOMATCH(no terms)");
        return;
    }
    qdi_put(to, intervals && x->kind == QD_PROX_OR ? "or(" : names[x->kind]);
    if (x->kind == QD_PROX_MAX_GAPS) {
        qdi_put_int(to, x->a);
        qdi_put(to, "(");
    }
    for (uint32_t i = 0; i < x->n; i++) {
        if (i) qdi_put(to, intervals ? "," : ", ");
        put_prox(x->sub[i], intervals, to);
    }
    put_numbers(x, to);
    qdi_put(to, list && x->kind == QD_PROX_OR && !intervals ? "])" : ")");
}

static void describe(const qd_node *n, bool in_bool, qd_buf *to)
{
    const qd_node_prox *p = n->u.prox;
    (void)in_bool;
    if (p->intervals) qdi_put_field(to, p->field);
    put_prox(p->root, p->intervals, to);
}

/* --- highlighting ------------------------------------------------------------------------------
 */

static int gather(qdi_gather *g, const qd_prox *x, float boost)
{
    int rc = 0;
    if (x->kind == QD_PROX_TERM && qdi_highlight_wants(g, x->of)) {
        qdi_highlight_term(g, x->term);
        qdi_highlight_flat(g, HIGHLIGHT_FLAT_TERM, x->term, 0, boost);
    }
    if (x->kind == QD_PROX_MULTI) return qdi_node_type_of(x->multi)->matches(g, x->multi, boost);
    uint32_t n = x->kind == QD_PROX_NOT || x->kind >= QD_PROX_NOT_HOLDS ? 1 : x->n;
    for (uint32_t i = 0; i < n && !rc; i++) rc = gather(g, x->sub[i], boost);
    return rc;
}

static int matches(qdi_gather *g, const qd_node *n, float boost)
{
    return gather(g, n->u.prox->root, boost);
}

/* --- the plan ----------------------------------------------------------------------------------
 */

static int remember(qd_plan *p, proximity_plan *all, qdi_term *t, bool counts, qd_err *err)
{
    for (uint32_t i = 0; i < all->n; i++)
        if (all->terms[i] == t) {
            all->counts[i] |= counts;
            return 0;
        }
    if (all->n == all->cap) {
        uint32_t cap = 2 * all->cap + 16;
        qdi_term **more = qd_arena_alloc(p->arena, cap * sizeof *more);
        bool *counted = qd_arena_alloc(p->arena, cap * sizeof *counted);
        if (!more || !counted) return qd_err_nomem(err, "query plan");
        if (all->n) memcpy(more, all->terms, all->n * sizeof *more);
        if (all->n) memcpy(counted, all->counts, all->n * sizeof *counted);
        all->terms = more;
        all->counts = counted;
        all->cap = cap;
    }
    all->counts[all->n] = counts;
    all->terms[all->n++] = t;
    return 0;
}

static int plan_terms(qd_plan *p, proximity_plan *all, prox_plan *y, bool counts, qd_err *err)
{
    const qd_prox *x = y->from;
    if (x->kind == QD_PROX_MULTI) {
        int rc = qdi_expand_terms(p, x->multi, (uint32_t)x->a, &y->terms, &y->n, err);
        if (rc) return rc;
    } else if (x->kind == QD_PROX_TERM) {
        qdi_field *f = qdi_plan_field(p, x->of, err);
        y->terms = qd_arena_alloc(p->arena, sizeof *y->terms);
        if (!f || !y->terms) return qd_err_nomem(err, "query plan");
        y->terms[0] = qdi_plan_term(p, f, x->term, NULL, err);
        if (!y->terms[y->n++]) return QD_E_NOMEM;
    }
    int rc = 0;
    for (uint32_t i = 0; i < y->n && !rc; i++) rc = remember(p, all, y->terms[i], counts, err);
    return rc;
}

static int plan_prox(qd_plan *p, proximity_plan *all, const qd_prox *x, uint32_t depth, bool counts,
                     prox_plan **out, qd_err *err)
{
    prox_plan *y = qd_arena_calloc(p->arena, sizeof *y);
    if (depth > QD_PROX_DEPTH_MAX)
        return qd_err_set(err, QD_E_LIMIT, "spans or intervals are nested more than %u deep",
                          QD_PROX_DEPTH_MAX);
    if (!y) return qd_err_nomem(err, "query plan");
    *out = y;
    y->from = x;
    y->sub = qd_arena_calloc(p->arena, ((size_t)x->n + 1) * sizeof *y->sub);
    if (!y->sub) return qd_err_nomem(err, "query plan");
    int rc = plan_terms(p, all, y, counts, err);
    for (uint32_t i = 0; i < x->n && !rc; i++)
        rc = plan_prox(p, all, x->sub[i], depth + 1, counts && !(i && x->kind == QD_PROX_NOT),
                       &y->sub[i], err);
    return rc;
}

static int compile(qd_plan *p, const qd_node *n, qdi_above a, qdi_node **out, qd_err *err)
{
    const qd_node_prox *from = n->u.prox;
    proximity_plan *own = qd_arena_calloc(p->arena, sizeof *own);
    qdi_node *x = own ? qdi_plan_node(p, &qdi_node_proximity, n, a.boost, a.scores, err) : NULL;
    if (!x) return qd_err_nomem(err, "query plan");
    *out = x;
    x->u.own = own;
    own->intervals = from->intervals;
    own->field = qdi_plan_field(p, from->field, err);
    if (!own->field) return QD_E_NOMEM;
    int rc = plan_prox(p, own, from->root, 1, true, &own->root, err);
    if (!rc && !own->n) x->type = &qdi_node_match_none;
    return rc;
}

/* As of a phrase: the sum of the idfs of all words, each once, by the statistics of the field that
 * the places are said to be of. */
static int weigh(qd_plan *p, qdi_node *x, qd_err *err)
{
    const proximity_plan *own = x->u.own;
    if (!x->scores || own->intervals) return 0;
    qdi_term_stats *s = qd_arena_alloc(p->arena, ((size_t)own->n + 1) * sizeof *s);
    qdi_term_stats any = {.own = true};
    double sum = 0;
    uint32_t n = 0;
    if (!s) return qd_err_nomem(err, "query plan");
    for (uint32_t i = 0; i < own->n; i++) {
        if (!own->counts[i]) continue;
        qdi_term_stats st = qdi_term_stats_of(p, own->terms[i]);
        if (own->terms[i]->field != own->field) {
            st.docs = own->field->stats.doc_count > st.df ? own->field->stats.doc_count : st.df;
            st.sum_ttf = own->field->stats.sum_total_term_freq;
            st.own = true;
        }
        any.docs = st.docs > any.docs ? st.docs : any.docs;
        any.sum_ttf = st.sum_ttf;
        any.own = any.own && st.own;
        if (st.df) sum += (double)qdi_idf(st.df, st.docs);
        s[n] = st;
        n += st.df > 0;
    }
    if (qdi_scores_own(own->field)) return qdi_weigh_own(p, x, own->field, s, n, err);
    return qdi_weigh_stats(p, x, own->field, &any, (float)sum, err);
}

/* --- a segment ---------------------------------------------------------------------------------
 */

static void give_back(void *arg)
{
    qdi_prox_free(((proximity_leaf *)arg)->root);
}

static uint32_t term_number(const proximity_plan *own, const qdi_term *t)
{
    uint32_t i = 0;
    while (own->terms[i] != t) i++;
    return i;
}

static int leaf_prox(qdi_run *r, const proximity_plan *own, proximity_leaf *l, const prox_plan *y,
                     qdi_prox **out, qd_err *err)
{
    uint32_t n = y->from->n;
    qdi_prox *x = qd_arena_calloc(r->arena, sizeof *x);
    if (!x) return qd_err_nomem(err, "search");
    x->kind = y->from->kind;
    x->a = y->from->a;
    x->b = y->from->b;
    x->n = n;
    x->intervals = own->intervals;
    x->curs = qd_arena_calloc(r->arena, ((size_t)y->n + 1) * sizeof *x->curs);
    x->sub = qd_arena_calloc(r->arena, ((size_t)n + 1) * sizeof *x->sub);
    x->step = qd_arena_calloc(r->arena, ((size_t)n + 1) * sizeof *x->step);
    x->heap = qd_arena_calloc(r->arena, ((size_t)n + 1) * sizeof *x->heap);
    if (!x->curs || !x->sub || !x->step || !x->heap) return qd_err_nomem(err, "search");
    for (uint32_t i = 0; i < y->n; i++) {
        qdi_cur *c = l->curs[term_number(own, y->terms[i])];
        if (c) x->curs[x->ncurs++] = c;
    }
    *out = x;
    int rc = 0;
    for (uint32_t i = 0; i < n && !rc; i++) rc = leaf_prox(r, own, l, y->sub[i], &x->sub[i], err);
    return rc;
}

static int no_positions(const qdi_term *t, bool intervals, qd_err *err)
{
    if (intervals)
        return qd_err_set(err, QD_E_ARG,
                          "Cannot create intervals over field [%.*s] with no positions indexed",
                          QD_STR_ARG(t->field->name));
    return qd_err_set(err, QD_E_STATE,
                      "field \"%.*s\" was indexed without position data; cannot run SpanTermQuery "
                      "(term=%.*s)",
                      QD_STR_ARG(t->field->name), QD_STR_ARG(t->text));
}

static int leaf_cursors(qdi_run *r, const proximity_plan *own, const qdi_node *x, qdi_lnode *l,
                        proximity_leaf *pl, qd_err *err)
{
    pl->curs = qd_arena_calloc(r->arena, ((size_t)own->n + 1) * sizeof *pl->curs);
    if (!pl->curs) return qd_err_nomem(err, "search");
    for (uint32_t i = 0; i < own->n; i++) {
        const qd_term *t = qdi_leaf_term(r, own->terms[i]);
        if (!t) continue;
        uint32_t f = own->terms[i]->field->number[r->leaf->index];
        if (qd_segment_field(r->leaf->segment, f)->index < QD_INDEX_POSITIONS)
            return no_positions(own->terms[i], own->intervals, err);
        int rc =
            qdi_leaf_cursor(r, own->terms[i], false, true, x->weight, x->ninv, &pl->curs[i], err);
        if (rc) return rc;
        l->cost += t->df;
    }
    return 0;
}

static int plan(qdi_run *r, const qdi_node *x, qdi_lnode *l, qd_err *err)
{
    const proximity_plan *own = x->u.own;
    proximity_leaf *pl = qd_arena_calloc(r->arena, sizeof *pl);
    if (!pl) return qd_err_nomem(err, "search");
    int rc = leaf_cursors(r, own, x, l, pl, err);
    if (rc || !l->cost) return rc;
    rc = leaf_prox(r, own, pl, own->root, &pl->root, err);
    if (rc) return rc;
    if (qd_arena_on_reset(r->arena, give_back, pl)) return qd_err_nomem(err, "search");
    pl->intervals = own->intervals;
    pl->extent = own->root->from->extent;
    pl->w = own->intervals ? l->boost : x->weight;
    pl->ninv = x->ninv;
    pl->scorer = l->scores ? x->scorer : NULL;
    if (l->scores && !own->intervals && own->field->number[r->leaf->index] != QD_FIELD_NONE)
        rc = qdi_leaf_norms(r, own->field, &pl->of, err);
    l->u.own = pl;
    l->type = &qdi_node_proximity;
    return rc;
}

static void ready(qdi_lnode *l)
{
    static const uint8_t one = 1;
    proximity_leaf *pl = l->u.own;
    pl->norms = &one;
    if (pl->of) pl->norms = qdi_norms_at(pl->of, &pl->norm_mask);
}

static uint32_t next(qdi_run *r, qdi_lnode *l, uint32_t from)
{
    (void)r;
    const proximity_leaf *pl = l->u.own;
    for (;;) {
        uint32_t d = qdi_prox_next(pl->root, from);
        if (d == from || d == QD_NO_DOC) return d;
        from = d;
    }
}

static float bound(qdi_run *r, qdi_lnode *l, uint32_t from, uint32_t to)
{
    (void)r, (void)from, (void)to;
    const proximity_leaf *pl = l->u.own;
    return pl->scorer ? pl->scorer->max : pl->w;
}

static float score(const proximity_leaf *pl, float freq, uint32_t d)
{
    if (pl->intervals) return pl->w * (1.0f - 1.0f / (1.0f + freq));
    return qdi_score(pl->w, freq, pl->ninv[pl->norms[d & pl->norm_mask]]);
}

static int fill(qdi_run *r, qdi_lnode *l, const qdi_win *w, const uint64_t *cand, uint64_t *out,
                double *acc, qd_err *err)
{
    uint64_t c[QDI_WINDOW_WORDS];
    const proximity_leaf *pl = l->u.own;
    qdi_own_batch b = {.scorer = pl->scorer, .norms = pl->norms, .norm_mask = pl->norm_mask};
    qdi_prox_candidates(r, pl->root, w, cand, c);
    memset(out, 0, w->words * sizeof *out);
    for (uint32_t i = 0; i < w->words; i++) {
        int rc = c[i] ? qdi_run_tick(r) : 0;
        if (rc) return rc;
        for (uint64_t x = c[i]; x; x &= x - 1) {
            uint32_t at = i * 64 + (uint32_t)__builtin_ctzll(x), d = w->from + at;
            rc = qdi_prox_eval(r, pl->root, d, err);
            if (rc) return rc;
            if (!pl->root->len) continue;
            out[i] |= 1ull << (at & 63);
            if (!acc) continue;
            float freq = qdi_prox_freq(pl->root, pl->extent);
            if (pl->scorer)
                qdi_own_add(&b, d, freq, w, acc);
            else
                acc[at] += (double)score(pl, freq, d);
        }
    }
    if (b.n) qdi_own_flush(&b, w, acc);
    return 0;
}

/* --- explaining --------------------------------------------------------------------------------
 */

static qd_explanation *explain(qdi_explaining *x, const qd_node *n, float boost, bool match,
                               float value)
{
    if (!match) return qdi_explain_make(x, false, 0, QD_STR("no matching spans or intervals"));
    (void)boost;
    return qdi_explain_make(x, true, value, qdi_explain_describe(x, n));
}

const qd_node_type qdi_node_proximity = {.name = "proximity",
                                         .describe = describe,
                                         .explain = explain,
                                         .matches = matches,
                                         .compile = compile,
                                         .weigh = weigh,
                                         .plan = plan,
                                         .ready = ready,
                                         .next = next,
                                         .bound = bound,
                                         .fill = fill};
