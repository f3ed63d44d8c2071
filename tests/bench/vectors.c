/*
 * vectors.c: vectors [DOCS [DIMS [ROUNDS]]]: how fast the nearest vectors are found by looking at
 * all, on one thread, without HTTP.
 *
 * One segment, in a tier in memory, of DOCS documents (100000 by default) with a vector of DIMS
 * numbers (128) each: floats, bytes, bits. Each line: what, microseconds of a search for the best
 * 10 (the best of ROUNDS, plan and all), million vectors and GB of rows a second. The first search
 * verifies the checksums of what it reads, and is not counted.
 */
#include "mapping/vectors.h"
#include "analysis/analysis.h"
#include "base/str.h"
#include "bench/bench.h"
#include "lib/store_crash.h"
#include "mapping/mapping.h"
#include "query/dsl.h"
#include "runtime/cpu.h"
#include "search/plan/plan.h"
#include "segment/buffer.h"
#include "segment/live.h"
#include "segment/segment.h"

static uint32_t docs = 100000, dims = 128, rounds = 101;

typedef struct bench {
    qd_account account;
    qd_analyzers *analyzers;
    qd_analysis *analysis;
    qd_mapping *mapping;
    qd_searcher *searcher;
} bench;

static const char *const names[] = {"cosine", "l2", "dot", "byte", "bit"};
#define FIELDS (sizeof names / sizeof *names)

static qd_mapping *make_mapping(bench *x)
{
    char text[1024];
    qd_mapping *m;
    snprintf(text, sizeof text,
             "{\"properties\":{\"keep\":{\"type\":\"keyword\"},"
             "\"cosine\":{\"type\":\"dense_vector\",\"dims\":%u},"
             "\"l2\":{\"type\":\"dense_vector\",\"dims\":%u,\"similarity\":\"l2_norm\"},"
             "\"dot\":{\"type\":\"dense_vector\",\"dims\":%u,\"similarity\":\"max_inner_product\"},"
             "\"byte\":{\"type\":\"dense_vector\",\"dims\":%u,\"element_type\":\"byte\"},"
             "\"bit\":{\"type\":\"dense_vector\",\"dims\":%u,\"element_type\":\"bit\"}}}",
             dims, dims, dims, dims, dims);
    OK(qd_mapping_parse(qd_str_c(text), x->analyzers, &QD_MAPPING_SETTINGS_DEFAULT,
                        QD_MAPPING_UPDATE, &m, &err));
    return m;
}

/* A row, as the type of the field would have made it of a document. */
static qd_str row_of(const qd_field *f, char *to)
{
    size_t n = (size_t)qd_vectors_row(f->vectors->element, dims);
    for (uint32_t i = 0; i < dims && f->vectors->element == QD_ELEMENT_FLOAT; i++) {
        float v = (float)(int32_t)(random_next() >> 40) / (1 << 23) - 1;
        memcpy(to + i * sizeof v, &v, sizeof v);
    }
    for (size_t i = 0; i < n && f->vectors->element != QD_ELEMENT_FLOAT; i++)
        to[i] = (char)random_next();
    return (qd_str){to, n};
}

static void fill(const bench *x, qd_buffer *b)
{
    static const qd_field_info keep = {.name = {"keep", 4}, .index = QD_INDEX_DOCS};
    char *row = malloc(dims * sizeof(float));
    uint32_t number[FIELDS], term;
    const qd_field *f[FIELDS];
    OK(qd_buffer_field(b, &keep, &term, &err));
    for (size_t i = 0; i < FIELDS; i++) {
        const qd_field_info info = {.name = qd_str_c(names[i])};
        f[i] = qd_mapping_field(x->mapping, info.name);
        OK(qd_buffer_field(b, &info, &number[i], &err));
        OK(qd_buffer_field_part(b, number[i], f[i]->part, f[i]->conf, &err));
    }
    for (uint32_t d = 0; d < docs; d++) {
        OK(qd_buffer_doc_begin(b, NULL, &err));
        for (size_t i = 0; i < FIELDS; i++)
            OK(qd_buffer_part(b, number[i], row_of(f[i], row), &err));
        if (random_next() % 100 == 0) OK(qd_buffer_term(b, term, QD_STR("hundredth"), &err));
        OK(qd_buffer_doc_commit(b, &err));
    }
    free(row);
}

