/*
 * script.c: the child's documents, those alone of which a script is true (a filter), or scored by a
 * script. Where the script is an expression over number columns it runs over blocks of documents,
 * otherwise document by document; both give the same scores.
 */
#include "base/str.h"
#include "search/fetch/explain_int.h"
#include "search/leaf/window_int.h"
#include "search/nodes/nodes_int.h"
#include "search/script_doc.h"
#include <math.h>

#define TICK 256u /* runs between two looks at the task */

/* Of the plan. */
typedef struct scripting {
    qdi_node *child;
    const qd_node_script *of;
    bool wants_score;
} scripting;

/* Of a segment. */
typedef struct scripted {
    qdi_lnode *child;
    const qd_node_script *of;
    qd_script_doc *docs;
    double *acc; /* of the child, a window; NULL: the script does not look at scores */
    uint64_t *bits;
    uint32_t runs;
} scripted;

static void describe(const qd_node *n, bool in_bool, qd_buf *to)
{
    (void)in_bool;
    qdi_put(to, n->u.script.filter ? "ScriptQuery(" : "ScriptScore(");
    if (!n->u.script.filter) qdi_describe(n->u.script.child, false, to);
    qdi_put(to, ")");
}

static qd_explanation *explain(qdi_explaining *x, const qd_node *n, float boost, bool match,
                               float score)
{
    (void)n, (void)boost;
    return qdi_explain_make(x, match, score,
                            QD_STR("script score function, computed with a script"));
}

static int compile(qd_plan *p, const qd_node *n, qdi_above a, qdi_node **out, qd_err *err)
{
    const qd_node_script *of = &n->u.script;
    scripting *own = qd_arena_calloc(p->arena, sizeof *own);
    if (!own) return qd_err_nomem(err, "query plan");
    bool computes = a.scores || of->has_min;
    own->of = of;
    own->wants_score =
        !of->filter && computes && qd_script_uses(of->bind->script, QD_SCRIPT_V_SCORE);
    int rc =
        qdi_compile(p, of->child, (qdi_above){1, own->wants_score, a.depth + 1}, &own->child, err);
    if (rc) return rc;
    if (qdi_plan_can(own->child, QDI_NODE_NOTHING) || (!of->filter && !computes)) {
        *out = own->child;
        return 0;
    }
    qdi_node *x = qdi_plan_node(p, &qdi_node_script, n, a.boost, a.scores, err);
    if (!x) return QD_E_NOMEM;
    x->u.own = own;
    *out = x;
    return 0;
}

static int weigh(qd_plan *p, qdi_node *x, qd_err *err)
{
    const scripting *own = x->u.own;
    return qdi_weigh(p, own->child, err);
}

static int plan(qdi_run *r, const qdi_node *x, qdi_lnode *l, qd_err *err)
{
    const scripting *own = x->u.own;
    scripted *s = qd_arena_calloc(r->arena, sizeof *s);
    if (!s) return qd_err_nomem(err, "search");
    int rc = qdi_leaf_plan(r, own->child, &s->child, err);
    if (rc || qdi_leaf_can(s->child, QDI_NODE_NOTHING)) return rc;
    s->of = own->of;
    s->bits = qd_arena_calloc(r->arena, QDI_WINDOW / 8);
    if (own->wants_score) s->acc = qd_arena_calloc(r->arena, QDI_WINDOW * sizeof *s->acc);
    if (!s->bits || (own->wants_score && !s->acc)) return qd_err_nomem(err, "search");
    rc = qd_script_doc_open(own->of->bind, r->leaf->segment, r->arena, r->plan->account, &s->docs,
                            err);
    l->type = &qdi_node_script;
    l->u.own = s;
    l->cost = s->child->cost + (own->of->filter ? 1u : 0u); /* behind all that narrows */
    return rc;
}

static void ready(qdi_lnode *l)
{
    scripted *s = l->u.own;
    qdi_leaf_ready(s->child);
}

static uint32_t next(qdi_run *r, qdi_lnode *l, uint32_t from)
{
    scripted *s = l->u.own;
    return qdi_next(r, s->child, from);
}

static float bound(qdi_run *r, qdi_lnode *l, uint32_t from, uint32_t to)
{
    const scripted *s = l->u.own;
    (void)r, (void)from, (void)to;
    return s->of->filter ? l->boost : INFINITY;
}

