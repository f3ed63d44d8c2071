/*
 * run.c: a plan over all segments of its searcher: top k, counts, collecting, testing. For ranked
 * shapes that have a kernel (kernel_int.h) the kernel runs; everything else goes by windows.
 */
#include "search/leaf/leaf_int.h"
#include "search/run/kernel_int.h"
#include "search/run/order_int.h"
#include <math.h>

/* --- windows ------------------------------------------------------------------------------- */

/* Hands the documents of one window to the collector; without acc all score `flat`. */
static int window_emit(qdi_run *r, const qdi_win *w, const uint64_t *out, double *acc, float flat,
                       uint32_t *docs, float *scores, qd_collector *c, qd_err *err)
{
    bool list = acc || scores || !(c->flags & QD_COLLECT_BITS);
    uint32_t n = list ? r->k->bits_to_docs(out, w->words, w->from, docs)
                      : (uint32_t)r->k->popcount(out, w->words);
    if (acc) {
        for (uint32_t i = 0; i < n; i++) {
            scores[i] = (float)acc[docs[i] - w->from];
            acc[docs[i] - w->from] = 0;
        }
    } else if (scores) {
        for (uint32_t i = 0; i < n; i++) scores[i] = flat;
    }
    if (!n) return 0;
    qd_hits hits = {.leaf = r->leaf,
                    .docs = list ? docs : NULL,
                    .scores = scores,
                    .n = n,
                    .bits = out,
                    .from = w->from,
                    .words = w->words};
    return c->vt->collect(c, &hits, err);
}

#define NARROW_MIN 16u /* fewer hits than one document in this many are asked for their keys */

/* A part of the windows, for collectors that have an order. */
typedef struct qdi_some {
    uint32_t from;          /* set to where it ended */
    bool until_settled;     /* ends there */
    bool skip;              /* what the collector does not want */
    bool back;              /* the last one first */
    const uint64_t *tested; /* documents that are left out; NULL: none */
} qdi_some;

/* Is there nothing in a window that a collector with an order would keep? */
static bool unwanted(const qdi_some *some, qd_collector *c, const qdi_win *w)
{
    const qd_collect_order_vt *o = c->vt->order;
    return some && some->skip && o->settled(c) &&
           !o->wanted_window(c, w->from, w->to, !some->tested && !some->back);
}

/* What goes by windows. */
typedef struct pass {
    qdi_run *r, *post; /* post may be NULL */
    qd_collector *c;
    qdi_some *some; /* or NULL */
    double *acc;
    uint32_t *docs;
    float *scores;
    bool flat; /* all score alike */
} pass;

static int pass_begin(pass *x, qd_err *err)
{
    qdi_run *r = x->r;
    bool want = (x->c->flags & QD_COLLECT_SCORES) != 0;
    x->flat = qdi_bound_is_flat(r->root);
    x->acc = want && r->root->scores && !x->flat ? r->scratch->acc : NULL;
    x->docs = qdi_scratch_alloc(r->scratch, QDI_WINDOW * sizeof *x->docs);
    x->scores = want ? qdi_scratch_alloc(r->scratch, QDI_WINDOW * sizeof *x->scores) : NULL;
    return x->docs && (!want || x->scores) ? 0 : qd_err_nomem(err, "search");
}

static qdi_win window_at(const qdi_run *r, uint32_t from)
{
    qdi_win w = {.from = from, .to = r->ndocs - from > QDI_WINDOW ? from + QDI_WINDOW : r->ndocs};
    w.words = (w.to - w.from + 63) / 64;
    return w;
}

/* Leaves in out what the filter has, and no scores of the rest behind. */
static int pass_post(pass *x, const qdi_win *w, uint64_t *out, qd_err *err)
{
    uint64_t all[QDI_WINDOW_WORDS], kept[QDI_WINDOW_WORDS];
    memcpy(all, out, w->words * sizeof *all);
    int rc = qdi_fill(x->post, x->post->root, w, out, kept, NULL, err);
    for (uint32_t i = 0; x->acc && i < w->words; i++)
        for (uint64_t b = all[i] & ~kept[i]; b; b &= b - 1)
            x->acc[i * 64 + (uint32_t)__builtin_ctzll(b)] = 0;
    memcpy(out, kept, w->words * sizeof *out);
    return rc;
}

