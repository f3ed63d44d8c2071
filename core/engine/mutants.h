/*
 * mutants.h: rules of the engine that tests break one at a time, to see that they are caught
 * (check/mutant.h).
 */
#ifndef QD_ENGINE_MUTANTS_H
#define QD_ENGINE_MUTANTS_H

#include <check/mutant.h>

#define ENGINE_MUTANTS(X, S)                                                                       \
    X(S, REPLAY_OLDEST_FIRST, "the oldest record of a number wins")                                \
    X(S, REPLAY_ANY_BYTES, "two operations of one number and term pass")                           \
    X(S, NO_TERM_CHECK, "a replica takes operations of an older term")                             \
    X(S, TERM_NOT_PERSISTED, "a raised term is in memory only")                                    \
    X(S, REFRESH_ABOVE, "a refresh shows operations above the global checkpoint")                  \
    X(S, NO_TRIM, "the end of a resync discards nothing")                                          \
    X(S, ROLLBACK_KEEPS_BUFFER, "a roll-back keeps what was buffered")                             \
    X(S, ROLLBACK_TRIMS, "a roll-back discards records at once")                                   \
    X(S, GAPS_OLD_TERM, "gaps are filled in the term before")                                      \
    X(S, GAPS_OPEN, "gaps are not filled")                                                         \
    X(S, CHECKPOINT_FALLS, "a lower global checkpoint is taken")                                   \
    X(S, CHECKPOINT_AHEAD, "a replica takes a checkpoint above what it has")                       \
    X(S, INSTALL_UNSYNCED, "a commit point names files that are not durable")                      \
    X(S, TRIM_UNCOVERED, "a replica's translog goes before its segments are durable")              \
    X(S, LEASE_IGNORED, "leases retain nothing")                                                   \
    X(S, HELD_REMOVED, "files that are still named are removed")                                   \
    X(S, APPEND_UNSYNCED, "a replica counts records as durable before their sync")                 \
    X(S, SKIP_ANY_TERM, "what is at or below the checkpoint is passed over unseen")                \
    X(S, PERSISTED_FROM_PROCESSED, "a sync calls all durable that was processed meanwhile")        \
    X(S, SECOND_SYNC_BELIEVED, "a sync behind one that failed proves a log's tail")                \
    X(S, NOT_SET_BACK, "a copy that is opened, or recovers, keeps what is above the checkpoint")   \
    X(S, OPEN_NOT_SET_BACK, "the first half of it")                                                \
    X(S, CONFLICT_UNSYNCED, "a conflict shows what is not durable yet")

QD_MUTANTS(engine, ENGINE_MUTANTS);

#endif
