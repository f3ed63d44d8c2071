/*
 * raft_int.h: what the files of the simulation share.
 *
 *   raft_sim.c      events, nodes, clients
 *   raft_faults.c   what goes wrong
 *   raft_check.c    what must hold
 *   raft_disk.c     disks
 */
#ifndef QD_TESTS_RAFT_INT_H
#define QD_TESTS_RAFT_INT_H

#include "raft_disk.h"
#include "raft_sim.h"
#include "still.h"
#include <coordination-common/entry.h>
#include <coordination-common/machine.h>
#include <coordination-raft/consensus/core_int.h>
#include <coordination-raft/consensus/engine_int.h>
#include <coordination-raft/consensus/wal_int.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NODES = 12, FIRST = 5, MS = 1000000, ELECTION = 300, HEARTBEAT = 60, INDEX_MAX = 20000 };
enum { TERMS = 8192, SEEN = 12, ENTRIES = 40000, KEYS = 24 };
#define FAULTS_NS (12000ll * MS)
#define HEAL_NS (30000ll * MS)

/* What a node's disk must hold: what it has reported as durable. */
typedef struct promise {
    uint64_t term, vote, base, base_term, n;
    cr_log_entry *log[INDEX_MAX];
} promise;

typedef struct sim sim;
typedef struct node {
    sim *s;
    uint64_t id;
    cr_engine *engine; /* NULL: down, or never was */
    int removed, full, seen_role, formed, damaged, fatal, joins, coming, powerless, in_touch;
    uint64_t tick_at; /* when the next tick comes */
    uint64_t life;    /* events of an earlier life are void */
    char why[CR_WAL_WHY];
    uint64_t seen_commit, seen_term, seen_applied, seen_members;
    double rate;
    sim_disk *disk, *undamaged; /* undamaged: to be put back when it is refused */
    sim_disk *copy;             /* of an earlier life */
    uint64_t copy_life, last_life;
    uint32_t voters;  /* the fewest of the lists it knew when it ended */
    sim_disk *newest; /* while it runs on a copy */
    promise *promise;
    cr_job *jobs[CR_LANES];
    uint64_t disk_slow;
    /* writes under way at a crash: what they may have cut and changed */
    uint64_t maybe_cut, maybe_base, maybe_term, maybe_vote;
    cr_machine *machine;
    uint64_t applied, state;
} node;

typedef struct event {
    uint64_t at, order;
    uint32_t kind, node;
    uint64_t life;
    uint8_t *bytes;
    uint32_t n, peer;
} event;
enum {
    E_MESSAGE = 1,
    E_JOB,
    E_TICK,
    E_STRIKE,
    E_GONE,
    E_HAND_OVER,
    E_CLIENT,
    E_FAULT,
    E_RESTART,
    E_HEAL,
    E_MEMBERS
};

typedef struct seen {
    uint64_t term, hash, before;
} seen;
enum { R_OPEN, R_ACKNOWLEDGED, R_NEVER, R_UNKNOWN };

struct sim {
    raft_sim_report *r;
    int verbose, faults, bad;
    uint64_t client_at, fault_ms, client_ms, disk_ns; /* of this schedule: how often, how slow */
    uint32_t hunt, trailing, hold, snapshot_entries, segment, message;
    int turns;   /* leaders are struck soon after they were elected, and come back soon */
    int reforms; /* members change as often as they can */
    int stale;   /* a node runs on an old copy */
    uint64_t rng, now, order, trace;
    node *nodes[NODES];
    uint32_t nnodes;
    event *heap;
    uint32_t nheap, heap_cap;
    int apart[NODES][NODES]; /* [from][to] */
    uint64_t lag[NODES];     /* of what goes to a node, ns */
    uint32_t loss, dup;      /* per 1000 */
    uint64_t late;           /* the longest a message takes, ns */
    cr_members *first;
    seen entries[INDEX_MAX][SEEN];
    struct {
        uint64_t term, hash, state, by; /* by: the term whose leader committed it */
        uint64_t rows, chain;           /* of the machine, where a snapshot was taken */
    } committed[INDEX_MAX];
    uint64_t ncommitted, max_applied;
    uint64_t leader_of[TERMS];
    uint8_t outcome[ENTRIES], was_applied[ENTRIES];
    uint64_t nentries, waiting;
    still still; /* its steps */
};

#define SAY(s, ...)                                                                                \
    do {                                                                                           \
        if ((s)->verbose) {                                                                        \
            fprintf(stderr, "%9.3f ms  ", (double)(s)->now / MS);                                  \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fputc('\n', stderr);                                                                   \
        }                                                                                          \
    } while (0)
#define BAD(s, ...)                                                                                \
    do {                                                                                           \
        if (!(s)->bad) {                                                                           \
            (s)->bad = 1;                                                                          \
            (s)->r->at_ns = (s)->now;                                                              \
            snprintf((s)->r->violation, sizeof(s)->r->violation, __VA_ARGS__);                     \
            SAY(s, "VIOLATION: %s", (s)->r->violation);                                            \
        }                                                                                          \
    } while (0)
typedef unsigned long long llu;

const cr_heap *sim_heap(void);
uint64_t sim_rnd(sim *s);
uint64_t sim_below(sim *s, uint64_t n);
uint64_t sim_mix(uint64_t a, uint64_t b);

/* --- raft_sim.c --- */
void sim_post(sim *s, uint64_t at, uint32_t kind, node *n);
uint64_t sim_local(const sim *s, const node *n);
node *sim_node_make(sim *s, int joins);
/* Opens and runs a node; it may be refused. */
void sim_start(sim *s, node *n);
/* What the node wants is done. */
void sim_turn(sim *s, node *n);
/* It will be started, soon. */
void sim_start_later(sim *s, node *n);
/* It ends; power: also its machine's. */
void sim_crash(sim *s, node *n, int power);
void sim_propose(sim *s);
void sim_change_members(sim *s);

/* --- raft_check.c --- */
uint64_t sim_entry_hash(const cr_log_entry *e);
/* Looks at what a node says. */
void sim_check_message(sim *s, node *n, const uint8_t *p, size_t k);
/* Looks at a node after each step. */
void sim_check_node(sim *s, node *n);
/* Notes what is durable now. */
void sim_promise(sim *s, node *n, const cr_wal_write *w);
/* What was opened again holds what was promised. */
void sim_check_opened(sim *s, node *n);
void sim_check_apply(sim *s, node *n, uint64_t index, const uint8_t *p, size_t k);
uint64_t sim_rows_hash(const cr_machine *m);
void sim_note_committed(sim *s, uint64_t index, uint64_t term, const char *who);

/* --- raft_faults.c --- */
void sim_strike(sim *s, node *n);
void sim_fault(sim *s);
void sim_heal(sim *s);
void sim_hand_over(sim *s, node *n);
/* Before a node starts: makes an old copy of its folder, or puts one in its place. */
void sim_copies(sim *s, node *n);
node *sim_leading(sim *s);

#endif
