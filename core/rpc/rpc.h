/*
 * rpc.h: the one transport between nodes: calls with answers, one-way posts, and who is there.
 *
 * Peers are addressed by "host:port" text. Each pair of nodes has up to three connections each way,
 * one a class, so that a recovery never delays a vote; they are opened when first needed and dialed
 * again with back-off as long as somebody watches the peer or waits for it. Calls are multiplexed,
 * answered in any order, have a deadline that travels with them and can be cancelled on both sides.
 * A call to the node's own address does not leave the node but is otherwise the same.
 *
 * Frames, handshake, limits, versions and messages: docs/rpc.md. Below stands a small table of
 * functions, net/wire.h, with sockets and, for simulations, a virtual network.
 *
 * Versions. The protocol has a major.minor in 16 bits; two nodes speak the lower of their highest
 * versions. What a version adds to a body stands behind `if (version >= QD_RPC_1_x)` in its codec.
 *
 * Threads: everything here is [any] unless tagged; callbacks say where they run.
 */
#ifndef QD_RPC_RPC_H
#define QD_RPC_RPC_H

#include "base/err.h"
#include "base/str.h"
#include "net/wire.h"
#include "runtime/loop.h"
#include "runtime/pool.h"
#include "runtime/sync.h"

typedef struct qd_rpc qd_rpc;

/* Protocol versions. A node speaks QD_RPC_OLDEST to QD_RPC_NEWEST. */
#define QD_RPC_1_0 0x0100u /* first */
#define QD_RPC_1_1 0x0101u /* requests name the task that they belong to */
#define QD_RPC_1_2                                                                                 \
    0x0102u /* requests are passed on to a node that the sender does not reach; a                  \
             * node names its cluster before more than joining is asked for */
#define QD_RPC_OLDEST QD_RPC_1_0
#ifndef QD_RPC_NEWEST /* an older one makes an older build, for tests of rolling upgrades */
#define QD_RPC_NEWEST QD_RPC_1_2
#endif

enum {
#define QD_ACTION(sym, id, name, since) QD_ACTION_##sym = (id),
#include "rpc/actions.def"
#undef QD_ACTION
};
/* Name of an action for logs and tasks; "internal:unknown" when no such. */
const char *qd_rpc_action_name(uint32_t action);

/* Classes of traffic, each with connections and queues of its own. */
typedef enum qd_rpc_class {
    QD_RPC_CONTROL, /* cluster state, votes, sessions, pings: small and urgent */
    QD_RPC_DATA,    /* documents, searches, replication */
    QD_RPC_BULK,    /* files of recoveries and segments */
    QD_RPC_CLASSES
} qd_rpc_class;

enum {
    QD_RPC_ROLE_MASTER = 1,
    QD_RPC_ROLE_COORDINATION = 2,
    QD_RPC_ROLE_DATA = 4,
    QD_RPC_ROLE_INGEST = 8,
    QD_RPC_ROLE_OPERATOR = 16,
    QD_RPC_ROLE_CONTROL = 32 /* serves the cluster's state to others, which no masters hold */
};

#define QD_RPC_ADDRESS_MAX 272            /* "host:port" with its NUL */
#define QD_RPC_POST_MAX ((size_t)5 << 20) /* bytes of a post */

/* Who a peer is, as its handshake told. */
typedef struct qd_rpc_node {
    char id[64];
    char ephemeral[33]; /* another one after each start */
    char name[256];
    char address[QD_RPC_ADDRESS_MAX]; /* that it publishes */
    char cluster_uuid[64];            /* empty: it knew none */
    char product[32];                 /* its version, "0.1.0" */
    uint32_t roles;                   /* QD_RPC_ROLE_* */
    uint16_t version;                 /* of the protocol that both speak */
    bool self;                        /* the address leads to this very node */
} qd_rpc_node;

/* ---- opening ----------------------------------------------------------------------------------
 */

#define QD_RPC_LISTEN_MAX 34 /* addresses of one node, of both ports */

/* An address to listen on. */
typedef struct qd_rpc_listen {
    const char *host;         /* numeric */
    uint16_t port, port_last; /* the first free one of this range; port 0: any free one */
    const char *setting;      /* static: named when the port is taken ("transport.port") */
    bool follow;              /* its port is that of the first listener */
    bool optional;            /* goes on without it, with a warning */
} qd_rpc_listen;

