/*
 * qd_bench_index.c: `qd bench index`: JSON lines into segments: reader, standard analyzer, one
 * indexing buffer a thread, flushed when it holds its share of --ram, at the end merged to one
 * segment if asked for. Documents per CPU second are the process's, from the first line to the last
 * byte synced.
 */
#include "analysis/analysis.h"
#include "main/args.h"
#include "main/qd_bench.h"
#include "runtime/file.h"
#include "runtime/proc.h"
#include "runtime/sync.h"
#include "segment/merge.h"
#include "segment/segment.h"
#include "json/number.h"
#include "json/reader.h"
#include <stdio.h>
#include <stdlib.h>

#define BATCH_DOCS 256u
#define BULK_DOCS 1000u /* --es: synced together */
#define BATCH_BYTES_MAX (64u << 20)
#define THREADS_MAX 64u
#define SEGMENTS_MAX 4096u

typedef struct bench {
    const char *in, *dir;
    uint32_t threads;
    double ram_mb;
    bool merge, es, append;
    uint64_t limit;
    qd_bench_dir d;
    qd_mutex lock; /* of the input and the counters */
    qd_file_in *file;
    char *block;
    size_t at, have;
    bool ended;
    uint64_t handed, docs, bytes;
    uint32_t segments;
    qd_bench_es *engine; /* --es */
    int rc;
    qd_err err;
    const qd_analyzer *analyzer;
} bench;

typedef struct worker {
    bench *b;
    qd_account account;
    qd_analysis *analysis;
    qd_buffer *buffer;
    uint32_t field_body, field_id;
    qd_json_reader json;
    char *text; /* lines of a batch */
    size_t cap, n;
    uint32_t ends[BULK_DOCS], lines, number;
    uint32_t *off;
    uint16_t *len;
    size_t words;
    uint64_t cpu_ns, docs;
    qd_thread *thread;
    int rc;
    qd_err err;
} worker;

#define BLOCK_BYTES (1u << 20)

/* Fills the worker's batch with lines; false at the end. One at a time. */
static int take_batch(worker *w, bool *more)
{
    bench *b = w->b;
    int rc = 0;
    w->n = 0;
    w->lines = 0;
    uint32_t most = b->es ? BULK_DOCS : BATCH_DOCS;
    qd_mutex_lock(&b->lock);
    while (!rc && w->lines < most && b->handed < b->limit && !(b->ended && b->at == b->have)) {
        if (b->at == b->have) {
            int64_t got = qd_file_in_read(b->file, b->block, BLOCK_BYTES, &w->err);
            if (got < 0) rc = (int)got;
            b->at = 0;
            b->have = got > 0 ? (size_t)got : 0;
            b->ended = got <= 0;
            if (!b->ended) continue;
            if (w->n > (w->lines ? w->ends[w->lines - 1] : 0)) { /* a last line without its end */
                w->ends[w->lines++] = (uint32_t)w->n;
                b->handed++;
            }
            break;
        }
        const char *from = b->block + b->at, *nl = memchr(from, '\n', b->have - b->at);
        size_t n = nl ? (size_t)(nl - from) : b->have - b->at;
        if (w->n + n + 128 > w->cap) {
            size_t cap = (w->n + n + 128) * 2;
            char *grown = cap <= BATCH_BYTES_MAX ? qd_realloc(NULL, w->text, cap) : NULL;
            if (!grown) {
                rc = qd_err_set(&w->err, QD_E_LIMIT, "a line of the input is too long");
                break;
            }
            w->text = grown;
            w->cap = cap;
        }
        memcpy(w->text + w->n, from, n);
        w->n += n;
        b->at += n + (nl != NULL);
        if (!nl) continue;
        w->ends[w->lines++] = (uint32_t)w->n;
        b->handed++;
    }
    b->bytes += w->n + w->lines;
    qd_mutex_unlock(&b->lock);
    *more = w->lines > 0;
    return rc;
}

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

static int parse_line(worker *w, qd_str line, size_t slack, qd_str *id, qd_str *body)
{
    qd_json_event ev;
    qd_str *to = NULL;
    qd_json_reader_init_slack(&w->json, line, slack, 0, 0);
    *id = *body = (qd_str){0};
    while ((ev = qd_json_next(&w->json)) > 0) {
        if (ev == QD_JSON_KEY) {
            qd_str k = w->json.text;
            to = qd_str_is(k, "id")                             ? id
                 : qd_str_is(k, "body") || qd_str_is(k, "text") ? body
                                                                : NULL;
            if (!to && qd_json_skip(&w->json)) break;
        } else if (to && (ev == QD_JSON_STRING || ev == QD_JSON_NUMBER)) {
            *to = w->json.text;
            to = NULL;
        } else if ((ev == QD_JSON_OBJECT || ev == QD_JSON_ARRAY) && w->json.depth > 1) {
            to = NULL; /* a value of another kind, with keys of its own */
            if (qd_json_skip(&w->json)) break;
        } else {
            to = NULL;
        }
    }
    return ev < 0 ? qd_json_fail(&w->json, &w->err) : 0;
}

