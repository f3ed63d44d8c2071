/*
 * or_t.c: any or all of several words of very different frequencies: all strategies give the same
 * hits bit for bit, and where candidates by the bounds of the rare words' sums are many at first,
 * few are looked up, not everything read.
 */
#include "base/str.h"
#include "lib/store_crash.h"
#include "runtime/cpu.h"
#include "search/plan/plan.h"
#include "segment/live.h"
#include "segment/segment.h"
#include "unit/search/dice.h"
#include <math.h>

#define SEGMENTS 2u
#define NAMES 8u
#define TIMES_MAX 5u  /* of a word in a document */
#define LENGTH_MAX 40 /* words without a name */

/* One document in so many has the word: with bitmaps, with ranges alone, with neither. */
static const uint32_t one_in[NAMES] = {5, 14, 25, 36, 40, 47, 90, 20000};
static const char *const names[NAMES] = {"d0", "d1", "d2", "s0", "s1", "s2", "s3", "r0"};
static qd_account account;
static qd_arena A;
static qd_segment *seg[SEGMENTS];
static qd_live *live[SEGMENTS];
static qd_searcher *S;

/* --- the corpus --- */

static void add_doc(qd_buffer *b, uint32_t field)
{
    char text[(NAMES * TIMES_MAX + LENGTH_MAX) * 2 + QD_TERM_SLACK] = {0};
    uint32_t off[NAMES * TIMES_MAX + LENGTH_MAX], n = 0;
    uint16_t len[NAMES * TIMES_MAX + LENGTH_MAX];
    for (uint32_t w = 0; w < NAMES; w++) {
        if (rnd(one_in[w])) continue;
        uint64_t times = 1 + (rnd(4) ? 0 : rnd(TIMES_MAX));
        for (uint64_t t = 0; t < times; t++) memcpy(text + 2 * (size_t)n++, names[w], 2);
    }
    for (uint64_t t = rnd(LENGTH_MAX); t; t--) memcpy(text + 2 * (size_t)n++, "xx", 2);
    for (uint32_t i = 0; i < n; i++) {
        off[i] = 2 * i;
        len[i] = 2;
    }
    OK(qd_buffer_doc_begin(b, NULL, &err));
    if (n)
        OK(qd_buffer_terms(b, field, &(qd_term_batch){.text = text, .off = off, .len = len, .n = n},
                           &err));
    OK(qd_buffer_doc_commit(b, &err));
}

static void make_segment(qd_store *store, qd_buffer *b, uint32_t s, uint32_t docs, bool deletions)
{
    qd_field_info info = {.name = {"body", 4}, .index = QD_INDEX_FREQS, .norms = 1};
    qd_segment_attrs attrs = {.min_seq_no = -1, .max_seq_no = -1, .stored_codec = QD_STORED_NONE};
    uint8_t id[16] = {(uint8_t)s};
    uint32_t field;
    char name[64];
    OK(qd_buffer_field(b, &info, &field, &err));
    for (uint32_t i = 0; i < docs; i++) add_doc(b, field);
    snprintf(name, sizeof name, "seg-%032u", s);
    OK(qd_buffer_flush(b, store, qd_str_c(name), id, &attrs, true, NULL, &err));
    qd_buffer_reset(b);
    OK(qd_segment_open(store, qd_str_c(name), &account, &seg[s], &err));
    live[s] = NULL;
    if (!deletions) return;
    OK(qd_live_make(docs, &account, &live[s], &err));
    for (uint32_t i = 0; i < docs; i++)
        if (rnd(9) == 0) qd_live_delete(live[s], i);
}

/* --- queries --- */

static float boost[NAMES] = {1, 1, 1, 1, 1, 1, 1, 1};
static uint32_t required;

/* A boosted word in place i of a query. */
static const qd_node *word(uint32_t i, uint32_t w)
{
    qd_node *b = qd_node_make(&A, QD_NATIVE_BOOST);
    b->u.child = qd_node_term_make(&A, QD_STR("body"), qd_str_c(names[w]));
    b->boost = boost[i];
    return b;
}

