/* wildcard_t.c: what is read off a wildcard pattern as plain text, against the pattern's automaton,
 * over random patterns and texts. */
#include "base/utf8.h"
#include "search/plan_int.h"
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
        } else if (r == 3 && parts_random(&X, 2)) {
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

static void plain_parts_match_what_the_automaton_does(void **state)
{
    (void)state;
    parts_begin(&X, true);
    char pattern[80], text[80];
    uint32_t matched = 0, whole_ones = 0, endings = 0;
    for (uint32_t round = 0; round < 3000; round++) {
        X.seed = round;
        qd_node_pattern n = {.kind = QD_PATTERN_WILDCARD};
        n.text = (qd_str){pattern, some_pattern(pattern)};
        qd_term_range r = {0};
        bool whole = false;
        qd_automaton *a = NULL;
        OK(&X, qdi_wildcard_range(&X.arena, &n, &r, &whole));
        OK(&X, qd_automaton_wildcard(n.text, false, 0, &X.account, &a, &X.err));
        whole_ones += whole;
        endings += !whole && r.suffix.n;
        for (uint32_t k = 0; k < 40; k++) {
            qd_str t = {text, some_text(text)};
            bool match = qd_automaton_match(a, t);
            matched += match && whole && (r.suffix.n || r.ninner);
            if (whole)
                assert_int_equal(qd_term_range_has(&r, t), match);
            else if (match)
                assert_true(qd_term_range_has(&r, t));
        }
        qd_automaton_free(a);
        qd_arena_reset(&X.arena);
    }
    assert_true(matched > 1000 && whole_ones > 1000 && endings > 100);
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
    qd_node_pattern of[] = {{.text = QD_STR("a*b"), .case_insensitive = true},
                            {.text = QD_STR("a*b"), .max_states = 5},
                            {.text = QD_STR("a*\xff")},
                            {.text = QD_STR("ab")},
                            {.text = {longer, sizeof longer}}};
    for (size_t i = 0; i < QD_COUNT_OF(of); i++) {
        qd_term_range r = {0};
        bool whole = true;
        OK(&X, qdi_wildcard_range(&X.arena, &of[i], &r, &whole));
        assert_false(whole);
        assert_int_equal(r.suffix.n + r.prefix.n, 0);
    }
    parts_end(&X);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_parts_match_what_the_automaton_does),
        cmocka_unit_test(others_are_left_to_the_automaton),
    };
    return unit_run(tests);
}
