/*
 * columns.c: columns [DOCS [ROUNDS [terms]]]: aggregations over columns against a plain sum of the
 * same values, decoded, in memory larger than the last-level cache; one thread, no HTTP.
 *
 * One segment, in a tier in memory, of DOCS documents (8388608 by default): a long of 17 random
 * bits, a double, a keyword of 16 values, and a keyword that says which random 10 % and 50 % of the
 * documents a filter keeps. Each line of output: what, million documents a second (best of ROUNDS,
 * of all documents of the segment, kept or not), and its share of the plain sum's. A filter is
 * evaluated anew each time: its cost is part of the line.
 *
 * Then (alone: terms) terms twice, in turns: the built-in one, and the plugin of
 * sdk/examples/aggregation-terms, loaded from BENCH_PLUGINS, whose calls guests run as in a node.
 * The request says which way the built-in one goes: `fused`, where its kernels count by ordinals,
 * or `general`, value by value, below filters or where a column's bounds are more than 65,536
 * apart. The plugin's line ends with its rate as a share of the built-in one's, the median over the
 * rounds, by the clock and by the processor time of all threads.
 */
#include "aggs/aggs.h"
#include "analysis/analysis.h"
#include "base/str.h"
#include "bench/bench.h"
#include "lib/store_crash.h"
#include "mapping/mapping.h"
#include "plugin/host.h"
#include "query/dsl.h"
#include "query/node.h"
#include "search/plan/plan.h"
#include "segment/buffer.h"
#include "segment/live.h"
#include "segment/segment.h"

static uint32_t docs = 1u << 23, rounds = 7;

/* --- the segment ------------------------------------------------------------------------------ */

static int64_t *plain; /* the long's values, decoded */

static void fill(qd_buffer *b)
{
    static const qd_field_info infos[] = {
        {.name = {"v", 1}, .column = QD_COLUMN_I64},
        {.name = {"d", 1}, .column = QD_COLUMN_I64},
        {.name = {"k", 1}, .column = QD_COLUMN_ORDINAL},
        {.name = {"w", 1}, .column = QD_COLUMN_I64},
        {.name = {"keep", 4}, .index = QD_INDEX_DOCS, .column = QD_COLUMN_NONE}};
    uint32_t f[5];
    char key[16];
    for (uint32_t i = 0; i < 5; i++) OK(qd_buffer_field(b, &infos[i], &f[i], &err));
    for (uint32_t i = 0; i < docs; i++) {
        uint64_t r = random_next();
        int64_t v = plain[i] = (int64_t)(r & 0x1ffff);
        int64_t d = qd_sortable_f64((double)(r >> 20 & 0xfffff) / 64);
        OK(qd_buffer_doc_begin(b, NULL, &err));
        OK(qd_buffer_column_i64(b, f[0], &v, 1, &err));
        OK(qd_buffer_column_i64(b, f[1], &d, 1, &err));
        int64_t wide = (int64_t)(r >> 40 & 15) * 1000003;
        OK(qd_buffer_column_i64(b, f[3], &wide, 1, &err));
        int n = snprintf(key, sizeof key, "key%02u", (unsigned)(r >> 40 & 15));
        OK(qd_buffer_column_bytes(b, f[2], (qd_str){key, (size_t)n}, &err));
        if ((r >> 44) % 10 == 0) OK(qd_buffer_term(b, f[4], QD_STR("tenth"), &err));
        if (r >> 63) OK(qd_buffer_term(b, f[4], QD_STR("half"), &err));
        OK(qd_buffer_doc_commit(b, &err));
    }
}

static qd_searcher *make_searcher(qd_store *store, qd_account *account)
{
    uint8_t id[16] = {7};
    qd_str name = QD_STR("seg-00000000000000000000000000000001");
    qd_segment_attrs attrs = {.min_seq_no = -1, .max_seq_no = -1, .stored_codec = QD_STORED_NONE};
    qd_segment *segment;
    qd_live *live = NULL;
    qd_searcher *searcher;
    qd_buffer *b;
    OK(qd_buffer_create(account, &b, &err));
    fill(b);
    OK(qd_buffer_flush(b, store, name, id, &attrs, true, NULL, &err));
    qd_buffer_destroy(b);
    OK(qd_segment_open(store, name, account, &segment, &err));
    OK(qd_searcher_make(&segment, &live, 1, account, &searcher, &err));
    qd_segment_unref(segment);
    return searcher;
}

