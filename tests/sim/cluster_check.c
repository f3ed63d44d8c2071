/* cluster_check.c: what must hold of the cluster's state, beyond what repl_check.c looks at. */
#include "base/str.h"
#include "cluster_int.h"

void cluster_check_state(cluster *x, proc *p, const qd_state *s)
{
    const qd_index_meta *m = qd_state_index(s, QD_STR(INDEX_NAME));
    (void)p;
    if (m && !x->uuid[0]) snprintf(x->uuid, sizeof x->uuid, "%s", m->uuid);
}

bool cluster_green(cluster *x)
{
    if (!green(x->w)) return false;
    for (int i = 0; i < NODES; i++) {
        proc *p = x->m[i].now;
        if (!proc_follows(p)) return false;
        qd_state *s = qd_cluster_state(p->cluster);
        const qd_index_meta *m = qd_state_index(s, QD_STR(INDEX_NAME));
        bool ok = m && qd_index_health(s, m) == QD_HEALTH_GREEN && s->nnodes == NODES;
        qd_state_unref(s);
        if (!ok) return false;
    }
    return true;
}

void cluster_check_end(cluster *x)
{
    (void)x;
}
