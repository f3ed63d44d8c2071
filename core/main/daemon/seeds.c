/*
 * seeds.c: a node that runs looks at the addresses where it is to find other masters.
 * One that belongs to another cluster, or that refuses this node for another reason, is told again
 * and again: nodes that were first started each for itself have formed a cluster each, and stay
 * apart.
 */
#include "base/log.h"
#include "main/daemon/node.h"
#include "rpc/rpc.h"
#include <stdio.h>

#define LOG "discovery"

typedef struct seed {
    qd_node *node;
    qd_rpc_watch *watch;
    char address[QD_RPC_ADDRESS_MAX];
} seed;

struct qd_node_seeds {
    uint32_t n;
    seed at[];
};

/* The transport dials on, and tells each new reason once; the line comes with it. */
static void on_event(void *arg, qd_str address, qd_rpc_event event, const qd_rpc_node *node,
                     qd_str reason)
{
    const seed *s = arg;
    (void)node;
    if (event != QD_RPC_REFUSED) return;
    qd_log_warn(
        LOG,
        "the master at [%.*s], which this node's settings name, is not of its cluster: "
        "%.*s. This node goes on without it. To make one cluster of both, copy what is "
        "needed of one of them, stop it, empty its path.data ([%s] here) and start it again; "
        "else take the address out of discovery.seed_hosts and coordination.raft_peers",
        QD_STR_ARG(address), QD_STR_ARG(reason), s->node->data);
}

static void seeds_stop(qd_node *node)
{
    struct qd_node_seeds *all = node->seeds;
    for (uint32_t i = 0; all && i < all->n; i++)
        if (all->at[i].watch) qd_rpc_unwatch(node->rpc, all->at[i].watch);
    qd_free(all);
    node->seeds = NULL;
}

static int seeds_start(qd_node *node, qd_err *err)
{
    qd_arena arena;
    uint32_t n = 0;
    qd_arena_init(&arena, NULL, 1 << 20);
    const qd_str *list = qd_node_master_addresses(node, &arena, &n);
    if (node->mode.own && node->mode.store == QD_STORE_KUBERNETES) n = 0; /* none are its peers */
    struct qd_node_seeds *all = qd_calloc(NULL, sizeof *all + n * sizeof all->at[0]);
    for (uint32_t i = 0; all && i < n; i++) {
        seed *s = &all->at[all->n++];
        s->node = node;
        snprintf(s->address, sizeof s->address, "%.*s", QD_STR_ARG(list[i]));
        qd_err why; /* what cannot be watched was refused at the start, or is told by others */
        qd_err_init(&why);
        if (qd_rpc_peer_watch(node->rpc, qd_str_c(s->address), on_event, s, &s->watch, &why))
            s->watch = NULL;
        qd_err_fini(&why);
    }
    qd_arena_fini(&arena);
    node->seeds = all;
    return all ? 0 : qd_err_nomem(err, "addresses of masters");
}

const qd_step qd_step_seeds = {"seeds", NULL, seeds_start, seeds_stop, NULL};
