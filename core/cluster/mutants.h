/*
 * mutants.h: rules of the cluster state's code that tests break one at a time (check/mutant.h):
 * those of the state, for the simulation of a cluster, and those of a hand-over between two stores
 * (tests/unit/cluster/handover_t.c).
 */
#ifndef QD_CLUSTER_MUTANTS_H
#define QD_CLUSTER_MUTANTS_H

#include <check/mutant.h>

#define CLUSTER_STATE_MUTANTS(X, S)                                                                \
    X(S, PROMOTE_OUT_OF_SYNC, "a copy that was never in sync becomes primary")                     \
    X(S, TERM_KEPT, "a new primary under the old term")                                            \
    X(S, PRIMARY_UNNAMED, "a change of a primary's whatever term it has")                          \
    X(S, NO_COMPARE, "a shard's record is put over whatever is there")                             \
    X(S, NO_FENCE, "the allocator names no token of its election")                                 \
    X(S, RETRY_IS_NEW, "after an unknown outcome: the change under a new id")                      \
    X(S, SILENT_IS_GONE, "of a node that is silent the session is closed")                         \
    X(S, NODES_STAY, "copies of nodes that left stay where they were")                             \
    X(S, GAP_IGNORED, "a watch that lacks history goes on without it")                             \
    X(S, OLDER_TAKEN, "a state older than one acted on is acted on")                               \
    X(S, JOINS_UNASKED, "whatever formats the cluster writes by then")

#define CLUSTER_HANDOVER_MUTANTS(X, S)                                                             \
    X(S, NO_REST, "decided without the sealed store's last changes")                               \
    X(S, COPY_TRUSTED, "... without comparing the copy")                                           \
    X(S, EARLY_SEAL, "sealed without a clean comparison")                                          \
    X(S, SEAL_ASSUMED, "a seal whose outcome is unknown is taken for done")                        \
    X(S, VOID_ASSUMED, "the same of making the mirror void")                                       \
    X(S, FAILED_IS_NOT, "a decision without an answer is taken for not made")                      \
    X(S, UNSEAL_FIRST, "unsealed whatever the other store says")                                   \
    X(S, TARGET_ANY, "any mirror takes over for a sealed store")

#define CLUSTER_MUTANTS(X, S) CLUSTER_STATE_MUTANTS(X, S) CLUSTER_HANDOVER_MUTANTS(X, S)
QD_MUTANTS(cluster, CLUSTER_MUTANTS);

#endif