/* Collects one window. */
static int pass_window(pass *x, const qdi_win *w, qd_err *err)
{
    qdi_run *r = x->r;
    const qdi_some *some = x->some;
    uint64_t cand[QDI_WINDOW_WORDS], out[QDI_WINDOW_WORDS];
    for (uint32_t i = 0; i < w->words; i++) cand[i] = r->live ? r->live[(w->from >> 6) + i] : ~0ull;
    if (w->to & 63) cand[w->words - 1] &= (1ull << (w->to & 63)) - 1;
    for (uint32_t i = 0; some && some->tested && i < w->words; i++)
        cand[i] &= ~some->tested[(w->from >> 6) + i];
    int rc = 0;
    if (some && some->skip && x->c->vt->order->settled(x->c) &&
        r->root->cost > r->ndocs / NARROW_MIN)
        rc = x->c->vt->order->narrow(x->c, w->from, w->to, cand, err);
    if (!rc) rc = qdi_fill(r, r->root, w, cand, out, x->acc, err);
    if (!rc && x->post) rc = pass_post(x, w, out, err);
    if (rc) return rc;
    float flat = x->flat ? qdi_bound(r, r->root, w->from, w->to) : 0;
    return window_emit(r, w, out, x->acc, flat, x->docs, x->scores, x->c, err);
}

/* All windows from some->from on, or those that are wanted; ends when the total is settled, if that
 * is asked for. some may be NULL. */
static int windows(qdi_run *r, qdi_run *post, qd_collector *c, qdi_some *some, qd_err *err)
{
    pass x = {.r = r, .post = post, .c = c, .some = some};
    int rc = pass_begin(&x, err);
    if (rc) return rc;
    for (uint32_t from = some ? some->from : 0; from < r->ndocs;) {
        uint32_t d = qdi_next(r, r->root, from);
        if (d >= r->ndocs) break;
        qdi_win w = window_at(r, d & ~(QDI_WINDOW - 1));
        rc = qdi_run_tick(r);
        if (rc) return rc;
        if (some && some->until_settled && c->vt->order->settled(c)) {
            some->from = w.from;
            return 0;
        }
        from = w.to;
        if (unwanted(some, c, &w)) continue;
        float least = c->vt->threshold && x.scores ? c->vt->threshold(c) : 0;
        if (least > 0 && qdi_bound(r, r->root, w.from, w.to) < least) {
            if (x.flat) return 0;
            continue;
        }
        rc = pass_window(&x, &w, err);
        if (rc) return rc;
    }
    if (some) some->from = r->ndocs;
    return 0;
}

/* The windows from some->from on that are wanted, the last one first. */
static int windows_back(qdi_run *r, qd_collector *c, qdi_some *some, qd_err *err)
{
    pass x = {.r = r, .c = c, .some = some};
    int rc = pass_begin(&x, err);
    const uint32_t first = some->from / QDI_WINDOW;
    for (uint32_t i = (r->ndocs - 1) / QDI_WINDOW + 1; i-- > first && !rc;) {
        qdi_win w = window_at(r, i * QDI_WINDOW);
        rc = qdi_run_tick(r);
        if (!rc && !unwanted(some, c, &w) && qdi_next(r, r->root, w.from) < w.to)
            rc = pass_window(&x, &w, err);
    }
    return rc;
}

int qdi_windows(qdi_run *r, qdi_run *post, qd_collector *c, qd_err *err)
{
    return windows(r, post, c, NULL, err);
}

/* --- collecting ---------------------------------------------------------------------------- */

/* Turns a passed deadline into a partial result. */
static int soften(int rc, bool *timed_out)
{
    if (rc != QD_E_TIMEOUT) return rc;
    *timed_out = true;
    return QD_COLLECT_ALL_DONE;
}

