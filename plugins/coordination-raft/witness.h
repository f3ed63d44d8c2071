/*
 * witness.h: what libraft's files must hold, in a file of our own with sums.
 *
 * libraft's metadata files (term, vote) have no checksum, and a damaged batch in an open segment is
 * to it the end of the log. The witness knows better: an image of both metadata files, written
 * ahead of each change, and the last index that a finished append had made durable. At the start,
 * before libraft sees them, metadata files that differ are reported and made again from the image,
 * and a damaged open segment is an error if anything in it had been durable.
 *
 * A damaged snapshot can keep libraft busy for ever: so the witness has sums of the last two.
 *
 * Six slots of 512 bytes, each with its sum: two in turn for the images (synced), two in turn for
 * the index (not synced: it may lag behind after a power loss, never be ahead of the disk), two for
 * snapshots.
 *
 * On the thread that opens, then on the loop's.
 */
#ifndef COORDINATION_RAFT_WITNESS_H
#define COORDINATION_RAFT_WITNESS_H

#include "consensus.h"
#include "bytes.h"
#include <limits.h>

enum { CR_WITNESS_SLOT = 512, CR_META_BYTES = 32 };

/* What the two files of a snapshot hold. */
typedef struct cr_snapshot_sum {
    uint64_t term, index, time; /* its name; index 0: none */
    uint64_t data, meta;        /* sums */
} cr_snapshot_sum;

typedef struct cr_witness {
    const cr_heap *heap;
    char dir[PATH_MAX]; /* libraft's */
    void (*warn)(void *arg, const char *text);
    void *arg;
    int fd;
    uint64_t sequence; /* of the last image */
    uint64_t durable;  /* the last index known to be durable; 0: none */
    cr_snapshot_sum snapshots[2];
    int damaged;    /* a slot was: the images may be old */
    int next_there; /* an image had been written ahead of a change */
    int image_n[2]; /* bytes of each, -1: the file was not there */
    uint8_t image[2][CR_META_BYTES], next[CR_META_BYTES];
} cr_witness;

/* Opens or makes the file; anew: what an earlier life left in it is void. Checks libraft's metadata
 * files against it, and open segments against the last durable index. 0, QD_E_CORRUPT or QD_E_IO
 * with the reason (CR_WHY bytes). dir must outlive it. */
int32_t cr_witness_open(cr_witness *w, const cr_heap *heap, const char *file, const char *dir,
                        int anew, void (*warn)(void *arg, const char *text), void *arg, char *why);
/* Closes it; one that was never opened too, if fd is -1. */
void cr_witness_close(cr_witness *w);
/* Takes the metadata files as they are now, if they differ from the image. 0 or QD_E_IO. */
int32_t cr_witness_take(cr_witness *w);
/* Writes ahead: libraft is about to store this term and vote under its next version. 0 or QD_E_IO.
 */
int32_t cr_witness_ahead(cr_witness *w, uint64_t term, uint64_t vote);
/* All entries up to this index are durable. */
void cr_witness_durable(cr_witness *w, uint64_t index);

/* A snapshot of this index is complete on the disk: takes its sums. */
void cr_witness_snapshot(cr_witness *w, uint64_t index);

/* snapshots.c: the sums of a snapshot's files; index 0: the newest one. 0, or QD_E_NOTFOUND when it
 * is not there whole. */
int32_t cr_snapshot_sums(const cr_heap *heap, const char *dir, uint64_t index,
                         cr_snapshot_sum *out);

/* segments.c: looks through libraft's open segments, whose entries up to `durable` are known to be
 * on the disk. Damage before that is QD_E_CORRUPT; what nobody was told of is reported, and removed
 * where libraft would stumble over it. */
int32_t cr_segments_check(const cr_heap *heap, const char *dir, uint64_t durable,
                          void (*warn)(void *arg, const char *text), void *arg, char *why);
/* After libraft refused its files: adds to its reason (CR_WHY bytes) which file it read, where it
 * does not say that itself. */
void cr_damage_place(const char *dir, char *why);

#endif
