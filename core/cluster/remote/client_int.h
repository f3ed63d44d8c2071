/* client_int.h: structs of the remote store's client. See remote.h. */
#ifndef QD_CLUSTER_REMOTE_CLIENT_INT_H
#define QD_CLUSTER_REMOTE_CLIENT_INT_H

#include "base/arena.h"
#include "cluster/remote/remote.h"
#include "cluster/remote/wire_int.h"
#include "runtime/sync.h"

#define REMOTE_LOG "discovery"
#define REMOTE_MASTERS_MAX 32u
#define REMOTE_TIMEOUT_MS 3000u       /* of a change, of a small read */
#define REMOTE_READ_TIMEOUT_MS 20000u /* of a read of many keys */
#define REMOTE_RETRY_NS UINT64_C(50000000)
#define REMOTE_RETRY_MAX_NS UINT64_C(1000000000)

typedef struct remote_master {
    struct qd_coord *c;
    char address[QD_RPC_ADDRESS_MAX];
    qd_rpc_watch *watch;
    bool up, learned;
    char ephemeral[40]; /* of the process that was connected last */
    char reason[200];   /* why it does not answer */
} remote_master;

typedef enum remote_kind {
    REMOTE_RANGE,
    REMOTE_TXN,
    REMOTE_SESSION,
    REMOTE_ELECTION,
    REMOTE_MEMBERS,
    REMOTE_LEARN /* members, asked by the client itself */
} remote_kind;

/* A request under way. */
typedef struct remote_call {
    qd_rpc_call call; /* first */
    struct qd_coord *c;
    struct remote_call *prev, *next;
    remote_kind kind;
    qd_op *op; /* NULL: LEARN */
    void *request;
    char to[QD_RPC_ADDRESS_MAX];
    bool started, cancelled;
} remote_call;

struct qd_coord {
    qd_env *env;
    qd_rpc *rpc;
    qd_loop *loop;
    qd_pool *learner; /* may write files; NULL: the transport's loop does */
    char *learned;    /* path, NULL: none */

    qd_mutex lock;
    remote_master *masters[REMOTE_MASTERS_MAX];
    uint32_t nmasters, current;
    bool closing, said, learning;
    bool writes; /* the learned list is about to be written */
    qd_work writing;
    uint64_t lives; /* processes of masters that took another's place: their store may be a copy */
    qd_coord_identity identity;
    qd_store_kind kind; /* UNKNOWN: nothing has been heard of the store yet */
    remote_call *calls;
    uint32_t users; /* calls and watches that are not gone */
    struct qd_coord_watch *watches;
    void (*close_done)(void *arg);
    void *close_arg;
};

/* Memory of an answer. */
struct qd_coord_result {
    qd_rpc_call call; /* holds the bytes */
    qd_arena arena;
};

/* The address to ask now, copied out; *n its place. */
void qdi_remote_pick(qd_coord *c, char out[QD_RPC_ADDRESS_MAX]);
/* What was asked of this address failed on the way: the next one is asked. */
void qdi_remote_failed(qd_coord *c, const char *address, const qd_err *why);
/* Is there a connection to another master than the one of this address? */
bool qdi_remote_others(qd_coord *c, const char *address);
/* Did a call fail on the way and not in the store? */
bool qdi_remote_on_the_way(int rc);
/* One user less; the last one of a closing store ends it. */
void qdi_remote_leave(qd_coord *c);
/* Takes over the identity at the beginning of an answer. */
void qdi_remote_heard(qd_coord *c, qd_body_reader *r);
/* Text naming all masters and why they do not answer. */
void qdi_remote_nobody(qd_coord *c, qd_err *err, int code);

/* The two slots of watches; and the end of all at close. */
int32_t qdi_remote_watch(qd_coord *c, const qd_coord_watch_config *config, qd_coord_watch **out,
                         qd_err *err);
void qdi_remote_watch_close(qd_coord_watch *w, void (*done)(void *arg), void *arg);
void qdi_remote_watches_end(qd_coord *c);

#endif
