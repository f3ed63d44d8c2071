/*
 * features_t.c: what a search may ask for besides the best k: pages, floors, filters behind the
 * query, early ends, cancelling, statistics of other shards, patterns, plugins' iterators; and
 * memory that runs out at every allocation.
 */
#include "automaton/automaton.h"
#include "search/plan/plan.h"
#include "unit/lib/search_corpus.h"
#include "unit/unit.h"
#include <math.h>

static qd_arena A;

static void begin(uint64_t seed, uint32_t n, uint32_t nseg, uint32_t delete_one_in)
{
    search_corpus_make(seed, n, nseg, delete_one_in);
    qd_arena_init(&A, &C.account, 0);
}
static void end(void)
{
    qd_arena_fini(&A);
    search_corpus_end();
}

static qd_node *word(uint32_t w)
{
    return qd_node_term_make(&A, QD_STR("body"), qd_str_c(C.word[w]));
}
static qd_plan *plan(const qd_node *q, const qd_plan_options *o)
{
    qd_plan *p;
    OK(qd_plan_make(C.searcher, q, o, &A, &p, &C.err));
    return p;
}
static qd_node *any_of(uint32_t n, const uint32_t *words)
{
    const qd_node **should;
    qd_node *q = qd_node_bool_make(&A, 0, n, 0, 0, NULL, &should, NULL, NULL);
    for (uint32_t i = 0; i < n; i++) should[i] = word(words[i]);
    return q;
}
static uint64_t count(const qd_node *q)
{
    uint64_t n;
    OK(qd_plan_count(plan(q, NULL), 0, &n, &C.err));
    return n;
}

static void pages_by_search_after_join_to_the_whole_list(void **state)
{
    (void)state;
    begin(21, 3000, 3, 6);
    qd_plan *p = plan(any_of(3, (uint32_t[]){1, 5, 9}), NULL);
    qd_top_result all, page;
    OK(qd_plan_top(p, &(qd_top_options){.k = 500, .total = QD_TOTAL_EXACT}, &all, &C.err));
    assert_int_equal(all.n, 500);
    qd_top_options o = {.k = 60, .total = QD_TOTAL_EXACT};
    for (uint32_t at = 0; at < 480; at += page.n) {
        OK(qd_plan_top(p, &o, &page, &C.err));
        assert_int_equal(page.n, 60);
        assert_int_equal(page.total, all.total);
        for (uint32_t i = 0; i < page.n && at + i < all.n; i++) {
            assert_int_equal(page.hits[i].doc, all.hits[at + i].doc);
            assert_true(page.hits[i].score == all.hits[at + i].score);
        }
        o.has_after = true;
        o.after_score = page.hits[page.n - 1].score;
        o.after_doc = page.hits[page.n - 1].doc;
    }
    end();
}

static void min_score_drops_hits_and_does_not_count_them(void **state)
{
    (void)state;
    begin(22, 2000, 2, 0);
    qd_plan *p = plan(any_of(2, (uint32_t[]){2, 7}), NULL);
    qd_top_result all, some;
    OK(qd_plan_top(p, &(qd_top_options){.k = 2000, .total = QD_TOTAL_EXACT}, &all, &C.err));
    float least = all.hits[all.n / 3].score;
    uint32_t want = 0;
    while (want < all.n && all.hits[want].score >= least) want++;
    OK(qd_plan_top(p, &(qd_top_options){.k = 2000, .total = QD_TOTAL_EXACT, .min_score = least},
                   &some, &C.err));
    assert_int_equal(some.n, want);
    assert_int_equal(some.total, want);
    qd_count_collector n;
    static qd_min_score_collector floor_;
    qd_count_collector_init(&n, 0);
    qd_min_score_collector_init(&floor_, &n.c, least);
    OK(qd_plan_collect(p, NULL, &floor_.c, NULL, &C.err));
    assert_int_equal(n.n, want);
    end();
}

