/* cluster_resize.c: indices that are made of others: where their shards begin. See cluster.h. */
#include "base/str.h"
#include "cluster/cluster_int.h"
#include "config/config.h"

static int illegal(qd_err *err, int rc)
{
    qd_err_type(err, "illegal_state_exception", 500);
    return rc;
}

static int check_source(const qd_state *s, const qd_index_meta *from, qd_err *err)
{
    if (s->features < QD_FEATURES_TYPES_0_2) {
        return qd_err_set(
            err, QD_E_ARG,
            "resizing an index needs level %u of the cluster's formats; they are of "
            "level %u: POST _cluster/upgrade/finalize when all nodes run this version",
            QD_FEATURES_TYPES_0_2, s->features);
    }
    if (qd_values_bool(from->values, QD_IX_BLOCK_WRITE) ||
        qd_values_bool(from->values, QD_IX_BLOCK_READ_ONLY))
        return 0;
    return illegal(err, qd_err_set(err, QD_E_STATE,
                                   "index %.*s must be read-only to resize index. use "
                                   "\"index.blocks.write=true\"",
                                   QD_STR_ARG(from->name)));
}

/* The node of a source's primary; NULL: it has none that serves. */
static const qd_node_meta *node_of(const qd_state *s, const qd_shard_meta *r)
{
    const qd_copy *p = r ? qd_shard_meta_primary(r) : NULL;
    return p && p->state == QD_SHARD_STARTED ? qd_state_node(s, p->node) : NULL;
}

int qdi_resize_places(const qd_state *s, const char *source, const qd_index_meta *m, cluster_txn *t,
                      const qd_node_meta **at, uint64_t *terms, qd_err *err)
{
    const qd_index_meta *from = qd_state_index_uuid(s, qd_str_c(source));
    if (!from) return qd_err_set(err, QD_E_INDEX_NOT_FOUND, "no such index [%s]", source);
    int rc = check_source(s, from, err);
    if (rc) return rc;
    qdi_txn_at(t, qdi_index_key(t, from->uuid), from->mod_revision); /* its block stays */
    uint32_t each = from->shards > m->shards ? from->shards / m->shards : 1;
    for (uint32_t k = 0; k < m->shards; k++) {
        uint32_t first = from->shards > m->shards ? k * each : k / (m->shards / from->shards);
        at[k] = NULL;
        for (uint32_t i = first; i < first + each; i++) {
            const qd_shard_meta *r = qd_state_shard(s, from, i);
            const qd_node_meta *node = node_of(s, r);
            if (!node) {
                return illegal(err, qd_err_set(err, QD_E_STATE,
                                               "shard [%u] of index %.*s has no started primary", i,
                                               QD_STR_ARG(from->name)));
            }
            if (at[k] && at[k] != node) {
                return illegal(err, qd_err_set(err, QD_E_STATE,
                                               "index %.*s must have all shards allocated on the "
                                               "same node to shrink index",
                                               QD_STR_ARG(from->name)));
            }
            at[k] = node;
            if (r->primary_term > terms[k]) terms[k] = r->primary_term;
        }
    }
    return 0;
}
