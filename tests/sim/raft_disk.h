/*
 * raft_disk.h: a folder in memory for the log and snapshots of consensus: what was not synced may
 * be lost at a loss of power, sector by sector and name by name; it fills up, its syncs fail, it
 * stops in the middle of what is being done.
 */
#ifndef QD_TESTS_RAFT_DISK_H
#define QD_TESTS_RAFT_DISK_H

#include <coordination-raft/consensus/disk.h>

typedef struct sim_disk sim_disk;

/* An empty one. */
sim_disk *sim_disk_make(void);
void sim_disk_free(sim_disk *d);
cr_disk *sim_disk_of(sim_disk *d);
/* A copy of what would be there after a kill of the process. */
sim_disk *sim_disk_copy(const sim_disk *d);

/* Takes everything over into another one: whoever has this one open gets errors from now on. */
sim_disk *sim_disk_take(sim_disk *d);
/* Calls fn(arg) before each sync: it may take its time. */
void sim_disk_pause(sim_disk *d, void (*fn)(void *arg), void *arg);
/* Nothing more can be laid in. */
void sim_disk_full(sim_disk *d, int full);
/* The next sync of a file fails, and what it was to sync is lost. */
void sim_disk_fail_sync(sim_disk *d);
/* After so many calls nothing has an effect any more and all fail; -1: it goes on for ever. */
void sim_disk_stop_after(sim_disk *d, int64_t calls);
/* The process ends. power: also the machine's; random: says what is lost. Number of sectors and
 * names that were lost. */
uint64_t sim_disk_crash(sim_disk *d, int power, uint64_t (*random)(void *arg, uint64_t below),
                        void *arg);

/* Damage. Picks the k-th file whose name ends with `tail`: NULL: none. */
const char *sim_disk_pick(sim_disk *d, const char *tail, uint64_t k);
uint64_t sim_disk_size(sim_disk *d, const char *name);
void sim_disk_flip(sim_disk *d, const char *name, uint64_t at, uint8_t bits);
void sim_disk_lose(sim_disk *d, const char *name);
/* Zeros from `at` to the end. */
void sim_disk_wipe(sim_disk *d, const char *name, uint64_t at);
uint32_t sim_disk_count(sim_disk *d, const char *tail);

#endif