static void a_post_filter_narrows_what_a_collector_gets(void **state)
{
    (void)state;
    begin(23, 3000, 2, 5);
    qd_node *tag = qd_node_term_make(&A, QD_STR("tag"), QD_STR("tag3"));
    qd_plan *p = plan(word(1), NULL), *f = plan(tag, &(qd_plan_options){.no_scores = true});
    uint64_t want = 0;
    for (uint32_t i = 0; i < C.n; i++)
        want += !C.docs[i].deleted && C.docs[i].tag == 3 && word_freq(&C.docs[i], 1) > 0;
    qd_count_collector n, all;
    qd_count_collector_init(&n, 0);
    qd_count_collector_init(&all, 0);
    n.c.flags = QD_COLLECT_SCORES;
    OK(qd_plan_collect(p, f, &n.c, NULL, &C.err));
    assert_int_equal(n.n, want);
    qd_collector *both[] = {&n.c, &all.c};
    qd_multi_collector m;
    qd_multi_collector_init(&m, both, 2);
    n.n = 0;
    OK(qd_plan_collect(p, NULL, &m.c, NULL, &C.err));
    assert_int_equal(n.n, all.n);
    assert_int_equal(all.n, count(word(1)));
    end();
}

static void counting_and_collecting_can_end_early(void **state)
{
    (void)state;
    begin(24, 4000, 4, 0);
    qd_plan *p = plan(word(0), NULL);
    qd_top_result r;
    uint64_t n, all = count(word(0));
    OK(qd_plan_top(p, &(qd_top_options){.k = 10, .total = QD_TOTAL_EXACT, .terminate_after = 50},
                   &r, &C.err));
    assert_true(r.terminated_early);
    assert_int_equal(r.total, 50);
    OK(qd_plan_top(p, &(qd_top_options){.k = 0, .total = 30}, &r, &C.err));
    assert_int_equal(r.n, 0);
    assert_int_equal(r.total, 30);
    assert_true(r.total_lower_bound);
    OK(qd_plan_top(p, &(qd_top_options){.k = 0, .total = all}, &r, &C.err));
    assert_int_equal(r.total, all);
    assert_false(r.total_lower_bound);
    OK(qd_plan_count(p, 20, &n, &C.err));
    assert_true(n >= 20 && n <= all);
    qd_count_collector c;
    qd_collect_result res;
    qd_count_collector_init(&c, 10);
    OK(qd_plan_collect(p, NULL, &c.c, &res, &C.err));
    assert_true(res.terminated_early);
    end();
}

static void a_cancelled_task_ends_and_a_deadline_gives_what_there_is(void **state)
{
    (void)state;
    begin(25, 3000, 2, 0);
    qd_tasks *tasks;
    qd_task t = {0};
    OK(qd_tasks_open(qd_env_system(), &tasks, &C.err));
    qd_task_begin(tasks, &t, "indices:data/read/search", QD_STR("test"), true);
    qd_plan *p = plan(any_of(2, (uint32_t[]){0, 3}), &(qd_plan_options){.task = &t});
    qd_top_result r;
    t.deadline_ns = 1; /* long past */
    for (int s = 0; s < 2; s++) {
        qd_top_options o = {
            .k = 10, .total = 1, .strategy = s ? QD_STRATEGY_WINDOWS : QD_STRATEGY_AUTO};
        atomic_store(&t.stop, QD_TASK_RUNNING);
        OK(qd_plan_top(p, &o, &r, &C.err));
        assert_true(r.timed_out);
    }
    t.deadline_ns = 0;
    atomic_store(&t.stop, QD_TASK_RUNNING);
    OK(qd_plan_top(p, &(qd_top_options){.k = 10}, &r, &C.err));
    assert_false(r.timed_out);
    assert_int_equal(r.n, 10);
    assert_true(qd_task_cancel(&t, "by request"));
    assert_int_equal(qd_plan_top(p, &(qd_top_options){.k = 10}, &r, &C.err), QD_E_CANCELLED);
    assert_non_null(strstr(qd_err_reason(&C.err), "by request"));
    qd_err_fini(&C.err);
    qd_task_end(&t);
    qd_tasks_close(tasks);
    end();
}

/* Statistics of two shards made one. */
typedef struct two {
    qd_node_stats at[WORDS];
} two;
static const qd_node_stats *two_term(void *arg, qd_str field, qd_str term)
{
    two *t = arg;
    (void)field;
    return &t->at[(term.p[1] - '0') * 10 + (term.p[2] - '0')];
}
static int two_add(void *arg, qd_str field, qd_str term, const qd_node_stats *st)
{
    two *t = arg;
    (void)field;
    qd_node_stats *to = &t->at[(term.p[1] - '0') * 10 + (term.p[2] - '0')];
    to->doc_freq += st->doc_freq;
    to->total_term_freq += st->total_term_freq;
    to->doc_count += st->doc_count;
    to->sum_total_term_freq += st->sum_total_term_freq;
    return 0;
}

