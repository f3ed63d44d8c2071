/*
 * repl_int.h: the shell around the machines: what this node keeps of each copy that it holds.
 *
 * A repl_shard lives from the engine's opening to its closing, longer while somebody refers to it.
 * Its lock guards the machines; no engine, no transport and no wait under it. What the primary's
 * machine asks for is put into the outbox and done by repl_unlock, after the lock was given back.
 * The engine is used under the shard's gate (qd_shard_enter); the one call without it, the global
 * checkpoint, happens under the lock, which the closing of the engine takes.
 *
 * Lock order: shard's gate, qd_replication.lock, repl_shard.lock.
 */
#ifndef QD_REPLICATION_REPL_INT_H
#define QD_REPLICATION_REPL_INT_H

#include "base/awake.h"
#include "base/log.h"
#include "base/vec.h"
#include "cluster/copies.h"
#include "engine/replica.h"
#include "replication/copy_int.h"
#include "replication/rate.h"
#include "replication/replication.h"
#include "replication/wire_int.h"
#include "rpc/rpc.h"
#include "runtime/waitq.h"

#define REPL_LOG "replication"
#define REPL_TICK_NS 100000000ull
#define REPL_SHIP_MS 60000u /* a copy that has not answered by then has failed; it lags before */
#define REPL_SYNC_MS 5000u
#define REPL_OPS_BYTES ((size_t)1 << 20)   /* of a part of a resync, of a recovery */
#define REPL_CHUNK_BYTES ((size_t)1 << 20) /* of a file */
#define REPL_HEAD_MAX 512u                 /* of the answer that brings a piece of one */
#define REPL_STUCK_NS 3000000000ull
#define REPL_RETENTION_NS 5000000000ull
#define REPL_HOLDS 16u
#define REPL_HOLD_NS 120000000000ull
#define REPL_COPIES (2 * REPL_PEERS_MAX)

typedef struct repl_shard repl_shard;

/* A batch on its way, as long as somebody needs its bytes. */
typedef struct repl_shipment {
    repl_batch b; /* first */
    _Atomic int32_t refs;
    qd_latch over;     /* the batch has ended; who commits waits for it, once */
    uint64_t until_ns; /* it is waited for; 0: not yet */
    qd_buf ops;
} repl_shipment;

typedef struct repl_waiter { /* a read that waits */
    repl_read r;             /* first */
    bool done;
} repl_waiter;

/* Something to do once the lock is given back. */
typedef struct repl_todo {
    repl_act_kind kind;
    uint64_t peer, number, sent_ns;
    int64_t from, to;
    bool release, read;
    repl_shipment *shipment;
    char aid[REPL_AID];
    const char *why;
} repl_todo;

/* A change of the record that the primary wants. */
typedef struct repl_cas {
    repl_change change;
    uint64_t peer;
    char aid[REPL_AID], why[96];
} repl_cas;

/* A copy of the shard somewhere, as the newest record says. */
typedef struct repl_place {
    repl_record_copy c;
    char node[64], address[QD_RPC_ADDRESS_MAX], partner[REPL_AID];
    qd_shard_state state;
} repl_place;

/* What a follower shows. */
typedef struct repl_follower {
    uint64_t peer, term, generation;
    int64_t max_seq_no;
    bool busy, again; /* again: there was more to send meanwhile */
    uint32_t fails;
    /* of one that is being filled */
    uint32_t rounds; /* publications that it got before it counted */
    bool waits;      /* refreshes wait for it: it may start with what was published by then, */
    bool bound;      /* which is known: */
    uint64_t must_term, must_generation;
} repl_follower;

/* What a copy that counted had said to this primary, when it went. */
typedef struct repl_gone {
    char node[64];
    uint64_t term;
    int64_t persisted;
} repl_gone;

/* What a primary keeps of other copies, by place of pm.peer: made when a record first names one, so
 * that a shard without replicas goes without. */
typedef struct repl_others {
    repl_peer peer[REPL_PEERS_MAX]; /* pm's */
    repl_follower follower[REPL_PEERS_MAX];
    char node[REPL_PEERS_MAX][64];
    repl_gone gone[REPL_PEERS_MAX];
    uint32_t gone_next; /* the oldest one's place */
} repl_others;

/* Bytes of a file, read into the answer to the request: n of them behind room for its head. */
typedef struct repl_piece {
    qd_rpc_request *request;
    char *room;
    size_t n;
} repl_piece;

