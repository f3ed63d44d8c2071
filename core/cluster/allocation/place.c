/*
 * place.c: unassigned copies: in which order, which wait for their node, where files lie, and where
 * the plan puts them.
 */
#include "cluster/allocation/allocation_int.h"
#include <stdlib.h>

typedef struct queue_key {
    int32_t priority;
    bool primary;
    int64_t created;
    uint32_t index, g;
} queue_key;

/* Higher index.priority first, younger indices first, primaries before replicas. */
static int queue_cmp(const void *pa, const void *pb)
{
    const queue_key *a = pa, *b = pb;
    if (a->primary != b->primary) return a->primary ? -1 : 1;
    if (a->priority != b->priority) return a->priority > b->priority ? -1 : 1;
    if (a->created != b->created) return a->created > b->created ? -1 : 1;
    if (a->index != b->index) return a->index < b->index ? -1 : 1;
    return a->g < b->g ? -1 : a->g > b->g;
}

uint32_t qdi_alloc_queue(alloc_work *w, uint32_t **out)
{
    uint32_t n = 0;
    queue_key *keys = qd_arena_alloc(w->arena, ((size_t)w->ncopies + 1) * sizeof *keys);
    *out = qd_arena_alloc(w->arena, ((size_t)w->ncopies + 1) * sizeof **out);
    if (!keys || !*out) {
        w->failed = QD_E_NOMEM;
        return 0;
    }
    for (uint32_t g = 0; g < w->ncopies; g++) {
        if (w->state[g] != QD_ALLOC_UNASSIGNED) continue;
        const qd_alloc_index *x = alloc_index_of(w, g);
        keys[n++] =
            (queue_key){x->priority, w->primary[g], x->created_ms, alloc_shard_of(w, g)->index, g};
    }
    qsort(keys, n, sizeof *keys, queue_cmp);
    for (uint32_t i = 0; i < n; i++) (*out)[i] = keys[i].g;
    return n;
}

bool qdi_alloc_delayed(const alloc_work *w, uint32_t g, int64_t *until)
{
    const qd_alloc_unassigned *u = &alloc_copy_of(w, g)->info;
    int64_t now = w->view->now_ms, end = INT64_MIN;
    if (w->primary[g] || !u->delayed) return false;
    if (u->why == QD_ALLOC_WHY_NODE_LEFT || u->why == QD_ALLOC_WHY_NODE_RESTARTING)
        end = u->at_ms + alloc_index_of(w, g)->delay_ms;
    if (u->last_node != QD_ALLOC_NONE) {
        const qd_alloc_node *n = &w->view->nodes[u->last_node];
        if (n->leave == QD_ALLOC_RESTARTS && n->permit_until_ms > end) end = n->permit_until_ms;
        /* it came back, or is not to come back */
        if (n->up || n->leave == QD_ALLOC_REMOVED) return false;
    }
    *until = end;
    return end > now;
}

uint32_t qdi_alloc_holder(alloc_work *w, uint32_t g, qd_alloc_verdict *verdict, bool *any)
{
    const qd_alloc_shard *s = alloc_shard_of(w, g);
    uint32_t best = QD_ALLOC_NONE, forced = QD_ALLOC_NONE;
    qd_alloc_verdict best_v = QD_ALLOC_NO, forced_v = QD_ALLOC_NO;
    *any = false;
    for (uint32_t i = 0; i < s->nholders; i++) {
        uint32_t n = s->holders[i].node;
        if (!s->holders[i].in_sync || n == QD_ALLOC_NONE || !w->data[n]) continue;
        *any = true;
        qd_alloc_verdict v = qdi_alloc_allowed(w, &w->now, g, n);
        qd_alloc_verdict f = qdi_alloc_forced(w, g, n);
        if (v > best_v) best = i, best_v = v;
        if (f > forced_v) forced = i, forced_v = f;
    }
    /* data that is there is served though a rule would rather have it elsewhere; it moves later */
    if (best == QD_ALLOC_NONE) best = forced, best_v = forced_v;
    *verdict = best_v;
    return best;
}

/* The node on which the last two attempts or more failed: another one is tried next, as its disk
 * may be full. NONE. */
static uint32_t failing(const alloc_work *w, uint32_t g)
{
    const qd_alloc_unassigned *u = &alloc_copy_of(w, g)->info;
    return u->why == QD_ALLOC_WHY_ALLOCATION_FAILED && u->failures > 1 ? u->last_node
                                                                       : QD_ALLOC_NONE;
}

/* A node with files of the shard, where a replica needs only what it lacks. */
static uint32_t reuse(alloc_work *w, uint32_t g, uint32_t avoid)
{
    const qd_alloc_shard *s = alloc_shard_of(w, g);
    for (int in_sync = 1; in_sync >= 0; in_sync--)
        for (uint32_t i = 0; i < s->nholders; i++) {
            uint32_t n = s->holders[i].node;
            if (n != QD_ALLOC_NONE && n != avoid && s->holders[i].in_sync == (bool)in_sync &&
                qdi_alloc_allowed(w, &w->plan, g, n) == QD_ALLOC_YES)
                return n;
        }
    uint32_t last = alloc_copy_of(w, g)->info.last_node;
    if (last != QD_ALLOC_NONE && last != avoid &&
        qdi_alloc_allowed(w, &w->plan, g, last) == QD_ALLOC_YES)
        return last;
    return QD_ALLOC_NONE;
}

void qdi_alloc_place(alloc_work *w)
{
    uint32_t *queue, n = qdi_alloc_queue(w, &queue);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t g = queue[i], node;
        int64_t until;
        const qd_alloc_shard *s = alloc_shard_of(w, g);
        if (w->primary[g] && !s->fresh) { /* only where its data is */
            qd_alloc_verdict v;
            bool any;
            uint32_t h = qdi_alloc_holder(w, g, &v, &any);
            node = h == QD_ALLOC_NONE ? QD_ALLOC_NONE : s->holders[h].node;
        } else {
            if (qdi_alloc_delayed(w, g, &until)) continue;
            /* a replica that nothing can fill takes no room */
            uint32_t p = qdi_alloc_primary(w, w->shard_of[g]);
            if (p != g && (p == QD_ALLOC_NONE || w->plan.node[p] == QD_ALLOC_NONE)) continue;
            uint32_t avoid = failing(w, g);
            node = w->primary[g] ? QD_ALLOC_NONE : reuse(w, g, avoid);
            if (node == QD_ALLOC_NONE && avoid != QD_ALLOC_NONE)
                node = qdi_alloc_find_but(w, g, avoid);
            if (node == QD_ALLOC_NONE) node = qdi_alloc_find(w, g);
        }
        if (node != QD_ALLOC_NONE) qdi_alloc_put(w, &w->plan, g, node);
    }
}
