/*
 * rpc_int.h: structs of the transport's files. Reading order: frame.c (bytes of frames and
 * messages), handshake.c, conn.c (one connection), peer.c (an address: dialing, watching), call.c
 * (calls), request.c (incoming ones), post.c, rpc.c (opening, closing, loops).
 *
 * Who may touch what: an rpc_loop's peers and connections belong to its loop; rpc_loop.lock guards
 * the map of peers, their counts of users and their present node, which other threads look at.
 * Whatever crosses threads is counted (refs) or posted.
 */
#ifndef QD_RPC_RPC_INT_H
#define QD_RPC_RPC_INT_H

#include "base/bits.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/map.h"
#include "base/vec.h"
#include "rpc/codec.h"
#include "rpc/rpc.h"

#define RPC_LOG "transport"

/* --- frames --- */

#define FRAME_MAGIC 0x31524451u /* "QDR1" */
#define FRAME_HEAD 32u
#define FRAME_MAX (256u * 1024) /* bytes of payload */
#define FRAME_SMALL_MAX 8192u   /* of handshakes and of what has no body */
#define PARTIALS_MAX 256u       /* messages of one connection that are under way in parts */
#define BEGUN_MAX 64u           /* of those that this side sends */
#define REQUESTS_MAX 16384u     /* requests of one connection under way */
#define UNKNOWN_MAX 512u        /* accepted connections without a handshake */
#define HANDSHAKE_NS 10000000000ull
#define PREFIX_MAX 20u /* of a message: two varints */

enum frame_type {
    FRAME_HELLO = 1,
    FRAME_WELCOME,
    FRAME_REFUSE,
    FRAME_REQUEST,
    FRAME_ANSWER,
    FRAME_CANCEL,
    FRAME_POST,
    FRAME_PING,
    FRAME_PONG,
    FRAME_CLUSTER, /* the cluster's uuid became known */
    FRAME_TYPES
};
enum frame_flags {
    FRAME_FIRST = 1, /* of a message */
    FRAME_END = 2,
    FRAME_ZSTD = 4,  /* the body is compressed */
    FRAME_ERROR = 8, /* the answer is an error */
    FRAME_FLAGS = 15
};

typedef struct frame_head {
    uint16_t version; /* of the body */
    uint8_t type, flags;
    uint64_t id;
    uint32_t action, length, checksum;
} frame_head;

/* Writes 32 bytes. */
void qdi_frame_put(uint8_t out[FRAME_HEAD], const frame_head *h);
/* Reads them: NULL, or what is wrong (static). */
const char *qdi_frame_get(const uint8_t in[FRAME_HEAD], frame_head *out);
/* Checksum of a payload. */
static inline uint32_t qdi_frame_sum(const void *p, size_t n)
{
    return (uint32_t)qd_xxh3(p, n);
}

/* --- a table from numbers to structs that embed an id_node --- */

typedef struct id_node {
    struct id_node *next;
    uint64_t id;
} id_node;
typedef struct id_map {
    id_node **slots;
    uint32_t n, mask; /* mask + 1 slots; 0: none yet */
} id_map;
/* Adds; QD_E_NOMEM. */
QD_MUST_CHECK
int qdi_ids_add(id_map *m, qd_account *account, id_node *node);
/* Finds, NULL. */
id_node *qdi_ids_get(const id_map *m, uint64_t id);
/* Removes, NULL. */
id_node *qdi_ids_del(id_map *m, uint64_t id);
/* Removes any; NULL when empty. In order of ids of the slots, so that runs repeat. */
id_node *qdi_ids_pop(id_map *m);
/* Frees the table. */
void qdi_ids_fini(id_map *m);

/* --- who --- */

/* A peer as told by a handshake; immutable, counted, as requests outlive connections. */
typedef struct rpc_who {
    _Atomic uint32_t refs;
    qd_rpc_node node;
} rpc_who;
rpc_who *qdi_who_make(qd_rpc *rpc, const qd_rpc_node *node);
static inline rpc_who *qdi_who_ref(rpc_who *w)
{
    if (w) atomic_fetch_add(&w->refs, 1);
    return w;
}
void qdi_who_unref(rpc_who *w);

/* --- messages --- */

typedef struct rpc_loop rpc_loop;
typedef struct rpc_conn rpc_conn;
typedef struct rpc_peer rpc_peer;
typedef struct rpc_out rpc_out;