/* A publication kept for those who fetch its files. */
typedef struct repl_hold {
    qd_publication *p;
    uint64_t used_ns;
    uint32_t users;
} repl_hold;

/* What a shard has run on pools. */
typedef enum repl_kind {
    REPL_JOB_RECORD,
    REPL_JOB_LEAD,
    REPL_JOB_START,
    REPL_JOB_PUBLISH,
    REPL_JOB_ALONE,
    REPL_JOB_DUE,
    REPL_JOB_RECOVER,
    REPL_JOBS
} repl_kind;

/* One of a kind at most waits for a worker, so that nothing is left undone for want of memory. */
typedef struct repl_job {
    qd_work work; /* first */
    repl_shard *g;
    qd_pool *pool;
    void (*fn)(repl_shard *g);
    _Atomic bool late; /* the pool could not start a worker: the next tick tries again */
} repl_job;

struct repl_shard {
    _Atomic int32_t refs;
    qd_replication *r;
    char uuid[QD_UUID_TEXT], aid[REPL_AID], name[320];
    uint32_t number;
    _Atomic bool async; /* index.translog.durability */
    _Atomic int64_t mapping_revision;
    _Atomic int64_t away_ms; /* a copy that is away is expected back for so long */

    qd_mutex lock;
    qd_waitq changed;
    qd_shard *shard;   /* weak; NULL once the engine is closing */
    qd_engine *engine; /* the same */
    repl_copy cm;
    repl_primary pm;
    bool leading, replicated;
    bool nomem; /* an action was lost */
    bool drained, fenced;
    uint32_t first_writer; /* replicas are being let in: the engine stays replicated */
    uint32_t writers;      /* permits for writing */
    uint32_t plain;        /* of them, those that gather nothing for other copies */
    uint64_t revision;     /* of the record that place shows */
    uint64_t record_term;
    bool unsynced; /* the record says that the primary may have acknowledged what is on no disk */
    char record_primary[REPL_AID];
    uint32_t copies_wanted; /* by the index: primary and replicas */
    uint64_t retention_ns;  /* when retention is looked at next */
    repl_place *place;      /* heap */
    uint32_t nplaces, places_room;
    uint64_t left_revision; /* of the newest state in which a copy that was searched is not there */
    QD_VEC(repl_todo) outbox;
    QD_VEC(repl_cas) cas;
    bool start_runs;
    uint64_t start_ns; /* when it says again that it has started */
    bool cas_runs, lead_runs, lead_again, publish_runs, publish_again, publish_asked,
        replicated_runs;
    _Atomic bool due_queued;
    repl_job job[REPL_JOBS];
    repl_others *others; /* NULL: no record has named another copy */
    repl_hold hold[REPL_HOLDS];
    bool installing;
    uint32_t install_ends; /* who waits for its end: it gives up */
    uint64_t fenced_ns;    /* since when, while the record names this copy still */
    bool stale;            /* the record could not be taken for want of memory */
    /* time (tick.c): under qd_replication.lock */
    qd_awake awake;
    bool mapped;
    uint32_t idle_ticks; /* the ticker's */
    /* recovery of this copy */
    bool recovers;
    qd_recovery_progress progress;
    uint64_t progress_ns;
};

struct qd_replication {
    qd_env *env;
    qd_rpc *rpc;
    qd_shards *shards;
    qd_cluster *cluster;
    qd_store *store;
    qd_pools *pools;
    qd_account account;
    qd_config *config;
    qd_pool *replica_pool, *slow_pool, *change_pool;
    qd_mutex lock;
    qd_cond tick;
    qd_map map;                  /* "<uuid>/<number>" -> repl_shard, one reference each */
    qd_awake_set awake;          /* those that the ticker looks at */
    qd_state *state;             /* the newest that was shown */
    _Atomic bool stale;          /* a record could not be taken for want of memory */
    _Atomic uint64_t everywhere; /* a state that every node which is heard has applied */
    _Atomic bool closing;
    _Atomic bool retiring;    /* primaries are given up to other copies */
    _Atomic uint32_t submits; /* of work, under way */
    qd_thread *ticker;
    _Atomic uint32_t calls; /* under way */
    qd_mutex rate_lock;
    qd_rate rate;
    _Atomic uint64_t throttle_ns; /* waited for it by recoveries */
    _Atomic uint64_t in_flight;   /* bytes of operations sent and not yet confirmed */
    qd_mutex room_lock;
    qd_waitq room; /* in_flight has fallen below its bound, or this node stops */
};