static bool is_flat(const qdi_lnode *l)
{
    const scripted *s = l->u.own;
    return s->of->filter;
}

static int bad_score(double v, uint32_t doc, qd_err *err)
{
    char text[QD_F64_TEXT_MAX];
    qd_f64_print(text, v);
    return qd_err_set(err, QD_E_ARG,
                      "script_score script returned an invalid score [%s] for doc [%u]. Must be a "
                      "non-negative score!",
                      text, doc);
}

/* The score of a document, checked. */
static int settle(const scripted *s, const qdi_lnode *l, double v, uint32_t doc, bool *yes,
                  float *score, qd_err *err)
{
    if (!(v >= 0) || isinf(v)) return bad_score(v, doc, err);
    *score = (float)v;
    *yes = !s->of->has_min || *score >= s->of->min_score;
    *score *= l->boost;
    return 0;
}

static int one(qdi_run *r, qdi_lnode *l, uint32_t doc, double child, bool *yes, float *score,
               qd_err *err)
{
    scripted *s = l->u.own;
    qd_sv v;
    int rc = ++s->runs % TICK ? 0 : qdi_run_tick(r);
    if (!rc) rc = qd_script_doc_run(s->docs, doc, child, &v, err);
    if (rc) return rc;
    if (!s->of->filter) return settle(s, l, v.f, doc, yes, score, err);
    *yes = v.i != 0;
    *score = l->boost;
    return 0;
}

#define BLOCK QDI_BLOCK_DOCS
_Static_assert(BLOCK <= QD_SCRIPT_BATCH, "a block is one batch of a script");

/* A block of documents at once: 1 = done, 0 = not that way, or an error. */
static int block(qdi_run *r, qdi_lnode *l, const qdi_win *w, const uint32_t *docs, uint32_t n,
                 uint64_t *out, double *acc, qd_err *err)
{
    scripted *s = l->u.own;
    double scores[BLOCK], v[BLOCK];
    if (s->acc)
        for (uint32_t i = 0; i < n; i++) scores[i] = s->acc[docs[i] - w->from];
    if (!qd_script_doc_block(s->docs, docs, n, s->acc ? scores : NULL, v)) return 0;
    int rc = qdi_run_tick(r);
    for (uint32_t i = 0; i < n && !rc; i++) {
        float score = 0;
        bool yes = false;
        uint32_t at = docs[i] - w->from;
        rc = settle(s, l, v[i], docs[i], &yes, &score, err);
        if (rc) return rc;
        out[at >> 6] |= (uint64_t)yes << (at & 63);
        if (yes && acc) acc[at] += (double)score;
    }
    return rc ? rc : 1;
}

static int few(qdi_run *r, qdi_lnode *l, const qdi_win *w, const uint32_t *docs, uint32_t n,
               uint64_t *out, double *acc, qd_err *err)
{
    scripted *s = l->u.own;
    int rc = s->of->filter ? 0 : block(r, l, w, docs, n, out, acc, err);
    if (rc) return rc < 0 ? rc : 0;
    for (uint32_t i = 0; i < n && !rc; i++) {
        uint32_t at = docs[i] - w->from;
        float score = 0;
        bool yes = false;
        rc = one(r, l, docs[i], s->acc ? s->acc[at] : 0, &yes, &score, err);
        if (rc || !yes) continue;
        out[at >> 6] |= (uint64_t)1 << (at & 63);
        if (acc) acc[at] += (double)score;
    }
    return rc;
}

static int fill(qdi_run *r, qdi_lnode *l, const qdi_win *w, const uint64_t *cand, uint64_t *out,
                double *acc, qd_err *err)
{
    scripted *s = l->u.own;
    int rc = qdi_fill(r, s->child, w, cand, s->bits, s->acc, err);
    memset(out, 0, w->words * sizeof *out);
    if (!rc) rc = qdi_fill_blocks(r, l, w, s->bits, few, out, acc, err);
    if (s->acc) qdi_clear_acc(s->acc, s->bits, w->words);
    return rc;
}

const qd_node_type qdi_node_script = {.name = "script",
                                      .describe = describe,
                                      .may_match = qdi_child_may_match,
                                      .explain = explain,
                                      .compile = compile,
                                      .weigh = weigh,
                                      .plan = plan,
                                      .ready = ready,
                                      .next = next,
                                      .bound = bound,
                                      .is_flat = is_flat,
                                      .fill = fill};
