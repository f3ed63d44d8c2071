/*
 * core.h: Raft (Ongaro and Ousterhout 2014; Ongaro's thesis 2014 for pre-vote, read index, leader
 * transfer and changes of one server at a time) as a pure step function: no I/O, no clock, no
 * random number but its own seeded ones, no thread. What happens goes in by the functions below,
 * what is to be done comes out as actions; the shell does them in order.
 *
 * Rules that the shell keeps:
 * - CR_WRITE and CR_CHUNK actions are made durable in order, then cr_core_written tells so. One
 *   failed write is the end: cr_core_written with its code; nothing comes out after it.
 * - messages may be lost, doubled, delayed and reordered; never altered (the transport's checksum).
 * - after each call that puts something in, actions are taken until there are none.
 *
 * Rules that the core keeps (tests/sim/raft_sim.c checks them):
 * - nothing is said in a term that this node could forget: messages wait for the write of term and
 *   vote; an answer counts only entries that are durable here
 * - only entries of the leader's own term are committed by counting
 * - an entry is given to apply only when it is committed and durable on this node
 * - a change of members waits until the one before it and an entry of the leader's term are
 *   committed; it holds from the moment it is in the log, and is undone when cut off it
 * - votes are refused while a leader is heard of (but for a hand-over), so that who was cut off or
 *   removed disturbs nobody; a leader who hears no majority for an election timeout steps down
 *
 * Memory: what is in the log must be kept: by cr_must. Times are nanoseconds of a monotonic clock.
 */
#ifndef COORDINATION_RAFT_CORE_H
#define COORDINATION_RAFT_CORE_H

#include "log.h"
#include "members.h"

typedef struct cr_core cr_core;

enum { CR_FOLLOWER, CR_PRECANDIDATE, CR_CANDIDATE, CR_LEADER };

typedef struct cr_core_config {
    const cr_heap *heap;
    uint64_t id;                        /* of this node; never 0, never used again */
    uint64_t seed;                      /* of the election's random waits */
    uint64_t election_ns, heartbeat_ns; /* waits are election_ns to twice that */
    uint32_t trailing;                  /* entries kept behind a snapshot for who lags */
    uint32_t hold; /* entries kept, at most, for a peer that is catching up; 256 MiB of them */
    uint32_t message_bytes;   /* at most, of one message's entries or chunk */
    uint32_t window_messages; /* under way to one peer */
    uint64_t window_bytes;
} cr_core_config;

/* Numbers are part of the protocol. */
enum {
    CR_PREVOTE = 1,
    CR_PREVOTE_ANSWER = 2,
    CR_VOTE = 3,
    CR_VOTE_ANSWER = 4,
    CR_APPEND = 5,
    CR_APPEND_ANSWER = 6,
    CR_SNAPSHOT = 7,
    CR_SNAPSHOT_ANSWER = 8,
    CR_TIMEOUT_NOW = 9
};
enum {
    CR_M_REFUSED = 1,  /* answers: no */
    CR_M_TRANSFER = 2, /* CR_VOTE: the leader asked for it */
    CR_M_NOSPACE = 4,  /* CR_APPEND_ANSWER: there is no room here for entries */
    CR_M_LAST = 8      /* CR_SNAPSHOT: the last chunk */
};
/* One message; which fields mean what: docs/coordination-raft.md. */
typedef struct cr_message {
    uint32_t type, flags;
    uint64_t from, to, term;
    uint64_t index, log_term; /* APPEND: before the entries; VOTE: last of the log; SNAPSHOT: its
                                 place; APPEND_ANSWER: durable up to, or what was refused */
    uint64_t commit;
    uint64_t round;           /* of the leader's reads; answers give it back */
    uint64_t hint, hint_term; /* of a refused APPEND: where to try next */
    uint64_t offset, total;   /* SNAPSHOT: of the chunk; answer: wanted next */
    cr_log_entry **entries;   /* APPEND: each with a reference */
    uint32_t nentries;
    cr_members *members; /* SNAPSHOT; a reference */
    uint8_t *bytes;      /* SNAPSHOT: owned, of the core's heap */
    uint32_t nbytes;
} cr_message;

