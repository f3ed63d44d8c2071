/*
 * ranges.c: ranges [DOCS [ROUNDS]]: what a range of numbers costs by its points and by its column,
 * piece by piece: the constants that core/search/leaf/leaf_range.c chooses by. One thread;
 * QD_CPU=v2 tells it without vectors.
 *
 * One segment of DOCS documents (1048576 by default) in a tier in memory, warm. Nanoseconds, the
 * best of ROUNDS (40): a point put into a bitmap; a value of a block compared whole, by how the
 * block stores it; a candidate looked up, by how many of a window of 4,096 there are; one of a list
 * over all windows.
 */
#include "base/str.h"
#include "bench/bench.h"
#include "lib/store_crash.h"
#include "runtime/cpu.h"
#include "search/leaf/range_int.h"
#include "search/run/listed.h"
#include "segment/buffer.h"
#include "segment/columns.h"
#include "segment/points.h"
#include "segment/segment.h"

#define VALUES_MAX 3u

static uint32_t docs = 1u << 20, rounds = 40;

/* --- the columns: values of each, and a range of half of them --- */

static uint32_t one(int64_t v, int64_t *out)
{
    *out = v;
    return 1;
}
static uint32_t narrow(uint32_t i, int64_t *v)
{
    (void)i;
    return one((int64_t)(random_next() >> 47), v);
}
static uint32_t table(uint32_t i, int64_t *v)
{
    (void)i;
    return one((int64_t)(random_next() >> 60) * 0x123456789abll, v);
}
static uint32_t wide(uint32_t i, int64_t *v)
{
    (void)i;
    return one((int64_t)(random_next() >> 20), v);
}
/* Times of a log, in order: whole blocks are decided by their bounds but for the borders, so a
 * little of the next block's is in each. */
static uint32_t lines(uint32_t i, int64_t *v)
{
    return one((int64_t)i * 1000 + (int64_t)(random_next() >> 55), v);
}
static uint32_t absent(uint32_t i, int64_t *v)
{
    return random_next() >> 63 ? narrow(i, v) : 0;
}
static uint32_t several(uint32_t i, int64_t *v)
{
    uint32_t n = 1 + (uint32_t)(random_next() % VALUES_MAX);
    for (uint32_t k = 0; k < n; k++) (void)narrow(i, v + k);
    return n;
}

static const struct {
    const char *name, *what;
    uint32_t (*make)(uint32_t i, int64_t *v);
} column[] = {
    {"narrow", "packed, 17 bits", narrow}, {"table", "packed, by a table of 16", table},
    {"line", "along a line", lines},       {"wide", "packed, 44 bits", wide},
    {"absent", "half absent", absent},     {"several", "1 to 3 values", several},
};
#define COLUMNS (sizeof column / sizeof *column)

static qd_segment *make_segment(qd_store *store, qd_account *account)
{
    uint8_t id[16] = {7};
    qd_str name = QD_STR("seg-00000000000000000000000000000001");
    qd_segment_attrs attrs = {.min_seq_no = -1, .max_seq_no = -1, .stored_codec = QD_STORED_NONE};
    qd_segment *segment;
    qd_buffer *b;
    uint32_t f[COLUMNS];
    OK(qd_buffer_create(account, &b, &err));
    for (size_t c = 0; c < COLUMNS; c++) {
        qd_field_info info = {
            .name = qd_str_c(column[c].name), .column = QD_COLUMN_I64, .point = QD_POINT_I64};
        if (c) info.point = QD_POINT_NONE;
        OK(qd_buffer_field(b, &info, &f[c], &err));
    }
    for (uint32_t i = 0; i < docs; i++) {
        OK(qd_buffer_doc_begin(b, NULL, &err));
        for (size_t c = 0; c < COLUMNS; c++) {
            int64_t v[VALUES_MAX];
            uint32_t n = column[c].make(i, v);
            if (n) OK(qd_buffer_column_i64(b, f[c], v, n, &err));
            if (c == 0) OK(qd_buffer_points_i64(b, f[c], v, n, &err));
        }
        OK(qd_buffer_doc_commit(b, &err));
    }
    OK(qd_buffer_flush(b, store, name, id, &attrs, true, NULL, &err));
    qd_buffer_destroy(b);
    OK(qd_segment_open(store, name, account, &segment, &err));
    return segment;
}

/* --- measuring --- */

static void point_line(qd_segment *s, qd_account *account)
{
    const qd_points *p =
        qd_points_get(qd_segment_points(s), qd_segment_field_find(s, QD_STR("narrow")));
    uint64_t *bits = qd_calloc(account, docs / 8 + 64), n = 0;
    qd_arena arena;
    double best = 1e9;
    if (!bits) exit(1);
    qd_arena_init(&arena, account, 0);
    for (uint32_t r = 0; r < rounds; r++) {
        qd_points_reader *rd;
        qd_reads *reads = qd_reads_make(&arena, account);
        qd_point_value lo = {.i = 1 << 15}, hi = {.i = 3 << 15};
        OK(qd_points_plan(p, lo, hi, false, reads, &arena, &rd, &err));
        OK(qd_reads_fetch(reads, &err));
        OK(qd_points_count(rd, &n, &err));
        double from = now();
        OK(qd_points_bits(rd, bits, &err));
        double t = now() - from;
        best = t < best ? t : best;
        qd_reads_release(reads);
        qd_arena_reset(&arena);
    }
    printf("%-44s %6.2f\n", "a point into a bitmap", best / (double)n * 1e9);
    qd_arena_fini(&arena);
    qd_free(bits);
}

