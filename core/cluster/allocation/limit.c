/* limit.c: most shards of a node, of an index and in all. */
#include "cluster/allocation/decide_int.h"

static qd_alloc_verdict limit(const alloc_ask *a, uint32_t plus)
{
    const alloc_work *w = a->w;
    const qd_alloc_index *x = alloc_index_of(w, a->g);
    int32_t index_most = x->per_node, most = w->view->settings.per_node;
    if (index_most <= 0 && most <= 0)
        return qdi_alloc_say(a, QD_ALLOC_YES,
                             "total shard limits are disabled: [index: %d, cluster: %d] <= 0",
                             index_most, most);
    uint32_t here = (uint32_t)a->o->shards[a->node];
    if (most > 0 && here + plus > (uint32_t)most)
        return qdi_alloc_say(a, QD_ALLOC_NO,
                             "too many shards [%u] allocated to this node, cluster setting "
                             "[cluster.routing.allocation.total_shards_per_node=%d]",
                             here, most);
    uint32_t of_index =
        index_most > 0 ? qdi_alloc_count(a->o, alloc_shard_of(w, a->g)->index, a->node) : 0;
    if (index_most > 0 && of_index + plus > (uint32_t)index_most)
        return qdi_alloc_say(a, QD_ALLOC_NO,
                             "too many shards [%u] allocated to this node for index [%.*s], index "
                             "setting [index.routing.allocation.total_shards_per_node=%d]",
                             of_index, QD_STR_ARG(x->name), index_most);
    return qdi_alloc_say(a, QD_ALLOC_YES,
                         "the shard count [%u] for this node is under the index limit [%d] and "
                         "cluster level node limit [%d]",
                         here, index_most, most);
}

qd_alloc_verdict qdi_alloc_limit_allocate(const alloc_ask *a)
{
    return limit(a, 1);
}
qd_alloc_verdict qdi_alloc_limit_remain(const alloc_ask *a)
{
    return limit(a, 0);
}
