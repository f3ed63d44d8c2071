/*
 * mutants.h: rules of core, log and lives that the simulation of consensus breaks one at a time
 * (check/mutant.h).
 */
#ifndef COORDINATION_RAFT_MUTANTS_H
#define COORDINATION_RAFT_MUTANTS_H

#include <check/mutant.h>

#define RAFT_MUTANTS(X, S)                                                                         \
    X(S, COMMIT_OLD_TERM, "entries of old terms are committed by counting")                        \
    X(S, COUNT_NOT_DURABLE, "the leader counts its own entries before they are durable")           \
    X(S, ANSWER_NOT_DURABLE, "a follower's answer counts what is not yet durable")                 \
    X(S, SPEAK_BEFORE_HARD, "messages do not wait for term and vote")                              \
    X(S, VOTE_TWICE, "two votes in one term")                                                      \
    X(S, VOTE_FOR_SHORTER, "votes for a log that lacks entries")                                   \
    X(S, NO_PREVIOUS_CHECK, "appends without a look at the entry before")                          \
    X(S, MEMBERS_PENDING, "a change of members while another is under way")                        \
    X(S, MEMBERS_OLD_TERM, "a change of members before an entry of the term is committed")         \
    X(S, MEMBERS_NOT_UNDONE, "members that were cut off the log stay in force")                    \
    X(S, READ_WITHOUT_ROUND, "reads are answered at once")                                         \
    X(S, READ_OLD_TERM, "reads before an entry of the term is committed")                          \
    X(S, READ_OLD_ROUND, "a read joins a round that began before it")                              \
    X(S, SNAPSHOT_KEEPS_LOG, "a log that contradicts the snapshot stays")                          \
    X(S, COMMIT_BEYOND_MATCH, "a follower takes the leader's commit for entries not compared")     \
    X(S, STANDBY_COUNTS, "standbys count for the majority")                                        \
    X(S, TERM_FORGOTTEN, "a restart begins in term 0")                                             \
    X(S, INSTALL_OLD, "a snapshot is installed though the log has passed it")                      \
    X(S, WAL_NO_SYNC, "acknowledged before the log's sync")                                        \
    X(S, WAL_TORN_TAIL, "a batch is read though its checksum is wrong")                            \
    X(S, WAL_MISSING_SEGMENT, "a gap in the segments is read over")                                \
    X(S, WAL_HARD_LOST, "term and vote are not written")                                           \
    X(S, WAL_MARK_IGNORED, "an end before what the mark says is taken")                            \
    X(S, WAL_NAMES, "a new segment's name is not synced")                                          \
    X(S, WAL_ERROR_RETRIED, "after a failed sync it goes on as if nothing were")                   \
    X(S, WAL_TAIL_UNSYNCED, "what is read at an opening is taken as durable")                      \
    X(S, WAL_TAIL_BELIEVED, "it is synced, but not written once more")                             \
    X(S, LIFE_IGNORED, "an old copy of a folder is let in")

QD_MUTANTS(raft, RAFT_MUTANTS);

#endif
