/*
 * index.c: `qd bench index`: JSON lines into segments: reader, standard analyzer, one
 * indexing buffer a thread, flushed when it holds its share of --ram, at the end merged to one
 * segment if asked for; with --es the whole engine. Documents per CPU second are the process's,
 * from the first line to the last byte synced, merges included.
 */
#include "analysis/analysis.h"
#include "main/args.h"
#include "main/bench/bench.h"
#include "main/bench/lines.h"
#include "main/bench/segments.h"
#include "runtime/proc.h"
#include "runtime/sync.h"
#include "json/number.h"
#include <stdio.h>

#define BATCH_DOCS 256u
#define BULK_MAX 1000000u
#define THREADS_MAX QD_BENCH_THREADS_MAX

typedef struct bench {
    const char *in, *dir, *mapping;
    uint32_t threads, bulk;
    double ram_mb;
    qd_merge_order order;
    bool merge, es, append, freqs, parse_only, no_fsync;
    uint32_t refresh_ms;
    uint64_t limit;
    qd_bench_dir d;
    qd_bench_lines *lines;
    qd_bench_segments *segments;
    qd_bench_es *engine; /* --es */
    qd_analyzers *analyzers;
    const qd_analyzer *analyzer;
    uint64_t docs, bytes;
    qd_err err;
    uint64_t err_line; /* of the input; 0: not a line's fault */
} bench;

typedef struct worker {
    bench *b;
    qd_account account;
    qd_analysis *analysis;
    qd_buffer *buffer;
    uint32_t field_body, field_id;
    qd_json_reader json;
    qd_bench_batch batch;
    uint32_t number, unsynced;
    uint32_t *off;
    uint16_t *len;
    size_t words;
    uint64_t cpu_ns, docs, bytes;
    qd_thread *thread;
    int rc;
    qd_err err;
    uint64_t err_line;
} worker;

/* The words of body into the buffer. */
static int add_words(worker *w, qd_str body)
{
    const qd_tokens *t;
    int rc = qd_analyzer_run(w->b->analyzer, w->analysis, body, 0, &t, &w->err);
    if (rc || !t->n) return rc;
    if (t->n > w->words) {
        size_t words = t->n * 2;
        uint32_t *off = qd_realloc(NULL, w->off, words * sizeof *off);
        if (off) w->off = off;
        uint16_t *len = qd_realloc(NULL, w->len, words * sizeof *len);
        if (len) w->len = len;
        if (!off || !len) return qd_err_nomem(&w->err, "words");
        w->words = words;
    }
    for (size_t i = 0; i < t->n; i++) {
        w->off[i] = t->term[i].from;
        w->len[i] = (uint16_t)(t->term[i].to - t->term[i].from);
    }
    qd_term_batch batch = {
        .text = t->text,
        .off = w->off,
        .len = w->len,
        .pos_inc = t->has & QD_TOKENS_INC ? t->inc : NULL,
        .n = (uint32_t)t->n,
    };
    return qd_buffer_terms(w->buffer, w->field_body, &batch, &w->err);
}

static int prepare_fields(worker *w)
{
    qd_field_info body = {.name = {"body", 4},
                          .index = w->b->freqs ? QD_INDEX_FREQS : QD_INDEX_POSITIONS,
                          .norms = 1};
    static const qd_field_info id = {.name = {"id", 2}, .column = QD_COLUMN_BYTES};
    int rc = qd_buffer_field(w->buffer, &body, &w->field_body, &w->err);
    return rc ? rc : qd_buffer_field(w->buffer, &id, &w->field_id, &w->err);
}

static int flush(worker *w)
{
    if (!qd_buffer_docs(w->buffer)) return 0;
    int rc = qd_bench_segments_flush(w->b->segments, w->buffer, &w->err);
    return rc ? rc : prepare_fields(w);
}