static int cancel_text(qd_plan *p, int rc, qd_err *err)
{
    if (rc != QD_E_CANCELLED || !p->o.task) return rc;
    int again = qd_task_check(p->o.task, err);
    return again ? again : rc;
}

/* A scratch that a failed search may have left dirty. */
static void give(qdi_scratch *s, int rc)
{
    if (rc < 0 && s) {
        memset(s->acc, 0, QDI_WINDOW * sizeof *s->acc);
        memset(s->bytes, 0, QDI_BYTES_WINDOW);
    }
    qdi_scratch_give(s);
}

/* What is counted: constants and lone filters as what they wrap. */
static const qdi_node *counted_node(const qd_plan *p)
{
    const qdi_node *x = p->root;
    for (;;) {
        if (qdi_plan_can(x, QDI_NODE_SAME_DOCS))
            x = x->u.child;
        else if (qdi_plan_can(x, QDI_NODE_CLAUSES) && x->u.b.nmust == 0 && x->u.b.nfilter == 1 &&
                 x->u.b.nmust_not == 0 && x->u.b.min_should == 0)
            x = x->u.b.filter[0];
        else
            return x;
    }
}

/* The hits of a leaf, for their number alone, where that is cheap: QD_DONE with *n,
 * QD_DECLINED or an error. */
static int cheap_count(qdi_run *r, uint64_t *n, qd_err *err)
{
    const qdi_node *x = counted_node(r->plan);
    if (qdi_plan_can(x, QDI_NODE_EVERYTHING)) {
        *n = r->leaf->live_docs;
        return QD_DONE;
    }
    if (qdi_plan_can(x, QDI_NODE_CURSOR) && !r->live) {
        *n = x->u.term->at[r->leaf->index].df;
        return QD_DONE;
    }
    return qdi_range_count(r->plan, r->leaf, x, r->arena, n, err);
}

/* A leaf for a collector with an order: hits are counted the cheap way or collected until their
 * number is settled; then the best first, then the windows that may have more. */
static int collect_best(qdi_run *r, qd_collector *c, qd_err *err)
{
    const qd_collect_order_vt *o = c->vt->order;
    qdi_some some = {.until_settled = true};
    uint64_t n, *tested = NULL;
    int rc = o->settled(c) ? QD_DECLINED : cheap_count(r, &n, err);
    if (rc < 0) return rc;
    if (rc == QD_DONE) o->counted(c, n);
    rc = qdi_collect_list(r, c, err);
    if (rc) return rc == QD_DONE ? 0 : rc;
    if (!o->settled(c)) {
        rc = windows(r, NULL, c, &some, err);
        if (rc || some.from >= r->ndocs) return rc;
        size_t words = (size_t)r->ndocs / 64 + QDI_WINDOW_WORDS;
        tested = qdi_scratch_calloc(r->scratch, words * sizeof *tested);
        if (!tested) return qd_err_nomem(err, "search");
        memset(tested, 0xff, some.from / 8);
    }
    bool walked = false;
    rc = qdi_collect_ordered(r, c, &tested, &walked, err);
    if (rc) return rc == QD_DONE ? 0 : rc;
    some.until_settled = false;
    some.skip = true;
    some.tested = walked ? tested : NULL;
    some.back = some.from < r->ndocs && o->better_last(c, some.from, r->ndocs - 1);
    return some.back ? windows_back(r, c, &some, err) : windows(r, NULL, c, &some, err);
}

