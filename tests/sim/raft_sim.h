/*
 * raft_sim.h: the consensus core of coordination-raft under a simulated network, disks and clocks:
 * up to 12 nodes, crashes that lose what was not synced, partitions (one-way too), lost, doubled,
 * late and reordered messages, slow and full disks, clocks that run unevenly, snapshots, changes of
 * members, hand-overs. One seed is one schedule; it replays exactly.
 */
#ifndef QD_TESTS_RAFT_SIM_H
#define QD_TESTS_RAFT_SIM_H

#include <stdint.h>

typedef struct raft_sim_report {
    uint64_t seed, trace; /* trace: hash of all that happened */
    char violation[256];  /* empty: none */
    uint64_t at_ns;       /* when, in simulated time */
    /* how often: a schedule without them shows nothing */
    uint64_t leaders, commits, crashes, lost_writes, cuts, partitions, snapshots, installs, changes,
        changes_undone, hand_overs, reads, full, dropped, doubled, restarts;
} raft_sim_report;

/* Runs one schedule; verbose: says what happens on stderr. Returns 0, or 1 on a violation. */
int raft_sim_run(uint64_t seed, int verbose, raft_sim_report *out);

#endif
