/* mustache_t.c: templates by what a user would notice: template and params on the left, the text or
 * the error on the right. */
#include "script/script.h"
#include "unit/unit.h"

/* The text, or "!" and the chain of errors. */
static const char *render(const char *source, const char *params, const char *media, size_t max)
{
    static char text[8192];
    qd_err e;
    qd_script *s = NULL;
    qd_script_exec x;
    qd_sv v;
    qd_script_ref ref = {
        .lang = QD_STR("mustache"), .source = qd_str_c(source), .media = qd_str_c(media)};
    qd_err_init(&e);
    text[0] = 0;
    int rc = qd_script_compile_ref(&ref, QD_SCRIPT_TEMPLATE, &s, &e);
    if (!rc) {
        qd_script_exec_open(&x, s, NULL);
        if (max) x.text_max = max;
        assert_int_equal(qd_sv_parse(&x.arena, qd_str_c(params), &x.vars[QD_SCRIPT_V_PARAMS], NULL),
                         0);
        rc = qd_script_run(&x, &v, &e);
        if (!rc) snprintf(text, sizeof text, "%.*s", QD_STR_ARG(qd_sv_text(&v)));
        qd_script_exec_close(&x);
    }
    size_t n = 0;
    for (const qd_err *c = &e; rc && c; c = c->cause)
        n += (size_t)snprintf(text + n, sizeof text - n, "!%s: %s ", qd_err_es_type(c),
                              qd_err_reason(c));
    qd_err_fini(&e);
    qd_script_put(s);
    return text;
}

static const struct {
    const char *source, *params, *want;
} cases[] = {
    {"plain", "{}", "plain"},
    {"", "{}", ""},
    {"{\"a\": \"{{x}}\"}", "{\"x\":\"q\\\"\\\\\\n\"}", "{\"a\": \"q\\\"\\\\\\n\"}"},
    {"{{{x}}}|{{&x}}|{{& x }}", "{\"x\":\"a\\\"\"}", "a\"|a\"|a\""},
    {"{{ x }}{{none}}{{n}}", "{\"x\":1,\"n\":null}", "1"},
    {"{{a}} {{b}} {{c}} {{d}} {{e}}",
     "{\"a\":1.0,\"b\":12345678901234567890,\"c\":true,\"d\":1e21,\"e\":false}",
     "1.0 12345678901234567890 true 1.0E21 false"},
    /* names */
    {"{{a.b.c}}{{a.x.c}}", "{\"a\":{\"b\":{\"c\":7}}}", "7"},
    {"{{l.0}} {{l.1.k}} {{l.2}}{{l.-1}}{{l.x}} {{l.size}}", "{\"l\":[\"p\",{\"k\":\"q\"}]}",
     "p q  2"},
    {"{{l}} {{m}}", "{\"l\":[\"p\",[1,2]],\"m\":{\"k\":\"v\",\"l\":[3]}}",
     "{0=p, 1=[1, 2]} {k=v, l=[3]}"},
    {"{{{m}}}", "{\"m\":{\"k\":\"\\\"\"}}", "{k=\"}"},
    {"{{m}}", "{\"m\":{\"k\":\"\\\"\"}}", "{k=\\\"}"},
    /* sections */
    {"{{#t}}y{{/t}}{{#f}}n{{/f}}{{#none}}n{{/none}}{{#z}}z{{/z}}{{#e}}n{{/e}}",
     "{\"t\":true,\"f\":false,\"z\":0,\"e\":\"\"}", "yz"},
    {"{{^t}}n{{/t}}{{^f}}y{{/f}}{{^none}}y{{/none}}{{^l}}y{{/l}}{{^e}}y{{/e}}{{^m}}n{{/m}}",
     "{\"t\":true,\"f\":false,\"l\":[],\"e\":\"\",\"m\":{}}", "yyyy"},
    {"{{#l}}<{{.}}>{{/l}}", "{\"l\":[1,\"a\",true]}", "<1><a><true>"},
    {"{{#l}}{{n}}{{g}};{{/l}}", "{\"g\":\"G\",\"l\":[{\"n\":1},{\"n\":2,\"g\":\"h\"}]}", "1G;2h;"},
    {"{{#m}}{{a}}{{b.c}}{{/m}}", "{\"m\":{\"a\":1,\"b\":{}},\"b\":{\"c\":2}}", "12"},
    {"{{#l}}{{#.}}{{.}}{{/.}};{{/l}}", "{\"l\":[[1,2],[3]]}", "12;3;"},
    {"{{#s}}{{.}}!{{/s}}", "{\"s\":\"x\"}", "x!"},
    {"{{#a.b}}{{c}}{{/a.b}}", "{\"a\":{\"b\":{\"c\":1}}}", "1"},
    {"{{#l}}{{^last}},{{/last}}{{/l}}", "{\"l\":[{},{\"last\":true}]}", ","},
    {"{{#l}}x{{/l}}", "{\"l\":[null,null]}", "xx"},
    /* comments, marks, lines */
    {"a{{! no }}b{{!\n{ }\n}}c", "{}", "abc"},
    {"{{=<% %>=}}<%x%>{{x}}<%={{ }}=%>{{x}}", "{\"x\":1}", "1{{x}}1"},
    {"{{=( )=}}(x)({x})(=<< >>=)<<x>>", "{\"x\":\"\\\"\"}", "\\\"\"\\\""},
    {"a\n{{#t}}\nb\n{{/t}}\nc", "{\"t\":1}", "a\nb\nc"},
    {"a\n  {{! x }}  \r\nb", "{}", "a\nb"},
    {"a {{#t}}\nb\n{{/t}} c", "{\"t\":1}", "a \nb\n c"},
    {"{ {{x}} } } {", "{\"x\":1}", "{ 1 } } {"},
    /* functions */
    {"{{#toJson}}x{{/toJson}}", "{\"x\":[1,{\"a\":\"b\\\"\"},null,1.5]}",
     "[1,{\"a\":\"b\\\"\"},null,1.5]"},
    {"{{#tojson}}m.k{{/tojson}}|{{#toJson}}s{{/toJson}}|{{#toJson}}none{{/toJson}}",
     "{\"m\":{\"k\":{\"a\":1}},\"s\":\"a\\\"b\"}", "{\"a\":1}|a\"b|"},
    {"{{#l}}{{#toJson}}.{{/toJson}}{{/l}}", "{\"l\":[{\"a\":1},{\"b\":2}]}", "{\"a\":1}{\"b\":2}"},
    {"{{#toJson}}.{{/toJson}}", "{\"l\":[1]}", "{\"l\":[1]}"},
    {"{{#join}}l{{/join}} {{#join delimiter=' and '}}l{{/join delimiter=' and '}}",
     "{\"l\":[1,\"b\\\"\",null]}", "1,b\",null 1 and b\" and null"},
    {"{{#join}}s{{/join}}{{#join}}e{{/join}}", "{\"s\":\"x\",\"e\":[]}", "s"},
    {"{{#url}}{{x}}{{/url}}", "{\"x\":\"a b/ü<\"}", "a+b%2F%C3%BC%3C"},
    {"{{#url}}h/{{#join}}l{{/join}}{{/url}}", "{\"l\":[\"<a>\",\"b\"]}", "h%2F%3Ca%3E%2Cb"},
    {"{{#url}}{{#url}}{{x}}{{/url}}{{/url}}{{#url}}{{/url}}", "{\"x\":\"/\"}", "%252F"},
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *got = render(cases[i].source, cases[i].params, NULL, 0);
        if (strcmp(got, cases[i].want))
            fail_msg("%s: %s, wanted %s", cases[i].source, got, cases[i].want);
    }
}

