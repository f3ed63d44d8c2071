/* shingles_t.c: runs of words and their beginnings. */
#include "analysis/shingles.h"
#include "unit/unit.h"

static const char *tokens_of(const char *base, uint32_t size, bool prefixes, const char *text)
{
    static char line[8192];
    static const qd_str custom = {"custom", 6}, standard = {"standard", 8};
    static const qd_str stop[] = {{"lowercase", 9}, {"stop", 4}};
    const qd_analysis_setting set[] = {
        {QD_STR("analysis.analyzer.holes.type"), &custom, 1, false},
        {QD_STR("analysis.analyzer.holes.tokenizer"), &standard, 1, false},
        {QD_STR("analysis.analyzer.holes.filter"), stop, 2, true},
    };
    qd_analyzers *as;
    qd_analyzer *a;
    qd_analysis *s = qd_analysis_make(NULL, 0);
    const qd_tokens *t;
    size_t n = 0;
    assert_non_null(s);
    assert_int_equal(qd_analyzers_make(set, QD_COUNT_OF(set), NULL, &as, NULL), 0);
    assert_int_equal(
        qd_analyzer_shingles(qd_analyzers_get(as, qd_str_c(base)), size, prefixes, &a, NULL), 0);
    assert_int_equal(qd_analyzer_run(a, s, qd_str_c(text), QD_ANALYZE_OFFSETS, &t, NULL), 0);
    line[0] = 0;
    for (size_t i = 0; i < t->n; i++)
        n += (size_t)snprintf(line + n, sizeof line - n, "%s[%.*s]%u,%u+%u", i ? " " : "",
                              QD_STR_ARG(qd_tokens_term(t, i)), t->offset[i].from, t->offset[i].to,
                              qd_tokens_inc(t, i));
    qd_analysis_free(s);
    qd_analyzer_unref(a);
    qd_analyzers_unref(as);
    return line;
}

static void runs(void **state)
{
    (void)state;
    assert_string_equal(tokens_of("standard", 2, false, ""), "");
    assert_string_equal(tokens_of("standard", 2, false, "One"), "");
    assert_string_equal(tokens_of("standard", 2, false, "One two three"),
                        "[one two]0,7+1 [two three]4,13+1");
    assert_string_equal(tokens_of("standard", 3, false, "a b c d"), "[a b c]0,5+1 [b c d]2,7+1");
    assert_string_equal(tokens_of("standard", 4, false, "a b c"), "");
    assert_string_equal(tokens_of("holes", 2, false, "x the y z"), "[x ]0,1+1 [y z]6,9+2");
    assert_string_equal(tokens_of("holes", 2, false, "x y the"), "[x y]0,3+1 [y ]2,3+1");
}

static void beginnings(void **state)
{
    (void)state;
    assert_string_equal(tokens_of("standard", 2, true, "ab c"),
                        "[a]0,4+1 [ab]0,4+0 [ab ]0,4+0 [ab c]0,4+0 [c]3,4+1 [c ]3,4+0");
    /* 20 characters, and the whole */
    const char *got = tokens_of("standard", 2, true, "abcdefghijklmno pqrstuvw");
    assert_non_null(strstr(got, "[abcdefghijklmno pqrs]"));
    assert_null(strstr(got, "[abcdefghijklmno pqrst]"));
    assert_non_null(strstr(got, "[abcdefghijklmno pqrstuvw]"));
    assert_non_null(strstr(tokens_of("standard", 2, true,
                                     "\xC3\xBC"
                                     "b"),
                           "[\xC3\xBC]0,2+1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs),
        cmocka_unit_test(beginnings),
    };
    return unit_run(tests);
}
