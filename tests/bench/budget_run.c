/*
 * budget_run.c: the hot paths whose instructions are counted (budget.pl runs it under callgrind):
 * parsing, indexing, merging, one class of queries or aggregations after the other, a bulk request.
 * All in this process, over a tier in memory. Each item runs once before it counts, so that what is
 * done once in a process (checksums of pages, tables) is not part of it.
 *
 *   budget_run MAPPING [ITEM...]     --list: names of items; --compiler: what it was built with
 *
 * Without valgrind it does the same work and counts nothing: a test that it works.
 */
#include "analysis/analysis.h"
#include "base/assert.h"
#include "base/log.h"
#include "base/str.h"
#include "bench/budget_corpus.h"
#include "engine/document.h"
#include "lib/action_node.h"
#include "lib/store_crash.h"
#include "main/bench/bench.h"
#include "main/bench/body.h"
#include "mapping/mapping.h"
#include "runtime/file.h"
#include "search/plan/plan.h"
#include "segment/merge.h"
#include "json/reader.h"
#include <gnu/libc-version.h>
#include <stdio.h>
#include <stdlib.h>

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_START_INSTRUMENTATION
#define CALLGRIND_STOP_INSTRUMENTATION
#define CALLGRIND_ZERO_STATS
#define CALLGRIND_DUMP_STATS_AT(name) (void)(name)
#endif

#define DOCS 20000u /* of the index that is searched */
#define FEW 2000u   /* of the items that index */
#define PARTS 4u    /* segments that are merged, with FEW documents in all */
#define QUERIES 20u /* of a class */
#define DOC_BYTES 4096u

typedef struct budget {
    const char *mapping_path;
    qd_err err;
    qd_account account;
    store_crash *disk;
    qd_store *store;
    qd_analyzers *analyzers;
    qd_mapping *mapping;
    qd_bench_schema *schema;
    qd_document_writer *writer;
    qd_buffer *buffer;
    char *text; /* of FEW documents, ends[i] behind the i-th */
    size_t ends[FEW];
    uint32_t segments; /* names given so far */
    qd_segment *all;
    qd_searcher *searcher;
    action_node *node;
    qd_arena arena, scratch;
} budget;

/* A failure ends the program: there is no figure then. */
static void must(budget *b, int rc, const char *what)
{
    if (!rc) return;
    fprintf(stderr, "budget_run: %s: %s\n", what, qd_err_reason(&b->err));
    exit(1);
}
#define MUST(x) must(b, (x), #x)

static qd_str document(const budget *b, uint32_t i)
{
    size_t from = i ? b->ends[i - 1] : 0;
    return (qd_str){b->text + from, b->ends[i] - from};
}

/* --- documents --- */

static void parse(budget *b)
{
    qd_json_reader r = QD_JSON_READER(&b->account);
    for (uint32_t i = 0; i < FEW; i++) {
        int event;
        qd_json_reader_init(&r, document(b, i), QD_JSON_STRICT_KEYS, 0);
        while ((event = (int)qd_json_next(&r)) > 0) {}
        if (event < 0) MUST(qd_json_fail(&r, &b->err));
    }
    qd_json_reader_fini(&r);
}

static void write_one(budget *b, qd_str source)
{
    qd_engine_op op = {.source = source, .version = -1, .auto_id_ms = -1};
    qd_doc_result result = {0};
    MUST(qd_buffer_doc_begin(b->buffer, NULL, &b->err));
    MUST(qd_document_write(b->writer, b->mapping, b->segments + 1, b->buffer, &op, &result,
                           &b->err));
    MUST(qd_buffer_doc_commit(b->buffer, &b->err));
}

static void name_of(uint32_t number, char name[48], uint8_t id[16])
{
    memset(id, 0, 16);
    memcpy(id, &number, sizeof number);
    snprintf(name, 48, "seg-%032u", number);
}

static const qd_segment_attrs attrs = {
    .min_seq_no = -1, .max_seq_no = -1, .stored_codec = QD_STORED_NONE, .sparse_bitmaps = true};

static uint32_t flush(budget *b)
{
    char name[48];
    uint8_t id[16];
    name_of(++b->segments, name, id);
    MUST(qd_buffer_flush(b->buffer, b->store, qd_str_c(name), id, &attrs, true, NULL, &b->err));
    qd_buffer_reset(b->buffer);
    return b->segments;
}

static void index_plain(budget *b)
{
    for (uint32_t i = 0; i < FEW; i++) write_one(b, document(b, i));
    (void)flush(b);
}

