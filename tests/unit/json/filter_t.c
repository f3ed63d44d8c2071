/* filter_t.c: filter_path and source filtering on known answers. */
#include "unit/unit.h"
#include "json/filter.h"

static void expect_path(const char *json, const char *paths, const char *want)
{
    qd_arena a;
    qd_err e;
    qd_buf b;
    qd_json_filter *f = NULL;
    qd_arena_init(&a, NULL, 0);
    qd_err_init(&e);
    qd_buf_init(&b, NULL, 1 << 16);
    assert_int_equal(qd_json_filter_path(&a, qd_str_c(paths), &f, &e), 0);
    assert_int_equal(qd_json_filter_apply(f, qd_str_c(json), false, &b, &e), 0);
    if (strcmp(b.p, want) != 0) fail_msg("%s\n got %s\nwant %s", paths, b.p, want);
    qd_buf_fini(&b);
    qd_err_fini(&e);
    qd_arena_fini(&a);
}

static void expect_source(const char *json, const char *in, const char *ex, const char *want)
{
    qd_arena a;
    qd_err e;
    qd_buf b;
    qd_json_filter *f = NULL;
    qd_str list[2][8];
    size_t n[2] = {0, 0};
    for (int k = 0; k < 2; k++) {
        for (qd_str rest = qd_str_c(k ? ex : in); rest.p;) {
            qd_str part = qd_str_split(&rest, ',');
            if (part.n) list[k][n[k]++] = part;
        }
    }
    qd_arena_init(&a, NULL, 0);
    qd_err_init(&e);
    qd_buf_init(&b, NULL, 1 << 16);
    assert_int_equal(
        qd_json_filter_make(&a, list[0], n[0], list[1], n[1], QD_JSON_FILTER_SOURCE, &f, &e), 0);
    assert_int_equal(qd_json_filter_apply(f, qd_str_c(json), false, &b, &e), 0);
    if (strcmp(b.p, want) != 0) fail_msg("+%s -%s\n got %s\nwant %s", in, ex, b.p, want);
    qd_buf_fini(&b);
    qd_err_fini(&e);
    qd_arena_fini(&a);
}

#define ANSWER                                                                                     \
    "{\"took\":5,\"hits\":{\"total\":{\"value\":2},\"hits\":[{\"_id\":\"1\",\"_source\":{\"a\":1," \
    "\"b\":[1, 2]}},"                                                                              \
    "{\"_id\":\"2\",\"_source\":{\"a\":2,\"b\":{}}}]},\"empty\":{}}"

static void filter_path_of_answers(void **state)
{
    (void)state;
    expect_path(ANSWER, "", ANSWER);
    expect_path(ANSWER, "took", "{\"took\":5}");
    expect_path(ANSWER, "took,hits.total", "{\"took\":5,\"hits\":{\"total\":{\"value\":2}}}");
    expect_path(ANSWER, "hits.hits._id", "{\"hits\":{\"hits\":[{\"_id\":\"1\"},{\"_id\":\"2\"}]}}");
    expect_path(ANSWER, "**._id", "{\"hits\":{\"hits\":[{\"_id\":\"1\"},{\"_id\":\"2\"}]}}");
    expect_path(ANSWER, "hits.**.b",
                "{\"hits\":{\"hits\":[{\"_source\":{\"b\":[1, 2]}},{\"_source\":{\"b\":{}}}]}}");
    expect_path(ANSWER, "h*.t*", "{\"hits\":{\"total\":{\"value\":2}}}");
    expect_path(ANSWER, "hits.*.value", "{\"hits\":{\"total\":{\"value\":2}}}");
    expect_path(ANSWER, "nothing", "{}");
    expect_path(ANSWER, "took.x", "{}");
    expect_path(ANSWER, "-hits", "{\"took\":5,\"empty\":{}}");
    expect_path(ANSWER, "-hits.hits._source,-empty,-took",
                "{\"hits\":{\"total\":{\"value\":2},\"hits\":[{\"_id\":\"1\"},{\"_id\":\"2\"}]}}");
    expect_path(ANSWER, "hits.hits,-**._source.b",
                "{\"hits\":{\"hits\":[{\"_id\":\"1\",\"_source\":{\"a\":1}},{\"_id\":\"2\",\"_"
                "source\":{\"a\":2}}]}}");
    expect_path(ANSWER, "-hits.total.value,-hits.hits,-empty", "{\"took\":5}");
    expect_path("[{\"a\":1,\"b\":2},{\"b\":3}]", "a", "[{\"a\":1}]");
    expect_path("[{\"b\":2}]", "a", "[]");
    expect_path("{\"x.y\":{\"z\":1},\"x\":2}", "x\\.y.z", "{\"x.y\":{\"z\":1}}");
    expect_path("{\"a\":[[{\"b\":1}],2]}", "a.b", "{\"a\":[[{\"b\":1}]]}");
}

