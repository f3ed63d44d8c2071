/*
 * highlight_t.c: fragments and marks: terms, phrases, patterns, sentences joined and cut, several
 * values, entities, characters beyond the BMP, the beginning without a match, lost memory.
 */
#include "base/str.h"
#include "query/dsl.h"
#include "search/highlight/highlight.h"
#include "unit/unit.h"

static qd_arena arena;
static qd_analyzers *analyzers;
static qd_analysis *scratch;
static qd_err err;
static const qd_str open_tag = {"[", 1}, close_tag = {"]", 1};

static qd_highlight_options standard(void)
{
    return (qd_highlight_options){
        .fragment_size = 100, .fragments = 5, .pre = &open_tag, .post = &close_tag, .npre = 1};
}

static qd_node *term(const char *field, const char *text)
{
    qd_node *n = qd_node_term_make(&arena, qd_str_c(field), qd_str_c(text));
    assert_non_null(n);
    return n;
}

/* The fragments joined by " | "; NULL when there are none. */
static const char *mark_values(const qd_node *root, const qd_str *values, uint32_t n,
                               const qd_highlight_options *o, bool any)
{
    qd_highlighter *h;
    qd_str *out;
    uint32_t got = 0;
    qd_buf b;
    assert_int_equal(
        qd_highlighter_make(root, qd_node_each_leaf, QD_STR("f"), any, &arena, &h, &err), 0);
    assert_int_equal(qd_highlight(h, qd_analyzers_get(analyzers, QD_STR("standard")), NULL, scratch,
                                  values, n, o, &arena, &out, &got, &err),
                     0);
    qd_buf_init(&b, NULL, 1 << 20);
    for (uint32_t i = 0; i < got; i++) {
        if (i) assert_int_equal(qd_buf_c(&b, " | "), 0);
        assert_int_equal(qd_buf_str(&b, out[i]), 0);
    }
    qd_str text = qd_arena_str(&arena, qd_buf_view(&b));
    qd_buf_fini(&b);
    return got ? text.p : NULL;
}

static const char *mark(const qd_node *root, const char *text, const qd_highlight_options *o)
{
    qd_str v = qd_str_c(text);
    return mark_values(root, &v, 1, o, false);
}

static qd_node *phrase(const char *a, const char *b, uint32_t slop)
{
    qd_node *n = qd_node_make(&arena, QD_NATIVE_PHRASE);
    qd_phrase_term *t = qd_arena_calloc(&arena, 2 * sizeof *t);
    assert_true(n && t);
    t[0].term = qd_str_c(a);
    t[1] = (qd_phrase_term){.term = qd_str_c(b), .position = 1};
    n->u.phrase = (qd_node_phrase){.field = QD_STR("f"), .terms = t, .n = 2, .slop = slop};
    return n;
}

static void words_are_marked_where_the_query_has_them(void **state)
{
    (void)state;
    qd_highlight_options o = standard();
    assert_string_equal(mark(term("f", "fox"), "A Fox and a fox.", &o), "A [Fox] and a [fox].");
    assert_null(mark(term("g", "fox"), "a fox", &o)); /* another field's word */
    qd_str v = QD_STR("a fox");
    assert_string_equal(mark_values(term("g", "fox"), &v, 1, &o, true), "a [fox]");
    assert_null(mark(term("f", "fox"), "", &o));
    qd_node *p = qd_node_make(&arena, QD_NATIVE_PATTERN);
    p->u.pattern =
        (qd_node_pattern){.field = QD_STR("f"), .text = QD_STR("f*x"), .kind = QD_PATTERN_WILDCARD};
    assert_string_equal(mark(p, "fox fix fa", &o), "[fox] [fix] fa");
}

static void phrases_are_marked_only_as_phrases(void **state)
{
    (void)state;
    qd_highlight_options o = standard();
    assert_string_equal(mark(phrase("lazy", "dog", 0), "dog lazy dog lazy", &o),
                        "dog [lazy] [dog] lazy");
    o.whole_phrases = true;
    assert_string_equal(mark(phrase("lazy", "dog", 0), "dog lazy dog lazy", &o),
                        "dog [lazy dog] lazy");
    assert_null(mark(phrase("lazy", "dog", 0), "lazy old dog", &o));
    assert_string_equal(mark(phrase("lazy", "dog", 1), "lazy old dog", &o), "[lazy old dog]");
}

