/*
 * cluster.c: the shards this node holds and the cluster it belongs to. The REST address
 * is announced with the session; http starts after this step, so the port is the configured one.
 */
#include "action/action.h"
#include "base/log.h"
#include "cluster/authority/authority.h"
#include "cluster/authority/driver.h"
#include "cluster/remote/remote.h"
#include "main/daemon/node.h"
#include "replication/replication.h"
#include "rpc/rpc.h"
#include "shard/shards.h"
#include <stdio.h>
#include <string.h>

#define LOG "cluster"
#define NOSPACE_PAUSE_NS UINT64_C(200000000)
#define NOSPACE_SAY_NS UINT64_C(10000000000)

/* Letters of _cat/nodes. */
static void role_letters(const qd_node *node, char out[16], bool *data)
{
    uint32_t n, k = 0;
    const qd_str *roles = qd_values_list(qd_config_values(node->config), QD_SET_NODE_ROLES, &n);
    static const struct {
        const char *role;
        char letter;
    } letters[] = {{"data_cold", 'c'},    {"data", 'd'},         {"data_frozen", 'f'},
                   {"data_hot", 'h'},     {"ingest", 'i'},       {"master", 'm'},
                   {"coordination", 'r'}, {"data_content", 's'}, {"data_warm", 'w'}};
    *data = false;
    for (size_t i = 0; i < QD_COUNT_OF(letters); i++) {
        for (uint32_t j = 0; j < n; j++) {
            if (!qd_str_is(roles[j], letters[i].role)) continue;
            out[k++] = letters[i].letter;
            *data |= strncmp(letters[i].role, "data", 4) == 0;
        }
    }
    out[k] = 0;
}

/* "hot,warm": the node's own tier first. */
static void tier_names(const qd_node *node, char *out, size_t n)
{
    size_t at = 0;
    for (uint32_t i = 0; i <= node->nothers && at < n; i++)
        at += (size_t)snprintf(out + at, n - at, "%s%s", i ? "," : "", node->tier_name[i]);
}

static int open_shards(qd_node *node, qd_err *err)
{
    qd_pool_stats write;
    qd_account_init(&node->index_account, "indices", NULL, 0);
    qd_pool_stats_get(qd_pools_get(&node->pools, "write"), &write);
    qd_shards_config c = {
        .env = node->env,
        .store = node->store,
        .tier = qd_str_c(node->tier_name[0]),
        .path = node->tier_path[0],
        .others = node->others,
        .nothers = node->nothers,
        .pools = &node->pools,
        .account = &node->index_account,
        .fielddata = &node->fielddata_account,
        .config = node->config,
        .buffer_bytes = qd_config_index_early(node->config),
        .slots = write.threads_max < QD_SLOTS_MAX ? write.threads_max : QD_SLOTS_MAX,
    };
    int rc = qd_shards_open(&c, &node->shards, err);
    if (!rc) qd_shards_look_back(node->shards);
    return rc;
}

/* Who leads now, once for each leader; scripts look for these words. */
static void tell_leader(qd_node *node, const qd_state *old, const qd_state *now)
{
    const qd_node_meta *n = now->master.n ? qd_state_node(now, now->master) : NULL;
    bool same = old && qd_str_eq(old->master, now->master);
    if (!n || same || qd_str_is(n->id, node->id)) return;
    if (qd_node_store_kind(node) == QD_STORE_KUBERNETES)
        qd_log_info("discovery", "using k8s-native: the leader is [%.*s] at [%.*s]",
                    QD_STR_ARG(n->name), QD_STR_ARG(n->transport_address));
    else
        qd_log_info("discovery", "connected to master [%.*s] at [%.*s], the leader",
                    QD_STR_ARG(n->name), QD_STR_ARG(n->transport_address));
}

/* The state has moved while this node runs; scripts look for these words. */
static bool tell_move(qd_node *node)
{
    qd_store_kind was = node->told, kind = qd_node_store_kind(node);
    node->told = kind;
    if (!was || !kind || was == kind) return false;
    if (kind == QD_STORE_KUBERNETES) {
        qd_log_info("discovery", "using K8S-native mode");
        qd_log_info("discovery", "using k8s-native: the cluster's state has been moved there");
    } else {
        qd_log_info("discovery", "using master mode: the cluster's state has been moved there");
    }
    return true;
}

