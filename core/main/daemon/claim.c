/*
 * claim.c: the claim of a cluster that could have two stores and has never formed: which
 * one it has is what the root object in Kubernetes was created as. Creating it is a compare-and-set
 * that one node wins; all others obey, masters among them, which form nothing before they have seen
 * it. Who creates it asks for masters if it is one or if one answers within
 * coordination.connect_timeout, else for Kubernetes: that time decides what is asked for, never
 * what is so. While Kubernetes cannot be asked, masters in charge of a cluster in use are proof.
 */
#include "base/arena.h"
#include "base/log.h"
#include "cluster/authority/proof.h"
#include "cluster/coord/coord.h"
#include "cluster/state/state.h"
#include "main/daemon/node.h"
#include "main/store_options.h"
#include "rpc/rpc.h"
#include <stdio.h>
#include <string.h>

#define LOG "discovery"
#define LOOK_NS UINT64_C(20000000)
#define LOOK_MS 300
#define ASK_MS 1000
#define PROOF_MS 1000
#define PAUSE_NS UINT64_C(200000000)
#define SAY_NS UINT64_C(10000000000)
#define LOOKED_NS UINT64_C(2000000000) /* the API has so long before masters are asked */

static bool is_coordinating(const qd_node *node)
{
    uint32_t n;
    const qd_str *roles = qd_values_list(qd_config_values(node->config), QD_SET_NODE_ROLES, &n);
    for (uint32_t i = 0; i < n; i++)
        if (qd_str_is(roles[i], "coordination")) return true;
    return false;
}

/* --- is there a master? --- */

typedef struct master_watch {
    qd_rpc_watch *watch;
    _Atomic bool answers;
} master_watch;

/* One that refuses this node is there, too: what is wrong is told, and waited for. */
static void on_peer(void *arg, qd_str address, qd_rpc_event event, const qd_rpc_node *there,
                    qd_str reason)
{
    master_watch *m = arg;
    bool master = event == QD_RPC_UP && there && (there->roles & QD_RPC_ROLE_MASTER);
    if (event == QD_RPC_REFUSED)
        qd_log_warn(LOG, "the master at [%.*s]: %.*s", QD_STR_ARG(address), QD_STR_ARG(reason));
    if (master || event == QD_RPC_REFUSED) atomic_store(&m->answers, true);
}

static bool any_answers(master_watch *all, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (atomic_load(&all[i].answers)) return true;
    return false;
}

/* Does a named master answer in time? */
static bool masters_answer(qd_node *node, const qd_str *list, uint32_t n, int64_t timeout_ms)
{
    uint64_t end = qd_env_mono_ns(node->env) + (uint64_t)timeout_ms * 1000000u;
    master_watch *all = qd_calloc(NULL, (n + 1) * sizeof *all);
    bool found = !all; /* without memory nothing is given up */
    for (uint32_t i = 0; all && i < n; i++) {
        qd_err err; /* an address that is none was refused at the start, or is told by others */
        qd_err_init(&err);
        if (qd_rpc_peer_watch(node->rpc, list[i], on_peer, &all[i], &all[i].watch, &err))
            all[i].watch = NULL;
        qd_err_fini(&err);
    }
    while (!found && qd_env_mono_ns(node->env) < end && !atomic_load(&node->stopping)) {
        found = any_answers(all, n);
        if (!found) qd_env_sleep_ns(node->env, LOOK_NS);
    }
    for (uint32_t i = 0; all && i < n; i++)
        if (all[i].watch) qd_rpc_unwatch(node->rpc, all[i].watch);
    qd_free(all);
    return found;
}

static qd_store_kind wish(qd_node *node)
{
    qd_arena arena;
    uint32_t n = 0;
    int64_t ms = qd_config_ms(node->config, QD_SET_COORDINATION_CONNECT_TIMEOUT);
    if (node->mode.own) return QD_STORE_MASTERS; /* a master: it answers itself */
    qd_arena_init(&arena, NULL, 1 << 20);
    const qd_str *list = qd_node_master_addresses(node, &arena, &n);
    bool found = masters_answer(node, list, n, ms);
    qd_arena_fini(&arena);
    if (found) return QD_STORE_MASTERS;
    node->unanswered = true;
    qd_log_warn(LOG,
                "no master has answered for %lldms (coordination.connect_timeout); this node "
                "belongs to no cluster yet: unless the claim in Kubernetes says otherwise, this "
                "cluster gets its store there. Tried: %s",
                (long long)ms, node->mode.tried);
    return QD_STORE_KUBERNETES;
}

/* --- the claim --- */

static qd_store_kind in_charge(uint32_t state)
{
    if (state == QD_COORD_ACTIVE) return QD_STORE_KUBERNETES;
    return state == QD_COORD_SEALED ? QD_STORE_UNKNOWN : QD_STORE_MASTERS;
}

/* --- masters that are proof enough while Kubernetes cannot be asked --- */

