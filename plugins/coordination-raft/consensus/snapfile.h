/*
 * snapfile.h: snapshots as files: head with place and members, content, a checksum of each MiB.
 * A file is written aside, synced, and renamed; so the newest one is whole. Format:
 * docs/coordination-raft.md. why: CR_WAL_WHY bytes. [any thread of the disk's]
 */
#ifndef COORDINATION_RAFT_SNAPFILE_H
#define COORDINATION_RAFT_SNAPFILE_H

#include "disk.h"
#include "members.h"
#include "snapshot.h"

enum { CR_SNAP_BLOCK = 1 << 20, CR_SNAPS_MAX = 64 };
#define CR_INCOMING_NAME "incoming.tmp"

typedef struct cr_snap {
    uint64_t index, term;
    uint64_t total;      /* bytes of the file */
    cr_members *members; /* a reference */
    uint8_t *content;    /* when it was asked for; of the heap */
    size_t n;
} cr_snap;

/* Places of all snapshots that are there, the newest first; files left half-made are removed. */
typedef struct cr_snap_list {
    uint32_t n;
    struct {
        uint64_t index, term;
    } at[CR_SNAPS_MAX];
} cr_snap_list;
int32_t cr_snap_find(cr_disk *d, cr_snap_list *out, char *why);
/* Reads one and looks at all its checksums; with_content: keeps it. QD_E_CORRUPT with the place,
 * QD_E_NOTFOUND, QD_E_IO. */
int32_t cr_snap_load(cr_disk *d, const cr_heap *h, const uint8_t cluster[16], uint64_t index,
                     uint64_t term, int with_content, cr_snap *out, char *why);
void cr_snap_clear(const cr_heap *h, cr_snap *s);
/* Writes one, durably. */
int32_t cr_snap_write(cr_disk *d, const cr_heap *h, const uint8_t cluster[16], uint64_t index,
                      uint64_t term, const cr_members *members, const cr_pieces *pieces, char *why);
/* Reads n bytes at offset, fewer at the end. *total: of the file. */
int32_t cr_snap_chunk(cr_disk *d, uint64_t index, uint64_t term, uint64_t offset, uint8_t *p,
                      uint32_t n, uint32_t *got, uint64_t *total);
/* A chunk of one that comes in, durably; offset 0 begins it. */
int32_t cr_snap_take(cr_disk *d, uint64_t offset, uint64_t total, const uint8_t *p, uint32_t n,
                     char *why);
/* It is whole: checked, loaded, and under its name. QD_E_CORRUPT: it arrived damaged, and is gone.
 */
int32_t cr_snap_install(cr_disk *d, const cr_heap *h, const uint8_t cluster[16], uint64_t index,
                        uint64_t term, cr_snap *out, char *why);
/* Removes all but the newest two, and one that is being sent (0: none). */
void cr_snap_clean(cr_disk *d, uint64_t sent);

#endif