/* How to open; everything is borrowed for the call, but env, wire, pools and account, kept. */
typedef struct qd_rpc_config {
    qd_env *env;
    qd_wire *wire;         /* closed by the caller, after the rpc */
    uint32_t nloops;       /* loops (threads) of its own; 0: one */
    const qd_pools *pools; /* for handlers that name one; NULL: none */
    qd_account *account;   /* its memory, with that of requests in flight; NULL: general */
    qd_str cluster_name;
    qd_str cluster_uuid; /* empty: not known yet */
    qd_str node_id, node_name, product;
    uint32_t roles;
    qd_str
        publish_host; /* empty: the first host listened on that is not loopback, else the first */
    uint16_t publish_port; /* 0: the first one listened on */
    qd_str rest_address;   /* told to those who send HTTP here; empty: there is no REST */
    const qd_rpc_listen *listen;
    uint32_t nlisten; /* at most QD_RPC_LISTEN_MAX */
    /* 0 stands for the default of each */
    uint64_t connect_timeout_ns; /* 30 s; handshake included */
    uint64_t ping_ns; /* 1 s; three without a sign of life end a connection; UINT64_MAX: none */
    uint64_t redial_min_ns,
        redial_max_ns;                  /* 100 ms, 5 s: back-off, each time doubled, with jitter */
    uint64_t message_max;               /* bytes of a body, decompressed; 256 MiB */
    uint64_t queue_max[QD_RPC_CLASSES]; /* bytes not yet sent of one peer: 16, 64, 64 MiB */
    uint64_t compress_min; /* bytes from which a body is tried; 16 KiB; UINT64_MAX: never */
    bool near_plain;       /* not to peers on this machine: there is no network to spare */
    uint16_t version_max;  /* QD_RPC_NEWEST; lower: acts as an older build */
} qd_rpc_config;

/* Opens, listens and answers from now on. QD_E_IO: an address cannot be listened on; the text names
 * the setting and port. QD_E_ARG: too many of them. [worker] */
QD_MUST_CHECK
int qd_rpc_open(const qd_rpc_config *config, qd_rpc **out, qd_err *err);
/* Takes no more, ends all calls with QD_E_CLOSED, waits for the handlers under way and frees it.
 * Requests whose handlers returned and that are not answered 20 s after they were cancelled are
 * named in the log; the rpc then stays in memory for them, and
 * a second close, when they are answered, frees it. Not from a loop of its own. NULL is
 * fine. [worker] */
void qd_rpc_close(qd_rpc *rpc);
/* This node as peers see it; keep until close. */
const qd_rpc_node *qd_rpc_self(const qd_rpc *rpc);
/* "host:port" that this node publishes; keep until close. */
qd_str qd_rpc_address(const qd_rpc *rpc);
/* Port of the i-th listener. */
uint16_t qd_rpc_port(const qd_rpc *rpc, uint32_t i);
/* From now on handshakes name this cluster uuid; peers of another are refused, and those that are
 * connected and named another are cut off. */
void qd_rpc_cluster_uuid_set(qd_rpc *rpc, qd_str uuid);
/* The uuid that handshakes name; empty: not known yet. [any] */
void qd_rpc_cluster_uuid(qd_rpc *rpc, char out[64]);
/* From now on handshakes tell this role, too (QD_RPC_ROLE_*). */
void qd_rpc_role_add(qd_rpc *rpc, uint32_t role);

/* ---- calls ------------------------------------------------------------------------------------
 */

typedef struct qd_rpc_call qd_rpc_call;

enum {
    QD_RPC_FORCED = 1, /* the queue's bound does not count: the second half of admitted work */
    QD_RPC_PLAIN = 2,  /* do not try to compress (files that are compressed already) */
    QD_RPC_NO_DIAL =
        4, /* QD_E_CLOSED at once when there is no connection, and no dial is under way */
};