typedef struct named_masters {
    qd_node *node;
    qd_coord_store *s; /* from afar; NULL: not opened yet, or none is named */
} named_masters;

/* May the masters be joined? what: about them, for people. [worker] */
static bool masters_prove(named_masters *m, qd_proof *out, char what[256])
{
    qd_err err;
    qd_err_init(&err);
    bool may = false, accept = qd_config_bool(m->node->config, QD_SET_COORDINATION_ACCEPT_NEW);
    int rc = m->s ? 0 : qd_node_masters_open(m->node, false, &m->s, &err);
    if (!rc) rc = qd_proof_read(m->s, PROOF_MS, out, &err);
    if (rc) {
        snprintf(what, 256, "the masters cannot be asked either: %s", qd_err_reason(&err));
    } else if (qd_proof_holds(out)) {
        snprintf(what, 256, "masters are in charge of the cluster [%s], which %s", out->uuid,
                 out->indices ? "has indices" : "keeps a mirror in Kubernetes");
        may = true;
    } else if (!out->uuid[0]) {
        snprintf(what, 256, "the masters have formed no cluster");
    } else if (!out->active) {
        snprintf(what, 256, "the masters' store of the cluster [%s] is not in charge", out->uuid);
    } else {
        snprintf(what, 256,
                 "the masters' cluster [%s] has no indices and may be a new one beside it%s",
                 out->uuid,
                 accept ? ": joined all the same (coordination.accept_new)"
                        : "; coordination.accept_new: true joins it");
        may = accept;
    }
    qd_err_fini(&err);
    return may;
}

typedef struct asking {
    qd_coord_store *kubernetes;
    named_masters masters;
} asking;

/* Kubernetes cannot be asked: masters in charge are proof, else what they are stands in err. */
static int ask_masters(asking *a, int rc, qd_mode_claim *out, qd_err *err)
{
    qd_proof p;
    char what[256], why[256];
    if (masters_prove(&a->masters, &p, what)) {
        qd_err_fini(err);
        *out = (qd_mode_claim){
            .in_charge = QD_STORE_MASTERS, .epoch = p.epoch ? p.epoch : 1, .by_masters = true};
        snprintf(out->uuid, sizeof out->uuid, "%s", p.uuid);
        return 0;
    }
    snprintf(why, sizeof why, "%s", qd_err_reason(err));
    qd_err_fini(err);
    return qd_err_set(err, rc, "%s; %s", why, what);
}

/* Reads it: the store in Kubernetes has a leader, who has shown what the root was created as. */
static int ask(void *arg, const qd_mode_input *in, qd_mode_claim *out, qd_err *err)
{
    static const uint8_t nobody[16];
    asking *a = arg;
    qd_coord_store *s = a->kubernetes;
    qd_coord_identity id;
    qd_coord_list found = {.n = 0};
    qd_arena arena;
    (void)in;
    qd_arena_init(&arena, NULL, 1 << 20);
    int rc = qd_coord_read(s, QD_STR("cluster/uuid"), false, ASK_MS, &arena, &found, err);
    qd_coord_identity_get(s, &id); /* of this node, which may be behind the one that was read */
    if (!rc && !memcmp(id.store_id, nobody, sizeof nobody))
        rc = qd_err_set(err, QD_E_NO_COORDINATION, "the store's first entry is not here yet");
    if (!rc) {
        *out = (qd_mode_claim){.in_charge = in_charge(id.state), .epoch = id.epoch ? id.epoch : 1};
        qd_uuid_text(id.store_id, out->uuid);
        if (found.n && found.at[0].value_len < sizeof out->uuid)
            snprintf(out->uuid, sizeof out->uuid, "%.*s", (int)found.at[0].value_len,
                     (const char *)found.at[0].value);
    }
    qd_arena_fini(&arena);
    if (!rc && !out->in_charge)
        return qd_err_set(err, QD_E_NO_COORDINATION,
                          "the store in Kubernetes is just being handed over to masters");
    if (!rc || qd_coord_failed(s) || rc == QD_E_NOMEM) return rc;
    return ask_masters(a, QD_E_NO_COORDINATION, out, err);
}

/* --- masters are asked for, and the state is in Kubernetes --- */

/* A node that only coordinates, keeps no record over a restart, and is to ask masters: is there a
 * cluster in Kubernetes that it belonged to? */
static bool may_have_moved(const qd_node *node)
{
    const qd_mode_decision *d = &node->mode;
    return d->asked == QD_MODE_MASTER && !d->formed && !d->own && is_coordinating(node) &&
           qd_store_reaches_kubernetes(node->config);
}

