/*
 * mutants.h: rules of replication that simulations break one at a time (check/mutant.h): those of
 * the two machines, which the simulation of replication alone finds, and those of the shell around
 * them, for the simulation of whole nodes.
 */
#ifndef QD_REPLICATION_MUTANTS_H
#define QD_REPLICATION_MUTANTS_H

#include <check/mutant.h>

#define REPL_MACHINE_MUTANTS(X, S)                                                                 \
    X(S, ACK_BEFORE_FSYNC, "the primary acknowledges what its disk does not have")                 \
    X(S, COPY_ACK_BEFORE_FSYNC, "a copy answers what its disk does not have")                      \
    X(S, PROMOTE_OUT_OF_SYNC, "any copy may become primary")                                       \
    X(S, NO_TERM_CHECK, "a copy serves senders of lower terms")                                    \
    X(S, NO_READ_LEASE, "realtime reads ask nobody")                                               \
    X(S, LEASE_BEFORE_READ, "the lease is looked at first, then the value is read")                \
    X(S, READ_UNREPLICATED, "a read shows what copies do not have yet")                            \
    X(S, PROMOTE_WITHIN_LEASE, "a copy acts as primary within the lease it gave")                  \
    X(S, REFRESH_ABOVE, "segments above the global checkpoint are published")                      \
    X(S, SNAPSHOT_FIRST, "recovery: snapshot, then tracking")                                      \
    X(S, ADMIT_EARLY, "in sync before it has what was acknowledged")                               \
    X(S, REMOVAL_NOT_AWAITED, "acknowledged while the failed copy is still in sync")               \
    X(S, RESYNC_NO_TRIM, "a resync leaves what the new primary does not have")                     \
    X(S, RECOVERY_NO_TRIM, "the same of a recovery by operations")                                 \
    X(S, REQUEST_TERM_AS_RECORD, "records get the sender's term, not their own")                   \
    X(S, NO_RESYNC, "a new primary begins at once")                                                \
    X(S, NO_GAP_FILL, "a new primary leaves holes in its log")                                     \
    X(S, HANDOVER_UNDRAINED, "relocation while writes are under way")                              \
    X(S, START_BEHIND_REFRESH, "a copy starts without what refreshes have shown")                  \
    X(S, HISTORY_IGNORED, "operations only, onto another history")                                 \
    X(S, REFUSED_IS_OUT, "a refused change is taken as \"not in the set\"")                        \
    X(S, UNSTARTED_PRIMARY, "a new copy acknowledges before it has started")                       \
    X(S, SEARCH_BEHIND, "an opened primary is searched before it is back")                         \
    X(S, JOIN_OLD_ROUND, "a read counts answers to what was asked before it came")

#define REPL_SHELL_MUTANTS(X, S)                                                                   \
    X(S, OK_WHATEVER_TERM, "a copy answers OK whatever term it obeys by now")                      \
    X(S, RESYNC_NO_ROLL_BACK, "the first part of a resync sets nothing back")                      \
    X(S, RESYNC_UNSYNCED, "parts of a resync are answered before their sync")                      \
    X(S, PUBLISH_UNSHOWN, "a copy says that it shows what it has not installed")                   \
    X(S, RECOVERY_NOT_SET_BACK, "a recovering copy keeps what it had")                             \
    X(S, RECOVERY_UNSYNCED, "it says that it has what it did not sync")                            \
    X(S, UNKNOWN_IS_OK, "a batch that ended unknown is acknowledged")                              \
    X(S, DEPOSED_IS_OK, "so is one that was applied by a primary that is none now")                \
    X(S, NOT_FOUND_AT_ONCE, "\"not found\" waits for nothing")                                     \
    X(S, PLAIN_BESIDE_TRACKED, "writers that gather nothing go on when a copy is tracked")         \
    X(S, REFRESH_HERE_ONLY, "a refresh does not wait for copies")                                  \
    X(S, CHANGE_ASSUMED, "a change of the record without an answer counts as done")                \
    X(S, CHECKPOINT_OF_OWN, "copies are told the primary's checkpoint as the global one")          \
    X(S, FINAL_UNASKED, "the source admits whoever asks, whatever it has")                         \
    X(S, READ_BY_LEASE, "a lease by the primary's own clock is enough for a read")                 \
    X(S, SENT_IS_SHOWN, "a publication that was sent counts as shown")                             \
    X(S, KNOWN_IGNORED, "a checkpoint above the log of the primary proves nothing")                \
    X(S, READ_ANY_TERM, "a round for reads is answered whoever asks")                              \
    X(S, GAPS_COUNTED, "a copy tells its highest number, whatever lacks below")                    \
    X(S, COMMIT_UNSYNCED, "a write ends without a sync of this node's log")                        \
    X(S, SENT_NOTHING, "the source takes a copy for filled that it sent no operations")            \
    X(S, SENT_IS_CONFIRMED, "operations that were sent count as confirmed")                        \
    X(S, AWAY_IGNORED, "a new primary counts the copies that are there, not the set")              \
    X(S, LEAD_ALL_GLOBAL, "it calls all acknowledged that it has")                                 \
    X(S, LEFT_IGNORED, "a refresh waits for nobody who may search a copy that has left")

#define REPL_MUTANTS(X, S) REPL_MACHINE_MUTANTS(X, S) REPL_SHELL_MUTANTS(X, S)
QD_MUTANTS(repl, REPL_MUTANTS);

#endif
