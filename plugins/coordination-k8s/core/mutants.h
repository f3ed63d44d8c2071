/*
 * mutants.h: rules of the core over the Kubernetes API that simulations break one at a time
 * (check/mutant.h).
 */
#ifndef COORDINATION_K8S_MUTANTS_H
#define COORDINATION_K8S_MUTANTS_H

#include <check/mutant.h>

#define K8S_MUTANTS(X, S)                                                                          \
    X(S, TAKEOVER_NO_CAS, "a candidate writes over whatever root came meanwhile")                  \
    X(S, ANSWER_EARLY, "committed is told when the PUT is sent")                                   \
    X(S, FAILED_BY_READ, "the old version after an unknown outcome: told \"never\"")               \
    X(S, REFUSED_SETTLES, "a refused retry is taken to settle the PUT before it")                  \
    X(S, IDS_IGNORED, "after a conflict nothing is looked for, it is put again")                   \
    X(S, NEW_ID, "a retry under a new id")                                                         \
    X(S, COLLECT_NO_VERSION, "objects are deleted whatever version they have")                     \
    X(S, COLLECT_ONGOING, "the collector does not look at what is being written")                  \
    X(S, COLLECT_OLD_ROOT, "the collector goes by the root that it knows")                         \
    X(S, NO_TOUCH, "an object that is there already is taken as it is")                            \
    X(S, NO_CREATE_AGAIN, "one that went before the touch is taken to be there")                   \
    X(S, BLOBS_LATE, "the root is put before its objects were created")                            \
    X(S, STALE_TAKEN, "what a watch says is taken though it is old")                               \
    X(S, READ_SHARED, "a read joins a GET that began before it")                                   \
    X(S, READ_LOCAL, "a leader answers reads without a GET")                                       \
    X(S, SURE_LONG, "the lease counts from its answer, for as long as others wait")                \
    X(S, SURE_NO_WRITE, "the lease counts without a write of the root after it")                   \
    X(S, TAKEOVER_NO_LOOK, "a candidate does not read the lease before it takes over")             \
    X(S, TAIL_CUT_EARLY, "a checkpoint cuts entries that its pages do not hold")                   \
    X(S, RESTORE_SKIPPED, "a follower behind the tail goes on with the tail")                      \
    X(S, PEER_DAMAGE, "wrong bytes of another node are taken for damage of the state")

QD_MUTANTS(k8s, K8S_MUTANTS);

#endif
