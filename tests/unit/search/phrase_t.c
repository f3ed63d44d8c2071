/*
 * phrase_t.c: phrases in documents of all lengths: few and thousands of occurrences of a word,
 * lists that cross blocks of positions, documents longer than the kernels' tables. Kernels, windows
 * and a naive reading of the words agree in hits, counts and scores, with every instruction set.
 */
#include "base/str.h"
#include "lib/store_crash.h"
#include "runtime/cpu.h"
#include "search/plan/plan.h"
#include "search/searcher.h"
#include "segment/segment.h"
#include "unit/unit.h"

#define DOCS 900u
#define KINDS 6u
#define LONGEST 70000u

typedef struct words {
    uint8_t *at;
    uint32_t n;
} words;

static words docs[DOCS];
static qd_err err;
static uint64_t seed;

static uint64_t rnd(uint64_t n)
{
    seed += 0x9e3779b97f4a7c15ull;
    uint64_t z = (seed ^ (seed >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return (z ^ (z >> 31)) % n;
}

static void ok(int rc)
{
    if (rc) print_error("%s (seed %llu)\n", qd_err_reason(&err), (unsigned long long)seed);
    assert_int_equal(rc, 0);
}

/* Lengths: mostly short, some of hundreds, few of thousands, three beyond every table. */
static uint32_t some_length(uint32_t i)
{
    if (i % 300 == 7) return LONGEST - (uint32_t)rnd(30000);
    if (i % 60 == 5) return 3000 + (uint32_t)rnd(4000);
    return 1 + (uint32_t)rnd(i % 5 ? 40 : 500);
}

static void make_docs(void)
{
    for (uint32_t i = 0; i < DOCS; i++) {
        docs[i].n = some_length(i);
        docs[i].at = malloc(docs[i].n);
        uint32_t kinds = 1 + (uint32_t)rnd(KINDS); /* of few kinds: many occurrences of each */
        for (uint32_t k = 0; k < docs[i].n; k++) docs[i].at[k] = (uint8_t)rnd(kinds);
    }
}

static const char *const word[KINDS] = {"aa", "bb", "cc", "dd", "ee", "ff"};

static void add_doc(qd_buffer *b, uint32_t field, const words *d, char *text, uint32_t *off,
                    uint16_t *len)
{
    ok(qd_buffer_doc_begin(b, NULL, &err));
    for (uint32_t k = 0; k < d->n; k++) {
        off[k] = k * 2;
        len[k] = 2;
        memcpy(text + off[k], word[d->at[k]], 2);
    }
    ok(qd_buffer_terms(b, field, &(qd_term_batch){.text = text, .off = off, .len = len, .n = d->n},
                       &err));
    ok(qd_buffer_doc_commit(b, &err));
}

static qd_segment *make_segment(qd_store *store, qd_account *account)
{
    static const qd_field_info info = {
        .name = {"body", 4}, .index = QD_INDEX_POSITIONS, .norms = 1};
    qd_segment_attrs attrs = {
        .min_seq_no = -1, .max_seq_no = -1, .stored_codec = QD_STORED_NONE, .sparse_bitmaps = true};
    uint8_t id[16] = {7};
    uint32_t field;
    qd_buffer *b;
    qd_segment *seg;
    char *text = calloc(1, LONGEST * 2 + QD_TERM_SLACK);
    uint32_t *off = calloc(LONGEST, sizeof *off);
    uint16_t *len = calloc(LONGEST, sizeof *len);
    ok(qd_buffer_create(account, &b, &err));
    ok(qd_buffer_field(b, &info, &field, &err));
    for (uint32_t i = 0; i < DOCS; i++) add_doc(b, field, &docs[i], text, off, len);
    ok(qd_buffer_flush(b, store, QD_STR("seg"), id, &attrs, true, NULL, &err));
    qd_buffer_destroy(b);
    ok(qd_segment_open(store, QD_STR("seg"), account, &seg, &err));
    free(text);
    free(off);
    free(len);
    return seg;
}

/* First words whose followers all stand at their distances. */
static uint32_t naive(const words *d, const uint8_t *w, const uint32_t *at, uint32_t n)
{
    uint32_t found = 0;
    for (uint32_t s = 0; s < d->n; s++) {
        bool all = true;
        for (uint32_t i = 0; i < n && all; i++)
            all = s + at[i] - at[0] < d->n && d->at[s + at[i] - at[0]] == w[i];
        found += all;
    }
    return found;
}

/* Counted by a plan that nobody asks for scores. */
static uint64_t count_alone(qd_searcher *searcher, const qd_node *q, qd_arena *arena)
{
    const qd_plan_options o = {.no_scores = true};
    uint64_t counted;
    qd_plan *p;
    ok(qd_plan_make(searcher, q, &o, arena, &p, &err));
    ok(qd_plan_count(p, 0, &counted, &err));
    return counted;
}

static void phrase_is(qd_searcher *searcher, const uint8_t *w, const uint32_t *at, uint32_t n)
{
    qd_arena arena;
    qd_plan *p;
    qd_top_result by_kernel, by_windows;
    qd_phrase_term terms[8];
    uint32_t freq[DOCS], hits = 0;
    uint64_t counted;
    qd_arena_init(&arena, NULL, 0);
    for (uint32_t i = 0; i < n; i++)
        terms[i] = (qd_phrase_term){.term = qd_str_c(word[w[i]]), .position = at[i]};
    qd_node *q = qd_node_make(&arena, QD_NATIVE_PHRASE);
    q->u.phrase = (qd_node_phrase){.field = QD_STR("body"), .terms = terms, .n = n};
    for (uint32_t i = 0; i < DOCS; i++) hits += (freq[i] = naive(&docs[i], w, at, n)) > 0;
    assert_int_equal(count_alone(searcher, q, &arena), hits);
    ok(qd_plan_make(searcher, q, NULL, &arena, &p, &err));
    ok(qd_plan_count(p, 0, &counted, &err));
    assert_int_equal(counted, hits);
    for (uint32_t k = 5; k <= DOCS; k += DOCS - 5) { /* with a threshold soon, and with none */
        qd_top_options o = {.k = k, .total = k == 5 ? 0 : QD_TOTAL_EXACT};
        ok(qd_plan_top(p, &o, &by_kernel, &err));
        assert_string_equal(by_kernel.strategy, "phrase");
        o.strategy = QD_STRATEGY_WINDOWS;
        ok(qd_plan_top(p, &o, &by_windows, &err));
        assert_int_equal(by_kernel.n, hits < k ? hits : k);
        assert_int_equal(by_windows.n, by_kernel.n);
        for (uint32_t i = 0; i < by_kernel.n; i++) {
            assert_true(freq[by_kernel.hits[i].doc] > 0);
            assert_int_equal(by_kernel.hits[i].doc, by_windows.hits[i].doc);
            assert_memory_equal(&by_kernel.hits[i].score, &by_windows.hits[i].score, 4);
        }
    }
    qd_arena_fini(&arena);
}

/* Sloppy ones: what the kernel finds is what the windows' matcher finds, step by step Lucene's. */
static void sloppy_is(qd_searcher *searcher, const uint8_t *w, const uint32_t *at, uint32_t n,
                      uint32_t slop)
{
    qd_arena arena;
    qd_plan *p;
    qd_top_result by_kernel, by_windows;
    qd_phrase_term terms[8];
    uint64_t counted;
    qd_arena_init(&arena, NULL, 0);
    for (uint32_t i = 0; i < n; i++)
        terms[i] = (qd_phrase_term){.term = qd_str_c(word[w[i]]), .position = at[i]};
    qd_node *q = qd_node_make(&arena, QD_NATIVE_PHRASE);
    q->u.phrase = (qd_node_phrase){.field = QD_STR("body"), .terms = terms, .n = n, .slop = slop};
    ok(qd_plan_make(searcher, q, NULL, &arena, &p, &err));
    for (uint32_t k = 5; k <= DOCS; k += DOCS - 5) {
        qd_top_options o = {.k = k, .total = k == 5 ? 0 : QD_TOTAL_EXACT};
        ok(qd_plan_top(p, &o, &by_kernel, &err));
        assert_string_equal(by_kernel.strategy, "phrase");
        o.strategy = QD_STRATEGY_WINDOWS;
        ok(qd_plan_top(p, &o, &by_windows, &err));
        assert_int_equal(by_windows.n, by_kernel.n);
        for (uint32_t i = 0; i < by_kernel.n; i++) {
            assert_int_equal(by_kernel.hits[i].doc, by_windows.hits[i].doc);
            assert_memory_equal(&by_kernel.hits[i].score, &by_windows.hits[i].score, 4);
        }
    }
    ok(qd_plan_count(p, 0, &counted, &err));
    assert_int_equal(counted, by_windows.n); /* k is DOCS */
    assert_int_equal(count_alone(searcher, q, &arena), by_windows.n);
    qd_arena_fini(&arena);
}

static void some_sloppy_phrases(qd_searcher *searcher)
{
    for (int round = 0; round < 60; round++) {
        uint8_t w[8];
        uint32_t at[8], n = 2 + (round % 4 ? 0 : (uint32_t)rnd(3)), place = (uint32_t)rnd(3);
        for (uint32_t i = 0; i < n; i++) {
            w[i] = (uint8_t)rnd(KINDS); /* the same word twice now and then */
            at[i] = place;
            place += rnd(6) ? 1 : 1 + (uint32_t)rnd(50);
        }
        sloppy_is(searcher, w, at, n, 1 + (uint32_t)rnd(rnd(4) ? 4 : 100));
    }
}

static void some_phrases(qd_searcher *searcher)
{
    for (int round = 0; round < 40; round++) {
        uint8_t w[8];
        uint32_t at[8], n = 2 + (uint32_t)rnd(round % 8 ? 2 : 6), place = (uint32_t)rnd(3);
        for (uint32_t i = 0; i < n; i++) {
            w[i] = (uint8_t)rnd(round % 3 ? 2 : KINDS);
            at[i] = place;
            place += rnd(6) ? 1 : 1 + (uint32_t)rnd(200);
        }
        phrase_is(searcher, w, at, n);
    }
}

static void kernels_windows_and_words_agree(void **state)
{
    (void)state;
    qd_store *store;
    qd_searcher *searcher;
    qd_account account;
    store_crash *disk = store_crash_make(&(store_crash_options){.copies = true});
    qd_cpu was = qd_cpu_level();
    qd_err_init(&err);
    seed = 42;
    qd_account_init(&account, "test", NULL, 0);
    make_docs();
    ok(store_crash_open(disk, &store, &err));
    qd_segment *seg = make_segment(store, &account);
    ok(qd_searcher_make(&seg, NULL, 1, &account, &searcher, &err));
    for (int level = QD_CPU_V2; level <= (int)was; level++) {
        qd_cpu_level_set((qd_cpu)level);
        some_phrases(searcher);
        some_sloppy_phrases(searcher);
    }
    qd_cpu_level_set(was);
    qd_searcher_unref(searcher);
    qd_segment_unref(seg);
    qd_store_close(store);
    store_crash_free(disk);
    for (uint32_t i = 0; i < DOCS; i++) free(docs[i].at);
    qd_err_fini(&err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_windows_and_words_agree),
    };
    return unit_run(tests);
}
