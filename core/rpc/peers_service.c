/* peers_service.c: channels of plugins: posts of the transport under a name of the plugin's own. */
#include "rpc/peers_service.h"
#include "rpc/rpc_int.h"
#include "runtime/resolve.h"
#include <stdio.h>

#define NAME_ADDRESSES 16u
#define NAMES_MAX 256u
#define LOOK_NS 5000000000ull         /* between look-ups of a name */
#define LOOK_SINGLE_NS 60000000000ull /* of one with a single address */

struct qd_peers {
    qd_self *self;
    qd_rpc *rpc;
    char name[32];
    qd_peers_events events;
    qd_mutex lock;  /* below */
    qd_cond looked; /* no look-up is under way any more */
    uint32_t looking;
    qd_map watches; /* address -> qd_rpc_watch */
    qd_map names;   /* address -> peer_name */
};

/* A name that several nodes may stand behind (a headless service): what is sent there goes to all.
 */
typedef struct peer_name {
    qd_work work; /* first */
    qd_peers *p;
    uint64_t due_ns; /* the next look-up */
    bool busy;
    uint32_t n;
    char found[NAME_ADDRESSES][QD_WIRE_ADDRESS_MAX];
    char address[QD_RPC_ADDRESS_MAX];
} peer_name;

#define SAME(name) ((int)QD_PEER_##name == (int)QD_RPC_##name)
_Static_assert(SAME(ROLE_MASTER) && SAME(ROLE_COORDINATION) && SAME(ROLE_DATA) &&
                   SAME(ROLE_INGEST) && SAME(ROLE_OPERATOR) && SAME(UP) && SAME(GONE) &&
                   SAME(LOST) && SAME(REFUSED) && QD_PEERS_MESSAGE_MAX == QD_RPC_POST_MAX,
               "plugins see the transport's numbers");

static qd_peer peer_of(const qd_rpc_node *n)
{
    return (qd_peer){
        .address = qd_str_c(n->address),
        .node_id = qd_str_c(n->id),
        .ephemeral_id = qd_str_c(n->ephemeral),
        .node_name = qd_str_c(n->name),
        .cluster_uuid = qd_str_c(n->cluster_uuid),
        .roles = n->roles,
        .self = n->self,
    };
}

static void on_message(void *arg, const qd_rpc_node *from, qd_str bytes)
{
    qd_peers *p = arg;
    qd_peer peer = peer_of(from);
    p->events.message(p->events.arg, &peer, bytes);
}

static void on_change(void *arg, qd_str address, qd_rpc_event event, const qd_rpc_node *node,
                      qd_str reason)
{
    qd_peers *p = arg;
    qd_peer peer;
    if (node) peer = peer_of(node);
    if (p->events.changed)
        p->events.changed(p->events.arg, address, (uint32_t)event, node ? &peer : NULL, reason);
}

static int32_t peers_open(qd_self *self, qd_str channel, const qd_peers_events *events,
                          qd_peers **out, qd_err *err)
{
    qd_rpc *rpc = qd_plugin_service_arg(self, QD_SERVICE_PEERS);
    qd_str plugin = qd_str_c(qd_plugin_self_name(self));
    if (!rpc) return qd_err_set(err, QD_E_UNSUPPORTED, "this node has no transport to other nodes");
    if (!channel.n || channel.n > 15 || !events->message)
        return qd_err_set(err, QD_E_ARG,
                          "a channel has a name of 1 to 15 bytes and takes messages");
    qd_peers *p = qd_calloc(NULL, sizeof *p);
    if (!p) return qd_err_nomem(err, "a channel");
    size_t n = events->struct_size < sizeof p->events ? events->struct_size : sizeof p->events;
    memcpy(&p->events, events, n);
    p->self = self;
    p->rpc = rpc;
    qd_mutex_init(&p->lock);
    qd_cond_init(&p->looked);
    qd_map_init(&p->watches, NULL);
    qd_map_init(&p->names, NULL);
    snprintf(p->name, sizeof p->name, "%08x/%.*s", (unsigned)qd_xxh3(plugin.p, plugin.n),
             QD_STR_ARG(channel));
    int rc = qd_rpc_on_post(rpc, qd_str_c(p->name), on_message, p, err);
    if (rc) {
        qd_cond_fini(&p->looked);
        qd_mutex_fini(&p->lock);
        qd_free(p);
        return rc;
    }
    *out = p;
    return 0;
}

/* [worker] */
static void look_up(qd_work *work)
{
    peer_name *name = (peer_name *)(void *)work;
    qd_peers *p = name->p;
    qd_wire *wire = p->rpc->c.wire;
    char found[NAME_ADDRESSES][QD_WIRE_ADDRESS_MAX];
    uint32_t n = wire->ops->addresses(wire, qd_str_c(name->address), found, NAME_ADDRESSES);
    uint64_t now = qd_env_mono_ns(p->rpc->c.env);
    qd_mutex_lock(&p->lock);
    if (n) memcpy(name->found, found, n * sizeof *found);
    name->n = n;
    name->busy = false;
    name->due_ns = now + (n == 1 ? LOOK_SINGLE_NS : LOOK_NS);
    if (--p->looking == 0) qd_cond_signal(&p->looked);
    qd_mutex_unlock(&p->lock);
}

