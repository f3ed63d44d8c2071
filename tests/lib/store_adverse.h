/*
 * store_adverse.h: the worst tier that the storage kind allows, in memory: an object store on a bad
 * day. It stands before another tier (store_crash.h, which loses power as well) and
 *   is slow       each call takes its time, reads end late and on another thread;
 *   throttles     REJECTED with retry_after_ms, alone and in rows, with nothing done;
 *   loses answers TIMEOUT after the request was lost, or after it took effect;
 *   lists stale   names that came a moment ago are missing, names that went are still there;
 *   tears parts   objects go up in parts at the commit; a part that is lost leaves an upload that
 *                 nobody sees, and the commit wants a second try;
 *   asks late     an object opens without a request: absence and another length show at the read.
 * It has no map, no lazy commits, no trees, no rename: flags DURABLE, REMOTE, APPEND (or not),
 * CONDITIONAL_PUT, COPY, CHECKSUM, STALE_LIST.
 *
 * By the seed everything but the clock's part of it (how stale a list is) comes again.
 */
#ifndef QD_TESTS_STORE_ADVERSE_H
#define QD_TESTS_STORE_ADVERSE_H

#include <quidditch/storage.h>
#include <stdbool.h>

/* One breach of the contract each: suites prove with these that they can fail. */
enum {
    STORE_ADVERSE_REJECTS_LATE = 1,   /* REJECTED although a conditional publish took effect */
    STORE_ADVERSE_TAKES_PIECES = 2,   /* TIMEOUT of a put_write whose piece was taken */
    STORE_ADVERSE_SHOWS_TORN = 4,     /* a torn upload is an object */
    STORE_ADVERSE_COMMITS_ONCE = 8,   /* a commit whose answer was lost ends with EXISTS */
    STORE_ADVERSE_APPENDS_TWICE = 16, /* REJECTED of an append that was made */
    STORE_ADVERSE_STALE_FOR_EVER = 32 /* a list may be older than list_lag_ns */
};

typedef struct store_adverse_options {
    uint64_t seed;
    uint32_t one_in;  /* of so many calls one meets trouble; 0: 48 */
    uint32_t mutants; /* STORE_ADVERSE_* */
} store_adverse_options;

/* What happened, for tests that want to know that it did. */
typedef struct store_adverse_counts {
    uint64_t calls, rejected, lost, torn, hidden, ghosts;
} store_adverse_counts;

/* A handle before `inner`, a handle of the table `vt`, which closing it closes too; calls go to it
 * from now on through store_adverse_vtable. o may be NULL. */
qd_storage *store_adverse_make(const qd_storage_vtable *vt, qd_storage *inner,
                               const store_adverse_options *o);
/* logs: with the flag APPEND, which object stores lack. */
const qd_storage_vtable *store_adverse_vtable(bool logs);
/* Of all handles of the process so far. */
store_adverse_counts store_adverse_counted(void);

#endif
