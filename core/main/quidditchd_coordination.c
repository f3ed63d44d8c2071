/*
 * quidditchd_coordination.c: the store of cluster state: the plugin of coordination.plugin, else of
 * coordination.mode, over path.data/coordination.
 */
#include "base/arena.h"
#include "base/log.h"
#include "base/str.h"
#include "cluster/authority/authority.h"
#include "cluster/coord.h"
#include "cluster/remote/remote.h"
#include "main/node.h"
#include "plugin/host.h"
#include "runtime/proc.h"
#include <stdio.h>
#include <string.h>

#define LOG "discovery"
#define DEFAULT_MASTER "coordination-raft"
#define DEFAULT_KUBERNETES "coordination-k8s"

/* Settings of the host's that the store is told: coordination.<key>, times in milliseconds. */
static uint32_t take_options(const qd_node *node, char text[3][32], qd_pair options[3])
{
    const qd_values *v = qd_config_values(node->config);
    snprintf(text[0], 32, "%lldms",
             (long long)qd_values_ms(v, QD_SET_COORDINATION_ELECTION_TIMEOUT));
    snprintf(text[1], 32, "%lldms", (long long)qd_values_ms(v, QD_SET_COORDINATION_HEARTBEAT));
    snprintf(text[2], 32, "%lld", (long long)qd_values_i64(v, QD_SET_COORDINATION_SNAPSHOT_OPS));
    options[0] = (qd_pair){QD_STR("election_timeout"), qd_str_c(text[0])};
    options[1] = (qd_pair){QD_STR("heartbeat_interval"), qd_str_c(text[1])};
    options[2] = (qd_pair){QD_STR("snapshot_threshold"), qd_str_c(text[2])};
    return 3;
}

/* transport.port, the first of a range; 9300 where that says nothing. */
static unsigned default_port(const qd_values *v)
{
    uint64_t port = 0;
    qd_str text = qd_values_text(v, QD_SET_TRANSPORT_PORT);
    qd_str first = qd_str_trim(qd_str_split(&text, '-'));
    return qd_str_u64(first, &port) && port > 0 && port < 65536 ? (unsigned)port : 9300;
}

/* "host" gets the port of the transport; in the arena. */
static qd_str with_port(const qd_values *v, qd_str address, qd_arena *arena)
{
    const char *colon = address.n ? memchr(address.p, ':', address.n) : NULL;
    bool bare6 = colon && memchr(colon + 1, ':', (size_t)(address.p + address.n - colon - 1)) &&
                 address.p[0] != '[';
    bool closed = address.n && address.p[address.n - 1] == ']';
    if (colon && !bare6 && !closed) return address;
    char text[320];
    int n = snprintf(text, sizeof text, bare6 ? "[%.*s]:%u" : "%.*s:%u", (int)address.n, address.p,
                     default_port(v));
    return qd_arena_str(arena, (qd_str){text, n > 0 && n < (int)sizeof text ? (size_t)n : 0});
}

/* A list of addresses with ports; names: "name@host:port" stays that. */
static const qd_str *addresses(const qd_values *v, uint32_t id, bool keep_names, qd_arena *arena,
                               uint32_t *n)
{
    const qd_str *list = qd_values_list(v, id, n);
    if (*n == 1 && !list[0].n) *n = 0;
    qd_str *out = qd_arena_alloc(arena, (*n + 1) * sizeof *out);
    for (uint32_t i = 0; out && i < *n; i++) {
        ptrdiff_t name = keep_names ? -1 : qd_str_find(list[i], '@');
        out[i] = with_port(v, qd_str_sub(list[i], (size_t)(name + 1), list[i].n), arena);
    }
    if (!out) *n = 0;
    return out;
}

