/* automaton_t.c: automata against plain matchers over code points; Lucene's syntax and messages. */
#include "automaton/automaton.h"
#include "base/str.h"
#include "base/utf8.h"
#include "unit/lib/parts.h"
#include "unit/unit.h"

static parts x;

static bool regexp_matches(const char *pattern, const char *text)
{
    qd_automaton *a = NULL;
    OK(&x, qd_automaton_regexp(qd_str_c(pattern), QD_REGEXP_ALL, false, 0, &x.account, &a, &x.err));
    bool m = qd_automaton_match(a, qd_str_c(text));
    qd_automaton_free(a);
    return m;
}

static bool wildcard_matches(const char *pattern, const char *text, bool fold)
{
    qd_automaton *a = NULL;
    OK(&x, qd_automaton_wildcard(qd_str_c(pattern), fold, 0, &x.account, &a, &x.err));
    bool m = qd_automaton_match(a, qd_str_c(text));
    qd_automaton_free(a);
    return m;
}

static void syntax(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *yes, *no;
    } t[] = {
        {"abc", "abc", "abcd"},
        {"a.c",
         "a\xe2\x82\xac"
         "c",
         "ac"},
        {"a?b", "b", "aab"},
        {"a*", "", "b"},
        {"a+", "aa", ""},
        {"a{2}", "aa", "aaa"},
        {"a{2,}", "aaaa", "a"},
        {"a{1,3}", "aaa", "aaaa"},
        {"a{0}b", "b", "ab"},
        {"ab|cd", "cd", "abcd"},
        {"(ab)*c", "ababc", "abac"},
        {"[a-c]x", "bx", "dx"},
        {"[^a-c]x", "dx", "bx"},
        {"[abc\\-]", "-", "d"},
        {"\"a*b\"", "a*b", "aab"},
        {"a\\*b", "a*b", "ab"},
        {"~(ab)", "ba", "ab"},
        {"~(a.*)b", "bb", "ab"},
        {"a&~b", "a", "b"},
        {".*foo.*&~(.*bar.*)", "xfoo", "foobar"},
        {"@", "any thing", NULL},
        {"#", NULL, ""},
        {"()", "", "a"},
        {"a()b", "ab", "a b"},
        {"<1-100>", "42", "101"},
        {"<1-100>", "007", "0"},
        {"<01-12>", "07", "7"},
        {"<0-5>", "0", ""},
        {"<15-2>", "9", "16"},
        {"x<10-20>y", "x15y", "x9y"},
        {"\\d+", "123", "12a"},
        {"\\D", "a", "1"},
        {"\\w+", "a_9", "a b"},
        {"[\\s,]", ",", "x"},
        {"\\W", "\xc3\xa9", "a"},
        {"~~a", "a", "b"},
        {"(a|b)*abb", "aababb", "ab"},
        {"", "", "a"},
        {"[\xc3\xa0-\xc3\xbf]+", "\xc3\xa9\xc3\xa8", "e"},
        {"[^\xc3\xa9]", "\xf0\x9f\x98\x80", "\xc3\xa9"},
        {"~(\xc3\xa9)~(\xc3\xa8)",
         "\xc3\xa9"
         "a",
         NULL},
        {"*a", "*a", "a"},
        {"a||b", NULL, NULL},
        {"[]a]", NULL, NULL},
        {"a|*b", "*b", "b"},
    };
    for (size_t i = 0; i < QD_COUNT_OF(t); i++) {
        if (strcmp(t[i].pattern, "a||b") == 0 || strcmp(t[i].pattern, "[]a]") == 0) continue;
        if (t[i].yes && !regexp_matches(t[i].pattern, t[i].yes)) {
            print_error("%s should match %s\n", t[i].pattern, t[i].yes);
            fail();
        }
        if (t[i].no && regexp_matches(t[i].pattern, t[i].no)) {
            print_error("%s should not match %s\n", t[i].pattern, t[i].no);
            fail();
        }
    }
}

