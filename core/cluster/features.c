/*
 * features.c: the level of formats that nodes write (state.h). A newer version writes the old ones
 * until an operator says that no node goes back.
 *
 * "features" is that level; "features/next", which is there while it is being raised, the one that
 * it is raised to. Who joins compares both, so nobody joins that does not know them: first the next
 * one is written, then all nodes that are there by then are looked at, then it holds.
 */
#include "base/str.h"
#include "cluster/cluster_int.h"
#include "cluster/mutants.h"

#define LEVEL QD_STR("features")
#define NEXT QD_STR("features/next")

int qdi_features_known(qd_cluster *c, qdi_features_at *at, qd_err *err)
{
    qd_arena a;
    qd_coord_list list = {0}; /* also where it cannot be read */
    uint64_t highest = 1;
    *at = (qdi_features_at){0};
    qd_arena_init(&a, NULL, 1 << 20);
    int rc = qd_coord_read(c->store, LEVEL, true, c->timeout_ms, &a, &list, err);
    for (uint32_t i = 0; i < list.n && !rc; i++) {
        qd_str text = {(const char *)list.at[i].value, list.at[i].value_len};
        uint64_t level = UINT64_MAX; /* what cannot be read is of a version to come */
        if (qd_str_eq(list.at[i].key, LEVEL)) {
            at->level = list.at[i].mod_revision;
        } else if (qd_str_eq(list.at[i].key, NEXT)) {
            at->next = list.at[i].mod_revision;
        } else {
            continue;
        }
        if (!qd_str_u64(text, &level)) level = UINT64_MAX;
        if (at->next == list.at[i].mod_revision) at->next_level = level;
        if (level > highest) highest = level;
    }
    qd_arena_fini(&a);
    if (rc || highest <= c->self.features || QD_MUTANT(cluster, JOINS_UNASKED)) return rc;
    return qd_err_set(
        err, QD_E_STATE,
        "the cluster's formats are of level %llu, this node (version [%.*s]) knows "
        "those up to %u: an upgrade of the cluster was finalized, use a newer version",
        (unsigned long long)highest, QD_STR_ARG(c->self.version), c->self.features);
}

void qdi_features_compare(cluster_txn *t, const qdi_features_at *at)
{
    if (QD_MUTANT(cluster, JOINS_UNASKED)) return;
    qdi_txn_at(t, LEVEL, at->level);
    qdi_txn_at(t, NEXT, at->next);
}

/* Do all nodes know a level? */
static int all_know(const qd_state *s, uint32_t level, qd_err *err)
{
    for (uint32_t i = 0; i < s->nnodes; i++) {
        const qd_node_meta *n = &s->nodes[i];
        if (n->features >= level) continue;
        return qd_err_set(err, QD_E_STATE,
                          "the upgrade cannot be finalized: node [%.*s] of version [%.*s] knows "
                          "formats up to level %u, not %u; upgrade it first",
                          QD_STR_ARG(n->name), QD_STR_ARG(n->version), n->features, level);
    }
    return 0;
}

typedef struct raising {
    uint32_t level;   /* that this node knows; the cluster's, when that is not lower */
    uint64_t intends; /* revision of "features/next" */
    bool is;          /* it is the cluster's */
} raising;

static int intend(qd_cluster *c, void *arg, const qd_state *s, cluster_txn *t, qd_err *err)
{
    raising *r = arg;
    r->level = c->self.features;
    r->is = s->features >= r->level;
    if (r->is) {
        r->level = s->features;
        return QDI_CHANGE_NOTHING;
    }
    int rc = all_know(s, r->level, err);
    if (rc) return rc;
    qdi_txn_at(t, LEVEL, s->features_revision);
    qdi_txn_put(t, NEXT, qdi_txn_key(t, "%u", r->level), 0);
    return 0;
}

/* Whoever was there before nobody of an older version could join is in the state now. */
static int raise_level(qd_cluster *c, void *arg, const qd_state *s, cluster_txn *t, qd_err *err)
{
    const raising *r = arg;
    (void)c;
    if (s->features >= r->level) return QDI_CHANGE_NOTHING;
    int rc = all_know(s, r->level, err);
    if (rc) return rc;
    qdi_txn_at(t, LEVEL, s->features_revision);
    qdi_txn_at(t, NEXT, r->intends);
    qdi_txn_put(t, LEVEL, qdi_txn_key(t, "%u", r->level), 0);
    qdi_txn_delete(t, NEXT);
    return 0;
}

static int withdraw(qd_cluster *c, void *arg, const qd_state *s, cluster_txn *t, qd_err *err)
{
    const raising *r = arg;
    (void)c;
    (void)s;
    (void)err;
    qdi_txn_at(t, NEXT, r->intends);
    qdi_txn_delete(t, NEXT);
    return 0;
}

/* A node that ends in between leaves "features/next" behind: until somebody finalizes again none
 * joins that does not know that level. */
int qd_cluster_finalize_upgrade(qd_cluster *c, uint32_t *level, qd_err *err)
{
    raising r = {0};
    qdi_features_at at;
    int rc = qdi_change(c, intend, &r, NULL, err);
    *level = r.level;
    if (rc || r.is) return rc;
    rc = qdi_features_known(c, &at, err);
    if (rc) return rc;
    if (!at.next || at.next_level != r.level) {
        return qd_err_set(err, QD_E_CONFLICT, "the upgrade is finalized by another node, too");
    }
    r.intends = at.next;
    rc = qdi_change(c, raise_level, &r, NULL, err);
    if (rc == QD_E_STATE && qdi_change(c, withdraw, &r, NULL, NULL)) return rc;
    return rc;
}
