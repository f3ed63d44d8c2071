/*
 * bench.h: `qd bench`: what its parts share: a folder as a tier, segments named by number.
 */
#ifndef QD_MAIN_QD_BENCH_H
#define QD_MAIN_QD_BENCH_H

#include "main/paths.h"
#include "plugin/host.h"
#include "runtime/env.h"
#include "store/store.h"

/* A host with the storage plugins, and a folder opened through it. */
typedef struct qd_bench_dir {
    qd_plugin_host *host;
    qd_store *store;
} qd_bench_dir;

typedef enum qd_bench_mode {
    QD_BENCH_READ,  /* nothing in it is touched */
    QD_BENCH_WRITE, /* as it is */
    QD_BENCH_CREATE /* made and emptied */
} qd_bench_mode;

/* Opens the folder. */
QD_MUST_CHECK
int qd_bench_dir_open(qd_bench_dir *d, const char *path, qd_bench_mode mode, qd_err *err);
/* Closes both. */
void qd_bench_dir_close(qd_bench_dir *d);

#define QD_BENCH_SHARD "shard" /* folder of the engine's shard in the index folder */

#define QD_BENCH_THREADS_MAX 64u

struct qd_analyzers;
struct qd_mapping;
/* The mapping of a file, or of this text (path NULL), with the built-in analyzers. Both are the
 * caller's to unref, also after an error (NULL then, or not). QD_E_IO, errors of mappings. */
QD_MUST_CHECK
int qd_bench_mapping_make(const char *path, qd_str text, struct qd_analyzers **analyzers,
                          struct qd_mapping **mapping, qd_err *err);

/* The engine as `--es` runs it: a mapping of title (with title.keyword) and body ("text" is copied
 * to body), sources stored, the translog synced with each bulk, a refresh every second, merges on a
 * thread of their own. */
typedef struct qd_bench_es qd_bench_es;
typedef struct qd_bench_es_options {
    uint32_t slots; /* writers, which share ram_bytes */
    uint64_t ram_bytes;
    uint32_t refresh_ms;
    bool freqs, no_fsync;
    const char *mapping; /* file; NULL: that of title and body */
    uint8_t order;       /* qd_merge_order */
} qd_bench_es_options;
/* Creates (create) or opens the shard in d. */
QD_MUST_CHECK
int qd_bench_es_open(qd_bench_dir *d, bool create, const qd_bench_es_options *o, qd_bench_es **out,
                     qd_err *err);
/* Indexes one document by its id; append: the id is known to be new. [worker] */
QD_MUST_CHECK
int qd_bench_es_index(qd_bench_es *e, uint32_t slot, qd_str id, qd_str source, bool append,
                      qd_err *err);
/* Makes durable what this slot has indexed: the end of a bulk. [worker] */
QD_MUST_CHECK
int qd_bench_es_sync(qd_bench_es *e, uint32_t slot, qd_err *err);
/* Ends the refreshes and commits. */
QD_MUST_CHECK
int qd_bench_es_commit(qd_bench_es *e, qd_err *err);
/* Waits for all merges that the policy wants, or merges to one segment, and commits that. */
QD_MUST_CHECK
int qd_bench_es_finish(qd_bench_es *e, bool merge, qd_err *err);
typedef struct qd_bench_es_stats {
    uint64_t refreshes, syncs, translog_bytes, segments, segment_bytes;
} qd_bench_es_stats;
/* What it has done so far. */
void qd_bench_es_stats_get(qd_bench_es *e, qd_bench_es_stats *out);
/* The newest reader, with a reference. */
struct qd_reader *qd_bench_es_reader(qd_bench_es *e);
/* Stops and closes. NULL is fine. */
void qd_bench_es_close(qd_bench_es *e);

/* qd bench index; argv[0] is the first argument. Exit status. */
int qd_bench_index(int argc, char **argv);
/* qd bench search, likewise. */
int qd_bench_search(int argc, char **argv);

#endif
