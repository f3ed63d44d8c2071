/*
 * coordination.c: the store of cluster state, as the step `mode` has decided: that of a
 * plugin, with a folder below path.data, served to other nodes; or the one of control nodes, from
 * afar.
 */
#include "base/arena.h"
#include "base/log.h"
#include "base/str.h"
#include "cluster/authority/authority.h"
#include "cluster/authority/driver.h"
#include "cluster/authority/stores.h"
#include "cluster/coord/coord.h"
#include "cluster/remote/remote.h"
#include "main/daemon/node.h"
#include "main/store_options.h"
#include "plugin/host.h"
#include "runtime/proc.h"
#include <stdio.h>
#include <string.h>

#define LOG "discovery"
#define ROUND_MS 1000 /* between two comparisons of a migration */

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

/* Who else there may be: nobody with discovery.type single-node, nobody to be found with a store
 * that is elsewhere. */
static void take_others(const qd_node *node, qd_store_kind kind, qd_arena *arena,
                        qd_coord_config *k)
{
    const qd_values *v = qd_config_values(node->config);
    if (qd_str_is(qd_config_text(node->config, QD_SET_DISCOVERY_TYPE), "single-node")) return;
    if (kind == QD_STORE_KUBERNETES) return;
    k->peers = addresses(v, QD_SET_COORDINATION_PEERS, true, arena, &k->npeers);
    k->first = qd_values_list(v, QD_SET_CLUSTER_INITIAL_MASTERS, &k->nfirst);
    k->seeds = addresses(v, QD_SET_DISCOVERY_SEED_HOSTS, false, arena, &k->nseeds);
    if (k->nseeds == 0)
        k->seeds = addresses(v, QD_SET_COORDINATION_MASTERS, false, arena, &k->nseeds);
}

int qd_node_need_coordination(qd_node *node, const qd_plugin_host *host, qd_err *err)
{
    const void *vt;
    qd_self *self;
    int rc = 0;
    if (node->mode.claim) /* whatever this node is to do, it asks there */
        rc =
            qd_plugin_need(host, QD_KIND_COORDINATION, qd_node_plugin_of(node, QD_STORE_KUBERNETES),
                           "coordination.k8s_fallback", &vt, &self, err);
    if (rc || !node->mode.own) return rc;
    return qd_plugin_need(host, QD_KIND_COORDINATION, qd_node_store_plugin(node),
                          "coordination.mode", &vt, &self, err);
}

const qd_str *qd_node_master_addresses(const qd_node *node, qd_arena *arena, uint32_t *n)
{
    static const uint32_t of_master[] = {QD_SET_DISCOVERY_SEED_HOSTS, QD_SET_COORDINATION_PEERS,
                                         QD_SET_COORDINATION_MASTERS};
    static const uint32_t of_other[] = {QD_SET_COORDINATION_MASTERS, QD_SET_DISCOVERY_SEED_HOSTS,
                                        QD_SET_COORDINATION_PEERS};
    const qd_values *v = qd_config_values(node->config);
    const uint32_t *order = node->mode.own ? of_master : of_other;
    const qd_str *list = NULL;
    *n = 0;
    for (size_t i = 0; i < QD_COUNT_OF(of_master) && !*n; i++)
        list = addresses(v, order[i], false, arena, n);
    return *n ? list : NULL;
}

int qd_node_masters_open(qd_node *node, bool learned, qd_coord_store **out, qd_err *err)
{
    char path[QD_PATH_MAX + 32];
    qd_arena arena;
    uint32_t n;
    qd_arena_init(&arena, NULL, 1 << 20);
    const qd_str *masters = qd_node_master_addresses(node, &arena, &n);
    snprintf(path, sizeof path, "%s/masters.json", node->data);
    qd_remote_config c = {.env = node->env,
                          .rpc = node->rpc,
                          .loop = node->loop,
                          .pools = &node->pools,
                          .masters = masters,
                          .nmasters = n,
                          .learned = learned ? path : NULL};
    int rc = qd_remote_open(&c, out, err);
    qd_arena_fini(&arena);
    return rc;
}

