/*
 * snapshot.h: the whole machine as bytes, in pieces. Pure.
 *
 *   piece    magic "QDS1", u32 bytes of payload, u64 XXH3 of it (seed: number of the piece),
 *            payload, zeros up to a multiple of 8
 *   payloads one after the other: u32 version, u64 index of the log, u64 records; each record u8
 *            kind, key, then create_revision, mod_revision, version, session and value as one text
 */
#ifndef COORDINATION_COMMON_SNAPSHOT_H
#define COORDINATION_COMMON_SNAPSHOT_H

#include "bytes.h"

enum { CR_PIECE_BYTES = 1 << 20, CR_PIECE_HEAD = 16, CR_SNAPSHOT_VERSION = 2 };

typedef struct cr_piece {
    uint8_t *p;
    size_t n;
} cr_piece;
typedef struct cr_pieces {
    cr_piece *at;
    uint32_t n;
} cr_pieces;

/* Writes records; pieces and their list are of the heap, for cr_pieces_free. QD_E_NOMEM: nothing is
 * left. [any] */
int32_t cr_snapshot_write(const cr_items *rows, uint64_t index, const cr_heap *h, cr_pieces *out);
/* Frees them. [any] */
void cr_pieces_free(const cr_heap *h, cr_pieces *p);
/* Reads pieces put one after the other: *index, and each record, with a reference, to take, which
 * returns 0 or a code that ends it. QD_E_CORRUPT. */
int32_t cr_snapshot_read(const cr_heap *h, const uint8_t *p, size_t n, uint64_t *index,
                         int32_t (*take)(void *arg, cr_item *row), void *arg);
/* The index alone. QD_E_CORRUPT. */
int32_t cr_snapshot_index(const uint8_t *p, size_t n, uint64_t *index);

#endif