static void global_statistics_make_shards_score_as_one(void **state)
{
    (void)state;
    begin(26, 3000, 2, 0);
    const qd_node *q = any_of(3, (uint32_t[]){1, 4, 30});
    qd_top_result one, part;
    OK(qd_plan_top(plan(q, NULL), &(qd_top_options){.k = 3000}, &one, &C.err));
    float score[3000] = {0};
    for (uint32_t i = 0; i < one.n; i++) score[one.hits[i].doc] = one.hits[i].score;
    qd_searcher *shard[2];
    static two stats;
    memset(&stats, 0, sizeof stats);
    for (int s = 0; s < 2; s++) {
        qd_plan *p;
        OK(qd_searcher_make(&C.seg[s], NULL, 1, &C.account, &shard[s], &C.err));
        OK(qd_plan_make(shard[s], q, NULL, &A, &p, &C.err));
        OK(qd_plan_terms(p, two_add, &stats, &C.err));
    }
    qd_node_global_stats global = {two_term, &stats};
    uint32_t hits = 0;
    for (int s = 0; s < 2; s++) {
        qd_plan *p;
        OK(qd_plan_make(shard[s], q, &(qd_plan_options){.stats = &global}, &A, &p, &C.err));
        OK(qd_plan_top(p, &(qd_top_options){.k = 3000}, &part, &C.err));
        for (uint32_t i = 0; i < part.n; i++)
            assert_true(part.hits[i].score == score[C.first[s] + part.hits[i].doc]);
        hits += part.n;
    }
    assert_int_equal(hits, one.n);
    qd_arena_reset(&A);
    for (int s = 0; s < 2; s++) qd_searcher_unref(shard[s]);
    end();
}

/* --- patterns
 * ------------------------------------------------------------------------------------- */

static qd_node *pattern(qd_pattern_kind kind, const char *text)
{
    qd_node *q = qd_node_make(&A, QD_NATIVE_PATTERN);
    q->u.pattern = (qd_node_pattern){.field = QD_STR("body"),
                                     .text = qd_str_c(text),
                                     .kind = kind,
                                     .regexp_flags = QD_REGEXP_ALL,
                                     .max_edits = 1};
    if (kind == QD_PATTERN_FUZZY) q->u.pattern.rewrite = QD_REWRITE_TOP_BLENDED;
    return q;
}
static bool has_word(const doc *d, bool (*wanted)(const char *))
{
    for (uint32_t i = 0; i < d->n; i++)
        if (wanted(C.word[d->word[i]])) return true;
    return false;
}
static uint64_t naive_count(bool (*wanted)(const char *))
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < C.n; i++) n += !C.docs[i].deleted && has_word(&C.docs[i], wanted);
    return n;
}
static bool ends_7(const char *w)
{
    return w[2] == '7';
}
static bool in_class(const char *w)
{
    return (w[1] == '3' || w[1] == '5') && w[2] >= '4';
}
static bool near_42(const char *w)
{
    return w[1] == '4' || w[2] == '2' || strcmp(w, "w24") == 0;
}
static bool from_50_to_58(const char *w)
{
    return strcmp(w, "w50") > 0 && strcmp(w, "w58") <= 0;
}

static void patterns_match_the_terms_they_describe(void **state)
{
    (void)state;
    begin(27, 2500, 3, 8);
    assert_int_equal(count(pattern(QD_PATTERN_WILDCARD, "w?7")), naive_count(ends_7));
    assert_int_equal(count(pattern(QD_PATTERN_WILDCARD, "*7")), naive_count(ends_7));
    assert_int_equal(count(pattern(QD_PATTERN_REGEXP, "w[35][4-9]")), naive_count(in_class));
    qd_node *fuzzy = pattern(QD_PATTERN_FUZZY, "w42"); /* more than one edit of w42 is too far */
    assert_int_equal(count(fuzzy), naive_count(near_42));
    fuzzy->u.pattern.no_transpositions = true;
    assert_true(count(fuzzy) <= naive_count(near_42));
    qd_node *range = qd_node_make(&A, QD_NATIVE_RANGE);
    range->u.range = (qd_node_range){.field = QD_STR("body"),
                                     .kind = QD_RANGE_TERM,
                                     .from = QD_STR("w50"),
                                     .to = QD_STR("w58"),
                                     .has_from = true,
                                     .has_to = true,
                                     .to_inclusive = true};
    assert_int_equal(count(range), naive_count(from_50_to_58));
    /* Scored expansions match the same documents. */
    qd_node *scored = pattern(QD_PATTERN_WILDCARD, "w?7");
    scored->u.pattern.rewrite = QD_REWRITE_SCORING;
    assert_int_equal(count(scored), naive_count(ends_7));
    qd_plan *p;
    assert_int_equal(
        qd_plan_make(C.searcher, scored, &(qd_plan_options){.max_clauses = 3}, &A, &p, &C.err),
        QD_E_TOO_MANY_CLAUSES);
    qd_err_fini(&C.err);
    assert_int_equal(
        qd_plan_make(C.searcher, pattern(QD_PATTERN_REGEXP, "w["), NULL, &A, &p, &C.err), QD_E_ARG);
    qd_err_fini(&C.err);
    end();
}