enum {
    CR_DO_WRITE = 1, /* log and term, durably */
    CR_DO_SEND = 2,
    CR_DO_APPLY = 3,       /* the next committed entry */
    CR_DO_ROLE = 4,        /* role, leader or term changed */
    CR_DO_READ = 5,        /* a read may go on once `index` is applied, or rc */
    CR_DO_CHUNK_READ = 6,  /* give bytes of the newest snapshot: cr_core_chunk */
    CR_DO_CHUNK_WRITE = 7, /* of a snapshot coming in, durably */
    CR_DO_INSTALL = 8,     /* it is whole: verify, restore, keep it; cr_core_installed */
    CR_DO_HAND_OVER = 9    /* a hand-over ended: rc */
};
/* What to do. The action, and all it points to, is valid until the next call of cr_core_next. */
typedef struct cr_action {
    uint32_t type;
    uint64_t seq; /* WRITE, CHUNK_WRITE: for cr_core_written */
    /* WRITE, in this order: term and vote if hard; reset: the log is empty and begins behind
     * (index, log_term); cut: entries above `cut` are gone; entries; drop: entries up to drop are
     * not needed any more. */
    int hard, reset, cuts, drops;
    uint64_t term, vote, index, log_term, cut, drop;
    cr_log_entry **entries; /* WRITE: nentries; APPLY: one */
    uint32_t nentries;
    cr_message *message; /* SEND */
    uint32_t role;       /* ROLE */
    uint64_t leader;     /* ROLE: 0 unknown */
    uint64_t token;      /* READ */
    int32_t rc;
    uint64_t peer;             /* CHUNK_READ */
    uint64_t offset, total;    /* CHUNK_READ, CHUNK_WRITE */
    const uint8_t *bytes;      /* CHUNK_WRITE */
    uint32_t nbytes, last;     /* CHUNK_WRITE; CHUNK_READ: nbytes at most */
    const cr_members *members; /* CHUNK_WRITE, INSTALL: at the snapshot */
} cr_action;

/* A core that knows nothing yet. */
cr_core *cr_core_make(const cr_core_config *config);
/* Frees it. NULL is fine. */
void cr_core_free(cr_core *c);

/* --- what was on the disk, in this order, before cr_core_start --- */
/* The newest snapshot. */
void cr_core_load_snapshot(cr_core *c, uint64_t index, uint64_t term, cr_members *members);
/* Term and vote. */
void cr_core_load_hard(cr_core *c, uint64_t term, uint64_t vote);
/* Where the log begins: behind (index, term). Entries that a snapshot replaced are forgotten. */
void cr_core_load_base(cr_core *c, uint64_t index, uint64_t term);
/* The log, in order; takes the reference. QD_E_CORRUPT: it does not follow the one before. */
int32_t cr_core_load_entry(cr_core *c, cr_log_entry *e);
/* Begins. applied: what the state machine has already. QD_E_CORRUPT when the log does not reach
 * it. */
int32_t cr_core_start(cr_core *c, uint64_t applied, uint64_t now);
/* Forms a new store whose only entry is this configuration: the same one on each of the first
 * members. QD_E_CONFLICT when there is a log, a term or a vote. Before cr_core_start. */
int32_t cr_core_form(cr_core *c, cr_members *members);
/* Forces the members to this list, with an entry of a new term at the log's end: an operator's last
 * resort. Before cr_core_start. */
void cr_core_recover(cr_core *c, cr_members *members);

/* --- what happens --- */
/* Time passes. */
void cr_core_tick(cr_core *c, uint64_t now);
/* When cr_core_tick is wanted at the latest; UINT64_MAX: never. */
uint64_t cr_core_deadline(const cr_core *c);
/* A message came; the core takes what it points to over. */
void cr_core_receive(cr_core *c, cr_message *m, uint64_t now);
/* A write is durable, or failed with rc, which ends the core. */
void cr_core_written(cr_core *c, uint64_t seq, int32_t rc, uint64_t now);
/* Proposes an entry; copied. Its place in *index and *term: it is committed when the entry applied
 * at that index has that term; else it never will be. QD_E_NOT_LEADER, QD_E_NOSPACE, QD_E_REJECTED
 * (a hand-over is under way: soon). */
