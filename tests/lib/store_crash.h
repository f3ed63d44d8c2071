/*
 * store_crash.h: a tier in memory that loses power. All engine tests run on it.
 *
 * Below it stands a simulated disk: inodes with bytes, folders with names, and for both a list of
 * what was not synced yet. store_crash_crash() decides by a seed what of that is left: writes kept,
 * dropped, torn at 512 bytes or filled with the bytes of an earlier log; names made, removed or
 * not. Every step on the disk is counted, so that a test can cut the power, or inject an error, at
 * the n-th one. The same seeds give the same bytes; nothing depends on addresses or time.
 *
 *   store_crash *disk = store_crash_make(&(store_crash_options){0});
 *   store_crash_open(disk, &store, &err);        a process opens its tier
 *   store_crash_power_off_at(disk, n);           ... works until the n-th step; then all calls fail
 *   qd_store_close(store);
 *   store_crash_crash(disk, seed);               what is left on the medium
 *   store_crash_open(disk, &store, &err);        the next process
 *
 * Thread-safe [any] but for make, free, crash and kill, which want no open tier.
 */
#ifndef QD_TESTS_STORE_CRASH_H
#define QD_TESTS_STORE_CRASH_H

#include "store/store.h"
#include <quidditch/storage.h>

typedef struct store_crash store_crash;

/* What a broken plugin would forget: suites prove with these that they can fail. */
enum {
    STORE_CRASH_NO_LOG_SYNC = 1,    /* log_sync returns 0 and syncs nothing */
    STORE_CRASH_NO_DIR_SYNC = 2,    /* names are never synced */
    STORE_CRASH_NO_OBJECT_SYNC = 4, /* objects' bytes are never synced: points come before files */
    STORE_CRASH_NO_COPY_SYNC = 8,   /* the name of a copy is not synced */
};

typedef struct store_crash_options {
    bool copies;      /* not mapped: every range is read into a copy of its own */
    uint32_t late_us; /* copies: bytes and completions come from another thread, this much later; 0:
                         at once */
    uint64_t capacity; /* bytes; 0: 1 TiB */
    uint32_t mutants;  /* STORE_CRASH_NO_* */
    bool no_logs;      /* of adverse: without the flag APPEND */
    bool adverse; /* store_crash_open puts store_adverse.h before it; copies, and reads end late */
} store_crash_options;

/* An empty disk; o may be NULL. The environment's QD_TEST_TIER=copies makes every disk copy ranges,
 * =late answer 1 ms later too, and =adverse stand behind store_adverse.h, so that suites run over
 * such tiers as they are. */
store_crash *store_crash_make(const store_crash_options *o);
/* Frees it; no tier is open. */
void store_crash_free(store_crash *d);
/* Opens the tier as a new process would; close with qd_store_close. */
int store_crash_open(store_crash *d, qd_store **out, qd_err *err);
/* For suites over the vtable itself: the table of this disk's mode, and its handle. */
const qd_storage_vtable *store_crash_vtable(const store_crash *d);
/* A handle for that table; give it to the table's close. */
qd_storage *store_crash_handle(store_crash *d);
/* From now on the table's own `open` gives handles of d (whatever path it is told). */
void store_crash_serve(store_crash *d);
/* Can the tier put syncs off (LAZY)? If not, what cannot be synced is never there. */
bool store_crash_lazy(const store_crash *d);
/* Changes capacity (0: 1 TiB) or mutants while open. */
void store_crash_capacity_set(store_crash *d, uint64_t bytes);
void store_crash_mutants_set(store_crash *d, uint32_t mutants);

/* Called before each sync on the thread that asks for it: a simulated disk takes its time there.
 * What a log's sync makes durable is what was written when it began. NULL: none. */
void store_crash_pause(store_crash *d, void (*pause)(void *arg), void *arg);

/* From now on, or after n more writing steps, every call but closing fails with QD_E_IO. */
void store_crash_power_off(store_crash *d);
void store_crash_power_off_at(store_crash *d, uint64_t n);
/* Is the power off? */
bool store_crash_is_off(store_crash *d);
/* After a power loss: decides by seed what is left of all that was not synced; power is on again.
 */
void store_crash_crash(store_crash *d, uint64_t seed);
/* After a SIGKILL: everything written is there; power is on again. */
void store_crash_kill(store_crash *d);

/* Of a tier with late_us: while on, no read ends but cancelled ones. */
void store_crash_reads_hold(store_crash *d, bool on);
/* Reads that have not ended. */
uint32_t store_crash_reads_waiting(store_crash *d);

/* Which steps a fault counts. */
enum { STORE_CRASH_WRITES = 1, STORE_CRASH_READS = 2, STORE_CRASH_SYNCS = 4 };
/* The n-th step (from 1) of the kinds named fails with code (QD_E_IO, QD_E_NOSPACE, QD_E_EOF: a
 * short read); an append that fails has written a part; what a failed sync was for stays
 * readable, and no later sync makes it durable: only writing it again does (names are journaled,
 * and wait for the next sync of their folder). With sticky all later ones fail as well. n = 0
 * switches it off. Returns the steps of the kinds counted since the last call. */
uint64_t store_crash_fail_at(store_crash *d, uint32_t kinds, uint64_t n, int code, bool sticky);
/* Writing steps and syncs since the disk was made. */
uint64_t store_crash_steps(store_crash *d);

/* The medium itself, for damage: bytes of a name, false when absent. */
bool store_crash_size(store_crash *d, const char *name, uint64_t *bytes);
/* Inverts bits of one byte. */
bool store_crash_flip(store_crash *d, const char *name, uint64_t offset, uint8_t mask);
/* Cuts it; objects mapped now keep their bytes. */
bool store_crash_cut(store_crash *d, const char *name, uint64_t bytes);
/* XXH3-64 over all names and bytes in order: equal for equal disks. */
uint64_t store_crash_digest(store_crash *d);

#endif
