/*
 * function_score.c: the child's documents, their scores changed by functions: each has a filter, a
 * weight, and a script or a random number. A window at a time; functions whose script is an
 * expression over columns run over blocks of documents.
 */
#include "base/hash.h"
#include "search/fetch/explain_int.h"
#include "search/leaf/window_int.h"
#include "search/nodes/nodes_int.h"
#include "search/script_doc.h"
#include "segment/segment.h"
#include <math.h>

#define BLOCK QDI_BLOCK_DOCS
_Static_assert(BLOCK <= QD_SCRIPT_BATCH, "a block is one batch of a script");
#define SEQ_NO "_seq_no"

/* Of the plan. */
typedef struct functions {
    qdi_node *child;
    qdi_node **filters; /* by function; NULL: all documents */
    const qd_node_function_score *of;
} functions;

/* A function in a segment. */
typedef struct function {
    const qd_score_function *of;
    qdi_lnode *filter; /* NULL: all documents */
    qd_script_doc *docs;
    qd_column_reader *numbers; /* _seq_no, of a random number */
    uint64_t *bits;            /* of the window that the filter passes */
} function;

/* Of a segment. */
typedef struct scorer {
    qdi_lnode *child;
    const qd_node_function_score *of;
    function *f;
    double *acc; /* the child's scores, a window */
    uint64_t *bits;
    uint32_t base;
} scorer;

static void describe(const qd_node *n, bool in_bool, qd_buf *to)
{
    (void)in_bool;
    qdi_put(to, "function score (");
    qdi_describe(n->u.functions.child, false, to);
    qdi_put(to, ")");
}

static qd_explanation *explain(qdi_explaining *x, const qd_node *n, float boost, bool match,
                               float score)
{
    (void)n, (void)boost;
    return qdi_explain_make(x, match, score, QD_STR("function score, its functions applied"));
}

static int compile(qd_plan *p, const qd_node *n, qdi_above a, qdi_node **out, qd_err *err)
{
    const qd_node_function_score *of = n->u.functions.of;
    functions *own = qd_arena_calloc(p->arena, sizeof *own);
    bool computes = a.scores || of->has_min;
    if (own) own->filters = qd_arena_calloc(p->arena, (of->n + 1) * sizeof(qdi_node *));
    if (!own || !own->filters) return qd_err_nomem(err, "query plan");
    own->of = of;
    int rc = qdi_compile(p, n->u.functions.child, (qdi_above){a.boost, computes, a.depth + 1},
                         &own->child, err);
    if (rc) return rc;
    if (qdi_plan_can(own->child, QDI_NODE_NOTHING) || !computes) {
        *out = own->child;
        return 0;
    }
    for (uint32_t i = 0; i < of->n && !rc; i++)
        if (of->functions[i].filter)
            rc = qdi_compile(p, of->functions[i].filter, (qdi_above){1, false, a.depth + 1},
                             &own->filters[i], err);
    qdi_node *x = rc ? NULL : qdi_plan_node(p, &qdi_node_function_score, n, a.boost, a.scores, err);
    if (!x) return rc ? rc : QD_E_NOMEM;
    x->u.own = own;
    *out = x;
    return 0;
}

static int weigh(qd_plan *p, qdi_node *x, qd_err *err)
{
    const functions *own = x->u.own;
    return qdi_weigh(p, own->child, err);
}

static int plan_function(qdi_run *r, const functions *own, uint32_t i, function *f, qd_err *err)
{
    int rc = 0;
    f->of = &own->of->functions[i];
    f->bits = qd_arena_calloc(r->arena, QDI_WINDOW / 8);
    if (!f->bits) return qd_err_nomem(err, "search");
    if (own->filters[i]) rc = qdi_leaf_plan(r, own->filters[i], &f->filter, err);
    if (!rc && f->of->bind)
        rc = qd_script_doc_open(f->of->bind, r->leaf->segment, r->arena, r->plan->account, &f->docs,
                                err);
    if (rc || !f->of->by_seq_no) return rc;
    const qd_columns *set = qd_segment_columns(r->leaf->segment);
    uint32_t number = qd_segment_field_find(r->leaf->segment, QD_STR(SEQ_NO));
    const qd_column *c = !set || number == QD_FIELD_NONE ? NULL : qd_columns_get(set, number);
    return c ? qd_column_plan(c, 0, r->ndocs, r->reads, r->arena, &f->numbers, err) : 0;
}

