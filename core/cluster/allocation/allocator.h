/*
 * allocator.h: the loop that assigns copies to nodes. Every control node stands for the election
 * "allocator"; the winner follows the state, takes away copies whose node is gone (a started copy
 * in sync becomes primary in the same change), asks the allocation what to do with the rest, and
 * commits that in groups under the token of its election, so that a deposed one changes nothing.
 *
 * It runs when the state changes, when a time has come that the allocation named (delayed copies,
 * further attempts) and when a peer ends; it never polls. Control nodes watch the connections to
 * the nodes: of one whose process has ended for certain the session is closed at once.
 */
#ifndef QD_CLUSTER_ALLOCATOR_H
#define QD_CLUSTER_ALLOCATOR_H

#include "cluster/cluster.h"

struct qd_rpc;

#define QD_ELECTION_ALLOCATOR "allocator"

typedef struct qd_allocator qd_allocator;

/* Asks for a round although nothing has changed (reroute). [any] */
void qd_cluster_reroute(qd_cluster *c);

#endif