static int add_plain(worker *w, qd_str line, size_t slack)
{
    qd_bench_doc doc;
    int rc = qd_bench_line_read(&w->json, line, slack, false, &doc, &w->err);
    if (rc || w->b->parse_only) return rc;
    rc = qd_buffer_doc_begin(w->buffer, NULL, &w->err);
    if (rc) return rc;
    if (doc.has_id) rc = qd_buffer_column_bytes(w->buffer, w->field_id, doc.id, &w->err);
    if (!rc) rc = add_words(w, doc.body);
    if (!rc) rc = qd_buffer_doc_commit(w->buffer, &w->err);
    if (rc) qd_buffer_doc_abort(w->buffer);
    return rc;
}

/* The id alone: the engine parses the document itself, as it does behind a bulk's action line. */
static int add_es(worker *w, qd_str line, size_t slack)
{
    qd_bench_doc doc;
    int rc = qd_bench_line_read(&w->json, line, slack, true, &doc, &w->err);
    if (!rc && !doc.has_id) rc = qd_err_set(&w->err, QD_E_ARG, "a document without id");
    if (!rc) rc = qd_bench_es_index(w->b->engine, w->number, doc.id, line, w->b->append, &w->err);
    w->unsynced++;
    return rc;
}

static int work_batch(worker *w, uint64_t room)
{
    bool es = w->b->es && !w->b->parse_only;
    int rc = 0;
    for (uint32_t i = 0; i < w->batch.lines && !rc; i++) {
        size_t slack;
        qd_str line = qd_bench_batch_line(&w->batch, i, &slack);
        if (qd_bench_line_blank(line)) continue;
        rc = es ? add_es(w, line, slack) : add_plain(w, line, slack);
        if (rc) {
            w->err_line = w->batch.first + i;
            return rc;
        }
        w->docs++;
        w->bytes += line.n + 1;
        if (!es && !w->b->parse_only && qd_buffer_bytes(w->buffer) > room) rc = flush(w);
    }
    if (!rc && es && w->unsynced >= w->b->bulk) {
        w->unsynced = 0;
        rc = qd_bench_es_sync(w->b->engine, w->number, &w->err);
    }
    return rc;
}

static int work(worker *w)
{
    bench *b = w->b;
    uint64_t room = (uint64_t)(b->ram_mb * 1e6 / b->threads);
    int rc = prepare_fields(w);
    while (!rc) {
        uint32_t most = b->es ? b->bulk - w->unsynced : BATCH_DOCS;
        rc = qd_bench_lines_take(b->lines, &w->batch, most, &w->err);
        if (rc || !w->batch.lines) break;
        rc = work_batch(w, room);
    }
    if (rc || b->parse_only) return rc;
    return b->es ? qd_bench_es_sync(b->engine, w->number, &w->err) : flush(w);
}

static void worker_main(void *arg)
{
    worker *w = arg;
    w->rc = work(w);
    w->cpu_ns = qd_thread_cpu_ns();
}

static int worker_make(worker *w, bench *b)
{
    w->b = b;
    qd_err_init(&w->err);
    qd_account_init(&w->account, "bench", NULL, 0);
    w->json = QD_JSON_READER(NULL);
    w->analysis = qd_analysis_make(NULL, 0);
    if (!w->analysis) return qd_err_nomem(&b->err, "indexing");
    return qd_buffer_create(&w->account, &w->buffer, &b->err);
}

static void worker_free(worker *w)
{
    qd_buffer_destroy(w->buffer);
    qd_analysis_free(w->analysis);
    qd_json_reader_fini(&w->json);
    qd_bench_batch_fini(&w->batch);
    qd_free(w->off);
    qd_free(w->len);
    qd_err_fini(&w->err);
}

/* --- a run ----------------------------------------------------------------------------------- */

typedef struct figures {
    double index_s, commit_s, merge_s, total_s, cpu_s, thread_cpu_s;
    uint64_t index_bytes;
    qd_bench_es_stats es;
} figures;