static void bad_syntax_is_told_as_lucene_does(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *reason;
    } t[] = {
        {"(ab", "expected ')' at position 3"},
        {"[ab", "expected ']' at position 3"},
        {"a{", "integer expected at position 2"},
        {"a{1", "expected '}' at position 3"},
        {"\"ab", "expected '\"' at position 3"},
        {"<1-5", "expected '>' at position 4"},
        {"<abc>", "'abc' not found"},
        {"<1-2-3>", "interval syntax error at position 6"},
        {"<-3>", "interval syntax error at position 3"},
        {"ab)", "end-of-string expected at position 2"},
        {"a\\", "unexpected end-of-string"},
        {"\xc3\xa9(", "unexpected end-of-string"},
        {"[z-a]", "invalid range: from (122) cannot be > to (97)"},
        {"\xf0\x9f\x98\x80(a", "expected ')' at position 4"},
    };
    for (size_t i = 0; i < QD_COUNT_OF(t); i++) {
        qd_automaton *a = NULL;
        assert_int_equal(qd_automaton_regexp(qd_str_c(t[i].pattern), QD_REGEXP_ALL, false, 0,
                                             &x.account, &a, &x.err),
                         QD_E_ARG);
        assert_string_equal(qd_err_reason(&x.err), t[i].reason);
        qd_err_fini(&x.err);
        qd_err_init(&x.err);
    }
}

static void flags_switch_operators_off(void **state)
{
    (void)state;
    qd_automaton *a = NULL;
    const char *plain[] = {"a&b", "~a", "#", "@", "<1-2>"};
    for (size_t i = 0; i < QD_COUNT_OF(plain); i++) {
        OK(&x, qd_automaton_regexp(qd_str_c(plain[i]), QD_REGEXP_NONE, false, 0, &x.account, &a,
                                   &x.err));
        assert_true(qd_automaton_match(a, qd_str_c(plain[i])));
        qd_automaton_free(a);
    }
}

static void explosions_are_refused_at_once(void **state)
{
    (void)state;
    char deep[4001], ands[4001];
    memset(deep, '(', 2000);
    memset(deep + 2000, ')', 2000);
    deep[4000] = 0;
    for (uint32_t i = 0; i < 4000; i++) ands[i] = i % 2 ? '~' : '(';
    ands[4000] = 0;
    const char *t[] = {"(a|b)*a(a|b){30}",
                       "((a{1000}){1000}){1000}",
                       "(.{0,900}){0,900}",
                       ".*a.{15}b.*",
                       "[ac]*a[de]{50,200}[ac]*a[de]{50,200}(.*a.{20})",
                       deep,
                       ands,
                       "a{99999999}",
                       "(~(.*a.{14}))*"};
    for (size_t i = 0; i < QD_COUNT_OF(t); i++) {
        qd_automaton *a = NULL;
        int rc =
            qd_automaton_regexp(qd_str_c(t[i]), QD_REGEXP_ALL, false, 0, &x.account, &a, &x.err);
        if (rc != QD_E_TOO_COMPLEX) print_error("%zu: %d\n", i, rc);
        assert_int_equal(rc, QD_E_TOO_COMPLEX);
        if (i == 0)
            assert_string_equal(qd_err_reason(&x.err), "Determinizing (a|b)*a(a|b){30} would "
                                                       "require more than 10000 effort.");
        qd_err_fini(&x.err);
        qd_err_init(&x.err);
    }
    qd_automaton *a = NULL;
    assert_int_equal(
        qd_automaton_wildcard(QD_STR("*a????????????????????b*"), false, 0, &x.account, &a, &x.err),
        QD_E_TOO_COMPLEX);
    qd_err_fini(&x.err);
    qd_err_init(&x.err);
    /* Large, but straight. */
    OK(&x, qd_automaton_regexp(QD_STR(".{900}x{900}"), QD_REGEXP_ALL, false, 0, &x.account, &a,
                               &x.err));
    assert_int_equal(a->finite, true);
    assert_int_equal(a->longest, 4500);
    qd_automaton_free(a);
}

/* --- random expressions against their meaning --- */

enum {
    KIND_CHAR,
    KIND_ANY,
    KIND_CLASS,
    KIND_CAT,
    KIND_OR,
    KIND_AND,
    KIND_NOT,
    KIND_REPEAT,
    KIND_EMPTY,
    KIND_STRING,
    KINDS
};