/* A call; embedded by the caller, zeroed, alive until done has run. */
struct qd_rpc_call {
    /* set before the start */
    qd_str to; /* "host:port"; borrowed for the start */
    uint32_t action;
    qd_rpc_class class;
    uint32_t flags;          /* QD_RPC_* above */
    uint32_t timeout_ms;     /* 0: none but the connection's end */
    qd_str body, tail;       /* the body's bytes, in two parts; borrowed for the start, copied */
    uint16_t version;        /* the body was encoded for; qd_rpc_version_to; 0: QD_RPC_OLDEST */
    const char *parent_node; /* of the task on whose behalf, for _tasks; NULL: none; borrowed */
    uint64_t parent_task;
    /* Told exactly once after a start that returned 0, never inside of it. rc 0: `answer` is there;
     * else `err` tells. Runs on a loop of the rpc, where it must not block, or on done_pool. The
     * call belongs to the caller again; qd_rpc_call_fini frees what it holds. */
    void (*done)(qd_rpc_call *call, int rc);
    qd_pool *done_pool; /* NULL: the loop */
    void *user;         /* the caller's */
    /* the answer */
    qd_str answer;           /* until fini */
    uint16_t answer_version; /* it is encoded for */
    qd_err err;              /* of the peer (code, type, text as there) or of the way to it */
    bool sent; /* it may have reached the peer: after an error its outcome is unknown */
    /* the rpc's own */
    qd_work work;
    void *host[6];
};

/*
 * Sends a request. When the peer is not connected it is dialed, the call waits for that within its
 * timeout. 0, or an error with err set and done never told: QD_E_ARG (address, action),
 * QD_E_REJECTED (the queue of this class to this peer is full), QD_E_CLOSED (closing, or
 * QD_RPC_NO_DIAL), QD_E_TOO_LARGE, QD_E_NOMEM, QD_E_BREAKER.
 *
 * Errors of done: those of the peer's handler as they are there; QD_E_TIMEOUT; QD_E_CANCELLED;
 * QD_E_CLOSED: the connection ended or could not be made (call->sent tells whether the request may
 * have been carried out); QD_E_UNSUPPORTED: the peer's version does not know the action;
 * QD_E_SECURITY: refused by a handshake.
 */
QD_MUST_CHECK
int qd_rpc_call_start(qd_rpc *rpc, qd_rpc_call *call, qd_err *err);
/* Asks for the end of a call: the peer is told, done follows soon with QD_E_CANCELLED unless the
 * answer came first. Only between start and the return of done. */
void qd_rpc_call_cancel(qd_rpc *rpc, qd_rpc_call *call);
/* Frees the answer and the error; the struct may be used again. */
void qd_rpc_call_fini(qd_rpc_call *call);
/*
 * The same for code that may wait: starts the call and waits for its end; the caller sets neither
 * done nor user. A full queue is waited for, within the timeout. On a fiber the worker is left
 * meanwhile, and the call is cancelled with the fiber's task. 0 or the error, with err set (and
 * call->err empty). qd_rpc_call_fini afterwards in every case. [worker]
 */
QD_MUST_CHECK
int qd_rpc_call_wait(qd_rpc *rpc, qd_rpc_call *call, qd_err *err);
/* The protocol version to encode a body for: the connected peer's, else QD_RPC_OLDEST. */
uint16_t qd_rpc_version_to(qd_rpc *rpc, qd_str to);

/* ---- handling ---------------------------------------------------------------------------------
 */

typedef struct qd_rpc_request qd_rpc_request;

/* Carries out a request; qd_rpc_reply or qd_rpc_fail once for each, at any time, from any thread.
 */
typedef void (*qd_rpc_handler)(void *arg, qd_rpc_request *request);
enum {
    QD_RPC_ON_FORCED = 1, /* a full pool does not refuse (for replicas of admitted writes) */
    QD_RPC_ON_FIBER = 2,  /* fn runs on a fiber of the pool: it may call other nodes and wait */
};
/*
 * Answers an action from now on: on the pool of this name (QD_RPC_ON_*; its queue full: the caller
 * gets QD_E_REJECTED), or with NULL on the connection's loop, where it must not block. Requests
 * that come before are answered with QD_E_UNSUPPORTED. QD_E_EXISTS, QD_E_ARG (no such pool or
 * action), QD_E_NOMEM.
 */
