/* wildcard_t.c: what a wildcard pattern is made for a walk over terms, against the pattern's
 * automaton and an obvious matcher, over random patterns and texts. */
#include "base/utf8.h"
#include "search/plan/plan_int.h"
#include "unit/lib/parts.h"
#include "unit/unit.h"

static parts X;

/* Characters of one to four bytes, escapes, and what is special. */
static size_t some_pattern(char *to)
{
    static const uint32_t letters[] = {'a', 'b', 'c', 0xe9, 0x1f600};
    size_t n = 0;
    for (uint64_t left = parts_random(&X, 9); left; left--) {
        uint64_t r = parts_random(&X, 12);
        if (r < 3) {
            to[n++] = '*';
        } else if (r == 3) {
            to[n++] = '?';
        } else {
            if (r == 4) to[n++] = '\\';
            n += r == 5 ? qd_utf8_put(to + n, '*')
                        : qd_utf8_put(to + n, letters[parts_random(&X, 5)]);
        }
    }
    if (parts_random(&X, 20) == 0) to[n++] = '\\';
    return n;
}

static size_t some_text(char *to)
{
    static const uint32_t letters[] = {'a', 'b', 'c', 0xe9, 0x1f600, '*', '\\'};
    size_t n = 0;
    for (uint64_t left = parts_random(&X, 8); left; left--)
        n += qd_utf8_put(to + n, letters[parts_random(&X, 7)]);
    return n;
}

/* Does the pattern match, by every way there is, character by character? */
static bool slow_match(const char *p, const char *pe, const char *t, const char *te)
{
    uint32_t c;
    if (p == pe) return t == te;
    if (*p == '*') {
        for (;; t += qd_utf8_next(t, te, &c)) {
            if (slow_match(p + 1, pe, t, te)) return true;
            if (t == te) return false;
        }
    }
    if (t == te) return false;
    size_t n = qd_utf8_next(t, te, &c);
    if (*p == '?') return slow_match(p + 1, pe, t + n, te);
    if (*p == '\\' && p + 1 < pe) p++;
    if ((size_t)(pe - p) < n || memcmp(p, t, n) != 0) return false;
    return slow_match(p + n, pe, t + n, te);
}

/* The range of a pattern as a query has it; *a is freed by the caller, NULL where none is needed.
 */
static qd_term_range range_of(const qd_node_pattern *n, qd_automaton **a)
{
    qd_term_range r = {0};
    qd_str text;
    *a = NULL;
    OK(&X, qdi_wildcard_range(&X.arena, n, &r, &text));
    if (!text.p) return r;
    OK(&X, qd_automaton_wildcard(text, false, 0, &X.account, a, &X.err));
    r.automaton = *a;
    r.prefix = (*a)->prefix;
    return r;
}

static void ranges_match_what_the_pattern_does(void **state)
{
    (void)state;
    parts_begin(&X, true);
    char pattern[80], text[80];
    uint32_t matched[3] = {0}, any = 0;
    for (uint32_t round = 0; round < 6000; round++) {
        X.seed = round;
        qd_node_pattern n = {.kind = QD_PATTERN_WILDCARD};
        n.text = (qd_str){pattern, some_pattern(pattern)};
        qd_automaton *a, *all;
        qd_term_range r = range_of(&n, &a);
        OK(&X, qd_automaton_wildcard(n.text, false, 0, &X.account, &all, &X.err));
        for (uint32_t k = 0; k < 40; k++) {
            qd_str t = {text, some_text(text)};
            bool match = slow_match(n.text.p, n.text.p + n.text.n, t.p, t.p + t.n);
            assert_int_equal(qd_automaton_match(all, t), match);
            assert_int_equal(qd_term_range_has(&r, t), match);
            matched[!a ? 0 : memchr(pattern, '*', n.text.n) ? 1 : 2] += match;
            any += match && !a && memchr(n.text.p, '?', n.text.n) != NULL;
        }
        qd_automaton_free(a);
        qd_automaton_free(all);
        qd_arena_reset(&X.arena);
    }
    /* without an automaton, with one of the beginning, with one of all */
    assert_true(matched[0] > 5000 && matched[1] > 1000 && matched[2] > 100 && any > 1000);
    parts_end(&X);
}

/* An automaton is made of what has `?` before the first star, and of nothing else. */
static void only_beginnings_need_an_automaton(void **state)
{
    (void)state;
    parts_begin(&X, true);
    static const char *const of[][2] = {{"a*b", NULL},    {"*a?b*c?", NULL},  {"ab*??", NULL},
                                        {"a?c*", "a?c*"}, {"a?*b?*c", "a?*"}, {"?\\*b*c", "?\\*b*"},
                                        {"a?c", "a?c"},   {"abc", "abc"},     {"", ""}};
    for (size_t i = 0; i < QD_COUNT_OF(of); i++) {
        qd_node_pattern n = {.kind = QD_PATTERN_WILDCARD, .text = qd_str_c(of[i][0])};
        qd_term_range r = {0};
        qd_str text;
        OK(&X, qdi_wildcard_range(&X.arena, &n, &r, &text));
        assert_int_equal(text.p != NULL, of[i][1] != NULL);
        if (text.p) assert_true(qd_str_eq(text, qd_str_c(of[i][1])));
    }
    parts_end(&X);
}