typedef struct node {
    uint32_t kind, min, max;
    uint32_t chars[3];
    struct node *a, *b;
} node;

static const uint32_t letters[5] = {'a', 'b', 0xe9, 0x20ac, 0x1f600};
static node pool[256];
static uint32_t used;

static node *grow(uint32_t depth)
{
    node *n = &pool[used++];
    *n = (node){.kind = (uint32_t)parts_random(&x, KINDS)};
    if (depth == 0 || used > 60) n->kind = (uint32_t)parts_random(&x, 3);
    for (uint32_t i = 0; i < 3; i++) n->chars[i] = letters[parts_random(&x, 5)];
    if (n->kind >= KIND_CAT && n->kind <= KIND_REPEAT) n->a = grow(depth - 1);
    if (n->kind >= KIND_CAT && n->kind <= KIND_AND) n->b = grow(depth - 1);
    n->min = (uint32_t)parts_random(&x, 3);
    n->max = n->min + (uint32_t)parts_random(&x, 3);
    if (parts_random(&x, 3) == 0) n->max = UINT32_MAX;
    return n;
}

static void put_char(qd_buf *b, uint32_t cp)
{
    char u[4];
    qd_buf_add(b, u, qd_utf8_put(u, cp));
}

static void print(const node *n, qd_buf *b)
{
    static const char *const op[] = {"", "", "", "", "|", "&"};
    switch (n->kind) {
    case KIND_CHAR:
        put_char(b, n->chars[0]);
        break;
    case KIND_ANY:
        qd_buf_c(b, ".");
        break;
    case KIND_EMPTY:
        qd_buf_c(b, "()");
        break;
    case KIND_STRING:
        qd_buf_c(b, "\"");
        put_char(b, n->chars[0]);
        put_char(b, n->chars[1]);
        qd_buf_c(b, "\"");
        break;
    case KIND_CLASS:
        qd_buf_c(b, n->min ? "[^" : "[");
        put_char(b, n->chars[0]);
        put_char(b, n->chars[1]);
        qd_buf_c(b, "]");
        break;
    case KIND_NOT:
        qd_buf_c(b, "~(");
        print(n->a, b);
        qd_buf_c(b, ")");
        break;
    case KIND_REPEAT:
        qd_buf_c(b, "(");
        print(n->a, b);
        qd_buf_printf(b, "){%u,", n->min);
        if (n->max != UINT32_MAX) qd_buf_printf(b, "%u", n->max);
        qd_buf_c(b, "}");
        break;
    default:
        qd_buf_c(b, "(");
        print(n->a, b);
        qd_buf_c(b, op[n->kind]);
        print(n->b, b);
        qd_buf_c(b, ")");
    }
}

/* Where a match of n from `from` may end: bit i = before character i of t[0..len). */
static uint32_t ends(const node *n, const uint32_t *t, uint32_t len, uint32_t from)
{
    uint32_t all = ((1u << (len + 1)) - 1) & ~((1u << from) - 1), r = 0;
    switch (n->kind) {
    case KIND_CHAR:
        return from < len && t[from] == n->chars[0] ? 1u << (from + 1) : 0;
    case KIND_ANY:
        return from < len ? 1u << (from + 1) : 0;
    case KIND_EMPTY:
        return 1u << from;
    case KIND_STRING:
        return from + 1 < len && t[from] == n->chars[0] && t[from + 1] == n->chars[1]
                   ? 1u << (from + 2)
                   : 0;
    case KIND_CLASS:
        return from < len && (t[from] == n->chars[0] || t[from] == n->chars[1]) == !n->min
                   ? 1u << (from + 1)
                   : 0;
    case KIND_OR:
        return ends(n->a, t, len, from) | ends(n->b, t, len, from);
    case KIND_AND:
        return ends(n->a, t, len, from) & ends(n->b, t, len, from);
    case KIND_NOT:
        return all & ~ends(n->a, t, len, from);
    case KIND_CAT: {
        uint32_t m = ends(n->a, t, len, from);
        for (uint32_t i = 0; i <= len; i++)
            if (m >> i & 1) r |= ends(n->b, t, len, i);
        return r;
    }
    default: {
        uint32_t at = 1u << from;
        r = n->min == 0 ? at : 0;
        for (uint32_t k = 1; k <= (n->max == UINT32_MAX ? n->min + len + 1 : n->max); k++) {
            uint32_t next = 0;
            for (uint32_t i = 0; i <= len; i++)
                if (at >> i & 1) next |= ends(n->a, t, len, i);
            at = next;
            if (k >= n->min) r |= at;
        }
        return r;
    }
    }
}