QD_MUST_CHECK
int qd_rpc_handle(qd_rpc *rpc, uint32_t action, const char *pool, uint32_t flags, qd_rpc_handler fn,
                  void *arg, qd_err *err);
/* What a node answers to others, as a table: one row an action. */
typedef struct qd_rpc_row {
    uint32_t action;
    const char *pool; /* NULL: on the connection's loop */
    uint32_t flags;   /* QD_RPC_ON_* */
    qd_rpc_handler fn;
} qd_rpc_row;
/* Answers all actions of the rows with arg, or none. As qd_rpc_handle. */
QD_MUST_CHECK
int qd_rpc_serve(qd_rpc *rpc, const qd_rpc_row *rows, size_t n, void *arg, qd_err *err);
/* Answers none of them any more; as qd_rpc_unhandle. [worker] */
void qd_rpc_unserve(qd_rpc *rpc, const qd_rpc_row *rows, size_t n);
/* Answers it no more; waits until the handlers under way have returned (they may still reply). Not
 * from a loop of the rpc, nor from the handler. [worker] */
void qd_rpc_unhandle(qd_rpc *rpc, uint32_t action);

/* The body; until the reply. */
qd_str qd_rpc_request_body(const qd_rpc_request *request);
/* Protocol version of the body; the answer is encoded for the same. */
uint16_t qd_rpc_request_version(const qd_rpc_request *request);
/* Who asks; until the reply. */
const qd_rpc_node *qd_rpc_request_from(const qd_rpc_request *request);
/* Has the caller cancelled, its deadline passed, or its connection ended? Cheap. */
bool qd_rpc_request_cancelled(const qd_rpc_request *request);
/* Calls fn(arg) once when that happens, on some thread that must not block; at once if it has. Ends
 * with the reply: afterwards fn is not running. One for each request. Not inside fn: reply. */
void qd_rpc_request_on_cancel(qd_rpc_request *request, void (*fn)(void *arg), void *arg);
/* Task of the caller on whose behalf; empty and 0: none. */
qd_str qd_rpc_request_parent(const qd_rpc_request *request, uint64_t *task);
/* Answers with the bytes of body and tail, copied. The request is gone. When the answer cannot be
 * sent for lack of memory or for its size, the caller gets that error. */
void qd_rpc_reply(qd_rpc_request *request, qd_str body, qd_str tail);
/* Room for an answer of at most n bytes, to be filled where it stands and sent by
 * qd_rpc_reply_filled; or not, then qd_rpc_reply or qd_rpc_fail answers instead. Once for each
 * request. Never compressed. QD_E_TOO_LARGE, QD_E_NOMEM, QD_E_BREAKER. [any] */
QD_MUST_CHECK
int qd_rpc_reply_room(qd_rpc_request *request, size_t n, char **room, qd_err *err);
/* Answers with n bytes from `from` on of the room. The request is gone. */
void qd_rpc_reply_filled(qd_rpc_request *request, size_t from, size_t n);
/* Answers with an error: code, type, text and details come out there as they are here. The request
 * is gone; err is the caller's still. */
void qd_rpc_fail(qd_rpc_request *request, const qd_err *err);

/* ---- posts: one way ---------------------------------------------------------------------------
 */

/*
 * Sends pieces as one message on the control connection, without an answer; in the order of posting
 * as long as a connection lasts. When there is none the peer is dialed; what is posted while the
 * first dial is under way is kept, within the queue's bound; while a peer is down it is dropped. 0;
 * QD_E_CLOSED: dropped, not connected; QD_E_REJECTED: dropped, the queue is full; QD_E_TOO_LARGE
 * (more than QD_RPC_POST_MAX), QD_E_ARG, QD_E_NOMEM. channel: 1 to 31 bytes.
 */
int qd_rpc_post(qd_rpc *rpc, qd_str to, qd_str channel, const qd_iovec *pieces, uint32_t n);
/* fn runs on the loop of the connection and must not block; bytes and from are borrowed. */
typedef void (*qd_rpc_on_post_fn)(void *arg, const qd_rpc_node *from, qd_str bytes);
/* Receives what is posted to a channel; fn NULL: no more (waits until fn is not running; not from
 * fn). QD_E_EXISTS, QD_E_ARG, QD_E_NOMEM. */
