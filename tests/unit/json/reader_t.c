/* reader_t.c: the pull parser: grammar, strings, errors with their place, duplicates, depth,
 * documents one after the other. */
#include "base/utf8.h"
#include "unit/unit.h"
#include "json/reader.h"
#include "json/writer.h"

/* The events of a text in one line, or "!" and the error's reason. */
static const char *events(const char *json, size_t n, uint32_t flags, uint32_t depth)
{
    static char line[4096];
    static qd_json_reader r;
    /* an exact copy on the heap, so that reading behind the end is seen by the sanitizer */
    char *copy = malloc(n ? n : 1);
    memcpy(copy, json, n);
    qd_buf b;
    qd_buf_init(&b, NULL, sizeof line - 1);
    r.account = NULL;
    qd_json_reader_init(&r, (qd_str){copy, n}, flags, depth);
    qd_json_event ev;
    while ((ev = qd_json_next(&r)) > 0) {
        static const char names[] = "?{}[]kstTFN";
        if (ev == QD_JSON_KEY)
            (void)qd_buf_printf(&b, "%.*s:", QD_STR_ARG(r.text));
        else if (ev == QD_JSON_STRING)
            (void)qd_buf_printf(&b, "'%.*s' ", QD_STR_ARG(r.text));
        else if (ev == QD_JSON_NUMBER)
            (void)qd_buf_printf(&b, "%.*s%s ", QD_STR_ARG(r.text), r.integer ? "" : "f");
        else if (ev == QD_JSON_TRUE)
            (void)qd_buf_c(&b, "T ");
        else if (ev == QD_JSON_FALSE)
            (void)qd_buf_c(&b, "F ");
        else if (ev == QD_JSON_NULL)
            (void)qd_buf_c(&b, "N ");
        else
            (void)qd_buf_char(&b, names[ev]);
    }
    qd_err e;
    qd_err_init(&e);
    if (ev < 0) {
        assert_int_equal(qd_json_fail(&r, &e), QD_E_XCONTENT);
        assert_int_equal(qd_json_next(&r), QD_JSON_ERROR);
        snprintf(line, sizeof line, "!%s", qd_err_reason(&e));
        char *nl = strstr(line, "\n at [Source");
        if (nl) *nl = 0; /* sound text behind the end has no place */
    } else {
        assert_int_equal(qd_json_next(&r), QD_JSON_EOF);
        snprintf(line, sizeof line, "%.*s", QD_STR_ARG(qd_buf_view(&b)));
    }
    qd_err_fini(&e);
    qd_buf_fini(&b);
    free(copy);
    qd_json_reader_fini(&r);
    return line;
}

static void expect(const char *json, const char *want)
{
    const char *got = events(json, strlen(json), QD_JSON_REQUEST, 0);
    if (strcmp(got, want) != 0) fail_msg("%s\n got %s\nwant %s", json, got, want);
}

static void reads_every_kind_of_value(void **state)
{
    (void)state;
    expect("{\"a\":1,\"b\":[true,false,null,\"x\",{}],\"c\":{\"d\":-1.5e+3}}",
           "{a:1 b:[T F N 'x' {}]c:{d:-1.5e+3f }}");
    expect(" \t\r\n[ 1 , 2 ] \n", "[1 2 ]");
    expect("[]", "[]");
    expect("{}", "{}");
    expect("0", "0 ");
    expect("-0", "-0 ");
    expect("\"\"", "'' ");
    expect("[[[[]]],[]]", "[[[[]]][]]");
    expect("1.0", "1.0f ");
    expect("[1E5]", "[1E5f ]");
    expect("{\"\":\"\"}", "{:'' }");
    expect("{ /* c */ \"a\" : 1 // x\n }", "{a:1 }");
    expect("{\"a\":1,\"A\":2}", "{a:1 A:2 }");
    expect("{\"a\":{\"a\":1},\"b\":[{\"a\":1},{\"a\":2}]}", "{a:{a:1 }b:[{a:1 }{a:2 }]}");
}

