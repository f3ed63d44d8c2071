/*
 * knn.c: documents with the nearest vectors. Which those are depends on all segments, so the plan
 * finds them (nearest.c); a segment has its share of the list.
 */
#include "search/fetch/explain_int.h"
#include "search/leaf/window_int.h"
#include "search/nodes/nearest_int.h"
#include "search/nodes/nodes_int.h"

/* A segment's share: documents of the searcher. */
typedef struct share {
    const uint32_t *docs;
    const float *scores;
    uint32_t n, base;
} share;

static void describe(const qd_node *n, bool in_bool, qd_buf *to)
{
    (void)in_bool;
    qdi_put(to, "KnnVectorQuery:");
    qdi_put_str(to, n->u.knn.field);
    qdi_put(to, "[");
    qdi_put_int(to, n->u.knn.k);
    qdi_put(to, "]");
}

static qd_explanation *explain(qdi_explaining *x, const qd_node *n, float boost, bool match,
                               float score)
{
    (void)boost;
    if (!match) return qdi_explain_make(x, false, 0, QD_STR("not among the nearest vectors"));
    return qdi_explain_make(x, true, score,
                            qd_arena_printf(x->arena,
                                            "among the nearest vectors of [%.*s], boost * score",
                                            QD_STR_ARG(n->u.knn.field)));
}

static int find(qd_plan *p, const qd_node_knn *q, const qdi_nearest **out, qd_err *err)
{
    if (q->memo && q->memo->found) return qdi_nearest_best(p, q->memo->found, q->k, out, err);
    int rc = qdi_nearest_find(p, q, out, err);
    if (!rc && q->memo) q->memo->found = *out;
    return rc;
}

static int compile(qd_plan *p, const qd_node *n, qdi_above a, qdi_node **out, qd_err *err)
{
    const qdi_nearest *found;
    int rc = find(p, &n->u.knn, &found, err);
    if (rc) return rc;
    qdi_node *x = qdi_plan_node(p, found->n ? &qdi_node_knn : &qdi_node_match_none, n, a.boost,
                                a.scores, err);
    if (!x) return QD_E_NOMEM;
    x->u.own = (void *)(uintptr_t)found;
    *out = x;
    return 0;
}

/* The first of n ascending documents that is not below doc. */
static uint32_t lower(const uint32_t *docs, uint32_t n, uint64_t doc)
{
    uint32_t lo = 0, hi = n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (docs[mid] < doc)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static int plan(qdi_run *r, const qdi_node *x, qdi_lnode *l, qd_err *err)
{
    const qdi_nearest *found = x->u.own;
    uint32_t base = r->leaf->base, from = lower(found->docs, found->n, base),
             to = lower(found->docs, found->n, (uint64_t)base + r->ndocs);
    if (from == to) return 0;
    share *s = qd_arena_alloc(r->arena, sizeof *s);
    if (!s) return qd_err_nomem(err, "search");
    *s = (share){found->docs + from, found->scores + from, to - from, base};
    l->type = &qdi_node_knn;
    l->u.own = s;
    l->cost = s->n;
    return 0;
}

static uint32_t place(const share *s, uint32_t doc)
{
    return lower(s->docs, s->n, (uint64_t)s->base + doc);
}

static uint32_t next(qdi_run *r, qdi_lnode *l, uint32_t from)
{
    const share *s = l->u.own;
    uint32_t i = place(s, from);
    (void)r;
    return i < s->n ? s->docs[i] - s->base : QD_NO_DOC;
}

static float bound(qdi_run *r, qdi_lnode *l, uint32_t from, uint32_t to)
{
    const share *s = l->u.own;
    float most = 0;
    (void)r;
    for (uint32_t i = place(s, from); i < s->n && s->docs[i] - s->base < to; i++)
        if (s->scores[i] > most) most = s->scores[i];
    return most * l->boost;
}

static int fill(qdi_run *r, qdi_lnode *l, const qdi_win *w, const uint64_t *cand, uint64_t *out,
                double *acc, qd_err *err)
{
    const share *s = l->u.own;
    (void)r, (void)err;
    memset(out, 0, w->words * sizeof *out);
    for (uint32_t i = place(s, w->from); i < s->n && s->docs[i] - s->base < w->to; i++) {
        uint32_t at = s->docs[i] - s->base - w->from;
        if (!(cand[at >> 6] >> (at & 63) & 1)) continue;
        out[at >> 6] |= (uint64_t)1 << (at & 63);
        if (acc) acc[at] += (double)(s->scores[i] * l->boost);
    }
    return 0;
}

const qd_node_type qdi_node_knn = {.name = "knn",
                                   .describe = describe,
                                   .explain = explain,
                                   .compile = compile,
                                   .plan = plan,
                                   .next = next,
                                   .bound = bound,
                                   .fill = fill};
