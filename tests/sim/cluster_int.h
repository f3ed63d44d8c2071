/*
 * cluster_int.h: what the files of the composed simulation share. See cluster_sim.h.
 *
 *   cluster_world.c      a schedule: time, network, the repl machines' world
 *   cluster_proc.c       a node's process: core/cluster over the plugin's store or the remote one
 *   cluster_host.c       what the plugin coordination-raft gets from its host
 *   cluster_store.c      its folder, rows and disk
 *   cluster_uv.c         its loops and threads (cluster_uv.h)
 *   cluster_faults.c     what goes wrong
 *   cluster_scenario.c   named schedules; cluster_steps.c  their steps
 *   cluster_raft.c       what masters have by themselves; or, in a program of its own,
 *   cluster_k8s.c        the API server, what goes wrong with it; cluster_k8s_*.c
 *   cluster_helper.c     operators, clients of the store
 *   cluster_check.c      what must hold beyond repl_check.c
 */
#ifndef QD_TESTS_CLUSTER_INT_H
#define QD_TESTS_CLUSTER_INT_H

#include "cluster/authority/authority.h"
#include "cluster/cluster.h"
#include "cluster/remote/remote.h"
#include "raft_disk.h"
#include "repl_sim.h"
#include "rpc/rpc.h"
#include "rpc/sim_wire.h"
#include "runtime/sim_env.h"
#include "runtime/sync.h"
#include <quidditch/peers.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster_sim.h"

#define INDEX_NAME "docs"
#define FOLDER_MEMBERS 16

typedef struct proc proc;

/* What the plugin keeps in its file "node", as bytes of its own making. */
typedef struct folder {
    bool made;
    size_t n;
    uint8_t bytes[8192];
} folder;

/* What a machine keeps over the lives of its processes. */
typedef struct machine {
    bool master;
    proc *now;      /* NULL: none runs */
    proc *before;   /* one that was killed and is being cleared away; cut off from everything */
    sim_disk *disk; /* of the plugin; of masters */
    folder folder;
    char authority[4096];
    size_t authority_n;
    uint64_t start_at;                /* 0: nobody starts it */
    uint64_t still_from, still_until; /* no sync that begins between ends before */
    bool full, slow, stays_down;
    bool accept;       /* its operator takes what the masters show */
    uint32_t features; /* level of formats that its program knows; 0: that of this build */
    uint64_t lives;
    double rate;
    uint64_t base, slept; /* slept: how long it was suspended in all */
    uint64_t stood;       /* how long its host paused it, and all its clocks with it */
    /* an old copy of the disk, and what it is put back to when it was refused */
    sim_disk *copy, *newest;
    uint64_t life, copy_life; /* of the folder, when its process ended */
    uint32_t voters;          /* as that knew them */
    int64_t skew_ms;
} machine;

typedef struct request {
    struct request *next;
    msg m;
} request;

/* A process of a node. */
struct proc {
    cluster *x;
    int node;
    uint32_t inc;
    bool master, dying, ended, sick, old_copy, bumping;
    char name[8], address[32];
    qd_env *env;
    qd_thread *main;
    qd_thread *left[32]; /* threads that end by themselves */
    uint32_t nleft;
    uint32_t helpers; /* threads of the world's that use its cluster */
    sim_disk *disk;
    qd_pools pools;
    qd_loop *loop;
    qd_rpc *rpc;
    qd_coord_store *store;
    qd_remote_server *server;
    qd_authority *authority;
    qd_cluster *cluster;
    /* as the plugin's host */
    void *data;
    struct cluster_api *api; /* its connection to the API server; NULL: it has none */
    const qd_coord_vtable *vt;
    bool peers_open;
    qd_peers_events events;
    bool watched[NODES];
    /* what its worker does */
    qd_mutex lock;
    qd_cond wake;
    request *first, *last;
    srec latest; /* the shard's record as the process has applied it */
};

/* What became of a change of the register. */
typedef struct told {
    uint64_t base, revision;
    int rc;
    uint64_t before; /* the value read */
    bool ended;
} told;
#define REGISTER_MAX 2048
#define REVISIONS 8192
#define INDICES 16384 /* of the masters' log */
#define SESSION_TTL_MS 3000
#define SESSIONS 1024
#define ASKED_MAX 1024
#define RACES 16 /* fields that two nodes ask for, each of another type */