/* A node that follows masters is elected where they are not in charge. */
static bool may_lead(void *arg)
{
    return qd_node_store_kind(arg) == QD_STORE_KUBERNETES;
}

/* Nodes that serve the state, also those that will when it has moved. */
static void learn_control(qd_node *node, const qd_state *old, const qd_state *now)
{
    bool afar = node->follows || !node->mode.own;
    for (uint32_t i = 0; afar && i < now->nnodes; i++) {
        const qd_node_meta *n = &now->nodes[i], *was = old ? qd_state_node(old, n->id) : NULL;
        bool known = was && was->mod_revision == n->mod_revision;
        if (known || !n->stores || qd_str_is(n->id, node->id)) continue;
        for (int k = 0; k < (node->follows ? 2 : 1); k++)
            qd_remote_learn(node->follows ? node->both[k] : node->coordination,
                            n->transport_address);
    }
}

/* Whose peers are taken from now on, and who of them is connected, before who leads is told. */
static void tell_cluster(qd_node *node, const qd_state *old, const qd_state *now)
{
    if ((old && old->uuid[0]) || !now->uuid[0]) return;
    qd_rpc_cluster_uuid_set(node->rpc, qd_str_c(now->uuid));
    for (int k = 0; k < 2; k++)
        if (node->both[k]) qd_remote_joined(node->both[k]);
    if (!node->stores) qd_remote_joined(node->coordination);
}

static void follow(void *arg, const qd_state *old, const qd_state *now)
{
    qd_node *node = arg;
    tell_cluster(node, old, now);
    tell_leader(node, tell_move(node) ? NULL : old, now);
    learn_control(node, old, now);
    qd_authority_store(node->authority, node->env, qd_node_store_kind(node));
    qd_mutex_lock(&node->following);
    if (node->shards) {
        qd_replication *r = atomic_load(&node->replication);
        if (!node->leaving) qd_shards_apply(node->shards, old, now);
        if (r) qd_replication_apply(r, old, now);
    }
    qd_mutex_unlock(&node->following);
    qd_action_settings_follow(node->config, node->plugins, old, now);
}

/* Where others reach this node: its transport's host, and its REST API there. */
static void announced(const qd_node *node, char host[QD_RPC_ADDRESS_MAX],
                      char http[QD_RPC_ADDRESS_MAX + 8])
{
    qd_str at = qd_rpc_address(node->rpc), rest = {"", 0};
    while (at.n && at.p[at.n - 1] != ':') at.n--;
    snprintf(host, QD_RPC_ADDRESS_MAX, "%.*s", (int)(at.n ? at.n - 1 : 0), at.p);
    if (node->http) rest = node->http_vtable->address(node->http);
    size_t colon = rest.n;
    while (colon && rest.p[colon - 1] != ':') colon--;
    qd_str port = qd_str_sub(rest, colon, rest.n);
    http[0] = 0;
    if (port.n) snprintf(http, QD_RPC_ADDRESS_MAX + 8, "%s:%.*s", host, QD_STR_ARG(port));
}

/* The state changes on while the node stops, with others that come and go: the shards follow it no
 * more before they are closed. */
static void cluster_stop(qd_node *node)
{
    qd_shards *shards = node->shards;
    qd_replication *r = atomic_load(&node->replication);
    qd_node_driver_stop(node);
    qd_mutex_lock(&node->following);
    node->shards = NULL;
    qd_mutex_unlock(&node->following);
    qd_replication_stop(r);
    qd_shards_mark_last(shards);
    qd_shards_close(shards);
    qd_cluster_close(node->cluster);
    qd_replication_close(r);
    atomic_store(&node->replication, NULL);
    node->cluster = NULL;
    qd_mutex_fini(&node->following);
}