/* Peers of another cluster than the one that this node has acted on are refused from now on. */
static void tell_uuid(qd_node *node)
{
    qd_authority_record known;
    qd_authority_get(node->authority, &known);
    if (known.uuid[0] && !known.accept_older)
        qd_rpc_cluster_uuid_set(node->rpc, qd_str_c(known.uuid));
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
    if (node->mode.own && peers.n && first.n)
        qd_log_warn(LOG,
                    "both RAFT_PEERS (coordination.raft_peers) [%.*s] and "
                    "cluster.initial_master_nodes [%.*s] name the first masters: the former "
                    "counts, unset one of them",
                    QD_STR_ARG(peers), QD_STR_ARG(first));
}

/* The folder of the node's own store: each kind has one, what the other left stays as it is. */
static int make_folder(const qd_node *node, qd_store_kind kind, char *path, size_t size,
                       qd_err *err)
{
    bool copy = kind == QD_STORE_KUBERNETES;
    snprintf(path, size, "%s/%s", node->data, copy ? "coordination-copy" : "coordination");
    return qd_dir_make(path, 0700, err);
}

/* Opens a plugin's store in that folder, or, with an empty path, in none. */
static int open_at(const qd_node *node, const qd_plugin_host *host, qd_store_kind kind,
                   uint32_t flags, const char *path, const qd_store_options *options,
                   qd_coord_store **out, qd_err *err)
{
    const void *vt;
    qd_self *self;
    qd_arena arena;
    int rc = qd_plugin_need(host, QD_KIND_COORDINATION, qd_node_plugin_of(node, kind),
                            "coordination.mode", &vt, &self, err);
    if (rc) return rc;
    qd_str name = qd_str_c(node->name), id = node->id[0] ? qd_str_c(node->id) : name;
    qd_coord_config config = {
        .struct_size = sizeof config,
        .flags = flags,
        .cluster = qd_config_text(node->config, QD_SET_CLUSTER_NAME),
        .node_id = id,
        .node_name = name,
        .path = qd_str_c(path),
        .options = options->at,
        .noptions = options->n,
    };
    qd_arena_init(&arena, NULL, 1 << 20);
    take_others(node, kind, &arena, &config);
    rc = qd_coord_open(node->env, vt, self, &config, out, err);
    qd_arena_fini(&arena);
    return rc;
}

int qd_node_store_open(qd_node *node, qd_store_kind kind, uint32_t flags, qd_coord_store **out,
                       qd_err *err)
{
    char path[QD_PATH_MAX + 32];
    qd_store_options options;
    int rc = make_folder(node, kind, path, sizeof path, err);
    if (rc) return rc;
    qd_store_options_take(node->config, kind, &options);
    if (kind == QD_STORE_KUBERNETES && node->mode.claim && !node->mode.settled)
        qd_store_options_add(&options, "k8s.claim", QD_STR("true"));
    if (flags & QD_NODE_STORE_LOOK) qd_store_options_add(&options, "k8s.look", QD_STR("true"));
    flags &= ~QD_NODE_STORE_LOOK;
    return open_at(node, node->plugins, kind, flags, path, &options, out, err);
}

int qd_node_check_kubernetes(const qd_node *node, const qd_plugin_host *host, qd_err *err)
{
    const qd_mode_decision *d = &node->mode;
    qd_coord_store *s = NULL;
    qd_store_options options;
    qd_err why;
    bool first = d->claim || (d->own && d->store == QD_STORE_KUBERNETES);
    bool second = qd_node_second_store(node) == QD_STORE_KUBERNETES;
    /* somebody else's plugin does not know the option */
    if ((!first && !second) || !qd_node_plugin_is_ours(node, QD_STORE_KUBERNETES)) return 0;
    qd_store_options_take(node->config, QD_STORE_KUBERNETES, &options);
    qd_store_options_add(&options, "k8s.check", QD_STR("true"));
    qd_err_init(&why);
    int rc = open_at(node, host, QD_STORE_KUBERNETES, 0, "", &options, &s, &why);
    qd_assert(rc); /* a store that is only checked is never opened */
    if (rc == QD_E_CLOSED) {
        rc = 0;
    } else if (first) {
        qd_err_move(err, &why);
    } else { /* as open_second */
        fprintf(stderr,
                "warning: the store [%s] would not be there, the cluster's state could not be "
                "moved to it from this node: %s\n",
                qd_mode_name(QD_MODE_KUBERNETES), qd_err_reason(&why));
        rc = 0;
    }
    qd_err_fini(&why);
    return rc;
}

/* --- two stores: of a control node whose settings ask for the other one, or name both ----------
 */