/* A message on its way out: a call, an answer, a post. */
struct rpc_out {
    rpc_out *next; /* in a queue */
    qd_rpc *rpc;
    _Atomic uint32_t refs;
    uint8_t type, flags, class;
    uint16_t version;
    uint32_t action;
    uint64_t id;
    char *bytes; /* prefix, fields, body; freed when sent */
    size_t n, at;
    bool dropped;   /* not to be sent (any more) */
    bool queued;    /* in a queue of a connection or a peer */
    bool begun;     /* its first frame has been made */
    uint64_t room;  /* bytes reserved at the peer; given back once */
    rpc_peer *peer; /* counted; of calls and posts */
    /* of a call */
    qd_rpc_call *call; /* NULL: told already, or none */
    id_node node;      /* in its connection's calls */
    rpc_conn *conn;    /* that carries it; NULL while it waits */
    uint64_t due_ns;   /* 0: no end */
    qd_timer timer;
    struct qd_rpc_request *local_request;
    _Atomic bool cancel_posted;
    /* posts from other threads to the loop */
    qd_post post, cancel_post;
};
typedef struct out_queue {
    rpc_out *first, **last;
} out_queue;

/* A message coming in, in parts. */
typedef struct rpc_in {
    struct rpc_in *next;
    frame_head head; /* of its first frame */
    char *block;     /* NULL: it is thrown away */
    size_t have, cap;
    size_t total;   /* of the block; 0: the first frame is not complete */
    size_t body_at; /* behind the prefix */
    size_t raw;     /* of the body, decompressed; 0: it is not compressed */
} rpc_in;

/* Bytes of a message that was received, still as on the wire. */
typedef struct rpc_body {
    char *block; /* to be freed */
    qd_str bytes;
    size_t raw; /* 0: plain */
} rpc_body;
/* Decompresses in place of the block. QD_E_CORRUPT, QD_E_NOMEM. [any] */
QD_MUST_CHECK
int qdi_body_inflate(qd_rpc *rpc, uint32_t class, rpc_body *b, qd_err *err);

/* Bytes of answers on their way to the loop of a connection; counted, as requests outlive it. */
typedef struct rpc_flow {
    _Atomic uint32_t refs;
    _Atomic uint64_t bytes;
} rpc_flow;
void qdi_flow_unref(rpc_flow *f);

/* --- connections --- */

typedef enum conn_state {
    CONN_DIALING,
    CONN_HELLO, /* dialed: waits for the welcome; accepted: for the hello */
    CONN_OPEN,
    CONN_ENDING /* `closed` of the link is to come */
} conn_state;

#define WRITE_FRAMES 28u

struct rpc_conn {
    uint32_t magic;
    qd_rpc *rpc;
    rpc_loop *loop;
    rpc_conn *prev, *next; /* of the loop */
    qd_wire_link *link;
    rpc_peer *peer; /* dialed ones */
    uint8_t class;
    conn_state state;
    uint16_t version;
    rpc_who *who;
    bool named;      /* accepted: the other node has told the uuid of this one's cluster;
                      * dialed: this one has told it there */
    bool registered; /* counts in the rpc's table of nodes */
    bool silent;     /* given up as nothing came */
    bool paused, resume, dirty, in_flush, write_busy;
    char why[256]; /* of the end, when it is ours */
    int why_code;  /* of a refusal */
    uint64_t alive_ns, tick_ns, ping_ns;
    size_t backlog;
    qd_timer timer; /* handshake, then pings */
    /* reading */
    uint8_t head[FRAME_HEAD];
    uint32_t head_n;
    bool head_done;
    frame_head frame;
    uint32_t frame_n; /* of its payload so far */
    rpc_in *in;       /* that the frame belongs to; NULL: small */
    rpc_in *partials;
    uint32_t npartials;
    uint8_t *small; /* FRAME_SMALL_MAX bytes */
    /* writing */
    out_queue urgent, posts, ring, begun; /* begun: of ring, sent in part, by turns */
    uint32_t nbegun;
    uint8_t turn;    /* lane that the last frame came from */
    uint64_t queued; /* bytes in all of them */
    rpc_flow *flow;  /* of answers that will come to them */
    qd_buf stash;    /* read while too much was unsent */
    uint8_t heads[WRITE_FRAMES][FRAME_HEAD];
    struct {
        rpc_out *out;
        uint32_t n;
    } write[WRITE_FRAMES];
    uint32_t nwrite;
    rpc_conn *dirty_next;
    /* dialed: calls that wait for answers; accepted: requests under way */
    id_map calls, requests;
    uint64_t next_id;
};
#define RPC_CONN_MAGIC 0x5152434fu

