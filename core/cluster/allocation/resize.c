/* resize.c: a primary that is made of shards of another index begins where these have theirs. */
#include "cluster/allocation/decide_int.h"

/* The node with the started primary of a shard of the view. */
static uint32_t node_of(const alloc_ask *a, uint32_t shard)
{
    uint32_t p = qdi_alloc_primary(a->w, shard);
    return p != QD_ALLOC_NONE && a->w->state[p] == QD_ALLOC_STARTED ? a->o->node[p] : QD_ALLOC_NONE;
}

qd_alloc_verdict qdi_alloc_resize(const alloc_ask *a)
{
    const qd_alloc_index *x = alloc_index_of(a->w, a->g);
    const qd_alloc_shard *s = alloc_shard_of(a->w, a->g);
    if (!x->source || !s->fresh || !a->w->primary[a->g])
        return qdi_alloc_say(a, QD_ALLOC_YES, "the shard is not to be made of another index's");
    const qd_alloc_index *from = &a->w->view->indices[x->source - 1];
    bool shrinks = from->nshards > x->nshards;
    uint32_t n = shrinks ? from->nshards / x->nshards : 1;
    uint32_t first = shrinks ? s->number * n : s->number / (x->nshards / from->nshards);
    for (uint32_t k = first; k < first + n && k < from->nshards; k++) {
        if (node_of(a, from->first + k) == a->node) continue;
        return qdi_alloc_say(a, QD_ALLOC_NO,
                             "this node does not have the started primary of [%.*s][%u], which the "
                             "shard is made of",
                             QD_STR_ARG(from->name), k);
    }
    return qdi_alloc_say(a, QD_ALLOC_YES, "this node has the primaries that the shard is made of");
}
