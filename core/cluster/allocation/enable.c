/* enable.c: what users switched off, and whether the cluster is in a state to be balanced. */
#include "cluster/allocation/decide_int.h"

static const char *const enable_names[] = {"all", "primaries", "new_primaries", "none"};
static const char *const rebalance_names[] = {"all", "primaries", "replicas", "none"};

/* "cluster setting [cluster.routing.allocation.enable=none]" */
static qd_alloc_verdict no(const alloc_ask *a, const char *what, bool index, const char *key,
                           const char *value)
{
    return qdi_alloc_say(a, QD_ALLOC_NO, "%s due to %s setting [%s.routing.%s.enable=%s]", what,
                         index ? "index" : "cluster", index ? "index" : "cluster", key, value);
}

qd_alloc_verdict qdi_alloc_enabled(const alloc_ask *a)
{
    const alloc_work *w = a->w;
    const qd_alloc_index *x = alloc_index_of(w, a->g);
    if (w->commanded)
        return qdi_alloc_say(a, QD_ALLOC_YES,
                             "allocation is explicitly ignoring any disabling of allocation due "
                             "to the allocation disabling settings via the reroute API");
    qd_alloc_enable e = x->enable_set ? x->enable : w->view->settings.enable;
    const char *name = enable_names[e];
    bool primary = w->primary[a->g];
    bool moves = a->o->node[a->g] != QD_ALLOC_NONE;
    switch (e) {
    case QD_ALLOC_ENABLE_ALL:
        break;
    case QD_ALLOC_ENABLE_NONE:
        return no(a, "no allocations are allowed", x->enable_set, "allocation", name);
    case QD_ALLOC_ENABLE_NEW_PRIMARIES:
        if (primary && !moves && alloc_shard_of(w, a->g)->fresh)
            return qdi_alloc_say(a, QD_ALLOC_YES, "new primary allocations are allowed");
        return no(a, "non-new primary allocations are forbidden", x->enable_set, "allocation",
                  name);
    case QD_ALLOC_ENABLE_PRIMARIES:
        if (primary) return qdi_alloc_say(a, QD_ALLOC_YES, "primary allocations are allowed");
        return no(a, "replica allocations are forbidden", x->enable_set, "allocation", name);
    }
    return qdi_alloc_say(a, QD_ALLOC_YES, "all allocations are allowed");
}

qd_alloc_verdict qdi_alloc_rebalance_enabled(const alloc_ask *a)
{
    const alloc_work *w = a->w;
    const qd_alloc_index *x = alloc_index_of(w, a->g);
    qd_alloc_rebalance e = x->rebalance_set ? x->rebalance : w->view->settings.rebalance;
    const char *name = rebalance_names[e];
    bool primary = w->primary[a->g];
    switch (e) {
    case QD_ALLOC_REBALANCE_ALL:
        break;
    case QD_ALLOC_REBALANCE_NONE:
        return no(a, "no rebalancing is allowed", x->rebalance_set, "rebalance", name);
    case QD_ALLOC_REBALANCE_PRIMARIES:
        if (primary) return qdi_alloc_say(a, QD_ALLOC_YES, "primary rebalancing is allowed");
        return no(a, "replica rebalancing is forbidden", x->rebalance_set, "rebalance", name);
    case QD_ALLOC_REBALANCE_REPLICAS:
        if (!primary) return qdi_alloc_say(a, QD_ALLOC_YES, "replica rebalancing is allowed");
        return no(a, "primary rebalancing is forbidden", x->rebalance_set, "rebalance", name);
    }
    return qdi_alloc_say(a, QD_ALLOC_YES, "all rebalancing is allowed");
}

qd_alloc_verdict qdi_alloc_cluster_rebalance(const alloc_ask *a)
{
    const alloc_work *w = a->w;
    static const char key[] = "cluster.routing.allocation.allow_rebalance";
    switch (w->view->settings.allow) {
    case QD_ALLOC_ALLOW_ALWAYS:
        return qdi_alloc_say(a, QD_ALLOC_YES, "all shards are active");
    case QD_ALLOC_ALLOW_PRIMARIES_ACTIVE:
        if (w->unassigned_primaries)
            return qdi_alloc_say(a, QD_ALLOC_NO,
                                 "the cluster has unassigned primary shards and cluster setting "
                                 "[%s] is set to [indices_primaries_active]",
                                 key);
        if (w->inactive_primaries)
            return qdi_alloc_say(a, QD_ALLOC_NO,
                                 "the cluster has inactive primary shards and cluster setting "
                                 "[%s] is set to [indices_primaries_active]",
                                 key);
        return qdi_alloc_say(a, QD_ALLOC_YES, "all primary shards are active");
    case QD_ALLOC_ALLOW_ALL_ACTIVE:
        break;
    }
    if (w->unassigned)
        return qdi_alloc_say(a, QD_ALLOC_NO,
                             "the cluster has unassigned shards and cluster setting [%s] is set "
                             "to [indices_all_active]",
                             key);
    if (w->initializing)
        return qdi_alloc_say(a, QD_ALLOC_NO,
                             "the cluster has inactive shards and cluster setting [%s] is set to "
                             "[indices_all_active]",
                             key);
    return qdi_alloc_say(a, QD_ALLOC_YES, "all shards are active");
}

qd_alloc_verdict qdi_alloc_concurrent_rebalance(const alloc_ask *a)
{
    int32_t most = a->w->view->settings.concurrent_rebalance;
    if (most < 0)
        return qdi_alloc_say(a, QD_ALLOC_YES, "unlimited concurrent rebalances are allowed");
    if (a->w->relocating >= (uint32_t)most)
        return qdi_alloc_say(
            a, QD_ALLOC_THROTTLE,
            "reached the limit of concurrently rebalancing shards [%u], cluster setting "
            "[cluster.routing.allocation.cluster_concurrent_rebalance=%d]",
            a->w->relocating, most);
    return qdi_alloc_say(a, QD_ALLOC_YES,
                         "below threshold [%d] for concurrent rebalances, current rebalance "
                         "shard count [%u]",
                         most, a->w->relocating);
}

qd_alloc_verdict qdi_alloc_only_when_active(const alloc_ask *a)
{
    const alloc_work *w = a->w;
    uint32_t s = w->shard_of[a->g];
    for (uint32_t g = w->first[s]; g < w->first[s + 1]; g++)
        if (w->state[g] == QD_ALLOC_UNASSIGNED || w->state[g] == QD_ALLOC_INITIALIZING)
            return qdi_alloc_say(a, QD_ALLOC_NO,
                                 "rebalancing is not allowed until all replicas in the cluster "
                                 "are active");
    return qdi_alloc_say(a, QD_ALLOC_YES,
                         "rebalancing is allowed as all copies of this shard are active");
}
