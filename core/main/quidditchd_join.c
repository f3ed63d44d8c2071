/*
 * quidditchd_join.c: waits until the store of cluster state answers: this node's own when it has a
 * leader, else that of the masters. Says what it waits for every ten seconds; a signal ends it.
 */
#include "base/log.h"
#include "cluster/coord.h"
#include "main/node.h"

#define LOG "discovery"
#define ATTEMPT_MS 500
#define FORM_NS UINT64_C(100000000)
#define SAY_NS UINT64_C(10000000000)

static bool worth_waiting(int rc)
{
    return rc == QD_E_NO_COORDINATION || rc == QD_E_NOT_LEADER || rc == QD_E_TIMEOUT;
}

static void say(qd_node *node, const qd_err *err)
{
    const qd_values *v = qd_config_values(node->config);
    qd_str masters = qd_values_text(v, QD_SET_COORDINATION_MASTERS);
    qd_str peers = qd_values_text(v, QD_SET_COORDINATION_PEERS);
    qd_str first = qd_values_text(v, QD_SET_CLUSTER_INITIAL_MASTERS);
    qd_log_warn(LOG,
                "no leader answers yet, still looking: %s (coordination.master_addresses [%.*s], "
                "coordination.raft_peers [%.*s], cluster.initial_master_nodes [%.*s])",
                qd_err_reason(err), QD_STR_ARG(masters), QD_STR_ARG(peers), QD_STR_ARG(first));
}

static bool is_master(const qd_node *node)
{
    uint32_t n;
    const qd_str *roles = qd_values_list(qd_config_values(node->config), QD_SET_NODE_ROLES, &n);
    for (uint32_t i = 0; i < n; i++) {
        if (qd_str_is(roles[i], "master")) return true;
    }
    return false;
}

static int join_start(qd_node *node, qd_err *err)
{
    uint64_t said = qd_env_mono_ns(node->env);
    for (;;) {
        qd_coord_list found;
        qd_arena arena;
        qd_err why;
        qd_err_init(&why);
        qd_arena_init(&arena, NULL, 1 << 20);
        int rc = qd_coord_read(node->coordination, QD_STR("cluster/uuid"), false, ATTEMPT_MS,
                               &arena, &found, &why);
        /* masters that are there but have not formed a cluster yet: only they do */
        if (!rc && !found.n && !is_master(node)) {
            rc = qd_err_set(&why, QD_E_NO_COORDINATION, "the masters have formed no cluster yet");
            qd_env_sleep_ns(node->env, FORM_NS);
        }
        qd_arena_fini(&arena);
        bool stop = atomic_load(&node->stopping), wait = worth_waiting(rc) && !stop;
        uint64_t now = qd_env_mono_ns(node->env);
        if (wait && now - said > SAY_NS) {
            said = now;
            say(node, &why);
        }
        if (!wait && rc && !stop) qd_err_copy(err, &why);
        qd_err_fini(&why);
        if (stop) return qd_err_set(err, QD_E_CANCELLED, "stopped before it joined a cluster");
        if (!wait) return rc;
    }
}

const qd_step qd_step_join = {"join", NULL, join_start, NULL, NULL};
