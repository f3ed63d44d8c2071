/* painless_t.c: Painless by what a user would notice: a source on the left, its value or its error
 * on the right. */
#include "script/object.h"
#include "script/script.h"
#include "unit/unit.h"

static int64_t doc_n[] = {5};
static qd_sv doc_values[2];

static int values(void *self, int slot, qd_str field, qd_script_values *out, qd_err *err)
{
    (void)self;
    (void)slot;
    if (qd_str_is(field, "n")) {
        doc_values[0] = qd_sv_long(doc_n[0]);
        *out = (qd_script_values){.n = 1, .v = doc_values};
    } else if (qd_str_is(field, "none"))
        *out = (qd_script_values){0};
    else
        return qd_err_set(err, QD_E_ARG, "No field found for [%.*s] in mapping", QD_STR_ARG(field));
    return 0;
}

static bool has(void *self, qd_str field)
{
    (void)self;
    return qd_str_is(field, "n") || qd_str_is(field, "none");
}

/* The value as JSON, or "!" and the chain of errors. */
static const char *run_in(qd_script_context context, const char *source, const char *params,
                          const char *ctx)
{
    static char text[4096];
    qd_err e;
    qd_script *s = NULL;
    qd_buf b;
    qd_err_init(&e);
    qd_buf_init(&b, NULL, sizeof text - 1);
    int rc = qd_script_compile(QD_STR("painless"), qd_str_c(source), context, &s, &e);
    if (rc == 0) {
        qd_script_exec x;
        qd_sv v;
        qd_script_exec_open(&x, s, NULL);
        x.host = (qd_script_host){.values = values, .has = has};
        x.steps_max = 2000000;
        if (params)
            assert_int_equal(
                qd_sv_parse(&x.arena, qd_str_c(params), &x.vars[QD_SCRIPT_V_PARAMS], NULL), 0);
        if (ctx)
            assert_int_equal(qd_sv_parse(&x.arena, qd_str_c(ctx), &x.vars[QD_SCRIPT_V_CTX], NULL),
                             0);
        x.vars[QD_SCRIPT_V_SCORE] = qd_sv_double(2);
        rc = qd_script_run(&x, &v, &e);
        if (rc == 0) {
            qd_json_writer w;
            qd_json_writer_init(&w, &b, false);
            rc = qd_sv_write(ctx ? &x.vars[QD_SCRIPT_V_CTX] : &v, &w, &e);
        }
        qd_script_exec_close(&x);
    }
    if (rc) {
        qd_buf_reset(&b);
        for (const qd_err *c = &e; c; c = c->cause)
            (void)qd_buf_printf(&b, "!%s: %s ", qd_err_es_type(c), qd_err_reason(c));
    }
    snprintf(text, sizeof text, "%.*s", QD_STR_ARG(qd_buf_view(&b)));
    qd_buf_fini(&b);
    qd_err_fini(&e);
    qd_script_put(s);
    return text;
}

