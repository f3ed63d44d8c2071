/*
 * level.c: coarse balancing, for nodes that came, went, or were never balanced: as long as the
 * heaviest node outweighs the lightest, the copy of the one that gains most on the other moves.
 * Three passes, in which nodes are weighed for a small copy (shards count), a large one (bytes
 * count) and, when there are loads, a busy one. A move costs a look at the copies of one node. What
 * is left over is for balance.c.
 */
#include "cluster/allocation/allocation_int.h"

#define TARGETS 4 /* lightest nodes tried for one source */

typedef struct level_state {
    alloc_work *w;
    double bytes, load;           /* what nodes are weighed for */
    double *key;                  /* by node; of those that take part */
    bool *takes, *done;           /* may be a target; gives no more */
    uint32_t *head, *next, *prev; /* movable copies of each node */
} level_state;

static void link_in(level_state *l, uint32_t g, uint32_t node)
{
    l->prev[g] = QD_ALLOC_NONE;
    l->next[g] = l->head[node];
    if (l->head[node] != QD_ALLOC_NONE) l->prev[l->head[node]] = g;
    l->head[node] = g;
}

static void link_out(level_state *l, uint32_t g, uint32_t node)
{
    if (l->prev[g] == QD_ALLOC_NONE)
        l->head[node] = l->next[g];
    else
        l->next[l->prev[g]] = l->next[g];
    if (l->next[g] != QD_ALLOC_NONE) l->prev[l->next[g]] = l->prev[g];
}

static void reweigh(level_state *l, uint32_t node)
{
    l->key[node] = alloc_key(l->w, &l->w->plan, node, l->bytes, l->load);
}

/* The best copy of m for n that may go there. Copies in the order of their worth are tried until
 * one is allowed; after a few refusals the pair is given up. */
static uint32_t pick(level_state *l, uint32_t m, uint32_t n)
{
    double below = 1e300;
    for (int tries = 0; tries < 4; tries++) {
        uint32_t best = QD_ALLOC_NONE;
        double best_score = 0;
        for (uint32_t g = l->head[m]; g != QD_ALLOC_NONE; g = l->next[g]) {
            double score;
            if (!qdi_alloc_worth(l->w, g, n, &score) || score >= below) continue;
            if (best == QD_ALLOC_NONE || score > best_score || (score == best_score && g < best))
                best = g, best_score = score;
        }
        if (best == QD_ALLOC_NONE) return best;
        if (qdi_alloc_allowed(l->w, &l->w->plan, best, n) == QD_ALLOC_YES) return best;
        below = best_score;
    }
    return QD_ALLOC_NONE;
}

static uint32_t lightest(const level_state *l, double above)
{
    uint32_t best = QD_ALLOC_NONE;
    for (uint32_t n = 0; n < l->w->view->nnodes; n++)
        if (l->takes[n] && l->key[n] > above && (best == QD_ALLOC_NONE || l->key[n] < l->key[best]))
            best = n;
    return best;
}

static uint32_t heaviest(const level_state *l)
{
    uint32_t best = QD_ALLOC_NONE;
    for (uint32_t n = 0; n < l->w->view->nnodes; n++)
        if (!l->done[n] && l->head[n] != QD_ALLOC_NONE &&
            (best == QD_ALLOC_NONE || l->key[n] > l->key[best]))
            best = n;
    return best;
}

static void pass(level_state *l, alloc_moves *moves, double bytes, double load)
{
    alloc_work *w = l->w;
    l->bytes = bytes;
    l->load = load;
    memset(l->done, 0, w->view->nnodes);
    for (uint32_t n = 0; n < w->view->nnodes; n++) reweigh(l, n);
    for (uint32_t steps = 0; steps < w->ncopies && !w->failed; steps++) {
        uint32_t m = heaviest(l), n = QD_ALLOC_NONE, g = QD_ALLOC_NONE;
        if (m == QD_ALLOC_NONE) break;
        double above = -1e300;
        for (int i = 0; i < TARGETS && g == QD_ALLOC_NONE; i++) {
            n = lightest(l, above);
            if (n == QD_ALLOC_NONE || l->key[m] - l->key[n] <= w->threshold) break;
            above = l->key[n];
            g = pick(l, m, n);
        }
        if (g == QD_ALLOC_NONE) {
            l->done[m] = true;
            if (above == -1e300) break; /* even this one is no heavier than the lightest */
            continue;
        }
        link_out(l, g, m);
        qdi_alloc_move(w, moves, g, n, false);
        if (qdi_alloc_movable(w, g)) link_in(l, g, n);
        reweigh(l, m);
        reweigh(l, n);
    }
}

void qdi_alloc_level(alloc_work *w, alloc_moves *moves)
{
    size_t m = (size_t)w->view->nnodes + 1, c = (size_t)w->ncopies + 1;
    level_state l = {.w = w,
                     .key = qd_arena_alloc(w->arena, m * sizeof *l.key),
                     .takes = qd_arena_calloc(w->arena, m),
                     .done = qd_arena_calloc(w->arena, m),
                     .head = qd_arena_alloc(w->arena, m * sizeof *l.head),
                     .next = qd_arena_alloc(w->arena, c * sizeof *l.next),
                     .prev = qd_arena_alloc(w->arena, c * sizeof *l.prev)};
    if (!l.key || !l.takes || !l.done || !l.head || !l.next || !l.prev) {
        w->failed = QD_E_NOMEM;
        return;
    }
    memset(l.head, 0xff, m * sizeof *l.head);
    for (uint32_t n = 0; n < w->view->nnodes; n++)
        l.takes[n] = w->data[n] && w->view->nodes[n].leave == QD_ALLOC_STAYS;
    for (uint32_t g = w->ncopies; g-- > 0;)
        if (qdi_alloc_movable(w, g)) link_in(&l, g, w->plan.node[g]);
    pass(&l, moves, w->mean_bytes / 16, 0);
    if (w->mean_bytes > 0) pass(&l, moves, w->mean_bytes * 4, 0);
    if (w->mean_load > 0) pass(&l, moves, w->mean_bytes / 16, w->mean_load * 2);
}
