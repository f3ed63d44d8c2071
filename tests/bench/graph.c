/*
 * graph.c: recall and speed of searches by codes and graphs, on one thread, without HTTP.
 *
 *   graph make DIR DOCS DIMS CLUSTERS QUERIES     random vectors about random centres, l2_norm:
 *                                                 DIR/base.f32, DIR/query.f32, DIR/shape
 *   graph run DIR TYPE [SEGMENTS]                 builds an index of that type and prints, for each
 *                                                 number of candidates, recall@10, searches a
 * second and vectors measured a search
 *
 * A query is among the vectors' own distribution. Filters of 1, 10 and 50 % follow at the first
 * number of candidates with a recall of 0.95.
 */
#include "analysis/analysis.h"
#include "base/str.h"
#include "bench/bench.h"
#include "lib/store_crash.h"
#include "mapping/mapping.h"
#include "mapping/vectors.h"
#include "query/dsl.h"
#include "runtime/cpu.h"
#include "search/plan/plan.h"
#include "segment/buffer.h"
#include "segment/live.h"
#include "segment/segment.h"
#include <math.h>

#define K 10u
#define SEGMENTS_MAX 64u

static uint32_t docs, dims, queries;

typedef struct bench {
    qd_account account;
    qd_analyzers *analyzers;
    qd_analysis *analysis;
    qd_mapping *mapping;
    qd_searcher *searcher;
    float *base, *query;
    uint32_t *truth; /* K a query, by filter */
} bench;

