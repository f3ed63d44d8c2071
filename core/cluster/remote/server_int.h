/* server_int.h: structs of the remote store's server. See remote.h. */
#ifndef QD_CLUSTER_REMOTE_SERVER_INT_H
#define QD_CLUSTER_REMOTE_SERVER_INT_H

#include "base/arena.h"
#include "base/map.h"
#include "cluster/remote/remote.h"
#include "cluster/remote/wire_int.h"
#include "runtime/sync.h"

#define SERVER_WATCH_BYTES_MAX ((size_t)8 << 20) /* kept for a reader that is slow */
#define SERVER_WATCH_IDLE_NS UINT64_C(60000000000)
#define SERVER_SWEEP_NS UINT64_C(1000000000) /* between looks for those */
#define SERVER_WATCHES_MAX 65536u

typedef struct server_request server_request;

struct qd_remote_server {
    qd_env *env;
    qd_rpc *rpc;
    qd_loop *loop;
    qd_pool *pool;
    const qd_coord_vtable *vt;
    qd_coord *handle;
    qd_store_kind (*kind)(void *arg); /* NULL: by the flags */
    void *kind_arg;

    qd_mutex lock;
    qd_cond idle;
    bool closing;
    uint32_t users; /* requests and watches that are not gone */
    server_request *requests;
    qd_map watches; /* id of watch and client's process -> server_watch */
    uint64_t swept_ns;
};

/* The kind of the store, as its plugin's flags tell, or who was named for it. */
qd_store_kind qdi_server_kind(qd_remote_server *s);
/* Writes what the store knows of itself, at the head of every answer. */
void qdi_server_write_identity(qd_remote_server *s, qd_writer *w);
/* One user more, unless it is closing. */
bool qdi_server_enter(qd_remote_server *s);
/* One user less. */
void qdi_server_leave(qd_remote_server *s);
/* Answers a poll of a watch. */
void qdi_server_watch(void *arg, qd_rpc_request *request);
/* Ends all watches. */
void qdi_server_watches_end(qd_remote_server *s);

#endif
