/* cluster_check.c: what must hold of the cluster's state, beyond what repl_check.c looks at. */
#include "base/str.h"
#include "cluster_int.h"

void cluster_check_state(cluster *x, proc *p, const qd_state *s)
{
    const qd_index_meta *m = qd_state_index(s, QD_STR(INDEX_NAME));
    (void)p;
    if (m && !x->uuid[0]) snprintf(x->uuid, sizeof x->uuid, "%s", m->uuid);
}

const char *cluster_not_green(cluster *x)
{
    static char why[200];
    for (int i = 0; i < NODES; i++) {
        proc *p = x->m[i].now;
        snprintf(why, sizeof why, "n%d has not joined", i);
        if (!proc_follows(p)) return why;
        qd_state *s = qd_cluster_state(p->cluster);
        const qd_index_meta *m = qd_state_index(s, QD_STR(INDEX_NAME));
        const qd_shard_meta *shard = m ? qd_state_shard(s, m, 0) : NULL;
        bool healthy = m && qd_index_health(s, m) == QD_HEALTH_GREEN;
        uint32_t nodes = s->nnodes;
        snprintf(why, sizeof why, "n%d at revision %llu sees %s shard %llu with %u copies, %u nodes",
                 i, (unsigned long long)s->revision, healthy ? "a green" : "a",
                 (unsigned long long)(shard ? shard->mod_revision : 0), shard ? shard->ncopies : 0,
                 nodes);
        for (int k = 0; k < NODES && nodes != NODES; k++) {
            size_t at = strlen(why);
            if (!qd_state_node(s, qd_str_c(node_name(k)))) {
                snprintf(why + at, sizeof why - at, ", without n%d", k);
            }
        }
        qd_state_unref(s);
        if (!healthy || nodes != NODES) return why;
    }
    return green(x->w) ? NULL : "replication goes on";
}

bool cluster_green(cluster *x)
{
    return green(x->w) && !cluster_not_green(x);
}

void cluster_check_end(cluster *x)
{
    (void)x;
}