static int collect_leaf(qd_plan *p, qd_plan *post, const qd_leaf *leaf, qdi_scratch *s,
                        qd_collector *c, qd_err *err)
{
    qdi_run r, pr = {0};
    bool scores = (c->flags & QD_COLLECT_SCORES) != 0;
    int rc = qdi_run_begin(&r, p, leaf, s, scores, QDI_NO_HINT, c, err);
    if (!rc && post && !qdi_leaf_can(r.root, QDI_NODE_NOTHING))
        rc = qdi_run_begin(&pr, post, leaf, s, false, QDI_NO_HINT, NULL, err);
    if (!rc && !qdi_leaf_can(r.root, QDI_NODE_NOTHING) &&
        (!post || !qdi_leaf_can(pr.root, QDI_NODE_NOTHING))) {
        rc = c->vt->begin ? c->vt->begin(c, leaf, r.reads, err) : 0;
        /* not with operators, whose iterators go forward alone */
        bool best = c->vt->order && !scores && !post && !r.customs && !r.forward;
        if (rc == 0)
            rc = best ? collect_best(&r, c, err) : qdi_windows(&r, post ? &pr : NULL, c, err);
        if (rc >= 0 || rc == QD_E_TIMEOUT) {
            int rc2 = c->vt->end ? c->vt->end(c, leaf, err) : 0;
            if (rc2 < 0) rc = rc2;
        }
    }
    int rc3 = pr.plan ? qdi_run_end(&pr, err) : 0;
    int rc4 = qdi_run_end(&r, err);
    if (rc4 < 0 || rc3 < 0) rc = rc4 < 0 ? rc4 : rc3;
    return rc;
}

int qd_plan_collect(qd_plan *p, qd_plan *post, qd_collector *c, qd_collect_result *out, qd_err *err)
{
    QD_CHECK(p, QDI_PLAN_MAGIC);
    qd_collect_result res = {0};
    int rc = 0;
    for (uint32_t i = 0; i < qd_searcher_leaves(p->searcher) && rc >= 0; i++) {
        qdi_scratch *s = qdi_scratch_take();
        if (!s) return qd_err_nomem(err, "search");
        rc = collect_leaf(p, post, qd_searcher_leaf(p->searcher, i), s, c, err);
        give(s, rc);
        if (rc == QD_COLLECT_ALL_DONE) res.terminated_early = true;
        rc = soften(rc, &res.timed_out);
        if (rc == QD_COLLECT_ALL_DONE) break;
    }
    if (rc < 0) return cancel_text(p, rc, err);
    if (out) *out = res;
    return 0;
}

/* --- top k --------------------------------------------------------------------------------- */

typedef struct top {
    qd_collector c;
    const qd_top_options *o;
    qd_topk q;
    uint64_t total;        /* counted so far */
    uint64_t seen;         /* for terminate_after */
    bool counted;          /* total need not grow any more */
    bool plain;            /* nothing but the order of scores and documents decides */
    const qdi_node *alike; /* then: the node whose documents are the hits, all with one score */
} top;

/* The k-th score so far; only what beats it can enter, as documents come in ascending order. */
static float top_threshold(qd_collector *c)
{
    top *t = (top *)c;
    float least = t->o->min_score;
    if (!t->counted || t->o->terminate_after) return least;
    if (t->q.k == 0) return INFINITY;
    if (t->q.n >= t->q.k) {
        qd_topk_shrink(&t->q);
        float beat = nextafterf(t->q.threshold, INFINITY);
        least = beat > least ? beat : least;
    }
    return least;
}

static bool is_after(const qd_top_options *o, float score, uint32_t doc)
{
    return score < o->after_score || (score == o->after_score && doc > o->after_doc);
}

static int top_collect(qd_collector *c, const qd_hits *h, qd_err *err)
{
    (void)err;
    top *t = (top *)c;
    uint32_t base = h->leaf->base;
    float cut = -1, beat = 0; /* what equals the k-th score comes too late */
    for (uint32_t i = 0; i < h->n; i++) {
        float s = h->scores[i];
        if (s < t->o->min_score) continue;
        if (t->o->terminate_after && ++t->seen > t->o->terminate_after) return QD_COLLECT_ALL_DONE;
        t->total += !t->counted;
        if (!(s >= t->q.threshold) || s < beat || t->q.k == 0) continue;
        if (t->o->has_after && !is_after(t->o, s, base + h->docs[i])) continue;
        qd_topk_push(&t->q, s, base + h->docs[i]);
        if (t->q.n < t->q.k || t->q.threshold == cut) continue;
        if (cut < 0) qd_topk_shrink(&t->q);
        cut = t->q.threshold;
        beat = nextafterf(cut, INFINITY);
    }
    if (t->o->total != QD_TOTAL_EXACT && t->total > t->o->total) t->counted = true;
    return 0;
}