/* The first `required` words must be there. */
static qd_plan *plan_of(const uint32_t *words, uint32_t n)
{
    const qd_node **must, **should;
    qd_plan *p;
    qd_node *q = qd_node_bool_make(&A, required, n - required, 0, 0, &must, &should, NULL, NULL);
    for (uint32_t i = 0; i < n; i++)
        *(i < required ? &must[i] : &should[i - required]) = word(i, words[i]);
    OK(qd_plan_make(S, q, NULL, &A, &p, &err));
    return p;
}

static void top(qd_plan *p, uint32_t k, qd_strategy strategy, qd_top_result *r)
{
    uint64_t total = strategy == QD_STRATEGY_WINDOWS ? QD_TOTAL_EXACT : 0;
    OK(qd_plan_top(p, &(qd_top_options){.k = k, .strategy = strategy, .total = total}, r, &err));
}

static void same_hits(const uint32_t *words, uint32_t n, uint32_t k)
{
    qd_plan *p = plan_of(words, n);
    qd_top_result want, got;
    top(p, k, QD_STRATEGY_WINDOWS, &want);
    assert_int_equal(want.n, want.total < k ? want.total : k); /* all that match have a score */
    for (uint32_t i = 0; i < want.n; i++) assert_true(isfinite(want.hits[i].score));
    for (int s = QD_STRATEGY_AUTO; s <= QD_STRATEGY_KERNEL_CANDIDATES; s++) {
        top(p, k, (qd_strategy)s, &got);
        assert_int_equal(got.n, want.n);
        for (uint32_t i = 0; i < want.n; i++) {
            assert_int_equal(got.hits[i].doc, want.hits[i].doc);
            assert_memory_equal(&got.hits[i].score, &want.hits[i].score, sizeof(float));
        }
    }
}

static void many_words(uint32_t queries)
{
    static const uint32_t ks[] = {1, 10, 100, 1000};
    for (uint32_t i = 0; i < queries; i++) {
        uint32_t words[NAMES], n = 0;
        while (n < 2)
            for (uint32_t w = n = 0; w < NAMES; w++)
                if (rnd(2)) words[n++] = w;
        same_hits(words, n, ks[i % QD_COUNT_OF(ks)]);
        qd_arena_reset(&A);
    }
}

static void ran(const uint32_t *words, uint32_t n, uint32_t k, const char *what)
{
    qd_top_result r;
    top(plan_of(words, n), k, QD_STRATEGY_AUTO, &r);
    assert_string_equal(r.strategy, what);
}

/* --- tests --- */

static void with_corpus(uint32_t docs, bool deletions, void (*test)(void))
{
    qd_store *store;
    qd_buffer *b;
    seed = docs;
    qd_err_init(&err);
    qd_account_init(&account, "test", NULL, 0);
    qd_arena_init(&A, &account, 0);
    store_crash *disk = store_crash_make(&(store_crash_options){0});
    OK(store_crash_open(disk, &store, &err));
    OK(qd_buffer_create(&account, &b, &err));
    make_segment(store, b, 0, docs, deletions);
    make_segment(store, b, 1, docs / 9, false);
    qd_buffer_destroy(b);
    OK(qd_searcher_make(seg, live, SEGMENTS, &account, &S, &err));
    test();
    qd_arena_fini(&A);
    qd_searcher_unref(S);
    for (uint32_t s = 0; s < SEGMENTS; s++) {
        qd_segment_unref(seg[s]);
        qd_live_unref(live[s]);
    }
    qd_store_close(store);
    store_crash_free(disk);
    qd_err_fini(&err);
    assert_int_equal(qd_account_used(&account), 0);
}

