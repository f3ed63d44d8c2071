/* alike_t.c: hits that all score alike: the first ones are the best, and nothing is read behind
 * those that are kept and counted. */
#include "search/plan/plan.h"
#include "segment/format_int.h"
#include "segment/postings.h"
#include "unit/lib/parts.h"
#undef OK
#include "unit/lib/search_corpus.h"
#include "unit/unit.h"

#define DELETED_ONE_IN 50u
static qd_arena A;

static void begin(uint32_t docs, uint32_t nseg)
{
    search_corpus_make(7, docs, nseg, DELETED_ONE_IN);
    qd_arena_init(&A, &C.account, 0);
}

static void end(void)
{
    qd_arena_fini(&A);
    search_corpus_end();
}

static const qd_node *filter_words(const uint32_t *w, uint32_t n)
{
    const qd_node **must, **should, **filter, **not ;
    qd_node *q = qd_node_bool_make(&A, 0, 0, n, 0, &must, &should, &filter, &not );
    for (uint32_t i = 0; i < n; i++)
        filter[i] = qd_node_term_make(&A, QD_STR("body"), qd_str_c(C.word[w[i]]));
    return q;
}

static qd_top_result top(const qd_node *q, const qd_top_options *o)
{
    qd_plan *p;
    qd_top_result r;
    OK(qd_plan_make(C.searcher, q, NULL, &A, &p, &C.err));
    OK(qd_plan_top(p, o, &r, &C.err));
    return r;
}

/* Filters of frequent words end behind the k-th hit; of rare ones a kernel finds the few. */
static void filters_of_terms_give_the_first_hits(void **state)
{
    (void)state;
    static const uint32_t words[][2] = {{0, 1}, {0, 5}, {3, 90}, {94, 95}};
    uint32_t ended = 0, kernels = 0;
    begin(20000, 2);
    for (uint32_t i = 0; i < QD_COUNT_OF(words); i++)
        for (uint64_t total = 0; total <= 20000; total += 10000) {
            qd_top_options o = {.k = 10, .total = total > 10000 ? QD_TOTAL_EXACT : total};
            qd_top_result r = top(filter_words(words[i], 2), &o);
            uint64_t hits = 0;
            for (uint32_t d = 0; d < C.n; d++) {
                const doc *x = &C.docs[d];
                if (x->deleted || !word_freq(x, words[i][0]) || !word_freq(x, words[i][1]))
                    continue;
                if (hits < r.n) {
                    assert_int_equal(r.hits[hits].doc, d);
                    assert_true(r.hits[hits].score == 0);
                }
                hits++;
            }
            assert_int_equal(r.n, hits < 10 ? hits : 10);
            if (total) assert_int_equal(r.total, hits < o.total ? hits : o.total);
            ended += strcmp(r.strategy, "windows") == 0;
            kernels += strncmp(r.strategy, "and", 3) == 0;
            if (i == 0) assert_string_equal(r.strategy, "windows");
        }
    assert_true(ended >= 3 && kernels >= 3);
    end();
}

/* A word of which more documents are left than are counted, whichever are deleted, is not read. */
static void counts_up_to_a_number_know_it_beforehand(void **state)
{
    (void)state;
    begin(20000, 1);
    qd_plan *p;
    uint64_t n, all;
    uint32_t deleted = 0;
    for (uint32_t d = 0; d < C.n; d++) deleted += C.docs[d].deleted;
    OK(qd_plan_make(C.searcher, qd_node_term_make(&A, QD_STR("tag"), qd_str_c(C.tag[0])), NULL, &A,
                    &p, &C.err));
    OK(qd_plan_count(p, 0, &all, &C.err));
    uint64_t least = C.tag_df[0] - deleted;
    assert_true(all > least && least > 100);
    OK(qd_plan_count(p, 100, &n, &C.err));
    assert_int_equal(n, least);
    OK(qd_plan_count(p, least + 1, &n, &C.err)); /* read, but no further than that */
    assert_true(n > least && n <= least + QD_BLOCK && n < all);
    end();
}

