/*
 * mend.c: what has to be put right before anything is placed: copies whose process is gone,
 * primaries to be promoted, replicas that are not wanted any more, what an index that was closed
 * was still filling.
 */
#include "cluster/allocation/allocation_int.h"

static bool is_lost(const alloc_work *w, const qd_alloc_copy *c)
{
    return c->node != QD_ALLOC_NONE && (c->lost || !w->view->nodes[c->node].up);
}

/* Takes a copy out of the world; its slot is unassigned, or gone. */
static void drop(alloc_work *w, uint32_t g, uint8_t state)
{
    if (w->now.from[g] != QD_ALLOC_NONE) w->now.from[g] = QD_ALLOC_NONE;
    qdi_alloc_take(w, &w->now, g);
    w->state[g] = state;
}

static void remove_lost(alloc_work *w, uint32_t s, uint32_t i, bool keeps_in_sync)
{
    const qd_alloc_copy *c = &w->view->shards[s].copies[i];
    const qd_alloc_index *x = &w->view->indices[w->view->shards[s].index];
    const qd_alloc_node *n = &w->view->nodes[c->node];
    uint32_t g = w->first[s] + i;
    bool restarts = n->leave == QD_ALLOC_RESTARTS && n->permit_until_ms > w->view->now_ms;
    bool target = w->state[g] == ALLOC_TARGET;
    qd_alloc_decision *d =
        qdi_alloc_decide(w, QD_ALLOC_REMOVE, g, c->node, "node [%.*s] has left the cluster",
                         QD_STR_ARG(n->name.n ? n->name : n->id));
    d->why = restarts ? QD_ALLOC_WHY_NODE_RESTARTING : QD_ALLOC_WHY_NODE_LEFT;
    d->delayed = !target && (c->state == QD_ALLOC_STARTED || c->state == QD_ALLOC_RELOCATING) &&
                 (restarts || x->delay_ms > 0);
    d->in_sync = keeps_in_sync && c->in_sync;
    d->shrink = target;
    drop(w, g, target ? ALLOC_GONE : QD_ALLOC_UNASSIGNED);
}

/* The copy that takes over: active, alive; rather one that stays, rather one on an older node, for
 * nodes of that version can still be given copies by it. */
static uint32_t heir(const alloc_work *w, uint32_t s)
{
    const qd_alloc_shard *sh = &w->view->shards[s];
    uint32_t best = QD_ALLOC_NONE;
    for (uint32_t i = 0; i < sh->ncopies; i++) {
        const qd_alloc_copy *c = &sh->copies[i];
        if ((c->state != QD_ALLOC_STARTED && c->state != QD_ALLOC_RELOCATING) || !c->in_sync ||
            is_lost(w, c))
            continue;
        if (best == QD_ALLOC_NONE) {
            best = i;
            continue;
        }
        const qd_alloc_node *a = &w->view->nodes[c->node];
        const qd_alloc_node *b = &w->view->nodes[sh->copies[best].node];
        bool stays = a->leave == QD_ALLOC_STAYS, stayed = b->leave == QD_ALLOC_STAYS;
        if (stays != stayed ? stays : a->version_number < b->version_number) best = i;
    }
    return best;
}

static void mend_lost(alloc_work *w, uint32_t s)
{
    const qd_alloc_shard *sh = &w->view->shards[s];
    bool primary_lost = false, any = false;
    for (uint32_t i = 0; i < sh->ncopies; i++) {
        bool lost = is_lost(w, &sh->copies[i]);
        any |= lost;
        primary_lost |= lost && sh->copies[i].primary && w->state[w->first[s] + i] != ALLOC_TARGET;
    }
    if (!any) return;
    w->mended[s] = true;
    uint32_t next = primary_lost ? heir(w, s) : QD_ALLOC_NONE;
    for (uint32_t i = 0; i < sh->ncopies; i++)
        if (is_lost(w, &sh->copies[i]) ||
            /* what it was filling begins again, or with nobody to fill it waits */
            (primary_lost && sh->copies[i].node != QD_ALLOC_NONE && i != next &&
             sh->copies[i].state == QD_ALLOC_INITIALIZING))
            remove_lost(w, s, i, primary_lost && next == QD_ALLOC_NONE);
    for (uint32_t i = 0; i < sh->ncopies; i++) { /* half relocations */
        const qd_alloc_copy *c = &sh->copies[i];
        uint32_t g = w->first[s] + i;
        if (c->partner == QD_ALLOC_NONE || is_lost(w, c)) continue;
        if (c->state == QD_ALLOC_RELOCATING && w->state[w->first[s] + c->partner] == ALLOC_GONE) {
            qdi_alloc_take(w, &w->now, g);
            w->now.from[g] = QD_ALLOC_NONE;
            qdi_alloc_put(w, &w->now, g, c->node);
            w->state[g] = QD_ALLOC_STARTED;
        } else if (w->state[g] == ALLOC_TARGET &&
                   w->state[w->first[s] + c->partner] == QD_ALLOC_UNASSIGNED &&
                   w->state[g] != ALLOC_GONE) {
            qd_alloc_decision *d = qdi_alloc_decide(w, QD_ALLOC_REMOVE, g, c->node,
                                                    "the copy that it was to replace is gone");
            d->shrink = true;
            d->why = QD_ALLOC_WHY_NODE_LEFT;
            w->state[g] = ALLOC_GONE;
        }
    }
    if (next == QD_ALLOC_NONE) return;
    uint32_t g = w->first[s] + next, old = qdi_alloc_primary(w, s);
    const qd_alloc_node *n = &w->view->nodes[sh->copies[next].node];
    qdi_alloc_decide(w, QD_ALLOC_PROMOTE, g, sh->copies[next].node,
                     "the primary's node has left; the copy on [%.*s] is in sync",
                     QD_STR_ARG(n->name.n ? n->name : n->id));
    if (old != QD_ALLOC_NONE) w->primary[old] = false;
    w->primary[g] = true;
}

