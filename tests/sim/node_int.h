/*
 * node_int.h: what the files of the simulation of whole nodes share. See node_sim.h.
 *
 *   node_world.c    a schedule: its beginning, its end, the log
 *   node_proc.c     a node's process: everything that a node has, opened and closed in order
 *   node_coord.c    where the cluster's state is kept: in memory, by masters, or
 *   node_k8s.c      in a model of a Kubernetes API server
 *   node_client.c   clients: requests and what they were answered
 *   node_faults.c   what goes wrong
 *   node_plots.c    several that follow one another
 *   node_scenes.c   schedules that are written down
 *   node_removal.c  how far an in-sync removal is
 *   node_upgrade.c  nodes of two versions, and the end of an upgrade
 *   node_async.c    durability: async, and what it may cost
 *   node_migrate.c  the state moves from the masters to Kubernetes, or back
 *   node_later.c    indices made of others, and rollovers
 *   node_check.c    what must hold of the histories and of the copies at the end
 *   node_main.c     the program
 */
#ifndef QD_TESTS_NODE_INT_H
#define QD_TESTS_NODE_INT_H

#include "action/action.h"
#include "cluster/authority/authority.h"
#include "cluster/remote/remote.h"
#include "lib/coord_memory.h"
#include "lib/store_crash.h"
#include "node_sim.h"
#include "plugin/host.h"
#include "raft_disk.h"
#include "replication/replication.h"
#include "rpc/rpc.h"
#include "rpc/sim_wire.h"
#include "runtime/sim_env.h"
#include "runtime/sync.h"
#include "still.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES 3
#define MACHINES (2 * NODES) /* nodes with data; behind them such as only keep the state */
#define DOCS 5
#define CLIENTS 5
#define OPS_MAX 4096
#define INDEX "docs"
#define TTL_MS 3000

typedef struct world world;

/* Where the cluster's state is kept. */
typedef enum coord_kind {
    COORD_IN_MEMORY, /* on a node that never dies */
    COORD_RAFT,      /* by masters */
    COORD_K8S,       /* in objects of the Kubernetes API, by control nodes */
    COORD_KINDS
} coord_kind;

/* A process of a node. */
typedef struct proc {
    world *w;
    int node;
    uint32_t life;
    bool data, control, dying, power, clean, open, follows, ended;
    char id[40], name[8], address[16];
    qd_env *env;
    qd_thread *main, *hurry;
    bool hurrying;
    qd_mutex lock;
    qd_cond wake; /* it is told to end */
    store_crash *disk, *own_disk;
    qd_store *own; /* of own_disk; NULL: the index is on the node's own tier */
    qd_account account;
    qd_pools pools;
    qd_actions a;
    qd_loop *loop;
    qd_coord_store *store;
    qd_remote_server *server;
    qd_authority *authority;
    qd_plugin_host *plugins; /* of masters: with coordination-raft alone */
    qd_self *plugin[2];      /* coordination-raft, coordination-k8s */
    /* of control nodes with both stores (node_migrate.c); first: that it knew to be in charge */
    coord_kind first;
    qd_coord_store *both[2];
    struct qd_stores *stores;
    struct qd_driver *driver;
    sim_disk *log;        /* of the plugin */
    struct node_api *api; /* its connection to the API server */
    qd_replication *_Atomic replication;
    qd_mutex following;
    bool closed;       /* the state is followed no more */
    uint32_t calls;    /* of clients, under way in it */
    uint32_t features; /* level of formats that it knows; 0: as this build */
} proc;

typedef struct machine {
    bool exists, data, control;
    proc *now, *before;    /* before: it was killed and is being cleared away */
    store_crash *disk;     /* with the index */
    store_crash *own_disk; /* of the own tier, where the index is on another one */
    sim_disk *log;         /* what the plugin keeps: its log and snapshots, and its file "node" */
    uint8_t folder[8192];
    size_t folder_n;
    char authority[4096];
    size_t authority_n;
    uint32_t lives;
    uint32_t features; /* of the next process */
    uint64_t start_at; /* 0: nobody starts it */
    uint64_t slow_until, slow_ms;
    bool held;                      /* syncs do not end */
    uint64_t stood_until, stood_ns; /* it stood still, or does, for so long */
    double rate;
    int64_t skew_ms;
} machine;

typedef enum okind {
    O_PUT,
    O_CREATE,
    O_CAS,
    O_UPDATE,
    O_DELETE,
    O_AUTO, /* under an id that the node makes */
    O_GET,
    O_REFRESH,
    O_SEARCH
} okind;
typedef enum ostate { S_OPEN, S_OK, S_CONFLICT, S_REFUSED, S_UNKNOWN } ostate;

