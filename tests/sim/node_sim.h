/*
 * node_sim.h: whole nodes in a simulated world. Three data nodes and those that keep the cluster's
 * state (node_coord.c) run in one thread: actions, replication, shards, engine, translog, segments
 * and coordination-raft as they are, on crashing disks (lib/store_crash.h, raft_disk.h), over the
 * simulated network (rpc/sim_wire.h), with clocks of their own. Clients call qd_actions_submit;
 * faults, delays and choices come from one seed.
 */
#ifndef QD_TESTS_NODE_SIM_H
#define QD_TESTS_NODE_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What happened in a schedule: name, words. */
#define NODE_COUNTS(X)                                                                             \
    X(in_memory, "state in memory, on a node that never dies")                                     \
    X(raft, "state kept by three masters")                                                         \
    X(k8s, "state kept in objects of the Kubernetes API")                                          \
    X(with_data, "masters, or control nodes, are the nodes with data")                             \
    X(leaders, "change of the masters' leader")                                                    \
    X(master_kills, "process of a master killed")                                                  \
    X(master_power, "loss of power of a master")                                                   \
    X(master_lost, "un-synced sector or name of a master lost")                                    \
    X(master_syncs, "sync of a master's log that fails")                                           \
    X(api_faults, "fault of the Kubernetes API")                                                   \
    X(promotions, "promotion")                                                                     \
    X(rollbacks, "roll-back")                                                                      \
    X(relocations, "relocation")                                                                   \
    X(removals, "in-sync removal")                                                                 \
    X(recoveries, "recovery of a copy")                                                            \
    X(kills, "process killed")                                                                     \
    X(power_losses, "loss of power")                                                               \
    X(power_all, "loss of power of all nodes")                                                     \
    X(stops, "clean stop")                                                                         \
    X(partitions, "partition")                                                                     \
    X(freezes, "frozen process")                                                                   \
    X(suspends, "machine suspended, clocks too")                                                   \
    X(tiered, "index on a tier beside the nodes' own one")                                         \
    X(slow_disks, "slow disk")                                                                     \
    X(sync_errors, "sync that fails")                                                              \
    X(jumps, "wall clock jumps")                                                                   \
    X(plots, "faults that follow one another")                                                     \
    X(removal_cuts, "loss of power while a removal is asked for")                                  \
    X(removal_after, "loss of power right behind a removal")                                       \
    X(upgrades, "nodes of two versions")                                                           \
    X(upgraded, "node upgraded")                                                                   \
    X(downgraded, "node that got the older version back")                                          \
    X(finalized, "upgrade finalized")                                                              \
    X(refused_older, "node of the older version refused")                                          \
    X(upgrade_power, "loss of power during an upgrade")                                            \
    X(async, "durability: async")                                                                  \
    X(async_lost, "acknowledged under async, and lost by a crash")                                 \
    X(durability_changes, "durability changed from async to request")                              \
    X(both, "state that moves, masters and Kubernetes")                                            \
    X(migrations, "migration")                                                                     \
    X(migrated_back, "migration back")                                                             \
    X(migration_aborts, "migration given up")                                                      \
    X(migration_power, "loss of power during a migration")                                         \
    X(replica_changes, "number of replicas changed")                                               \
    X(writes, "acknowledged write")                                                                \
    X(unknown, "write of unknown outcome")                                                         \
    X(conflicts, "conflict")                                                                       \
    X(reads, "realtime get")                                                                       \
    X(reads_promotion, "realtime get during a promotion")                                          \
    X(reads_rollback, "realtime get during a roll-back")                                           \
    X(reads_relocation, "realtime get during a relocation")                                        \
    X(bulks, "bulk")                                                                               \
    X(refreshes, "refresh")                                                                        \
    X(searches, "search")                                                                          \
    X(calm, "search that must show what was refreshed")                                            \
    X(resizes, "index made of another one")                                                        \
    X(resize_power, "loss of power while an index is made of another one")                         \
    X(rollovers, "alias or data stream rolled over under writes")                                  \
    X(later_power, "loss of power around resizes and rollovers")                                   \
    X(looked_back, "folder of a restarted node looked back at")

typedef struct node_report {
    uint64_t seed, digest, steps, virtual_ms;
#define X(name, text) uint64_t name;
    NODE_COUNTS(X)
#undef X
    char violation[700];
} node_report;

/* Runs a schedule; 0, or 1 with report->violation. */
int node_sim_run(uint64_t seed, bool traced, node_report *report);

/* A schedule that is written down, for a rule that only a certain order of events shows broken. */
typedef struct node_scene {
    const char *rule;
    /* the second wall behind it, a mutant of this table: it is broken also when `rule` is as
     * it is */
    struct qd_mutant_set *beside_of; /* NULL: there is none */
    int beside;
    void (*run)(void *world);
} node_scene;
extern const node_scene node_scenes[];
extern const size_t node_scenes_n;
int node_scene_run(const node_scene *scene, uint64_t seed, bool traced, node_report *report);

#endif
