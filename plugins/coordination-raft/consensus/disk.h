/*
 * disk.h: the few things that log and snapshots ask of a disk: one folder of files. disk_files.c
 * does it with the system's, the simulation with files that lose what was not synced, tear, fill
 * up, are slow, or fail.
 *
 * What is durable: bytes of a file after sync of it; names (create, rename, remove) after
 * sync_names. Anything else may or may not be there after a crash, sector by sector (512 bytes).
 * Calls block. A disk may be used by two threads, a file by one at a time. Codes: QD_E_NOTFOUND,
 * QD_E_NOSPACE, QD_E_IO.
 */
#ifndef COORDINATION_RAFT_DISK_H
#define COORDINATION_RAFT_DISK_H

#include "bytes.h"

typedef struct cr_disk cr_disk;
typedef struct cr_file {
    cr_disk *disk;
} cr_file;

enum { CR_NAME_MAX = 64 };

struct cr_disk {
    /* Names and sizes of all files, in any order. */
    int32_t (*list)(cr_disk *d, void (*each)(void *arg, const char *name, uint64_t size),
                    void *arg);
    /* Opens a file to be read and written. */
    int32_t (*open)(cr_disk *d, const char *name, cr_file **out);
    /* Makes a file, or empties it, with `size` bytes of zeros whose place is certain. */
    int32_t (*create)(cr_disk *d, const char *name, uint64_t size, cr_file **out);
    void (*close)(cr_file *f);
    /* Reads n bytes or up to the end: *got. */
    int32_t (*read)(cr_file *f, uint64_t at, void *p, size_t n, size_t *got);
    int32_t (*write)(cr_file *f, uint64_t at, const void *p, size_t n);
    /* Cuts a file off behind `size`. */
    int32_t (*cut)(cr_file *f, uint64_t size);
    int32_t (*sync)(cr_file *f);
    int32_t (*remove)(cr_disk *d, const char *name);
    int32_t (*rename)(cr_disk *d, const char *from, const char *to);
    int32_t (*sync_names)(cr_disk *d);
    /* Free bytes; UINT64_MAX: unknown. */
    uint64_t (*room)(cr_disk *d);
    /* Words for this thread's last failure. */
    void (*words)(cr_disk *d, char *out, size_t n);
};

/* The system's: a folder that is there; path is kept, borrowed. */
cr_disk *cr_disk_files(const cr_heap *h, const char *path);
/* Frees it. NULL is fine. */
void cr_disk_files_free(cr_disk *d);

#endif