/* What has a meaning of its own in the automaton is left to it. */
static void others_are_left_to_the_automaton(void **state)
{
    (void)state;
    parts_begin(&X, true);
    static char longer[400];
    memset(longer, 'a', sizeof longer);
    longer[7] = '*';
    qd_node_pattern of[] = {{.text = QD_STR("a*b?"), .case_insensitive = true},
                            {.text = QD_STR("a*b?"), .max_states = 5},
                            {.text = QD_STR("a*\xff")},
                            {.text = QD_STR("ab")},
                            {.text = {NULL, 0}},
                            {.text = {longer, sizeof longer}}};
    for (size_t i = 0; i < QD_COUNT_OF(of); i++) {
        qd_term_range r = {0};
        qd_str text;
        OK(&X, qdi_wildcard_range(&X.arena, &of[i], &r, &text));
        assert_true(text.p && qd_str_eq(text, of[i].text));
        assert_int_equal(r.suffix.n + r.prefix.n + r.head.n, 0);
    }
    parts_end(&X);
}

#define MANY 60u

/* Ranges for a matcher: of random patterns, of intervals, of all terms. */
static uint32_t some_ranges(qd_term_range *to, const qd_term_range **at)
{
    char pattern[80];
    uint32_t n = 0;
    while (n < MANY) {
        qd_node_pattern p = {.kind = QD_PATTERN_WILDCARD};
        qd_automaton *a;
        p.text = qd_arena_str(&X.arena, (qd_str){pattern, some_pattern(pattern)});
        to[n] = range_of(&p, &a);
        qd_automaton_free(a);
        if (a) to[n] = (qd_term_range){.from = p.text, .from_exclusive = n & 1};
        if (a && (n & 2)) {
            to[n].has_to = true;
            to[n].to = QD_STR("b");
            to[n].to_inclusive = n & 4;
        }
        at[n] = &to[n];
        n++;
    }
    return n;
}

static void a_matcher_finds_what_each_range_has(void **state)
{
    (void)state;
    parts_begin(&X, true);
    char text[80];
    uint32_t found[MANY], all = 0;
    uint64_t cost = 0;
    for (uint32_t round = 0; round < 400; round++) {
        X.seed = 9000 + round;
        qd_term_range ranges[MANY];
        const qd_term_range *at[MANY];
        uint32_t n = some_ranges(ranges, at);
        qd_term_matcher *m;
        OK(&X, qd_term_matcher_make(at, n, &X.arena, &m, &X.err));
        for (uint32_t k = 0; k < 60; k++) {
            bool has[MANY] = {false};
            qd_str t = {text, some_text(text)};
            uint32_t got = qd_term_matcher_find(m, t, found, &cost);
            for (uint32_t i = 0; i < got; i++) {
                assert_false(has[found[i]]); /* each once */
                has[found[i]] = true;
            }
            for (uint32_t i = 0; i < n; i++) assert_int_equal(has[i], qd_term_range_has(at[i], t));
            all += got;
        }
        qd_arena_reset(&X.arena);
    }
    assert_true(all > 50000 && cost > all);
    parts_end(&X);
}

/* Of many patterns a term is compared with few, though all begin alike. */
static void a_matcher_compares_with_few(void **state)
{
    (void)state;
    parts_begin(&X, true);
    enum { N = 4000 };
    qd_term_range *ranges = qd_arena_calloc(&X.arena, N * sizeof *ranges);
    const qd_term_range **at = qd_arena_calloc(&X.arena, N * sizeof *at);
    for (uint32_t i = 0; i < N; i++) {
        char text[32];
        int n = snprintf(text, sizeof text, "*item-%u*", i);
        qd_node_pattern p = {.kind = QD_PATTERN_WILDCARD};
        qd_automaton *a;
        p.text = qd_arena_str(&X.arena, (qd_str){text, (size_t)n});
        ranges[i] = range_of(&p, &a);
        at[i] = &ranges[i];
    }
    qd_term_matcher *m;
    OK(&X, qd_term_matcher_make(at, N, &X.arena, &m, &X.err));
    static uint32_t found[N];
    uint64_t cost = 0;
    assert_int_equal(qd_term_matcher_find(m, QD_STR("an item-3999 here"), found, &cost), 4);
    assert_true(cost < 100);
    cost = 0;
    assert_int_equal(qd_term_matcher_find(m, QD_STR("nothing of them"), found, &cost), 0);
    assert_true(cost < 20);
    parts_end(&X);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_match_what_the_pattern_does),
        cmocka_unit_test(only_beginnings_need_an_automaton),
        cmocka_unit_test(others_are_left_to_the_automaton),
        cmocka_unit_test(a_matcher_finds_what_each_range_has),
        cmocka_unit_test(a_matcher_compares_with_few),
    };
    return unit_run(tests);
}