static qd_searcher *make_searcher(bench *x, qd_store *store)
{
    uint8_t id[16] = {7};
    qd_str name = QD_STR("seg-00000000000000000000000000000001");
    qd_segment_attrs attrs = {.min_seq_no = -1, .max_seq_no = -1, .stored_codec = QD_STORED_NONE};
    qd_segment *segment;
    qd_live *live = NULL;
    qd_searcher *searcher;
    qd_buffer *b;
    OK(qd_buffer_create(&x->account, &b, &err));
    fill(x, b);
    OK(qd_buffer_flush(b, store, name, id, &attrs, true, NULL, &err));
    qd_buffer_destroy(b);
    OK(qd_segment_open(store, name, &x->account, &segment, &err));
    OK(qd_searcher_make(&segment, &live, 1, &x->account, &searcher, &err));
    qd_segment_unref(segment);
    return searcher;
}

/* Seconds of one search for a new vector. */
static double search(const bench *x, const char *field, const char *filter)
{
    qd_arena arena;
    qd_query_built built;
    qd_plan *plan;
    qd_top_result top;
    qd_buf body;
    const qd_field *f = qd_mapping_field(x->mapping, qd_str_c(field));
    uint32_t n = qd_vector_numbers(f->vectors, dims);
    qd_buf_init(&body, NULL, 1 << 20);
    (void)qd_buf_printf(&body, "{\"knn\":{\"field\":\"%s\",\"k\":10,\"query_vector\":[", field);
    for (uint32_t i = 0; i < n; i++)
        (void)qd_buf_printf(&body, "%s%d", i ? "," : "", (int)(random_next() % 256) - 128);
    (void)qd_buf_printf(&body, "]%s}}", filter);
    double from = now();
    qd_arena_init(&arena, (qd_account *)(uintptr_t)&x->account, 0);
    qd_query_context q = {
        .arena = &arena, .mapping = x->mapping, .analysis = x->analysis, .index = QD_STR("bench")};
    OK(qd_query_parse(&q, qd_buf_view(&body), &built, &err));
    OK(qd_plan_make(x->searcher, built.root, NULL, &arena, &plan, &err));
    OK(qd_plan_top(plan, &(qd_top_options){.k = 10, .total = QD_TOTAL_EXACT}, &top, &err));
    if (top.n != 10 || top.total != 10) exit(1);
    qd_arena_fini(&arena);
    double took = now() - from;
    qd_buf_fini(&body);
    return took;
}

static void line(const bench *x, const char *what, const char *field, const char *filter)
{
    const qd_field *f = qd_mapping_field(x->mapping, qd_str_c(field));
    double s = search(x, field, filter), row = (double)qd_vectors_row(f->vectors->element, dims);
    for (uint32_t i = 0; i < rounds; i++) {
        double took = search(x, field, filter);
        if (took < s) s = took;
    }
    printf("%-36s %8.0f us %7.1f M/s %6.2f GB/s\n", what, s * 1e6, docs / s / 1e6,
           docs * row / s / 1e9);
}

int main(int argc, char **argv)
{
    static const char filter[] = ",\"filter\":{\"term\":{\"keep\":\"hundredth\"}}";
    static bench x;
    qd_store *store;
    if (argc > 1) docs = (uint32_t)strtoul(argv[1], NULL, 10);
    if (argc > 2) dims = (uint32_t)strtoul(argv[2], NULL, 10);
    if (argc > 3) rounds = (uint32_t)strtoul(argv[3], NULL, 10);
    if (docs < 2000 || docs > 1u << 24 || dims < 8 || dims > 4096 || dims % 8 || rounds < 1) {
        fprintf(stderr, "usage: vectors [DOCS [DIMS [ROUNDS]]], DIMS a multiple of 8\n");
        return 2;
    }
    qd_err_init(&err);
    qd_account_init(&x.account, "bench", NULL, 0);
    store_crash *disk = store_crash_make(&(store_crash_options){.copies = false});
    OK(store_crash_open(disk, &store, &err));
    OK(qd_analyzers_make(NULL, 0, NULL, &x.analyzers, &err));
    x.analysis = qd_analysis_make(&x.account, 0);
    x.mapping = make_mapping(&x);
    x.searcher = make_searcher(&x, store);
    printf("%u vectors of %u dimensions, best of %u searches, one thread, %s\n", docs, dims, rounds,
           qd_cpu_name(qd_cpu_level()));
    line(&x, "floats, cosine", "cosine", "");
    line(&x, "floats, l2_norm", "l2", "");
    line(&x, "floats, max_inner_product", "dot", "");
    line(&x, "bytes, cosine", "byte", "");
    line(&x, "bits, l2_norm", "bit", "");
    line(&x, "floats, cosine, a filter of 1 %", "cosine", filter);
    qd_searcher_unref(x.searcher);
    qd_mapping_unref(x.mapping);
    qd_analysis_free(x.analysis);
    qd_analyzers_unref(x.analyzers);
    qd_store_close(store);
    store_crash_free(disk);
    return 0;
}