/* An operation of the history; its number is the value that it writes. */
typedef struct hop {
    okind kind;
    ostate state;
    uint8_t doc;
    bool found, calm; /* calm: no node was apart from the others */
    uint64_t begin, end;
    int64_t seq, term, version; /* of what was written, or seen; -1 */
    int64_t pred, pred_term;    /* of O_CAS */
    int64_t val;                /* seen; -1: unknown */
    char id[40];                /* of O_AUTO */
} hop;

/* A document as a search showed it. */
typedef struct shown {
    uint8_t doc;
    int64_t seq, val;
    uint32_t op;
} shown;
#define SHOWN_MAX 8192

/* While durability was async, as far as somebody can tell; a crash, and from when on what was
 * acknowledged may be on no disk. */
typedef struct async_span {
    uint64_t from, to;
} async_span;
typedef struct crash_of {
    uint64_t from, at, until;
} crash_of;
#define SPANS_MAX 4
#define CRASHES_MAX 400

struct world {
    uint64_t seed;
    bool traced, quiet, failed;
    const node_scene *scene; /* NULL: clients and faults by seed */
    qd_prng prng;
    qd_sim *sim;
    qd_sim_net *net;
    qd_env *env; /* of clients and operators */
    coord_kind kind;
    bool both; /* they have both stores open, and the state moves; kind: where it is at first */
    bool migrating;
    bool apart; /* control nodes that may end have no data */
    coord_memory *coord;
    machine m[MACHINES];
    uint64_t revision; /* of the newest state that a control node has applied */
    uint64_t master_term;
    uint32_t shards, replicas, replicas_now;
    bool created;
    node_report *r;
    hop *op; /* from 1 */
    uint32_t nops;
    shown *shown;
    uint32_t nshown;
    uint8_t shard_of[DOCS];
    uint32_t clients; /* running */
    bool clients_end;
    still still;
    /* what is going on, for the shares of reads */
    uint64_t term[8];
    bool promoting, moving;
    uint64_t rolled_ns; /* when a copy was set back last */
    /* from when on every node has heard of what the others know; searches before may be old */
    uint64_t calm_ns;
    uint64_t behind_ns;   /* a node that stood still may be behind until then, whatever heals */
    uint64_t think_ms;    /* of clients, between requests */
    uint64_t patience_ms; /* of clients, for an answer */
    bool plot;            /* one is under way */
    bool slow;            /* the network is, now and then */
    char not_green[200];
    /* durability: async (node_async.c) */
    bool async;
    uint64_t interval_ms;
    async_span span[SPANS_MAX];
    crash_of crash[CRASHES_MAX];
    uint32_t nspans, ncrashes;
    /* nodes of two versions (node_upgrade.c) */
    bool upgrade, upgrading, finalize_asked;
    bool tiered;                /* the index has a tier of its own (index.storage.tier) */
    uint32_t level, level_told; /* of formats: of the newest state; that an answer had */
    uint16_t older_wire;
    int end_by; /* 0: kill, 1: power, 2: clean stop */
};

/* --- node_world.c --- */
uint64_t rnd(world *w, uint64_t n);
bool chance(world *w, double p);
uint64_t ms(uint64_t n);
uint64_t us(uint64_t n);
uint64_t now_ns(const world *w);
void fail(world *w, const char *fmt, ...) QD_PRINTF(2, 3);
void trace(world *w, const char *fmt, ...) QD_PRINTF(2, 3);
world *world_now(void);
proc *proc_of_env(world *w, const qd_env *env);

/* A control node has applied a state. */
void world_state(world *w, const qd_state *old, const qd_state *now);
/* A thread of the clients; all of them are joined. */
void world_thread(world *w, void (*fn)(void *arg), void *arg);
void world_join(world *w);

/* --- node_proc.c --- */
const char *node_name(int id);
void proc_start(world *w, int id);
/* Ends it at once; power: what its disk had not synced may be gone. */
void proc_kill(world *w, int id, bool power);
/* Tells it to stop in order. */
void proc_stop(world *w, int id);
/* A part of its store has failed, of which the process (arg) ends. */
void proc_store_failed(void *arg, const char *why);
/* Does it serve? */
bool proc_serves(const proc *p);
/* A sync of this machine's takes its time, within a fiber of its process. */
void proc_sync_pause(void *machine);
/* It takes part in the cluster, with or without data. */
bool proc_takes_part(const proc *p);

/* --- node_coord.c --- */
/* Chooses, by the environment's COORD or by chance, and says which machines there are. */
void coord_begin(world *w);
void coord_end(world *w);
/* What a process needs before and after its transport is open; opens its store, on a loop that
 * runs. */