/* Who else there may be: nobody with discovery.type single-node. */
static void take_others(const qd_node *node, qd_arena *arena, qd_coord_config *k)
{
    const qd_values *v = qd_config_values(node->config);
    if (qd_str_is(qd_config_text(node->config, QD_SET_DISCOVERY_TYPE), "single-node")) return;
    k->peers = addresses(v, QD_SET_COORDINATION_PEERS, true, arena, &k->npeers);
    k->first = qd_values_list(v, QD_SET_CLUSTER_INITIAL_MASTERS, &k->nfirst);
    k->seeds = addresses(v, QD_SET_DISCOVERY_SEED_HOSTS, false, arena, &k->nseeds);
    if (k->nseeds == 0)
        k->seeds = addresses(v, QD_SET_COORDINATION_MASTERS, false, arena, &k->nseeds);
}

static qd_str plugin_of(const qd_node *node)
{
    qd_str name = qd_config_text(node->config, QD_SET_COORDINATION_PLUGIN);
    if (name.n) return name;
    bool kubernetes =
        qd_str_is(qd_config_text(node->config, QD_SET_COORDINATION_MODE), "k8s-native");
    return kubernetes ? QD_STR(DEFAULT_KUBERNETES) : QD_STR(DEFAULT_MASTER);
}

int qd_node_need_coordination(qd_node *node, const qd_plugin_host *host, qd_err *err)
{
    const void *vt;
    qd_self *self;
    return qd_plugin_need(host, QD_KIND_COORDINATION, plugin_of(node), "coordination.mode", &vt,
                          &self, err);
}

/* Has this node a store of its own? Else it uses that of the masters, from afar. */
static bool own_store(const qd_node *node)
{
    uint32_t n;
    const qd_str *roles = qd_values_list(qd_config_values(node->config), QD_SET_NODE_ROLES, &n);
    bool own = qd_config_text(node->config, QD_SET_COORDINATION_PLUGIN).n != 0;
    for (uint32_t i = 0; i < n; i++) own |= qd_str_is(roles[i], "master");
    return own;
}

const qd_str *qd_node_master_addresses(const qd_node *node, qd_arena *arena, uint32_t *n)
{
    static const uint32_t of_master[] = {QD_SET_DISCOVERY_SEED_HOSTS, QD_SET_COORDINATION_PEERS,
                                         QD_SET_COORDINATION_MASTERS};
    static const uint32_t of_other[] = {QD_SET_COORDINATION_MASTERS, QD_SET_DISCOVERY_SEED_HOSTS,
                                        QD_SET_COORDINATION_PEERS};
    const qd_values *v = qd_config_values(node->config);
    const uint32_t *order = own_store(node) ? of_master : of_other;
    const qd_str *list = NULL;
    *n = 0;
    for (size_t i = 0; i < QD_COUNT_OF(of_master) && !*n; i++)
        list = addresses(v, order[i], false, arena, n);
    return *n ? list : NULL;
}

static int open_remote(qd_node *node, qd_err *err)
{
    char learned[QD_PATH_MAX + 32];
    qd_arena arena;
    uint32_t n;
    qd_arena_init(&arena, NULL, 1 << 20);
    const qd_str *masters = qd_node_master_addresses(node, &arena, &n);
    snprintf(learned, sizeof learned, "%s/masters.json", node->data);
    qd_remote_config c = {.env = node->env,
                          .rpc = node->rpc,
                          .loop = node->loop,
                          .pools = &node->pools,
                          .masters = masters,
                          .nmasters = n,
                          .learned = learned};
    int rc = qd_remote_open(&c, &node->coordination, err);
    qd_arena_fini(&arena);
    return rc;
}

/* What this node has acted on; peers of another cluster are refused by its uuid from now on. */
static int open_authority(qd_node *node, qd_err *err)
{
    char path[QD_PATH_MAX + 32];
    qd_authority_record known;
    snprintf(path, sizeof path, "%s/authority.json", node->data);
    int rc = qd_authority_open_file(path, &node->authority, err);
    if (rc) return rc;
    qd_authority_get(node->authority, &known);
    if (known.uuid[0] && !known.accept_older) {
        qd_rpc_cluster_uuid_set(node->rpc, qd_str_c(known.uuid));
    }
    return 0;
}

