/*
 * kcore_sim.h: the protocol of coordination-k8s (its core, at the level of asks) over a model of
 * the root object, its blobs and the lease: up to three nodes, requests that are lost, that land
 * late after their sender was told nothing, answers that are lost, old watches, refusals, pauses,
 * kills and restarts, clocks that run unevenly, a collector, a server's date that jumps. One seed
 * is one schedule; it replays exactly.
 */
#ifndef QD_TESTS_KCORE_SIM_H
#define QD_TESTS_KCORE_SIM_H

#include <stdint.h>

/* How often what happened: a schedule without it shows nothing. */
#define KCORE_COUNTS(X)                                                                            \
    X(acknowledged)                                                                                \
    X(never)                                                                                       \
    X(unknown)                                                                                     \
    X(refused_entries)                                                                             \
    X(reads)                                                                                       \
    X(kills)                                                                                       \
    X(restarts)                                                                                    \
    X(pauses)                                                                                      \
    X(resigned)                                                                                    \
    X(lost_requests)                                                                               \
    X(lost_answers)                                                                                \
    X(by_peers)                                                                                    \
    X(wrong_by_peers)                                                                              \
    X(late)                                                                                        \
    X(late_landed)                                                                                 \
    X(refusals)                                                                                    \
    X(old_watches)                                                                                 \
    X(sure)                                                                                        \
    X(takeovers)                                                                                   \
    X(restores)                                                                                    \
    X(checkpoints)                                                                                 \
    X(touched)                                                                                     \
    X(recreated)                                                                                   \
    X(deletes_refused)                                                                             \
    X(collected)

typedef struct kcore_report {
    uint64_t seed, trace; /* trace: hash of all that happened */
    char violation[600];  /* empty: none */
    uint64_t at_ns;       /* when, in simulated time */
#define X(name) uint64_t name;
    KCORE_COUNTS(X)
#undef X
} kcore_report;

/* Runs one schedule; verbose: says what happens on stderr. Returns 0, or 1 on a violation. */
int kcore_run(uint64_t seed, int verbose, kcore_report *out);

typedef struct kcore_explored {
    uint64_t states, steps, depth;
    char violation[600];
} kcore_explored;
/* Every order of so many steps of two leaders and a collector, states that were seen left out;
 * start 1 and 2: from where the other one leads already, and the collector does not know it.
 * Returns 0, or 1 on a violation. */
int kcore_explore(int start, uint32_t depth, uint64_t states_max, kcore_explored *out);

#endif
