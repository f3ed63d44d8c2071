/* throttle.c: how many recoveries a node takes part in at one time. */
#include "cluster/allocation/decide_int.h"

static qd_alloc_verdict initial(const alloc_ask *a)
{
    int32_t most = a->w->view->settings.node_initial, now = a->o->initial[a->node];
    if (now >= most)
        return qdi_alloc_say(
            a, QD_ALLOC_THROTTLE,
            "reached the limit of ongoing initial primary recoveries [%d], cluster setting "
            "[cluster.routing.allocation.node_initial_primaries_recoveries=%d]",
            now, most);
    return qdi_alloc_say(a, QD_ALLOC_YES, "below primary recovery limit of [%d]", most);
}

qd_alloc_verdict qdi_alloc_throttle(const alloc_ask *a)
{
    const alloc_work *w = a->w;
    bool assigned = a->o->node[a->g] != QD_ALLOC_NONE;
    if (w->primary[a->g] && !assigned) return initial(a);
    uint32_t p = qdi_alloc_primary(w, w->shard_of[a->g]);
    uint32_t source = p == QD_ALLOC_NONE               ? QD_ALLOC_NONE
                      : a->o->from[p] != QD_ALLOC_NONE ? a->o->from[p]
                                                       : a->o->node[p];
    if (source == QD_ALLOC_NONE)
        return qdi_alloc_say(a, QD_ALLOC_NO, "primary shard for this replica is not yet active");
    int32_t out_most = w->view->settings.node_out, out = a->o->out[source];
    int32_t in_most = w->view->settings.node_in, in = a->o->in[a->node];
    if (in >= in_most)
        return qdi_alloc_say(
            a, QD_ALLOC_THROTTLE,
            "reached the limit of incoming shard recoveries [%d], cluster setting "
            "[cluster.routing.allocation.node_concurrent_incoming_recoveries=%d] (can also be set "
            "via [cluster.routing.allocation.node_concurrent_recoveries])",
            in, in_most);
    if (out >= out_most)
        return qdi_alloc_say(
            a, QD_ALLOC_THROTTLE,
            "reached the limit of outgoing shard recoveries [%d] on the node [%.*s] which holds "
            "the primary, cluster setting "
            "[cluster.routing.allocation.node_concurrent_outgoing_recoveries=%d] (can also be set "
            "via [cluster.routing.allocation.node_concurrent_recoveries])",
            out, QD_STR_ARG(w->view->nodes[source].id), out_most);
    return qdi_alloc_say(a, QD_ALLOC_YES,
                         "below shard recovery limit of outgoing: [%d < %d] incoming: [%d < %d]",
                         out, out_most, in, in_most);
}