struct cluster {
    world *w;
    qd_sim *sim;
    qd_sim_net *net;
    machine m[NODES];
    cluster_report *r;
    qd_coord_vtable vt; /* of the plugin */
    char uuid[40];      /* of the index; empty: not created */
    uint32_t replicas, masters;
    uint64_t ready_at; /* the index was there */
    bool creating, excluded[NODES], permitted[NODES];
    bool idle; /* nobody wants anything */
    const cluster_scenario *scenario;
    bool restored; /* the masters' disks are older ones: their history is another */
    uint64_t term; /* of the masters' newest leader */
    /* the register */
    uint64_t register_told, register_values;
    told register_of[REGISTER_MAX];
    /* what applied states have shown, by revision */
    struct {
        uint64_t hash, term;
    } record_at[REVISIONS];
    bool record_made[REVISIONS]; /* one was committed by this revision */
    char elected[REVISIONS]; /* node that won the allocator's election by it, '-': lost; 0: neither
                              */
    struct {
        const void *op;
        int node;
    } fenced[32];                      /* transactions in the allocator's name */
    uint64_t record_max, shown[NODES]; /* shown: highest revision that a machine has acted on */
    char allocator[8];
    /* the newest record that anybody was shown; changes of it that copies asked for */
    srec newest;
    uint32_t nasked;
    struct {
        casop op;
        char aid[REPL_AID], by[REPL_AID];
        uint64_t term;
    } asked[ASKED_MAX];
    struct {
        int asked[2]; /* 0: no answer yet; 1: done; 2: refused as a clash; 3: another error */
    } races[RACES];
    /* node records that a node has seen, sessions as they were renewed */
    struct {
        uint64_t session;
        char eph[REPL_AID];
    } saw[NODES][NODES];
    struct {
        const void *op;
        uint64_t session, sent_ns;
    } keeping[64];
    struct {
        uint64_t session, ns;
    } kept[SESSIONS], over[SESSIONS]; /* over: when a state first showed that it had ended */
    uint64_t store_at[INDICES];
};

/* --- cluster_world.c --- */
qd_sim *cluster_sim(void);
cluster *cluster_now(void);
/* Brings the repl world's clock up to date; to be called before its functions. */
world *cluster_enter(void);
/* Asked before each step: false once the schedule has failed, also because time does not pass. */
bool cluster_goes_on(cluster *x);
/* A record as an applied state shows it reaches the repl machines of its node. */
void cluster_record(proc *p, const srec *r);

/* --- cluster_proc.c --- */
proc *proc_of_env(qd_env *env);
uint64_t proc_local_ns(const proc *p);
/* A thread that nobody waits for: it is joined when the process is gone. */
void proc_leaves(proc *p, qd_thread *t);
/* Joins those that have ended. */
void proc_tidy(proc *p);
void proc_start(cluster *x, int id);
/* Ends at once; power: its machine's, too. */
void proc_kill(cluster *x, int id, bool power);
/* Frees what has ended; called between fibers. */
void proc_reap(cluster *x, int id);
/* A change of the record that the repl machine asks for: answered by node_answer. */
void proc_ask(proc *p, const msg *m);
/* Has the process a cluster that follows? */
bool proc_follows(const proc *p);
const char *node_name(int id);

/* --- cluster_raft.c or cluster_k8s.c: the store's own part --- */
void store_begin(cluster *x);
void store_end(cluster *x);
/* No faults any more. */
void store_quiet(cluster *x);
/* A process was killed just now. */
void store_killed(proc *p, bool power);
/* A fault of its own, by chance; false: another one, please. */
bool store_fault(cluster *x, int id);
/* A partition that separates a node from what is not a node; all of them end. */
void store_cut(cluster *x, int id);
void store_heal(cluster *x);
/* Checks, every now and then. */
void store_look(cluster *x);