static const struct {
    const char *source, *want;
} cases[] = {
    {"1 + 2", "3"},
    {"return 1 + 2 * 3 - 4 / 2", "5"},
    {"7 / 2", "3"},
    {"7 / 2.0", "3.5"},
    {"-7 % 3", "-1"},
    {"2147483647 + 1", "-2147483648"},
    {"2147483647L + 1", "2147483648"},
    {"1 << 33", "2"},
    {"-1 >>> 28", "15"},
    {"-1L >>> 60", "15"},
    {"(byte)300", "44"},
    {"(int)3.99", "3"},
    {"(long)1e30", "9223372036854775807"},
    {"1.1f * 2", "2.2"},
    {"0x1F", "31"},
    {"5 / 0.0", "\"Infinity\""},
    {"true && !false || false", "true"},
    {"'a' + 1 + 2.0 + true + null", "\"a12.0truenull\""},
    {"def x = 3; x += 2.7; x", "5.7"},
    {"int x = 3; x += 2.7; x", "5"},
    {"int i = 5; i + i++", "10"},
    {"int i = 5; i++ + i", "11"},
    {"int i = 5; --i", "4"},
    {"def i = 5; i++; i", "6"},
    {"null ?: 5", "5"},
    {"def m = [:]; m?.a?.b ?: 'x'", "\"x\""},
    {"1 == 1.0", "true"},
    {"def a = 1; def b = 1L; a == b", "true"},
    {"def a = 'x'; a == 'x' && a === 'x'", "true"},
    {"'x' != null", "true"},
    {"true ? 1 : 2.0", "1.0"},
    {"[1, 2.5, 'x', null, true]", "[1,2.5,\"x\",null,true]"},
    {"['a': 1, 'b': [2]]", "{\"a\":1,\"b\":[2]}"},
    {"[:]", "{}"},
    {"def a = new HashSet(), b = new HashSet(); for (int i = 0; i < 30000; i++) { def x = new "
     "HashSet(), y = new HashSet(); x.add(a); y.add(b); a = x; b = y } a.equals(b)",
     "false"},
    {"'abcabc'.lastIndexOf('bc') + ' ' + 'abc'.lastIndexOf('') + ' ' + 'abc'.lastIndexOf('d')",
     "\"4 3 -1\""},
    {"int[] a = new int[3]; a[1] = 7; a", "[0,7,0]"},
    {"def a = new String[] {'x', 'y'}; a.length", "2"},
    {"def s = 0; for (int i = 0; i < 10; ++i) { if (i == 3) continue; if (i == 8) break; s += i } "
     "s",
     "25"},
    {"def s = 0; for (def x : [1, 2, 3]) s += x; s", "6"},
    {"def s = 0; for (x in [1, 2, 3]) s += x; s", "6"},
    {"int i = 0; while (i < 5) { i++ } i", "5"},
    {"int i = 0; do { i++ } while (i < 5); i", "5"},
    {"int f(int n) { return n < 2 ? n : f(n - 1) + f(n - 2) } f(15)", "610"},
    {"List f(def x) { return [x, x] } f('a')", "[\"a\",\"a\"]"},
    {"def l = [3, 1, 2]; l.sort((a, b) -> b - a); l", "[3,2,1]"},
    {"def l = [3, 1, 2]; l.sort(null); l", "[1,2,3]"},
    {"int k = 10; def l = [1, 2]; l.replaceAll(x -> x * k); l", "[10,20]"},
    {"def l = [1, 2, 3, 4]; l.removeIf(x -> x % 2 == 0); l", "[1,3]"},
    {"[1, 2, 3].stream().filter(x -> x > 1).map(x -> x * 2).collect(Collectors.toList())", "[4,6]"},
    {"['a', 'b'].stream().collect(Collectors.joining('-'))", "\"a-b\""},
    {"[1, 2, 3].stream().mapToInt(x -> x).sum()", "6"},
    {"['b', 'a'].stream().sorted().map(String::toUpperCase).collect(Collectors.toList())",
     "[\"A\",\"B\"]"},
    {"[1, 2].stream().map(Integer::toString).collect(Collectors.toList())", "[\"1\",\"2\"]"},
    {"def m = ['a': 1]; m.b = 2; m['c'] = 3; m.remove('a'); m", "{\"b\":2,\"c\":3}"},
    {"def m = new HashMap(); m.computeIfAbsent('k', k -> []).add(1); m.k.add(2); m",
     "{\"k\":[1,2]}"},
    {"def m = ['a': 1, 'b': 2]; def s = 0; for (e in m.entrySet()) { s += e.value } s", "3"},
    {"def m = ['a': 1, 'b': 2]; m.entrySet().removeIf(e -> e.getValue() > 1); m", "{\"a\":1}"},
    {"def m = ['a': 1]; m.getOrDefault('z', 9)", "9"},
    {"def m = ['a': 1]; m.merge('a', 5, (x, y) -> x + y); m.a", "6"},
    {"def s = new HashSet(); s.add(1); s.add(1); s.size()", "1"},
    {"def it = [1, 2].iterator(); def s = 0; while (it.hasNext()) { s += it.next() } s", "3"},
    {"StringBuilder b = new StringBuilder(); b.append('a').append(1); b.toString()", "\"a1\""},
    {"'Hello'.substring(1, 3).toUpperCase()", "\"EL\""},
    {"'a,b,,c'.splitOnToken(',').length", "4"},
    {"'abc'.indexOf('c') + 'abc'.length()", "5"},
    {"'  x '.trim().replace('x', 'yy')", "\"yy\""},
    {"'\\u00e9'",
     "!script_exception: compile error !illegal_argument_exception: unexpected "
     "character ['\\u00e9']. The only valid escape sequences in strings starting with [\"] are "
     "[\\\\], [\\\"] and those of control characters. "},
    {"'é€'.length()", "2"},
    {"'foo123' =~ /[0-9]+/", "true"},
    {"'foo123' ==~ /[0-9]+/", "false"},
    {"'foo123' ==~ /[a-z]+\\d+/", "true"},
    {"def m = /(\\w)(\\d)/.matcher('x1y2'); m.find(); m.find(); m.group(1)", "\"y\""},
    {"/[aeiou]/.matcher('banana').replaceAll('*')", "\"b*n*n*\""},
    {"/,/.split('a,b').length", "2"},
    {"Integer.parseInt('42') + Long.parseLong('1')", "43"},
    {"Double.parseDouble('1.5')", "1.5"},
    {"Integer.MAX_VALUE", "2147483647"},
    {"Math.max(1, 2.5)", "2.5"},
    {"Math.abs(-5)", "5"},
    {"Math.round(2.5)", "3"},
    {"Math.sqrt(16) + Math.pow(2, 3)", "12.0"},
    {"def x = 5; x instanceof Integer && !(x instanceof String)", "true"},
    {"try { def x = null; x.foo() } catch (NullPointerException e) { return 'npe' }", "\"npe\""},
    {"try { throw new IllegalArgumentException('m') } catch (Exception e) { e.getMessage() } "
     "return 1",
     "1"},
    {"try { throw new IllegalArgumentException('m') } catch (Exception e) { return e.message }",
     "\"m\""},
    {"int z = 0; try { return 1 / z } catch (ArithmeticException e) { return e.getMessage() }",
     "\"/ by zero\""},
    {"ZonedDateTime.parse('2020-02-29T10:15:30Z').getYear()", "2020"},
    {"ZonedDateTime.parse('2020-02-29T10:15:30Z').plusYears(1).toString()",
     "\"2021-02-28T10:15:30Z\""},
    {"ZonedDateTime.parse('2020-01-31T00:00:00+01:00').toInstant().toEpochMilli()",
     "1580425200000"},
    {"ChronoUnit.DAYS.between(ZonedDateTime.parse('2020-01-01T00:00:00Z'), "
     "ZonedDateTime.parse('2020-03-01T00:00:00Z'))",
     "60"},
    {"Instant.ofEpochMilli(0L).toString()", "\"1970-01-01T00:00:00Z\""},
    {"ZonedDateTime.parse('2024-05-01T00:00:00Z').dayOfWeek.getValue()", "3"},
    {"doc['n'].value + 1", "6"},
    {"doc.n.value", "5"},
    {"doc['none'].size() == 0 ? -1 : doc['none'].value", "-1"},
    {"doc['none'].empty", "true"},
    {"doc.containsKey('n') && !doc.containsKey('x')", "true"},
    {"_score * params.f", "6.0"},
    {"params['list'].length", "!script_exception: runtime error !null_pointer_exception: Cannot "
                              "read field \"length\" because the value is null "},
    {"Objects.equals(null, null)", "true"},
    {"char c = 'x'; (int)c", "120"},
    {"def f = (x, y) -> x + y; f.toString() != null", "true"},
    {"return", "null"},
    {"", "null"},
    {"if (true) { return 1 } else { return 2 }", "1"},
    {"def a = [1, [2, 3]]; a[1][0] + a[-1][1]", "5"},
    {"def a = [['x': 1]]; a.0.x", "1"},
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < QD_COUNT_OF(cases); i++) {
        const char *got = run_in(QD_SCRIPT_AGGS, cases[i].source, "{\"f\":3}", NULL);
        if (strcmp(got, cases[i].want) != 0)
            print_error("%s\n  gave %s\n  want %s\n", cases[i].source, got, cases[i].want);
    }
    for (size_t i = 0; i < QD_COUNT_OF(cases); i++)
        assert_string_equal(run_in(QD_SCRIPT_AGGS, cases[i].source, "{\"f\":3}", NULL),
                            cases[i].want);
}

