/*
 * consensus.h: the plugin's narrow view of consensus: a durable log of entries that all members
 * apply in the same order, on one thread.
 *
 * All functions and callbacks run on the loop's thread, but for open (before the loop runs) and
 * snapshot_write (a thread of the engine's). Callbacks may call every function but close; proposals
 * and reads never end inside the call that began them.
 *
 * Who talks to whom: members know each other by id (random, 63 bits, never used again) and by an
 * address, a text that only the caller understands. Bytes that go to a peer come out by `send`;
 * what the peer's send gave goes in there by cr_consensus_receive. They may be lost, doubled,
 * delayed and reordered, not altered; they carry the cluster's id, and those of another cluster, of
 * a life before a recovery, or malformed, are dropped and counted.
 */
#ifndef COORDINATION_COMMON_CONSENSUS_H
#define COORDINATION_COMMON_CONSENSUS_H

#include "members.h"
#include "snapshot.h"
#include <uv.h>

typedef struct cr_consensus cr_consensus;

enum { CR_MESSAGE_MAX = (4 << 20) + 65536 }; /* bytes that `send` gives at most */
enum { CR_WHY = 512 };                       /* room for a reason */

/* What may be done with an empty folder, and with one that is not. */
enum {
    CR_OPEN_THERE, /* a log must be there: QD_E_NOTFOUND when there is none */
    CR_OPEN_FORM,  /* an empty one is formed with `first` as its members (each of them with the same
                      list, or one of them alone with itself, who then adds the others) */
    CR_OPEN_JOIN,  /* an empty one waits to be added by a leader: stand-by, then voter */
    CR_OPEN_RECOVER /* members are forced to this node alone, and all of its log is taken as
                       committed: entries that only others had are lost, others that live on are
                       another cluster from now on (cr_consensus_view.recoveries is raised). Term
                       and index go on. Only by an operator's order. */
};

typedef struct cr_consensus_config {
    uv_loop_t *loop;
    const cr_heap *heap;
    const char *dir; /* its own, there already */
    uint64_t id;
    uint32_t how;           /* CR_OPEN_... */
    uint8_t cluster[16];    /* the same for all members */
    uint64_t recoveries;    /* JOIN: as the leader's view says; else 0 */
    const cr_member *first; /* FORM: this node among them, all voters; borrow */
    uint32_t nfirst;
    uint64_t seed;    /* random: of the election's waits */
    uint64_t applied; /* the state holds all up to here already; apply goes on behind it */
    uint32_t election_ms, heartbeat_ms, snapshot_entries, segment_bytes;
    void *arg;
    /* A committed entry; each once and in order. A code other than 0 stops the engine. */
    int32_t (*apply)(void *arg, uint64_t index, const uint8_t *entry, size_t n);
    /* Leader of a new term, or no more (term 0). */
    void (*lead)(void *arg, uint64_t term);
    /* Something that the view shows changed: leader, term, role, members. */
    void (*changed)(void *arg);
    /* Bytes for a member; borrow. NULL: there are no peers. */
    void (*send)(void *arg, uint64_t to, qd_str address, const uint8_t *p, size_t n);
    /* Damage that was found and mended, or that concerns nobody; a disk that is full, or has room
     * again. */
    void (*warn)(void *arg, const char *text);
    /* The engine cannot go on; nothing more will be applied, this node votes no more. */
    void (*failed)(void *arg, const char *why);
    /* Takes hold of the state at an index; NULL: not now. */
    void *(*snapshot_begin)(void *arg, uint64_t index);
    /* Writes it out, on a thread of the engine's. 0 or a negative code. */
    int32_t (*snapshot_write)(void *snapshot, cr_pieces *out);
    void (*snapshot_end)(void *snapshot);
    /* Replaces the state by a snapshot (all pieces, one after the other; their checksums were
     * looked at): at open when it is newer than `applied`, later when the leader sent one. 0 or a
     * negative code. */
    int32_t (*restore)(void *arg, const uint8_t *p, size_t n);
} cr_consensus_config;

/* An entry, or a change of members, under way; the caller's memory until done. */
typedef struct cr_proposal {
    struct cr_proposal *next; /* the engine's */
    uint64_t index, term;     /* its place */
    int64_t until;            /* the engine's */
    /* 0: applied just now (on this thread: apply was the call before this one).
     * QD_E_NOT_LEADER: certainly never. QD_E_UNKNOWN_OUTCOME: it may or may not be, now or later.
     * Of changes of members also what cr_consensus_change names. */
    void (*done)(struct cr_proposal *p, int32_t rc);
} cr_proposal;

/* A linearizable read under way; the caller's memory until done. */
typedef struct cr_read_wait {
    struct cr_read_wait *next; /* the engine's */
    uint64_t token, index;
    int soft;  /* asks for no state, but whether this node leads, for sessions' time and members,
                * which a new leader begins anew: nobody who leads instead had heard of it */
    int early; /* asks for nothing but that this node leads: what is applied is not waited for */
    /* 0: what is applied now holds all that was committed when the read began.
     * QD_E_NOT_LEADER: leadership went, ask who leads now. */
    void (*done)(struct cr_read_wait *r, int32_t rc);
} cr_read_wait;