/* What the root says, by id. QD_E_NOTFOUND: there is none; else err says why it is not known. */
static int read_root(qd_coord_store *s, int64_t ms, qd_coord_identity *id, qd_err *err)
{
    static const uint8_t nobody[16];
    qd_arena arena;
    qd_coord_list found;
    qd_arena_init(&arena, NULL, 1 << 20);
    int rc = qd_coord_read_here(s, QD_STR("cluster/uuid"), ms, &arena, &found, err);
    qd_coord_identity_get(s, id);
    bool known = memcmp(id->store_id, nobody, sizeof nobody) != 0;
    if (!known && !rc) { /* nothing is applied yet: a linearizable read is told why */
        qd_arena_reset(&arena);
        rc = qd_coord_read(s, QD_STR("cluster/uuid"), false, ms, &arena, &found, err);
        if (!rc) rc = qd_err_set(err, QD_E_NO_COORDINATION, "the root has not been read yet");
    }
    qd_arena_fini(&arena);
    if (known) {
        qd_err_fini(err);
        return 0;
    }
    return rc;
}

/* Says what is waited for, here and in the log. false: the node stops. */
static bool wait_for_root(qd_node *node, const char *why, const char *what, uint64_t *said)
{
    char text[320];
    uint64_t now = qd_env_mono_ns(node->env);
    snprintf(text, sizeof text, "waiting for the claim: Kubernetes cannot be asked: %.120s; %.140s",
             why, what);
    qd_node_waits(node, text, false);
    if (!*said || now - *said > SAY_NS) {
        *said = now;
        qd_log_warn(LOG,
                    "no coordination backend available yet: this node belongs to no cluster, and "
                    "whether the state of its cluster is in Kubernetes cannot be asked: %s; %s. "
                    "Waiting for it",
                    why, what);
    }
    if (!atomic_load(&node->stopping)) qd_env_sleep_ns(node->env, PAUSE_NS);
    return !atomic_load(&node->stopping);
}

/* Looks until it is known whether the cluster's state is there, or masters are proof that it is
 * not; node->found. QD_E_CANCELLED */
static int look(qd_node *node, qd_err *err)
{
    qd_coord_store *s;
    qd_coord_identity id = {.state = QD_COORD_EMPTY};
    named_masters masters = {.node = node};
    qd_err why;
    uint64_t begun = qd_env_mono_ns(node->env), said = 0;
    qd_err_init(&why);
    if (qd_node_store_open(node, QD_STORE_KUBERNETES, QD_NODE_STORE_LOOK, &s, &why)) {
        qd_log_warn(LOG, "Kubernetes is not looked at for the state of this node's cluster: %s",
                    qd_err_reason(&why));
        qd_err_fini(&why);
        return 0;
    }
    bool goes_on = true;
    while (goes_on) {
        qd_proof p;
        char what[256];
        int rc = read_root(s, LOOK_MS, &id, &why);
        if (!rc || rc == QD_E_NOTFOUND) break;
        bool early = qd_env_mono_ns(node->env) - begun < LOOKED_NS;
        if (!early && masters_prove(&masters, &p, what)) {
            qd_log_info(LOG, "Kubernetes cannot be asked, %s", what);
            qd_node_waits(node, what, true);
            break;
        }
        if (early)
            qd_env_sleep_ns(node->env, LOOK_NS);
        else
            goes_on = wait_for_root(node, qd_err_reason(&why), what, &said);
        goes_on &= !atomic_load(&node->stopping);
        qd_err_fini(&why);
    }
    qd_err_fini(&why);
    qd_coord_close(s);
    qd_coord_close(masters.s);
    if (!goes_on) return qd_err_set(err, QD_E_CANCELLED, "stopped before the claim could be read");
    qd_node_waits(node, NULL, true);
    if (id.state == QD_COORD_ACTIVE || id.state == QD_COORD_SEALED) node->found = id.epoch;
    return 0;
}

int qd_node_claim(qd_node *node, qd_coord_store **kubernetes, qd_err *err)
{
    qd_coord_store *s = NULL;
    *kubernetes = NULL;
    if (may_have_moved(node)) {
        int looked = look(node, err);
        if (looked) return looked;
        if (node->found) {
            int kept = qd_node_settle(node, NULL, err);
            if (!kept) qd_rpc_role_add(node->rpc, QD_RPC_ROLE_CONTROL);
            return kept;
        }
    }
    if (!node->mode.claim) return 0;
    qd_store_kind wanted = wish(node);
    int rc =
        qd_node_store_open(node, QD_STORE_KUBERNETES,
                           wanted == QD_STORE_KUBERNETES ? QD_COORD_OPEN_BOOTSTRAP : 0, &s, err);
    if (rc) return rc;
    asking a = {.kubernetes = s, .masters = {.node = node}};
    qd_mode_claims claims = {ask, &a};
    rc = qd_node_settle(node, &claims, err);
    qd_coord_close(a.masters.s);
    if (rc || !node->mode.own) {
        qd_coord_close(s);
        return rc;
    }
    if (node->mode.store == QD_STORE_KUBERNETES) qd_rpc_role_add(node->rpc, QD_RPC_ROLE_CONTROL);
    *kubernetes = s;
    return 0;
}
