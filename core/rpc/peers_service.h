/*
 * peers_service.h: the SDK's service "peers" (quidditch/peers.h) over a transport: how plugins, the
 * store of cluster state first of all, talk to their likes on other nodes.
 */
#ifndef QD_RPC_PEERS_SERVICE_H
#define QD_RPC_PEERS_SERVICE_H

#include "plugin/host.h"
#include "rpc/rpc.h"
#include <quidditch/peers.h>

/* The table for qd_plugin_host_service(host, QD_SERVICE_PEERS, …), before the plugins are loaded.
 */
const qd_vtable *qd_rpc_peers_service(void);
/* The host's plugins talk over rpc from now on; NULL: no more (their channels are closed). Before
 * it opening a channel is refused with QD_E_UNSUPPORTED. */
void qd_rpc_peers_bind(qd_plugin_host *host, qd_rpc *rpc);

#endif