static const char *const errors[][2] = {
    {"{{{x}}", "Improperly closed variable in query-template:1 @[query-template:1]"},
    {"a\n{{x", "Improperly closed variable in query-template:2"},
    {"{{#a}}\n{{#b}}{{/b}}", "Failed to close 'a' tag"},
    {"{{/a}}", "Mismatched start/end tags: null != a in query-template:1"},
    {"{{#a}}{{/b}}", "Mismatched start/end tags: a != b in query-template:1"},
    {"{{#join delimiter='a'}}x{{/join}}", "Mismatched start/end tags: join delimiter='a' != join"},
    {"{{}}", "Empty mustache"},
    {"{{#}}{{/}}", "Empty mustache"},
    {"{{{ }}}", "Empty mustache"},
    {"{{>other}}", "Partials are not supported: template [other]"},
    {"{{<other}}{{/other}}", "Inheritance is not supported: block [other]"},
    {"{{$b}}{{/b}}", "Inheritance is not supported: block [b]"},
    {"{{%implicit}}", "Pragmas are not supported: [implicit]"},
    {"{{=<%=}}", "Invalid delimiter string"},
    {"{{=<%% %>=}}", "Invalid delimiter string"},
    {"{{=a b c=}}", "Invalid delimiter string"},
    {"{{= =}}", "Invalid delimiter string"},
    {"{{#toJson}}{{/toJson}}",
     "Mustache function [toJson] must contain one and only one identifier"},
    {"{{#toJson}}{{a}}{{/toJson}}", "[toJson] must contain one and only one identifier"},
    {"{{#join}}{{a}}{{b}}{{/join}}", "[join] must contain one and only one identifier"},
};

