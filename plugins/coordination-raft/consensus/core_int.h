/*
 * core_int.h: what the files of the core share.
 *
 *   core.c       life, actions, time, writes
 *   elect.c      terms, votes, roles
 *   follow.c     a follower's log
 *   lead.c       a leader's: entries to peers, commit, members, hand-over
 *   reads.c      linearizable reads
 *   transfer.c   snapshots between peers
 *   invariants.c what holds between two calls
 */
#ifndef COORDINATION_RAFT_CORE_INT_H
#define COORDINATION_RAFT_CORE_INT_H

#include "core.h"
#include "mutants.h"
#include <check/invariant.h>

enum { CR_PROBE, CR_STREAM, CR_SENDING };

typedef struct cr_sent {
    uint64_t last;
    uint64_t bytes;
} cr_sent;

/* What the leader knows of another member; in an election, its answer. */
typedef struct cr_peer {
    uint64_t id;
    uint32_t role, state;
    int paused;  /* PROBE: wait for an answer or the next beat */
    int nospace; /* its disk is full */
    int answer;  /* 1 granted, -1 refused */
    uint64_t next, match;
    uint64_t heard, round;
    cr_sent *window; /* a ring of messages under way */
    uint32_t window_first, window_n;
    uint64_t window_bytes;
    /* SENDING */
    uint64_t snapshot, snapshot_term, offset, total, chunk_at; /* chunk_at: when it was sent */
    cr_members *members;
    uint32_t chunk_bytes;
    int asked, under_way; /* a chunk: asked of the shell, sent and not answered */
} cr_peer;

typedef struct cr_change_of_members {
    uint64_t index;
    cr_members *members;
} cr_change_of_members;

typedef struct cr_held {
    struct cr_held *next;
    uint64_t after; /* this change of term or vote must be durable first */
    cr_message message;
} cr_held;

typedef struct cr_pending_write {
    uint64_t seq, last, hard; /* hard: the change of term or vote that it holds */
    int chunk;
} cr_pending_write;

typedef struct cr_read {
    uint64_t token, round, index;
} cr_read;

struct cr_core {
    cr_core_config config;
    const cr_heap *heap;
    uint64_t random[4];
    uint64_t now;
    uint64_t loaded;            /* the log's end on the disk at the start */
    int started, failed, space; /* failed: CR_FAILED_... */

    uint64_t term, vote;
    uint32_t role;
    uint64_t leader;
    uint64_t told_term, told_leader;
    uint32_t told_role;
    cr_log log;
    uint64_t commit, handed; /* handed: to apply */
    uint64_t durable;        /* the log is, up to here */
    uint64_t agreed;         /* follower: equal to the leader's log up to here */

    cr_change_of_members *lists; /* by index; the first is that of the base or older */
    uint32_t nlists, lists_cap;
    uint64_t snapshot, snapshot_term;
    cr_members *snapshot_members;

    cr_peer *peers; /* all members but this node, by id */
    uint32_t npeers;
    uint64_t election_at, heard_leader;
    int heard; /* heard_leader counts */
    /* leader */
    uint64_t first; /* index of its first entry */
    uint64_t beat_at, check_at;
    uint64_t disk_durable, disk_at; /* since then, committed entries behind it are not durable */
    uint64_t disk_probe;            /* an entry that shows whose disk takes some; 0: none */
    uint64_t to, to_until;          /* hand-over */
    int to_told;                    /* TIMEOUT_NOW was sent */
    uint64_t round;
    cr_read *reads;
    uint32_t nreads, reads_cap;
    int commit_news;
    int transferring; /* candidate by the leader's wish */

    /* a snapshot coming in */
    struct {
        uint64_t index, term, total, offset;
        uint32_t bytes; /* of the chunk being written; 0: none */
        int last, installing;
        uint64_t from, seq;
        cr_members *members;
    } in;