static double gauss(void)
{
    double u = ((double)(random_next() >> 11) + 1) / 9007199254740993.0,
           v = (double)(random_next() >> 11) / 9007199254740992.0;
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

/* Seconds that this thread has run: other programs may use the machine. */
static double spent(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static char *path(const char *dir, const char *name)
{
    static char p[4096];
    snprintf(p, sizeof p, "%s/%s", dir, name);
    return p;
}

static void write_vectors(const char *file, const float *centres, uint32_t clusters, uint32_t n)
{
    float *v = malloc(dims * sizeof *v);
    FILE *f = fopen(file, "wb");
    if (!f || !v) exit(1);
    for (uint32_t i = 0; i < n; i++) {
        const float *c = centres + (size_t)(random_next() % clusters) * dims;
        for (uint32_t d = 0; d < dims; d++) v[d] = c[d] + (float)gauss() * 0.5f;
        if (fwrite(v, sizeof *v, dims, f) != dims) exit(1);
    }
    fclose(f);
    free(v);
}

static int make_data(const char *dir, uint32_t clusters)
{
    float *centres = malloc((size_t)clusters * dims * sizeof *centres);
    if (!centres) return 1;
    for (size_t i = 0; i < (size_t)clusters * dims; i++) centres[i] = (float)gauss();
    write_vectors(path(dir, "base.f32"), centres, clusters, docs);
    write_vectors(path(dir, "query.f32"), centres, clusters, queries);
    FILE *f = fopen(path(dir, "shape"), "w");
    if (!f) return 1;
    fprintf(f, "%u %u %u\n", docs, dims, queries);
    free(centres);
    return fclose(f);
}

static float *read_all(const char *file, size_t n)
{
    float *v = malloc(n * sizeof *v);
    FILE *f = fopen(file, "rb");
    if (!f || !v || fread(v, sizeof *v, n, f) != n) exit(1);
    fclose(f);
    return v;
}

/* The filter keeps the documents below so many thousandths by this number. */
static uint32_t lot(uint32_t doc)
{
    return (uint32_t)((doc * 2654435761ull) % 1000);
}

/* The exact nearest among documents of the filter. */
static void find_truth(const bench *x, uint32_t below, uint32_t *truth)
{
    for (uint32_t q = 0; q < queries; q++) {
        float best[K];
        uint32_t *ids = truth + (size_t)q * K, n = 0;
        for (uint32_t i = 0; i < docs; i++) {
            const float *a = x->query + (size_t)q * dims, *b = x->base + (size_t)i * dims;
            float sum = 0;
            if (lot(i) >= below) continue;
            for (uint32_t d = 0; d < dims; d++) sum += (a[d] - b[d]) * (a[d] - b[d]);
            if (n == K && sum >= best[K - 1]) continue;
            uint32_t at = n < K ? n++ : K - 1;
            for (; at && best[at - 1] > sum; at--) best[at] = best[at - 1], ids[at] = ids[at - 1];
            best[at] = sum;
            ids[at] = i;
        }
    }
}

static qd_mapping *make_mapping(const bench *x, const char *type)
{
    char text[512];
    qd_mapping *m;
    snprintf(text, sizeof text,
             "{\"properties\":{\"lot\":{\"type\":\"keyword\"},\"v\":{\"type\":\"dense_vector\","
             "\"dims\":%u,\"similarity\":\"l2_norm\",\"index_options\":{\"type\":\"%s\"}}}}",
             dims, type);
    OK(qd_mapping_parse(qd_str_c(text), x->analyzers, &QD_MAPPING_SETTINGS_DEFAULT,
                        QD_MAPPING_UPDATE, &m, &err));
    return m;
}

static qd_segment *make_segment(bench *x, qd_store *store, uint32_t number, uint32_t from,
                                uint32_t to)
{
    static const qd_field_info lots = {.name = {"lot", 3}, .index = QD_INDEX_DOCS};
    const qd_field_info info = {.name = QD_STR("v")};
    const qd_field *f = qd_mapping_field(x->mapping, info.name);
    uint8_t id[16] = {7, (uint8_t)number};
    char name[64];
    qd_segment_attrs attrs = {.min_seq_no = -1, .max_seq_no = -1, .stored_codec = QD_STORED_NONE};
    uint32_t v, term;
    qd_segment *s;
    qd_buffer *b;
    snprintf(name, sizeof name, "seg-%032u", number);
    OK(qd_buffer_create(&x->account, &b, &err));
    OK(qd_buffer_field(b, &lots, &term, &err));
    OK(qd_buffer_field(b, &info, &v, &err));
    OK(qd_buffer_field_part(b, v, f->part, f->conf, &err));
    for (uint32_t d = from; d < to; d++) {
        OK(qd_buffer_doc_begin(b, NULL, &err));
        OK(qd_buffer_part(
            b, v, (qd_str){(const char *)(x->base + (size_t)d * dims), dims * sizeof(float)},
            &err));
        if (lot(d) < 500) OK(qd_buffer_term(b, term, QD_STR("500"), &err));
        if (lot(d) < 100) OK(qd_buffer_term(b, term, QD_STR("100"), &err));
        if (lot(d) < 10) OK(qd_buffer_term(b, term, QD_STR("10"), &err));
        OK(qd_buffer_doc_commit(b, &err));
    }
    OK(qd_buffer_flush(b, store, qd_str_c(name), id, &attrs, true, NULL, &err));
    qd_buffer_destroy(b);
    OK(qd_segment_open(store, qd_str_c(name), &x->account, &s, &err));
    return s;
}

static void make_searcher(bench *x, qd_store *store, uint32_t segments)
{
    qd_segment *s[SEGMENTS_MAX];
    qd_live *live[SEGMENTS_MAX] = {NULL};
    double from = spent();
    for (uint32_t i = 0; i < segments; i++)
        s[i] = make_segment(x, store, i, (uint32_t)((uint64_t)docs * i / segments),
                            (uint32_t)((uint64_t)docs * (i + 1) / segments));
    double took = spent() - from;
    OK(qd_searcher_make(s, live, segments, &x->account, &x->searcher, &err));
    const qd_part_info *info = qd_segment_part(s[0], 0);
    printf("built in %.1f s, %.0f bytes a vector with the vector\n", took,
           (double)info->bytes / qd_segment_docs(s[0]));
    fflush(stdout);
    for (uint32_t i = 0; i < segments; i++) qd_segment_unref(s[i]);
}

/* One search; how many of the true nearest it found. */
static uint32_t search(const bench *x, uint32_t q, uint32_t candidates, const char *filter,
                       const uint32_t *truth, double *seconds)
{
    qd_arena arena;
    qd_query_built built;
    qd_plan *plan;
    qd_top_result top;
    qd_buf body;
    qd_buf_init(&body, NULL, 1 << 20);
    (void)qd_buf_printf(&body,
                        "{\"knn\":{\"field\":\"v\",\"k\":%u,\"num_candidates\":%u%s,"
                        "\"query_vector\":[",
                        K, candidates, filter);
    for (uint32_t i = 0; i < dims; i++)
        (void)qd_buf_printf(&body, "%s%.9g", i ? "," : "", (double)x->query[(size_t)q * dims + i]);
    (void)qd_buf_printf(&body, "]}}");
    qd_arena_init(&arena, (qd_account *)(uintptr_t)&x->account, 0);
    qd_query_context c = {
        .arena = &arena, .mapping = x->mapping, .analysis = x->analysis, .index = QD_STR("bench")};
    OK(qd_query_parse(&c, qd_buf_view(&body), &built, &err));
    double from = spent(); /* peers get floats, not JSON */
    OK(qd_plan_make(x->searcher, built.root, NULL, &arena, &plan, &err));
    OK(qd_plan_top(plan, &(qd_top_options){.k = K, .total = QD_TOTAL_EXACT}, &top, &err));
    *seconds += spent() - from;
    uint32_t found = 0;
    for (uint32_t i = 0; i < top.n; i++)
        for (uint32_t k = 0; k < K; k++) found += top.hits[i].doc == truth[(size_t)q * K + k];
    qd_arena_fini(&arena);
    qd_buf_fini(&body);
    return found;
}

static double line(const bench *x, const char *what, uint32_t candidates, const char *filter,
                   const uint32_t *truth)
{
    double seconds = 0, best = 0;
    uint32_t found = 0;
    for (uint32_t round = 0; round < 3; round++) {
        seconds = 0;
        found = 0;
        for (uint32_t q = 0; q < queries; q++)
            found += search(x, q, candidates, filter, truth, &seconds);
        if (!round || seconds < best) best = seconds;
    }
    double recall = (double)found / K / queries;
    printf("%-14s %5u candidates  recall %.4f  %8.0f searches a CPU second\n", what, candidates,
           recall, queries / best);
    fflush(stdout);
    return recall;
}

static void run(bench *x, qd_store *store, const char *type, uint32_t segments)
{
    static const uint32_t steps[] = {10, 15, 20, 30, 40, 60, 80, 120, 160, 240, 400, 800};
    static const struct {
        uint32_t below;
        const char *name, *query;
    } filters[] = {{10, "filter 1 %", ",\"filter\":{\"term\":{\"lot\":\"10\"}}"},
                   {100, "filter 10 %", ",\"filter\":{\"term\":{\"lot\":\"100\"}}"},
                   {500, "filter 50 %", ",\"filter\":{\"term\":{\"lot\":\"500\"}}"}};
    uint32_t chosen = 0;
    x->mapping = make_mapping(x, type);
    make_searcher(x, store, segments);
    find_truth(x, 1000, x->truth);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        double recall = line(x, type, steps[i], "", x->truth);
        if (!chosen && recall >= 0.95) chosen = steps[i];
        if (recall >= 0.99) break;
    }
    if (!chosen) chosen = 800;
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        find_truth(x, filters[i].below, x->truth);
        line(x, filters[i].name, chosen, filters[i].query, x->truth);
    }
    qd_searcher_unref(x->searcher);
    qd_mapping_unref(x->mapping);
}

