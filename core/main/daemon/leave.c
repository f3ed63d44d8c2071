/*
 * leave.c: a master that is told to stop, in a cluster whose state is mirrored to
 * Kubernetes (coordination.k8s_fallback): does its StatefulSet still want a majority of the voters?
 * If not it is not a restart: the state is handed over before this node stops. What is not known
 * delays no stop.
 */
#include "base/arena.h"
#include "base/log.h"
#include "base/str.h"
#include "cluster/authority/driver.h"
#include "cluster/authority/stores.h"
#include "cluster/coord/coord.h"
#include "main/daemon/node.h"

#define LOG "coordination"
#define ASK_MS 5000
#define LEAVE_NS UINT64_C(20000000000) /* a pod has 30 s in all */
#define LOOK_NS UINT64_C(20000000)

bool qd_node_may_hand_over(const qd_node *node)
{
    return node->driver && qd_config_bool(node->config, QD_SET_COORDINATION_K8S_FALLBACK) &&
           qd_node_store_kind(node) == QD_STORE_MASTERS;
}

/* The one of the two stores that is not in charge. */
static qd_coord_store *other(const qd_node *node)
{
    return node->both[!qd_stores_current(node->stores)];
}

static bool is_among(qd_str name, const qd_coord_members *list)
{
    for (uint32_t i = 0; i < list->nmembers; i++)
        if (qd_str_eq(list->members[i].name, name)) return true;
    return false;
}

/* "quidditch-master-2": is the other name of the same set? */
static bool same_set(qd_str a, qd_str b)
{
    while (a.n && a.p[a.n - 1] != '-') a.n--;
    while (b.n && b.p[b.n - 1] != '-') b.n--;
    return a.n && qd_str_eq(a, b);
}

/* Do fewer voters than a majority stay? Of other sets than this node's all do. */
static bool too_few(const qd_node *node, const qd_coord_members *voters,
                    const qd_coord_members *wanted)
{
    uint32_t all = 0, stay = 0;
    for (uint32_t i = 0; i < voters->nmembers; i++) {
        const qd_coord_member *m = &voters->members[i];
        if (m->role != QD_COORD_VOTER) continue;
        all++;
        stay += is_among(m->name, wanted) || !same_set(m->name, qd_str_c(node->name));
    }
    return all && stay < all / 2 + 1;
}

/* Would somebody hold the state when the masters that are not wanted are gone? */
static bool somebody_stays(const qd_node *node, const qd_coord_members *wanted)
{
    qd_state *s = qd_cluster_state(node->cluster);
    bool some = false;
    for (uint32_t i = 0; i < s->nnodes && !some; i++) {
        qd_str name = s->nodes[i].name;
        bool goes = same_set(name, qd_str_c(node->name)) && !is_among(name, wanted);
        some = s->nodes[i].stores >= QD_NODE_STORES_BOTH && !goes;
    }
    qd_state_unref(s);
    return some;
}

/* 1: the state has to be handed over first; 0: this node may stop. */
static int must_hand_over(qd_node *node, qd_err *err)
{
    qd_coord_members voters = {.action = QD_COORD_MEMBERS_LIST};
    qd_coord_members wanted = {.action = QD_COORD_MEMBERS_WANTED,
                               .change = {.name = qd_str_c(node->name)}};
    qd_coord_store *front = qd_stores_front(node->stores), *k8s = other(node);
    int rc = qd_coord_members_call(k8s, &wanted, ASK_MS, err);
    if (rc) return rc;
    rc = qd_coord_members_call(front, &voters, ASK_MS, err);
    if (!rc && too_few(node, &voters, &wanted)) {
        rc = 1;
        if (!somebody_stays(node, &wanted))
            rc = qd_err_set(err, QD_E_STATE,
                            "no node that stays has access to Kubernetes and to the masters: start "
                            "coordination nodes with coordination.k8s_fallback");
    }
    if (rc >= 0) qd_coord_members_free(front, &voters);
    qd_coord_members_free(k8s, &wanted);
    return rc;
}

static bool handed_over(const qd_node *node)
{
    return qd_node_store_kind(node) == QD_STORE_KUBERNETES;
}

/* Asks for the migration and sees it done. The plan is in the store in charge: whoever leads goes
 * on with it, this node if that one leads. */
static int hand_over(qd_node *node, const _Atomic bool *cut, qd_err *err)
{
    uint64_t until = qd_env_mono_ns(node->env) + LEAVE_NS;
    qd_str to = qd_str_c(qd_mode_name(QD_MODE_KUBERNETES));
    int rc = qd_driver_start_to(node->driver, to, err);
    if (rc == QD_E_ARG && handed_over(node)) {
        qd_err_fini(err);
        rc = 0;
    }
    while (!rc && !handed_over(node)) {
        if (atomic_load(cut)) return qd_err_set(err, QD_E_CANCELLED, "it was told to stop at once");
        if (qd_env_mono_ns(node->env) > until)
            return qd_err_set(err, QD_E_TIMEOUT, "it was not done in %u s",
                              (unsigned)(LEAVE_NS / 1000000000u));
        qd_env_sleep_ns(node->env, LOOK_NS);
    }
    return rc;
}

void qd_node_leave(qd_node *node, const _Atomic bool *cut)
{
    qd_err err;
    qd_err_init(&err);
    int rc = must_hand_over(node, &err);
    if (rc == 1) {
        qd_log_info(LOG, "this master stops, and its StatefulSet wants less than a majority of the "
                         "masters: the cluster's state is handed over to Kubernetes first");
        rc = hand_over(node, cut, &err);
        if (!rc) qd_log_info(LOG, "the cluster's state is in Kubernetes: this master stops");
    }
    if (rc == QD_E_NOTFOUND)
        qd_log_debug(LOG, "this master is of no StatefulSet: %s", qd_err_reason(&err));
    else if (rc)
        qd_log_warn(LOG, "this master stops without a look at whether the others stay: %s",
                    qd_err_reason(&err));
    qd_err_fini(&err);
}
