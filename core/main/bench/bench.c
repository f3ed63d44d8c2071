/*
 * bench.c: `qd bench index|search`: the engine in process, without HTTP, with the options and
 * output of the Lucene harness (tests/bench/peers/lucene), so that the two can be compared on any
 * corpus.
 */
#include "main/bench/bench.h"
#include "base/str.h"
#include "main/args.h"
#include "runtime/file.h"
#include "store/tier.h"
#include <stdio.h>
#include <string.h>

int qd_command_bench(int argc, char **argv);

static int usage(FILE *to)
{
    fprintf(
        to,
        "usage: qd bench index --in FILE.jsonl --index DIR [--threads N] [--ram MB] [--merge]\n"
        "                [--limit N] [--freqs] [--parse-only]\n"
        "                [--es | --es-append] [--bulk N] [--refresh-ms MS] [--no-fsync]\n"
        "                [--mapping FILE] [--reorder length|bp]\n"
        "       qd bench search --index DIR --queries FILE [--cmds TOP_10,TOP_100,COUNT]\n"
        "                [--rounds N] [--warm-sec S] [--out FILE] [--field NAME]\n"
        "                [--idfield NAME] [--label NAME] [--mapping FILE]\n"
        "                [--threads N]\n"
        "\n"
        "index reads JSON lines {\"id\",\"title\",\"body\"} (\"-\": standard input) and indexes\n"
        "the words of body: the segment writer alone, without stored sources and translog; --es\n"
        "and --es-append run the whole engine: sources stored, a translog synced each --bulk\n"
        "(1000) documents, a refresh each --refresh-ms (1000). DIR is emptied first. --ram is\n"
        "the indexing buffer in MB for all threads (256), --freqs leaves positions out,\n"
        "--parse-only reads and parses. --mapping: the mapping to index by, with --es or\n"
        "--es-append. --reorder: the order of documents in merged segments, as\n"
        "index.merge.reorder; without --es and --es-append that of --merge alone.\n"
        "search runs a file of queries (\"class<TAB>+a +b\", \"a b\", \"\\\"a phrase\\\"\"; words\n"
        "as they are indexed) and prints a line for each command (COUNT, TOP_k, TOP_k_COUNT with\n"
        "all hits counted, TOP_k_COUNT_n with up to n) and class: percentiles of each query's\n"
        "best and median time in microseconds. --out: a line for each command and query,\n"
        "\"command class query hits best_us median_us rel id:score ...\" with tabs between;\n"
        "of more than ten hits a last column has the rank, id and score of the last one.\n"
        "With --mapping a query that begins with { is a search body (query, one sort key, aggs):\n"
        "those with aggs run under the command AGGS alone, sorts under TOP_k alone.\n"
        "--threads: behind each command a line with the queries a second of 1 to N threads that\n"
        "run all its queries at once, --rounds times.\n");
    return to == stdout ? 0 : QD_EXIT_USAGE;
}

static int drop(void *arg, qd_str name, uint64_t bytes)
{
    (void)bytes;
    char copy[512];
    snprintf(copy, sizeof copy, "%.*s", QD_STR_ARG(name));
    return qd_store_delete(arg, qd_str_c(copy), NULL);
}

int qd_bench_dir_open(qd_bench_dir *d, const char *path, qd_bench_mode mode, qd_err *err)
{
    bool create = mode == QD_BENCH_CREATE;
    *d = (qd_bench_dir){0};
    qd_paths paths;
    int rc = qd_paths_find(&paths, err);
    if (rc) return rc;
    const qd_str allow[] = {QD_STR("storage-nvme")}, folders[] = {qd_str_c(paths.plugins)};
    qd_plugin_host_config c = {
        .env = qd_env_system(),
        .paths = folders,
        .npaths = 1,
        .build_tree = paths.build_tree,
        .allow = allow,
        .nallow = QD_COUNT_OF(allow),
    };
    rc = qd_plugin_host_open(&c, &d->host, err);
    if (!rc) rc = qd_plugin_host_load(d->host, err);
    if (!rc) rc = qd_plugin_host_start(d->host, err);
    if (!rc && create && !qd_file_exists(path)) rc = qd_dir_make(path, 0700, err);
    if (!rc) rc = qd_store_open_dir(d->host, qd_str_c(path), mode == QD_BENCH_READ, &d->store, err);
    if (!rc && create) rc = qd_store_list(d->store, QD_STR("seg-"), drop, d->store, err);
    if (!rc && create) rc = qd_store_delete_all(d->store, QD_STR(QD_BENCH_SHARD "/"), err);
    if (rc) qd_bench_dir_close(d);
    return rc;
}

void qd_bench_dir_close(qd_bench_dir *d)
{
    if (d->store) qd_store_close(d->store);
    if (d->host) {
        qd_plugin_host_stop(d->host);
        qd_plugin_host_close(d->host);
    }
    *d = (qd_bench_dir){0};
}

int qd_command_bench(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0) return usage(stdout);
    if (strcmp(what, "index") == 0) return qd_bench_index(argc - 1, argv + 1);
    if (strcmp(what, "search") == 0) return qd_bench_search(argc - 1, argv + 1);
    return usage(stderr);
}