static void begin_parts(parts *x)
{
    *x = (parts){.disk = C.disk, .store = C.store};
    qd_account_init(&x->account, "parts", NULL, 0);
    qd_err_init(&x->err);
    qd_arena_init(&x->arena, &x->account, 0);
}

/* Over the one segment of C as a damaged file has it: all hits of q cannot be read, the first ten
 * can, also counted up to `most` in two steps. Ends the corpus. */
static void first_hits_alone_can_be_read(parts *x, const char *file, const qd_node *q,
                                         uint64_t most)
{
    qd_segment *seg;
    qd_searcher *s;
    qd_plan *p;
    qd_top_result r;
    OK(qd_segment_open(C.store, qd_str_c(file), &C.account, &seg, &C.err));
    OK(qd_searcher_make(&seg, C.live, 1, &C.account, &s, &C.err));
    OK(qd_plan_make(s, q, NULL, &A, &p, &C.err));
    qd_top_options o = {.k = 10, .total = QD_TOTAL_EXACT};
    assert_int_equal(qd_plan_top(p, &o, &r, &C.err), QD_E_CORRUPT);
    qd_err_fini(&C.err);
    for (o.total = 0; o.total <= most; o.total += most / 2) {
        OK(qd_plan_top(p, &o, &r, &C.err));
        assert_int_equal(r.n, 10);
        assert_int_equal(r.total, o.total);
    }
    qd_arena_fini(&A);
    qd_searcher_unref(s);
    qd_segment_unref(seg);
    qd_arena_fini(&x->arena);
    qd_err_fini(&x->err);
    search_corpus_end();
}

/* The points of a range are not read for a few hits that are counted up to a few, also where
 * documents are deleted: here they cannot be read, their documents are past the segment's. */
static void few_hits_of_a_range_need_no_points(void **state)
{
    (void)state;
    begin(120000, 1);
    parts x;
    begin_parts(&x);
    uint64_t doc_base = 4 + 56 + 32; /* of the first block: docs/format.md, Points */
    parts_tamper(&x, "seg-00000000000000000000000000000000", "seg-t", QDI_SEC_POINT_INDEX,
                 doc_base + 3, 0x80);
    qd_node *q = qd_node_make(&A, QD_NATIVE_RANGE);
    q->u.range = (qd_node_range){.field = QD_STR("num"), .lo = INT64_MIN, .hi = 0};
    first_hits_alone_can_be_read(&x, "seg-t", q, 100);
}

static const qd_node *prefix_of(const char *text)
{
    qd_node *q = qd_node_make(&A, QD_NATIVE_PATTERN);
    q->u.pattern = (qd_node_pattern){
        .field = QD_STR("body"), .kind = QD_PATTERN_PREFIX, .text = qd_str_c(text)};
    return q;
}

/* The same hits as a constant, as a clause alone and as the only filter; beside an optional clause
 * they do not score alike. */
static const qd_node *wrapped(const qd_node *q, uint32_t how)
{
    const qd_node **must, **should, **filter, **not ;
    if (how == 0) return q;
    if (how == 1) {
        qd_node *x = qd_node_make(&A, QD_NATIVE_CONSTANT);
        x->u.child = q;
        return x;
    }
    qd_node *x =
        qd_node_bool_make(&A, how == 2, how == 4, how > 2, 0, &must, &should, &filter, &not );
    *(how == 2 ? must : filter) = q;
    if (how == 4) should[0] = qd_node_term_make(&A, QD_STR("tag"), qd_str_c(C.tag[1]));
    return x;
}

static bool has_word_from(const doc *d, uint32_t from, uint32_t to)
{
    for (uint32_t i = 0; i < d->n; i++)
        if (d->word[i] >= from && d->word[i] < to) return true;
    return false;
}

/* Sets of terms are read as far as the hits that are kept and counted, over segments and deletions.
 */
