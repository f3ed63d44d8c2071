/* store_crash_int.h: the simulated disk below store_crash.c. All calls under the disk's lock. */
#ifndef QD_TESTS_STORE_CRASH_INT_H
#define QD_TESTS_STORE_CRASH_INT_H

#include "lib/store_crash.h"
#include <pthread.h>

/* Bytes [from, to) written but not synced. */
typedef struct span {
    uint64_t from, to;
} span;

typedef struct inode {
    uint32_t refs; /* names, handles, unsynced name changes */
    uint32_t type; /* QD_STORAGE_OBJECT, REGISTER, LOG */
    uint64_t serial;
    uint8_t *data;
    uint64_t len, cap;
    uint64_t synced_len; /* length at the last sync */
    span *dirty;
    size_t ndirty, dirty_cap;
    span *lost; /* whose sync failed: seen by readers, clean, never on the disk */
    size_t nlost, lost_cap;
    bool fixed; /* an object committed: data may be mapped, never moves */
} inode;

typedef struct entry {
    char *name;
    inode *node;
} entry;

/* A folder's names: now, and as of its last sync, each sorted. One table for the whole disk. */
typedef struct name_table {
    entry *at;
    size_t n, cap;
} name_table;

/* A change of names not synced: node NULL removes. */
typedef struct change {
    char *name;
    inode *node;
    uint32_t group; /* halves of a rename go together */
} change;

struct store_crash {
    pthread_mutex_t lock;
    store_crash_options options;
    name_table now, durable;
    change *changes;
    size_t nchanges, changes_cap;
    uint32_t groups;
    uint64_t serials, steps, used;
    uint32_t handles;
    bool off;
    uint64_t off_at; /* 0: never; counts down */
    uint32_t fail_kinds;
    uint64_t fail_at, fail_seen;
    int fail_code;
    bool fail_sticky;
    inode *recycled;   /* the last log removed: where new logs get their blocks from */
    struct late *late; /* thread of late completions */
    void (*pause)(void *arg);
    void *pause_arg;
};

/* Counts a step of a kind; 0 or the error injected. */
int disk_step(store_crash *d, uint32_t kind);
inode *disk_inode(store_crash *d, uint32_t type);
inode *inode_ref(inode *i);
void inode_unref(store_crash *d, inode *i);
/* Writes at the end; QD_E_NOSPACE when the disk is full. A failing step writes half of it. */
int disk_append(store_crash *d, inode *i, const void *p, size_t n);
int disk_sync(store_crash *d, inode *i, uint32_t mutant);
/* The same of its first bytes. */
int disk_sync_upto(store_crash *d, inode *i, uint64_t upto, uint32_t mutant);
/* Cuts, durably. */
int disk_cut(store_crash *d, inode *i, uint64_t len);
/* What was read past the caches: without the bytes that a failed sync was for. */
void disk_medium(const inode *i, const qd_storage_range *g);
inode *disk_find(store_crash *d, qd_str name);
/* Points name at node (NULL: removes it); durable after disk_sync_dir of its folder. */
int disk_link(store_crash *d, qd_str name, inode *node);
int disk_rename(store_crash *d, qd_str from, qd_str to);
int disk_sync_dir(store_crash *d, qd_str folder);
/* First entry not below prefix in byte order. */
size_t names_lower(const name_table *t, qd_str name);
/* The folder of a name. */
qd_str folder_of(qd_str name);
bool in_folder(const char *name, qd_str folder);

/* Reads and completes after the disk's delay; at once when cancelled. */
void late_push(store_crash *d, const qd_storage_object *o, qd_storage_read *r);
void late_cancel(store_crash *d, qd_storage_read *r);
void late_stop(store_crash *d);

#endif
