/*
 * balance.c: the moves of the plan. First every started copy that may not stay where it is; then,
 * as long as one helps, the move that lessens the imbalance most for what it costs.
 *
 * The moves for balance are taken from a heap of copies by what they gained when last looked at.
 * The best one is looked at again before it is made: a gain mostly only shrinks (lazy greedy), so
 * few are looked at twice. What a move made better elsewhere is found by another pass over all
 * copies; most of them fall to a bound that costs nothing. Each move lessens one and the same sum,
 * so there is an end; no copy moves twice.
 */
#include "cluster/allocation/decide_int.h"

typedef struct balance_entry {
    double score;
    uint32_t g, node;
} balance_entry;

typedef struct balance_heap {
    balance_entry *at;
    uint32_t n;
} balance_heap;

static bool before(const balance_entry *a, const balance_entry *b)
{
    return a->score > b->score || (a->score == b->score && a->g < b->g);
}

static void heap_down(balance_heap *h, uint32_t i)
{
    balance_entry e = h->at[i];
    for (uint32_t k; (k = 2 * i + 1) < h->n; i = k) {
        if (k + 1 < h->n && before(&h->at[k + 1], &h->at[k])) k++;
        if (!before(&h->at[k], &e)) break;
        h->at[i] = h->at[k];
    }
    h->at[i] = e;
}

/* Would a move of g to node help enough? Its worth: gain for the bytes it costs. */
bool qdi_alloc_worth(const alloc_work *w, uint32_t g, uint32_t node, double *score)
{
    double gap, gain = qdi_alloc_gain(w, &w->plan, g, node, &gap);
    if (gap <= w->threshold || gain < ALLOC_GAIN_MIN) return false;
    double size = (double)alloc_shard_of(w, g)->size;
    *score = gain / (0.5 + (w->mean_bytes > 0 ? size / w->mean_bytes : 0));
    return true;
}

static bool may_move(const alloc_work *w, uint32_t g)
{
    if (w->plan.node[g] == QD_ALLOC_NONE || w->moved[g]) return false;
    if (w->state[g] == QD_ALLOC_STARTED) return !w->still && !w->mended[w->shard_of[g]];
    if (w->state[g] != QD_ALLOC_UNASSIGNED) return false;
    /* not there yet: it may as well be planned elsewhere, unless files bind it to its place */
    return !w->primary[g] || alloc_shard_of(w, g)->fresh;
}

static bool off(const alloc_work *w, uint32_t g)
{
    const qd_alloc_index *x = alloc_index_of(w, g);
    qd_alloc_rebalance r = x->rebalance_set ? x->rebalance : w->view->settings.rebalance;
    if (w->state[g] == QD_ALLOC_UNASSIGNED) return false;
    return r == QD_ALLOC_REBALANCE_NONE || (r == QD_ALLOC_REBALANCE_PRIMARIES && !w->primary[g]) ||
           (r == QD_ALLOC_REBALANCE_REPLICAS && w->primary[g]);
}

bool qdi_alloc_movable(const alloc_work *w, uint32_t g)
{
    return may_move(w, g) && !off(w, g);
}

#define KEPT 8 /* best copies of each node that are looked at in one pass */

/* The entry joins its node's best, unless they are better. */
static void keep(balance_entry *at, uint8_t *n, balance_entry e)
{
    uint8_t worst = 0;
    if (*n < KEPT) {
        at[(*n)++] = e;
        return;
    }
    for (uint8_t i = 1; i < KEPT; i++)
        if (before(&at[worst], &at[i])) worst = i;
    if (before(&e, &at[worst])) at[worst] = e;
}

/* Each node's copies that gain most at the best node of some group; what the deciders think of that
 * node is asked when it is the copy's turn. */