/* The fuzzy boost: the exact word scores more than a word one edit away with the same document. */
static void fuzzy_blends_frequencies_and_weighs_by_distance(void **state)
{
    (void)state;
    begin(28, 2000, 2, 0);
    qd_node *q = pattern(QD_PATTERN_FUZZY, "w42");
    q->u.pattern.rewrite_n = 50;
    qd_top_result r;
    OK(qd_plan_top(plan(q, NULL), &(qd_top_options){.k = 2000, .total = QD_TOTAL_EXACT}, &r,
                   &C.err));
    uint64_t most = 0;
    for (uint32_t w = 0; w < WORDS; w++)
        if (near_42(C.word[w]) && C.word_df[w] > most) most = C.word_df[w];
    float idf = (float)log(1 + ((double)C.body_docs - (double)most + 0.5) / ((double)most + 0.5));
    for (uint32_t i = 0; i < r.n; i++) {
        const doc *d = &C.docs[r.hits[i].doc];
        double sum = 0;
        for (uint32_t w = 0; w < WORDS; w++) {
            uint32_t f = near_42(C.word[w]) ? word_freq(d, w) : 0;
            if (!f) continue;
            float boost = w == 42 ? 1.0f : 1.0f - 1.0f / 3.0f;
            float weight = (boost * (1.0f + 1.2f)) * idf;
            sum += (double)(weight - weight / (1.0f + (float)f * C.ninv[qd_norm_of(d->n)]));
        }
        assert_true(fabsf(r.hits[i].score - (float)sum) <= (float)sum * 1e-6f);
    }
    end();
}

/* --- a plugin's iterator
 * ------------------------------------------------------------------------------- */

typedef struct every_third {
    uint32_t docs;
    bool scores;
} every_third;
static every_third iters[SEGMENTS_MAX];
static uint32_t opened, closed;

static int32_t third_open(const qd_query_ctx *ctx, const void *query, const qd_segment_view *v,
                          int32_t scores, qd_operator_iter **out, qd_err *err)
{
    (void)ctx;
    (void)query;
    qd_segment_postings *p;
    uint32_t df, docs[64], freqs[64], n, all = 0, at = 0;
    if (v->postings(v, QD_STR("body"), QD_STR("w00"), &p, &df, err) == 0) {
        do { /* the view's postings are the term's */
            if (v->postings_next(p, at, 64, docs, freqs, &n, err)) return QD_E_INTERNAL;
            all += n;
            at = n ? docs[n - 1] + 1 : at;
        } while (n);
        assert_int_equal(all, df);
    }
    uint32_t some[3] = {0, v->max_doc / 2, v->max_doc - 1};
    int64_t values[3];
    uint8_t has[3];
    assert_int_equal(v->i64(v, QD_STR("num"), some, 3, values, has, err), 0);
    every_third *it = &iters[opened++ % SEGMENTS_MAX];
    *it = (every_third){v->max_doc, scores != 0};
    *out = (qd_operator_iter *)it;
    return 0;
}
static int32_t third_next(qd_operator_iter *it, uint32_t from, float min_score, qd_doc_block *out,
                          qd_err *err)
{
    every_third *t = (every_third *)it;
    (void)min_score;
    (void)err;
    out->n = 0;
    for (uint32_t d = (from + 2) / 3 * 3; d < t->docs && out->n < 50; d += 3) {
        out->docs[out->n] = d;
        if (t->scores) out->scores[out->n] = 1.0f + (float)(d % 7);
        out->n++;
    }
    return 0;
}
static void third_close(qd_operator_iter *it)
{
    (void)it;
    closed++;
}