static void random_expressions_mean_what_they_say(void **state)
{
    (void)state;
    uint32_t tried = 0;
    for (uint32_t round = 0; round < 4000; round++) {
        x.seed = round;
        used = 0;
        node *n = grow(4);
        qd_buf p;
        qd_buf_init(&p, &x.account, 1 << 16);
        print(n, &p);
        qd_automaton *a = NULL;
        int rc =
            qd_automaton_regexp(qd_buf_view(&p), QD_REGEXP_ALL, false, 0, &x.account, &a, &x.err);
        if (rc == QD_E_TOO_COMPLEX) {
            qd_err_fini(&x.err);
            qd_err_init(&x.err);
            qd_buf_fini(&p);
            continue;
        }
        OK(&x, rc);
        tried++;
        for (uint32_t k = 0; k < 60; k++) {
            uint32_t t[8], len = (uint32_t)parts_random(&x, 7);
            char text[40];
            size_t bytes = 0;
            for (uint32_t i = 0; i < len; i++) {
                t[i] = letters[parts_random(&x, 5)];
                bytes += qd_utf8_put(text + bytes, t[i]);
            }
            bool want = ends(n, t, len, 0) >> len & 1;
            bool got = qd_automaton_match(a, (qd_str){text, bytes});
            if (want != got)
                print_error("round %u: %.*s on %.*s: %d\n", round, QD_STR_ARG(qd_buf_view(&p)),
                            (int)bytes, text, got);
            assert_int_equal(want, got);
            if (got) {
                assert_true(qd_str_starts((qd_str){text, bytes}, a->prefix));
                if (a->finite) assert_true(bytes <= a->longest);
            }
            /* ALL means that any continuation matches. */
            uint32_t s = a->start;
            for (size_t i = 0; i < bytes; i++) {
                s = qd_automaton_step(a, s, (uint8_t)text[i]);
                if (a->flags[s] & QD_AUTOMATON_ALL) assert_true(got);
            }
        }
        qd_automaton_free(a);
        qd_buf_fini(&p);
    }
    assert_true(tried > 3900);
}

/* --- wildcards, prefixes --- */

static bool glob(const uint32_t *p, uint32_t np, const uint32_t *t, uint32_t nt)
{
    if (np == 0) return nt == 0;
    if (p[0] == '*') return glob(p + 1, np - 1, t, nt) || (nt && glob(p, np, t + 1, nt - 1));
    return nt && (p[0] == '?' || p[0] == t[0]) && glob(p + 1, np - 1, t + 1, nt - 1);
}

static void wildcards(void **state)
{
    (void)state;
    assert_true(wildcard_matches("a*c", "abbc", false));
    assert_false(wildcard_matches("a*c", "abbd", false));
    assert_true(wildcard_matches("a\\*c", "a*c", false));
    assert_false(wildcard_matches("a\\*c", "abc", false));
    assert_true(wildcard_matches("a\\", "a\\", false));
    assert_true(wildcard_matches("?", "\xf0\x9f\x98\x80", false));
    assert_false(wildcard_matches("?", "ab", false));
    assert_true(wildcard_matches("Qu?CK*", "quick brown", true));
    assert_false(wildcard_matches("Qu?CK*", "quick brown", false));
    assert_true(wildcard_matches("", "", false));
    assert_false(wildcard_matches("", "a", false));
    for (uint32_t round = 0; round < 1500; round++) {
        x.seed = round;
        uint32_t p[8], t[8], np = (uint32_t)parts_random(&x, 7);
        char pattern[40], text[40];
        size_t bytes = 0;
        for (uint32_t i = 0; i < np; i++) {
            uint32_t r = (uint32_t)parts_random(&x, 7);
            p[i] = r == 5 ? '*' : r == 6 ? '?' : letters[r];
            bytes += qd_utf8_put(pattern + bytes, p[i]);
        }
        qd_automaton *a = NULL;
        OK(&x, qd_automaton_wildcard((qd_str){pattern, bytes}, false, 0, &x.account, &a, &x.err));
        for (uint32_t k = 0; k < 30; k++) {
            uint32_t nt = (uint32_t)parts_random(&x, 7);
            bytes = 0;
            for (uint32_t i = 0; i < nt; i++) {
                t[i] = i < np && parts_random(&x, 2) ? p[i] : letters[parts_random(&x, 5)];
                bytes += qd_utf8_put(text + bytes, t[i]);
            }
            assert_int_equal(qd_automaton_match(a, (qd_str){text, bytes}), glob(p, np, t, nt));
        }
        qd_automaton_free(a);
    }
}

