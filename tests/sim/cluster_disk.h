/* cluster_disk.h: a process's folder and disk, for cluster_store.c, which knows the plugin only. */
#ifndef QD_TESTS_CLUSTER_DISK_H
#define QD_TESTS_CLUSTER_DISK_H

#include <coordination-raft/consensus/disk.h>
#include <stdbool.h>

/* What was written last; false: nothing. */
bool cluster_folder_read(qd_self *self, void *out, size_t n);
/* Replaces it; false: the process was killed. */
bool cluster_folder_write(qd_self *self, const void *p, size_t n);
cr_disk *cluster_disk_of(qd_self *self);
/* Removes all files. */
void cluster_disk_empty(qd_self *self);
bool cluster_disk_is_full(qd_self *self);

/* A key has changed by this revision; value empty: it is gone. */
void cluster_committed(qd_str key, qd_str value, uint64_t revision);

struct cr_engine;
/* The life of its folder, and the fewest voters of the lists of members that it knows. */
uint64_t cluster_engine_life(const struct cr_engine *e, uint32_t *voters);
/* The life of another member that it knows of durably. */
uint64_t cluster_engine_knows(const struct cr_engine *e, uint64_t raft_id);

#endif