static const struct {
    const char *source, *want;
} errors[] = {
    {"_score * foo bar + 1", "invalid sequence of tokens near ['bar']."},
    {"foo + 1", "cannot resolve symbol [foo]"},
    {"int x = 'a'", "Cannot cast from [java.lang.String] to [int]."},
    {"int x = 5L", "Cannot cast from [long] to [int]."},
    {"'a' * 2", "Cannot apply [*] operation to types [java.lang.String] and [int]."},
    {"String s = 'a'; s.foo()", "member method [java.lang.String, foo/0] not found"},
    {"Math.foo(1)", "static method [java.lang.Math, foo/1] not found"},
    {"new Foo()", "cannot resolve type [Foo]"},
    {"def x = 1; def x = 2", "Variable [x] is already defined."},
    {"params = 1", "Variable [params] is read-only."},
    {"int x = 1; [1].forEach(y -> x = y)", "Variable [x] is read-only."},
    {"break", "Break statement outside of a loop"},
    {"for (;;", "unexpected end of script."},
    {"99999999999", "Invalid int constant [99999999999]. If you want a long constant then change "
                    "it to the same with the suffix L."},
    {"String.format('%d', 1)", "static method [java.lang.String, format/2] not found"},
    {"System.exit(1)", "static method [java.lang.System, exit/1] not found"},
    {"while (true) {}", "no paths escape from while loop"},
    {"Processors.bytes('1')", "cannot resolve symbol [Processors]"},
    {"int i = 0; while (true) { i++ }",
     "The maximum number of statements that can be executed in a loop has been "
     "reached."},
    {"int f(int x) { return f(x + 1) } f(0)", "the calls of the script nest too deep "
                                              "(stack_overflow_error)"},
    {"def l = []; while (true) { l.add('x' + l.size()) }", "The maximum number of statements that "
                                                           "can be executed in a loop has been "
                                                           "reached."},
    {"def s = 'xxxxxxxx'; while (true) { s = s + s }", "the script used more memory than it may"},
    {"def x = 'a'; x.foo()", "dynamic method [java.lang.String, foo/0] not found"},
    {"doc['zzz'].value", "No field found for [zzz] in mapping"},
    {"doc['none'].value", "A document doesn't have a value for a field! Use "
                          "doc[<field>].size()==0 to check if a document is missing a field!"},
    {"Integer.parseInt('x')", "For input string: \"x\""},
    {"[1, 2][5]", "Index 5 out of bounds for length 2"},
    {"def x = 'a'; int y = x", "Cannot cast from [java.lang.String] to [int]."},
    /* inside of one function of the library */
    {"def a = [], b = []; for (int i = 0; i < 40; i++) { a = [a, a]; b = [b, b] } a == b",
     "The maximum number of statements"},
    {"def a = [], b = []; for (int i = 0; i < 40; i++) { a = [a, a]; b = [b, b] } [a].indexOf(b)",
     "The maximum number of statements"},
    {"def s = 'x'.repeat(1000000); for (int i = 0; i < 100000; i++) { s.replace('x', '') }",
     "The maximum number of statements"},
    {"def s = 'x'.repeat(1000000); for (int i = 0; i < 100000; i++) { s.length() }",
     "The maximum number of statements"},
    {"'x'.repeat(1000000).lastIndexOf('x'.repeat(500000) + 'y')",
     "The maximum number of statements"},
    {"def s = 'x'.repeat(1000000), t = 'x'.repeat(1000000); int n = 0; for (int i = 0; i < 100000; "
     "i++) { if (s === t) n++ } n",
     "The maximum number of statements"},
    {"def m = [:]; for (int i = 0; i < 40000; i++) m[i] = i; m.values().removeIf(x -> true); 1",
     "The maximum number of statements"},
    {"def m = [:], k = []; for (int i = 0; i < 60000; i++) k.add(i); m[k] = 1; def l = new "
     "ArrayList(k); for (int i = 0; i < 100000; i++) m.containsKey(l)",
     "The maximum number of statements"},
    {"def m = [:], k = 'x'.repeat(4000000); for (int i = 0; i < 100000; i++) m.get(k)",
     "The maximum number of statements"},
    {"def m = [:], p = []; for (int i = 0; i < 64; i++) p.add(0); for (int i = 0; i < 100000; i++) "
     "{ def k = new ArrayList(p); k.add(i); m[k] = i }",
     "The maximum number of statements"},
    {"'ab'.repeat(4611686018427387904L)", "the script used more memory than it may"},
    {"[1, 2].removeAll(5)", "Cannot cast from [java.lang.Integer] to [java.util.Collection]."},
    {"[1, 2].retainAll(doc['n'])", "to [java.util.Collection]."},
    {"def m = [:]; m.a = m; m", "Iterable object is self-referencing itself"},
};

