/*
 * qd_bench.h: `qd bench`: what its parts share: a folder as a tier, segments named by number.
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

/* Opens (create: makes and empties) the folder. */
QD_MUST_CHECK
int qd_bench_dir_open(qd_bench_dir *d, const char *path, bool create, qd_err *err);
/* Closes both. */
void qd_bench_dir_close(qd_bench_dir *d);

/* The sub-commands; argv[0] is the first argument. Exit status. */
int qd_bench_index(int argc, char **argv);
int qd_bench_search(int argc, char **argv);

#endif