/* A store without room takes no node; it has a reserve, and somebody may make room. */
static int open_cluster(qd_node *node, const qd_cluster_config *c, qd_err *err)
{
    uint64_t next = 0;
    for (;;) {
        qd_err why;
        qd_err_init(&why);
        int rc = qd_cluster_open(c, &node->cluster, &why);
        bool wait = rc == QD_E_NOSPACE && !atomic_load(&node->stopping) &&
                    !atomic_load(&node->failed) && !qd_coord_failed(node->coordination);
        uint64_t now = qd_env_mono_ns(node->env);
        if (wait && now >= next) {
            next = now + NOSPACE_SAY_NS;
            qd_log_warn(LOG, "this node is not taken up yet, still trying: %s",
                        qd_err_reason(&why));
            qd_node_service_waits(qd_err_reason(&why));
        }
        if (rc && !wait && err) qd_err_copy(err, &why);
        qd_err_fini(&why);
        if (!wait) return rc;
        qd_env_sleep_ns(node->env, NOSPACE_PAUSE_NS);
    }
}

static int cluster_start(qd_node *node, qd_err *err)
{
    char tiers[QD_TIERS_MAX * 65] = "", roles[16], host[QD_RPC_ADDRESS_MAX],
                              http[QD_RPC_ADDRESS_MAX + 8];
    bool data;
    qd_pair attributes[QD_NODE_ATTRIBUTES_MAX];
    uint32_t nattributes = qd_node_attributes(qd_config_settings(node->config), attributes);
    role_letters(node, roles, &data);
    if (data) tier_names(node, tiers, sizeof tiers);
    int rc = open_shards(node, err);
    if (rc) return rc;
    qd_mutex_init(&node->following);
    announced(node, host, http);
    qd_cluster_config c = {
        .env = node->env,
        .store = node->coordination,
        .name = qd_config_text(node->config, QD_SET_CLUSTER_NAME),
        .self = {.id = qd_str_c(node->id),
                 .name = qd_str_c(node->name),
                 .host = qd_str_c(host),
                 .transport_address = qd_rpc_address(node->rpc),
                 .http_address = qd_str_c(http),
                 .roles = qd_str_c(roles),
                 .version = QD_STR(QD_VERSION),
                 .ephemeral = qd_str_c(qd_rpc_self(node->rpc)->ephemeral),
                 .stores = node->follows    ? QD_NODE_STORES_FOLLOWS
                           : node->stores   ? QD_NODE_STORES_BOTH
                           : node->mode.own ? QD_NODE_STORES_ONE
                                            : QD_NODE_STORES_NONE,
                 .wants = qd_str_c(qd_node_wants(node)),
                 .tiers = qd_str_c(tiers),
                 .attributes = attributes,
                 .nattributes = nattributes},
        .data = data,
        .rpc = node->rpc,
        .authority = node->authority,
        .disks = qd_node_disks(node),
        .control = node->control,
        .uuid = qd_str_c(node->mode.uuid),
        .eligible = node->follows ? may_lead : NULL,
        .eligible_arg = node,
        .config = node->config,
        .plugins = node->plugins,
        .session_ttl_ms =
            qd_values_ms(qd_config_values(node->config), QD_SET_COORDINATION_SESSION_TTL),
        .timeout_ms = 30000,
        .listener = follow,
        .listener_arg = node,
        .failed = qd_node_store_failed,
    };
    rc = open_cluster(node, &c, err);
    if (rc) {
        qd_shards_close(node->shards);
        node->shards = NULL;
        qd_mutex_fini(&node->following);
        return rc;
    }
    qd_replication_config k = {.env = node->env,
                               .rpc = node->rpc,
                               .shards = node->shards,
                               .cluster = node->cluster,
                               .store = node->store,
                               .pools = &node->pools,
                               .account = &node->index_account,
                               .config = node->config};
    qd_replication *r = NULL;
    rc = qd_replication_open(&k, &r, err);
    if (rc) {
        cluster_stop(node);
        return rc;
    }
    atomic_store(&node->replication, r);
    qd_state *s = qd_cluster_state(node->cluster);
    qd_log_info(LOG, "cluster [%.*s] uuid [%s], node [%s] id [%s], %u indices",
                QD_STR_ARG(qd_cluster_name(node->cluster)), s->uuid, node->name, node->id, s->n);
    qd_state_unref(s);
    qd_shards_cluster(node->shards, node->cluster);
    qd_replication_begin(r);
    qd_action_tidy(node->store);
    qd_shards_tidy(node->shards);
    qd_driver_joined(node->driver);
    return 0;
}

const qd_step qd_step_cluster = {"cluster", NULL, cluster_start, cluster_stop, NULL};
