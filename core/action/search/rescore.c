/*
 * rescore.c: "rescore": the best hits of each shard get scores that a second query has a part in.
 * The windows are a shard's, and the hits beyond one are weighed as those that its query does not
 * match.
 */
#include "action/search/search_int.h"
#include "base/str.h"
#include "search/fetch/explain.h"
#include <stdlib.h>

int qdi_rescore_read(search_request *r, const rank_rescore *const *given, uint32_t n,
                     search_rescore **out, qd_err *err)
{
    search_rescore *at = qd_arena_calloc(r->arena, (n + 1ul) * sizeof *at);
    int rc = at ? 0 : qd_err_nomem(err, "rescore");
    for (uint32_t i = 0; i < n && !rc; i++) {
        at[i].of = given[i];
        rc = qdi_search_query_text(r, given[i]->query, &at[i].query, err);
    }
    *out = at;
    return rc;
}

int qdi_rescore_check(const search_request *r, qd_err *err)
{
    if (r->collapse)
        return qd_err_set(err, QD_E_ARG, "cannot use `collapse` in conjunction with `rescore`");
    if (r->sort.n)
        return qd_err_set(err, QD_E_ARG, "Cannot use [sort] option in conjunction with [rescore].");
    return 0;
}

int qdi_rescore_bind(search_run *x, search_index *ix, const search_rescore *of, uint32_t n,
                     const qd_node ***out, qd_err *err)
{
    int64_t most = qd_values_i64(ix->meta->values, QD_IX_MAX_RESCORE_WINDOW);
    const qd_node **at = qd_arena_calloc(x->arena, (n + 1ul) * sizeof(const qd_node *));
    int rc = at ? qdi_rank_level(x, "rescore", err) : qd_err_nomem(err, "rescore");
    for (uint32_t i = 0; i < n && !rc; i++) {
        qd_query_built built;
        if (of[i].of->window > most)
            return qd_err_set(err, QD_E_ARG,
                              "Rescore window [%lld] is too large. It must be less than [%lld]. "
                              "This prevents allocating massive heaps for storing the results to "
                              "be rescored. This limit can be set by changing the "
                              "[index.max_rescore_window] index level setting.",
                              (long long)of[i].of->window, (long long)most);
        rc = qd_query_build(&ix->context, of[i].query, &built, err);
        if (rc) break;
        at[i] = built.root;
        ix->query.uncacheable |= built.uncacheable;
    }
    *out = at;
    return rc;
}

int qdi_rescore_plan(const search_run *x, search_shard *s, const qd_node *node, qd_plan **out,
                     qd_err *err)
{
    qd_plan_options o = qdi_search_plan_options(x, s->index, qdi_search_budget(x, s));
    o.task = x->task;
    int rc = qd_plan_make(s->searcher, node, &o, &s->arena, out, err);
    bool ours = rc == QD_E_ARG || rc == QD_E_TOO_COMPLEX;
    return ours ? qd_query_failed(&s->index->context, rc, err) : rc;
}

int qdi_rescore_test(const search_run *x, search_shard *s, const qd_node *node,
                     const uint32_t *docs, uint32_t n, uint64_t *bits, float *scores, qd_err *err)
{
    qd_plan *p;
    memset(bits, 0, (n / 64 + 1ul) * sizeof *bits);
    int rc = qdi_rescore_plan(x, s, node, &p, err);
    return rc ? rc : qd_plan_test(p, docs, n, bits, scores, err);
}

static int by_doc(const void *a, const void *b)
{
    const search_hit *x = a, *y = b;
    return x->doc < y->doc ? -1 : x->doc > y->doc;
}

static int by_score(const void *a, const void *b)
{
    const search_hit *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return by_doc(a, b);
}