#define DOC                                                                                        \
    "{\"user\":{\"name\":\"x\",\"id\":12345678901234567890},\"tags\":[\"a\",\"b\"],\"o.p\":{"      \
    "\"q\":1.50},\"e\":{},\"n\":[{\"k\":1},{\"l\":2}]}"

static void source_includes_and_excludes(void **state)
{
    (void)state;
    expect_source(DOC, "", "", DOC);
    expect_source(DOC, "user", "", "{\"user\":{\"name\":\"x\",\"id\":12345678901234567890}}");
    expect_source(DOC, "user.id", "", "{\"user\":{\"id\":12345678901234567890}}");
    expect_source(DOC, "o.p.q", "", "{\"o.p\":{\"q\":1.50}}");
    expect_source(DOC, "o", "", "{\"o.p\":{\"q\":1.50}}");
    expect_source(DOC, "us*", "user.name", "{\"user\":{\"id\":12345678901234567890}}");
    expect_source(DOC, "", "user.name,tags,o.p,n",
                  "{\"user\":{\"id\":12345678901234567890},\"e\":{}}");
    expect_source(DOC, "", "*.name,*.id,t*,o*,n", "{\"user\":{},\"e\":{}}");
    expect_source(DOC, "n", "*.k", "{\"n\":[{\"l\":2}]}");
    expect_source(DOC, "n,user.*", "n.*",
                  "{\"user\":{\"name\":\"x\",\"id\":12345678901234567890},\"n\":[]}");
    expect_source("{\"a\":{\"b\":{\"c\":1}}}", "", "a.b.c", "{}");
}

static void wildcards_of_names(void **state)
{
    (void)state;
    static const struct {
        const char *p, *s;
        bool match;
    } rows[] = {{"*", "", true},       {"", "", true},          {"a*", "abc", true},
                {"*c", "abc", true},   {"a*c", "abbc", true},   {"a*b*c", "a1b2c", true},
                {"a*b", "abc", false}, {"**", "x", true},       {"abc", "ab", false},
                {"ab", "abc", false},  {"*a*a*a", "aa", false}, {"*a*a*a", "aaa", true}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(qd_json_simple_match(qd_str_c(rows[i].p), qd_str_c(rows[i].s)),
                         rows[i].match);
    }
}

static void wants_before_fetching(void **state)
{
    (void)state;
    qd_arena a;
    qd_err e;
    qd_json_filter *f = NULL;
    qd_arena_init(&a, NULL, 0);
    qd_err_init(&e);
    assert_int_equal(qd_json_filter_path(&a, QD_STR("hits.total,-hits.total.relation"), &f, &e), 0);
    assert_true(qd_json_filter_wants(f, QD_STR("hits")));
    assert_true(qd_json_filter_wants(f, QD_STR("hits.total.value")));
    assert_false(qd_json_filter_wants(f, QD_STR("hits.total.relation")));
    assert_false(qd_json_filter_wants(f, QD_STR("hits.hits")));
    qd_arena_fini(&a);
}

static void too_many_patterns_are_refused(void **state)
{
    (void)state;
    qd_arena a;
    qd_err e;
    qd_json_filter *f = NULL;
    qd_arena_init(&a, NULL, 0);
    qd_err_init(&e);
    char *text = malloc(20000);
    memset(text, 'a', 20000);
    for (int i = 1; i < 20000; i += 2) text[i] = ',';
    assert_int_equal(qd_json_filter_path(&a, (qd_str){text, 20000}, &f, &e), QD_E_ARG);
    qd_err_fini(&e);
    free(text);
    qd_arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filter_path_of_answers),
        cmocka_unit_test(source_includes_and_excludes),
        cmocka_unit_test(wildcards_of_names),
        cmocka_unit_test(wants_before_fetching),
        cmocka_unit_test(too_many_patterns_are_refused),
    };
    return unit_run(tests);
}