int coord_plugin_open(proc *p, qd_err *err);
int coord_open(proc *p, qd_err *err);
/* Behind everything that uses the store; and what is left, behind the transport. */
void coord_close(proc *p);
void coord_plugin_close(proc *p);
/* A process was killed just now; it has ended. */
void coord_killed(proc *p, bool power);
void coord_reap(proc *p);
/* The newest state that a control node which runs has applied, referenced; NULL: none runs. */
qd_state *state_now(const world *w);
/* The machine whose master leads, any control machine; -1: none. */
int coord_leader(world *w);
int coord_any(world *w);
/* Counts who came to lead. */
void coord_look(world *w);
/* Does a master's machine stand there? */
bool coord_mortal(const world *w, int id);
/* The next sync of its log, or file, fails. */
void coord_fail_sync(world *w, int id);
/* No faults any more. */
void coord_quiet(world *w);

qd_store_kind coord_store_kind(const proc *p);
/* Is there a Kubernetes API? */
bool coord_has_k8s(const world *w);
/* The process of a plugin. */
proc *coord_proc(const qd_self *self);

/* --- node_k8s.c --- */
void k8s_begin(world *w);
void k8s_end(void);
void k8s_killed(proc *p, bool power);
void k8s_fault(world *w, int id);
void k8s_quiet(world *w);

/* --- node_client.c --- */
typedef struct answer {
    int status; /* HTTP's; 0: none came in time */
    qd_buf body;
} answer;
/* Sends a request to a node from a fiber of the clients, waits at most timeout_ms. */
void ask(world *w, int node, const char *method, const char *path, const char *body,
         uint64_t timeout_ms, answer *a);
void answer_fini(answer *a);
/* The clients of this process have gone away. */
void calls_cancel(proc *p);
void client_run(void *arg);
/* One operation on one document; `on`: what a compare-and-set is made on. NULL: the history is
 * full. */
hop *client_op(world *w, int node, okind kind, int doc, const hop *on, uint64_t patience_ms);
const char *doc_id(int doc);
/* A number behind "key": in text; otherwise none. */
int64_t number_of(const char *text, const char *key, int64_t none);

/* --- node_faults.c --- */
void fault(world *w);
/* A node may not hear until then what the others know. */
void disturb(world *w, uint64_t until_ns);
void faults_end(world *w);
/* The network is whole. */
void faults_heal(world *w);
/* An operator asks for so many replicas. */
void faults_replicas(world *w, uint32_t n);

/* --- node_plots.c --- */
void plot_begin(world *w);

/* --- node_removal.c --- */
/* Has the primary on a node asked for the removal of a copy, and heard of no end? */
bool removal_asked(world *w, int primary, uint32_t shard);
/* How many copies are in sync, by the newest state. */
uint32_t removal_in_sync(world *w, uint32_t shard);

/* --- node_upgrade.c --- */
/* May make the nodes such of an older version; behind coord_begin. */
void upgrade_begin(world *w);
/* What a process speaks at most, 0: as this build; what it calls itself. */
uint16_t upgrade_wire(const proc *p);
qd_str upgrade_version(const proc *p);
/* A control node has applied a state. */
void upgrade_state(world *w, const qd_state *s);
/* The operator's thread. */
void upgrade_run(void *arg);
/* The faults end. */
void upgrade_quiet(world *w);
/* What an answer said of the level holds. */
void upgrade_check(world *w);

/* --- node_migrate.c --- */
/* May give the control nodes both stores; behind the choice of the first one. */
bool migrate_begin(world *w, bool asked);
/* Which store a process's record names; which it knows to be in charge. */
coord_kind migrate_first(const proc *p);
coord_kind migrate_kind(const proc *p);
/* Of a process whose stores are open: the front, its server's kind, the driver; and their end. */
int migrate_open(proc *p, qd_err *err);
void migrate_serve(proc *p);
int migrate_drive(proc *p, qd_err *err);
void migrate_undrive(proc *p);
void migrate_close(proc *p);
/* The operator's thread. */
void migrate_run(void *arg);
/* Another time at which something goes wrong. */
void migrate_fault(world *w);
/* Do all control nodes that are there go to the same store? */
bool migrate_agree(const world *w);
void migrate_check(world *w);

/* --- node_async.c --- */
void async_begin(world *w);
/* Of the index. */
void async_settings(const world *w, char *out, size_t n);
/* A machine stands still until then; its process was killed; a sync of its disk will fail. */
void async_stands(world *w, int id, uint64_t until_ns);
void async_crashed(world *w, int id);
void async_sync_fails(world *w, int id);
/* May what an operation wrote, or saw, be lost by a crash before that time? */
bool async_may_be_lost(const world *w, const hop *h, uint64_t by_ns);
/* The operator's thread. */
void async_run(void *arg);

/* --- node_later.c --- */
/* Begins what comes behind the checks of a schedule, on threads of clients; false: nothing does. */
bool later_begin(world *w);
/* A control node has applied a state. */
void later_state(world *w, const qd_state *old, const qd_state *now);

/* --- node_check.c --- */
/* NULL: every copy is there; else what is missing. */
const char *not_green(world *w);
void check_end(world *w);

/* The points of a scene, if one ran, belong to no world from now on. */
void scene_ends(void);

#endif