    /* writes */
    uint64_t seq, written;
    int hard_dirty, reset_dirty, cut_dirty, drop_dirty;
    uint64_t hard, hard_durable; /* changes of term and vote, counted */
    uint64_t cut, drop, issued;  /* issued: entries up to here were given to a write */
    cr_pending_write *writes;
    uint32_t nwrites, writes_cap;
    cr_held *held_first, *held_last;

    cr_action *actions; /* a queue */
    uint32_t actions_first, nactions, actions_cap;
    cr_action current;
    int has_current;
};

/* --- core.c --- */
cr_action *cr_act(cr_core *c, uint32_t type);
/* Sends, when the term is durable; the message's contents are taken over. */
void cr_say_to(cr_core *c, cr_message *m);
/* The end: nothing is said, written or applied any more. */
void cr_fail(cr_core *c, int why);
/* A write is under way. */
void cr_write_pending(cr_core *c, uint64_t seq, uint64_t last, uint64_t hard, int chunk);
/* Term or vote changed. */
void cr_hard_changed(cr_core *c);
/* Log: append (takes the reference), cut above index. Members follow. */
void cr_append(cr_core *c, cr_log_entry *e);
void cr_cut(cr_core *c, uint64_t index);
cr_members *cr_members_now(const cr_core *c);
/* Makes the peers those of the members in force; what is known of them stays. */
void cr_peers_update(cr_core *c);
cr_peer *cr_peer_find(const cr_core *c, uint64_t id);
/* Notes a list of members as of index; takes the reference. */
void cr_members_push(cr_core *c, uint64_t index, cr_members *m);
uint64_t cr_random(cr_core *c, uint64_t below);
/* The n-th largest of values, n counted from 1. Sorts them. */
uint64_t cr_nth(uint64_t *values, uint32_t count, uint32_t n);
static inline uint32_t cr_quorum(const cr_members *m)
{
    return m->voters / 2 + 1;
}

/* --- invariants.c --- */
/* Looks at all relations of a core that is between two calls; ends the process when one is broken.
 */
void cr_core_holds(const cr_core *c);

/* --- elect.c --- */
void cr_follow(cr_core *c, uint64_t term, uint64_t leader);
void cr_campaign(cr_core *c, int real, int transfer);
/* A voter, or one whose removal may not be committed: it may be the only one who can (thesis
 * 4.2.2). */
int cr_may_campaign(const cr_core *c);
void cr_on_vote(cr_core *c, cr_message *m);
void cr_on_vote_answer(cr_core *c, cr_message *m);
/* Counts votes again: the term is durable, or an answer came. */
void cr_count_votes(cr_core *c);
void cr_election_restart(cr_core *c);
/* 1 while a leader is heard of. */
int cr_leader_near(const cr_core *c);

/* --- follow.c --- */
void cr_on_append(cr_core *c, cr_message *m);
/* Tells the leader how far the log is durable. */
void cr_tell_durable(cr_core *c);

/* --- lead.c --- */
void cr_lead(cr_core *c);
void cr_on_append_answer(cr_core *c, cr_peer *p, cr_message *m);
/* Sends what a peer may get; beat: something, in any case. */
void cr_feed(cr_core *c, cr_peer *p, int beat);
void cr_feed_all(cr_core *c, int beat);
void cr_commit_more(cr_core *c);
void cr_lead_tick(cr_core *c);
void cr_hand_over_end(cr_core *c, int32_t rc);
/* Entries up to here may go: not those behind floor that peers need who are catching up, or it
 * never ends. */
uint64_t cr_hold(const cr_core *c, uint64_t keep, uint64_t floor);
void cr_window_clear(cr_peer *p);

/* --- reads.c --- */
void cr_reads_turn(cr_core *c);
void cr_reads_fail(cr_core *c);

/* --- transfer.c --- */
void cr_sending_begin(cr_core *c, cr_peer *p);
void cr_sending_feed(cr_core *c, cr_peer *p);
void cr_on_snapshot(cr_core *c, cr_message *m);
void cr_on_snapshot_answer(cr_core *c, cr_peer *p, cr_message *m);
void cr_chunk_written(cr_core *c);
void cr_incoming_forget(cr_core *c);

#endif
