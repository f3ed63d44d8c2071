/* patterns_t.c: many patterns of a field, found in one pass over its terms: each gives the
 * documents that it gives alone, and a search whose patterns look at too many terms ends with an
 * error, as does one that is cancelled. */
#include "automaton/automaton.h"
#include "runtime/task.h"
#include "search/plan/plan.h"
#include "unit/lib/search_corpus.h"
#include "unit/unit.h"
#include <stdio.h>

#define PATTERNS 20u /* a score of floats tells so many apart */

static qd_arena A;

static qd_node *pattern_node(qd_pattern_kind kind, const char *text)
{
    qd_node *q = qd_node_make(&A, QD_NATIVE_PATTERN);
    q->u.pattern = (qd_node_pattern){
        .field = QD_STR("body"), .kind = kind, .text = qd_arena_str(&A, qd_str_c(text))};
    return q;
}

/* A wildcard over w00 to w95, or an interval of them. */
static qd_node *some_pattern(void)
{
    static const char *const forms[] = {"*%u",  "*%u*", "w%u*", "w*%u", "?%u*",  "*?%u",
                                        "w%u?", "*",    "*w*",  "??%u", "*9*%u", "w?%u*"};
    char text[16];
    if (search_rnd(8) == 0) {
        qd_node *q = qd_node_make(&A, QD_NATIVE_RANGE);
        snprintf(text, sizeof text, "w%02u", (unsigned)search_rnd(90));
        q->u.range = (qd_node_range){.field = QD_STR("body"),
                                     .kind = QD_RANGE_TERM,
                                     .has_from = true,
                                     .from = qd_arena_str(&A, qd_str_c(text))};
        return q;
    }
    const char *form = forms[search_rnd(QD_COUNT_OF(forms))];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(text, sizeof text, form, (unsigned)search_rnd(10));
#pragma GCC diagnostic pop
    return pattern_node(QD_PATTERN_WILDCARD, text);
}

/* Documents of a tree, and their scores unless NULL. */
static void find(const qd_node *q, uint64_t *matches, float *scores)
{
    qd_plan *p;
    uint32_t *docs = qd_arena_alloc(&A, C.n * sizeof *docs);
    for (uint32_t i = 0; i < C.n; i++) docs[i] = i;
    OK(qd_plan_make(C.searcher, q, &(qd_plan_options){.no_scores = !scores}, &A, &p, &C.err));
    OK(qd_plan_test(p, docs, C.n, matches, scores, &C.err));
}

static void each_gives_what_it_gives_alone(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 24; round++) {
        static const uint32_t sizes[][3] = {{300, 1, 0}, {3000, 4, 0}, {3000, 3, 5}};
        const uint32_t *s = sizes[round % 3];
        search_corpus_make(round, s[0], s[1], s[2]);
        qd_arena_init(&A, &C.account, 0);
        size_t words = ((size_t)C.n + 63) / 64;
        const qd_node **should;
        qd_node *all = qd_node_bool_make(&A, 0, PATTERNS, 0, 0, NULL, &should, NULL, NULL);
        uint64_t *alone[PATTERNS], *any = qd_arena_calloc(&A, words * 8);
        float *scores = qd_arena_calloc(&A, C.n * sizeof *scores);
        for (uint32_t i = 0; i < PATTERNS; i++) {
            qd_node *q = some_pattern();
            alone[i] = qd_arena_calloc(&A, words * 8);
            find(q, alone[i], NULL);
            q->boost = (float)(1u << i);
            should[i] = q;
        }
        find(all, any, scores);
        for (uint32_t d = 0; d < C.n; d++) {
            uint32_t want = 0;
            for (uint32_t i = 0; i < PATTERNS; i++)
                want |= (uint32_t)(alone[i][d / 64] >> (d & 63) & 1) << i;
            assert_int_equal(any[d / 64] >> (d & 63) & 1, want != 0);
            if (want) assert_int_equal((uint32_t)scores[d], want);
        }
        qd_arena_fini(&A);
        search_corpus_end();
    }
}