/* The engine: versions, translog, sources, a commit. */
static void index_engine(budget *b)
{
    store_crash *disk = store_crash_make(NULL);
    qd_bench_dir d = {0};
    qd_bench_es *e;
    qd_bench_es_options o = {
        .slots = 1, .ram_bytes = 64u << 20, .refresh_ms = 3600000, .mapping = b->mapping_path};
    MUST(store_crash_open(disk, &d.store, &b->err));
    MUST(qd_bench_es_open(&d, true, &o, &e, &b->err));
    for (uint32_t i = 0; i < FEW; i++) {
        char id[16];
        int n = snprintf(id, sizeof id, "%07u", i);
        MUST(qd_bench_es_index(e, 0, (qd_str){id, (size_t)n}, document(b, i), false, &b->err));
        if (i % 500 == 499) MUST(qd_bench_es_sync(e, 0, &b->err));
    }
    MUST(qd_bench_es_commit(e, &b->err));
    qd_bench_es_close(e);
    qd_store_close(d.store);
    store_crash_free(disk);
}

static void merge(budget *b)
{
    static qd_segment *from[PARTS]; /* made by the run that does not count */
    qd_merge_source source[PARTS] = {0};
    char name[48];
    uint8_t id[16];
    for (uint32_t p = 0; p < PARTS; p++) {
        if (!from[p]) {
            for (uint32_t i = p * FEW / PARTS; i < (p + 1) * FEW / PARTS; i++)
                write_one(b, document(b, i));
            name_of(flush(b), name, id);
            MUST(qd_segment_open(b->store, qd_str_c(name), NULL, &from[p], &b->err));
        }
        source[p].segment = from[p];
    }
    qd_merge_options o = {.attrs = attrs, .sync = true};
    name_of(++b->segments, name, id);
    MUST(qd_segment_merge(source, PARTS, b->store, qd_str_c(name), id, &o, NULL, NULL, &b->err));
}

/* As a client sends it: from the body of a _bulk request to its answer, through a whole node, which
 * is a new one each time: it is all the same then which of its slots the worker takes. */
static void bulk(budget *b)
{
    qd_buf body;
    action_node_close(b->node);
    b->node = action_node_open(NULL);
    qd_buf_init(&body, NULL, 64u << 20);
    MUST(qd_buf_printf(&body, "{\"settings\":{\"refresh_interval\":-1},\"mappings\":"));
    MUST(qd_file_read(b->mapping_path, &body, &b->err));
    MUST(qd_buf_add(&body, "}", 2));
    qd_assert(action_call(b->node, "PUT", "/x", body.p) == 200);
    qd_buf_reset(&body);
    for (uint32_t i = 0; i < FEW; i++) {
        qd_str d = document(b, i);
        MUST(qd_buf_printf(&body, "{\"index\":{\"_id\":\"%u\"}}\n%.*s\n", i, QD_STR_ARG(d)));
    }
    MUST(qd_buf_add(&body, "", 1));
    CALLGRIND_ZERO_STATS; /* what comes before is not what counts */
    qd_assert(action_call(b->node, "POST", "/x/_bulk", body.p) == 200);
    qd_buf_fini(&body);
    qd_assert(strcmp(action_at(b->node, "errors"), "false") == 0);
}

/* --- searches --- */

static void open_index(budget *b)
{
    char line[DOC_BYTES], name[48];
    uint8_t id[16];
    if (b->searcher) return;
    for (uint32_t i = 0; i < DOCS; i++) {
        size_t n = budget_document(i, line, DOC_BYTES);
        write_one(b, (qd_str){line, n});
    }
    name_of(flush(b), name, id);
    MUST(qd_segment_open(b->store, qd_str_c(name), NULL, &b->all, &b->err));
    MUST(qd_searcher_make(&b->all, NULL, 1, NULL, &b->searcher, &b->err));
}

/* Hits, or answers other than none: a class that finds nothing measures nothing. */
static uint64_t search(budget *b, const qd_bench_body *q, budget_how how)
{
    static const qd_plan_options counted = {.no_scores = true}, scored = {0};
    qd_plan *p;
    qd_top_result top;
    qd_bench_sorted sorted;
    uint64_t hits = 1;
    if (how == BUDGET_AGGS) {
        MUST(qd_bench_body_aggs(q, b->searcher, &b->account, &b->scratch, NULL, &b->err));
    } else if (how == BUDGET_SORT) {
        MUST(qd_bench_body_sort(q, b->searcher, 10, 0, &b->scratch, &sorted, &b->err));
        hits = sorted.n;
    } else {
        bool count = how == BUDGET_COUNT;
        MUST(qd_plan_make(b->searcher, q->root, count ? &counted : &scored, &b->scratch, &p,
                          &b->err));
        if (count) {
            MUST(qd_plan_count(p, 0, &hits, &b->err));
        } else {
            MUST(qd_plan_top(p, &(qd_top_options){.k = 10}, &top, &b->err));
            hits = top.n;
        }
    }
    qd_arena_reset(&b->scratch);
    return hits;
}

