/*
 * pair.c: two nodes between which recoveries failed lately. A copy that has no node goes to another
 * one, if there is one; a copy that has a node stays there.
 */
#include "cluster/allocation/decide_int.h"

static const qd_alloc_pair_failed *failed(const alloc_work *w, uint32_t target, uint32_t source)
{
    const qd_alloc_view *v = w->view;
    for (uint32_t i = 0; i < v->nfailed_pairs; i++) {
        const qd_alloc_pair_failed *p = &v->failed_pairs[i];
        if (p->target == target && p->source == source && p->until_ms > v->now_ms) return p;
    }
    return NULL;
}

/* May another node hold it, which has not failed with this source? */
static bool elsewhere(const alloc_ask *a, uint32_t source)
{
    alloc_work *w = a->w;
    for (uint32_t n = 0; n < w->view->nnodes && w->scans <= ALLOC_SCANS_MAX; n++) {
        if (n == a->node || n == source || !w->data[n] || failed(w, n, source)) continue;
        w->scans++;
        if (qdi_alloc_allowed(w, a->o, a->g, n) != QD_ALLOC_NO) return true;
    }
    return false;
}

qd_alloc_verdict qdi_alloc_pair(const alloc_ask *a)
{
    alloc_work *w = a->w;
    if (!w->view->nfailed_pairs || w->commanded)
        return qdi_alloc_say(a, QD_ALLOC_YES, "no recovery between two nodes failed lately");
    uint32_t p = qdi_alloc_primary(w, w->shard_of[a->g]);
    uint32_t source = p == QD_ALLOC_NONE               ? QD_ALLOC_NONE
                      : a->o->from[p] != QD_ALLOC_NONE ? a->o->from[p]
                                                       : a->o->node[p];
    const qd_alloc_pair_failed *f =
        source == QD_ALLOC_NONE || source == a->node ? NULL : failed(w, a->node, source);
    if (!f)
        return qdi_alloc_say(a, QD_ALLOC_YES,
                             "no recovery from the node of the primary to this one failed lately");
    const qd_alloc_node *of = &w->view->nodes[source];
    if (w->state[a->g] == QD_ALLOC_UNASSIGNED && !elsewhere(a, source))
        return qdi_alloc_say(a, QD_ALLOC_YES,
                             "recoveries from node [%.*s] to this one failed lately, but no other "
                             "node can hold the copy",
                             QD_STR_ARG(of->name));
    return qdi_alloc_say(a, QD_ALLOC_NO,
                         "recoveries from node [%.*s], which has the primary, to this one failed "
                         "lately; for [%llds] other nodes are preferred",
                         QD_STR_ARG(of->name),
                         (long long)((f->until_ms - w->view->now_ms + 999) / 1000));
}