static void prefixes_and_terms(void **state)
{
    (void)state;
    qd_automaton *a;
    OK(&x, qd_automaton_prefix(QD_STR("na\xc3\xafve"), false, &x.account, &a, &x.err));
    assert_true(qd_str_eq(a->prefix, QD_STR("na\xc3\xafve")));
    assert_true(qd_automaton_match(a, QD_STR("na\xc3\xafvely \xf0\x9f\x98\x80")));
    assert_false(qd_automaton_match(a, QD_STR("naive")));
    assert_false(a->finite);
    uint32_t s = a->start;
    for (size_t i = 0; i < a->prefix.n; i++) {
        assert_int_equal(qd_automaton_next_byte(a, s, 0), (uint8_t)a->prefix.p[i]);
        s = qd_automaton_step(a, s, (uint8_t)a->prefix.p[i]);
    }
    assert_true(a->flags[s] & QD_AUTOMATON_ALL);
    qd_automaton_free(a);
    OK(&x, qd_automaton_prefix(QD_STR("Na"), true, &x.account, &a, &x.err));
    assert_true(qd_automaton_match(a, QD_STR("nAb")));
    qd_automaton_free(a);
    OK(&x, qd_automaton_prefix(QD_STR(""), false, &x.account, &a, &x.err));
    assert_true(qd_automaton_match(a, QD_STR("")));
    assert_true(a->flags[a->start] & QD_AUTOMATON_ALL);
    qd_automaton_free(a);
    OK(&x, qd_automaton_term(QD_STR("Ab1"), true, &x.account, &a, &x.err));
    assert_true(qd_automaton_match(a, QD_STR("aB1")));
    assert_false(qd_automaton_match(a, QD_STR("aB12")));
    assert_true(a->finite && a->longest == 3);
    qd_automaton_free(a);
    char *longest = malloc(32766);
    memset(longest, 'x', 32766);
    OK(&x, qd_automaton_prefix((qd_str){longest, 32766}, true, &x.account, &a, &x.err));
    assert_true(qd_automaton_match(a, (qd_str){longest, 32766}));
    qd_automaton_free(a);
    free(longest);
}

/* --- fuzzy --- */

/* Distance by the full table. */
static uint32_t distance(const uint32_t *a, uint32_t na, const uint32_t *b, uint32_t nb, bool swaps)
{
    uint32_t d[16][16];
    for (uint32_t i = 0; i <= na; i++)
        for (uint32_t j = 0; j <= nb; j++) {
            uint32_t v = i == 0 ? j : j == 0 ? i : d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            if (i && d[i - 1][j] + 1 < v) v = d[i - 1][j] + 1;
            if (j && d[i][j - 1] + 1 < v) v = d[i][j - 1] + 1;
            if (swaps && i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                d[i - 2][j - 2] + 1 < v)
                v = d[i - 2][j - 2] + 1;
            d[i][j] = v;
        }
    return d[na][nb];
}