static void search_class(budget *b, const budget_class *c, qd_bench_body *q)
{
    uint64_t hits = 0;
    for (uint32_t i = 0; i < QUERIES; i++) hits += search(b, &q[i], c->how);
    if (hits >= QUERIES) return;
    fprintf(stderr, "budget_run: %s finds nothing\n", c->name);
    exit(1);
}

static void read_class(budget *b, const budget_class *c, qd_bench_body *q)
{
    for (uint32_t i = 0; i < QUERIES; i++) {
        char *text = qd_arena_alloc(&b->arena, DOC_BYTES);
        qd_assert(text);
        size_t n = c->make(i, text, DOC_BYTES);
        MUST(qd_bench_body_read(b->schema, (qd_str){text, n}, &b->arena, &q[i], &b->err));
    }
}

/* Bodies of all classes, from their text to trees. */
static void read_queries(budget *b)
{
    qd_bench_body q[QUERIES];
    for (uint32_t c = 0; c < budget_nclasses; c++) read_class(b, &budget_classes[c], q);
    qd_arena_reset(&b->arena);
}

/* --- the items --- */

static void count(budget *b, const char *name, void (*item)(budget *b))
{
    item(b);
    CALLGRIND_START_INSTRUMENTATION;
    CALLGRIND_ZERO_STATS;
    item(b);
    CALLGRIND_DUMP_STATS_AT(name);
    CALLGRIND_STOP_INSTRUMENTATION;
}

static void count_class(budget *b, const budget_class *c)
{
    qd_bench_body q[QUERIES];
    open_index(b);
    read_class(b, c, q);
    search_class(b, c, q);
    CALLGRIND_START_INSTRUMENTATION;
    CALLGRIND_ZERO_STATS;
    search_class(b, c, q);
    CALLGRIND_DUMP_STATS_AT(c->name);
    CALLGRIND_STOP_INSTRUMENTATION;
    qd_arena_reset(&b->arena);
}

/* Engine and node, whose threads have work of their own, come last. */
static const struct item {
    const char *name;
    void (*run)(budget *b);
} items[] = {
    {"json_parse", parse}, {"query_parse", read_queries},  {"index_plain", index_plain},
    {"merge", merge},      {"index_engine", index_engine}, {"bulk", bulk},
};
#define NITEMS (sizeof items / sizeof *items)

static void begin(budget *b, const char *mapping)
{
    *b = (budget){.mapping_path = mapping};
    qd_err_init(&b->err);
    qd_log_level_set(NULL, QD_LOG_OFF);
    qd_account_init(&b->account, "budget", NULL, 0);
    qd_arena_init(&b->arena, NULL, 0);
    qd_arena_init(&b->scratch, NULL, 0);
    b->disk = store_crash_make(NULL);
    MUST(store_crash_open(b->disk, &b->store, &b->err));
    MUST(qd_bench_mapping_make(mapping, QD_STR(""), &b->analyzers, &b->mapping, &b->err));
    MUST(qd_bench_schema_open(mapping, &b->schema, &b->err));
    b->writer = qd_document_writer_make(&b->account);
    qd_assert(b->writer);
    MUST(qd_buffer_create(NULL, &b->buffer, &b->err));
    b->text = calloc(FEW + 1, DOC_BYTES);
    qd_assert(b->text);
    for (size_t i = 0, at = 0; i < FEW; i++)
        b->ends[i] = at += budget_document((uint32_t)i, b->text + at, DOC_BYTES);
}

static bool wanted(int argc, char **argv, const char *name)
{
    for (int i = 2; i < argc; i++)
        if (strcmp(argv[i], name) == 0) return true;
    return argc == 2;
}

int main(int argc, char **argv)
{
    static budget b;
    const char *first = argc > 1 ? argv[1] : "--help";
    if (strcmp(first, "--compiler") == 0) {
#ifdef __clang__
        printf("clang %s, libc %s\n", __clang_version__, gnu_get_libc_version());
#else
        printf("gcc %s, libc %s\n", __VERSION__, gnu_get_libc_version());
#endif
        return 0;
    }
    if (strcmp(first, "--list") == 0) {
        for (size_t i = 0; i < NITEMS; i++) puts(items[i].name);
        for (uint32_t i = 0; i < budget_nclasses; i++) puts(budget_classes[i].name);
        return 0;
    }
    begin(&b, first);
    for (uint32_t i = 0; i < budget_nclasses; i++)
        if (wanted(argc, argv, budget_classes[i].name)) count_class(&b, &budget_classes[i]);
    for (size_t i = 0; i < NITEMS; i++)
        if (wanted(argc, argv, items[i].name)) count(&b, items[i].name, items[i].run);
    action_node_close(b.node);
    return 0;
}