static int add_size(void *arg, qd_str name, uint64_t bytes)
{
    (void)name;
    *(uint64_t *)arg += bytes;
    return 0;
}

static double per(double n, double s)
{
    return s > 0 ? n / s : 0;
}

static void print_figures(const bench *b, const figures *f)
{
    double n = (double)b->docs, indexed = f->index_s + f->commit_s;
    printf("threads=%u ram=%.0f es=%s append=%s merge=%s docs=%llu input_bytes=%llu "
           "index_s=%.2f commit_s=%.2f merge_close_s=%.2f total_s=%.2f thread_cpu_s=%.2f "
           "cpu_s=%.2f gc_ms=0 docs_per_s=%.0f MB_per_s=%.2f docs_per_s_total=%.0f "
           "docs_per_thread_cpu_s=%.0f docs_per_cpu_s=%.0f index_bytes=%llu segments=%llu "
           "refreshes=%llu fsyncs=%llu translog_bytes=%llu files: seg=%llu\n",
           b->threads, b->ram_mb, b->es ? "true" : "false", b->append ? "true" : "false",
           b->merge ? "true" : "false", (unsigned long long)b->docs, (unsigned long long)b->bytes,
           f->index_s, f->commit_s, f->merge_s, f->total_s, f->thread_cpu_s, f->cpu_s,
           per(n, indexed), per((double)b->bytes / 1e6, indexed), per(n, f->total_s),
           per(n, f->thread_cpu_s), per(n, f->cpu_s), (unsigned long long)f->index_bytes,
           (unsigned long long)f->es.segments, (unsigned long long)f->es.refreshes,
           (unsigned long long)f->es.syncs, (unsigned long long)f->es.translog_bytes,
           (unsigned long long)f->index_bytes);
}

/* Starts the threads, waits for them; the first error is the run's. */
static int run_workers(bench *b, worker *w, uint64_t *thread_cpu)
{
    int rc = 0;
    for (uint32_t i = 0; i < b->threads && !rc; i++)
        rc = qd_thread_start(qd_env_system(), "bench", worker_main, &w[i], &w[i].thread, &b->err);
    for (uint32_t i = 0; i < b->threads; i++) {
        if (w[i].thread) qd_thread_join(qd_env_system(), w[i].thread);
        *thread_cpu += w[i].cpu_ns;
        b->docs += w[i].docs;
        b->bytes += w[i].bytes;
        if (w[i].rc && (!rc || (w[i].err_line && w[i].err_line < b->err_line))) {
            rc = w[i].rc;
            b->err_line = w[i].err_line;
            qd_err_fini(&b->err);
            qd_err_move(&b->err, &w[i].err);
        }
    }
    return rc;
}

static int measure(bench *b, worker *w)
{
    qd_env *env = qd_env_system();
    figures f = {0};
    uint64_t t0 = qd_env_mono_ns(env), c0 = qd_proc_cpu_ns(), thread_cpu = 0;
    int rc = run_workers(b, w, &thread_cpu);
    uint64_t t1 = qd_env_mono_ns(env);
    if (!rc && b->engine) rc = qd_bench_es_commit(b->engine, &b->err);
    uint64_t t2 = qd_env_mono_ns(env);
    if (!rc && b->engine) rc = qd_bench_es_finish(b->engine, b->merge, &b->err);
    if (!rc && b->segments && b->merge)
        rc = qd_bench_segments_merge_all(b->segments, b->order, &b->err);
    uint64_t t3 = qd_env_mono_ns(env);
    f.index_s = (double)(t1 - t0) / 1e9;
    f.commit_s = (double)(t2 - t1) / 1e9;
    f.merge_s = (double)(t3 - t2) / 1e9;
    f.total_s = (double)(t3 - t0) / 1e9;
    f.cpu_s = (double)(qd_proc_cpu_ns() - c0) / 1e9;
    f.thread_cpu_s = (double)thread_cpu / 1e9;
    if (rc) return rc;
    if (b->engine) {
        qd_bench_es_stats_get(b->engine, &f.es);
        f.index_bytes = f.es.segment_bytes;
    } else if (b->segments) {
        f.es.segments = qd_bench_segments_count(b->segments);
        rc = qd_store_list(b->d.store, QD_STR("seg-"), add_size, &f.index_bytes, &b->err);
    }
    if (!rc) print_figures(b, &f);
    return rc;
}