/* Requests that ask for the mode look at it. */
static void set_stores(qd_node *node, qd_stores *stores)
{
    qd_mutex_lock(&node->deciding);
    qd_stores *was = node->stores;
    node->stores = stores;
    qd_mutex_unlock(&node->deciding);
    qd_stores_close(was);
}

static void close_both(qd_node *node)
{
    set_stores(node, NULL);
    for (int i = 0; i < 2; i++) {
        qd_coord_close(node->both[i]);
        node->both[i] = NULL;
    }
}

/* The second store: one of this node's own, or the masters' from afar. */
static int open_other(qd_node *node, qd_store_kind kind, qd_coord_store **out, qd_err *err)
{
    if (kind == QD_STORE_MASTERS && !node->master)
        return qd_node_masters_open(node, true, out, err);
    return qd_node_store_open(node, kind, 0, out, err);
}

/* The other store beside the first, which stays alone where that one cannot be opened: only a
 * migration needs it. *claimed: opened already, taken over. *s becomes the store in front of both.
 */
static void open_second(qd_node *node, qd_coord_store **s, qd_coord_store **claimed)
{
    qd_err err;
    qd_authority_record known;
    qd_store_kind kind = qd_node_second_store(node);
    if (kind == QD_STORE_UNKNOWN) return;
    qd_err_init(&err);
    qd_authority_get(node->authority, &known);
    node->both[0] = *s;
    if (kind == QD_STORE_KUBERNETES) {
        node->both[1] = *claimed;
        *claimed = NULL;
    }
    int rc = node->both[1] ? 0 : open_other(node, kind, &node->both[1], &err);
    qd_stores_config config = {
        .env = node->env,
        .store = {node->both[0], node->both[1]},
        .name = {qd_mode_name(qd_mode_of(node->mode.store)), qd_mode_name(qd_mode_of(kind))},
        .uuid = known.accept_older ? "" : known.uuid};
    qd_stores *stores = NULL;
    if (!rc) rc = qd_stores_open(&config, &stores, &err);
    if (!rc) {
        node->follows = !node->mode.own || (kind == QD_STORE_MASTERS && !node->master);
        set_stores(node, stores);
        *s = qd_stores_front(stores);
        qd_log_info(LOG,
                    "both stores are open, [%s] and [%s]: the cluster's state may be moved "
                    "(qd migrate)",
                    config.name[0], config.name[1]);
    } else {
        qd_log_warn(LOG,
                    "the store [%s] is not there, the cluster's state cannot be moved to it "
                    "from this node: %s",
                    config.name[1], qd_err_reason(&err));
        qd_coord_close(node->both[1]);
        node->both[0] = node->both[1] = NULL;
    }
    qd_err_fini(&err);
}

static qd_store_kind kind_now(void *arg)
{
    return qd_node_store_kind(arg);
}

/* Does this node drive migrations? */
static bool leads(void *arg)
{
    qd_node *node = arg;
    qd_state *s = qd_cluster_state(node->cluster);
    bool mine = qd_str_is(qd_driver_of(s), node->id);
    qd_state_unref(s);
    return mine;
}

/* The mode that the settings of all nodes that only coordinate ask for. NULL: they do not agree, or
 * ask for nothing, or some control node has one store and could not follow. */
static const char *wish(void *arg)
{
    const char *modes[] = {qd_mode_name(QD_MODE_MASTER), qd_mode_name(QD_MODE_KUBERNETES)};
    qd_node *node = arg;
    qd_state *s = qd_cluster_state(node->cluster);
    uint32_t n = 0, wants[2] = {0}, single = 0;
    for (uint32_t i = 0; i < s->nnodes; i++) {
        qd_str roles = s->nodes[i].roles;
        single += s->nodes[i].stores == QD_NODE_STORES_ONE;
        bool other = qd_str_find(roles, 'm') >= 0 || qd_str_find(roles, 'd') >= 0;
        if (other || qd_str_find(roles, 'r') < 0) continue;
        n++;
        for (int k = 0; k < 2; k++) wants[k] += qd_str_is(s->nodes[i].wants, modes[k]);
    }
    qd_state_unref(s);
    for (int k = 0; k < 2; k++)
        if (n && wants[k] == n && !single) return modes[k];
    return NULL;
}

/* A node whose part of the store has failed is of no use to its cluster, and others hold its place
 * free: it ends, and whoever supervises it starts it again, from what is verifiably on its disk. */
