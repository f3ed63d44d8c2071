/*
 * join.c: waits until the store of cluster state answers: this node's own when it has a
 * leader, else that of the masters. Says what it waits for soon, then every ten seconds; a signal
 * ends it.
 */
#include "base/log.h"
#include "cluster/authority/authority.h"
#include "cluster/coord/coord.h"
#include "main/daemon/node.h"
#include "rpc/rpc.h"
#include <stdio.h>

#define LOG "discovery"
#define ATTEMPT_MS 500
#define FORM_NS UINT64_C(100000000)
#define FIRST_NS UINT64_C(6000000000) /* a store waits for a leader as long before it says why */
#define SAID_MAX 80                   /* of a reason: enough to know it again where it was cut */
#define SAY_NS UINT64_C(10000000000)

static bool worth_waiting(int rc)
{
    return rc == QD_E_NO_COORDINATION || rc == QD_E_NOT_LEADER || rc == QD_E_TIMEOUT;
}

/* "coordination.master_addresses [a,b]", where anything is set. */
static void add_setting(const qd_values *v, uint32_t id, qd_buf *out)
{
    qd_str text = qd_values_text(v, id);
    if (text.n)
        (void)qd_buf_printf(out, "%s%s [%.*s]", out->n ? ", " : "", qd_schema_node.defs[id].key,
                            QD_STR_ARG(text));
}

/* What is wrong with each address, unless it has been said. */
static void add_troubles(qd_node *node, qd_str said, qd_buf *out)
{
    qd_arena arena;
    char why[256];
    uint32_t n;
    qd_arena_init(&arena, NULL, 1 << 20);
    const qd_str *list = qd_node_master_addresses(node, &arena, &n);
    for (uint32_t i = 0; i < n; i++) {
        qd_rpc_node there;
        if (qd_rpc_peer_up(node->rpc, list[i], &there)) {
            if (there.roles & (QD_RPC_ROLE_MASTER | QD_RPC_ROLE_CONTROL)) continue;
            snprintf(why, sizeof why,
                     "the node [%.100s] there is no master, nor does it hold the state for others",
                     there.name);
        } else if (!qd_rpc_peer_trouble(node->rpc, list[i], why)) {
            continue;
        }
        if (qd_str_find_str(said, qd_str_sub(qd_str_c(why), 0, SAID_MAX)) >= 0) continue;
        (void)qd_buf_printf(out, "%s[%.*s]: %s", out->n || said.n ? "; " : "", QD_STR_ARG(list[i]),
                            why);
    }
    qd_arena_fini(&arena);
}

static void say(qd_node *node, const qd_err *err)
{
    const qd_values *v = qd_config_values(node->config);
    qd_str why = qd_str_c(qd_err_reason(err));
    qd_buf troubles, settings;
    qd_buf_init(&troubles, NULL, 8192);
    qd_buf_init(&settings, NULL, 8192);
    add_troubles(node, why, &troubles);
    add_setting(v, QD_SET_COORDINATION_MASTERS, &settings);
    add_setting(v, QD_SET_COORDINATION_PEERS, &settings);
    add_setting(v, QD_SET_DISCOVERY_SEED_HOSTS, &settings);
    add_setting(v, QD_SET_CLUSTER_INITIAL_MASTERS, &settings);
    qd_log_warn(LOG, "no leader answers yet, still looking: %.*s%.*s%s%.*s%s", QD_STR_ARG(why),
                QD_STR_ARG(qd_buf_view(&troubles)), settings.n ? " (" : "",
                QD_STR_ARG(qd_buf_view(&settings)), settings.n ? ")" : "");
    qd_buf_fini(&troubles);
    qd_buf_fini(&settings);
}