int32_t cr_core_propose(cr_core *c, const uint8_t *bytes, uint32_t n, uint64_t *index,
                        uint64_t *term);
/* Proposes a change of one member: cr_members_changed says which are possible. *index as above.
 * QD_E_NOT_LEADER, QD_E_CONFLICT (another change is under way, or a voter to be has not caught
 * up), QD_E_ARG, QD_E_NOSPACE. */
int32_t cr_core_change(cr_core *c, const cr_member *m, int remove, uint64_t now, uint64_t *index,
                       uint64_t *term);
/* Asks for a linearizable read: CR_DO_READ with the token follows. QD_E_NOT_LEADER. */
int32_t cr_core_read(cr_core *c, uint64_t token);
/* Hands leadership over to a voter, 0: to the one that lags least. CR_DO_HAND_OVER follows.
 * QD_E_NOT_LEADER, QD_E_NOTFOUND (no such voter), QD_E_CONFLICT (one is under way). */
int32_t cr_core_hand_over(cr_core *c, uint64_t to, uint64_t now);
/* A peer's process is gone for certain: when it led, an election begins soon. */
void cr_core_gone(cr_core *c, uint64_t id, uint64_t now);
/* Whether there is room on the disk. Without it a leader hands over and takes no entries, a
 * follower takes none. */
void cr_core_space(cr_core *c, int there, uint64_t now);
/* The state up to an applied index is kept in a snapshot now. */
void cr_core_snapshotted(cr_core *c, uint64_t index);
/* Bytes of the newest snapshot for CR_DO_CHUNK_READ; copied. n 0: there are none now, try later. */
void cr_core_chunk(cr_core *c, uint64_t peer, uint64_t index, uint64_t offset, uint64_t total,
                   const uint8_t *bytes, uint32_t n);
/* The end of CR_DO_INSTALL: the state is the snapshot's, durably (0), or it was damaged: it will be
 * fetched again. */
void cr_core_installed(cr_core *c, int32_t rc, uint64_t now);

/* The next thing to do; NULL: nothing. */
const cr_action *cr_core_next(cr_core *c);

/* --- what it knows --- */
enum {
    CR_FAILED_WRITE = 1,
    CR_FAILED_CONTRADICTION = 2 /* a leader's log denies what was committed here */
};
typedef struct cr_core_view {
    uint32_t role, failed; /* failed: CR_FAILED_... */
    uint64_t term, vote, leader, commit, applied, last, durable, base, snapshot;
    const cr_members *members; /* in force */
    uint64_t members_index;
    int sole;  /* leads, the only voter, with an entry of its term committed */
    int ready; /* leads, with an entry of its term committed */
} cr_core_view;
void cr_core_look(const cr_core *c, cr_core_view *out);
/* What the leader knows of a peer: durable up to, and when it was last heard of. QD_E_NOTFOUND. */
int32_t cr_core_peer(const cr_core *c, uint64_t id, uint64_t *match, uint64_t *heard);
/* Members as of the newest snapshot; borrow until the next one. NULL: there is none. */
const cr_members *cr_core_snapshot_members(const cr_core *c);
/* 1 when a peer told this leader that its disk is full. */
int cr_core_peer_full(const cr_core *c, uint64_t id);
/* The oldest snapshot that is being sent to a peer; 0: none. */
uint64_t cr_core_sending(const cr_core *c);
/* Members in force at an index, from the newest snapshot on; borrow. NULL: not known. */
const cr_members *cr_core_members_at(const cr_core *c, uint64_t index);
/* Term of an entry; 0: not known. */
uint64_t cr_core_term_at(const cr_core *c, uint64_t index);

/* Frees what a message points to. */
void cr_message_clear(const cr_heap *h, cr_message *m);

#endif