/* --- replication.c --- */
/* The copy held here; a reference; NULL. [any] */
repl_shard *repl_get(qd_replication *r, const char *uuid, uint32_t number);
repl_shard *repl_ref(repl_shard *g);
void repl_unref(repl_shard *g);
/* Enters the shard of g for as long as the engine is the one of g: *s and *e, to be left with
 * repl_leave. QD_E_NO_SHARD: it is closing. [worker] */
int repl_enter(repl_shard *g, qd_shard **s, qd_engine **e, qd_err *err);
void repl_leave(qd_shard *s);
/* Gives work to a pool unless the node stops. */
int repl_submit(qd_replication *r, qd_pool *pool, qd_work *work);
/* Runs fn(g) on a pool with a reference, unless the node stops. The caller sees to it that no other
 * job of the kind is queued; it may be once fn has begun. */
void repl_run(repl_shard *g, qd_pool *pool, repl_kind kind, void (*fn)(repl_shard *g));
/* Queues what the pools had no worker for. */
void repl_run_late(repl_shard *g);
/* The engine cannot go on; why: see qd_shard_fail. */
void repl_fail_shard(repl_shard *g, const char *text, int why);
/* Does a global checkpoint that a copy knows prove that a primary whose log ends at `max` has lost
 * acknowledged operations? Not where they were acknowledged without a sync. */
bool repl_contradicts(const repl_shard *g, int64_t known, int64_t max);
/* What this copy holds is kept in lost+found, and an empty one begins. */
void repl_set_aside(repl_shard *g, const char *text);
/* Time for one step of a recovery: indices.recovery.internal_action_timeout. */
uint32_t repl_step_ms(const qd_replication *r);
/* Asks that n bytes more stay within half of what disk and network give, or within
 * indices.recovery.max_bytes_per_sec where it is set (0: no bound). */
double repl_rate_ask(qd_replication *r, uint64_t n);
/* Nanoseconds to wait for what was asked, by the setting of this moment. [any] */
uint64_t repl_rate_left(qd_replication *r, double asked);
/* A transfer has kept a device busy from begun_ns to end_ns. */
void repl_rate_observe(qd_replication *r, qd_rate_kind kind, uint64_t bytes, uint64_t begun_ns,
                       uint64_t end_ns);
/* Takes over the record of a state. [applier, worker] */
void repl_record_take(repl_shard *g, const qd_state *s);

/* --- tick.c --- */
/* Before the first copy. */
void repl_tick_init(qd_replication *r);
/* The ticker; arg is the qd_replication. */
void repl_tick(void *arg);
/* The ticker looks at the copy again: something has happened. Not under the lock. [any] */
void repl_wake(repl_shard *g);
/* The same of a copy that is in the map, and for one that is so no more; under
 * qd_replication.lock. */
void repl_awake(repl_shard *g);
void repl_unmapped(repl_shard *g);

/* --- group.c --- */
/* The primary's machine asks; under the lock. */
void repl_on_act(void *arg, const repl_act *a);
/* Gives the lock back and does what was asked for; the ticker looks at the copy again. */
void repl_unlock(repl_shard *g);
/* The same for the ticker itself. */
void repl_unlock_tick(repl_shard *g);
/* Takes the change that was made off the list, under the lock. A primary of a later term has begun
 * a list of its own meanwhile: that keeps its first change, which nobody has made. */
void repl_cas_over(repl_shard *g, const repl_cas *c);
/* Has time nothing to do here until something happens? Under the lock. */
bool repl_rests(const repl_shard *g);
/* Makes this copy the primary of the record, if it is; again whenever the record says so. */
void repl_lead(repl_shard *g);
/* Must this primary say (again) that it has started, or that what it acknowledged without a sync is
 * on its disk? Then repl_start is to run. Under the lock. */
bool repl_start_due(repl_shard *g);
void repl_start(repl_shard *g);
/* The places of the record as the machine reads them. Under the lock. */
void repl_record_view(repl_shard *g, repl_record_copy copies[REPL_COPIES], repl_record *out);
/* Address of a copy, false: none. Under the lock. */
bool repl_address(repl_shard *g, const char *aid, char out[QD_RPC_ADDRESS_MAX]);
/* Local checkpoints as acknowledgements need them. */
void repl_checkpoints(repl_shard *g, qd_engine *e, int64_t *persisted, int64_t *max);
uint64_t repl_now(const repl_shard *g);
void repl_shipment_unref(repl_shipment *s);
/* Bytes of operations are on their way to a copy; they have been confirmed, or given up. */
void repl_flight_begins(qd_replication *r, uint64_t n);
void repl_flight_ends(qd_replication *r, uint64_t n);
/* Wakes writes that wait for room. */
void repl_flight_wake(qd_replication *r);
/* Gives up the commits that were to end before `mono_ns`: their outcome is unknown. Under the lock.
 */