/* --- peers --- */

typedef enum peer_state {
    PEER_IDLE,    /* nobody has asked for it yet */
    PEER_DIALING, /* for the first time, or after it was down */
    PEER_UP,
    PEER_SUSPECT, /* was up; its control connection closed and is dialed again */
    PEER_DOWN
} peer_state;

struct qd_rpc_watch {
    qd_rpc_watch *next;
    rpc_peer *peer;
    qd_mutex lock; /* held while fn runs */
    qd_rpc_watch_fn fn;
    void *arg;
    bool told_up;
    qd_post post, end_post;
};

/* Somebody who waits for room in a queue. */
typedef struct room_wait {
    struct room_wait *next;
    qd_cond cond;
    bool woken;
} room_wait;

struct rpc_peer {
    qd_rpc *rpc;
    rpc_loop *loop;
    char address[QD_RPC_ADDRESS_MAX];
    uint32_t users; /* under loop->lock: threads, messages, watches */
    _Atomic uint32_t state;
    _Atomic uint32_t version; /* 0: not connected */
    _Atomic uint64_t heard_ns;
    _Atomic bool lost; /* a connection of it fell silent, or a dial failed; none was opened since */
    _Atomic uint64_t queued[QD_RPC_CLASSES];
    room_wait *waiters; /* under loop->lock */
    rpc_who *who;       /* under loop->lock; changed by the loop */
    char said[256];     /* under loop->lock: why it could not be reached last; empty: it could */
    /* the loop's */
    _Atomic bool self; /* its address leads here */
    bool near;         /* ... or to this machine; never changes */
    rpc_conn *conns[QD_RPC_CLASSES];
    out_queue waiting[QD_RPC_CLASSES]; /* for the connection to open */
    uint64_t failed_ns;                /* when the last dial of a class failed; 0: not */
    uint64_t backoff_ns;
    uint32_t tries;   /* redials of a suspect */
    uint64_t idle_ns; /* since when nobody uses it; 0: it is used */
    qd_timer redial;
    qd_rpc_watch *watches;
    qd_rpc_watch *telling; /* next watch, while some are told */
    uint32_t last_event;   /* QD_RPC_*; 0: none */
    char reason[256];      /* of it */
};

/* One loop's share of the peers and connections. */
struct rpc_loop {
    qd_rpc *rpc;
    qd_loop *loop;
    qd_mutex lock;
    qd_map peers; /* address -> rpc_peer, under lock */
    rpc_conn *conns;
    uint32_t nconns, unknown; /* unknown: accepted, without a handshake yet */
    rpc_conn *dirty;
    qd_wire_listener *listeners[QD_RPC_LISTEN_MAX];
    uint32_t nlisteners;
    id_map locals; /* calls of the node to itself, by request */
    uint64_t next_local;
    qd_timer tick;
    qd_prng prng;
    bool closing;
    qd_latch *closed;
    qd_post close_post;
};

/* --- handlers --- */

typedef struct rpc_handler {
    id_node node; /* by action */
    qd_pool *pool;
    uint32_t flags;
    qd_rpc_handler fn;
    void *arg;
    uint32_t running; /* under rpc->lock */
    bool ending;
} rpc_handler;

typedef struct rpc_channel {
    id_node node; /* by hash of its name */
    char name[32];
    qd_rwlock lock; /* read while fn runs */
    qd_rpc_on_post_fn fn;
    void *arg;
} rpc_channel;

/* A node that is connected, whichever way, as duplicates are refused. */
typedef struct rpc_ident {
    rpc_who *who;
    uint32_t conns;
} rpc_ident;

