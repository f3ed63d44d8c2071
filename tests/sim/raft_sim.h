/*
 * raft_sim.h: the consensus engine of coordination-raft (core, messages as bytes, log and snapshots
 * on a disk) with its state machine under a simulated network, disks and clocks: up to 12 nodes,
 * kills and losses of power in the middle of what the disk does, partitions (one-way too), lost,
 * doubled, late and reordered messages, slow, full and failing disks, damaged and old copies of
 * folders, clocks that run unevenly, snapshots, changes of members, hand-overs. One seed is one
 * schedule; it replays exactly.
 */
#ifndef QD_TESTS_RAFT_SIM_H
#define QD_TESTS_RAFT_SIM_H

#include <stdint.h>

/* How often what happened: a schedule without it shows nothing. */
#define RAFT_COUNTS(X)                                                                             \
    X(leaders)                                                                                     \
    X(commits)                                                                                     \
    X(acknowledged)                                                                                \
    X(never)                                                                                       \
    X(unknown)                                                                                     \
    X(reads)                                                                                       \
    X(kills)                                                                                       \
    X(power_losses)                                                                                \
    X(lost_sectors)                                                                                \
    X(stopped_jobs)                                                                                \
    X(restarts)                                                                                    \
    X(cuts)                                                                                        \
    X(segments)                                                                                    \
    X(partitions)                                                                                  \
    X(dropped)                                                                                     \
    X(doubled)                                                                                     \
    X(snapshots)                                                                                   \
    X(installs)                                                                                    \
    X(changes)                                                                                     \
    X(hand_overs)                                                                                  \
    X(full)                                                                                        \
    X(refused_full)                                                                                \
    X(failed_syncs)                                                                                \
    X(stalls)                                                                                      \
    X(damaged)                                                                                     \
    X(damage_refused)                                                                              \
    X(old_copies)                                                                                  \
    X(old_copies_refused)

typedef struct raft_sim_report {
    uint64_t seed, trace; /* trace: hash of all that happened */
    char violation[600];  /* empty: none */
    uint64_t at_ns;       /* when, in simulated time */
#define X(name) uint64_t name;
    RAFT_COUNTS(X)
#undef X
} raft_sim_report;

/* Runs one schedule; verbose: says what happens on stderr. Returns 0, or 1 on a violation. */
int raft_sim_run(uint64_t seed, int verbose, raft_sim_report *out);

#endif