static void operators_that_iterate_meet_native_clauses(void **state)
{
    (void)state;
    begin(29, 2000, 2, 6);
    static const qd_operator_vtable vt = {
        .open_iter = third_open, .next_block = third_next, .close_iter = third_close};
    qd_node *c = qd_node_make(&A, QD_NATIVE_CUSTOM);
    c->u.custom.vt = &vt;
    const qd_node **must, **should;
    qd_node *q = qd_node_bool_make(&A, 1, 1, 0, 0, &must, &should, NULL, NULL);
    must[0] = c;
    should[0] = word(3);
    c->boost = 2;
    qd_top_result r;
    opened = closed = 0;
    OK(qd_plan_top(plan(q, NULL), &(qd_top_options){.k = 2000, .total = QD_TOTAL_EXACT}, &r,
                   &C.err));
    assert_int_equal(opened, closed);
    uint32_t want = 0;
    for (uint32_t s = 0; s < C.nseg; s++)
        for (uint32_t i = C.first[s]; i < C.first[s + 1]; i++)
            want += !C.docs[i].deleted && (i - C.first[s]) % 3 == 0;
    assert_int_equal(r.total, want);
    for (uint32_t i = 0; i < r.n; i++) {
        uint32_t s = r.hits[i].doc >= C.first[1], d = r.hits[i].doc - C.first[s];
        float own = 2 * (1.0f + (float)(d % 7));
        assert_true(r.hits[i].score >= own);
        if (!word_freq(&C.docs[r.hits[i].doc], 3)) assert_true(r.hits[i].score == own);
    }
    end();
}

/* An operator as a filter, alone and beside words that score: whoever looks at its documents again
 * (counts beside hits, a filter of too few documents) finds them all. */
static void operators_filter(void **state)
{
    (void)state;
    begin(31, 2000, 2, 6);
    static const qd_operator_vtable vt = {
        .open_iter = third_open, .next_block = third_next, .close_iter = third_close};
    for (uint32_t k = 0; k < 12; k++) {
        qd_node *c = qd_node_make(&A, QD_NATIVE_CUSTOM);
        c->u.custom.vt = &vt;
        const qd_node **must, **filter;
        uint32_t scored = k % 2, words = k % 3 == 2, w = k < 6 ? 1 : 40 + k;
        qd_node *q = qd_node_bool_make(&A, scored, 0, 1 + words, 0, &must, NULL, &filter, NULL);
        if (scored) must[0] = word(w);
        filter[0] = c;
        if (words) filter[1] = word(0);
        uint32_t want = 0;
        for (uint32_t s = 0; s < C.nseg; s++)
            for (uint32_t i = C.first[s]; i < C.first[s + 1]; i++)
                want += !C.docs[i].deleted && (i - C.first[s]) % 3 == 0 &&
                        (!scored || word_freq(&C.docs[i], w)) &&
                        (!words || word_freq(&C.docs[i], 0));
        for (uint64_t total = 0; total < 3; total++) {
            qd_top_options o = {.k = 10, .total = total == 2 ? QD_TOTAL_EXACT : total * 100};
            qd_top_result r;
            OK(qd_plan_top(plan(q, NULL), &o, &r, &C.err));
            assert_int_equal(r.n, want < 10 ? want : 10);
            if (total) assert_int_equal(r.total, want < o.total ? want : o.total);
        }
        uint64_t n;
        OK(qd_plan_count(plan(q, NULL), 0, &n, &C.err));
        assert_int_equal(n, want);
    }
    assert_int_equal(opened, closed);
    end();
}

/* --- running out of memory
 * ------------------------------------------------------------------------------ */