static void decodes_escapes(void **state)
{
    (void)state;
    expect("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "'\"\\/\b\f\n\r\t' ");
    expect("\"\\u0041\\u00e9\\u20AC\\ud83d\\ude00\"", "'A\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80' ");
    expect("\"\\ud800x\"", "'\xEF\xBF\xBDx' ");
    expect("\"\\udc00\\ud800\"", "'\xEF\xBF\xBD\xEF\xBF\xBD' ");
    expect("\"\\ud800\\u0041\"", "'\xEF\xBF\xBD"
                                 "A' ");
    expect("{\"a\\n\":1,\"b\":\"c\\td\"}", "{a\n:1 b:'c\td' }");
    expect("\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"", "'\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80' ");
}

/* Strings of all lengths, with an escape or not, at all distances from the end. */
static void strings_of_all_lengths(void **state)
{
    (void)state;
    char json[700], want[700];
    for (int n = 0; n < 300; n++) {
        for (int kind = 0; kind < 4; kind++) {
            int at = 0, w = 0;
            json[at++] = '[';
            json[at++] = '"';
            for (int i = 0; i < n; i++) {
                bool special = kind && i == (kind == 1 ? 0 : kind == 2 ? n / 2 : n - 1);
                if (special) json[at++] = '\\';
                json[at++] = special ? 'n' : (char)('a' + i % 26);
                want[w++] = special ? '\n' : (char)('a' + i % 26);
            }
            json[at++] = '"';
            json[at++] = ',';
            json[at++] = '1';
            json[at++] = ']';
            char *copy = malloc((size_t)at);
            memcpy(copy, json, (size_t)at);
            qd_json_reader r = QD_JSON_READER(NULL);
            qd_json_reader_init(&r, (qd_str){copy, (size_t)at}, 0, 0);
            assert_int_equal(qd_json_next(&r), QD_JSON_ARRAY);
            assert_int_equal(qd_json_next(&r), QD_JSON_STRING);
            assert_int_equal(r.text.n, w);
            assert_true(w == 0 || memcmp(r.text.p, want, (size_t)w) == 0);
            assert_int_equal(qd_json_next(&r), QD_JSON_NUMBER);
            assert_int_equal(qd_json_next(&r), QD_JSON_ARRAY_END);
            assert_int_equal(qd_json_next(&r), QD_JSON_EOF);
            qd_json_reader_fini(&r);
            free(copy);
        }
    }
}

static void errors_name_place_and_reason(void **state)
{
    (void)state;
#define NON_STANDARD(t)                                                                            \
    "Non-standard token '" t "': enable `JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS` to allow"
#define TOKENS "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
    expect("{x", "![1:2] Unexpected character ('x' (code 120)): was expecting double-quote to "
                 "start field name");
    expect("{\"a\" 1}", "![1:6] Unexpected character ('1' (code 49)): was expecting a colon to "
                        "separate field name and value");
    expect("{\"a\":1 \"b\"", "![1:8] Unexpected character ('\"' (code 34)): was expecting comma to "
                             "separate Object entries");
    expect("[1 2]", "![1:4] Unexpected character ('2' (code 50)): was expecting comma to separate "
                    "Array entries");
    expect("{\"a\":1,}", "![1:8] Unexpected character ('}' (code 125)): was expecting double-quote "
                         "to start field name");
    expect("[1,]", "![1:4] Unexpected character (']' (code 93)): expected a valid value " TOKENS);
    expect("{\"a\":,}",
           "![1:6] Unexpected character (',' (code 44)): expected a valid value " TOKENS);
    expect("{\n  \"a\": tru\n}", "![2:12] Unrecognized token 'tru': was expecting " TOKENS);
    expect("[nul]", "![1:6] Unrecognized token 'nul': was expecting " TOKENS);
    expect("[NaN]", "![1:5] " NON_STANDARD("NaN"));
    expect("[-Infinity]", "![1:11] " NON_STANDARD("-Infinity"));
    expect("[Infinity]", "![1:10] " NON_STANDARD("Infinity"));
    expect("['a']", "![1:2] Unexpected character (''' (code 39)): expected a valid value " TOKENS);
    expect("[01]", "![1:3] Invalid numeric value: Leading zeroes not allowed");
    expect("[1.]", "![1:4] Unexpected character (']' (code 93)) in numeric value: Decimal point "
                   "not followed by a digit");
    expect("[-]", "![1:3] Unexpected character (']' (code 93)) in numeric value: expected digit "
                  "(0-9) to follow minus sign, for valid numeric value");
    expect("[1e]", "![1:4] Unexpected character (']' (code 93)) in numeric value: Exponent "
                   "indicator not followed by a digit");
    expect("[+1]",
           "![1:3] Unexpected character ('+' (code 43)) in numeric value: JSON spec does not allow "
           "numbers to have plus signs: enable "
           "`JsonReadFeature.ALLOW_LEADING_PLUS_SIGN_FOR_NUMBERS` to allow");
    expect("[.5]", "![1:2] Unexpected character ('.' (code 46)): expected a valid value " TOKENS);
    expect("[1a]", "![1:3] Unexpected character ('a' (code 97)): was expecting comma to separate "
                   "Array entries");
    expect("[\"a\nb\"]", "![1:4] Illegal unquoted character ((CTRL-CHAR, code 10)): has to be "
                         "escaped using backslash to be included in string value");
    expect("[\"\\x\"]", "![1:4] Unrecognized character escape 'x' (code 120)");
    expect("[\"\\u12g4\"]", "![1:7] Unexpected character ('g' (code 103)): expected a hex-digit "
                            "for character escape sequence");
    expect(
        "{\"a\":1]",
        "![1:7] Unexpected close marker ']': expected '}' (for Object starting at [Source: "
        "REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: 1])");
    expect("{\"a\":1,\"a\":2}", "![1:11] Duplicate field 'a'");
    expect("{\"a\":1,\"\\u0061\":2}", "![1:16] Duplicate field 'a'");
    expect("{} {}", "!Malformed content, found extra data after parsing: START_OBJECT");
    expect("[1]]",
           "![1:4] Unexpected close marker ']': expected '}' (for root starting at [Source: "
           "REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1])");
    expect("[\"a\xFF\"]", "![1:5] Invalid UTF-8 start byte 0xff");
    expect("[\"a\xC3(\"]", "![1:6] Invalid UTF-8 middle byte 0x28");
    expect("[\x01]", "![1:2] Illegal character ((CTRL-CHAR, code 1)): only regular white space "
                     "(\\r, \\n, \\t) is allowed between tokens");
    assert_string_equal(
        events("[/**/]", 6, 0, 0),
        "![1:2] Unexpected character ('/' (code 47)): maybe a (non-standard) comment? (not "
        "recognized as one since Feature 'ALLOW_COMMENTS' not enabled for parser)");
    assert_string_equal(events("{\"a\":1,\"a\":2}", 13, 0, 0), "{a:1 a:2 }");
}

static void a_cut_input_is_end_of_input(void **state)
{
    (void)state;
    const char *whole = "{\"a\":[1.5e3,\"x\\n\\u00e9\",true,null],\"b\":{\"c\":-12}}";
    for (size_t n = 0; n < strlen(whole); n++) {
        qd_json_reader r = QD_JSON_READER(NULL);
        char *copy = malloc(n ? n : 1);
        memcpy(copy, whole, n);
        qd_json_reader_init(&r, (qd_str){copy, n}, QD_JSON_REQUEST, 0);
        while (qd_json_next(&r) > 0) continue;
        assert_int_equal(r.event, QD_JSON_ERROR);
        qd_err e;
        qd_err_init(&e);
        assert_int_equal(qd_json_fail(&r, &e), QD_E_XCONTENT);
        assert_int_equal(qd_err_status(&e), 400);
        qd_err_fini(&e);
        qd_json_reader_fini(&r);
        free(copy);
    }
    expect("{\"a\":1", "![1:7] Unexpected end-of-input: expected close marker for Object (start "
                       "marker at [Source: REDACTED "
                       "(`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, "
                       "column: 1])");
    expect("{\"a\":", "![1:6] Unexpected end-of-input within/between Object entries");
    expect("{\"a\"", "![1:5] Unexpected end-of-input within/between Object entries");
    expect("[1,", "![1:4] Unexpected end-of-input within/between Array entries");
    expect("{}}", "![1:3] Unexpected close marker '}': expected ']' (for root starting at [Source: "
                  "REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1])");
    expect("{} x", "![1:5] Unrecognized token 'x': was expecting (JSON String, Number, Array, "
                   "Object or token 'null', 'true' or 'false')");
    expect("{\"a\":\"b", "![1:8] Unexpected end-of-input in VALUE_STRING");
    expect("{\"a", "![1:4] Unexpected end-of-input in field name");
}

static void depth_is_limited(void **state)
{
    (void)state;
    char deep[12000];
    memset(deep, '[', 10000);
    const char *got = events(deep, 10000, QD_JSON_REQUEST, 0);
    assert_string_equal(got, "![1:513] Document nesting depth (513) exceeds the maximum allowed "
                             "(512, from `StreamReadConstraints.getMaxNestingDepth()`)");
    memset(deep + 512, ']', 512);
    got = events(deep, 1024, QD_JSON_REQUEST, 0);
    assert_int_equal(got[0], '[');
    got = events("[[[1]]]", 7, 0, 2);
    assert_int_equal(got[0], '!');
}

static uint64_t hash_of(const char *format, unsigned number, unsigned digits)
{
    char text[64];
    int n = snprintf(text, sizeof text, format, (int)digits, number);
    return qd_json_key_hash((qd_str){text, (size_t)n});
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Keys are told apart by their hashes: numbered names of every length have one each. */
static void numbered_keys_have_hashes_of_their_own(void **state)
{
    static const char *const forms[] = {"%0*u", "f%0*u", "fw2%0*u", "field_%0*u",
                                        "a.long.path.of.keys.%0*u"};
    static uint64_t all[5 * (10 + 100 + 1000 + 10000)];
    size_t n = 0;
    (void)state;
    for (size_t f = 0; f < 5; f++)
        for (unsigned digits = 1, end = 10; digits <= 4; digits++, end *= 10)
            for (unsigned i = 0; i < end; i++) all[n++] = hash_of(forms[f], i, digits);
    qsort(all, n, sizeof *all, by_value);
    for (size_t i = 1; i < n; i++) assert_true(all[i] != all[i - 1]);
}

static void duplicates_among_many_keys(void **state)
{
    (void)state;
    qd_buf b;
    for (int n = 1; n < 400; n += n < 40 ? 1 : 37) {
        for (int dup = -1; dup < n; dup += 1 + n / 5) {
            qd_buf_init(&b, NULL, 1 << 20);
            qd_json_writer w;
            qd_json_writer_init(&w, &b, false);
            qd_json_object(&w);
            for (int i = 0; i < n; i++) {
                char key[40];
                snprintf(key, sizeof key, "key%d", i);
                qd_json_key_c(&w, key);
                if (i % 3) {
                    qd_json_int(&w, i);
                    continue;
                }
                qd_json_object(&w); /* inner objects with the same names, large ones too */
                for (int k = 0; k < (i % 2 ? 20 : 3); k++) {
                    snprintf(key, sizeof key, "key%d", k);
                    qd_json_key_c(&w, key);
                    qd_json_int(&w, k);
                }
                qd_json_object_end(&w);
            }
            if (dup >= 0) {
                char key[40];
                snprintf(key, sizeof key, "key%d", dup);
                qd_json_key_c(&w, key);
                qd_json_null(&w);
            }
            qd_json_object_end(&w);
            qd_json_reader r = QD_JSON_READER(NULL);
            for (int round = 0; round < 2; round++) {
                qd_json_reader_init(&r, qd_buf_view(&b), QD_JSON_STRICT_KEYS, 0);
                while (qd_json_next(&r) > 0) continue;
                assert_int_equal(r.event, dup >= 0 ? QD_JSON_ERROR : QD_JSON_EOF);
            }
            qd_json_reader_fini(&r);
            qd_buf_fini(&b);
        }
    }
}

static void skips_and_captures(void **state)
{
    (void)state;
    const char *json = "{\"a\": {\"x\": [1, {\"y\":\"]\"}]} ,\"b\" :  [1, 2] ,\"c\":\"d\"}";
    qd_json_reader r = QD_JSON_READER(NULL);
    qd_str raw;
    qd_json_reader_init(&r, qd_str_c(json), QD_JSON_STRICT_KEYS, 0);
    assert_int_equal(qd_json_next(&r), QD_JSON_OBJECT);
    assert_int_equal(qd_json_next(&r), QD_JSON_KEY);
    assert_int_equal(qd_json_raw(&r, &raw), 0);
    assert_true(qd_str_is(raw, "{\"x\": [1, {\"y\":\"]\"}]}"));
    assert_int_equal(qd_json_next(&r), QD_JSON_KEY);
    assert_true(qd_str_is(r.text, "b"));
    assert_int_equal(qd_json_skip(&r), 0);
    assert_int_equal(qd_json_next(&r), QD_JSON_KEY);
    assert_int_equal(qd_json_next(&r), QD_JSON_STRING);
    assert_int_equal(qd_json_raw(&r, &raw), 0);
    assert_true(qd_str_is(raw, "\"d\""));
    assert_int_equal(qd_json_next(&r), QD_JSON_OBJECT_END);
    assert_int_equal(qd_json_next(&r), QD_JSON_EOF);

    qd_json_reader_init(&r, QD_STR("{\"a\":1}\n{\"b\":2}"), QD_JSON_ONE_VALUE, 0);
    while (qd_json_next(&r) > 0) continue;
    assert_int_equal(r.event, QD_JSON_EOF);
    assert_int_equal(qd_json_used(&r), 7);
    qd_json_reader_init(&r, QD_STR("{\"a\":[1,{\"b\":tru}]}"), 0, 0);
    (void)qd_json_next(&r);
    (void)qd_json_next(&r);
    assert_int_equal(qd_json_skip(&r), QD_E_XCONTENT);
    qd_json_reader_fini(&r);
}

static void decoded_strings_live_through_the_document(void **state)
{
    (void)state;
    qd_buf b;
    qd_buf_init(&b, NULL, 8 << 20);
    (void)qd_buf_char(&b, '[');
    for (int i = 0; i < 20000; i++) (void)qd_buf_printf(&b, "%s\"value\\n%d\"", i ? "," : "", i);
    (void)qd_buf_char(&b, ']');
    qd_str *seen = malloc(20000 * sizeof *seen);
    qd_json_reader r = QD_JSON_READER(NULL);
    for (int round = 0; round < 2; round++) {
        qd_json_reader_init(&r, qd_buf_view(&b), 0, 0);
        int n = 0;
        qd_json_event ev;
        while ((ev = qd_json_next(&r)) > 0) {
            if (ev == QD_JSON_STRING) seen[n++] = r.text;
        }
        assert_int_equal(n, 20000);
        for (int i = 0; i < n; i++) {
            char want[32];
            snprintf(want, sizeof want, "value\n%d", i);
            assert_true(qd_str_is(seen[i], want));
        }
    }
    qd_json_reader_fini(&r);
    free(seen);
    qd_buf_fini(&b);
}

static void numbers_have_ranges(void **state)
{
    (void)state;
    qd_json_reader r = QD_JSON_READER(NULL);
    int64_t i;
    uint64_t u;
    double d;
    qd_json_reader_init(&r, QD_STR("[9223372036854775807,9223372036854775808,1.0,1e400,-0,-5]"), 0,
                        0);
    (void)qd_json_next(&r);
    (void)qd_json_next(&r);
    assert_int_equal(qd_json_i64(&r, &i), 0);
    assert_true(i == INT64_MAX);
    (void)qd_json_next(&r);
    assert_int_equal(qd_json_i64(&r, &i), QD_E_LIMIT);
    assert_int_equal(qd_json_u64(&r, &u), 0);
    (void)qd_json_next(&r);
    assert_int_equal(qd_json_i64(&r, &i), QD_E_ARG);
    assert_int_equal(qd_json_f64(&r, &d), 0);
    (void)qd_json_next(&r);
    assert_int_equal(qd_json_f64(&r, &d), QD_E_LIMIT);
    (void)qd_json_next(&r);
    assert_int_equal(qd_json_u64(&r, &u), 0);
    (void)qd_json_next(&r);
    assert_int_equal(qd_json_u64(&r, &u), QD_E_LIMIT);
    qd_json_reader_fini(&r);
}

/* The vector check of UTF-8 agrees with the scalar one, through the parser. */
static void invalid_utf8_is_always_found(void **state)
{
    (void)state;
    uint64_t seed = 12345;
    int bad = 0;
    for (int i = 0; i < 100000; i++) {
        char s[96];
        size_t n = 0;
        s[n++] = '"';
        while (n < 80) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            unsigned kind = (unsigned)(seed >> 33) % 24;
            uint32_t cp = (uint32_t)(seed >> 40);
            if (kind < 18)
                s[n++] = (char)('a' + cp % 26);
            else if (kind < 23)
                n += qd_utf8_put(s + n, 0x80 + cp % 0x10FF7F);
            else if (cp % 8 == 0)
                s[n++] = (char)(0x80 | (cp >> 3));
        }
        s[n++] = '"';
        bool valid = qd_utf8_valid((qd_str){s, n}, NULL);
        qd_json_reader r = QD_JSON_READER(NULL);
        qd_json_reader_init(&r, (qd_str){s, n}, 0, 0);
        assert_int_equal(qd_json_next(&r), valid ? QD_JSON_STRING : QD_JSON_ERROR);
        bad += !valid;
        qd_json_reader_fini(&r);
    }
    assert_true(bad > 1000 && bad < 99000);
}

/* --- documents of a stream --- */

static uint64_t chance = 2026;

static unsigned upto(unsigned n)
{
    chance = chance * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(chance >> 33) % n;
}

static void one_of(qd_buf *b, const char *const *texts, unsigned n)
{
    (void)qd_buf_c(b, texts[upto(n)]);
}

static void space(qd_buf *b)
{
    static const char *const spaces[] = {"", "", "", "", " ", " ", "  ", "\n", "\t ", "/**/"};
    one_of(b, spaces, QD_COUNT_OF(spaces));
}

/* A key by number; half of the first ones are spelled in two ways. */
static void stream_key(qd_buf *b, unsigned id)
{
    static const char *const spelled[][2] = {
        {"a", "\\u0061"},
        {"", ""},
        {"na\\\"me", "n\\u0061\\\"me"},
        {"gr\u00f6\u00dfe", "gr\\u00f6\u00dfe"},
        {"@timestamp", "@timest\\u0061mp"},
        {"thirty_bytes_long_is_this_name", "thirty_bytes_long_is_this_n\\u0061me"},
        {"thirty1_bytes_long_is_this_name", "thirty1_bytes_long_is_this_n\\u0061me"},
        {"thirty_2_bytes_long_is_this_name", "thirty_2_bytes_long_is_this_n\\u0061me"},
        {"a longer name than any that is kept is found by its hash",
         "a longer name than any that "
         "is kept is found by its h\\u0061sh"},
    };
    (void)qd_buf_char(b, '"');
    if (id < QD_COUNT_OF(spelled))
        (void)qd_buf_c(b, spelled[id][upto(6) == 0]);
    else
        (void)qd_buf_printf(b, "k%x", id);
    (void)qd_buf_char(b, '"');
}

static void stream_scalar(qd_buf *b)
{
    static const char *const scalars[] = {"0",
                                          "-0",
                                          "7",
                                          "-12",
                                          "1735694805388",
                                          "1234567890123456",
                                          "12345678901234567",
                                          "3.25",
                                          "-0.5",
                                          "123456.7890123456",
                                          "1e5",
                                          "2.5E-3",
                                          "true",
                                          "false",
                                          "null"};
    static const char *const pieces[] = {"",
                                         "word ",
                                         "fourteen bytes",
                                         "fifteen bytes..",
                                         "\\n",
                                         "sixteen bytes...",
                                         "\\u00e9",
                                         "\\ud83d\\ude00",
                                         "\\\"",
                                         "\u00e9",
                                         "\u641c\u7d22\u5f15\u64ce",
                                         "\\ud800",
                                         "/"};
    if (upto(2)) {
        one_of(b, scalars, QD_COUNT_OF(scalars));
        return;
    }
    (void)qd_buf_char(b, '"');
    for (unsigned n = upto(3) ? upto(3) : upto(40); n; n--) one_of(b, pieces, QD_COUNT_OF(pieces));
    (void)qd_buf_char(b, '"');
}

/* An object of some of nkeys keys, mostly in order; true: it has one twice, or one within has. */
static bool stream_object(qd_buf *b, unsigned nkeys, unsigned depth)
{
    bool seen[600] = {false}, twice = false, first = true;
    (void)qd_buf_char(b, '{');
    space(b);
    for (unsigned i = 0; i < nkeys; i++) {
        if (upto(8) == 0) continue;
        unsigned id = upto(64 + 4 * nkeys) == 0 ? upto(nkeys) : i;
        if (seen[id]) twice = true;
        seen[id] = true;
        if (!first) {
            (void)qd_buf_char(b, ',');
            space(b);
        }
        first = false;
        stream_key(b, id);
        space(b);
        (void)qd_buf_char(b, ':');
        space(b);
        unsigned kind = depth < 3 ? upto(nkeys + 8) : 2;
        if (kind == 0) (void)qd_buf_char(b, '[');
        if (kind < 2)
            twice |= stream_object(b, upto(nkeys), depth + 1);
        else
            stream_scalar(b);
        if (kind == 0) (void)qd_buf_c(b, upto(2) ? "]" : ",[],1]");
        space(b);
    }
    (void)qd_buf_char(b, '}');
    return twice;
}

/* Everything that a reader says of an input, as one number. */
static uint64_t said(qd_json_reader *r, qd_str json, size_t slack)
{
    uint64_t h = 1;
    qd_json_reader_init_slack(r, json, slack, QD_JSON_REQUEST, 0);
    while (qd_json_next(r) > 0) {
        h = h * 31 + (uint64_t)r->event * 1021 + (uint64_t)(r->token - json.p);
        if (r->event >= QD_JSON_KEY && r->event <= QD_JSON_NUMBER) {
            h = h * 31 + qd_json_key_hash(r->text);
        }
        if (r->event == QD_JSON_KEY) assert_true(r->key_hash == qd_json_key_hash(r->text));
        if (r->event == QD_JSON_NUMBER) h += r->integer;
    }
    if (r->event == QD_JSON_EOF) return h;
    return h * 31 + (uint64_t)r->failure * 1021 + (uint64_t)(r->failure_at - json.p);
}

/* A reader that knows the stream's keys, and may look behind the end, says what a new one says. */
static void documents_of_a_stream_are_read_as_alone(void **state)
{
    static const char behind[] =
        "\"\xc3,1\\:]}/* 00\"\xe6\x90\"{\"a\":\"\",\xff[[[[[[]]]]]]      0123456789abcdefghijklm";
    static const unsigned wide[] = {3, 9, 14, 40, 300, 590};
    (void)state;
    unsigned refused = 0;
    for (unsigned w = 0; w < QD_COUNT_OF(wide); w++) {
        qd_json_reader r = QD_JSON_READER(NULL);
        for (unsigned i = 0; i < 20000 / wide[w]; i++) {
            qd_buf b;
            qd_buf_init(&b, NULL, 64 << 20);
            bool twice = stream_object(&b, wide[w], 0), changed = upto(4) == 0;
            assert_int_equal(qd_buf_status(&b), 0);
            size_t n = qd_buf_view(&b).n;
            char *json = malloc(n), *line = malloc(n + 64);
            memcpy(json, qd_buf_view(&b).p, n);
            if (changed) json[upto((unsigned)n)] = (char)upto(256);
            memcpy(line, json, n);
            memcpy(line + n, behind, 64);
            qd_json_reader alone = QD_JSON_READER(NULL);
            uint64_t want = said(&alone, (qd_str){json, n}, 0);
            if (!changed) assert_int_equal(alone.event, twice ? QD_JSON_ERROR : QD_JSON_EOF);
            assert_true(said(&r, (qd_str){line, n}, 64) == want);
            refused += alone.event == QD_JSON_ERROR;
            qd_json_reader_fini(&alone);
            qd_buf_fini(&b);
            free(json);
            free(line);
        }
        qd_json_reader_fini(&r);
    }
    assert_true(refused > 500);
}

/* Keys that come once fill what a reader knows; those of later documents are known nonetheless. */
static void keys_that_no_longer_come_are_forgotten(void **state)
{
    (void)state;
    qd_json_reader r = QD_JSON_READER(NULL);
    for (unsigned i = 0; i < 10000; i++) {
        char json[96];
        int n = snprintf(json, sizeof json, "{\"k%u\":1,\"a\":{\"k%u\":2},\"%s%u\":3}", i, i,
                         i % 100 ? "b" : "k", i);
        qd_json_reader_init(&r, (qd_str){json, (size_t)n}, QD_JSON_STRICT_KEYS, 0);
        while (qd_json_next(&r) > 0) continue;
        assert_int_equal(r.event, i % 100 ? QD_JSON_EOF : QD_JSON_ERROR);
    }
    qd_json_reader_fini(&r);
}

static void out_of_memory_is_an_error(void **state)
{
    (void)state;
    const char *json = "{\"a\":\"x\\ny\",\"b\":{\"c\":\"\\u00e9\"}}";
    for (uint64_t n = 1; n < 50; n++) {
        qd_json_reader r = QD_JSON_READER(NULL);
        qd_json_reader_init(&r, qd_str_c(json), QD_JSON_REQUEST, 0);
        (void)qd_mem_fail_at(n, true);
        while (qd_json_next(&r) > 0) continue;
        (void)qd_mem_fail_at(0, false);
        bool whole = r.event == QD_JSON_EOF;
        if (!whole) assert_int_equal(qd_json_fail(&r, NULL), QD_E_NOMEM);
        if (whole) { /* without room for what it could know of the next one */
            (void)qd_mem_fail_at(1, true);
            qd_json_reader_init(&r, QD_STR("{\"a\":1,\"a\":2}"), QD_JSON_REQUEST, 0);
            while (qd_json_next(&r) > 0) continue;
            (void)qd_mem_fail_at(0, false);
            assert_int_equal(qd_json_fail(&r, NULL), QD_E_XCONTENT);
        }
        qd_json_reader_fini(&r);
        if (whole) return;
    }
    fail();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_kind_of_value),
        cmocka_unit_test(decodes_escapes),
        cmocka_unit_test(strings_of_all_lengths),
        cmocka_unit_test(errors_name_place_and_reason),
        cmocka_unit_test(a_cut_input_is_end_of_input),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(numbered_keys_have_hashes_of_their_own),
        cmocka_unit_test(duplicates_among_many_keys),
        cmocka_unit_test(skips_and_captures),
        cmocka_unit_test(decoded_strings_live_through_the_document),
        cmocka_unit_test(numbers_have_ranges),
        cmocka_unit_test(invalid_utf8_is_always_found),
        cmocka_unit_test(documents_of_a_stream_are_read_as_alone),
        cmocka_unit_test(keys_that_no_longer_come_are_forgotten),
        cmocka_unit_test(out_of_memory_is_an_error),
    };
    return unit_run(tests);
}