struct qd_rpc_request {
    uint32_t magic;
    qd_rpc *rpc;
    rpc_loop *loop;
    rpc_conn *conn; /* the loop's; NULL: gone, or local */
    rpc_flow *flow; /* of the connection; NULL: local */
    id_node node;   /* by the peer's id, in conn->requests */
    uint64_t id;
    uint32_t action;
    uint16_t version;
    uint8_t class;
    rpc_who *from;
    rpc_body body;
    uint64_t deadline_ns;
    char parent_node[64];
    uint64_t parent_task;
    _Atomic bool cancelled, replied;
    qd_mutex lock;
    void (*on_cancel)(void *arg);
    void *on_cancel_arg;
    rpc_handler *handler;
    rpc_out *local; /* the call, when it is the node's own; counted */
    rpc_out *answer;
    qd_work work;
    qd_post post;
    qd_rpc_request *open_prev, *open_next; /* of the rpc, under its lock */
};
#define RPC_REQUEST_MAGIC 0x51525251u

#define GARBAGE_LINES 64u
typedef struct garbage_line {
    uint64_t key; /* of host and text */
    uint64_t logged_ns;
    uint32_t quiet; /* not logged since */
} garbage_line;

#define ZSTD_IDLE 4u

#define BLOCK_BYTES (((size_t)1 << 20) + 4096) /* a piece of a file, with what stands before it */
#define BLOCKS_KEPT 16u
#define BLOCKS_IDLE_NS 5000000000ull

struct qd_rpc {
    uint32_t magic;
    qd_rpc_config c;
    qd_account control, data; /* messages of CONTROL; of the other classes */
    rpc_loop *loops;
    uint32_t nloops;
    uint16_t ports[QD_RPC_LISTEN_MAX];
    char address[QD_RPC_ADDRESS_MAX];
    char own[QD_RPC_LISTEN_MAX][QD_RPC_ADDRESS_MAX]; /* addresses listened on */
    uint32_t nown;
    rpc_who *self;
    _Atomic uint32_t roles_more; /* that this node got after it was opened */
    char cluster_name[256];
    qd_mutex lock; /* all of the following */
    qd_cond idle;
    char cluster_uuid[64];
    char rest[QD_RPC_ADDRESS_MAX];
    id_map handlers, channels;
    qd_map nodes; /* node id -> rpc_ident */
    garbage_line garbage[GARBAGE_LINES];
    void *zstd_c[ZSTD_IDLE], *zstd_d[ZSTD_IDLE];
    struct {
        qd_mutex lock; /* the innermost */
        char *kept[BLOCKS_KEPT];
        uint32_t n, least; /* least: since the last look */
        uint64_t looked_ns;
    } blocks;
    uint64_t busy;        /* requests not yet answered, handlers and done functions on pools */
    qd_rpc_request *open; /* those requests */
    uint64_t nopen;
    _Atomic bool closing, ready;
    struct {
        _Atomic uint64_t opened_in, opened_out, rx_count, rx_bytes, tx_count, tx_bytes;
        _Atomic uint64_t requests_in, requests_out, posts_in, posts_out;
        _Atomic uint64_t posts_dropped, calls_rejected, calls_timed_out, calls_cancelled;
        _Atomic uint64_t refused_in, refused_out, garbage, http, raw_bytes, compressed_bytes;
        _Atomic uint32_t open_in, open_out, peers_up;
    } stats;
};
#define QD_RPC_MAGIC 0x51525043u
#define COUNT(rpc, what, n) atomic_fetch_add_explicit(&(rpc)->stats.what, (n), memory_order_relaxed)

static inline qd_account *qdi_account(qd_rpc *rpc, uint32_t class)
{
    return class == QD_RPC_CONTROL ? &rpc->control : &rpc->data;
}

/* --- blocks.c --- */

/* Memory of a message of a class; large ones of files come from blocks that are kept. NULL: none.
 * [any] */
char *qdi_bytes_alloc(qd_rpc *rpc, uint32_t class, size_t n);
/* A block of BLOCK_BYTES if one is at hand and the class has them. [any] */
char *qdi_block_kept(qd_rpc *rpc, uint32_t class);
/* Gives either back. [any] */
void qdi_bytes_free(qd_rpc *rpc, char *p);
/* Frees what was not used for some seconds. [loop] */
void qdi_blocks_tick(qd_rpc *rpc, uint64_t now_ns);
void qdi_blocks_end(qd_rpc *rpc);

/* --- frame.c --- */