static const qd_collector_vt top_vt = {.collect = top_collect, .threshold = top_threshold};

/* Ranks and counts by kernels, each where there is one: QD_DONE, QD_DECLINED or an error. */
static int top_plain(qdi_run *r, top *t, const char **name, qd_err *err)
{
    const qd_top_options *o = t->o;
    uint64_t want = t->counted                   ? 0
                    : o->total == QD_TOTAL_EXACT ? UINT64_MAX
                                                 : o->total - t->total + 1;
    uint64_t n = 0;
    bool counted = false;
    int ranked =
        t->q.k ? qdi_kernel_top(r, &t->q, o->strategy, want, &n, &counted, name, err) : QD_DECLINED;
    if (ranked < 0) return ranked;
    if (want && !counted) {
        int rc = qdi_range_count(r->plan, r->leaf, counted_node(r->plan), r->arena, &n, err);
        if (rc == QD_DECLINED) rc = qdi_kernel_count(r, want == UINT64_MAX ? 0 : want, &n, err);
        if (rc < 0) return rc;
        counted = rc == QD_DONE;
        /* One pass by windows does both, unless the first hits are the best. */
        if (!counted && ranked == QD_DECLINED &&
            (r->customs || r->forward || !qdi_bound_is_flat(r->root)))
            return QD_DECLINED;
        if (!counted) {
            qd_count_collector c;
            qd_count_collector_init(&c, want == UINT64_MAX ? 0 : want);
            rc = qdi_windows(r, NULL, &c.c, err);
            if (rc < 0) return rc;
            n = c.n;
        }
    }
    if (want) {
        t->total += n;
        if (want != UINT64_MAX && n >= want) t->counted = true;
    }
    if (ranked == QD_DECLINED && t->q.k) { /* only the ranking goes by windows */
        bool was = t->counted;
        t->counted = true;
        int rc = qdi_windows(r, NULL, &t->c, err);
        t->counted = was;
        *name = "windows";
        if (rc) return rc == QD_COLLECT_ALL_DONE ? QD_DONE : rc;
    }
    return QD_DONE;
}

/* Hits that end a leaf where all score alike: those that are kept, and those that are counted. */
static uint32_t enough_hits(const qd_plan *p, const qd_leaf *leaf, const top *t)
{
    if (t->counted || (qdi_plan_can(counted_node(p), QDI_NODE_INTERVAL) && !leaf->live))
        return t->q.k;
    uint64_t want = t->o->total - t->total;
    return want >= UINT32_MAX ? 0 : want >= t->q.k ? (uint32_t)want + 1 : t->q.k;
}

/* The node whose documents are the hits, all with one score; NULL where that is not plain to see.
 */
static const qdi_node *alike_node(const qd_plan *p)
{
    const qdi_node *x = p->root;
    for (;;) {
        if (qdi_plan_can(x, QDI_NODE_SAME_DOCS))
            x = x->u.child;
        else if (qdi_plan_can(x, QDI_NODE_CLAUSES) && x->u.b.nmust + x->u.b.nfilter == 1 &&
                 !x->u.b.nshould && !x->u.b.nmust_not)
            x = x->u.b.nmust ? x->u.b.must[0] : x->u.b.filter[0];
        else
            return qdi_plan_can(x, QDI_NODE_TERMS) || qdi_plan_can(x, QDI_NODE_EVERYTHING) ||
                           qdi_plan_can(x, QDI_NODE_INTERVAL)
                       ? x
                       : NULL;
    }
}