static int prepare_fields(worker *w)
{
    static const qd_field_info body = {
        .name = {"body", 4}, .index = QD_INDEX_POSITIONS, .norms = 1};
    static const qd_field_info id = {.name = {"id", 2}, .column = QD_COLUMN_BYTES};
    int rc = qd_buffer_field(w->buffer, &body, &w->field_body, &w->err);
    return rc ? rc : qd_buffer_field(w->buffer, &id, &w->field_id, &w->err);
}

static void segment_name(uint32_t number, char name[48], uint8_t id[16])
{
    snprintf(name, 48, "seg-%032x", number);
    memset(id, 0, 16);
    for (int i = 0; i < 4; i++) id[12 + i] = (uint8_t)(number >> (24 - 8 * i));
}

static int flush(worker *w)
{
    bench *b = w->b;
    if (!qd_buffer_docs(w->buffer)) return 0;
    qd_mutex_lock(&b->lock);
    uint32_t number = b->segments++;
    qd_mutex_unlock(&b->lock);
    if (number >= SEGMENTS_MAX) return qd_err_set(&w->err, QD_E_LIMIT, "too many segments");
    char name[48];
    uint8_t id[16];
    segment_name(number, name, id);
    qd_segment_attrs attrs = {
        .min_seq_no = -1, .max_seq_no = -1, .stored_codec = QD_STORED_NONE, .sparse_bitmaps = true};
    int rc =
        qd_buffer_flush(w->buffer, b->d.store, qd_str_c(name), id, &attrs, true, NULL, &w->err);
    if (rc) return rc;
    qd_buffer_reset(w->buffer);
    return prepare_fields(w);
}

static int add_line(worker *w, qd_str line, size_t slack)
{
    qd_str id, body;
    int rc = parse_line(w, line, slack, &id, &body);
    if (!rc) rc = qd_buffer_doc_begin(w->buffer, NULL, &w->err);
    if (rc) return rc;
    rc = qd_buffer_column_bytes(w->buffer, w->field_id, id, &w->err);
    if (!rc) rc = add_words(w, body);
    if (!rc) rc = qd_buffer_doc_commit(w->buffer, &w->err);
    if (rc) qd_buffer_doc_abort(w->buffer);
    return rc;
}

/* The id alone: the engine parses the document itself, as it does behind a bulk's action line. */
static int line_id(worker *w, qd_str line, size_t slack, qd_str *id)
{
    qd_json_event ev;
    bool here = false;
    qd_json_reader_init_slack(&w->json, line, slack, 0, 0);
    while ((ev = qd_json_next(&w->json)) > 0) {
        if (ev == QD_JSON_KEY) {
            here = qd_str_is(w->json.text, "id");
            if (!here && qd_json_skip(&w->json)) break;
        } else if (here) {
            *id = w->json.text;
            return 0;
        }
    }
    return ev < 0 ? qd_json_fail(&w->json, &w->err)
                  : qd_err_set(&w->err, QD_E_ARG, "a document without id");
}

static int work_es(worker *w)
{
    bool more = true;
    int rc = 0;
    while (!rc) {
        rc = take_batch(w, &more);
        if (rc || !more) break;
        uint32_t from = 0;
        for (uint32_t i = 0; i < w->lines && !rc; i++) {
            qd_str line = {w->text + from, w->ends[i] - from}, id = {0};
            from = w->ends[i];
            if (line.n == 0) continue;
            rc = line_id(w, line, w->cap - from, &id);
            if (!rc)
                rc = qd_bench_es_index(w->b->engine, w->number, id, line, w->b->append, &w->err);
            w->docs++;
        }
        if (!rc) rc = qd_bench_es_sync(w->b->engine, w->number, &w->err);
    }
    return rc;
}