/* --- cluster_host.c --- */
/* The plugin's table for the process; prepares it. */
const qd_coord_vtable *host_plugin(proc *p);
void host_plugin_stop(proc *p);
/* A renewal of a session went out, or came to this. */
void host_keeps(const void *op, uint64_t session);
/* Others learn that its connections are closed and refused. */
void host_gone(cluster *x, int id);
/* A node is told so of another, which lives. */
void host_mistaken(cluster *x, int id, int to);

/* --- cluster_faults.c --- */
typedef enum partition_kind {
    CUT_NODE,    /* a from everybody */
    CUT_OUT,     /* nothing of a's arrives */
    CUT_IN,      /* nothing arrives at a */
    CUT_MASTERS, /* a from the masters */
    CUT_LINK,    /* a and b */
    CUT_ONE_WAY, /* from a to b */
    CUT_HALVES,
    CUT_BRIDGE, /* halves, and a sees both */
    CUT_KINDS
} partition_kind;
/* Something, by chance. */
void cluster_fault(cluster *x);
void cluster_partition(cluster *x, partition_kind kind, int a, int b);
void cluster_heal(cluster *x);
/* Before a master starts, by chance: an old copy of its disk is made, or put in its place. */
void cluster_copies(cluster *x, int id);
void cluster_copy_put(cluster *x, int id);
/* The rpc's network follows w->cut. */
void cluster_cuts(cluster *x);
void cluster_freeze(cluster *x, int id, uint64_t ns);
/* Its host pauses a machine: to its clocks no time passes. */
void cluster_pause(cluster *x, int id, uint64_t ns);
void cluster_full(cluster *x, int id, bool full);
/* Its disk is nearly full: no changes are taken, what the log has laid in is there. */
void cluster_low(cluster *x, int id, bool low);
void cluster_clock(cluster *x, int id, int64_t delta_ms);
void cluster_compact(cluster *x, int id);
/* The node whose master leads the store, the one with the primary; -1: none. */
int cluster_leader(cluster *x);
int cluster_primary(const cluster *x);
/* cluster_store.c */
bool cluster_store_leads(const struct qd_coord *handle);
uint64_t cluster_store_term(const struct qd_coord *handle);
/* The life of its log's folder, and the fewest voters of the lists of members that it knows. */
uint64_t cluster_store_life(const struct qd_coord *handle, uint32_t *voters);
/* The life of another member that it knows of durably. */
uint64_t cluster_store_knows(const struct qd_coord *handle, uint64_t raft_id);
/* Hash of all keys, and the entry that they are of. */
uint64_t cluster_store_hash(const struct qd_coord *handle, uint64_t *revision);

/* --- cluster_helper.c --- */
/* Runs fn on a thread of the process, if that follows its cluster. */
bool cluster_help(proc *p, void (*fn)(proc *p, int a, int b), int a, int b);
void cluster_create(cluster *x, proc *p);
void cluster_move(cluster *x, int from, int to);
void cluster_retry_failed(cluster *x);
/* A master shall not vote, or may. */
void cluster_members(cluster *x, int id, bool not );
/* A node asks for a field of one of two types; which one all nodes see at the end: -1: none, or not
 * the same. */
void cluster_field(cluster *x, int id, int field, int type);
int cluster_field_type(cluster *x, int field);
/* Somebody asks another node for leave to stop one; x->permitted: of which it was given. */
void cluster_permit(cluster *x, int by, int id);
/* An operator says that no node goes back to an older version. */
void cluster_finalize(cluster *x, int id);
/* Somebody reads and changes the register. */
void cluster_bump(cluster *x);
#ifdef CLUSTER_K8S
/* A node changes a value by an entry that is an object of its own, and reads nothing before. */
void cluster_large(cluster *x, int id);
#endif

/* --- cluster_check.c --- */
/* Looks at all, every now and then. */
void cluster_look(cluster *x);
bool cluster_green(cluster *x);
/* What is missing; NULL: nothing. */
const char *cluster_not_green(cluster *x);
void cluster_check_state(cluster *x, proc *p, const qd_state *s);
/* A copy asks for a change of the record; a state that was applied shows one. */
void cluster_check_asked(cluster *x, const msg *m);
void cluster_check_in_sync(cluster *x, const srec *r);
void cluster_check_end(cluster *x);

#endif