static bool is_number(qd_str address)
{
    qd_addr a;
    size_t colon = address.n;
    while (colon && address.p[colon - 1] != ':') colon--;
    return !colon || qd_addr_parse(qd_str_sub(address, 0, colon - 1), 0, &a);
}

/* The addresses behind a name, as they were found last; they are looked up again now and then. */
static uint32_t addresses_of(qd_peers *p, qd_str address,
                             char out[NAME_ADDRESSES][QD_WIRE_ADDRESS_MAX])
{
    qd_pool *pool = p->rpc->c.pools ? qd_pools_get(p->rpc->c.pools, "generic") : NULL;
    uint32_t n = 0;
    if (!p->rpc->c.wire->ops->addresses || !pool || address.n >= QD_RPC_ADDRESS_MAX ||
        is_number(address))
        return 0;
    uint64_t now = qd_env_mono_ns(p->rpc->c.env);
    qd_mutex_lock(&p->lock);
    peer_name *name = qd_map_get(&p->names, address);
    if (!name && p->names.n < NAMES_MAX && (name = qd_calloc(NULL, sizeof *name))) {
        name->p = p;
        name->work.run = look_up;
        memcpy(name->address, address.p, address.n);
        if (qd_map_put(&p->names, address, name, NULL)) {
            qd_free(name);
            name = NULL;
        }
    }
    if (name && !name->busy && now >= name->due_ns &&
        qd_pool_submit(pool, &name->work, NULL) == 0) {
        name->busy = true;
        p->looking++;
    }
    if (name) {
        n = name->n;
        memcpy(out, name->found, n * sizeof *out);
    }
    qd_mutex_unlock(&p->lock);
    return n;
}

static int32_t peers_send(qd_peers *p, qd_str address, const qd_iovec *pieces, uint32_t n)
{
    char all[NAME_ADDRESSES][QD_WIRE_ADDRESS_MAX];
    qd_rpc_node there, other;
    uint32_t nall = addresses_of(p, address, all);
    bool met = nall > 1 && qd_rpc_peer_up(p->rpc, address, &there);
    for (uint32_t i = 0; nall > 1 && i < nall; i++) {
        bool same = met && qd_rpc_peer_up(p->rpc, qd_str_c(all[i]), &other) &&
                    strcmp(there.ephemeral, other.ephemeral) == 0;
        if (!same) (void)qd_rpc_post(p->rpc, qd_str_c(all[i]), qd_str_c(p->name), pieces, n);
    }
    return qd_rpc_post(p->rpc, address, qd_str_c(p->name), pieces, n);
}

static int32_t peers_watch(qd_peers *p, qd_str address, qd_err *err)
{
    qd_rpc_watch *w;
    int rc = 0;
    qd_mutex_lock(&p->lock);
    if (!qd_map_get(&p->watches, address)) {
        rc = qd_rpc_peer_watch(p->rpc, address, on_change, p, &w, err);
        if (!rc && qd_map_put(&p->watches, address, w, NULL)) {
            qd_rpc_unwatch(p->rpc, w);
            rc = qd_err_nomem(err, "a watch");
        }
    }
    qd_mutex_unlock(&p->lock);
    return rc;
}

static void peers_unwatch(qd_peers *p, qd_str address)
{
    qd_mutex_lock(&p->lock);
    qd_rpc_watch *w = qd_map_del(&p->watches, address);
    qd_mutex_unlock(&p->lock);
    qd_rpc_unwatch(p->rpc, w);
}

static qd_str peers_address(qd_self *self)
{
    qd_rpc *rpc = qd_plugin_service_arg(self, QD_SERVICE_PEERS);
    return rpc ? qd_rpc_address(rpc) : (qd_str){"", 0};
}

static void peers_cluster_set(qd_self *self, qd_str uuid)
{
    qd_rpc *rpc = qd_plugin_service_arg(self, QD_SERVICE_PEERS);
    if (rpc) qd_rpc_cluster_uuid_set(rpc, uuid);
}

static void peers_close(qd_peers *p)
{
    size_t pos = 0;
    const qd_map_entry *e;
    if (!p) return;
    qd_mutex_lock(&p->lock);
    while (p->looking) qd_cond_wait(&p->looked, &p->lock);
    qd_mutex_unlock(&p->lock);
    while ((e = qd_map_next(&p->watches, &pos))) qd_rpc_unwatch(p->rpc, e->value);
    qd_map_fini(&p->watches);
    for (pos = 0; (e = qd_map_next(&p->names, &pos));) qd_free(e->value);
    qd_map_fini(&p->names);
    int rc = qd_rpc_on_post(p->rpc, qd_str_c(p->name), NULL, NULL, NULL);
    qd_assert(rc == 0);
    qd_cond_fini(&p->looked);
    qd_mutex_fini(&p->lock);
    qd_free(p);
}

static const qd_svc_peers service = {
    .head = {sizeof service, QD_ABI_MAJOR, QD_ABI_MINOR, 0},
    .open = peers_open,
    .send = peers_send,
    .watch = peers_watch,
    .unwatch = peers_unwatch,
    .address = peers_address,
    .cluster_set = peers_cluster_set,
    .close = peers_close,
};

const qd_vtable *qd_rpc_peers_service(void)
{
    return &service.head;
}

void qd_rpc_peers_bind(qd_plugin_host *host, qd_rpc *rpc)
{
    qd_plugin_host_service_arg(host, QD_SERVICE_PEERS, rpc);
}