static void heap_fill(alloc_work *w, balance_heap *h, balance_entry *kept, uint8_t *nkept)
{
    memset(nkept, 0, w->view->nnodes);
    for (uint32_t g = 0; g < w->ncopies; g++) {
        if (!qdi_alloc_movable(w, g) || qdi_alloc_gain_bound(w, g) < ALLOC_GAIN_MIN) continue;
        balance_entry e = {0, g, QD_ALLOC_NONE};
        qdi_alloc_hint(w, g, &e.node, &e.score);
        uint32_t at = w->plan.node[g];
        if (e.node != QD_ALLOC_NONE) keep(&kept[(size_t)at * KEPT], &nkept[at], e);
    }
    h->n = 0;
    for (uint32_t n = 0; n < w->view->nnodes; n++)
        for (uint8_t i = 0; i < nkept[n]; i++) h->at[h->n++] = kept[(size_t)n * KEPT + i];
    for (uint32_t i = h->n / 2; i-- > 0;) heap_down(h, i);
}

void qdi_alloc_move(alloc_work *w, alloc_moves *moves, uint32_t g, uint32_t node, bool must)
{
    qdi_alloc_take(w, &w->plan, g);
    qdi_alloc_put(w, &w->plan, g, node);
    if (w->state[g] == QD_ALLOC_UNASSIGNED) return;
    w->moved[g] = true;
    alloc_move m = {g, node, must};
    if (qd_vec_push(moves, w->arena->account, m)) w->failed = QD_E_NOMEM;
}

static void must_moves(alloc_work *w, alloc_moves *moves)
{
    for (uint32_t g = 0; g < w->ncopies; g++) {
        if (w->state[g] != QD_ALLOC_STARTED || w->mended[w->shard_of[g]]) continue;
        if (qdi_alloc_remains(w, &w->plan, g, w->plan.node[g]) != QD_ALLOC_NO) continue;
        uint32_t node = qdi_alloc_find(w, g);
        if (node == QD_ALLOC_NONE)
            w->result->stuck++;
        else
            qdi_alloc_move(w, moves, g, node, true);
        if (w->single && moves->n) return;
    }
}

#define PASSES 4

void qdi_alloc_plan_moves(alloc_work *w, alloc_moves *moves)
{
    balance_heap h = {qd_arena_alloc(w->arena, ((size_t)w->view->nnodes * KEPT + 1) * sizeof *h.at),
                      0};
    w->moved = qd_arena_calloc(w->arena, (size_t)w->ncopies + 1);
    size_t kept_room = (size_t)w->view->nnodes * KEPT + 1;
    balance_entry *kept = qd_arena_alloc(w->arena, kept_room * sizeof *kept);
    uint8_t *nkept = qd_arena_alloc(w->arena, (size_t)w->view->nnodes + 1);
    if (!h.at || !w->moved || !kept || !nkept) {
        w->failed = QD_E_NOMEM;
        return;
    }
    alloc_ask ask = {w, &w->now, 0, 0, NULL};
    w->still = w->ncopies && qdi_alloc_cluster_rebalance(&ask) != QD_ALLOC_YES;
    if (w->musts) must_moves(w, moves);
    if (w->single && moves->n) return;
    if (!w->single) qdi_alloc_level(w, moves);
    for (int pass = 0; pass < PASSES && !w->failed; pass++) {
        heap_fill(w, &h, kept, nkept);
        if (!h.n || (w->single && moves->n)) break;
        while (h.n && !w->failed && !(w->single && moves->n)) {
            balance_entry e = h.at[0];
            double score = 0;
            e.node = qdi_alloc_find(w, e.g);
            bool good = e.node != QD_ALLOC_NONE && qdi_alloc_worth(w, e.g, e.node, &score);
            bool falls = good && h.n > 1 && score < e.score * 0.98;
            if (falls) {
                h.at[0].score = score;
                h.at[0].node = e.node;
                heap_down(&h, 0);
                continue;
            }
            h.at[0] = h.at[--h.n];
            if (h.n) heap_down(&h, 0);
            if (good) qdi_alloc_move(w, moves, e.g, e.node, false);
        }
    }
}