void repl_commits_end(repl_shard *g, uint64_t mono_ns);
/* A hand-over may be possible. */
void repl_relocate_look(repl_shard *g);
/* While the node retires: nothing is under way at this primary any more, or nobody can replace it.
 */
bool repl_retired(repl_shard *g);
/* Sends a request and waits. *call's answer is read into a; qd_rpc_call_fini afterwards in every
 * case. [worker] */
int repl_ask(qd_replication *r, const char *to, uint32_t action, qd_rpc_class class,
             uint32_t timeout_ms, const repl_request *q, qd_rpc_call *call, repl_reply *a,
             qd_err *err);

/* The head of a request to a copy: who asks whom, the term, the checkpoint. Takes the lock. */
void repl_head_fill(repl_shard *g, const repl_todo *t, repl_request *q);
/* What a reply, or the error rc of the way, means to the machine. */
void repl_answer_of(repl_answer *x, int rc, const repl_reply *a, const qd_err *err);
/* Tells it the machine. Takes the lock. */
void repl_answered(repl_shard *g, uint64_t peer, const repl_answer *a);
/* --- stream.c --- */
/* Queues a resync or a catch-up; a failure is an answer. Not under the lock. */
void repl_stream_queue(repl_shard *g, const repl_todo *t);
/* --- record.c --- */
/* Lists a change of the record that the primary wants. Under the lock. */
void repl_cas_push(repl_shard *g, repl_change change, const repl_peer *c, const char *why);
/* Makes the listed changes, in their order. [worker] */
void repl_cas_run(repl_shard *g);
/* Says that this primary can be used; false: that is not known to be heard. [worker] */
bool repl_started_first(repl_shard *g);
/* --- publish.c --- */
/* Sends what is shown to those who show less; again when it was asked for meanwhile. */
void repl_publish(repl_shard *g);
/* Queues that. Not under the lock. */
void repl_publish_queue(repl_shard *g);
/* The engine's call-backs. */
void repl_published(void *arg, int64_t max_seq_no);
void repl_due(void *arg);
/* Keeps a publication (its reference is taken over) for fetches; a full list lets the oldest go. */
void repl_hold_put(repl_shard *g, qd_publication *p);
void repl_holds_end(repl_shard *g, bool all);
/* --- fetch.c --- */
/* Receives, verifies and finishes the files that the install lacks; QD_E_CORRUPT: one was bad
 * twice. */
int repl_fetch(repl_shard *g, qd_install *i, const qd_publication *p, const char *from,
               const char *source_aid, qd_recovery_progress *progress, qd_err *err);
/* --- install.c --- */
/* Fetches what is missing of p from its source and shows it. */
int repl_install(repl_shard *g, qd_engine *e, const qd_publication *p, const char *from,
                 const char *source_aid, qd_recovery_progress *progress, qd_err *err);
/* Ends an install that is under way, and waits for that. */
void repl_install_end(repl_shard *g);

/* --- handlers: serve.c, source.c --- */
void repl_serve(qd_replication *r, uint32_t action, qd_rpc_request *request);
/* Answers a request that only reads wait for, if nothing has to be waited for; false: it is
 * untouched. On a loop. */
bool repl_serve_read(qd_replication *r, qd_rpc_request *request);
/* The name of a node, its id when it is not known. */
void repl_node_name(qd_replication *r, const char *id, char *out, size_t n);
/* Notes on which nodes the copies are that the places name. Under the lock. */
void repl_source_nodes(repl_shard *g);
/* A copy goes: what it had said is remembered, to compare with when it comes back. Under the lock.
 */
void repl_source_gone(repl_shard *g, const repl_peer *c);
void repl_source(repl_shard *g, uint32_t action, const repl_request *q, repl_reply *a,
                 qd_writer *tail, repl_piece *piece);
void repl_reply_send(qd_rpc_request *request, const repl_reply *a, qd_str tail);

/* Lets what copies are known to have go from the log, and what nobody will ask for any more. */
void repl_retention(repl_shard *g);

/* --- target.c --- */
/* Fills this copy from its primary until it has started or is not assigned any more. */
void repl_recover(repl_shard *g);

#endif