static int run(bench *b)
{
    worker *w = qd_calloc(NULL, b->threads * sizeof *w);
    if (!w) return qd_err_nomem(&b->err, "indexing");
    int rc = 0;
    for (uint32_t i = 0; i < b->threads && !rc; i++) {
        w[i].number = i;
        rc = worker_make(&w[i], b);
    }
    if (!rc) rc = measure(b, w);
    for (uint32_t i = 0; i < b->threads; i++) worker_free(&w[i]);
    qd_free(w);
    return rc;
}

static int open_index(bench *b)
{
    if (b->parse_only) return 0;
    int rc = qd_bench_dir_open(&b->d, b->dir, QD_BENCH_CREATE, &b->err);
    if (rc) return rc;
    if (!b->es) return qd_bench_segments_make(b->d.store, &b->segments, &b->err);
    qd_bench_es_options o = {
        .slots = b->threads,
        .ram_bytes = (uint64_t)(b->ram_mb * 1e6),
        .refresh_ms = b->refresh_ms,
        .freqs = b->freqs,
        .no_fsync = b->no_fsync,
        .mapping = b->mapping,
        .order = (uint8_t)b->order,
    };
    return qd_bench_es_open(&b->d, true, &o, &b->engine, &b->err);
}

/* --- options --------------------------------------------------------------------------------- */

static int number(bench *b, const char *name, const char *value, uint64_t most, uint64_t *out)
{
    if (!qd_u64_parse(qd_str_c(value), out) && *out <= most) return 0;
    return qd_err_set(&b->err, QD_E_ARG, "--%s %s: not a number up to %llu", name, value,
                      (unsigned long long)most);
}

enum {
    IN = 1,
    INDEX,
    THREADS,
    RAM,
    LIMIT,
    BULK,
    REFRESH,
    MERGE,
    FREQS,
    PARSE,
    ES,
    APPEND,
    NOSYNC,
    MAPPING,
    REORDER
};
static const qd_option options[] = {
    {"in", true, IN},
    {"index", true, INDEX},
    {"threads", true, THREADS},
    {"ram", true, RAM},
    {"limit", true, LIMIT},
    {"bulk", true, BULK},
    {"merge", false, MERGE},
    {"refresh-ms", true, REFRESH},
    {"freqs", false, FREQS},
    {"es", false, ES},
    {"parse-only", false, PARSE},
    {"es-append", false, APPEND},
    {"no-fsync", false, NOSYNC},
    {"mapping", true, MAPPING},
    {"reorder", true, REORDER},
    {0},
};

static void set_flag(bench *b, int id)
{
    b->merge |= id == MERGE;
    b->freqs |= id == FREQS;
    b->parse_only |= id == PARSE;
    b->no_fsync |= id == NOSYNC;
    b->es |= id == ES || id == APPEND;
    b->append |= id == APPEND;
}

static int order(bench *b, const char *value)
{
    static const char *const names[] = {"off", "length", "bp"}; /* as in qd_merge_order */
    for (uint32_t i = 0; i < QD_COUNT_OF(names); i++) {
        if (strcmp(value, names[i]) != 0) continue;
        b->order = (qd_merge_order)i;
        return 0;
    }
    return qd_err_set(&b->err, QD_E_ARG, "--reorder is off, length or bp, not %s", value);
}

