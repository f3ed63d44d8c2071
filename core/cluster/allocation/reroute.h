/*
 * reroute.h: commands of people about copies of shards (`_cluster/reroute`). They are carried out
 * by the node that is asked, as one transaction on the shards' records; the elected allocator sees
 * the new records like any others and does the rest.
 */
#ifndef QD_CLUSTER_REROUTE_H
#define QD_CLUSTER_REROUTE_H

#include "cluster/allocation/alloc_view.h"
#include "cluster/allocation/command.h"
#include "cluster/cluster.h"

/* A record as commands leave it. */
typedef struct qd_reroute_record {
    uint32_t index, number; /* place of the index in the state */
    qd_shard_meta shard;
} qd_reroute_record;

typedef struct qd_reroute {
    const qd_alloc_command *commands;
    uint32_t n;
    bool retry_failed, explain, dry_run;
    qd_alloc_facts facts;
    /* out, in the arena: */
    qd_alloc_command_word *words;
    const qd_reroute_record *records; /* those that change */
    uint32_t nrecords;
} qd_reroute;

/* Carries the commands out, all or none; dry_run: only says what would be. *out (may be NULL) gets
 * the state: of dry_run the one that the places in records mean, else the applied one. [worker]
 * Errors of qd_allocation_commands and of qd_coord_commit. */
QD_MUST_CHECK
int qd_cluster_reroute_run(qd_cluster *c, qd_reroute *r, qd_arena *arena, qd_state **out,
                           qd_err *err);

#endif
