/*
 * features.c: the level of formats that nodes write (state.h). A newer version writes the old ones
 * until an operator says that no node goes back.
 */
#include "base/str.h"
#include "cluster/cluster_int.h"

int qdi_features_known(qd_cluster *c, qd_err *err)
{
    qd_arena a;
    qd_coord_list list;
    uint64_t level = 1;
    qd_arena_init(&a, NULL, 1 << 20);
    int rc = qd_coord_read(c->store, QD_STR("features"), false, c->timeout_ms, &a, &list, err);
    if (!rc && list.n) {
        qd_str text = {(const char *)list.at[0].value, list.at[0].value_len};
        if (!qd_str_u64(text, &level)) level = UINT64_MAX;
    }
    qd_arena_fini(&a);
    if (rc || level <= c->self.features) return rc;
    return qd_err_set(
        err, QD_E_STATE,
        "the cluster's formats are of level %llu, this node (version [%.*s]) knows "
        "those up to %u: an upgrade of the cluster was finalized, use a newer version",
        (unsigned long long)level, QD_STR_ARG(c->self.version), c->self.features);
}

static int finalize(qd_cluster *c, void *arg, const qd_state *s, cluster_txn *t, qd_err *err)
{
    uint32_t *level = arg;
    *level = c->self.features;
    for (uint32_t i = 0; i < s->nnodes; i++) {
        const qd_node_meta *n = &s->nodes[i];
        if (n->features >= *level) continue;
        return qd_err_set(err, QD_E_STATE,
                          "the upgrade cannot be finalized: node [%.*s] of version [%.*s] knows "
                          "formats up to level %u, not %u; upgrade it first",
                          QD_STR_ARG(n->name), QD_STR_ARG(n->version), n->features, *level);
    }
    if (s->features >= *level) {
        *level = s->features;
        return 1;
    }
    qdi_txn_at(t, QD_STR("features"), s->features_revision);
    qdi_txn_put(t, QD_STR("features"), qdi_txn_key(t, "%u", *level), 0);
    return 0;
}

int qd_cluster_finalize_upgrade(qd_cluster *c, uint32_t *level, qd_err *err)
{
    return qdi_change(c, finalize, level, NULL, err);
}