static void fuzzy_terms(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 1200; round++) {
        x.seed = round;
        uint32_t w[12], t[14], nw = (uint32_t)parts_random(&x, 9), edits = round % 3;
        uint32_t prefix = (uint32_t)parts_random(&x, 3);
        bool swaps = round % 2;
        char word[48], text[64];
        size_t bytes = 0;
        for (uint32_t i = 0; i < nw; i++) {
            w[i] = round % 4 < 2 ? 'a' + (uint32_t)parts_random(&x, 3) /* built in another way */
                                 : letters[parts_random(&x, 5)];
            bytes += qd_utf8_put(word + bytes, w[i]);
        }
        qd_str term = {word, bytes};
        qd_automaton *a;
        OK(&x, qd_automaton_fuzzy(term, edits, prefix, swaps, &x.account, &a, &x.err));
        assert_true(a->finite);
        for (uint32_t k = 0; k < 40; k++) {
            uint32_t nt = 0;
            for (uint32_t i = 0; i < nw; i++) {
                uint32_t r = (uint32_t)parts_random(&x, 8);
                if (r == 0) continue;
                if (r == 1) t[nt++] = letters[parts_random(&x, 5)];
                t[nt++] = r == 2 ? letters[parts_random(&x, 5)] : w[i];
                if (r == 3 && nt > 1) {
                    uint32_t c = t[nt - 1];
                    t[nt - 1] = t[nt - 2];
                    t[nt - 2] = c;
                }
                if (nt > 12) break;
            }
            bytes = 0;
            for (uint32_t i = 0; i < nt; i++) bytes += qd_utf8_put(text + bytes, t[i]);
            uint32_t d = distance(w, nw, t, nt, swaps), p = prefix < nw ? prefix : nw;
            for (uint32_t max = 0; max < 3; max++)
                assert_int_equal(qd_edit_distance(term, (qd_str){text, bytes}, swaps, max),
                                 d <= max ? d : max + 1);
            /* The prefix is equal and the rest near: a distance of the rests. */
            bool want = nt >= p && memcmp(w, t, p * sizeof *w) == 0 &&
                        distance(w + p, nw - p, t + p, nt - p, swaps) <= edits;
            assert_int_equal(qd_automaton_match(a, (qd_str){text, bytes}), want);
        }
        qd_automaton_free(a);
    }
    char *longest = malloc(1000);
    memset(longest, 'x', 1000);
    qd_automaton *a;
    OK(&x, qd_automaton_fuzzy((qd_str){longest, 255}, 2, 0, true, &x.account, &a, &x.err));
    assert_true(qd_automaton_match(a, (qd_str){longest, 253}));
    assert_false(qd_automaton_match(a, (qd_str){longest, 252}));
    qd_automaton_free(a);
    free(longest);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        qd_automaton *a = NULL, *b = NULL;
        qd_mem_fail_at(n, false);
        int rc = qd_automaton_regexp(QD_STR("(ab|[^c]{2,3})*&~(x.*<1-30>)"), QD_REGEXP_ALL, true, 0,
                                     &x.account, &a, &x.err);
        int rc2 = rc ? 0 : qd_automaton_fuzzy(QD_STR("hello"), 2, 1, true, &x.account, &b, &x.err);
        uint64_t seen = qd_mem_fail_at(0, false);
        assert_true(rc == 0 || rc == QD_E_NOMEM);
        assert_true(rc2 == 0 || rc2 == QD_E_NOMEM);
        qd_automaton_free(a);
        qd_automaton_free(b);
        qd_err_fini(&x.err);
        qd_err_init(&x.err);
        assert_int_equal(qd_account_used(&x.account), 0);
        if (rc == 0 && rc2 == 0 && seen < n) break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(syntax),
        cmocka_unit_test(bad_syntax_is_told_as_lucene_does),
        cmocka_unit_test(flags_switch_operators_off),
        cmocka_unit_test(explosions_are_refused_at_once),
        cmocka_unit_test(random_expressions_mean_what_they_say),
        cmocka_unit_test(wildcards),
        cmocka_unit_test(prefixes_and_terms),
        cmocka_unit_test(fuzzy_terms),
        cmocka_unit_test(every_allocation_may_fail),
    };
    parts_begin(&x, false);
    int rc = unit_run(tests);
    parts_end(&x);
    return rc;
}
