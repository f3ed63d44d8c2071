/*
 * wal_int.h: what the files of the log on the disk share: formats and state.
 *
 *   wal_format.c   heads, records, the mark
 *   wal_open.c     reading and judging what is there
 *   wal.c          writing
 */
#ifndef COORDINATION_RAFT_WAL_INT_H
#define COORDINATION_RAFT_WAL_INT_H

#include "mutants.h"
#include "wal.h"
#include <check/invariant.h>
#include <stdio.h>

enum {
    CR_SEGMENT_HEAD = 512,
    CR_BATCH_HEAD = 48,
    CR_MARK_SLOT = 512,
    CR_MARK_APART = 4096, /* between the two slots */
    CR_WAL_VERSION = 1
};
#define CR_SPARE_NAME "spare"
#define CR_SPARE_ASIDE "spare.tmp"

/* Numbers are part of the format. */
enum {
    CR_R_CHECKPOINT = 1, /* term, vote, base, base term, last, recoveries, u32 n, peers */
    CR_R_HARD = 2,       /* term, vote */
    CR_R_ENTRY = 3,      /* index, term, u8 type, bytes */
    CR_R_CUT = 4,        /* entries above are gone */
    CR_R_RESET = 5,      /* index, term: empty behind */
    CR_R_DROP = 6,       /* index, term: entries up to it are not needed */
    CR_R_PEER = 7,       /* id, life, nonce */
    CR_R_RECOVERED = 8   /* recoveries */
};

/* All but the entries. */
typedef struct cr_wal_state {
    uint64_t term, vote, base, base_term, last, recoveries;
    cr_wal_peer peers[CR_WAL_PEERS_MAX];
    uint32_t npeers;
} cr_wal_state;

typedef struct cr_segment_head {
    uint64_t number, life, id;
    uint8_t cluster[16];
    uint64_t before_end;   /* where the segment before ended; 0: there was none */
    uint64_t before_chain; /* and its last checksum */
    uint64_t batch;        /* number of the first batch here */
    uint32_t nonce;        /* of the life */
} cr_segment_head;

typedef struct cr_batch_head {
    uint32_t bytes;
    uint64_t number, synced; /* synced: the last batch that was durable when this was written */
    uint64_t before;         /* checksum of the batch before */
    uint64_t sum;
} cr_batch_head;

typedef struct cr_mark {
    uint64_t number; /* of the mark; the larger one holds */
    uint8_t cluster[16];
    uint64_t id, life, recoveries;
    uint64_t segment, end, batch; /* durable up to here */
    uint32_t nonces[CR_WAL_LIVES];
} cr_mark;

typedef struct cr_segment {
    uint64_t number, highest; /* highest: index of an entry in it */
} cr_segment;

struct cr_wal {
    cr_wal_config config;
    cr_wal_state state; /* as of what was written */
    cr_segment *segments;
    uint32_t nsegments, segments_cap;
    cr_file *file, *mark_file;
    cr_mark mark;
    uint64_t at, chain, batch, synced;
    int new_segment; /* the mark is to be synced */
    /* a batch being made, and what is next to go into one */
    cr_bytes out;
    cr_wal_state next;
    uint64_t highest;
    const cr_wal_write *cursor;
    uint32_t step;
    int full;          /* waits for room: out, cursor and step stay */
    _Atomic int spare; /* there is one */
    uint64_t first;    /* segment that is there; of the cleaning thread */
};

/* --- wal_format.c --- */
void cr_segment_name(uint64_t number, char out[CR_NAME_MAX]);
/* 0: the name is not a segment's. */
uint64_t cr_segment_number(const char *name);
void cr_segment_head_write(const cr_segment_head *h, uint8_t out[CR_SEGMENT_HEAD]);
/* 0: sound; 1: all zeros; -1 damaged, -2 another version. */
int cr_segment_head_read(const uint8_t in[CR_SEGMENT_HEAD], cr_segment_head *h);
/* Fills a batch's head; payload stands behind it already. The new chain. */
uint64_t cr_batch_head_write(const cr_batch_head *h, uint8_t *at);
/* 1 when a whole sound batch stands there. */
int cr_batch_read(const uint8_t *at, size_t left, cr_batch_head *h);
static inline uint64_t cr_batch_bytes(uint32_t payload)
{
    return CR_BATCH_HEAD + ((payload + 7ull) & ~7ull);
}
void cr_mark_write(const cr_mark *m, uint8_t out[CR_MARK_SLOT]);
int cr_mark_read(const uint8_t in[CR_MARK_SLOT], cr_mark *m);
/* The checksum before the first batch of all. */
uint64_t cr_chain_begin(const uint8_t cluster[16], uint64_t id);
/* Records. */
void cr_record_checkpoint(const cr_wal_state *s, cr_bytes *b);
void cr_record_numbers(uint8_t type, const uint64_t *v, uint32_t n, cr_bytes *b);
void cr_record_entry(const cr_log_entry *e, cr_bytes *b);
int cr_checkpoint_read(cr_reader *r, cr_wal_state *s);

/* --- wal.c --- */
/* Begins a segment behind what is there; durable with the first batch in it. */
int32_t cr_segment_begin(cr_wal *w, char *why);
int32_t cr_wal_fail(const cr_wal *w, int32_t rc, const char *what, const char *name, char *why);
void cr_segment_note(cr_wal *w, uint64_t number, uint64_t highest);
/* Writes the mark for what is durable now. */
int32_t cr_mark_put(cr_wal *w, int sync, char *why);
/* Makes what was written durable, and says so in the mark. */
int32_t cr_wal_settle(cr_wal *w, char *why);

#endif