/* A store that has handed the cluster over answers, but takes nothing: this node missed it. */
static int handed_over(qd_node *node, qd_err *err)
{
    qd_coord_identity id;
    qd_coord_identity_get(node->coordination, &id);
    if (node->stores || (id.state != QD_COORD_SEALED && id.state != QD_COORD_RETIRED)) return 0;
    qd_env_sleep_ns(node->env, FORM_NS);
    bool masters = qd_node_store_kind(node) == QD_STORE_MASTERS;
    return qd_err_set(
        err, QD_E_NO_COORDINATION,
        "the store that this node knows (%s, control epoch %llu) is %s: the cluster's "
        "state has been moved, or is just being moved, to another store. Start this "
        "node with coordination.mode: %s",
        qd_store_kind_name(qd_node_store_kind(node)), (unsigned long long)id.epoch,
        id.state == QD_COORD_SEALED ? "sealed" : "retired",
        qd_mode_name(masters ? QD_MODE_KUBERNETES : QD_MODE_MASTER));
}

/* A store that was made to wait for masters' to be moved there, or to be the other one of a cluster
 * that masters form: nothing is formed in it. */
static int not_in_charge(qd_node *node, qd_err *err)
{
    qd_coord_identity id;
    qd_coord_identity_get(node->coordination, &id);
    bool waits =
        id.state == QD_COORD_EMPTY || id.state == QD_COORD_MIRROR || id.state == QD_COORD_VOID;
    if (!node->mode.own || node->stores || !waits) return 0;
    bool masters = node->mode.store == QD_STORE_MASTERS;
    qd_env_sleep_ns(node->env, FORM_NS);
    return qd_err_set(
        err, QD_E_NO_COORDINATION,
        "the store that this node is to use (%s) is there, but not in charge: it was made to "
        "take over from %s some day, and a second cluster is not formed in it. Start this node "
        "with coordination.mode: %s, or move the state here (qd migrate start --to %s)%s",
        qd_store_kind_name(node->mode.store),
        masters ? "the one in Kubernetes"
                : "masters, which hold the state of the cluster of this name",
        qd_mode_name(masters ? QD_MODE_KUBERNETES : QD_MODE_MASTER),
        qd_mode_name(qd_mode_of(node->mode.store)),
        masters ? ""
                : "; if those masters never were and never will be, delete the root object "
                  "(kubectl delete quidditchstate) and path.data/coordination-copy of each node");
}

static int join_start(qd_node *node, qd_err *err)
{
    uint64_t next = qd_env_mono_ns(node->env) + FIRST_NS;
    bool told = false;
    for (;;) {
        qd_coord_list found;
        qd_arena arena;
        qd_err why;
        qd_err_init(&why);
        qd_arena_init(&arena, NULL, 1 << 20);
        int rc = qd_coord_read(node->coordination, QD_STR("cluster/uuid"), false, ATTEMPT_MS,
                               &arena, &found, &why);
        /* masters that are there but have not formed a cluster yet: only they do */
        if (!rc && !found.n && !node->control) {
            rc = qd_err_set(&why, QD_E_NO_COORDINATION,
                            "the masters, or the control nodes, have formed no cluster yet");
            qd_env_sleep_ns(node->env, FORM_NS);
        }
        qd_arena_fini(&arena);
        if (!rc) rc = handed_over(node, &why);
        if (!rc) rc = not_in_charge(node, &why); /* also where it is a mirror of masters' */
        bool stop = atomic_load(&node->stopping);
        bool wait = worth_waiting(rc) && !stop && !atomic_load(&node->failed) &&
                    !qd_coord_failed(node->coordination);
        uint64_t now = qd_env_mono_ns(node->env);
        if (wait && now > next) {
            next = now + SAY_NS;
            say(node, &why);
            qd_node_service_waits(qd_err_reason(&why));
            if (!told && node->mode.asked == QD_MODE_AUTO && !node->mode.formed)
                qd_log_warn(LOG, "no coordination backend available, waiting for one; tried: %s",
                            node->mode.tried);
            told = true;
        }
        if (!wait && rc && !stop) qd_err_copy(err, &why);
        qd_err_fini(&why);
        if (stop) return qd_err_set(err, QD_E_CANCELLED, "stopped before it joined a cluster");
        if (wait) continue;
        if (!rc) qd_authority_store(node->authority, node->env, qd_node_store_kind(node));
        return rc;
    }
}

const qd_step qd_step_join = {"join", NULL, join_start, NULL, NULL};
