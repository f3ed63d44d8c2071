/*
 * regexp_parse.c: Lucene's RegExp grammar (org.apache.lucene.util.automaton.RegExp), straight to
 * fragments. Sequences and alternatives are loops; only parentheses nest, up to DEPTH_MAX.
 */
#include "automaton/nfa_int.h"
#include "base/str.h"
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 250u
#define REPEAT_MAX 100000u

typedef struct parser {
    qdi_nfa *n;
    const char *start, *p, *end;
    uint32_t flags, states_max, depth;
    bool fold;
    qd_err *err;
} parser;

static int parse_union(parser *x, qdi_fragment *out);

/* Position in characters as Java counts them. */
static size_t position(const parser *x)
{
    return qd_utf8_utf16((qd_str){x->start, (size_t)(x->p - x->start)});
}

static int wrong(parser *x, const char *what)
{
    return qd_err_set(x->err, QD_E_ARG, "%s at position %zu", what, position(x));
}

static bool more(const parser *x)
{
    return x->p < x->end;
}

static bool peek(const parser *x, const char *any)
{
    return more(x) && strchr(any, *x->p) != NULL && *x->p != 0;
}

static bool match(parser *x, char c)
{
    if (!more(x) || *x->p != c) return false;
    x->p++;
    return true;
}

static int next_point(parser *x, uint32_t *cp)
{
    if (!more(x)) return qd_err_set(x->err, QD_E_ARG, "unexpected end-of-string");
    x->p += qd_utf8_next(x->p, x->end, cp);
    return 0;
}

/* --- classes of characters: ranges, kept as a list and sorted out at the end --- */

typedef struct class_set {
    QD_VEC(qdi_points_range) v;
} class_set;

static int class_add(parser *x, class_set *s, uint32_t lo, uint32_t hi)
{
    if (qd_vec_push(&s->v, x->n->account, ((qdi_points_range){lo, hi})))
        return qd_err_nomem(x->err, "regular expression");
    return 0;
}

/* A range and, when case is folded, the other case of the ASCII letters in it. */
static int class_range(parser *x, class_set *s, uint32_t lo, uint32_t hi, bool fold)
{
    int rc = class_add(x, s, lo, hi);
    for (uint32_t c = lo; fold && rc == 0 && c <= hi && c < 128; c++)
        if ((c | 32) >= 'a' && (c | 32) <= 'z') rc = class_add(x, s, c ^ 32, c ^ 32);
    return rc;
}

/* Sorted, joined, inverted if asked for. */
static int class_normal(parser *x, class_set *s, bool negate)
{
    size_t n = s->v.n, k = 0;
    for (size_t gap = n / 2; gap > 0; gap = gap == 2 ? 1 : gap * 5 / 11)
        for (size_t i = gap; i < n; i++) {
            qdi_points_range r = s->v.at[i];
            size_t j = i;
            for (; j >= gap && s->v.at[j - gap].lo > r.lo; j -= gap) s->v.at[j] = s->v.at[j - gap];
            s->v.at[j] = r;
        }
    for (size_t i = 0; i < n; i++) {
        if (k > 0 && s->v.at[i].lo <= s->v.at[k - 1].hi + 1) {
            if (s->v.at[i].hi > s->v.at[k - 1].hi) s->v.at[k - 1].hi = s->v.at[i].hi;
        } else {
            s->v.at[k++] = s->v.at[i];
        }
    }
    s->v.n = k;
    if (!negate) return 0;
    if (qd_vec_reserve(&s->v, x->n->account, 1)) return qd_err_nomem(x->err, "regular expression");
    uint32_t from = 0;
    size_t out = 0;
    for (size_t i = 0; i < k; i++) {
        qdi_points_range r = s->v.at[i];
        if (r.lo > from) s->v.at[out++] = (qdi_points_range){from, r.lo - 1};
        from = r.hi + 1;
    }
    if (from <= QDI_CODE_POINT_MAX) s->v.at[out++] = (qdi_points_range){from, QDI_CODE_POINT_MAX};
    s->v.n = out;
    return 0;
}

static qdi_fragment class_fragment(parser *x, const class_set *s)
{
    qdi_fragment f = qdi_fragment_begin(x->n);
    f.end = qdi_nfa_state(x->n);
    for (size_t i = 0; i < s->v.n; i++)
        qdi_nfa_range(x->n, f.start, f.end, s->v.at[i].lo, s->v.at[i].hi);
    return f;
}

