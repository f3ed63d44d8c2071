/* same_shard.c: no two copies of a shard on one node, nor, when asked for, on one host. */
#include "cluster/allocation/decide_int.h"

static const char *state_name(uint8_t state)
{
    switch (state) {
    case QD_ALLOC_INITIALIZING:
        return "INITIALIZING";
    case QD_ALLOC_RELOCATING:
        return "RELOCATING";
    case QD_ALLOC_UNASSIGNED:
        return "UNASSIGNED";
    default:
        return "STARTED";
    }
}

static qd_alloc_verdict say_copy(const alloc_ask *a, uint32_t other)
{
    const alloc_work *w = a->w;
    const qd_alloc_shard *s = alloc_shard_of(w, other);
    const qd_alloc_index *x = &w->view->indices[s->index];
    uint32_t at = a->o->from[other] != QD_ALLOC_NONE ? a->o->from[other] : a->o->node[other];
    return qdi_alloc_say(
        a, QD_ALLOC_NO,
        "%s is already allocated to this node [[%.*s][%u], node[%.*s], [%s], s[%s], a[id=%.*s]]",
        other == a->g ? "this shard" : "a copy of this shard", QD_STR_ARG(x->name), s->number,
        QD_STR_ARG(w->view->nodes[at].id), w->primary[other] ? "P" : "R",
        state_name(w->state[other]), QD_STR_ARG(alloc_copy_of(w, other)->allocation_id));
}

static bool same_host(const qd_alloc_node *a, const qd_alloc_node *b, const char **what,
                      qd_str *which)
{
    if (a->ip.n && qd_str_eq(a->ip, b->ip)) return *what = "address", *which = a->ip, true;
    if (a->host.n && qd_str_eq(a->host, b->host)) return *what = "name", *which = a->host, true;
    return false;
}

qd_alloc_verdict qdi_alloc_same_shard(const alloc_ask *a)
{
    const alloc_work *w = a->w;
    uint32_t s = w->shard_of[a->g];
    for (uint32_t g = w->first[s]; g < w->first[s + 1]; g++)
        if (a->o->node[g] == a->node || a->o->from[g] == a->node) return say_copy(a, g);
    if (!w->view->settings.same_host)
        return qdi_alloc_say(a, QD_ALLOC_YES, "this node does not hold a copy of this shard");
    const qd_alloc_node *n = &w->view->nodes[a->node];
    for (uint32_t g = w->first[s]; g < w->first[s + 1]; g++) {
        uint32_t at[2] = {a->o->node[g], a->o->from[g]};
        for (int i = 0; i < 2 && g != a->g; i++) {
            const char *what;
            qd_str which;
            if (at[i] == QD_ALLOC_NONE || !same_host(n, &w->view->nodes[at[i]], &what, &which))
                continue;
            return qdi_alloc_say(
                a, QD_ALLOC_NO,
                "cannot allocate to node [%.*s] because a copy of this shard is already allocated "
                "to node [%.*s] with the same host %s [%.*s] and "
                "[cluster.routing.allocation.same_shard.host] is [true] which forbids more than "
                "one node on each host from holding a copy of this shard",
                QD_STR_ARG(n->id), QD_STR_ARG(w->view->nodes[at[i]].id), what, QD_STR_ARG(which));
        }
    }
    return qdi_alloc_say(a, QD_ALLOC_YES,
                         "none of the nodes on this host hold a copy of this shard");
}
