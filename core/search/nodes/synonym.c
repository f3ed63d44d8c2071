/* synonym.c: several terms of a field as one pseudo-term of summed frequency. */
#include "search/fetch/explain_int.h"
#include "search/highlight/highlight_int.h"
#include "search/leaf/own_int.h"
#include "search/nodes/nodes_int.h"

/* The plan of it, and its part on a segment. */
typedef struct synonym_plan {
    qdi_field *field;
    qdi_term **terms;
    const float *boosts; /* NULL: 1 */
    uint32_t n;
} synonym_plan;

typedef struct synonym_leaf {
    qdi_cur **curs;
    float *factor;
    uint32_t n;
    float w;
    const float *ninv;
    const qdi_scorer *scorer; /* in place of both, or NULL */
    const uint8_t *norms;
    uint32_t norm_mask;
    float *freq; /* window, zero between uses */
} synonym_leaf;

static synonym_plan *plan_of(const qdi_node *x)
{
    return x->u.own;
}

static synonym_leaf *leaf_of(const qdi_lnode *l)
{
    return l->u.own;
}

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
    qdi_sim_stats st, sum = {0};
    uint32_t freq = 0;
    qd_str field = n->u.synonym.field;
    for (uint32_t i = 0; i < n->u.synonym.n; i++) {
        freq += qdi_explain_frequency(x, field, n->u.synonym.terms[i], &st);
        sum.df = st.df > sum.df ? st.df : sum.df;
        sum.ttf += st.ttf;
        sum.docs = st.docs;
        sum.sum_ttf = st.sum_ttf;
    }
    if (qdi_explain_similarity(x, field).kind != QD_SIM_BM25)
        return qdi_explain_own(x, n, field, boost, score, (float)freq, &sum, 1);
    return qdi_explain_weight(x, n, field, boost, score, (float)freq,
                              qdi_explain_idf(x, sum.df, sum.docs), QDI_FREQ_SYNONYM);
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

static int compile(qd_plan *p, const qd_node *n, qdi_above a, qdi_node **out, qd_err *err)
{
    const qd_node_synonym *s = &n->u.synonym;
    qdi_field *f = qdi_plan_field(p, s->field, err);
    qdi_node *x = f ? qdi_plan_node(p, s->n ? &qdi_node_synonym : &qdi_node_match_none, n, a.boost,
                                    a.scores, err)
                    : NULL;
    if (!x) return QD_E_NOMEM;
    *out = x;
    if (!s->n) return 0;
    x->u.own = qd_arena_calloc(p->arena, sizeof(synonym_plan));
    if (!x->u.own) return qd_err_nomem(err, "query plan");
    synonym_plan *y = x->u.own;
    y->field = f;
    y->n = s->n;
    y->boosts = s->boosts;
    y->terms = qd_arena_calloc(p->arena, s->n * sizeof *y->terms);
    if (!y->terms) return qd_err_nomem(err, "query plan");
    for (uint32_t i = 0; i < s->n; i++) {
        y->terms[i] = qdi_plan_term(p, f, s->terms[i], NULL, err);
        if (!y->terms[i]) return QD_E_NOMEM;
    }
    if (s->n == 1 && !s->boosts) { /* a plain term */
        qdi_term *t = y->terms[0];
        x->type = &qdi_node_term;
        x->u.term = t;
    }
    return 0;
}

/* Lucene's SynonymQuery: greatest document frequency, summed occurrences. */
static int weigh(qd_plan *p, qdi_node *x, qd_err *err)
{
    if (!x->scores) return 0;
    const synonym_plan *y = plan_of(x);
    qdi_term_stats sum = {.own = true};
    for (uint32_t i = 0; i < y->n; i++) {
        qdi_term_stats s = qdi_term_stats_of(p, y->terms[i]);
        sum.df = s.df > sum.df ? s.df : sum.df;
        sum.ttf += s.ttf;
        sum.docs = s.docs > sum.docs ? s.docs : sum.docs;
        sum.sum_ttf = s.sum_ttf;
        sum.own = sum.own && s.own;
    }
    if (qdi_scores_own(y->field)) return qdi_weigh_own(p, x, y->field, &sum, 1, err);
    return qdi_weigh_stats(p, x, y->field, &sum, qdi_idf(sum.df, sum.docs), err);
}

