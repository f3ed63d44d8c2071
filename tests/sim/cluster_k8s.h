/* cluster_k8s.h: between the world (cluster_k8s*.c) and what knows the plugin
 * (cluster_k8s_store.c). */
#ifndef QD_TESTS_CLUSTER_K8S_H
#define QD_TESTS_CLUSTER_K8S_H

#include "lib/kube_model.h"
#include <sys/types.h>
#include <uv.h>

struct cluster;

/* A process's connection to the API server. */
kube_transport *cluster_api_connect(qd_self *self, uv_loop_t *loop);
/* A key has changed by this revision; value empty: it is gone. */
void cluster_committed(qd_str key, qd_str value, uint64_t revision);

/* What is looked at of a root. */
typedef struct cluster_root {
    uint64_t writes, index, epoch, checkpoint;
} cluster_root;
/* Forgets the root that is known. */
void cluster_root_forget(void);
/* Reads the root that is stored now, and compares it with the one that was seen before: false: it
 * does not follow that, why tells. */
bool cluster_root_next(const json_t *object, cluster_root *out, char why[400]);

/* cluster_k8s_file.c; cluster_shim/files.h */
int sim_file_open(const char *name);
ssize_t sim_file_read(int fd, void *out, size_t n);
ssize_t sim_file_write(int fd, const void *p, size_t n, off_t at);
int sim_file_sync(int fd);
int sim_file_rename(void);
void cluster_files_begin(void);
/* A sync fails once. */
void cluster_file_fails(int id);
/* The process has ended: what was not synced may be lost with the power. true: some was. */
bool cluster_file_crash(int id, bool power);
/* The highest entry that the machine remembers having acted on. */
uint64_t cluster_file_index(int id);

/* For scenarios (cluster_k8s.c). */
kube_model *cluster_api_model(void);
/* A node reaches the API server, or does not. */
void cluster_api_cut(struct cluster *x, int id, bool on);
/* What nodes reach has caches so old. */
void cluster_api_lag(struct cluster *x, uint64_t milliseconds);
/* The newest root that was seen. */
cluster_root cluster_api_root(void);
/* How many writes of the root took effect. */
uint64_t cluster_api_writes(void);
/* An object of the state was there when this revision was made. */
bool cluster_api_wrote(const char *name, uint64_t revision);
/* A backup of etcd is put back, or the newest state again. */
void cluster_api_backup(struct cluster *x);
bool cluster_api_restore(struct cluster *x);
void cluster_api_newest(struct cluster *x);
/* Objects of the state made since the older copy is in place. */
uint64_t cluster_api_made(void);
/* So many requests of a node between two moments, lease renewals and watches apart. */
uint64_t cluster_api_asked(int id, uint64_t from_ns, uint64_t to_ns);
/* Of its lease. */
uint64_t cluster_api_renewals(int id, uint64_t from_ns, uint64_t to_ns);

#endif