/* A queue's beginning and use. */
static inline void qdi_queue_init(out_queue *q)
{
    q->first = NULL;
    q->last = &q->first;
}
static inline void qdi_queue_push(out_queue *q, rpc_out *o)
{
    o->next = NULL;
    *q->last = o;
    q->last = &o->next;
}
static inline rpc_out *qdi_queue_pop(out_queue *q)
{
    rpc_out *o = q->first;
    if (o && !(q->first = o->next)) q->last = &q->first;
    return o;
}
/* A message of fields and a body of several pieces, compressed where that pays. */
typedef struct out_spec {
    uint8_t type, flags, class;
    uint16_t version;
    uint32_t action;
    qd_str fields;
    const qd_iovec *pieces;
    uint32_t npieces;
    bool compress;
} out_spec;
/* Makes it; QD_E_TOO_LARGE, QD_E_NOMEM, QD_E_BREAKER. */
QD_MUST_CHECK
int qdi_out_make(qd_rpc *rpc, const out_spec *spec, rpc_out **out, qd_err *err);
/* One of n bytes that the caller fills in from *room on; the same errors. Before it is sent,
 * qdi_out_filled says which of them are the body. */
QD_MUST_CHECK
int qdi_out_room(qd_rpc *rpc, const out_spec *spec, size_t n, rpc_out **out, char **room,
                 qd_err *err);
void qdi_out_filled(rpc_out *o, size_t from, size_t n);
void qdi_out_unref(rpc_out *o);
/* Starts a message by its first frame's payload: reads the prefix. NULL, or what is wrong. */
const char *qdi_in_begin(const qd_rpc *rpc, rpc_in *in);
void qdi_in_free(qd_rpc *rpc, rpc_in *in);

/* --- handshake.c --- */

/* Payload of a hello or welcome of this node for a class into out; returns its length. version: of
 * a welcome, the one chosen; of a hello 0. */
size_t qdi_hello_put(qd_rpc *rpc, uint32_t class, uint16_t version, char out[FRAME_SMALL_MAX]);
/* Reads and checks one. 0: *node and *class are filled, node->version is the one to speak. Else a
 * code with a text for the other side in theirs and one for this node's log in ours. */
int qdi_hello_take(rpc_conn *c, qd_str payload, bool welcome, qd_rpc_node *node, uint8_t *class,
                   char theirs[256], char ours[512]);
/* Registers the node of a connection; the same errors for a duplicate of id or name. */
int qdi_node_add(qd_rpc *rpc, rpc_who *who, char theirs[256], char ours[512]);
/* Ends that. */
void qdi_node_del(qd_rpc *rpc, rpc_who *who);
/* Logs about a remote that sent garbage, at most once a minute for each host and text,
 * and 30 lines a minute in all. */
void qdi_garbage_log(qd_rpc *rpc, const char *remote, const char *what);

/* --- conn.c --- */

extern const qd_wire_user qdi_conn_user;
/* A connection not yet linked. NULL without memory. [loop] */
rpc_conn *qdi_conn_make(rpc_loop *l);
/* One that has got no link is freed. [loop] */
void qdi_conn_drop(rpc_conn *c);
/* Its dial is under way: the time-out covers the handshake. [loop] */
void qdi_conn_dialed(rpc_conn *c, uint64_t timeout_ns);
void qdi_conn_accept(void *arg, qd_wire_link *link);
/* Queues a message; it is sent at the end of the turn. Takes over the caller's count. [loop] */
void qdi_conn_send(rpc_conn *c, rpc_out *o);
/* A frame without a body. [loop] */
void qdi_conn_send_small(rpc_conn *c, uint8_t type, uint64_t id, const void *p, size_t n);
/* Ends it; why is told in logs and errors. [loop] */
void qdi_conn_end(rpc_conn *c, bool flush, const char *why);
/* A call that it carries is not wanted any more. [loop] */
void qdi_conn_forget(rpc_conn *c, rpc_out *o);
/* Sends what was queued in this turn. [loop] */
void qdi_conn_flush_dirty(void *loop);
/* The other side does not follow the protocol: the connection ends. [loop] */
void qdi_conn_garbage(rpc_conn *c, const char *what);
/* A connection's timer once it is open. [loop] */
void qdi_conn_tick(qd_timer *t);
/* Sends what one connection has queued. [loop] */
void qdi_conn_flush(rpc_conn *c);

/* --- conn_open.c --- */

