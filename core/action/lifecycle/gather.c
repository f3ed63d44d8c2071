/*
 * gather.c: the primaries of an index on one node, as a shrink needs them. Where that node has a
 * replica already, the primary elsewhere is cancelled: the replica, which is in sync, is promoted,
 * and another replica is made, before the filter of the node is set. Where it has none, the filter
 * moves the primary. See shrink_int.h.
 */
#include "action/api/admin_int.h"
#include "action/lifecycle/shrink_int.h"
#include "base/str.h"

#define FILTER "index.routing.allocation.require._id"

/* Primaries of the index on a node. */
static uint32_t primaries_on(const lc_run *x, qd_str node)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < x->m->shards; i++) {
        const qd_shard_meta *r = qd_state_shard(x->state, x->m, i);
        const qd_copy *p = r ? qd_shard_meta_primary(r) : NULL;
        n += p && p->state == QD_SHARD_STARTED && qd_str_eq(p->node, node);
    }
    return n;
}

static qd_str filter_of(const qd_index_meta *m)
{
    const qd_setting_value *v = qd_settings_get(m->settings, QD_STR(FILTER));
    return v ? v->text : (qd_str){NULL, 0};
}

/* The node that the filter names, else the one with the most primaries: each step makes it more. */
static qd_str choose(const lc_run *x)
{
    qd_str set = filter_of(x->m), best = {NULL, 0};
    uint32_t most = 0;
    if (set.n && qd_state_node(x->state, set)) return set;
    for (uint32_t i = 0; i < x->state->nnodes; i++) {
        const qd_node_meta *n = &x->state->nodes[i];
        if (!qd_node_is_data(n)) continue;
        uint32_t has = primaries_on(x, n->id);
        if (best.n && has <= most) continue;
        best = n->id;
        most = has;
    }
    return best;
}

static int set_filter(lc_run *x, qd_str node, qd_err *err)
{
    const qd_json_node *root;
    qd_pair params[] = {{QD_STR("index"), x->m->name}, {QD_STR("if_uuid"), qd_str_c(x->m->uuid)}};
    qd_str body = qd_arena_printf(x->arena, "{\"" FILTER "\":\"%.*s\"}", QD_STR_ARG(node));
    x->step = "set-single-node-allocation";
    return qdi_bq_call(x->l->a, "indices.put_settings", params, 2, body, x->arena, &root, err);
}

/* The replica of the shard on the node is to be the primary. */
static int promote(lc_run *x, uint32_t shard, qd_str from, qd_err *err)
{
    const qd_json_node *root;
    qd_str body = qd_arena_printf(
        x->arena,
        "{\"commands\":[{\"cancel\":{\"index\":\"%.*s\",\"shard\":%u,\"node\":\"%.*s\","
        "\"allow_primary\":true}}]}",
        QD_STR_ARG(x->m->name), shard, QD_STR_ARG(from));
    return qdi_bq_call(x->l->a, "cluster.reroute", NULL, 0, body, x->arena, &root, err);
}

int qdi_lc_gather(lc_run *x, bool *ready, qd_err *err)
{
    qdi_health h;
    qd_str node = choose(x);
    qdi_health_of_index(x->state, x->m, &h);
    x->step = "check-shrink-allocation";
    *ready = false;
    /* a copy that is under way may be the one that matters */
    if (!node.n || h.initializing || h.relocating || h.active_primaries < x->m->shards) return 0;
    if (primaries_on(x, node) == x->m->shards) {
        *ready = true;
        return qd_str_eq(filter_of(x->m), node) ? 0 : set_filter(x, node, err);
    }
    for (uint32_t i = 0; i < x->m->shards; i++) {
        const qd_shard_meta *r = qd_state_shard(x->state, x->m, i);
        const qd_copy *p = qd_shard_meta_primary(r), *c = qd_shard_meta_copy_of(r, node);
        if (qd_str_eq(p->node, node) || !c || c->state != QD_SHARD_STARTED) continue;
        if (!qd_shard_meta_in_sync(r, c->allocation_id)) continue;
        return promote(x, i, p->node, err);
    }
    return qd_str_eq(filter_of(x->m), node) ? 0 : set_filter(x, node, err);
}