static int work(worker *w)
{
    if (w->b->es) return work_es(w);
    bool more = true;
    uint64_t room = (uint64_t)(w->b->ram_mb * 1e6 / w->b->threads);
    int rc = prepare_fields(w);
    while (!rc) {
        rc = take_batch(w, &more);
        if (rc || !more) break;
        uint32_t from = 0;
        for (uint32_t i = 0; i < w->lines && !rc; i++) {
            qd_str line = {w->text + from, w->ends[i] - from};
            from = w->ends[i];
            if (line.n == 0) continue;
            rc = add_line(w, line, w->cap - from);
            w->docs++;
            if (!rc && qd_buffer_bytes(w->buffer) > room) rc = flush(w);
        }
    }
    return rc ? rc : flush(w);
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
    w->cap = 4u << 20;
    w->text = qd_alloc(NULL, w->cap);
    if (!w->analysis || !w->text) return qd_err_nomem(&b->err, "indexing");
    return qd_buffer_create(&w->account, &w->buffer, &b->err);
}

static void worker_free(worker *w)
{
    qd_buffer_destroy(w->buffer);
    qd_analysis_free(w->analysis);
    qd_json_reader_fini(&w->json);
    qd_free(w->text);
    qd_free(w->off);
    qd_free(w->len);
    qd_err_fini(&w->err);
}

/* Merges all segments to one. */
static int merge_all(bench *b)
{
    qd_merge_source *src = qd_calloc(NULL, b->segments * sizeof *src);
    if (!src) return qd_err_nomem(&b->err, "merge");
    int rc = 0;
    char name[48];
    uint8_t id[16];
    for (uint32_t i = 0; i < b->segments && !rc; i++) {
        segment_name(i, name, id);
        rc = qd_segment_open(b->d.store, qd_str_c(name), NULL, &src[i].segment, &b->err);
    }
    qd_merge_options o = {.attrs = {.min_seq_no = -1,
                                    .max_seq_no = -1,
                                    .stored_codec = QD_STORED_NONE,
                                    .sparse_bitmaps = true},
                          .sync = true};
    segment_name(b->segments, name, id);
    if (!rc)
        rc = qd_segment_merge(src, b->segments, b->d.store, qd_str_c(name), id, &o, NULL, NULL,
                              &b->err);
    for (uint32_t i = 0; i < b->segments; i++) qd_segment_unref(src[i].segment);
    qd_free(src);
    for (uint32_t i = 0; i < b->segments && !rc; i++) {
        segment_name(i, name, id);
        rc = qd_store_delete(b->d.store, qd_str_c(name), &b->err);
    }
    if (!rc) b->segments = 1;
    return rc;
}

static int add_size(void *arg, qd_str name, uint64_t bytes)
{
    (void)name;
    *(uint64_t *)arg += bytes;
    return 0;
}

static int run(bench *b)
{
    worker *w = qd_calloc(NULL, b->threads * sizeof *w);
    qd_env *env = qd_env_system();
    if (!w) return qd_err_nomem(&b->err, "indexing");
    int rc = 0;
    for (uint32_t i = 0; i < b->threads && !rc; i++) {
        w[i].number = i;
        rc = worker_make(&w[i], b);
    }
    if (!rc && b->es)
        rc = qd_bench_es_open(&b->d, true, b->threads, (uint64_t)(b->ram_mb * 1e6), &b->engine,
                              &b->err);
    uint64_t t0 = qd_env_mono_ns(env), c0 = qd_proc_cpu_ns(), thread_cpu = 0;
    for (uint32_t i = 0; i < b->threads && !rc; i++)
        rc = qd_thread_start(env, "bench", worker_main, &w[i], &w[i].thread, &b->err);
    for (uint32_t i = 0; i < b->threads; i++) {
        if (w[i].thread) qd_thread_join(env, w[i].thread);
        thread_cpu += w[i].cpu_ns;
        b->docs += w[i].docs;
        if (w[i].rc && !rc) {
            rc = w[i].rc;
            qd_err_move(&b->err, &w[i].err);
        }
    }
    double index_s = (double)(qd_env_mono_ns(env) - t0) / 1e9, merge_s = 0;
    qd_bench_es_figures f = {.syncs = b->segments};
    if (!rc && b->es) {
        rc = qd_bench_es_commit(b->engine, b->merge, &b->err);
        merge_s = (double)(qd_env_mono_ns(env) - t0) / 1e9 - index_s;
    }
    if (!rc && !b->es && b->merge && b->segments > 1) {
        rc = merge_all(b);
        merge_s = (double)(qd_env_mono_ns(env) - t0) / 1e9 - index_s;
    }
    double total = (double)(qd_env_mono_ns(env) - t0) / 1e9;
    double cpu = (double)(qd_proc_cpu_ns() - c0) / 1e9, tcpu = (double)thread_cpu / 1e9;
    uint64_t size = 0;
    if (b->engine) {
        qd_bench_es_figures_get(b->engine, &f);
        b->segments = (uint32_t)f.segments;
        size = f.segment_bytes;
    } else if (!rc) {
        rc = qd_store_list(b->d.store, QD_STR("seg-"), add_size, &size, &b->err);
    }
    double n = (double)b->docs;
    if (!rc)
        printf("threads=%u ram=%.0f es=%s append=%s merge=%s docs=%llu input_bytes=%llu "
               "index_s=%.2f commit_s=%.2f merge_close_s=%.2f total_s=%.2f thread_cpu_s=%.2f "
               "cpu_s=%.2f gc_ms=0 docs_per_s=%.0f MB_per_s=%.2f docs_per_s_total=%.0f "
               "docs_per_thread_cpu_s=%.0f docs_per_cpu_s=%.0f index_bytes=%llu segments=%u "
               "refreshes=%llu fsyncs=%llu translog_bytes=%llu files: seg=%llu\n",
               b->threads, b->ram_mb, b->es ? "true" : "false", b->append ? "true" : "false",
               b->merge ? "true" : "false", (unsigned long long)b->docs,
               (unsigned long long)b->bytes, index_s, 0.0, merge_s, total, tcpu, cpu, n / index_s,
               (double)b->bytes / 1e6 / index_s, n / total, n / tcpu, n / cpu,
               (unsigned long long)size, b->segments, (unsigned long long)f.refreshes,
               (unsigned long long)f.syncs, (unsigned long long)f.translog_bytes,
               (unsigned long long)size);
    for (uint32_t i = 0; i < b->threads; i++) worker_free(&w[i]);
    qd_free(w);
    return rc;
}

