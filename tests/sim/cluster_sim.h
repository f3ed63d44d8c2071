/*
 * cluster_sim.h: a whole cluster of five nodes in one process, from one seed.
 *
 * Real: core/cluster (state, transactions, sessions, allocator loop and round, authority, the
 * remote store of nodes without role master), core/rpc over its simulated wire, the whole of the
 * plugin coordination-raft but for SQLite and the file system (its store, forwarding, rounds,
 * sessions, watches, membership, consensus, log, machine, libuv glue), and the machines of
 * core/replication. Threads, pools and loops are fibers of runtime/sim_env.h.
 *
 * Modelled: a copy's log and segments (repl_disk.c), what carries replication's requests
 * (repl_node.c and its like, over a network that loses, doubles and reorders them), the file system
 * below the masters' log (raft_disk.c), clients.
 */
#ifndef QD_TESTS_CLUSTER_SIM_H
#define QD_TESTS_CLUSTER_SIM_H

#include <stdbool.h>
#include <stdint.h>

typedef struct cluster cluster;

/* How often what happened. */
#define CLUSTER_COUNTS(X)                                                                          \
    X(leaders, "change of the masters' leader")                                                    \
    X(allocators, "change of the allocator")                                                       \
    X(kills, "process killed")                                                                     \
    X(power_losses, "power lost")                                                                  \
    X(lost_sectors, "un-synced sector or name of a master lost")                                   \
    X(freezes, "process stopped")                                                                  \
    X(partitions, "partition")                                                                     \
    X(dropped, "message of the masters lost")                                                      \
    X(doubled, "message of the masters doubled")                                                   \
    X(unknown_txns, "unknown outcome of a transaction")                                            \
    X(compacted, "watch compacted")                                                                \
    X(sessions_lost, "session expired")                                                            \
    X(full, "disk full")                                                                           \
    X(failed_syncs, "failed sync of a master")                                                     \
    X(slow_disks, "slow disk")                                                                     \
    X(clock_jumps, "clock jump")                                                                   \
    X(members, "change of members")                                                                \
    X(old_copies, "store restored from an old copy")                                               \
    X(old_refused, "old copy refused")                                                             \
    X(records, "change of the shard's record")                                                     \
    X(register_reads, "linearizable read of the store")

typedef struct cluster_report {
    uint64_t seed, digest, steps;
#define X(name, text) uint64_t name;
    CLUSTER_COUNTS(X)
#undef X
    struct repl_sim_report *repl;
} cluster_report;

/* Runs a schedule, or a named scenario; 0, or 1 with repl->violation. */
int cluster_sim_run(uint64_t seed, const char *scenario, bool trace, cluster_report *out);

/* The named scenarios; ends with name NULL. */
typedef struct cluster_scenario {
    const char *name, *what;
    void (*run)(cluster *x);
    uint32_t replicas; /* least number of the index */
} cluster_scenario;
extern const cluster_scenario cluster_scenarios[];

#endif