/* One rescorer over the hits as those before it have left them. */
static int rescore(search_run *x, search_shard *s, uint32_t k, qd_err *err)
{
    const rank_rescore *of = x->r->rescores[k].of;
    uint32_t n = of->window < s->nhits ? (uint32_t)of->window : s->nhits;
    uint32_t *docs = qd_arena_alloc(&s->arena, (n + 1ul) * sizeof *docs);
    uint64_t *bits = qd_arena_alloc(&s->arena, (n / 64 + 1ul) * sizeof *bits);
    float *scores = qd_arena_alloc(&s->arena, (n + 1ul) * sizeof *scores);
    if (!docs || !bits || !scores) return qd_err_nomem(err, "rescore");
    if (n) qsort(s->hits, n, sizeof *s->hits, by_doc);
    for (uint32_t i = 0; i < n; i++) docs[i] = s->hits[i].doc;
    int rc = n ? qdi_rescore_test(x, s, s->index->rescores[k], docs, n, bits, scores, err) : 0;
    for (uint32_t i = 0; i < s->nhits && !rc; i++) {
        bool match = i < n && (bits[i >> 6] >> (i & 63) & 1);
        s->hits[i].score = qdi_rank_rescored(of, s->hits[i].score, match, match ? scores[i] : 0);
    }
    qsort(s->hits, s->nhits, sizeof *s->hits, by_score);
    return rc;
}

int qdi_rescore_shard(search_run *x, search_shard *s, qd_err *err)
{
    int rc = 0;
    if (!s->nhits) return 0;
    for (uint32_t k = 0; k < x->r->nrescores && !rc; k++) rc = rescore(x, s, k, err);
    s->max_score = s->hits[0].score;
    return rc;
}

/* --- explanations ----------------------------------------------------------------------------- */

static qd_explanation *make(qd_arena *a, float value, const char *description, qd_explanation *one,
                            qd_explanation *two)
{
    qd_explanation *e = qd_arena_calloc(a, sizeof *e);
    qd_explanation **details = qd_arena_alloc(a, 2 * sizeof(qd_explanation *));
    if (!e || !details || (one && !one->details && one->n)) return NULL;
    details[0] = one;
    details[1] = two;
    *e = (qd_explanation){.match = true,
                          .value = value,
                          .description = qd_str_c(description),
                          .details = details,
                          .n = (one != NULL) + (two != NULL)};
    return e;
}

/* A score times its weight. */
static qd_explanation *weighed(qd_arena *a, qd_explanation *score, float weight, const char *name)
{
    qd_explanation *w = make(a, weight, name, NULL, NULL);
    return w ? make(a, score->value * weight, "product of:", score, w) : NULL;
}

static int explain_one(search_hits *h, uint32_t i, uint32_t k, qd_explanation **e, qd_err *err)
{
    static const char *const sums[] = {"sum of:", "product of:", "avg of:", "max of:", "min of:"};
    const rank_rescore *of = h->x->r->rescores[k].of;
    qd_explanation *second, *a = weighed(h->arena, *e, of->query_weight, "primaryWeight");
    qd_plan_options o = qdi_search_plan_options(h->x, h->index, h->budget);
    int rc =
        qd_explain(h->searcher, h->index->rescores[k], &o, h->hits[i].doc, h->arena, &second, err);
    if (!rc && !a) rc = qd_err_nomem(err, "explanation");
    if (rc) return rc;
    float value = qdi_rank_rescored(of, (*e)->value, second->match, second->value);
    *e = a;
    if (!second->match) return 0;
    qd_explanation *b = weighed(h->arena, second, of->weight, "secondaryWeight");
    if (b) *e = make(h->arena, value, sums[of->mode], a, b);
    return b && *e ? 0 : qd_err_nomem(err, "explanation");
}

int qdi_rescore_explain(search_hits *h, uint32_t i, qd_explanation **e, qd_err *err)
{
    qd_explanation *first = *e;
    float shown = h->hits[i].score;
    int rc = 0;
    for (uint32_t k = 0; k < h->x->r->nrescores && !rc; k++) rc = explain_one(h, i, k, e, err);
    float off = (*e)->value - shown;
    if (rc || (off < 0 ? -off : off) <= 1e-4f * (shown < 0 ? -shown : shown)) return rc;
    *e = first; /* it was beyond a window: only weighed */
    for (uint32_t k = 0; k < h->x->r->nrescores && *e; k++)
        *e = weighed(h->arena, *e, h->x->r->rescores[k].of->query_weight, "primaryWeight");
    return *e ? 0 : qd_err_nomem(err, "explanation");
}