static void test_errors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        const char *got = render(errors[i][0], "{}", NULL, 0);
        if (!strstr(got, errors[i][1]) || !strstr(got, "!script_exception: ") ||
            !strstr(got, "!mustache_exception: "))
            fail_msg("%s: %s", errors[i][0], got);
    }
}

static void test_media(void **state)
{
    (void)state;
    const char *x = "{\"x\":\"a \\\"\"}";
    assert_string_equal(render("{{x}}", x, "application/json", 0), "a \\\"");
    assert_string_equal(render("{{x}}", x, "application/json; charset=UTF-8", 0), "a \\\"");
    assert_string_equal(render("{{x}}", x, "text/plain", 0), "a \"");
    assert_string_equal(render("{{x}}{{{x}}}", x, "application/x-www-form-urlencoded", 0),
                        "a+%22a \"");
    assert_string_equal(
        render("{{x}}", x, "text/html", 0),
        "!illegal_argument_exception: No encoder found for media type [text/html] ");
}

static char long_text[QD_SCRIPT_SOURCE_MAX];

/* n times a text. */
static const char *times(const char *text, int n)
{
    size_t at = 0, len = strlen(text);
    for (int i = 0; i < n && at + len < sizeof long_text; i++, at += len)
        memcpy(long_text + at, text, len);
    long_text[at] = 0;
    return long_text;
}

/* Length, work and depth end. */
static void test_limits(void **state)
{
    static char params[40000];
    (void)state;
    assert_string_equal(render("{{x}}", "{\"x\":\"12345\"}", NULL, 5), "12345");
    assert_string_equal(render("{{x}}6", "{\"x\":\"12345\"}", NULL, 5),
                        "!parse_exception: Mustache script result size limit exceeded ");
    assert_string_equal(render("{{#toJson}}x{{/toJson}}", "{\"x\":[\"12345\"]}", NULL, 5),
                        "!parse_exception: Mustache script result size limit exceeded ");
    assert_string_equal(render("{{#url}}{{x}}{{/url}}", "{\"x\":\"////\"}", NULL, 5),
                        "!parse_exception: Mustache script result size limit exceeded ");
    strcpy(params, "{\"l\":[0");
    for (int i = 0; i < 9999; i++) strcat(params + i * 2 + 6, ",0");
    strcat(params, "]}");
    assert_string_equal(render("{{#l}}{{#l}}{{#l}}{{/l}}{{/l}}{{/l}}", params, NULL, 0),
                        "!general_script_exception: the template takes more than 2000000 steps ");
    strcpy(long_text, "{{#l}}{{");
    memset(long_text + 8, 'x', 40000);
    strcpy(long_text + 40008, "}}{{/l}}");
    assert_string_equal(render(long_text, params, NULL, 0),
                        "!general_script_exception: the template takes more than 2000000 steps ");
    assert_non_null(strstr(render(times("{{#a}}", 101), "{}", NULL, 0),
                           "Sections nested deeper than 100 levels"));
    assert_non_null(strstr(render(times("{{#a}}", 100), "{}", NULL, 0), "Failed to close 'a' tag"));
    strcpy(params, "{{a");
    strcat(params, times(".a", 100));
    strcat(params, "}}");
    assert_non_null(strstr(render(params, "{}", NULL, 0), "with more than 100 parts"));
}

/* Which contexts the languages have. */
static void test_contexts(void **state)
{
    qd_err e;
    qd_script *s = NULL;
    (void)state;
    qd_err_init(&e);
    assert_int_equal(qd_script_compile(QD_STR("mustache"), QD_STR("x"), QD_SCRIPT_SCORE, &s, &e),
                     QD_E_ARG);
    assert_string_equal(qd_err_reason(&e), "mustache does not know how to handle context [score]");
    qd_err_fini(&e);
    assert_int_equal(
        qd_script_compile(QD_STR("painless"), QD_STR("x"), QD_SCRIPT_INGEST_TEMPLATE, &s, &e),
        QD_E_ARG);
    qd_err_fini(&e);
    qd_script_ref ref = {
        .lang = QD_STR("painless"), .source = QD_STR("1"), .media = QD_STR("text/plain")};
    assert_int_equal(qd_script_compile_ref(&ref, QD_SCRIPT_SCORE, &s, &e), QD_E_ARG);
    assert_string_equal(qd_err_reason(&e),
                        "Unrecognized compile-time parameter(s): {content_type=text/plain}");
    qd_err_fini(&e);
    qd_script_cache_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),    cmocka_unit_test(test_errors),
        cmocka_unit_test(test_media),    cmocka_unit_test(test_limits),
        cmocka_unit_test(test_contexts),
    };
    return unit_run(tests);
}
