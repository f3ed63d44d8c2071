/*
 * repl_sim.h: one shard on five simulated nodes. Each node runs the machines of core/replication
 * (primary_int.h, copy_int.h) over a model of a copy's log and disk; the shard's record is changed
 * by cluster/state/shard_edit.h. Network, disks, clocks, freezes and the allocator's choices come
 * from one seed.
 *
 * The log is a model, not core/engine: an engine costs some 10 ms to open on the crashing store, a
 * schedule opens dozens. The model keeps what the protocol sees: records by number with term and
 * content, what is synced, what counts for the checkpoints, publications, trims, retained
 * operations.
 */
#ifndef QD_TESTS_REPL_SIM_H
#define QD_TESTS_REPL_SIM_H

#include "cluster/state/shard_meta.h"
#include "replication/copy_int.h"
#include "runtime/env.h"
#include "still.h"

#define NODES 5
#define STORE NODES /* the address of the coordination store */
#define CLIENT (NODES + 1)
#define SEQS 1024
#define DOCS 3
#define CLIENTS 5
#define CHUNK 12
#define COPIES 12
#define PUBS 512
#define BATCHES 192
#define OPS_MAX 4096

typedef struct rec {
    uint64_t term;
    int64_t pred;      /* of a compare-and-set: what it was made on; -1 */
    uint32_t val;      /* operation of the history, 0: none */
    uint8_t doc, kind; /* 0: not there, 1: write, 2: no-op */
} rec;

typedef struct publication {
    uint64_t term, gen;
    int64_t max;
    bool checked;
    rec *at;
} publication;

/* The record of the shard, flat. */
typedef struct scopy {
    uint8_t state, recovery;
    char aid[REPL_AID], node[REPL_AID], eph[REPL_AID], partner[REPL_AID], last[REPL_AID];
} scopy;
typedef struct srec {
    uint64_t rev, term;
    bool fresh;
    char primary[REPL_AID];
    uint32_t n, nsync;
    scopy copies[COPIES];
    struct {
        char aid[REPL_AID], node[REPL_AID];
    } sync[COPIES];
} srec;

typedef enum mtype {
    M_OPS,
    M_SYNC,
    M_RESYNC,
    M_PUBLISH,
    M_HELLO,
    M_TRACK,
    M_PULL,
    M_FINAL,
    M_ANSWER,
    M_CAS,
    M_CAS_ANSWER,
    M_RECORD,
    M_ALIVE,
    M_CLIENT,
    M_CLIENT_ANSWER
} mtype;
typedef enum casop { CAS_FAIL, CAS_ADMIT, CAS_HANDOVER, CAS_START, CAS_FAILED, CAS_LOST } casop;

typedef struct msg {
    mtype type, of; /* of: ANSWER: to what */
    int from, to;
    uint32_t inc; /* of the sender's process */
    uint64_t call;
    char aid[REPL_AID], by[REPL_AID]; /* the copy it is for, or about; the primary that sends */
    uint64_t term, peer, batch, resync, round, sent_ns;
    uint32_t part;
    bool last, catch_up, lease, release, ok, stale, by_ops, more, in_sync;
    int64_t global, first, max, persisted;
    uint32_t history;
    uint64_t open_term, open_gen;
    int pub;
    repl_verdict verdict;
    uint32_t nops;
    struct {
        int64_t seq;
        rec r;
    } ops[CHUNK];
    casop cas;
    uint32_t op; /* of the history */
    srec record;
} msg;

typedef struct disk {
    bool exists;
    char aid[REPL_AID];
    uint32_t history;
    uint64_t term;
    rec mem[SEQS], dur[SEQS];
    uint32_t stamp[SEQS];
    bool dirty[SEQS], counted[SEQS];
    uint32_t stamps;
    int64_t max, global, global_dur, retained;
    int64_t persisted, processed; /* caches */
    int pub;                      /* durable */
} disk;

typedef struct pbatch {
    repl_batch b;
    bool used;
    uint32_t op;
} pbatch;
typedef struct pread {
    repl_read r;
    bool used;
    uint32_t op;
    int64_t seq;
    uint32_t val;
} pread;

typedef struct cas {
    casop op;
    char aid[REPL_AID];
    uint64_t peer, term;
} cas;

typedef enum rstate { R_NONE, R_HELLO, R_TRACK, R_FILES, R_PULL, R_FINAL } rstate;