/* Each window compared with the half of what it holds itself, so that its bounds never decide. */
static double compare(const qd_column *c, qd_column_reader *rd, uint64_t *values)
{
    uint64_t bits[QD_COLUMN_BLOCK / 64] = {0};
    double from = now();
    *values = 0;
    for (uint32_t at = 0; at < docs; at += QD_COLUMN_BLOCK) {
        qd_column_block_info b;
        qd_column_block_at(c, at, &b);
        OK(qd_column_match_at(rd, at, b.to, b.min + (b.max - b.min) / 4,
                              b.max - (b.max - b.min) / 4, bits, &err));
        *values += b.values;
    }
    return now() - from;
}

/* `every` of a window's documents, apart from each other at random, as other clauses leave them. */
static double look_up(struct qdi_range *g, uint32_t every, uint64_t *looked)
{
    double sum = 0;
    *looked = 0;
    for (uint32_t at = 0; at + QDI_WINDOW <= docs; at += QDI_WINDOW) {
        qdi_win w = {.from = at, .to = at + QDI_WINDOW, .words = QDI_WINDOW_WORDS};
        uint64_t cand[QDI_WINDOW_WORDS] = {0}, out[QDI_WINDOW_WORDS];
        for (uint32_t i = 0, step = QDI_WINDOW / every; i < every; i++) {
            uint32_t d = i * step + (uint32_t)(random_next() % step);
            cand[d >> 6] |= 1ull << (d & 63);
        }
        double from = now();
        OK(qdi_fill_range(g, &w, cand, out, &err));
        sum += now() - from;
        *looked += every;
    }
    return sum;
}

/* The same for a list of such documents of all windows. */
static double look_up_list(struct qdi_range *g, uint32_t every, uint64_t *looked)
{
    uint32_t *d = malloc(((size_t)docs / QDI_WINDOW + 1) * every * sizeof *d), n = 0;
    if (!d) exit(1);
    for (uint32_t at = 0; at + QDI_WINDOW <= docs; at += QDI_WINDOW)
        for (uint32_t i = 0, step = QDI_WINDOW / every; i < every; i++)
            d[n++] = at + i * step + (uint32_t)(random_next() % step);
    *looked = n;
    double from = now();
    OK(qdi_listed_in_range(g, d, &n, &err));
    double t = now() - from;
    free(d);
    return t;
}

static void column_lines(qd_segment *s, qd_account *account, size_t k)
{
    static const uint32_t candidates[] = {1, 8, 32, 128, 256, QDI_RANGE_LOOKUPS_MAX};
    const qd_column *c =
        qd_columns_get(qd_segment_columns(s), qd_segment_field_find(s, qd_str_c(column[k].name)));
    double best = 1e9, clock = 1e9;
    uint64_t n = 1;
    qd_arena arena;
    qd_column_reader *rd;
    char what[64];
    qd_arena_init(&arena, account, 0);
    qd_reads *reads = qd_reads_make(&arena, account);
    OK(qd_column_plan(c, 0, docs, reads, &arena, &rd, &err));
    OK(qd_reads_fetch(reads, &err));
    for (uint32_t r = 0; r < rounds; r++) {
        double t = compare(c, rd, &n);
        best = t < best ? t : best;
        double from = now(), two = now() - from;
        clock = two < clock ? two : clock;
    }
    (void)snprintf(what, sizeof what, "a value compared: %s", column[k].what);
    printf("%-44s %6.2f\n", what, best / (double)n * 1e9);
    for (size_t i = 0; i < sizeof candidates / sizeof *candidates && k != 2 && k < 4; i++) {
        const qd_column_stats *st = qd_column_stats_get(c);
        int64_t quarter = (int64_t)(((uint64_t)st->max - (uint64_t)st->min) / 4);
        struct qdi_range g = {.column = c,
                              .reader = rd,
                              .lo = st->min + quarter,
                              .hi = st->max - quarter,
                              .absent = st->min,
                              .lookups = true};
        best = 1e9;
        for (uint32_t r = 0; r < rounds; r++) {
            double t = look_up(&g, candidates[i], &n);
            best = t < best ? t : best;
        }
        best -= clock * (docs / QD_COLUMN_BLOCK);
        (void)snprintf(what, sizeof what, "a candidate looked up: %s, %u", column[k].what,
                       candidates[i]);
        printf("%-44s %6.2f", what, best / (double)n * 1e9);
        best = 1e9;
        for (uint32_t r = 0; r < rounds; r++) {
            double t = look_up_list(&g, candidates[i], &n);
            best = t < best ? t : best;
        }
        printf("  of a list %6.2f\n", best / (double)n * 1e9);
    }
    qd_reads_release(reads);
    qd_arena_fini(&arena);
}

int main(int argc, char **argv)
{
    qd_account account;
    qd_store *store;
    if (argc > 1) docs = (uint32_t)strtoul(argv[1], NULL, 10);
    if (argc > 2) rounds = (uint32_t)strtoul(argv[2], NULL, 10);
    if (docs < QD_COLUMN_BLOCK || docs > 1u << 26 || rounds < 1) {
        fprintf(stderr, "usage: ranges [DOCS [ROUNDS]]\n");
        return 2;
    }
    qd_err_init(&err);
    qd_account_init(&account, "bench", NULL, 0);
    store_crash *disk = store_crash_make(&(store_crash_options){.copies = false});
    OK(store_crash_open(disk, &store, &err));
    qd_segment *s = make_segment(store, &account);
    printf("%u documents, best of %u, v%d, nanoseconds\n", docs, rounds, (int)qd_cpu_level());
    point_line(s, &account);
    for (size_t k = 0; k < COLUMNS; k++) column_lines(s, &account, k);
    qd_segment_unref(s);
    qd_store_close(store);
    store_crash_free(disk);
    return 0;
}