/* \d \D \s \S \w \W; false when something else stands here. */
static bool predefined(parser *x, class_set *s, int *rc)
{
    if (x->end - x->p < 2 || x->p[0] != '\\' || !strchr("dDsSwW", x->p[1]) || x->p[1] == 0)
        return false;
    char c = x->p[1];
    x->p += 2;
    class_set own = {{0}};
    *rc = 0;
    if (c == 'd' || c == 'D' || c == 'w' || c == 'W') *rc = class_add(x, &own, '0', '9');
    if (*rc == 0 && (c == 'w' || c == 'W')) {
        *rc = class_add(x, &own, 'A', 'Z');
        if (*rc == 0) *rc = class_add(x, &own, '_', '_');
        if (*rc == 0) *rc = class_add(x, &own, 'a', 'z');
    }
    if (c == 's' || c == 'S') {
        *rc = class_add(x, &own, '\t', '\n');
        if (*rc == 0) *rc = class_add(x, &own, '\r', '\r');
        if (*rc == 0) *rc = class_add(x, &own, ' ', ' ');
    }
    if (*rc == 0) *rc = class_normal(x, &own, c < 'a');
    for (size_t i = 0; *rc == 0 && i < own.v.n; i++)
        *rc = class_add(x, s, own.v.at[i].lo, own.v.at[i].hi);
    qd_vec_fini(&own.v);
    return true;
}

/* A character, its backslash taken off. */
static int parse_char(parser *x, uint32_t *cp)
{
    (void)match(x, '\\');
    return next_point(x, cp);
}

static int parse_class_item(parser *x, class_set *s)
{
    uint32_t lo, hi;
    int rc = 0;
    if (predefined(x, s, &rc)) return rc;
    rc = parse_char(x, &lo);
    if (rc) return rc;
    hi = lo;
    if (match(x, '-')) {
        rc = parse_char(x, &hi);
        if (rc) return rc;
        if (lo > hi)
            return qd_err_set(x->err, QD_E_ARG, "invalid range: from (%u) cannot be > to (%u)", lo,
                              hi);
    }
    /* Lucene folds single characters of a class, not ranges. */
    return class_range(x, s, lo, hi, x->fold && lo == hi);
}

/* Behind '['. */
static int parse_class(parser *x, qdi_fragment *out)
{
    class_set s = {{0}};
    bool negate = match(x, '^');
    int rc = parse_class_item(x, &s);
    while (rc == 0 && more(x) && !peek(x, "]")) rc = parse_class_item(x, &s);
    if (rc == 0 && !match(x, ']')) rc = wrong(x, "expected ']'");
    if (rc == 0) rc = class_normal(x, &s, negate);
    if (rc == 0) *out = class_fragment(x, &s);
    qd_vec_fini(&s.v);
    return rc;
}

/* --- <n-m> --- */

/* Numbers of `digits` digits from at on, each in [lo, hi] as text: Automata.makeDecimalInterval.
 * zero: all digits so far were 0, so that a number may also begin here. */
typedef struct interval {
    qdi_nfa *n;
    char lo[12], hi[12];
    uint32_t digits;
    uint32_t end, entry; /* entry: where numbers without a fixed length begin; UINT32_MAX: fixed */
} interval;

static void any_digits(interval *v, uint32_t from, uint32_t left)
{
    for (; left > 0; left--) {
        uint32_t next = left == 1 ? v->end : qdi_nfa_state(v->n);
        qdi_nfa_bytes(v->n, from, next, '0', '9');
        from = next;
    }
}

/* The rest from digit i on, where the digits so far equal lo's (low) or hi's (high); at most eleven
 * digits deep. */
static void between(interval *v, uint32_t from, uint32_t i, bool low, bool high, bool zero)
{
    if (i == v->digits) {
        qdi_nfa_epsilon(v->n, from, v->end);
        return;
    }
    if (zero && v->entry != UINT32_MAX) qdi_nfa_epsilon(v->n, v->entry, from);
    if (!low && !high) {
        any_digits(v, from, v->digits - i);
        return;
    }
    char a = low ? v->lo[i] : '0', z = high ? v->hi[i] : '9';
    for (char c = a; c <= z; c++) {
        uint32_t next = qdi_nfa_state(v->n);
        qdi_nfa_bytes(v->n, from, next, (uint8_t)c, (uint8_t)c);
        between(v, next, i + 1, low && c == a, high && c == z, zero && c == '0');
    }
}

/* Java's Integer.parseInt of digits. */
static bool parse_int(qd_str s, int64_t *out)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9') return false;
    return s.n > 0 && s.n < 19 && qd_str_i64(s, out) && *out <= INT32_MAX;
}

