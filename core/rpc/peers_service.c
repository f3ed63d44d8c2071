/* peers_service.c: channels of plugins: posts of the transport under a name of the plugin's own. */
#include "rpc/peers_service.h"
#include "rpc/rpc_int.h"
#include <stdio.h>

struct qd_peers {
    qd_self *self;
    qd_rpc *rpc;
    char name[32];
    qd_peers_events events;
    qd_mutex lock;  /* watches */
    qd_map watches; /* address -> qd_rpc_watch */
};

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
    qd_map_init(&p->watches, NULL);
    snprintf(p->name, sizeof p->name, "%08x/%.*s", (unsigned)qd_xxh3(plugin.p, plugin.n),
             QD_STR_ARG(channel));
    int rc = qd_rpc_on_post(rpc, qd_str_c(p->name), on_message, p, err);
    if (rc) {
        qd_mutex_fini(&p->lock);
        qd_free(p);
        return rc;
    }
    *out = p;
    return 0;
}

static int32_t peers_send(qd_peers *p, qd_str address, const qd_iovec *pieces, uint32_t n)
{
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
    while ((e = qd_map_next(&p->watches, &pos))) qd_rpc_unwatch(p->rpc, e->value);
    qd_map_fini(&p->watches);
    int rc = qd_rpc_on_post(p->rpc, qd_str_c(p->name), NULL, NULL, NULL);
    qd_assert(rc == 0);
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