void qd_node_store_failed(void *arg, const char *why)
{
    qd_node *node = arg;
    if (atomic_exchange(&node->failed, true)) return;
    qd_log_error("main", "this node ends, to be started again: %s", why);
    qd_loop_stop(node->main_loop);
}

/* A node that follows migrations moves nothing, but where the nodes that moved it are gone it
 * forgets one that is done. */
static int following_start(qd_node *node, const qd_driver_config *d, qd_err *err)
{
    qd_handover_config config = {.env = d->env,
                                 .store = {d->store[0], d->store[1]},
                                 .name = {d->name[0], d->name[1]},
                                 .own = !node->mode.own};
    return qd_handover_open(&config, &node->follower, err);
}

/* Before this node joins: it may be the only one that can bring a store in charge. */
static int driver_start(qd_node *node, qd_err *err)
{
    if (!node->stores) return 0;
    qd_driver_config config = {.env = node->env,
                               .store = {node->both[0], node->both[1]},
                               .front = qd_stores_front(node->stores),
                               .leads = leads,
                               .wish = wish,
                               .failed = qd_node_store_failed,
                               .arg = node,
                               .round_ms = ROUND_MS};
    qd_store_kind first = node->mode.store;
    bool masters = first == QD_STORE_MASTERS;
    config.name[0] = qd_mode_name(qd_mode_of(first));
    config.name[1] = qd_mode_name(qd_mode_of(masters ? QD_STORE_KUBERNETES : QD_STORE_MASTERS));
    if (node->follows) return following_start(node, &config, err);
    if (qd_config_bool(node->config, QD_SET_COORDINATION_K8S_FALLBACK))
        config.keep = qd_mode_name(QD_MODE_KUBERNETES);
    return qd_driver_open(&config, &node->driver, err);
}

void qd_node_driver_stop(qd_node *node)
{
    qd_driver_close(node->driver);
    node->driver = NULL;
    qd_handover_close(node->follower);
    node->follower = NULL;
}

/* Requests look at the store while it is there. */
static void set_store(qd_node *node, qd_coord_store *s)
{
    qd_mutex_lock(&node->deciding);
    qd_coord_store *was = node->coordination;
    node->coordination = s;
    while (!s && node->asking) qd_cond_wait(&node->asked, &node->deciding);
    qd_mutex_unlock(&node->deciding);
    if (s) return;
    if (node->stores)
        close_both(node);
    else
        qd_coord_close(was);
}

/* The store that the mode has decided on; the one in Kubernetes may be open already. */
static int open_first(qd_node *node, qd_coord_store **claimed, qd_coord_store **out, qd_err *err)
{
    qd_store_kind kind = node->mode.store;
    if (!node->mode.own) return qd_node_masters_open(node, true, out, err);
    int rc = make_folder(node, kind, node->coordination_path, sizeof node->coordination_path, err);
    if (rc) return rc;
    if (kind != QD_STORE_KUBERNETES || !*claimed)
        return qd_node_store_open(node, kind, QD_COORD_OPEN_BOOTSTRAP, out, err);
    *out = *claimed;
    *claimed = NULL;
    return 0;
}

static int coordination_start(qd_node *node, qd_err *err)
{
    qd_coord_store *s = NULL, *claimed;
    tell_ignored(node);
    tell_uuid(node);
    int rc = qd_node_claim(node, &claimed, err);
    if (!rc) rc = open_first(node, &claimed, &s, err);
    if (rc) {
        qd_coord_close(claimed);
        return rc;
    }
    open_second(node, &s, &claimed);
    qd_coord_close(claimed);
    if (node->mode.own || node->follows)
        rc = qd_remote_server_open(node->rpc, s, node->loop, &node->pools,
                                   &node->coordination_server, err);
    if (!rc && node->stores) qd_remote_server_kind(node->coordination_server, kind_now, node);
    if (!rc) rc = driver_start(node, err);
    if (!rc) {
        set_store(node, s);
        return 0;
    }
    qd_remote_server_close(node->coordination_server);
    node->coordination_server = NULL;
    if (node->stores)
        close_both(node);
    else
        qd_coord_close(s);
    return rc;
}

static void coordination_stop(qd_node *node)
{
    qd_node_driver_stop(node); /* of a node that has not joined */
    qd_remote_server_close(node->coordination_server);
    node->coordination_server = NULL;
    set_store(node, NULL);
}

const qd_step qd_step_coordination = {"coordination", NULL, coordination_start, coordination_stop,
                                      NULL};