static int plan(qdi_run *r, const qdi_node *x, qdi_lnode *l, qd_err *err)
{
    const functions *own = x->u.own;
    scorer *s = qd_arena_calloc(r->arena, sizeof *s);
    if (!s) return qd_err_nomem(err, "search");
    int rc = qdi_leaf_plan(r, own->child, &s->child, err);
    if (rc || qdi_leaf_can(s->child, QDI_NODE_NOTHING)) return rc;
    s->of = own->of;
    s->base = r->leaf->base;
    s->acc = qd_arena_calloc(r->arena, QDI_WINDOW * sizeof *s->acc);
    s->bits = qd_arena_calloc(r->arena, QDI_WINDOW / 8);
    s->f = qd_arena_calloc(r->arena, (own->of->n + 1) * sizeof *s->f);
    if (!s->acc || !s->bits || !s->f) return qd_err_nomem(err, "search");
    for (uint32_t i = 0; i < own->of->n && !rc; i++) rc = plan_function(r, own, i, &s->f[i], err);
    l->type = &qdi_node_function_score;
    l->u.own = s;
    l->cost = s->child->cost;
    return rc;
}

static void ready(qdi_lnode *l)
{
    scorer *s = l->u.own;
    qdi_leaf_ready(s->child);
    for (uint32_t i = 0; i < s->of->n; i++)
        if (s->f[i].filter) qdi_leaf_ready(s->f[i].filter);
}

static uint32_t next(qdi_run *r, qdi_lnode *l, uint32_t from)
{
    scorer *s = l->u.own;
    return qdi_next(r, s->child, from);
}

static float bound(qdi_run *r, qdi_lnode *l, uint32_t from, uint32_t to)
{
    (void)r, (void)l, (void)from, (void)to;
    return INFINITY;
}

/* The same number for the same seed and document, in [0, 1). */
static double random_of(uint64_t seed, int64_t number)
{
    uint64_t both[2] = {seed, (uint64_t)number};
    return (double)(qd_xxh3((const char *)both, sizeof both) >> 40) * 0x1p-24;
}

static int check(double v, bool script, uint32_t doc, qd_err *err)
{
    char text[QD_F64_TEXT_MAX];
    if (v >= 0 && !isinf(v)) return 0;
    qd_f64_print(text, v);
    return qd_err_set(err, QD_E_ARG,
                      script
                          ? "script score function must not produce negative scores, but got: [%s]"
                          : "function score query returned an invalid score: %s for doc: %u",
                      text, doc);
}

/* The values of a function for some documents, with their scores. */
static int run_few(qdi_run *r, const scorer *s, function *f, const uint32_t *docs, uint32_t n,
                   const double *scores, double *out, qd_err *err)
{
    int rc = qdi_run_tick(r);
    if (f->docs && !rc && !qd_script_doc_block(f->docs, docs, n, scores, out))
        for (uint32_t i = 0; i < n && !rc; i++) {
            qd_sv v = qd_sv_null();
            rc = qd_script_doc_run(f->docs, docs[i], scores[i], &v, err);
            out[i] = v.f;
        }
    for (uint32_t i = 0; f->docs && i < n && !rc; i++) rc = check(out[i], true, docs[i], err);
    for (uint32_t i = 0; !f->docs && i < n && !rc; i++) {
        const int64_t *number = NULL;
        uint32_t k = 0;
        if (f->numbers) rc = qd_column_values(f->numbers, docs[i], &number, &k, err);
        out[i] =
            f->of->random ? random_of(f->of->seed, k ? number[0] : (int64_t)s->base + docs[i]) : 1;
    }
    return rc;
}

/* A function's value into what those before it made. */
static void combine(qd_score_mode mode, double v, double weight, bool first, double *factor,
                    double *weights)
{
    v *= weight;
    *weights += weight;
    if (first)
        *factor = v;
    else if (mode == QD_SCORE_MULTIPLY)
        *factor *= v;
    else if (mode == QD_SCORE_SUM || mode == QD_SCORE_AVG)
        *factor += v;
    else if (mode == QD_SCORE_MAX)
        *factor = fmax(*factor, v);
    else if (mode == QD_SCORE_MIN)
        *factor = fmin(*factor, v);
}