/* Copies of a closed index that are being filled or moved have no engine to come from. */
static void mend_closed(alloc_work *w, uint32_t s)
{
    if (!w->view->indices[w->view->shards[s].index].closed) return;
    for (uint32_t g = w->first[s]; g < w->first[s + 1]; g++) {
        bool moves = w->state[g] == QD_ALLOC_RELOCATING;
        if (!moves && (w->state[g] != QD_ALLOC_INITIALIZING || w->primary[g])) continue;
        w->mended[s] = true;
        qdi_alloc_decide(w, moves ? QD_ALLOC_CANCEL : QD_ALLOC_REMOVE, g, w->now.node[g],
                         "its index is closed")
            ->why = QD_ALLOC_WHY_REINITIALIZED;
        uint32_t from = w->now.from[g];
        qdi_alloc_take(w, &w->now, g);
        w->now.from[g] = QD_ALLOC_NONE;
        if (moves) qdi_alloc_put(w, &w->now, g, from);
        w->state[g] = moves ? QD_ALLOC_STARTED : QD_ALLOC_UNASSIGNED;
    }
}

/* Copies beyond number_of_replicas: unassigned, then initializing, then the one on the fullest
 * node.
 */
static void mend_excess(alloc_work *w, uint32_t s)
{
    const qd_alloc_shard *sh = &w->view->shards[s];
    uint32_t want = w->view->indices[sh->index].replicas + 1, have = 0;
    for (uint32_t g = w->first[s]; g < w->first[s + 1]; g++) have += w->state[g] < ALLOC_TARGET;
    for (; have > want; have--) {
        uint32_t worst = QD_ALLOC_NONE;
        int worst_rank = -1;
        for (uint32_t g = w->first[s]; g < w->first[s + 1]; g++) {
            if (w->state[g] >= ALLOC_TARGET || w->primary[g]) continue;
            int rank = w->state[g] == QD_ALLOC_UNASSIGNED     ? 3
                       : w->state[g] == QD_ALLOC_INITIALIZING ? 2
                       : w->state[g] == QD_ALLOC_RELOCATING   ? 1
                                                              : 0;
            if (rank > worst_rank ||
                (rank == worst_rank && rank < 3 &&
                 w->now.shards[w->now.node[g]] > w->now.shards[w->now.node[worst]]))
                worst = g, worst_rank = rank;
        }
        if (worst == QD_ALLOC_NONE) return;
        uint32_t target = w->state[worst] == QD_ALLOC_RELOCATING
                              ? w->first[s] + sh->copies[worst - w->first[s]].partner
                              : QD_ALLOC_NONE;
        if (target != QD_ALLOC_NONE) {
            qdi_alloc_decide(w, QD_ALLOC_REMOVE, target, w->now.node[worst],
                             "the copy that it was to replace goes")
                ->shrink = true;
            w->state[target] = ALLOC_GONE;
        }
        w->mended[s] = true;
        qd_alloc_decision *d = qdi_alloc_decide(
            w, QD_ALLOC_REMOVE, worst, w->now.node[worst], "index [%.*s] wants %u replicas",
            QD_STR_ARG(w->view->indices[sh->index].name), want - 1);
        d->shrink = true;
        drop(w, worst, ALLOC_GONE);
    }
}

void qdi_alloc_mend(alloc_work *w)
{
    for (uint32_t s = 0; s < w->view->nshards; s++) {
        mend_lost(w, s);
        mend_excess(w, s);
        mend_closed(w, s);
    }
}