QD_MUST_CHECK
int qd_rpc_on_post(qd_rpc *rpc, qd_str channel, qd_rpc_on_post_fn fn, void *arg, qd_err *err);

/* ---- who is there -----------------------------------------------------------------------------
 */

typedef enum qd_rpc_event {
    QD_RPC_UP = 1, /* connected; node tells who it is */
    QD_RPC_GONE, /* closed and the redial was refused, or another process is there now: that one has
                    ended; acted upon at once */
    QD_RPC_LOST, /* three pings unanswered, or the redial is not answered: it may live or not */
    QD_RPC_REFUSED, /* reachable but refused by the handshake (reason): wrong cluster, version,
                       name, certificate; it is dialed on, slowly. Once for each different reason */
} qd_rpc_event;

typedef struct qd_rpc_watch qd_rpc_watch;
/* fn(arg, …) on a loop of the rpc, which it must not block; node NULL unless UP (and the one that
 * was, with GONE and LOST); strings borrowed. */
typedef void (*qd_rpc_watch_fn)(void *arg, qd_str address, qd_rpc_event event,
                                const qd_rpc_node *node, qd_str reason);
/* Keeps a connection to the address and tells about it until qd_rpc_unwatch: at first UP when it is
 * connected already. 0, QD_E_ARG (address), QD_E_NOMEM, QD_E_CLOSED. */
QD_MUST_CHECK
int qd_rpc_peer_watch(qd_rpc *rpc, qd_str address, qd_rpc_watch_fn fn, void *arg,
                      qd_rpc_watch **out, qd_err *err);
/* Ends it; fn is not running afterwards unless called from fn itself. */
void qd_rpc_unwatch(qd_rpc *rpc, qd_rpc_watch *watch);
/* Is the address connected; *out (may be NULL) gets who it is. */
bool qd_rpc_peer_up(qd_rpc *rpc, qd_str address, qd_rpc_node *out);
/* The node there has left the cluster: what waits for a connection to it ends with QD_E_CLOSED now,
 * not when the dial has failed. What was sent is let be, a watch goes on. [any] */
void qd_rpc_peer_left(qd_rpc *rpc, qd_str address);
/* When something came from there last on a connection of this node to it, monotonic; 0: never. A
 * peer that lives is heard of every 1.5 pings at least. */
uint64_t qd_rpc_peer_heard_ns(qd_rpc *rpc, qd_str address);
/* The same of one process, connected or not; 0 too when another one was connected there last. */
uint64_t qd_rpc_peer_heard_of(qd_rpc *rpc, qd_str address, qd_str ephemeral);
/* Does a call to the address have to wait for a node that does not answer: a connection to it fell
 * silent or could not be made, none was made since, and nothing came from there for two seconds?
 * [any] */
bool qd_rpc_peer_unreached(qd_rpc *rpc, qd_str address);
/* Could the address not be reached when that was tried last? *out then has why, in words. [any] */
bool qd_rpc_peer_trouble(qd_rpc *rpc, qd_str address, char out[256]);

/* ---- counters ---------------------------------------------------------------------------------
 */

typedef struct qd_rpc_stats {
    uint64_t opened_in, opened_out; /* connections ever */
    uint32_t open_in, open_out;     /* now, handshake done */
    uint32_t peers_up;
    uint64_t rx_count, rx_bytes, tx_count, tx_bytes; /* messages; bytes on the wire */
    uint64_t requests_in, requests_out, posts_in, posts_out;
    uint64_t posts_dropped, calls_rejected, calls_timed_out, calls_cancelled;
    uint64_t refused_in, refused_out;     /* handshakes */
    uint64_t garbage;                     /* connections closed for what they sent */
    uint64_t http;                        /* HTTP requests answered with 400 */
    uint64_t raw_bytes, compressed_bytes; /* of bodies that were compressed: before, after */
    uint64_t memory;                      /* bytes of messages in memory */
} qd_rpc_stats;
/* Reads the counters. */
void qd_rpc_stats_get(qd_rpc *rpc, qd_rpc_stats *out);

#endif