static double boosted(const qd_node_function_score *of, double score, double factor)
{
    factor = fmin(factor, (double)of->max_boost);
    switch (of->boost_mode) {
    case QD_BOOST_MULTIPLY:
        return score * factor;
    case QD_BOOST_REPLACE:
        return factor;
    case QD_BOOST_SUM:
        return score + factor;
    case QD_BOOST_AVG:
        return (score + factor) / 2;
    case QD_BOOST_MIN:
        return fmin(score, factor);
    default:
        return fmax(score, factor);
    }
}

/* Some documents: their functions, combined, and the scores that come of it. */
static int few(qdi_run *r, qdi_lnode *l, const qdi_win *w, const uint32_t *docs, uint32_t n,
               uint64_t *out, double *acc, qd_err *err)
{
    scorer *s = l->u.own;
    double factor[BLOCK], weights[BLOCK], scores[BLOCK], passed[BLOCK], v[BLOCK];
    uint32_t some[BLOCK], at[BLOCK];
    bool any[BLOCK] = {false};
    int rc = 0;
    for (uint32_t i = 0; i < n; i++) {
        factor[i] = 1;
        weights[i] = 0;
        scores[i] = s->child->scores ? s->acc[docs[i] - w->from] : 0;
    }
    for (uint32_t k = 0; k < s->of->n && !rc; k++) {
        function *f = &s->f[k];
        uint32_t m = 0;
        for (uint32_t i = 0; i < n; i++) {
            uint32_t bit = docs[i] - w->from;
            bool passes = !f->filter || f->bits[bit >> 6] >> (bit & 63) & 1;
            if (!passes || (any[i] && s->of->score_mode == QD_SCORE_FIRST)) continue;
            some[m] = docs[i];
            passed[m] = scores[i];
            at[m++] = i;
        }
        if (m) rc = run_few(r, s, f, some, m, passed, v, err);
        for (uint32_t i = 0; i < m && !rc; i++) {
            combine(s->of->score_mode, v[i], (double)f->of->weight, !any[at[i]], &factor[at[i]],
                    &weights[at[i]]);
            any[at[i]] = true;
        }
    }
    for (uint32_t i = 0; i < n && !rc; i++) {
        uint32_t bit = docs[i] - w->from;
        if (s->of->score_mode == QD_SCORE_AVG && any[i]) factor[i] /= weights[i];
        double score = boosted(s->of, scores[i], factor[i]);
        rc = check(score, false, docs[i], err);
        if (rc || (s->of->has_min && (float)score < s->of->min_score)) continue;
        out[bit >> 6] |= (uint64_t)1 << (bit & 63);
        if (acc) acc[bit] += (double)(float)score;
    }
    return rc;
}

static int fill(qdi_run *r, qdi_lnode *l, const qdi_win *w, const uint64_t *cand, uint64_t *out,
                double *acc, qd_err *err)
{
    scorer *s = l->u.own;
    int rc = qdi_fill(r, s->child, w, cand, s->bits, s->acc, err);
    for (uint32_t k = 0; k < s->of->n && !rc; k++)
        if (s->f[k].filter) {
            memset(s->f[k].bits, 0, w->words * sizeof *out);
            if (!qdi_leaf_can(s->f[k].filter, QDI_NODE_NOTHING))
                rc = qdi_fill(r, s->f[k].filter, w, s->bits, s->f[k].bits, NULL, err);
        }
    memset(out, 0, w->words * sizeof *out);
    if (!rc) rc = qdi_fill_blocks(r, l, w, s->bits, few, out, acc, err);
    qdi_clear_acc(s->acc, s->bits, w->words);
    return rc;
}

const qd_node_type qdi_node_function_score = {.name = "function_score",
                                              .describe = describe,
                                              .may_match = qdi_child_may_match,
                                              .explain = explain,
                                              .compile = compile,
                                              .weigh = weigh,
                                              .plan = plan,
                                              .ready = ready,
                                              .next = next,
                                              .bound = bound,
                                              .fill = fill};
