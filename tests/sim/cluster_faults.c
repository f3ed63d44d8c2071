/* cluster_faults.c: what goes wrong in the composed simulation. */
#include "cluster_int.h"

void cluster_cuts(cluster *x)
{
    for (int a = 0; a < NODES; a++) {
        for (int b = 0; b < NODES; b++) {
            if (a != b) qd_sim_net_cut(x->net, node_name(a), node_name(b), x->w->cut[a][b]);
        }
    }
}

void cluster_heal(cluster *x)
{
    memset(x->w->cut, 0, sizeof x->w->cut);
    cluster_cuts(x);
}

void cluster_fault(cluster *x)
{
    (void)x;
}