/* One leaf: by a kernel if there is one, else by windows. */
static int top_leaf(qd_plan *p, const qd_leaf *leaf, qdi_scratch *s, top *t, const char **strategy,
                    qd_err *err)
{
    qdi_run r;
    qdi_hint hint = QDI_NO_HINT;
    hint.enough = enough_hits(p, leaf, t);
    hint.alone = t->alike;
    int rc = qdi_run_begin(&r, p, leaf, s, true, hint, NULL, err);
    const char *name = NULL;
    if (!rc && !qdi_leaf_can(r.root, QDI_NODE_NOTHING)) {
        rc = t->plain ? top_plain(&r, t, &name, err) : QD_DECLINED;
        if (rc == QD_DECLINED) {
            rc = qdi_windows(&r, NULL, &t->c, err);
            name = "windows";
        } else if (rc == QD_DONE) {
            rc = 0;
        }
    }
    if (name && !*strategy) *strategy = name;
    int rc2 = qdi_run_end(&r, err);
    return rc2 < 0 ? rc2 : rc;
}

static int top_finish(qd_plan *p, top *t, qd_top_result *out, qd_err *err)
{
    qd_topk_finish(&t->q);
    out->n = t->q.n;
    out->hits = qd_arena_alloc(p->arena, (t->q.n + 1) * sizeof *out->hits);
    if (!out->hits) return qd_err_nomem(err, "hits");
    for (uint32_t i = 0; i < t->q.n; i++)
        out->hits[i] =
            (qd_top_hit){.doc = qd_topk_doc(t->q.at[i]), .score = qd_topk_score(t->q.at[i])};
    out->total = t->total;
    if (t->o->total != QD_TOTAL_EXACT && out->total > t->o->total) {
        out->total = t->o->total;
        out->total_lower_bound = true;
    }
    return 0;
}

static int top_all(qd_plan *p, const qd_top_options *o, qd_top_result *out, qd_err *err)
{
    top t = {.c = {.vt = &top_vt, .flags = QD_COLLECT_SCORES}, .o = o, .counted = o->total == 0};
    qd_top_result res = {0};
    const char *strategy = NULL;
    uint32_t docs = qd_searcher_docs(p->searcher), k = o->k < docs ? o->k : docs;
    qdi_scratch *own = qdi_scratch_take();
    if (!own) return qd_err_nomem(err, "search");
    int rc = qd_topk_init(&t.q, k, &own->arena) ? qd_err_nomem(err, "search") : 0;
    t.q.threshold = o->min_score;
    t.plain =
        !o->terminate_after && !o->min_score && !o->has_after && o->strategy != QD_STRATEGY_WINDOWS;
    t.alike = t.plain ? alike_node(p) : NULL;
    bool done = t.counted && k == 0;
    for (uint32_t i = 0; i < qd_searcher_leaves(p->searcher) && rc >= 0 && !done; i++) {
        qdi_scratch *s = qdi_scratch_take();
        if (!s) {
            rc = qd_err_nomem(err, "search");
            break;
        }
        rc = top_leaf(p, qd_searcher_leaf(p->searcher, i), s, &t, &strategy, err);
        give(s, rc);
        if (rc == QD_COLLECT_ALL_DONE) res.terminated_early = true;
        rc = soften(rc, &res.timed_out);
        if (rc == QD_COLLECT_ALL_DONE) break;
        /* of hits that score alike the first ones are the best */
        done = t.counted && (k == 0 || (t.alike && t.q.n >= k));
    }
    if (rc >= 0) rc = top_finish(p, &t, &res, err);
    qdi_scratch_give(own);
    if (rc < 0) return cancel_text(p, rc, err);
    res.strategy = strategy ? strategy : "none";
    if (o->total == 0 && res.n == k) res.total_lower_bound = true;
    *out = res;
    return 0;
}

#ifdef QD_RESCORE
bool qd_plan_rescores = true;

/* The budget is the answer's: what looks at it again is not charged. */
static qd_term_budget *charge_to(qd_plan *p, qd_term_budget *budget)
{
    qd_term_budget *before = p->o.budget;
    p->o.budget = budget;
    return before;
}

/* An answer worked out again by windows that skip nothing: what pruning left out must not have been
 * among the best, and what it scored has the same scores to the bit. */