/* Behind '<'. */
static int parse_interval(parser *x, qdi_fragment *out)
{
    const char *from = x->p;
    while (more(x) && *x->p != '>') x->p++;
    qd_str s = {from, (size_t)(x->p - from)};
    if (!match(x, '>')) return wrong(x, "expected '>'");
    ptrdiff_t dash = qd_str_find(s, '-');
    if (dash < 0) return qd_err_set(x->err, QD_E_ARG, "'%.*s' not found", QD_STR_ARG(s));
    qd_str a = qd_str_sub(s, 0, (size_t)dash), z = qd_str_sub(s, (size_t)dash + 1, s.n);
    int64_t lo, hi;
    if (!parse_int(a, &lo) || !parse_int(z, &hi)) {
        x->p--;
        return wrong(x, "interval syntax error");
    }
    uint32_t fixed = a.n == z.n ? (uint32_t)a.n : 0;
    if (lo > hi) {
        int64_t swap = lo;
        lo = hi;
        hi = swap;
    }
    interval v = {.n = x->n, .entry = UINT32_MAX};
    int n = snprintf(v.hi, sizeof v.hi, "%lld", (long long)hi);
    v.digits = fixed && fixed < sizeof v.hi ? fixed : (uint32_t)n;
    uint32_t zeros = fixed > v.digits ? fixed - v.digits : 0;
    snprintf(v.lo, sizeof v.lo, "%0*lld", (int)v.digits, (long long)lo);
    snprintf(v.hi, sizeof v.hi, "%0*lld", (int)v.digits, (long long)hi);
    qdi_fragment f = qdi_fragment_begin(x->n);
    v.end = qdi_nfa_state(x->n);
    uint32_t at = f.start;
    for (uint32_t i = 0; i < zeros && x->n->rc == 0; i++) {
        uint32_t next = qdi_nfa_state(x->n);
        qdi_nfa_bytes(x->n, at, next, '0', '0');
        at = next;
    }
    if (!fixed) {
        v.entry = f.start;
        qdi_nfa_bytes(x->n, f.start, f.start, '0', '0');
        at = qdi_nfa_state(x->n);
    }
    between(&v, at, 0, true, true, true);
    f.end = v.end;
    *out = f;
    return 0;
}

/* --- expressions --- */

static int parse_group(parser *x, qdi_fragment *out)
{
    if (match(x, ')')) {
        *out = qdi_fragment_empty(x->n);
        return 0;
    }
    if (++x->depth > DEPTH_MAX)
        return qd_err_set(x->err, QD_E_TOO_COMPLEX, "over %u nested parentheses", DEPTH_MAX);
    int rc = parse_union(x, out);
    x->depth--;
    return rc == 0 && !match(x, ')') ? wrong(x, "expected ')'") : rc;
}

static int parse_string(parser *x, qdi_fragment *out)
{
    qdi_fragment f = qdi_fragment_begin(x->n);
    while (more(x) && *x->p != '"') {
        uint32_t cp, next = qdi_nfa_state(x->n);
        x->p += qd_utf8_next(x->p, x->end, &cp);
        qdi_nfa_char(x->n, f.end, next, cp, x->fold);
        f.end = next;
    }
    /* An end apart from the start, even of "". */
    f = qdi_fragment_concat(x->n, f, qdi_fragment_empty(x->n));
    *out = f;
    return match(x, '"') ? 0 : wrong(x, "expected '\"'");
}

/* *any: the fragment is exactly one code point of any kind, whose repeat is a common loop. */
static int parse_simple(parser *x, qdi_fragment *out, bool *any)
{
    *any = false;
    if (match(x, '.')) {
        qdi_fragment f = qdi_fragment_begin(x->n);
        f.end = qdi_nfa_state(x->n);
        qdi_nfa_any(x->n, f.start, f.end);
        *any = true;
        *out = f;
        return 0;
    }
    if ((x->flags & QD_REGEXP_EMPTY) && match(x, '#')) {
        *out = qdi_fragment_none(x->n);
        return 0;
    }
    if ((x->flags & QD_REGEXP_ANYSTRING) && match(x, '@')) {
        *out = qdi_fragment_any_string(x->n);
        return 0;
    }
    if (match(x, '[')) return parse_class(x, out);
    if (match(x, '"')) return parse_string(x, out);
    if (match(x, '(')) return parse_group(x, out);
    if ((x->flags & QD_REGEXP_INTERVAL) && match(x, '<')) return parse_interval(x, out);
    class_set s = {{0}};
    int rc = 0;
    if (predefined(x, &s, &rc)) {
        if (rc == 0) *out = class_fragment(x, &s);
        qd_vec_fini(&s.v);
        return rc;
    }
    uint32_t cp;
    rc = parse_char(x, &cp);
    if (rc) return rc;
    qdi_fragment f = qdi_fragment_begin(x->n);
    f.end = qdi_nfa_state(x->n);
    qdi_nfa_char(x->n, f.start, f.end, cp, x->fold);
    *out = f;
    return 0;
}