static int open_store(qd_node *node, qd_err *err);

/* Whoever has no store must know where one is. */
static int coordination_check(qd_node *node, qd_err *err)
{
    qd_arena arena;
    uint32_t n;
    if (own_store(node)) return 0;
    qd_arena_init(&arena, NULL, 1 << 20);
    (void)qd_node_master_addresses(node, &arena, &n);
    qd_arena_fini(&arena);
    return n ? 0
             : qd_err_set(err, QD_E_CONFIG,
                          "a node without the role master has to know one: set "
                          "coordination.master_addresses (or MASTER_ADDRESSES)");
}

/* Settings of which only one counts. */
static void tell_ignored(const qd_node *node)
{
    const qd_values *v = qd_config_values(node->config);
    const char *one = qd_proc_env("MASTER_ADDR"), *many = qd_proc_env("MASTER_ADDRESSES");
    qd_str peers = qd_values_text(v, QD_SET_COORDINATION_PEERS);
    qd_str first = qd_values_text(v, QD_SET_CLUSTER_INITIAL_MASTERS);
    if (one && many && *one && *many && !strstr(many, one))
        qd_log_warn(LOG,
                    "MASTER_ADDR [%s] is none of MASTER_ADDRESSES [%s]: the latter counts, unset "
                    "one of them",
                    one, many);
    if (own_store(node) && peers.n && first.n)
        qd_log_warn(LOG,
                    "both RAFT_PEERS (coordination.raft_peers) [%.*s] and "
                    "cluster.initial_master_nodes [%.*s] name the first masters: the former "
                    "counts, unset one of them",
                    QD_STR_ARG(peers), QD_STR_ARG(first));
}

static int coordination_start(qd_node *node, qd_err *err)
{
    tell_ignored(node);
    int rc = open_authority(node, err);
    if (!rc) rc = open_store(node, err);
    if (rc) {
        qd_authority_close(node->authority);
        node->authority = NULL;
    }
    return rc;
}

static int open_store(qd_node *node, qd_err *err)
{
    if (!own_store(node)) return open_remote(node, err);
    char *path = node->coordination_path, text[3][32];
    qd_pair options[3];
    const void *vt;
    qd_self *self;
    snprintf(path, sizeof node->coordination_path, "%s/coordination", node->data);
    int rc = qd_plugin_need(node->plugins, QD_KIND_COORDINATION, plugin_of(node),
                            "coordination.mode", &vt, &self, err);
    if (rc == 0) rc = qd_dir_make(path, 0700, err);
    if (rc) return rc;
    qd_str name = qd_str_c(node->name), id = node->id[0] ? qd_str_c(node->id) : name;
    qd_coord_config config = {
        .struct_size = sizeof config,
        .flags = QD_COORD_OPEN_BOOTSTRAP,
        .cluster = qd_config_text(node->config, QD_SET_CLUSTER_NAME),
        .node_id = id,
        .node_name = name,
        .path = qd_str_c(path),
        .options = options,
        .noptions = take_options(node, text, options),
    };
    qd_arena arena;
    qd_arena_init(&arena, NULL, 1 << 20);
    take_others(node, &arena, &config);
    rc = qd_coord_open(node->env, vt, self, &config, &node->coordination, err);
    qd_arena_fini(&arena);
    if (!rc) {
        rc = qd_remote_server_open(node->rpc, node->coordination, node->loop, &node->pools,
                                   &node->coordination_server, err);
        if (rc) {
            qd_coord_close(node->coordination);
            node->coordination = NULL;
        }
    }
    return rc;
}

static void coordination_stop(qd_node *node)
{
    qd_remote_server_close(node->coordination_server);
    node->coordination_server = NULL;
    qd_coord_close(node->coordination);
    node->coordination = NULL;
    qd_authority_close(node->authority);
    node->authority = NULL;
}

const qd_step qd_step_coordination = {"coordination", coordination_check, coordination_start,
                                      coordination_stop, NULL};