static int parse(bench *b, int argc, char **argv)
{
    enum { IN = 1, INDEX, THREADS, RAM, MERGE, LIMIT, ES, APPEND };
    static const qd_option options[] = {
        {"in", true, IN},   {"index", true, INDEX},       {"threads", true, THREADS},
        {"ram", true, RAM}, {"merge", false, MERGE},      {"limit", true, LIMIT},
        {"es", false, ES},  {"es-append", false, APPEND}, {0},
    };
    qd_args a;
    int id;
    qd_args_init(&a, argc, argv, 1, options);
    while ((id = qd_args_next(&a, &b->err)) != QD_ARGS_END) {
        if (id == QD_ARGS_BAD) return QD_E_ARG;
        if (id == IN)
            b->in = a.value;
        else if (id == INDEX)
            b->dir = a.value;
        else if (id == THREADS)
            b->threads = (uint32_t)strtoul(a.value, NULL, 10);
        else if (id == RAM) {
            if (qd_f64_parse(qd_str_c(a.value), &b->ram_mb))
                return qd_err_set(&b->err, QD_E_ARG, "--ram is a number");
        } else if (id == MERGE)
            b->merge = true;
        else if (id == LIMIT)
            b->limit = strtoull(a.value, NULL, 10);
        else if (id == ES)
            b->es = true;
        else if (id == APPEND)
            b->es = b->append = true;
        else
            return qd_err_set(&b->err, QD_E_ARG, "unexpected argument %s", a.value);
    }
    if (!b->in || !b->dir) return qd_err_set(&b->err, QD_E_ARG, "--in and --index are needed");
    if (b->threads < 1 || b->threads > THREADS_MAX || !(b->ram_mb >= 1))
        return qd_err_set(&b->err, QD_E_ARG, "--threads is 1 to %u, --ram at least 1", THREADS_MAX);
    return 0;
}

int qd_bench_index(int argc, char **argv)
{
    bench b = {.threads = 1, .ram_mb = 256, .limit = UINT64_MAX};
    qd_err_init(&b.err);
    qd_mutex_init(&b.lock);
    qd_analyzers *as = NULL;
    int rc = parse(&b, argc, argv);
    if (!rc) rc = qd_bench_dir_open(&b.d, b.dir, QD_BENCH_CREATE, &b.err);
    if (!rc) rc = qd_analyzers_make(NULL, 0, NULL, &as, &b.err);
    if (!rc) {
        b.analyzer = qd_analyzers_get(as, QD_STR("standard"));
        b.block = qd_alloc(NULL, BLOCK_BYTES);
        rc = b.block ? qd_file_in_open(b.in, &b.file, &b.err) : qd_err_nomem(&b.err, "input");
    }
    if (!rc) rc = run(&b);
    if (rc) fprintf(stderr, "qd bench index: %s\n", qd_err_reason(&b.err));
    qd_file_in_close(b.file);
    qd_free(b.block);
    qd_analyzers_unref(as);
    qd_bench_es_close(b.engine);
    qd_bench_dir_close(&b.d);
    qd_mutex_fini(&b.lock);
    qd_err_fini(&b.err);
    return rc ? 1 : 0;
}