static int set_value(bench *b, int id, const char *value)
{
    uint64_t n = 0;
    int rc = 0;
    if (id == IN)
        b->in = value;
    else if (id == INDEX)
        b->dir = value;
    else if (id == MAPPING)
        b->mapping = value;
    else if (id == REORDER)
        rc = order(b, value);
    else if (id == LIMIT)
        rc = number(b, "limit", value, UINT64_MAX, &b->limit);
    else if (id == RAM) {
        if (qd_f64_parse(qd_str_c(value), &b->ram_mb) || !(b->ram_mb >= 1 && b->ram_mb <= 1e6))
            rc = qd_err_set(&b->err, QD_E_ARG, "--ram %s: not a number of MB from 1", value);
    } else if (id == THREADS) {
        rc = number(b, "threads", value, THREADS_MAX, &n);
        b->threads = (uint32_t)n;
        if (!rc && !n) rc = qd_err_set(&b->err, QD_E_ARG, "--threads is 1 to %u", THREADS_MAX);
    } else if (id == BULK) {
        rc = number(b, "bulk", value, BULK_MAX, &n);
        b->bulk = (uint32_t)n;
        if (!rc && !n) rc = qd_err_set(&b->err, QD_E_ARG, "--bulk is 1 to %u", BULK_MAX);
    } else {
        rc = number(b, "refresh-ms", value, UINT32_MAX, &n);
        b->refresh_ms = (uint32_t)n;
    }
    return rc;
}

static int parse(bench *b, int argc, char **argv)
{
    qd_args a;
    int id;
    qd_args_init(&a, argc, argv, 1, options);
    while ((id = qd_args_next(&a, &b->err)) != QD_ARGS_END) {
        if (id == QD_ARGS_BAD) return QD_E_ARG;
        if (id == QD_ARGS_WORD)
            return qd_err_set(&b->err, QD_E_ARG, "unexpected argument %s", a.value);
        int rc = 0;
        if (a.value)
            rc = set_value(b, id, a.value);
        else
            set_flag(b, id);
        if (rc) return rc;
    }
    if (!b->in || (!b->dir && !b->parse_only))
        return qd_err_set(&b->err, QD_E_ARG, "--in and --index are needed");
    if (b->mapping && !b->es)
        return qd_err_set(&b->err, QD_E_ARG, "--mapping needs --es or --es-append");
    if (b->mapping && b->freqs)
        return qd_err_set(&b->err, QD_E_ARG,
                          "--freqs is not for --mapping, which says itself what is indexed");
    return 0;
}

static void report(const bench *b)
{
    const char *reason = qd_err_reason(&b->err), *end = strchr(reason, '\n');
    int n = (int)(end ? (size_t)(end - reason) : strlen(reason));
    if (b->err_line)
        fprintf(stderr, "qd bench index: %s: line %llu: %.*s\n", b->in,
                (unsigned long long)b->err_line, n, reason);
    else
        fprintf(stderr, "qd bench index: %.*s\n", n, reason);
}

int qd_bench_index(int argc, char **argv)
{
    bench b = {.threads = 1, .ram_mb = 256, .limit = UINT64_MAX, .bulk = 1000, .refresh_ms = 1000};
    qd_err_init(&b.err);
    int rc = parse(&b, argc, argv), bad = rc;
    if (!rc) rc = qd_bench_lines_open(b.in, b.limit, &b.lines, &b.err);
    if (!rc) rc = open_index(&b);
    if (!rc) rc = qd_analyzers_make(NULL, 0, NULL, &b.analyzers, &b.err);
    if (!rc) {
        b.analyzer = qd_analyzers_get(b.analyzers, QD_STR("standard"));
        rc = run(&b);
    }
    if (rc) report(&b);
    qd_bench_es_close(b.engine);
    qd_bench_segments_free(b.segments);
    qd_analyzers_unref(b.analyzers);
    qd_bench_lines_close(b.lines);
    qd_bench_dir_close(&b.d);
    qd_err_fini(&b.err);
    return bad ? QD_EXIT_USAGE : rc ? 1 : 0;
}