static int plan(qdi_run *r, const qdi_node *x, qdi_lnode *l, qd_err *err)
{
    const synonym_plan *y = plan_of(x);
    uint32_t n = 0;
    qdi_cur **curs = qd_arena_calloc(r->arena, y->n * sizeof *curs);
    float *factor = y->boosts ? qd_arena_calloc(r->arena, y->n * sizeof *factor) : NULL;
    if (!curs || (y->boosts && !factor)) return qd_err_nomem(err, "search");
    for (uint32_t i = 0; i < y->n; i++) {
        const qd_term *t = qdi_leaf_term(r, y->terms[i]);
        if (!t) continue;
        int rc =
            qdi_leaf_cursor(r, y->terms[i], l->scores, false, x->weight, x->ninv, &curs[n], err);
        if (rc) return rc;
        if (factor) factor[n] = y->boosts[i];
        l->cost += t->df;
        n++;
    }
    if (!n) return 0;
    l->u.own = qd_arena_calloc(r->arena, sizeof(synonym_leaf));
    if (!l->u.own) return qd_err_nomem(err, "search");
    synonym_leaf *s = l->u.own;
    l->type = &qdi_node_synonym;
    s->curs = curs;
    s->factor = factor;
    s->n = n;
    s->w = x->weight;
    s->ninv = x->ninv;
    s->scorer = l->scores ? x->scorer : NULL;
    s->freq = qdi_scratch_calloc(r->scratch, QDI_WINDOW * sizeof(float));
    return s->freq ? 0 : qd_err_nomem(err, "search");
}

static void ready(qdi_lnode *l)
{
    synonym_leaf *s = leaf_of(l);
    s->norms = s->curs[0]->norms;
    s->norm_mask = s->curs[0]->norm_mask;
}

static uint32_t next(qdi_run *r, qdi_lnode *l, uint32_t from)
{
    (void)r;
    const synonym_leaf *s = leaf_of(l);
    uint32_t least = QD_NO_DOC;
    for (uint32_t i = 0; i < s->n; i++) {
        uint32_t d = qdi_cur_next(s->curs[i], from);
        least = d < least ? d : least;
    }
    return least;
}

static float bound(qdi_run *r, qdi_lnode *l, uint32_t from, uint32_t to)
{
    (void)r, (void)from, (void)to;
    const synonym_leaf *s = leaf_of(l);
    return s->scorer ? s->scorer->max : s->w;
}

/* The scores of the documents of out whose frequencies are in s->freq, which is cleared. */
static void add_own(const synonym_leaf *s, const qdi_win *w, const uint64_t *out, double *acc)
{
    qdi_own_batch b = {.scorer = s->scorer, .norms = s->norms, .norm_mask = s->norm_mask};
    for (uint32_t i = 0; i < w->words; i++)
        for (uint64_t x = out[i]; x; x &= x - 1) {
            uint32_t at = i * 64 + (uint32_t)__builtin_ctzll(x);
            qdi_own_add(&b, w->from + at, s->freq[at], w, acc);
            s->freq[at] = 0;
        }
    qdi_own_flush(&b, w, acc);
}

static int fill(qdi_run *r, qdi_lnode *l, const qdi_win *w, const uint64_t *cand, uint64_t *out,
                double *acc, qd_err *err)
{
    (void)err;
    const synonym_leaf *s = leaf_of(l);
    uint64_t one[QDI_WINDOW_WORDS];
    memset(out, 0, w->words * sizeof *out);
    for (uint32_t t = 0; t < s->n; t++) {
        qdi_cur *c = s->curs[t];
        qdi_fill_term(r, c, w, cand, one, NULL);
        for (uint32_t i = 0; i < w->words; i++) {
            out[i] |= one[i];
            for (uint64_t x = acc ? one[i] : 0; x; x &= x - 1) {
                uint32_t at = i * 64 + (uint32_t)__builtin_ctzll(x);
                uint32_t j = qdi_cur_find(c, r->k, w->from + at);
                float f = j == QD_NO_DOC ? 0 : (float)qd_postings_freq(c->p, j);
                s->freq[at] += s->factor ? s->factor[t] * f : f;
            }
        }
    }
    if (acc && s->scorer) add_own(s, w, out, acc);
    for (uint32_t i = 0; acc && !s->scorer && i < w->words; i++)
        for (uint64_t x = out[i]; x; x &= x - 1) {
            uint32_t at = i * 64 + (uint32_t)__builtin_ctzll(x), d = w->from + at;
            float f = s->freq[at];
            s->freq[at] = 0;
            acc[at] += (double)qdi_score(s->w, f, s->ninv[s->norms[d & s->norm_mask]]);
        }
    return 0;
}

const qd_node_type qdi_node_synonym = {.name = "synonym",
                                       .describe = describe,
                                       .cost = cost,
                                       .explain = explain,
                                       .matches = matches,
                                       .compile = compile,
                                       .weigh = weigh,
                                       .plan = plan,
                                       .ready = ready,
                                       .next = next,
                                       .bound = bound,
                                       .fill = fill};
