/*
 * consensus.h: the plugin's narrow view of a consensus engine, so that the engine can be exchanged:
 * a durable log of entries, applied in order on one thread. consensus_raft.c does it with libraft.
 *
 * All functions and callbacks run on the loop's thread, but for open (before the loop runs) and
 * snapshot_write (a thread of the engine's).
 */
#ifndef COORDINATION_RAFT_CONSENSUS_H
#define COORDINATION_RAFT_CONSENSUS_H

#include "snapshot.h"
#include <uv.h>

typedef struct cr_consensus cr_consensus;

typedef struct cr_consensus_config {
    uv_loop_t *loop;
    const cr_heap *heap;
    const char *dir;     /* its own, there already */
    const char *witness; /* a file beside it: what its files must hold */
    uint64_t id;
    int form; /* may begin a log where there is none */
    uint32_t election_ms, heartbeat_ms, snapshot_entries, segment_bytes;
    void *arg;
    /* A committed entry; each once and in order, also those of before the restart that the last
     * snapshot does not hold. A code other than 0 stops the engine. */
    int32_t (*apply)(void *arg, uint64_t index, const uint8_t *entry, size_t n);
    /* Leader of a new term, or no more (term 0). */
    void (*lead)(void *arg, uint64_t term);
    /* Damage that was found and mended, or that concerns nobody. */
    void (*warn)(void *arg, const char *text);
    /* The engine cannot go on; nothing more will be applied. */
    void (*failed)(void *arg, const char *why);
    /* Takes hold of the state at an index; NULL: not now. */
    void *(*snapshot_begin)(void *arg, uint64_t index);
    /* Writes it out, on a thread of the engine's. 0 or a negative code. */
    int32_t (*snapshot_write)(void *snapshot, cr_pieces *out);
    void (*snapshot_end)(void *snapshot);
    /* Replaces the state by a snapshot (all pieces, one after the other). 0 or a negative code. */
    int32_t (*restore)(void *arg, const uint8_t *p, size_t n);
} cr_consensus_config;

/* An entry under way; the caller's memory until done. */
typedef struct cr_proposal {
    void *engine; /* the engine's */
    /* 0: applied just now. QD_E_UNKNOWN_OUTCOME: it may or may not be, now or later. */
    void (*done)(struct cr_proposal *p, int32_t rc);
} cr_proposal;

/* Opens the log and applies what is in it. On an error nothing is left open. QD_E_CORRUPT, QD_E_IO,
 * QD_E_NOSPACE, QD_E_NOMEM, QD_E_NOTFOUND (no log, and form is 0). why: at least 256 bytes. */
int32_t cr_consensus_open(const cr_consensus_config *c, cr_consensus **out, char *why);
/* Ends it; proposals end first, then done(arg). */
void cr_consensus_close(cr_consensus *c, void (*done)(void *arg), void *arg);
/* Proposes an entry (a multiple of 8 bytes; copied). A code other than 0: certainly not, and done
 * will not run: QD_E_NOT_LEADER, QD_E_NOSPACE, QD_E_NOMEM, QD_E_NO_COORDINATION. */
int32_t cr_consensus_propose(cr_consensus *c, cr_proposal *p, const uint8_t *entry, size_t n);
/* 1 when this node leads and is the only voter: what it has applied is all there is, so that a
 * read of it is linearizable. */
int cr_consensus_sole(const cr_consensus *c);
/* Last index of the log. */
uint64_t cr_consensus_last(const cr_consensus *c);
/* The last index known to have been durable; at the start from the life before. */
uint64_t cr_consensus_durable(const cr_consensus *c);
/* Asks for a snapshot with the next entry, as much was written. */
void cr_consensus_snapshot_soon(cr_consensus *c);
/* Memory for pieces. */
void *cr_consensus_alloc(size_t n);
void cr_consensus_free(void *p);

#endif