/* n clauses that nothing shortens. */
static qd_node *many(uint32_t n, qd_pattern_kind kind, qd_pattern_rewrite rewrite)
{
    const qd_node **filter;
    qd_node *q = qd_node_bool_make(&A, 0, n, 0, 0, NULL, &filter, NULL, NULL);
    for (uint32_t i = 0; i < n; i++) {
        qd_node *c = pattern_node(kind, kind == QD_PATTERN_WILDCARD ? "*w*" : ".*[0-9]");
        c->u.pattern.regexp_flags = QD_REGEXP_ALL;
        c->u.pattern.rewrite = rewrite;
        c->u.pattern.rewrite_n = 3;
        filter[i] = c;
    }
    return q;
}

static int count(const qd_node *q, qd_term_budget *budget, qd_task *task)
{
    qd_plan *p;
    uint64_t n;
    qd_plan_options o = {.budget = budget, .task = task};
    int rc = qd_plan_make(C.searcher, q, &o, &A, &p, &C.err);
    return rc ? rc : qd_plan_count(p, 0, &n, &C.err);
}

static void too_many_terms_are_an_error(void **state)
{
    (void)state;
    static const struct {
        qd_pattern_kind kind;
        qd_pattern_rewrite rewrite;
    } of[] = {{QD_PATTERN_WILDCARD, QD_REWRITE_CONSTANT},
              {QD_PATTERN_REGEXP, QD_REWRITE_CONSTANT},
              {QD_PATTERN_REGEXP, QD_REWRITE_TOP_BOOST}};
    search_corpus_make(7, 3000, 3, 5);
    for (size_t i = 0; i < QD_COUNT_OF(of); i++) {
        qd_arena_init(&A, &C.account, 0);
        qd_term_budget budget = {.limit = 0};
        OK(count(many(1, of[i].kind, of[i].rewrite), &budget,
                 NULL)); /* one walk is always allowed */
        assert_true(budget.spent >= WORDS);
        budget = (qd_term_budget){.limit = UINT64_MAX};
        OK(count(many(60, of[i].kind, of[i].rewrite), &budget, NULL));
        uint64_t all = budget.spent;
        budget = (qd_term_budget){.limit = all / 2};
        assert_int_equal(count(many(60, of[i].kind, of[i].rewrite), &budget, NULL), QD_E_ARG);
        assert_non_null(strstr(qd_err_reason(&C.err), "on field [body] must look at more than ["));
        assert_non_null(strstr(qd_err_reason(&C.err), "[search.max_pattern_terms]"));
        assert_true(budget.spent < all);
        qd_err_fini(&C.err);
        qd_err_init(&C.err);
        qd_arena_fini(&A);
    }
    search_corpus_end();
}

static void a_walk_ends_with_its_task(void **state)
{
    (void)state;
    qd_tasks *tasks;
    qd_task task;
    search_corpus_make(8, 300, 1, 0);
    OK(qd_tasks_open(qd_env_system(), &tasks, &C.err));
    qd_task_begin(tasks, &task, "indices:data/read/search", QD_STR("test"), true);
    assert_true(qd_task_cancel(&task, "by user request"));
    for (uint32_t n = 1; n < 60; n += 20)
        for (uint32_t i = 0; i < 2; i++) {
            qd_pattern_rewrite rewrite = i ? QD_REWRITE_TOP_BOOST : QD_REWRITE_CONSTANT;
            qd_arena_init(&A, &C.account, 0);
            assert_int_equal(count(many(n, QD_PATTERN_WILDCARD, rewrite), NULL, &task),
                             QD_E_CANCELLED);
            assert_string_equal(qd_err_reason(&C.err), "task cancelled [by user request]");
            qd_err_fini(&C.err);
            qd_err_init(&C.err);
            qd_arena_fini(&A);
        }
    qd_task_end(&task);
    qd_tasks_close(tasks);
    search_corpus_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_gives_what_it_gives_alone),
        cmocka_unit_test(too_many_terms_are_an_error),
        cmocka_unit_test(a_walk_ends_with_its_task),
    };
    return unit_run(tests);
}