/* What it knows at this moment. Texts borrow until the next callback. */
typedef struct cr_consensus_view {
    uint64_t id, term, leader; /* leader: id, 0 unknown */
    qd_str leader_address;
    int leads;
    uint32_t role;                     /* of this node: QD_COORD_VOTER ..., 0: not a member */
    uint64_t applied, committed, last; /* indices of the log */
    uint64_t durable;                  /* on this node's disk */
    uint64_t snapshot;                 /* the newest one's index */
    uint64_t recoveries;               /* of the cluster: forced ones */
    const cr_members *members;         /* in force; NULL: none yet. Borrow */
    int changing;                      /* a change of members is not yet committed */
    int space;                         /* 0: the disk is full, nothing is taken */
    int failed;
    uint64_t dropped; /* messages of others, or malformed */
} cr_consensus_view;

/* What a leader knows of a member. */
typedef struct cr_consensus_peer {
    uint64_t durable;  /* its log agrees and is durable up to here */
    uint64_t heard_ms; /* ago */
    int full;          /* its disk is */
    int caught_up;     /* may become a voter now */
} cr_consensus_peer;

/* Opens the log, brings the state to the newest snapshot if that is ahead of `applied`. A log that
 * lost what it had acknowledged, is damaged or does not reach `applied` is refused. On an error
 * nothing is left open. QD_E_CORRUPT, QD_E_IO, QD_E_NOSPACE, QD_E_NOMEM, QD_E_NOTFOUND,
 * QD_E_CONFLICT (FORM or JOIN on what another cluster or node left). why: CR_WHY bytes. */
int32_t cr_consensus_open(const cr_consensus_config *c, cr_consensus **out, char *why);
/* Ends it; proposals and reads end first, then done(arg). Hand leadership over before. */
void cr_consensus_close(cr_consensus *c, void (*done)(void *arg), void *arg);

/* Proposes an entry (copied). Many may be under way; what is proposed while the disk is busy goes
 * there together. A code other than 0: certainly not, and done will not run: QD_E_NOT_LEADER,
 * QD_E_NOSPACE, QD_E_NOMEM, QD_E_REJECTED (leadership is being handed over: ask who leads, soon),
 * QD_E_NO_COORDINATION (the engine failed). */
int32_t cr_consensus_propose(cr_consensus *c, cr_proposal *p, const uint8_t *entry, size_t n);
/* Asks for a linearizable read without an entry: reads of one turn share one round to the majority.
 * A code other than 0: done will not run: QD_E_NOT_LEADER, QD_E_NO_COORDINATION. */
int32_t cr_consensus_read(cr_consensus *c, cr_read_wait *r);
/* 1 when this node leads and is the only voter, with an entry of its term applied: what it has
 * applied is all there is, so that a read of it is linearizable. */
int cr_consensus_sole(const cr_consensus *c);
/* 1 while an entry that is proposed now would only wait for others: it may grow instead. The
 * caller's loop turns (store dirty) when that ends. */
int cr_consensus_crowded(const cr_consensus *c);

/* A peer's bytes. */
void cr_consensus_receive(cr_consensus *c, const uint8_t *p, size_t n);
/* A peer's process is certainly gone (its connection was closed and dialling refused): when it led,
 * an election begins soon instead of after a time-out. */
void cr_consensus_gone(cr_consensus *c, uint64_t id);

/* What it knows. */
void cr_consensus_look(const cr_consensus *c, cr_consensus_view *out);
/* Of a member, on the leader. QD_E_NOT_LEADER, QD_E_NOTFOUND. */
int32_t cr_consensus_peer_look(const cr_consensus *c, uint64_t id, cr_consensus_peer *out);
/* Adds a member (as stand-by or spare), gives one another role, name or address, or removes it;
 * texts are copied. Waits its turn and until a voter to be has caught up, wait_ms at most; then
 * done. One who leads and removes itself stops leading once that is committed. A code other than 0:
 * done will not run: QD_E_NOT_LEADER, QD_E_NO_COORDINATION, QD_E_NOMEM. done's codes also:
 * QD_E_NOTFOUND (no such member), QD_E_EXISTS (it is so already), QD_E_ARG (a new member as voter;
 * the last voter), QD_E_TIMEOUT (another change, or it did not catch up), QD_E_NOSPACE. */
int32_t cr_consensus_change(cr_consensus *c, cr_proposal *p, const cr_member *m, int remove,
                            uint32_t wait_ms);
/* Hands leadership over to a voter, 0: to the one that lags least. done(arg, 0) when another term
 * began, QD_E_TIMEOUT, QD_E_CANCELLED. A code other than 0: done will not run: QD_E_NOT_LEADER,
 * QD_E_NOTFOUND (no such voter), QD_E_CONFLICT (one is under way). */
int32_t cr_consensus_hand_over(cr_consensus *c, uint64_t to, void (*done)(void *arg, int32_t rc),
                               void *arg);
/* Whether there is room on the disk, as the caller sees it; the engine looks itself, too. Without,
 * a leader hands over and takes no entries, a follower takes none. */
void cr_consensus_space(cr_consensus *c, int there);
/* Asks for a snapshot with the next entry, as much was written. */
void cr_consensus_snapshot_soon(cr_consensus *c);

/* Last index of the log. */
uint64_t cr_consensus_last(const cr_consensus *c);
/* The last index known to have been durable; at the start from the life before. */
uint64_t cr_consensus_durable(const cr_consensus *c);

#endif