static void every_strategy(void)
{
    many_words(60);
}
static void strategies_agree(void **state)
{
    (void)state;
    with_corpus(150000, false, every_strategy);
    with_corpus(60000, true, every_strategy);
}
static void strategies_agree_on_every_instruction_set(void **state)
{
    (void)state;
    qd_cpu was = qd_cpu_level();
    for (int level = QD_CPU_V2; level < (int)was; level++) {
        qd_cpu_level_set((qd_cpu)level);
        with_corpus(60000, false, every_strategy);
    }
    qd_cpu_level_set(was);
}

/* Boosts that floats barely hold: weights that are zero, or no numbers, or far apart. */
static void any_boost(void)
{
    static const float boosts[] = {INFINITY, 1e-45f, 1e-40f, 1e-37f, 1e-34f,
                                   1e-21f,   1,      1e21f,  1e32f,  3e38f};
    for (uint32_t i = 0; i < 150; i++) {
        uint32_t words[3] = {(uint32_t)rnd(NAMES - 1)}, n = 1 + (uint32_t)rnd(3);
        for (uint32_t w = 1; w < n; w++) words[w] = (uint32_t)rnd(NAMES);
        bool apart = rnd(2);
        boost[0] = boosts[rnd(QD_COUNT_OF(boosts))];
        for (uint32_t w = 1; w < n; w++)
            boost[w] = apart ? boosts[rnd(QD_COUNT_OF(boosts))] : boost[0];
        required = (uint32_t)rnd(n + 1);
        same_hits(words, n, rnd(2) ? 10 : 100);
        qd_arena_reset(&A);
    }
    for (uint32_t w = 0; w < NAMES; w++) boost[w] = 1;
    required = 0;
}
static void boosts_of_any_size(void **state)
{
    (void)state;
    with_corpus(60000, false, any_boost);
    with_corpus(60000, true, any_boost);
}

/* Nearly all documents of s3 have bounds above what they are sure to reach alone; a first
 * band shows that few can be among the best. */
static void candidates(void)
{
    static const uint32_t pair[] = {1, 6}, more[] = {0, 1, 6, 7};
    ran(pair, 2, 10, "or: candidates and ranges");
    ran(more, 4, 10, "or: candidates and ranges");
}
static void many_candidates_are_cut_by_a_first_band(void **state)
{
    (void)state;
    with_corpus(300000, false, candidates);
}

/* One word scores, others of some thousand documents only filter: batch by batch, each passed over
 * where the word's blocks cannot reach the worst hit that is kept. */
static void one_scored(void)
{
    static const uint32_t ks[] = {1, 10, 100, 1000};
    uint32_t batches = 0;
    for (uint32_t i = 0; i < 120; i++) {
        uint32_t words[3] = {(uint32_t)rnd(NAMES - 1), 2 + (uint32_t)rnd(5), 2 + (uint32_t)rnd(5)};
        if (words[0] == words[1] || words[0] == words[2] || words[1] == words[2]) continue;
        boost[1] = boost[2] = 0;
        required = i % 3 ? 2 : 3;
        same_hits(words, required, ks[i % QD_COUNT_OF(ks)]);
        qd_top_result r;
        top(plan_of(words, required), ks[i % QD_COUNT_OF(ks)], QD_STRATEGY_AUTO, &r);
        batches += strcmp(r.strategy, "and: one scored") == 0;
        qd_arena_reset(&A);
    }
    assert_true(batches > 30);
    boost[1] = boost[2] = 1;
    required = 0;
}
static void one_scored_word_is_met_by_batches(void **state)
{
    (void)state;
    with_corpus(300000, false, one_scored);
    with_corpus(200000, true, one_scored);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strategies_agree),
        cmocka_unit_test(strategies_agree_on_every_instruction_set),
        cmocka_unit_test(boosts_of_any_size),
        cmocka_unit_test(many_candidates_are_cut_by_a_first_band),
        cmocka_unit_test(one_scored_word_is_met_by_batches),
    };
    return unit_run(tests);
}