/* Any number of ~ before it: two cancel out. */
static int parse_complement(parser *x, qdi_fragment *out, bool *any)
{
    bool negate = false;
    while ((x->flags & QD_REGEXP_COMPLEMENT) && match(x, '~')) negate = !negate;
    int rc = parse_simple(x, out, any);
    if (rc || !negate) return rc;
    *any = false;
    return qdi_fragment_complement(x->n, out, x->states_max, x->err);
}

/* Digits of a bound; *had false when there are none. */
static int parse_bound(parser *x, uint32_t *out, bool *had)
{
    uint64_t v = 0;
    *had = false;
    while (peek(x, "0123456789")) {
        v = v * 10 + (uint64_t)(*x->p++ - '0');
        *had = true;
        if (v > INT32_MAX) return qd_err_set(x->err, QD_E_ARG, "a repeat count is too large");
    }
    *out = (uint32_t)v;
    return 0;
}

/* Behind '{'. */
static int parse_counts(parser *x, uint32_t *min, uint32_t *max)
{
    bool had;
    int rc = parse_bound(x, min, &had);
    if (rc) return rc;
    if (!had) return wrong(x, "integer expected");
    *max = *min;
    if (match(x, ',')) {
        rc = parse_bound(x, max, &had);
        if (rc) return rc;
        if (!had) *max = UINT32_MAX;
    }
    if (!match(x, '}')) return wrong(x, "expected '}'");
    if (*min <= *max) return 0;
    return qd_err_set(x->err, QD_E_ARG, "invalid repetition range(out of order): %u..%u", *min,
                      *max);
}

static int repeat(parser *x, qdi_fragment *f, bool *any, uint32_t min, uint32_t max)
{
    if (x->n->rc) return 0; /* reported at the end */
    if (min > REPEAT_MAX || (max != UINT32_MAX && max > REPEAT_MAX)) {
        x->n->rc = QD_E_TOO_COMPLEX;
        return 0;
    }
    if (*any && max == UINT32_MAX && min <= 1) {
        qdi_fragment loop = qdi_fragment_any_string(x->n);
        if (min == 0) {
            loop.state0 = f->state0;
            loop.edge0 = f->edge0;
            *f = loop;
        } else {
            *f = qdi_fragment_concat(x->n, *f, loop);
        }
    } else {
        *f = qdi_fragment_repeat(x->n, *f, min, max);
    }
    *any = false;
    return 0;
}

static int parse_repeat(parser *x, qdi_fragment *out)
{
    bool any;
    uint32_t min, max;
    int rc = parse_complement(x, out, &any);
    while (rc == 0 && peek(x, "?*+{")) {
        char c = *x->p++;
        min = c == '+';
        max = c == '?' ? 1 : UINT32_MAX;
        if (c == '{') rc = parse_counts(x, &min, &max);
        if (rc == 0) rc = repeat(x, out, &any, min, max);
    }
    return rc;
}

static int parse_concat(parser *x, qdi_fragment *out)
{
    int rc = parse_repeat(x, out);
    while (rc == 0 && more(x) && !peek(x, ")|") &&
           !((x->flags & QD_REGEXP_INTERSECTION) && peek(x, "&"))) {
        qdi_fragment b;
        rc = parse_repeat(x, &b);
        if (rc == 0) *out = qdi_fragment_concat(x->n, *out, b);
    }
    return rc;
}

static int parse_inter(parser *x, qdi_fragment *out)
{
    int rc = parse_concat(x, out);
    while (rc == 0 && (x->flags & QD_REGEXP_INTERSECTION) && match(x, '&')) {
        qdi_fragment b;
        rc = parse_concat(x, &b);
        if (rc == 0) rc = qdi_fragment_intersect(x->n, out, b, x->states_max, x->err);
    }
    return rc;
}

static int parse_union(parser *x, qdi_fragment *out)
{
    int rc = parse_inter(x, out);
    while (rc == 0 && match(x, '|')) {
        qdi_fragment b;
        rc = parse_inter(x, &b);
        if (rc == 0) *out = qdi_fragment_union(x->n, *out, b);
    }
    return rc;
}

int qdi_regexp_parse(qdi_nfa *n, qd_str pattern, uint32_t flags, bool fold, uint32_t states_max,
                     qdi_fragment *out, qd_err *err)
{
    parser x = {.n = n,
                .start = pattern.p,
                .p = pattern.p,
                .end = pattern.p + pattern.n,
                .flags = flags,
                .states_max = states_max,
                .fold = fold,
                .err = err};
    if (pattern.n == 0) {
        *out = qdi_fragment_empty(n);
        return 0;
    }
    int rc = parse_union(&x, out);
    if (rc == 0 && more(&x)) rc = wrong(&x, "end-of-string expected");
    return rc;
}
