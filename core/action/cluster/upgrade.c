/* upgrade.c: the end of an upgrade of the cluster, and how far from it the nodes are. */
#include "action/api/admin_int.h"
#include "base/str.h"

/* All nodes are of the new version and stay so: its formats may be written. */
int qdi_api_cluster_finalize_upgrade(qd_request *q, qd_response *r, qd_err *err)
{
    uint32_t level = 0;
    int rc = qd_cluster_finalize_upgrade(q->a->cluster, &level, err);
    if (rc) return rc;
    qd_json_object(&r->w);
    qd_json_field_bool(&r->w, "acknowledged", qdi_all_applied(q));
    qd_json_field_int(&r->w, "features", level);
    qd_json_object_end(&r->w);
    return 0;
}

/* Records of nodes that do not tell are of the first level. */
static uint32_t known_by(const qd_node_meta *n)
{
    return n->features ? n->features : 1;
}

/* The highest level that every node knows. */
static uint32_t known_by_all(const qd_state *s)
{
    uint32_t level = QD_FEATURES_LEVEL;
    for (uint32_t i = 0; i < s->nnodes; i++)
        if (known_by(&s->nodes[i]) < level) level = known_by(&s->nodes[i]);
    return level;
}

/* Reads only: the level in force, the one that every node knows, and that of each node. */
int qdi_api_cluster_upgrade_status(qd_request *q, qd_response *r, qd_err *err)
{
    qd_state *s = qd_cluster_state(q->a->cluster);
    qd_json_writer *w = &r->w;
    (void)err;
    uint32_t all = known_by_all(s);
    qd_json_object(w);
    qd_json_field_int(w, "features", s->features);
    qd_json_field_int(w, "features_known_by_all", all);
    qd_json_field_bool(w, "finalized", s->features >= QD_FEATURES_LEVEL);
    qd_json_key_c(w, "nodes");
    qd_json_object(w);
    for (uint32_t i = 0; i < s->nnodes; i++) {
        const qd_node_meta *n = &s->nodes[i];
        qd_json_key(w, n->id);
        qd_json_object(w);
        qd_json_field_str(w, "name", n->name);
        qd_json_field_str(w, "version", n->version);
        qd_json_field_int(w, "features_known", known_by(n));
        qd_json_object_end(w);
    }
    qd_json_object_end(w);
    qd_json_object_end(w);
    qd_state_unref(s);
    return 0;
}
