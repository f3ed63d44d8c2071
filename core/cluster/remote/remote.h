/*
 * remote.h: the coordination store from afar. A node without a store of its own (no role master)
 * uses this implementation of the coordination kind, which sends every request to a control node
 * over the transport; a control node answers with its own store handle (qd_remote_server). Nothing
 * above sees a difference.
 *
 * Any master serves. When one ends or is silent the next one of the list is asked; a watch goes on
 * there at the revision behind the last one delivered. Results of changes whose answer was lost are
 * QD_E_UNKNOWN_OUTCOME, repeated by the caller under the same request id. The list starts with the
 * configured addresses and grows by the members that the store names; it is kept in a file, so that
 * one reachable address is enough and old ones may go. Messages: docs/rpc.md, 100 to 199.
 */
#ifndef QD_CLUSTER_REMOTE_REMOTE_H
#define QD_CLUSTER_REMOTE_REMOTE_H

#include "cluster/authority/mode.h"
#include "cluster/coord/coord.h"
#include "rpc/rpc.h"

/* The store of masters elsewhere; borrowed until qd_coord_close. */
typedef struct qd_remote_config {
    qd_env *env;
    qd_rpc *rpc;
    qd_loop *loop;         /* runs watches: events come on its thread */
    const qd_pools *pools; /* "generic" writes the learned list; NULL: none */
    const qd_str *masters; /* host:port or host (9300), at least one */
    uint32_t nmasters;
    const char *learned; /* file of learned addresses; NULL: not kept */
} qd_remote_config;

/* Opens it. [worker] QD_E_ARG: no master is named, or an address is none; QD_E_NOMEM. */
QD_MUST_CHECK
int qd_remote_open(const qd_remote_config *config, qd_coord_store **out, qd_err *err);

/* The kind of store behind it, as the control nodes have told; UNKNOWN: they have not yet, or the
 * store is none from afar. [any] */
qd_store_kind qd_remote_kind(const qd_coord_store *s);

/* A node at this address serves the store, or will: it is asked when others do not answer. Nothing
 * happens where it is known, or the store is none from afar. [any] */
void qd_remote_learn(const qd_coord_store *s, qd_str address);

/* The transport knows this node's cluster now (qd_rpc_cluster_uuid_set): the first contact is told,
 * if a node of that cluster is connected. Nothing happens where the store is none from afar. [any]
 */
void qd_remote_joined(const qd_coord_store *s);

typedef struct qd_remote_server qd_remote_server;
/* Answers remote nodes from now on with this store. The pools need "generic". [worker]
 * QD_E_EXISTS, QD_E_NOMEM. */
QD_MUST_CHECK
int qd_remote_server_open(qd_rpc *rpc, qd_coord_store *store, qd_loop *loop, const qd_pools *pools,
                          qd_remote_server **out, qd_err *err);
/* Of a store in front of two: which kind is in charge, told from now on; kind must not block.
 * [worker]
 */
void qd_remote_server_kind(qd_remote_server *s, qd_store_kind (*kind)(void *arg), void *arg);
/* Ends it; before the store and the transport. NULL is fine. [worker] */
void qd_remote_server_close(qd_remote_server *s);

#endif
