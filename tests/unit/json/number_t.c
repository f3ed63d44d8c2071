/* number_t.c: conversions against the C library on many random numbers, and Java's layout. */
#include "base/str.h"
#include "unit/unit.h"
#include "json/number.h"
#include <math.h>

static uint64_t seed = 0x9E3779B97F4A7C15u;

static uint64_t next(void)
{
    uint64_t z = (seed += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static double bits_f64(uint64_t b)
{
    double v;
    memcpy(&v, &b, sizeof v);
    return v;
}

static float bits_f32(uint32_t b)
{
    float v;
    memcpy(&v, &b, sizeof v);
    return v;
}

static bool same_f64(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}
static bool same_f32(float a, float b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static void expect_f64(const char *text)
{
    double got = 0, want = strtod(text, NULL);
    int rc = qd_f64_parse(qd_str_c(text), &got);
    if (rc != (isinf(want) ? QD_E_LIMIT : 0) || !same_f64(got, want)) {
        fail_msg("%.60s...: %a, want %a (%d)", text, got, want, rc);
    }
    float gotf = 0, wantf = strtof(text, NULL);
    rc = qd_f32_parse(qd_str_c(text), &gotf);
    if (rc != (isinf(wantf) ? QD_E_LIMIT : 0) || !same_f32(gotf, wantf)) {
        fail_msg("%.60s...: float %a, want %a (%d)", text, (double)gotf, (double)wantf, rc);
    }
}

static void reads_the_nearest_double(void **state)
{
    (void)state;
    static const char *hard[] = {
        "0",
        "-0",
        "0.0",
        "1",
        "-1",
        "1e22",
        "1e23",
        "9007199254740993",
        "9007199254740992.5",
        "2.2250738585072011e-308",
        "2.2250738585072012e-308",
        "2.2250738585072014e-308",
        "4.9e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "5e-324",
        "1e-325",
        "1.7976931348623157e308",
        "1.7976931348623158e308",
        "1.7976931348623159e308",
        "1e309",
        "6.631236846766476e-316",
        "8.533e+68",
        "4.1006e-184",
        "9.998e+307",
        "7.3177701707893310e+15",
        "1.00000005960464477539062499",
        "1.000000059604644775390625",
        "1.00000005960464477539062501",
        "3.4028235677973366e38",
        "3.4028235e38",
        "7.006492321624085e-46",
        "7.006492321624086e-46",
        "1e999999999999999999999",
        "1e-999999999999999999999",
        "0e999999999",
        "123456789012345678901234567890",
        "0.000000000000000000000000000000000000000000000000000000000000000000000000000000000001e83",
        "2."
        "225073858507201383090232717332404064219215980462331830553327416887204434813918195854283159"
        "012511020564067339731035811005152434161553460108856012385377718821130777993532002330479610"
        "147442583636071921565046942503734208375250806650616658158948720491179968591639648500635908"
        "770118304874799780887753749949451580451605050915399856582470818645113537935804992115981085"
        "766051992433352114352390148795699609591288891602992641511063466313393663477586513029371762"
        "047325631781485664350872122828637642044846811407613911477062801689853244110024161447421618"
        "567166150540154285084716752901903161322778896729707373123334086988983175067838846926092773"
        "977972858659654941091369095406136467568702398678315290680984617210924625396728515625000000"
        "00000000001",
    };
    for (size_t i = 0; i < sizeof hard / sizeof *hard; i++) expect_f64(hard[i]);
    print_message("seed %llx\n", (unsigned long long)seed);
    char text[1200];
    for (int i = 0; i < (int)unit_rounds(300000); i++) {
        double v = bits_f64(next());
        if (!isfinite(v)) continue;
        snprintf(text, sizeof text, "%.*e", (int)(next() % 25), v);
        expect_f64(text);
        snprintf(text, sizeof text, "%.*e", (int)(next() % 12), (double)bits_f32((uint32_t)next()));
        if (text[0] != 'n' && text[0] != 'i' && text[1] != 'n' && text[1] != 'i') expect_f64(text);
        snprintf(text, sizeof text, "%llue%d", (unsigned long long)(next() >> (next() % 64)),
                 (int)(next() % 60) - 30);
        expect_f64(text);
    }
}

/* Exactly half way between two neighbours, and a digit far behind on either side. */
static void ties_and_their_neighbours(void **state)
{
    (void)state;
    char text[1400];
    for (int i = 0; i < (int)unit_rounds(3000); i++) {
        uint64_t b = next() & 0x7FFFFFFFFFFFFFFFu;
        double v = bits_f64(b);
        if (!isfinite(v) || v == 0) continue;
        long double half = ((long double)v + (long double)bits_f64(b + 1)) / 2;
        if (!isfinite((double)half)) continue;
        int n = snprintf(text, sizeof text, "%.1100Le", half);
        assert_true(n > 0 && n < (int)sizeof text);
        expect_f64(text);
        char *e = strchr(text, 'e');
        e[-1] = '1';
        expect_f64(text);
    }
    for (int i = 0; i < (int)unit_rounds(20000); i++) {
        uint32_t b = (uint32_t)next() & 0x7FFFFFFF;
        float v = bits_f32(b);
        if (!isfinite(v) || !isfinite(bits_f32(b + 1))) continue;
        double half = ((double)v + (double)bits_f32(b + 1)) / 2;
        snprintf(text, sizeof text, "%.200e", half);
        expect_f64(text);
    }
}

static void many_digits(void **state)
{
    (void)state;
    char text[3000];
    for (int i = 0; i < 2000; i++) {
        int n = 1 + (int)(next() % 1500), at = 0;
        text[at++] = (char)('1' + next() % 9);
        int point = (int)(next() % (uint64_t)n);
        for (int k = 1; k < n; k++) {
            if (k == point) text[at++] = '.';
            text[at++] = (char)('0' + next() % 10);
        }
        snprintf(text + at, sizeof text - (size_t)at, "e%d",
                 (int)(next() % 700) - 350 - (int)(next() % 2) * point);
        expect_f64(text);
    }
}

static void refuses_what_is_no_number(void **state)
{
    (void)state;
    static const char *bad[] = {"",    "-",    "+1",    ".5",  "1.",  "01",       "1e",
                                "1e+", "1 ",   " 1",    "0x1", "NaN", "Infinity", "1f",
                                "--1", "1..2", "1e5.0", "-01", "1_0"};
    double v;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(qd_f64_parse(qd_str_c(bad[i]), &v), QD_E_ARG);
    }
    static const char *java[] = {"+1", ".5", "1.", "01", " 1 ", "1f", "1e5D", "NaN", "-Infinity"};
    for (size_t i = 0; i < sizeof java / sizeof *java; i++) {
        assert_int_equal(qd_f64_parse_java(qd_str_c(java[i]), &v), 0);
    }
    assert_true(isinf(v) && v < 0);
    assert_int_equal(qd_f64_parse_java(QD_STR("f"), &v), QD_E_ARG);
    assert_int_equal(qd_f64_parse_java(QD_STR("."), &v), QD_E_ARG);
}

/* Digits and exponent of the shortest decimal, by trying all precisions of printf. */
static void shortest_of_libc(double v, bool single, char *digits, int *point)
{
    char text[64];
    for (int p = 2; p <= 17; p++) {
        snprintf(text, sizeof text, "%.*e", p - 1, v);
        if (single ? strtof(text, NULL) == (float)v : strtod(text, NULL) == v) break;
    }
    int n = 0;
    char *s = text + (text[0] == '-');
    for (; *s != 'e'; s++) {
        if (*s != '.') digits[n++] = *s;
    }
    while (n > 1 && digits[n - 1] == '0') n--;
    digits[n] = 0;
    *point = (int)strtol(s + 1, NULL, 10);
}

static void java_layout(double v, bool single, char *out)
{
    char d[32];
    int e, o = 0;
    shortest_of_libc(v, single, d, &e);
    int n = (int)strlen(d);
    if (signbit(v)) out[o++] = '-';
    if (e >= 0 && e < 7) {
        for (int i = 0; i <= e; i++) out[o++] = i < n ? d[i] : '0';
        out[o++] = '.';
        if (n <= e + 1) out[o++] = '0';
        for (int i = e + 1; i < n; i++) out[o++] = d[i];
        out[o] = 0;
    } else if (e < 0 && e >= -3) {
        o += snprintf(out + o, 40, "0.%.*s%s", -e - 1, "00", d);
    } else {
        snprintf(out + o, 60, "%c.%sE%d", d[0], n > 1 ? d + 1 : "0", e);
    }
}

static void prints_the_shortest_as_java(void **state)
{
    (void)state;
    static const struct {
        double v;
        const char *text;
    } known[] = {{0, "0.0"},
                 {-0.0, "-0.0"},
                 {1, "1.0"},
                 {-1.5, "-1.5"},
                 {1e10, "1.0E10"},
                 {123456.0, "123456.0"},
                 {9999999, "9999999.0"},
                 {1e7, "1.0E7"},
                 {0.001, "0.001"},
                 {0.00099, "9.9E-4"},
                 {1e-3, "0.001"},
                 {4.9e-324, "4.9E-324"},
                 {2e-323, "2.0E-323"},
                 {1.7976931348623157e308, "1.7976931348623157E308"},
                 {2e23, "2.0E23"},
                 {1e23, "1.0E23"},
                 {8.41e21, "8.41E21"},
                 {2.2250738585072014e-308, "2.2250738585072014E-308"},
                 {0.1, "0.1"},
                 {0.3, "0.3"},
                 {100, "100.0"},
                 {1.1, "1.1"},
                 {9.007199254740993e15, "9.007199254740992E15"},
                 {(double)NAN, "NaN"},
                 {HUGE_VAL, "Infinity"},
                 {-HUGE_VAL, "-Infinity"},
                 {5.684341886080802e-14, "5.684341886080802E-14"}};
    char out[QD_F64_TEXT_MAX], want[80];
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        size_t n = qd_f64_print(out, known[i].v);
        assert_string_equal(out, known[i].text);
        assert_int_equal(n, strlen(out));
    }
    assert_int_equal(qd_f32_print(out, 1.1f), 3);
    assert_string_equal(out, "1.1");
    qd_f32_print(out, 3.4028235e38f);
    assert_string_equal(out, "3.4028235E38");
    qd_f32_print(out, 1.4e-45f);
    assert_string_equal(out, "1.4E-45");
    qd_f32_print(out, 16777216.0f);
    assert_string_equal(out, "1.6777216E7");
    for (int i = 0; i < 60000; i++) {
        uint64_t b = next();
        if (i % 3 == 1) {
            double whole = (double)(int64_t)(next() >> (next() % 64)) / (double)(1 + next() % 1000);
            memcpy(&b, &whole, sizeof b);
        }
        double v = bits_f64(b);
        if (isfinite(v) && v != 0 && (b << 12) != 0) { /* powers of two: an uneven gap */
            qd_f64_print(out, v);
            java_layout(v, false, want);
            assert_string_equal(out, want);
        }
        float f = bits_f32((uint32_t)(b >> 32));
        if (isfinite(f) && f != 0 && ((b >> 32) << 41) != 0) {
            qd_f32_print(out, f);
            java_layout((double)f, true, want);
            assert_string_equal(out, want);
        }
    }
}

static void what_is_printed_reads_back(void **state)
{
    (void)state;
    char out[QD_F64_TEXT_MAX];
    for (int i = 0; i < 500000; i++) {
        uint64_t b = i < 2100 ? (uint64_t)i << 52 : next();
        double v = bits_f64(b), back;
        if (isfinite(v)) {
            size_t n = qd_f64_print(out, v);
            assert_true(n < QD_F64_TEXT_MAX);
            assert_int_equal(qd_f64_parse((qd_str){out, n}, &back), 0);
            if (!same_f64(v, back)) fail_msg("%s is not %a", out, v);
        }
        float f = bits_f32((uint32_t)b), fback;
        if (isfinite(f)) {
            size_t n = qd_f32_print(out, f);
            assert_int_equal(qd_f32_parse((qd_str){out, n}, &fback), 0);
            if (!same_f32(f, fback)) fail_msg("%s is not %a", out, (double)f);
        }
    }
}

static void integers_know_their_range(void **state)
{
    (void)state;
    int64_t v;
    uint64_t u;
    assert_int_equal(qd_i64_parse(QD_STR("9223372036854775807"), &v), 0);
    assert_true(v == INT64_MAX);
    assert_int_equal(qd_i64_parse(QD_STR("-9223372036854775808"), &v), 0);
    assert_true(v == INT64_MIN);
    assert_int_equal(qd_i64_parse(QD_STR("9223372036854775808"), &v), QD_E_LIMIT);
    assert_int_equal(qd_i64_parse(QD_STR("99999999999999999999999"), &v), QD_E_LIMIT);
    assert_int_equal(qd_i64_parse(QD_STR("9999999999999999999999x"), &v), QD_E_ARG);
    assert_int_equal(qd_i64_parse(QD_STR("00000000000000000000000000012"), &v), 0);
    assert_true(v == 12);
    assert_int_equal(qd_i64_parse(QD_STR("1.0"), &v), QD_E_ARG);
    assert_int_equal(qd_i64_parse(QD_STR(""), &v), QD_E_ARG);
    assert_int_equal(qd_u64_parse(QD_STR("18446744073709551615"), &u), 0);
    assert_true(u == UINT64_MAX);
    assert_int_equal(qd_u64_parse(QD_STR("18446744073709551616"), &u), QD_E_LIMIT);
    char text[QD_I64_TEXT_MAX], want[32];
    for (int i = 0; i < 100000; i++) {
        uint64_t x = next() >> (next() % 64);
        qd_u64_print(text, x);
        snprintf(want, sizeof want, "%llu", (unsigned long long)x);
        assert_string_equal(text, want);
        qd_i64_print(text, (int64_t)x);
        snprintf(want, sizeof want, "%lld", (long long)x);
        assert_string_equal(text, want);
        assert_int_equal(qd_i64_parse(qd_str_c(want), &v), 0);
        assert_true(v == (int64_t)x);
    }
    qd_i64_print(text, INT64_MIN);
    assert_string_equal(text, "-9223372036854775808");
}

static void decimals_cut_to_integers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int rc;
        int64_t v;
        bool exact;
    } rows[] = {{"12.9", 0, 12, false},
                {"12.0", 0, 12, true},
                {"-12.9e1", 0, -129, true},
                {"1e3", 0, 1000, true},
                {"1e18", 0, 1000000000000000000, true},
                {"1e19", QD_E_LIMIT, 0, false},
                {"1e400", QD_E_LIMIT, 0, false},
                {"9223372036854775807.5", 0, INT64_MAX, false},
                {"9223372036854775807.0000000000000000", 0, INT64_MAX, true},
                {"9223372036854775808.5", QD_E_LIMIT, 0, false},
                {"-9223372036854775808", 0, INT64_MIN, true},
                {"922337203685477580.7e1", 0, INT64_MAX, true},
                {"9.223372036854775807e18", 0, INT64_MAX, true},
                {"0.9", 0, 0, false},
                {"1e-400", 0, 0, false},
                {"0e999", 0, 0, true},
                {"0.00000000000000000000000000000001e32", 0, 1, true},
                {"123456789012345678901e-2", 0, 1234567890123456789, false},
                {"x", QD_E_ARG, 0, false},
                {"", QD_E_ARG, 0, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t v = 0;
        bool exact = false;
        int rc = qd_i64_parse_decimal(qd_str_c(rows[i].text), &v, &exact);
        if (rc != rows[i].rc || (rc == 0 && (v != rows[i].v || exact != rows[i].exact))) {
            fail_msg("%s: %d %lld %d", rows[i].text, rc, (long long)v, exact);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_nearest_double),
        cmocka_unit_test(ties_and_their_neighbours),
        cmocka_unit_test(many_digits),
        cmocka_unit_test(refuses_what_is_no_number),
        cmocka_unit_test(prints_the_shortest_as_java),
        cmocka_unit_test(what_is_printed_reads_back),
        cmocka_unit_test(integers_know_their_range),
        cmocka_unit_test(decimals_cut_to_integers),
    };
    return unit_run(tests);
}