static void rescore(qd_plan *p, const qd_top_options *o, const qd_top_result *got)
{
    qd_top_options all = *o;
    qd_top_result want;
    qd_err err;
    if (got->timed_out || got->terminated_early || o->terminate_after) return;
    all.strategy = QD_STRATEGY_WINDOWS;
    all.total = QD_TOTAL_EXACT;
    qd_err_init(&err);
    qd_term_budget *budget = charge_to(p, NULL);
    int rc = top_all(p, &all, &want, &err);
    charge_to(p, budget);
    qd_err_fini(&err);
    if (rc || want.timed_out) return; /* cancelled meanwhile, or no memory left */
    qd_assert(got->n == want.n);
    for (uint32_t i = 0; i < got->n; i++) {
        qd_assert(got->hits[i].doc == want.hits[i].doc);
        qd_assert(got->hits[i].score == want.hits[i].score);
    }
    if (o->total)
        qd_assert(got->total_lower_bound ? got->total <= want.total : got->total == want.total);
}
#endif

int qd_plan_top(qd_plan *p, const qd_top_options *o, qd_top_result *out, qd_err *err)
{
    QD_CHECK(p, QDI_PLAN_MAGIC);
    int rc = top_all(p, o, out, err);
#ifdef QD_RESCORE
    if (!rc && qd_plan_rescores) rescore(p, o, out);
#endif
    return rc;
}

/* --- counts -------------------------------------------------------------------------------- */

/* A single term where nothing is deleted: the dictionary knows. */
static bool count_known(const qd_plan *p, const qd_leaf *leaf, uint64_t *n)
{
    const qdi_node *x = counted_node(p);
    if (leaf->live || (!qdi_plan_can(x, QDI_NODE_CURSOR) && !qdi_plan_can(x, QDI_NODE_EVERYTHING)))
        return false;
    *n = qdi_plan_can(x, QDI_NODE_EVERYTHING) ? leaf->docs : x->u.term->at[leaf->index].df;
    return true;
}

static int count_leaf(qd_plan *p, const qd_leaf *leaf, qdi_scratch *s, qd_count_collector *c,
                      qd_err *err)
{
    qdi_run r;
    uint64_t n = 0;
    int rc = qdi_range_count(p, leaf, counted_node(p), &s->arena, &n, err);
    if (rc == QD_DONE) c->n += n;
    if (rc) return rc < 0 ? rc : c->stop_at && c->n >= c->stop_at ? QD_COLLECT_ALL_DONE : 0;
    rc = qdi_run_begin(&r, p, leaf, s, false, QDI_NO_HINT, NULL, err);
    if (!rc && !qdi_leaf_can(r.root, QDI_NODE_NOTHING)) {
        int done = qdi_kernel_count(&r, c->stop_at ? c->stop_at - c->n : 0, &n, err);
        if (done == QD_DONE) {
            c->n += n;
            rc = c->stop_at && c->n >= c->stop_at ? QD_COLLECT_ALL_DONE : 0;
        } else {
            rc = done < 0 ? done : qdi_windows(&r, NULL, &c->c, err);
        }
    }
    int rc2 = qdi_run_end(&r, err);
    return rc2 < 0 ? rc2 : rc;
}

#ifdef QD_RESCORE
/* A count worked out again document by document, by windows. */
static void recount(qd_plan *p, uint64_t limit, uint64_t got)
{
    qd_count_collector c;
    qd_err err;
    int rc = 0;
    qd_count_collector_init(&c, 0);
    qd_err_init(&err);
    qd_term_budget *budget = charge_to(p, NULL);
    for (uint32_t i = 0; i < qd_searcher_leaves(p->searcher) && rc == 0; i++) {
        qdi_scratch *s = qdi_scratch_take();
        if (!s) {
            rc = QD_E_NOMEM;
            break;
        }
        qdi_run r;
        rc = qdi_run_begin(&r, p, qd_searcher_leaf(p->searcher, i), s, false, QDI_NO_HINT, NULL,
                           &err);
        if (!rc && !qdi_leaf_can(r.root, QDI_NODE_NOTHING)) rc = qdi_windows(&r, NULL, &c.c, &err);
        int rc2 = qdi_run_end(&r, &err);
        if (rc2 < 0) rc = rc2;
        give(s, rc);
    }
    charge_to(p, budget);
    qd_err_fini(&err);
    if (rc) return; /* cancelled meanwhile, or no memory left */
    qd_assert(limit && c.n >= limit ? got >= limit && got <= c.n : got == c.n);
}
#endif