/* --- requests --------------------------------------------------------------------------------- */

typedef struct bench {
    qd_account account;
    qd_analyzers *analyzers;
    qd_analysis *analysis;
    qd_mapping *mapping;
    qd_searcher *searcher;
    qd_plugin_host *plugins;
} bench;

/* Seconds of processors that the process has used. */
static double used(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
static double last_used; /* of the last request */

/* One request over the segment; its seconds. The answer goes to out. */
static double run(bench *x, const char *text, const char *keep, qd_buf *out)
{
    qd_arena arena;
    qd_json_node *json;
    qd_aggs *tree;
    qd_aggs_bound *bound;
    qd_aggs_shard *shard;
    qd_aggs_partial *partial;
    qd_aggs_reducer *reducer;
    const qd_aggs_result *result;
    qd_collect_result collected;
    qd_plan *plan;
    qd_json_writer w;
    double from = now(), began = used();
    qd_arena_init(&arena, &x->account, 0);
    qd_query_reading reading = {.arena = &arena, .host = x->plugins};
    qd_query_context q = {
        .arena = &arena, .mapping = x->mapping, .analysis = x->analysis, .index = QD_STR("bench")};
    OK(qd_json_parse(&arena, qd_str_c(text), 0, &json, &err));
    qd_aggs_reading how = {.arena = &arena, .reading = &reading, .body = qd_str_c(text)};
    OK(qd_aggs_parse(&how, json, &tree, &err));
    OK(qd_aggs_bind(tree, &(qd_aggs_binding){.query = &q}, &bound, &err));
    qd_aggs_shard_options o = {.searcher = x->searcher, .account = &x->account};
    OK(qd_aggs_shard_make(bound, &o, &shard, &err));
    qd_node *node = qd_node_make(&arena, keep ? QD_NATIVE_TERM : QD_NATIVE_MATCH_ALL);
    if (keep) node->u.term = (qd_node_term){.field = QD_STR("keep"), .term = qd_str_c(keep)};
    qd_plan_options po = {.account = &x->account, .no_scores = true};
    OK(qd_plan_make(x->searcher, node, &po, &arena, &plan, &err));
    OK(qd_plan_collect(plan, NULL, qd_aggs_shard_collector(shard), &collected, &err));
    OK(qd_aggs_shard_finish(shard, &partial, &err));
    OK(qd_aggs_reducer_make(tree, &x->account, &reducer, &err));
    OK(qd_aggs_reducer_add(reducer, partial, &err));
    OK(qd_aggs_reducer_finish(reducer, &result, &err));
    double seconds = now() - from;
    last_used = used() - began;
    qd_buf_reset(out);
    qd_json_writer_init(&w, out, false);
    qd_aggs_write(result, false, &w);
    qd_aggs_reducer_free(reducer);
    qd_aggs_shard_free(shard);
    qd_arena_fini(&arena);
    return seconds;
}

/* --- the plain sum ---------------------------------------------------------------------------- */

typedef int64_t lanes __attribute__((vector_size(32)));

#if defined(__x86_64__)
__attribute__((target("avx2")))
#endif
static int64_t
plain_sum(const int64_t *v, size_t n)
{
    lanes s[4] = {{0}, {0}, {0}, {0}};
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (int k = 0; k < 4; k++) s[k] += *(const lanes *)(const void *)(v + i + 4 * k);
    int64_t sum = 0;
    for (int k = 0; k < 4; k++)
        for (int j = 0; j < 4; j++) sum += s[k][j];
    for (; i < n; i++) sum += v[i];
    return sum;
}

static double plain_rate(void)
{
    double best = 1e9;
    int64_t sum = 0;
    for (uint32_t r = 0; r < rounds; r++) {
        double from = now();
        sum += plain_sum(plain, docs);
        double s = now() - from;
        if (s < best) best = s;
    }
    double rate = docs / best / 1e6;
    printf("%-58s %8.0f M/s  (sum %lld)\n", "plain AVX2 sum of the decoded column", rate,
           (long long)(sum / rounds));
    return rate;
}

static void line(bench *x, const char *what, const char *text, const char *keep, double rate)
{
    double best = 1e9;
    qd_buf out;
    qd_buf_init(&out, &x->account, 1 << 20);
    for (uint32_t r = 0; r < rounds; r++) {
        double s = run(x, text, keep, &out);
        if (s < best) best = s;
    }
    double own = docs / best / 1e6;
    printf("%-58s %8.0f M/s  %5.1f %%\n", what, own, own / rate * 100);
    if (getenv("QD_BENCH_ANSWERS")) printf("  %.*s\n", QD_STR_ARG(qd_buf_view(&out)));
    qd_buf_fini(&out);
}

static void all_lines(bench *x)
{
    static const char sum[] = "{\"a\":{\"sum\":{\"field\":\"v\"}}}";
    static const char real[] = "{\"a\":{\"sum\":{\"field\":\"d\"}}}";
    static const char max[] = "{\"a\":{\"max\":{\"field\":\"v\"}}}";
    static const char stats[] = "{\"a\":{\"stats\":{\"field\":\"v\"}}}";
    static const char terms[] = "{\"a\":{\"terms\":{\"field\":\"k\"}}}";
    static const char both[] =
        "{\"a\":{\"terms\":{\"field\":\"k\"},\"aggs\":{\"s\":{\"sum\":{\"field\":\"v\"}}}}}";
    static const char histogram[] = "{\"a\":{\"histogram\":{\"field\":\"v\",\"interval\":8192}}}";
    double rate = plain_rate();
    line(x, "sum of a long, all documents", sum, NULL, rate);
    line(x, "sum of a long, filter keeping a random 50 %", sum, "half", rate);
    line(x, "sum of a long, filter keeping a random 10 %", sum, "tenth", rate);
    line(x, "stats of a long, all documents", stats, NULL, rate);
    line(x, "stats of a long, filter keeping a random 50 %", stats, "half", rate);
    line(x, "max of a long, all documents, block statistics", max, NULL, rate);
    line(x, "max of a long, filter keeping a random 50 %", max, "half", rate);
    line(x, "sum of a double, all documents", real, NULL, rate);
    line(x, "sum of a double, filter keeping a random 50 %", real, "half", rate);
    line(x, "terms of a keyword of 16 values, all documents", terms, NULL, rate);
    line(x, "terms of a keyword of 16 values, random 50 %", terms, "half", rate);
    line(x, "terms of a keyword of 16 values, random 10 %", terms, "tenth", rate);
    line(x, "terms of a keyword with a sum below, all documents", both, NULL, rate);
    line(x, "terms of a keyword with a sum below, random 50 %", both, "half", rate);
    line(x, "histogram of a long, 16 buckets, all documents", histogram, NULL, rate);
    line(x, "histogram of a long, 16 buckets, random 50 %", histogram, "half", rate);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *v, uint32_t n)
{
    qsort(v, n, sizeof *v, by_size);
    return n & 1 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* Terms of a field, built in and of the plugin; each round asks both, the first one by turns. */
static void pair(bench *x, const char *what, const char *form, double rate)
{
    static const char *const who[] = {"built-in", "plugin"};
    double best[2] = {1e9, 1e9}, *clock, *cpu;
    char text[2][512], title[128];
    qd_buf out[2];
    clock = qd_alloc(&x->account, rounds * sizeof *clock);
    cpu = qd_alloc(&x->account, rounds * sizeof *cpu);
    if (!clock || !cpu) exit(1);
    snprintf(text[0], sizeof text[0], form, "terms");
    snprintf(text[1], sizeof text[1], form, "values");
    for (uint32_t i = 0; i < 2; i++) qd_buf_init(&out[i], &x->account, 1 << 20);
    for (uint32_t r = 0; r < rounds; r++) {
        double seconds[2], processors[2];
        for (uint32_t k = 0; k < 2; k++) {
            uint32_t i = (k + r) & 1;
            seconds[i] = run(x, text[i], NULL, &out[i]);
            processors[i] = last_used;
            if (seconds[i] < best[i]) best[i] = seconds[i];
        }
        clock[r] = seconds[0] / seconds[1];
        cpu[r] = processors[0] / processors[1];
        if (!qd_str_eq(qd_buf_view(&out[0]), qd_buf_view(&out[1]))) {
            fprintf(stderr, "%s: another answer\n", what);
            exit(1);
        }
    }
    for (uint32_t i = 0; i < 2; i++) {
        double own = docs / best[i] / 1e6;
        snprintf(title, sizeof title, "%s: %s", what, who[i]);
        printf("%-58s %8.0f M/s  %5.1f %%", title, own, own / rate * 100);
        if (i)
            printf("  %.2f of the built-in one, %.2f by processor time", median(clock, rounds),
                   median(cpu, rounds));
        printf("\n");
        qd_buf_fini(&out[i]);
    }
    qd_free(clock);
    qd_free(cpu);
}

static void plugin_lines(bench *x)
{
#define SUM ",\"aggs\":{\"s\":{\"sum\":{\"field\":\"v\"}}}"
#define ALONE(field, below) "{\"a\":{\"%s\":{\"field\":\"" field "\"}" below "}}"
#define BELOW(field, below)                                                                        \
    "{\"f\":{\"filters\":{\"filters\":[{\"match_all\":{}}]},\"aggs\":" ALONE(field, below) "}}"
    const qd_str path = QD_STR(BENCH_PLUGINS), allow = QD_STR("example-values");
    qd_plugin_host_config c = {.env = qd_env_system(),
                               .paths = &path,
                               .npaths = 1,
                               .build_tree = true,
                               .allow = &allow,
                               .nallow = 1,
                               .allow_unstable = true};
    OK(qd_plugin_host_open(&c, &x->plugins, &err));
    OK(qd_plugin_host_load(x->plugins, &err));
    double rate = plain_rate();
    pair(x, "fused: a keyword of 16 values", ALONE("k", ""), rate);
    pair(x, "fused: a keyword of 16 values, a sum below", ALONE("k", SUM), rate);
    pair(x, "general: a keyword of 16 values, filters above", BELOW("k", ""), rate);
    pair(x, "general: the same, a sum below", BELOW("k", SUM), rate);
    pair(x, "general: 16 far longs", ALONE("w", ""), rate);
    pair(x, "general: 16 far longs, a sum below", ALONE("w", SUM), rate);
    pair(x, "general: 131,072 longs", ALONE("v", ""), rate);
    pair(x, "general: 131,072 longs, a sum below", ALONE("v", SUM), rate);
    pair(x, "general: 1,048,576 doubles", ALONE("d", ""), rate);
#undef SUM
#undef ALONE
#undef BELOW
    qd_plugin_host_close(x->plugins);
    x->plugins = NULL;
}

int main(int argc, char **argv)
{
    static bench x;
    qd_store *store;
    qd_str mapping = QD_STR(
        "{\"properties\":{\"v\":{\"type\":\"long\"},\"d\":{\"type\":\"double\"},"
        "\"k\":{\"type\":\"keyword\"},\"w\":{\"type\":\"long\"},\"keep\":{\"type\":\"keyword\"}}}");
    if (argc > 1) docs = (uint32_t)strtoul(argv[1], NULL, 10);
    if (argc > 2) rounds = (uint32_t)strtoul(argv[2], NULL, 10);
    if (docs < 1 || docs > 1u << 28 || rounds < 1) {
        fprintf(stderr, "usage: columns [DOCS [ROUNDS [terms]]]\n");
        return 2;
    }
    qd_err_init(&err);
    qd_account_init(&x.account, "bench", NULL, 0);
    plain = qd_alloc(&x.account, (size_t)docs * 8 + 64);
    store_crash *disk = store_crash_make(&(store_crash_options){.copies = false});
    OK(store_crash_open(disk, &store, &err));
    OK(qd_analyzers_make(NULL, 0, NULL, &x.analyzers, &err));
    x.analysis = qd_analysis_make(&x.account, 0);
    OK(qd_mapping_parse(mapping, x.analyzers, &QD_MAPPING_SETTINGS_DEFAULT, QD_MAPPING_UPDATE,
                        &x.mapping, &err));
    if (!plain || !x.analysis) return 1;
    x.searcher = make_searcher(store, &x.account);
    printf("%u documents, best of %u rounds, one thread\n", docs, rounds);
    if (argc <= 3) all_lines(&x);
    plugin_lines(&x);
    qd_searcher_unref(x.searcher);
    qd_mapping_unref(x.mapping);
    qd_analysis_free(x.analysis);
    qd_analyzers_unref(x.analyzers);
    qd_store_close(store);
    store_crash_free(disk);
    qd_free(plain);
    return 0;
}