static void first_hits_of_a_set_are_the_first_documents(void **state)
{
    (void)state;
    begin(30000, 3);
    for (uint32_t how = 0; how < 4; how++)
        for (uint32_t tens = 0; tens < 10; tens += 3)
            for (uint32_t k = 1; k <= 10000; k *= 10)
                for (uint32_t t = 0; t < 4; t++) {
                    static const uint64_t totals[] = {0, 50, 10000, QD_TOTAL_EXACT};
                    char text[8];
                    snprintf(text, sizeof text, "w%u", tens);
                    qd_top_options o = {.k = k, .total = totals[t]};
                    qd_top_result r = top(wrapped(prefix_of(text), how), &o);
                    uint64_t hits = 0;
                    for (uint32_t d = 0; d < C.n; d++) {
                        const doc *x = &C.docs[d];
                        if (x->deleted || !has_word_from(x, tens * 10, tens * 10 + 10)) continue;
                        if (hits < r.n) assert_int_equal(r.hits[hits].doc, d);
                        hits++;
                    }
                    assert_int_equal(r.n, hits < k ? hits : k);
                    if (o.total) assert_int_equal(r.total, hits < o.total ? hits : o.total);
                    if (o.total) assert_int_equal(r.total_lower_bound, hits > o.total);
                    qd_arena_reset(&A);
                }
    /* a page behind a hit, a least score and an optional clause want other hits than the first */
    qd_top_options o = {.k = 5};
    qd_top_result first = top(prefix_of("w3"), &o), next;
    o.has_after = true;
    o.after_score = first.hits[4].score;
    o.after_doc = first.hits[4].doc;
    next = top(prefix_of("w3"), &o);
    assert_int_equal(next.n, 5);
    assert_true(next.hits[0].doc > first.hits[4].doc);
    o = (qd_top_options){.k = 5, .min_score = first.hits[0].score};
    next = top(prefix_of("w3"), &o);
    for (uint32_t i = 0; i < 5; i++) assert_int_equal(next.hits[i].doc, first.hits[i].doc);
    o.min_score *= 2;
    assert_int_equal(top(prefix_of("w3"), &o).n, 0);
    qd_top_options slow = {.k = 5, .strategy = QD_STRATEGY_WINDOWS};
    o = (qd_top_options){.k = 5};
    next = top(wrapped(prefix_of("w3"), 4), &o);
    first = top(wrapped(prefix_of("w3"), 4), &slow);
    for (uint32_t i = 0; i < 5; i++) assert_int_equal(next.hits[i].doc, first.hits[i].doc);
    assert_true(next.hits[4].score > 0);
    end();
}

/* Blocks behind the first hits are not read: here the last one of each word cannot be. */
static void first_hits_of_a_set_need_no_later_blocks(void **state)
{
    (void)state;
    begin(30000, 1);
    parts x;
    begin_parts(&x);
    uint32_t damaged = 0, f = 0;
    char from[64] = "seg-00000000000000000000000000000000", to[64];
    while (!qd_str_eq(qd_segment_field(C.seg[0], f)->name, QD_STR("body"))) f++;
    for (uint32_t w = 0; w < WORDS; w++) {
        qd_term t;
        OK(qd_term_get(C.seg[0], f, qd_str_c(C.word[w]), &t, &C.err));
        if (t.df <= 4 * QD_BLOCK || t.df > C.n / 16 - QD_BLOCK) continue; /* no bitmap */
        uint32_t nblk = (t.df + QD_BLOCK - 1) / QD_BLOCK;
        uint64_t widths = t.postings + 16 + 8 * (uint64_t)nblk; /* docs/format.md, Postings */
        snprintf(to, sizeof to, "seg-t%u", damaged++);
        parts_tamper(&x, from, to, QDI_SEC_POSTINGS, widths + nblk - 1, 0x40);
        memcpy(from, to, sizeof to);
    }
    assert_true(damaged > 5);
    first_hits_alone_can_be_read(&x, from, prefix_of("w"), 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_of_terms_give_the_first_hits),
        cmocka_unit_test(first_hits_of_a_set_are_the_first_documents),
        cmocka_unit_test(first_hits_of_a_set_need_no_later_blocks),
        cmocka_unit_test(counts_up_to_a_number_know_it_beforehand),
        cmocka_unit_test(few_hits_of_a_range_need_no_points)};
    return unit_run(tests);
}