int main(int argc, char **argv)
{
    static bench x;
    qd_store *store;
    if (argc == 7 && !strcmp(argv[1], "make")) {
        docs = (uint32_t)strtoul(argv[3], NULL, 10);
        dims = (uint32_t)strtoul(argv[4], NULL, 10);
        queries = (uint32_t)strtoul(argv[6], NULL, 10);
        return make_data(argv[2], (uint32_t)strtoul(argv[5], NULL, 10));
    }
    if (argc < 4 || strcmp(argv[1], "run")) {
        fprintf(stderr, "usage: graph make DIR DOCS DIMS CLUSTERS QUERIES | graph run DIR TYPE "
                        "[SEGMENTS]\n");
        return 2;
    }
    FILE *shape = fopen(path(argv[2], "shape"), "r");
    if (!shape || fscanf(shape, "%u %u %u", &docs, &dims, &queries) != 3) return 1;
    fclose(shape);
    uint32_t segments = argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 10) : 1;
    if (segments < 1 || segments > SEGMENTS_MAX) return 2;
    qd_err_init(&err);
    qd_account_init(&x.account, "bench", NULL, 0);
    store_crash *disk = store_crash_make(&(store_crash_options){.copies = false});
    OK(store_crash_open(disk, &store, &err));
    OK(qd_analyzers_make(NULL, 0, NULL, &x.analyzers, &err));
    x.analysis = qd_analysis_make(&x.account, 0);
    x.base = read_all(path(argv[2], "base.f32"), (size_t)docs * dims);
    x.query = read_all(path(argv[2], "query.f32"), (size_t)queries * dims);
    x.truth = malloc((size_t)queries * K * sizeof *x.truth);
    printf("%s: %u vectors of %u dimensions, %u segments, one thread, %s\n", argv[3], docs, dims,
           segments, qd_cpu_name(qd_cpu_level()));
    run(&x, store, argv[3], segments);
    qd_analysis_free(x.analysis);
    qd_analyzers_unref(x.analyzers);
    qd_store_close(store);
    store_crash_free(disk);
    free(x.base);
    free(x.query);
    free(x.truth);
    return 0;
}