static void test_errors(void **state)
{
    (void)state;
    for (size_t i = 0; i < QD_COUNT_OF(errors); i++) {
        const char *got = run_in(QD_SCRIPT_AGGS, errors[i].source, "{}", NULL);
        if (!strstr(got, errors[i].want) || got[0] != '!')
            print_error("%s\n  gave %s\n", errors[i].source, got);
        assert_non_null(strstr(got, errors[i].want));
        assert_int_equal(got[0], '!');
    }
}

static void test_update(void **state)
{
    (void)state;
    assert_string_equal(run_in(QD_SCRIPT_UPDATE,
                               "ctx._source.n += params.by; ctx._source.tags.add('x')",
                               "{\"by\":4}", "{\"_source\":{\"n\":1,\"tags\":[]}}"),
                        "{\"_source\":{\"n\":5,\"tags\":[\"x\"]}}");
    assert_string_equal(run_in(QD_SCRIPT_UPDATE,
                               "ctx._source.remove('a'); ctx.op = ctx._source.isEmpty() ? 'delete' "
                               ": 'none'",
                               NULL, "{\"_source\":{\"a\":12345678901234567890123}}"),
                        "{\"_source\":{},\"op\":\"delete\"}");
    assert_string_equal(run_in(QD_SCRIPT_UPDATE, "ctx._source.b = ctx._source.a", NULL,
                               "{\"_source\":{\"a\":12345678901234567890123,\"d\":1.5E300}}"),
                        "{\"_source\":{\"a\":12345678901234567890123,\"d\":1.5E300,\"b\":"
                        "12345678901234567890123}}");
}

static void test_shape(void **state)
{
    (void)state;
    qd_err e;
    qd_script *s;
    qd_err_init(&e);
    assert_int_equal(qd_script_compile(QD_STR("painless"),
                                       QD_STR("_score * foo bar + doc['myParent.weight'].value"),
                                       QD_SCRIPT_SCORE, &s, &e),
                     QD_E_ARG);
    assert_string_equal(qd_err_es_type(&e), "script_exception");
    assert_string_equal(qd_err_reason(&e), "compile error");
    assert_string_equal(e.details[0].value, "[\"_score * foo bar + doc['myParent.weigh ...\",\""
                                            "             ^---- HERE\"]");
    assert_string_equal(e.details[3].value, "{\"offset\":13,\"start\":0,\"end\":38}");
    qd_err_fini(&e);
    assert_int_equal(qd_script_compile(QD_STR("groovy"), QD_STR("1"), QD_SCRIPT_SCORE, &s, &e),
                     QD_E_ARG);
    assert_string_equal(qd_err_reason(&e), "script_lang not supported [groovy]");
    qd_err_fini(&e);
    qd_script_cache_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_update),
        cmocka_unit_test(test_shape),
    };
    return unit_run(tests);
}