static void fragments_are_sentences(void **state)
{
    (void)state;
    qd_highlight_options o = standard();
    const char *text =
        "One fox came. Nobody saw it at first, since all of them slept so well. Then "
        "another fox came along and all of them woke up at once.";
    o.fragment_size = 40;
    assert_string_equal(mark(term("f", "fox"), text, &o),
                        "One [fox] came. | Then another [fox] came along and all of them");
    o.fragments = 1;
    assert_string_equal(mark(term("f", "fox"), text, &o), "One [fox] came.");
    o.fragments = 0;
    assert_string_equal(mark(term("f", "well"), "It slept well. It woke.", &o),
                        "It slept [well]. It woke.");
    o.fragments = 5;
    o.fragment_size = 18;
    const char *cut = mark(term("f", "mmmm"),
                           "aaaa bbbb cccc dddd eeee ffff gggg hhhh kkkk mmmm nnnn "
                           "oooo pppp",
                           &o);
    assert_non_null(strstr(cut, "[mmmm]"));
    assert_true(strlen(cut) < 34);
}

static void values_are_marked_one_by_one(void **state)
{
    (void)state;
    qd_highlight_options o = standard();
    qd_str v[3] = {QD_STR("a fox"), QD_STR("a dog"), QD_STR("fox fox")};
    assert_string_equal(mark_values(term("f", "fox"), v, 3, &o, false), "a [fox] | [fox] [fox]");
    o.by_score = true;
    assert_string_equal(mark_values(term("f", "fox"), v, 3, &o, false), "[fox] [fox] | a [fox]");
}

static void text_of_all_kinds_keeps_its_bytes(void **state)
{
    (void)state;
    qd_highlight_options o = standard();
    assert_string_equal(mark(term("f", "fuchs"), "Größe \xf0\x9f\xa6\x8a Fuchs \xe2\x82\xac", &o),
                        "Größe \xf0\x9f\xa6\x8a [Fuchs] \xe2\x82\xac");
    o.html = true;
    assert_string_equal(mark(term("f", "x"), "<a href='x'> & \"y\"", &o),
                        "&lt;a href=&#x27;[x]&#x27;&gt; &amp; &quot;y&quot;");
}

static void without_a_match_the_beginning_is_shown(void **state)
{
    (void)state;
    qd_highlight_options o = standard();
    o.no_match_size = 5;
    assert_string_equal(mark(term("f", "x"), "one two three", &o), "one two");
    assert_string_equal(mark(term("f", "x"), "one", &o), "one");
    assert_null(mark(term("f", "x"), "", &(qd_highlight_options){0}));
}

static void plain_fragments_are_pieces_of_a_size(void **state)
{
    (void)state;
    qd_highlight_options o = standard();
    o.breaks = QD_HIGHLIGHT_PLAIN;
    o.fragment_size = 10;
    assert_string_equal(
        mark(term("f", "fox"), "one two three four five six fox seven eight nine", &o),
        " [fox] seven");
}

static void lost_memory_is_an_error(void **state)
{
    (void)state;
    qd_highlight_options o = standard();
    qd_str v = QD_STR("One fox. Two foxes came; the fox \xe2\x82\xac slept.");
    for (uint64_t n = 1;; n++) {
        qd_highlighter *h;
        qd_str *out;
        uint32_t got = 0;
        qd_arena a;
        qd_arena_init(&a, NULL, 0);
        qd_node *p = phrase("the", "fox", 0);
        (void)qd_mem_fail_at(n, false);
        int rc = qd_highlighter_make(p, qd_node_each_leaf, QD_STR("f"), false, &a, &h, &err);
        if (!rc) {
            rc = qd_highlight(h, qd_analyzers_get(analyzers, QD_STR("standard")), NULL, scratch, &v,
                              1, &o, &a, &out, &got, &err);
        }
        uint64_t seen = qd_mem_fail_at(0, false);
        if (!rc) assert_int_equal(got, 1);
        qd_arena_fini(&a);
        qd_err_fini(&err);
        if (seen < n) break;
    }
}

static int begin(void **state)
{
    (void)state;
    qd_err_init(&err);
    qd_arena_init(&arena, NULL, 0);
    scratch = qd_analysis_make(NULL, 0);
    return !scratch || qd_analyzers_make(NULL, 0, NULL, &analyzers, &err);
}

static int end(void **state)
{
    (void)state;
    qd_analyzers_unref(analyzers);
    qd_analysis_free(scratch);
    qd_arena_fini(&arena);
    qd_err_fini(&err);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(words_are_marked_where_the_query_has_them, begin, end),
        cmocka_unit_test_setup_teardown(phrases_are_marked_only_as_phrases, begin, end),
        cmocka_unit_test_setup_teardown(fragments_are_sentences, begin, end),
        cmocka_unit_test_setup_teardown(values_are_marked_one_by_one, begin, end),
        cmocka_unit_test_setup_teardown(text_of_all_kinds_keeps_its_bytes, begin, end),
        cmocka_unit_test_setup_teardown(without_a_match_the_beginning_is_shown, begin, end),
        cmocka_unit_test_setup_teardown(plain_fragments_are_pieces_of_a_size, begin, end),
        cmocka_unit_test_setup_teardown(lost_memory_is_an_error, begin, end),
    };
    return unit_run(tests);
}