typedef struct node {
    struct world *world;
    int id;
    bool up, open, leading, promoting, adopting, reported, opened_cut;
    /* what it must show before it is searched; a primary learns it once its log is replayed */
    int64_t search_from;
    uint32_t inc;
    double rate;
    uint64_t halt_at, halt_until, lost; /* its clocks stood still, the last time and before */
    uint64_t base, frozen, stuck; /* stuck: since when the record names it, and it is closed */
    disk d;
    char aid[REPL_AID], eph[REPL_AID]; /* eph: of its process, as records name it */
    uint64_t target_term;              /* promotion under way */
    repl_copy cm;
    repl_primary pm;
    repl_peer peer[REPL_PEERS_MAX]; /* pm's */
    srec view;
    int shown; /* publication, -1 */
    uint64_t gen;
    pbatch batch[BATCHES];
    pread read[32];
    cas casq[24];
    uint32_t ncas;
    bool cas_busy;
    /* recovery as target */
    rstate rec;
    uint32_t rec_try;
    uint64_t rec_id, rec_peer, rec_wait;
    int64_t pull_upto, hold, rec_max;
    uint64_t hold_until;
    bool drained, fenced, lease_seen;
    int rec_pub;
    /* publishing as primary */
    int pub_wait; /* made, not yet allowed to be shown */
    struct {
        uint32_t op;
        int64_t seq;
    } refresh[8];
    struct {
        uint64_t peer;
        int pub; /* it has opened */
        bool busy;
        uint32_t fails;
    } follower[REPL_PEERS_MAX];
} node;

typedef enum okind { O_WRITE, O_CAS, O_READ, O_REFRESH, O_SEARCH } okind;
typedef enum ostate { S_OPEN, S_OK, S_CONFLICT, S_REFUSED, S_UNKNOWN } ostate;
typedef struct hop {
    okind kind;
    ostate state;
    uint8_t doc;
    uint64_t begin, end;
    int64_t seq; /* write: where; read: of what was read, -1 not found */
    uint64_t term;
    int64_t pred; /* CAS */
    uint32_t val; /* read: operation that wrote it */
} hop;

typedef struct repl_sim_report {
    uint64_t promotions, rollbacks, relocations, removals, admissions, by_ops, by_files,
        unknown_cas, round_trips, lease_reads, crashes, freezes, halts, partitions, acked, unknown,
        refreshes, searches, lost, doubled, resyncs, store_down, catch_ups, io_errors, conflicts;
    uint64_t digest, events;
    char violation[500];
} repl_sim_report;

/* Runs a schedule; 0, or 1 with report->violation. */
int repl_sim_run(uint64_t seed, bool trace, repl_sim_report *report);

/* --- the world, for the nodes and repl_check.c --- */
typedef struct world world;
struct world {
    struct cluster *cluster; /* its coordination and allocator; NULL: those of repl_world.c */
    uint64_t seed, now;
    bool trace, quiet; /* quiet: faults have ended */
    qd_prng prng;
    node n[NODES];
    srec record;
    uint64_t session[NODES]; /* last sign of life, 0: none */
    uint32_t session_inc[NODES];
    uint64_t store_down;
    uint32_t aids, histories;
    publication pub[PUBS];
    int npubs;
    hop *op; /* from 1 */
    uint32_t nops;
    rec shown[SEQS];
    uint64_t acked_term; /* the highest under which a write was acknowledged */
    int64_t refreshed;   /* highest number that an answered refresh covered */
    uint64_t refreshed_at;
    bool cut[NODES + 2][NODES + 2];
    double loss, twice, slow, unknown, io_fails;
    uint64_t rec_ids;
    repl_sim_report *r;
    still still; /* its steps */
    bool failed;
};

uint64_t rnd(world *w, uint64_t n);
bool chance(world *w, double p);
uint64_t us(uint64_t n);
uint64_t ms(uint64_t n);
void fail(world *w, const char *fmt, ...) QD_PRINTF(2, 3);
void trace(world *w, const char *fmt, ...) QD_PRINTF(2, 3);
/* Sends a copy of m over the network. */
void send_msg(world *w, const msg *m);
/* Sends a request whose answer, or whose lack, comes to node_answer with the request. */
void send_call(world *w, msg *m, uint64_t timeout);
/* Answers a request. */
void answer(world *w, const msg *request, msg *a);
enum {
    T_TICK,
    T_FSYNC_COPY,
    T_FSYNC_BATCH,
    T_FSYNC_PROMOTE,
    T_ADOPT,
    T_LEAD,
    T_FETCHED,
    T_READ,
    T_RETRY,
    T_REFRESH,
    T_NOOP_FSYNC
};
/* Calls node_timer(n, kind, m) after delay, unless the process has ended. m is copied; may be NULL.
 */
void timer(world *w, node *n, int kind, uint64_t delay, const msg *m);
uint64_t local_ns(const world *w, const node *n);
uint64_t fsync_delay(world *w);

void node_start(world *w, node *n);
void node_crash(world *w, node *n);
void node_message(world *w, node *n, msg *m);
void node_answer(world *w, node *n, const msg *request, const msg *a); /* a NULL: none came */
void node_timer(world *w, node *n, int kind, msg *m);
void node_shown_check(world *w, int pub);

void store_message(world *w, msg *m);
void store_tick(world *w);
const scopy *rec_copy(const srec *r, const char *aid);
bool rec_in_sync(const srec *r, const char *aid);
const scopy *rec_copy_of(const srec *r, int node);
int node_of(const char *name);

/* Nobody has asked anything yet. */
void client_begin(world *w);
void client_message(world *w, msg *m);
void client_next(world *w);
void client_timeouts(world *w);
void check_end(world *w);
bool green(const world *w);

#endif