int qd_plan_count(qd_plan *p, uint64_t limit, uint64_t *count, qd_err *err)
{
    QD_CHECK(p, QDI_PLAN_MAGIC);
    qd_count_collector c;
    qd_count_collector_init(&c, limit);
    int rc = 0;
    for (uint32_t i = 0; i < qd_searcher_leaves(p->searcher) && rc == 0; i++) {
        uint64_t known;
        if (count_known(p, qd_searcher_leaf(p->searcher, i), &known)) {
            c.n += known;
            if (limit && c.n >= limit) break;
            continue;
        }
        qdi_scratch *s = qdi_scratch_take();
        if (!s) return qd_err_nomem(err, "search");
        rc = count_leaf(p, qd_searcher_leaf(p->searcher, i), s, &c, err);
        give(s, rc);
    }
    if (rc < 0) return cancel_text(p, rc, err);
    *count = c.n;
#ifdef QD_RESCORE
    if (qd_plan_rescores) recount(p, limit, c.n);
#endif
    return 0;
}

/* --- single documents ---------------------------------------------------------------------- */

/* Documents docs[a..b) of one leaf, by windows whose candidates they are. */
static int test_leaf(qd_plan *p, const qd_leaf *leaf, qdi_scratch *s, const uint32_t *docs,
                     uint32_t a, uint32_t b, uint64_t *matches, float *scores, qd_err *err)
{
    qdi_run r;
    qdi_hint hint = {.lead = b - a};
    int rc = qdi_run_begin(&r, p, leaf, s, scores != NULL, hint, NULL, err);
    double *acc = scores && !rc && r.root->scores ? s->acc : NULL;
    while (!rc && !qdi_leaf_can(r.root, QDI_NODE_NOTHING) && a < b) {
        uint64_t cand[QDI_WINDOW_WORDS] = {0}, out[QDI_WINDOW_WORDS];
        qdi_win w = {.from = (docs[a] - leaf->base) & ~(QDI_WINDOW - 1)};
        w.to = r.ndocs - w.from > QDI_WINDOW ? w.from + QDI_WINDOW : r.ndocs;
        w.words = (w.to - w.from + 63) / 64;
        uint32_t e = a;
        for (; e < b && docs[e] - leaf->base < w.to; e++) {
            uint32_t x = docs[e] - leaf->base;
            if (qdi_run_live(&r, x)) cand[(x - w.from) >> 6] |= 1ull << (x & 63);
        }
        rc = qdi_fill(&r, r.root, &w, cand, out, acc, err);
        for (; a < e && !rc; a++) {
            uint32_t x = docs[a] - leaf->base - w.from;
            if (!(out[x >> 6] >> (x & 63) & 1)) continue;
            matches[a >> 6] |= 1ull << (a & 63);
            if (acc) {
                scores[a] = (float)acc[x];
                acc[x] = 0;
            }
        }
    }
    int rc2 = qdi_run_end(&r, err);
    return rc2 < 0 ? rc2 : rc;
}

int qd_plan_test(qd_plan *p, const uint32_t *docs, uint32_t n, uint64_t *matches, float *scores,
                 qd_err *err)
{
    QD_CHECK(p, QDI_PLAN_MAGIC);
    memset(matches, 0, ((size_t)n + 63) / 64 * 8);
    if (scores) memset(scores, 0, n * sizeof *scores);
    int rc = 0;
    for (uint32_t a = 0; a < n && !rc;) {
        const qd_leaf *leaf = qd_searcher_leaf_of(p->searcher, docs[a]);
        uint32_t b = a + 1;
        while (b < n && docs[b] - leaf->base < leaf->docs) b++;
        qdi_scratch *s = qdi_scratch_take();
        if (!s) return qd_err_nomem(err, "search");
        rc = test_leaf(p, leaf, s, docs, a, b, matches, scores, err);
        give(s, rc);
        a = b;
    }
    return cancel_text(p, rc, err);
}