/* Frames of the handshake, and of a cluster's uuid, that have come. [loop] */
void qdi_conn_hello(rpc_conn *c, qd_str payload);
void qdi_conn_welcome(rpc_conn *c, qd_str payload);
void qdi_conn_refused(rpc_conn *c, qd_str payload);
void qdi_conn_cluster(rpc_conn *c, qd_str payload);
/* Names the cluster of this node, if it knows it by now. [loop] */
void qdi_conn_tell_cluster(rpc_conn *c);
/* The first four bytes of an accepted connection are no frame's. [loop] */
void qdi_conn_stranger(rpc_conn *c);

/* --- peer.c --- */

/* The peer of an address, made if need be, with one more user. QD_E_ARG, QD_E_NOMEM. [any] */
QD_MUST_CHECK
int qdi_peer_get(qd_rpc *rpc, qd_str address, rpc_peer **out, qd_err *err);
/* The same if it is known; NULL. [any] */
rpc_peer *qdi_peer_find(qd_rpc *rpc, qd_str address);
/* One user less. [any] */
void qdi_peer_put(rpc_peer *p);
/* Is the host of the address one of this machine: loopback, or the one that this node publishes? */
bool qdi_near(const qd_rpc *rpc, qd_str address);
/* Reserves room for n bytes; false: the queue is full. [any] */
bool qdi_peer_room(rpc_peer *p, uint32_t class, uint64_t n, bool forced);
/* Waits until n bytes may have room, at most until mono_ns. [worker] */
void qdi_peer_room_wait(rpc_peer *p, uint32_t class, uint64_t n, uint64_t mono_ns);
/* Gives a message's room back. [any] */
void qdi_out_room_end(rpc_out *o);
/* A message for a peer: to its connection, or to wait for it. [loop] */
void qdi_peer_send(rpc_peer *p, rpc_out *o);
/* A dialed connection is open; was refused; has ended. [loop] */
void qdi_peer_opened(rpc_peer *p, rpc_conn *c);
void qdi_peer_self(rpc_peer *p, rpc_conn *c);
void qdi_peer_refused(rpc_peer *p, rpc_conn *c, const char *ours, const char *why);
void qdi_peer_closed(rpc_peer *p, rpc_conn *c, qd_wire_end end, const char *reason);
/* The node that publishes this address has connected: if it is watched and down, it is dialed at
 * once. [any] */
void qdi_peer_nudge(qd_rpc *rpc, qd_str address);
/* Housekeeping of a loop's peers. [loop] */
void qdi_peers_tick(rpc_loop *l);
/* What waits at the peers of a loop ends. [loop] */
void qdi_peers_close(rpc_loop *l);
/* Frees them, when the loop has ended. */
void qdi_peers_free(rpc_loop *l);

/* --- call.c --- */

/* Ends a call: tells done. Nothing if it was told. [loop] */
void qdi_call_end(rpc_out *o, int rc, const char *fmt, ...) QD_PRINTF(3, 4);
/* The same with an error that is taken over. [loop] */
void qdi_call_fail(rpc_out *o, int rc, qd_err *err);
/* An answer has come whole. Takes body over. [loop] */
void qdi_call_answered(rpc_out *o, uint16_t version, bool error, rpc_body *body);

/* --- request.c --- */

/* A request has come whole; takes body over. [loop] */
void qdi_request_arrived(rpc_conn *c, const frame_head *h, rpc_body *body);
/* A call to the node itself. [loop] */
void qdi_request_local(rpc_loop *l, rpc_out *o);
/* Ends all calls of the node to itself. [loop] */
void qdi_requests_local_end(rpc_loop *l);
/* It is cancelled, or its connection is gone. [loop] */
void qdi_request_cancel(qd_rpc_request *r);
/* Answers a request that never became one, with an error. [loop] */
void qdi_refuse(rpc_conn *c, uint64_t id, uint32_t action, uint16_t version, int code,
                const char *text);

/* --- post.c --- */

/* A post has come. [loop] */
void qdi_post_arrived(qd_rpc *rpc, const qd_rpc_node *from, uint32_t channel, qd_str bytes);

/* This node's cluster uuid for the peers of all connections of a loop. [loop] */
void qdi_conns_cluster(rpc_loop *l, const char *uuid);

/* First version that knows an action; 0: there is no such action. */
uint16_t qdi_action_since(uint32_t action);

#endif
