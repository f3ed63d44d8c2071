/*
 * wal.h: the log on the disk: term and vote, entries, where it begins, and what this node knows of
 * the others' lives. Formats: docs/coordination-raft.md.
 *
 * Segments hold batches, each with a checksum that is seeded by the one before it, so that a batch
 * is read only behind all that came before. A batch is written behind the sync of the one before
 * it. Each opening begins a new segment, whose head says where the one before ended; each segment
 * begins with a checkpoint of all but the entries. The file `mark` says whose folder it is, and how
 * far it was durable: written behind each sync, itself synced only with a new segment, so that it
 * may lag, never lead.
 *
 * So at an opening: an old segment must be whole; the newest is read up to its end, or to where a
 * write was interrupted. Damage before that, a segment that is missing, a batch that the mark or a
 * later batch says was durable and is not there: refused, with the place. Nothing is mended.
 *
 * Threads: cr_wal_open and the loads before the rest; then cr_wal_write on one thread at a time,
 * cr_wal_prepare and cr_wal_clean on another one at a time.
 */
#ifndef COORDINATION_RAFT_WAL_H
#define COORDINATION_RAFT_WAL_H

#include "disk.h"
#include "log.h"

enum {
    CR_WAL_ENTRY_MAX = (1 << 20) + 4096, /* bytes of an entry */
    CR_WAL_SEGMENT_MIN = 2 << 20,
    CR_WAL_PEERS_MAX = 128,
    CR_WAL_LIVES = 64,
    CR_WAL_WHY = 512
};
#define CR_LIFE_BURNT UINT64_MAX /* of a peer that lost what it had promised */

typedef struct cr_wal cr_wal;

typedef struct cr_wal_config {
    const cr_heap *heap;
    cr_disk *disk;
    uint64_t id;
    uint8_t cluster[16];
    uint64_t segment_bytes;
    uint32_t nonce; /* random, not 0: of this life */
    int create;     /* may make it where there is none */
} cr_wal_config;

typedef struct cr_wal_peer {
    uint64_t id, life;
    uint64_t nonce; /* of that life */
} cr_wal_peer;

/* Notes what is known of a peer in a list; when that is full, whom it heard of first goes. */
void cr_wal_peer_note(cr_wal_peer at[CR_WAL_PEERS_MAX], uint32_t *n, cr_wal_peer p);

#define CR_MARK_NAME "mark" /* its file that tells how far it was durable */

/* What was found. */
typedef struct cr_wal_found {
    int fresh;                     /* there was nothing */
    uint64_t life;                 /* how often it was opened, with this one */
    uint32_t nonces[CR_WAL_LIVES]; /* of the last lives, by life modulo their number; 0: none */
    uint64_t recoveries, term, vote;
    uint64_t base, base_term;
    cr_log_entry **entries; /* from base + 1, each with a reference */
    uint64_t nentries;
    cr_wal_peer peers[CR_WAL_PEERS_MAX];
    uint32_t npeers;
    uint64_t
        damaged_mark; /* where the mark is damaged, + 1, though a slot of it is whole; 0: not */
    uint64_t stray_segment, stray; /* the first byte that belongs to nothing and is not zero: its
                                      segment (0: there is none) and offset */
    int stray_tail;                /* it stands behind the last batch of its segment */
} cr_wal_found;

/* What is to be written, in this order: what is marked, entries, the rest. */
typedef struct cr_wal_write {
    struct cr_wal_write *next;
    uint64_t seq; /* the caller's */
    int hard, reset, cuts, drops, recovered;
    uint64_t term, vote;      /* hard */
    uint64_t index, log_term; /* reset: empty behind this */
    uint64_t cut;             /* cuts: entries above are gone */
    uint64_t drop, drop_term; /* drops: entries up to here are not needed */
    uint64_t recoveries;      /* recovered */
    cr_wal_peer peer;         /* id not 0: a peer's life */
    cr_log_entry **entries;   /* each with a reference */
    uint32_t nentries;
} cr_wal_write;
/* Frees one. */
void cr_wal_write_free(const cr_heap *h, cr_wal_write *w);

/* Opens it, counts the life, begins a segment; all durable. QD_E_NOTFOUND (none, and create is 0),
 * QD_E_CORRUPT, QD_E_CONFLICT (another node's or cluster's), QD_E_NOSPACE, QD_E_IO; why:
 * CR_WAL_WHY bytes. found is to be cleared by cr_wal_found_clear, after an error too. */
int32_t cr_wal_open(const cr_wal_config *config, cr_wal **out, cr_wal_found *found, char *why);
void cr_wal_found_clear(const cr_heap *h, cr_wal_found *found);
/* Closes it; nothing is under way. NULL is fine. */
void cr_wal_close(cr_wal *w);

/* Writes a list and makes it durable, all of it together. 0: it is. QD_E_NOSPACE: no segment could
 * be made: call again with the same list, it goes on. Any other code: it is not known what is on
 * the disk; nothing may be written any more. why as above. */
int32_t cr_wal_write_all(cr_wal *w, const cr_wal_write *list, char *why);
/* Lays in the next segment, if there is none. 0 or a code, which does no harm. */
int32_t cr_wal_prepare(cr_wal *w);
/* Whether there is a next segment. [any] */
int cr_wal_has_spare(const cr_wal *w);
/* The newest segment that is not needed any more, between writes; 0: none. */
uint64_t cr_wal_unneeded(cr_wal *w);
/* Removes segments up to that one. */
int32_t cr_wal_clean(cr_wal *w, uint64_t upto);

#endif
