/*
 * cluster_sim.h: a whole cluster of five nodes in one process, from one seed.
 *
 * Real: core/cluster (state, transactions, sessions, allocator loop and round, authority, the
 * remote store of nodes without role master), core/rpc over its simulated wire, the whole of the
 * plugin coordination-raft but for SQLite and the file system (its store, forwarding, rounds,
 * sessions, watches, membership, consensus, log, machine, libuv glue), and the machines of
 * core/replication. Threads, pools and loops are fibers of runtime/sim_env.h.
 *
 * Modelled: a copy's log and segments (repl_log.c), what carries replication's requests
 * (repl_node.c and its like, over a network that loses, doubles and reorders them), the file system
 * below the masters' log (raft_disk.c), clients.
 */
#ifndef QD_TESTS_CLUSTER_SIM_H
#define QD_TESTS_CLUSTER_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct cluster cluster;

/* How often what happened. */
#define CLUSTER_COUNTS(X)                                                                          \
    X(leaders, "change of the masters' leader")                                                    \
    X(allocators, "change of the allocator")                                                       \
    X(kills, "process killed")                                                                     \
    X(power_losses, "power lost")                                                                  \
    X(freezes, "process stopped")                                                                  \
    X(pauses, "process stopped, its clocks too")                                                   \
    X(partitions, "partition")                                                                     \
    X(dropped, "message of the masters lost")                                                      \
    X(doubled, "message of the masters doubled")                                                   \
    X(unknown_txns, "unknown outcome of a transaction")                                            \
    X(compacted, "watch compacted")                                                                \
    X(sessions_lost, "session expired")                                                            \
    X(slow_disks, "slow disk")                                                                     \
    X(clock_jumps, "clock jump")                                                                   \
    X(records, "change of the shard's record")                                                     \
    X(register_reads, "linearizable read of the store")

#define CLUSTER_DISK_COUNTS(X)                                                                     \
    X(lost_sectors, "un-synced sector or name of a master lost")                                   \
    X(full, "disk full")                                                                           \
    X(failed_syncs, "failed sync of a master")                                                     \
    X(members, "change of members")                                                                \
    X(old_copies, "store restored from an old copy")                                               \
    X(old_refused, "old copy refused")
#define CLUSTER_API_COUNTS(X)                                                                      \
    X(api_cut, "API not reached by a node")                                                        \
    X(api_gone, "API not reached by any")                                                          \
    X(api_slow, "API slow")                                                                        \
    X(api_stale, "API server behind")                                                              \
    X(api_restarts, "API server restarted")                                                        \
    X(api_compacted, "etcd compacted")                                                             \
    X(api_restored, "etcd restored from an older copy")                                            \
    X(api_lost, "answer of the API lost")                                                          \
    X(api_unsent, "request to the API lost")                                                       \
    X(api_late, "write that lands late")                                                           \
    X(api_429, "429")                                                                              \
    X(api_5xx, "5xx before the write")                                                             \
    X(api_5xx_done, "5xx after the write")                                                         \
    X(api_silent, "watch silent")                                                                  \
    X(api_torn, "watch that breaks or ends")                                                       \
    X(api_410, "410 of a watch")                                                                   \
    X(api_409, "409 of a write of the root")                                                       \
    X(record_lost, "un-synced record of a control node lost")                                      \
    X(record_failed, "failed sync of a control node's record")
#ifdef CLUSTER_K8S
#define CLUSTER_OWN_COUNTS CLUSTER_API_COUNTS
#else
#define CLUSTER_OWN_COUNTS CLUSTER_DISK_COUNTS
#endif

typedef struct cluster_report {
    uint64_t seed, digest, steps;
    struct repl_sim_report *repl;
#define X(name, text) uint64_t name;
    CLUSTER_COUNTS(X)
    CLUSTER_DISK_COUNTS(X)
    CLUSTER_API_COUNTS(X)
#undef X
} cluster_report;

/* Runs a schedule, or a named scenario; 0, or 1 with repl->violation. */
int cluster_sim_run(uint64_t seed, const char *scenario, bool trace, cluster_report *out);

/* The named scenarios, those of any store and those of this one; end with name NULL. */
typedef struct cluster_scenario {
    const char *name, *what;
    void (*run)(cluster *x);
    uint32_t replicas; /* least number of the index */
} cluster_scenario;
extern const cluster_scenario cluster_scenarios[], cluster_scenarios_own[];
/* The i-th of all, NULL: there are not so many. */
const cluster_scenario *cluster_scenario_at(size_t i);

#endif