static int whole_search(qd_arena *arena, const qd_node *q, uint64_t *hits)
{
    qd_plan *p;
    qd_top_result r;
    int rc = qd_plan_make(C.searcher, q, NULL, arena, &p, &C.err);
    if (!rc) rc = qd_plan_top(p, &(qd_top_options){.k = 20, .total = QD_TOTAL_EXACT}, &r, &C.err);
    if (!rc) *hits = r.total;
    return rc;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    begin(30, 6000, 2, 5);
    const qd_node **must, **should, **filter;
    qd_node *q = qd_node_bool_make(&A, 1, 2, 1, 0, &must, &should, &filter, NULL);
    must[0] = word(1);
    should[0] = pattern(QD_PATTERN_FUZZY, "w42");
    should[1] = any_of(3, (uint32_t[]){0, 2, 40});
    filter[0] = pattern(QD_PATTERN_WILDCARD, "w*5");
    const qd_node *trees[] = {q, any_of(4, (uint32_t[]){0, 1, 30, 60}), word(0)};
    for (uint32_t t = 0; t < QD_COUNT_OF(trees); t++) {
        uint64_t want, hits = 0;
        qd_arena arena;
        qd_arena_init(&arena, &C.account, 0);
        OK(whole_search(&arena, trees[t], &want));
        qd_arena_fini(&arena);
        for (uint64_t n = 1;; n++) {
            qd_arena_init(&arena, &C.account, 0);
            qd_mem_fail_at(n, true);
            int rc = whole_search(&arena, trees[t], &hits);
            char reason[256];
            snprintf(reason, sizeof reason, "%s", qd_err_reason(&C.err));
            qd_mem_fail_at(0, false);
            qd_arena_fini(&arena);
            qd_err_fini(&C.err);
            if (rc && rc != QD_E_NOMEM)
                print_error("allocation %llu: %s: %s\n", (unsigned long long)n, qd_code_name(rc),
                            reason);
            if (rc == 0) break;
            assert_int_equal(rc, QD_E_NOMEM);
            assert_true(n < 5000);
        }
        assert_int_equal(hits, want);
    }
    end();
}

/* --- many searches at one time
 * ------------------------------------------------------------------------ */

typedef struct searching {
    qd_thread *thread;
    uint64_t hits, rounds;
    int rc;
} searching;

static void search_again_and_again(void *arg)
{
    searching *s = arg;
    qd_arena arena;
    qd_arena_init(&arena, NULL, 0);
    for (uint64_t i = 0; i < s->rounds && !s->rc; i++) {
        qd_plan *p;
        qd_top_result r;
        qd_searcher *mine = qd_searcher_ref(C.searcher);
        const qd_node **should;
        qd_node *q = qd_node_bool_make(&arena, 0, 2, 0, 0, NULL, &should, NULL, NULL);
        should[0] = qd_node_term_make(&arena, QD_STR("body"), qd_str_c(C.word[1]));
        should[1] = qd_node_term_make(&arena, QD_STR("body"), qd_str_c(C.word[20]));
        s->rc = qd_plan_make(mine, q, NULL, &arena, &p, NULL);
        if (!s->rc)
            s->rc = qd_plan_top(p, &(qd_top_options){.k = 10, .total = QD_TOTAL_EXACT}, &r, NULL);
        if (!s->rc) s->hits += r.total;
        qd_arena_reset(&arena);
        qd_searcher_unref(mine);
    }
    qd_arena_fini(&arena);
}

static void searches_share_a_searcher_without_locks(void **state)
{
    (void)state;
    begin(31, 2000, 2, 5);
    uint64_t one = count(any_of(2, (uint32_t[]){1, 20}));
    qd_arena_reset(&A);
    searching s[4];
    for (int i = 0; i < 4; i++) {
        s[i] = (searching){.rounds = 50};
        OK(qd_thread_start(qd_env_system(), "test", search_again_and_again, &s[i], &s[i].thread,
                           &C.err));
    }
    for (int i = 0; i < 4; i++) {
        qd_thread_join(qd_env_system(), s[i].thread);
        assert_int_equal(s[i].rc, 0);
        assert_int_equal(s[i].hits, 50 * one);
    }
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_by_search_after_join_to_the_whole_list),
        cmocka_unit_test(min_score_drops_hits_and_does_not_count_them),
        cmocka_unit_test(a_post_filter_narrows_what_a_collector_gets),
        cmocka_unit_test(counting_and_collecting_can_end_early),
        cmocka_unit_test(a_cancelled_task_ends_and_a_deadline_gives_what_there_is),
        cmocka_unit_test(global_statistics_make_shards_score_as_one),
        cmocka_unit_test(patterns_match_the_terms_they_describe),
        cmocka_unit_test(fuzzy_blends_frequencies_and_weighs_by_distance),
        cmocka_unit_test(operators_that_iterate_meet_native_clauses),
        cmocka_unit_test(operators_filter),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(searches_share_a_searcher_without_locks),
    };
    return unit_run(tests);
}
