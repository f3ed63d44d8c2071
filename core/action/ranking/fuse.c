/*
 * fuse.c: lists of hits become one. Hits of several lists are put together by sorting them by
 * document, and their scores are added in the order of the lists: the result depends on nothing
 * but the lists.
 *
 * Reciprocal rank fusion: Cormack, Clarke, Buettcher, SIGIR 2009.
 */
#include "action/ranking/ranking.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct fusing {
    const rank_plan *plan;
    const rank_list *leaves;
    rank_extra_fn extra;
    void *arg;
    qd_arena *arena;
    qd_err *err;
} fusing;

/* A hit of one of the lists. */
typedef struct entry {
    rank_doc d;
    uint32_t list, rank;
} entry;

static int by_document(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->d.shard != y->d.shard) return x->d.shard < y->d.shard ? -1 : 1;
    if (x->d.doc != y->d.doc) return x->d.doc < y->d.doc ? -1 : 1;
    return x->list < y->list ? -1 : x->list > y->list;
}

static int by_score(const void *a, const void *b)
{
    const rank_doc *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    if (x->shard != y->shard) return x->shard < y->shard ? -1 : 1;
    return x->doc < y->doc ? -1 : x->doc > y->doc;
}

static void sort_list(rank_list *l)
{
    if (l->n) qsort(l->at, l->n, sizeof *l->at, by_score);
}

static int fuse_node(const fusing *f, const rank_node *n, rank_list *out);

/* --- several lists ---------------------------------------------------------------------------- */

/* The score of the hit that e[0 .. n-1] are of. */
static float score_of(const rank_node *node, const entry *e, uint32_t n, float *scores)
{
    float sum = 0;
    if (node->kind == RANK_COMBINED) {
        memset(scores, 0, node->n * sizeof *scores);
        for (uint32_t i = 0; i < n; i++) scores[e[i].list] = e[i].d.score;
        return qdi_rank_sound(qdi_rank_mean(node->mean, scores, node->weights, node->n));
    }
    for (uint32_t i = 0; i < n; i++) {
        float w = node->weights ? node->weights[e[i].list] : 1, s = e[i].d.score;
        if (node->kind == RANK_RRF)
            sum += w * (1.0f / (float)(node->constant + e[i].rank));
        else
            sum += w * (isnan(s) ? 0 : s);
    }
    return qdi_rank_sound(sum);
}

/* All hits of the lists, normalized, in the order of documents. */
static entry *entries(const fusing *f, const rank_node *n, const rank_list *lists, uint32_t *count)
{
    size_t all = 0;
    for (uint32_t i = 0; i < n->n; i++) all += lists[i].n;
    entry *e = all < UINT32_MAX ? qd_arena_alloc(f->arena, (all + 1) * sizeof *e) : NULL;
    *count = 0;
    for (uint32_t i = 0; i < n->n && e; i++) {
        if (n->norms) qdi_rank_normalize(n->norms[i], lists[i].at, lists[i].n);
        for (uint32_t k = 0; k < lists[i].n; k++) e[(*count)++] = (entry){lists[i].at[k], i, k + 1};
    }
    if (e && *count) qsort(e, *count, sizeof *e, by_document);
    return e;
}

static int combine(const fusing *f, const rank_node *n, const rank_list *lists, rank_list *out)
{
    uint32_t count, to;
    entry *e = entries(f, n, lists, &count);
    float *scores = qd_arena_alloc(f->arena, (n->n + 1ul) * sizeof *scores);
    rank_doc *at = e ? qd_arena_alloc(f->arena, (count + 1ul) * sizeof *at) : NULL;
    if (!at || !scores) return qd_err_nomem(f->err, "ranked lists");
    *out = (rank_list){at, 0};
    for (uint32_t i = 0; i < count; i = to) {
        for (to = i + 1; to < count; to++)
            if (e[to].d.shard != e[i].d.shard || e[to].d.doc != e[i].d.doc) break;
        at[out->n] = e[i].d;
        at[out->n++].score = score_of(n, e + i, to - i, scores);
    }
    sort_list(out);
    return 0;
}

/* --- one list, rescored ----------------------------------------------------------------------- */

/* Each shard's best so many are moved, as when its own search had rescored them. */
static int rescore(const fusing *f, const rank_node *n, rank_list *l)
{
    uint32_t shards = 0;
    for (uint32_t i = 0; i < l->n; i++)
        if (l->at[i].shard >= shards) shards = l->at[i].shard + 1;
    uint32_t *seen = qd_arena_alloc(f->arena, (shards + 1ul) * sizeof *seen);
    if (!seen) return qd_err_nomem(f->err, "ranked lists");
    for (uint32_t k = 0; k < n->rescores.n; k++) {
        const rank_rescore *s = &n->rescores.at[k];
        memset(seen, 0, shards * sizeof *seen);
        for (uint32_t i = 0; i < l->n; i++) {
            rank_doc *d = &l->at[i];
            float second = seen[d->shard]++ < s->window ? f->extra(f->arg, d, n->extra + k) : NAN;
            d->score = qdi_rank_rescored(s, d->score, !isnan(second), second);
        }
        sort_list(l);
    }
    return 0;
}

/* --- the tree --------------------------------------------------------------------------------- */

static void cut(rank_list *l, int64_t window)
{
    if (window >= 0 && l->n > window) l->n = (uint32_t)window;
}

static void drop_below(rank_list *l, float least)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < l->n; i++)
        if (l->at[i].score >= least) l->at[n++] = l->at[i];
    l->n = n;
}

static int fuse_node(const fusing *f, const rank_node *n, rank_list *out)
{
    int rc = 0;
    if (n->kind == RANK_LEAF) {
        const rank_list *l = &f->leaves[n->leaf];
        rank_doc *at = qd_arena_alloc(f->arena, (l->n + 1ul) * sizeof *at);
        if (!at) return qd_err_nomem(f->err, "ranked lists");
        if (l->n) memcpy(at, l->at, l->n * sizeof *at);
        *out = (rank_list){at, l->n};
        return 0;
    }
    rank_list *lists = qd_arena_calloc(f->arena, (n->n + 1ul) * sizeof *lists);
    if (!lists) return qd_err_nomem(f->err, "ranked lists");
    for (uint32_t i = 0; i < n->n && !rc; i++) {
        rc = fuse_node(f, n->below[i], &lists[i]);
        if (!f->plan->every_hit && n->kind != RANK_RESCORED) cut(&lists[i], n->window);
    }
    if (!rc && n->kind == RANK_RESCORED) {
        *out = lists[0];
        rc = rescore(f, n, out);
    } else if (!rc) {
        rc = combine(f, n, lists, out);
    }
    if (!rc && !f->plan->every_hit) cut(out, n->window);
    if (!rc && n->has_min_score) drop_below(out, n->min_score);
    return rc;
}

int qdi_rank_fuse(const rank_plan *p, const rank_list *leaves, rank_extra_fn extra, void *arg,
                  qd_arena *a, rank_list *out, qd_err *err)
{
    const fusing f = {p, leaves, extra, arg, a, err};
    return fuse_node(&f, p->root, out);
}
