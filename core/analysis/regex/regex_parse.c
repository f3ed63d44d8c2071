/*
 * regex_parse.c: Java's syntax to a tree, the tree to a program. Depth, size and repetition are
 * bounded: a pattern comes from users.
 */
#include "analysis/regex/regex_prog_int.h"
#include "analysis/tables/tables_int.h"

enum { PATTERN_MAX = 4096, DEPTH_MAX = 100, CODE_MAX = 20000, REPEAT_MAX = 1000 };

enum { N_EMPTY, N_CHAR, N_SET, N_CAT, N_ALT, N_REPEAT, N_GROUP, N_ASSERT };
typedef struct node {
    uint8_t type;
    bool lazy;
    uint32_t a, b;    /* children; code point; set; assertion; group in b */
    int32_t min, max; /* of a repeat; max -1: no end */
} node;

typedef struct parser {
    qd_str text;
    size_t at;
    uint32_t flags;
    int depth;
    qd_err *err;
    int rc;
    QD_VEC(node) nodes;
    QD_VEC(qd_charset) sets;
    QD_VEC(qd_re_inst) code;
    qd_regex *r;
} parser;

static uint32_t parse_alt(parser *p);

static int fail(parser *p, const char *why)
{
    if (!p->rc)
        p->rc = qd_err_set(p->err, QD_E_ARG, "%s near index %zu\n%.*s", why, p->at,
                           QD_STR_ARG(p->text));
    return p->rc;
}

static int nomem(parser *p)
{
    if (!p->rc) p->rc = qd_err_nomem(p->err, "regular expression");
    return p->rc;
}

static uint32_t node_add(parser *p, node n)
{
    if (qd_vec_push(&p->nodes, NULL, n)) nomem(p);
    return p->nodes.n ? (uint32_t)p->nodes.n - 1 : 0;
}

/* A set becomes a node and belongs to the parser. */
static uint32_t set_node(parser *p, qd_charset *s)
{
    qd_charset_finish(s);
    if (p->flags & QD_RE_CASE && qd_charset_fold(s, p->flags & QD_RE_UNICODE_CASE)) nomem(p);
    if (p->rc || qd_vec_push(&p->sets, NULL, *s)) {
        qd_charset_fini(s);
        nomem(p);
        return 0;
    }
    return node_add(p, (node){.type = N_SET, .a = (uint32_t)p->sets.n - 1});
}

static bool done(const parser *p)
{
    return p->rc || p->at >= p->text.n;
}
static char peek(const parser *p)
{
    return p->at < p->text.n ? p->text.p[p->at] : 0;
}
static bool accept(parser *p, const char *s)
{
    if (!qd_str_starts(qd_str_sub(p->text, p->at, SIZE_MAX), qd_str_c(s))) return false;
    p->at += strlen(s);
    return true;
}
static uint32_t next_point(parser *p)
{
    uint32_t cp;
    p->at += qd_u8_next(p->text.p + p->at, p->text.p + p->text.n, &cp);
    return cp;
}

static uint32_t char_node(parser *p, uint32_t cp)
{
    bool cased = !p->rc && p->flags & QD_RE_CASE &&
                 (qd_char_lower(cp) != cp || qd_char_upper(cp) != cp) &&
                 (cp < 128 || p->flags & QD_RE_UNICODE_CASE);
    if (p->rc) return 0;
    /* in short patterns every character is a set: they may be searched by the first one */
    if (!cased && p->text.n > 8) return node_add(p, (node){.type = N_CHAR, .a = cp});
    qd_charset s = {0};
    if (qd_charset_add(&s, cp, cp)) nomem(p);
    return set_node(p, &s);
}

static uint32_t hex(parser *p, int digits)
{
    uint32_t v = 0;
    for (int i = 0; i < digits; i++) {
        char c = peek(p);
        int d = c >= '0' && c <= '9'                 ? c - '0'
                : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                     : -1;
        if (d < 0) return fail(p, "Illegal hexadecimal escape sequence"), 0;
        v = v * 16 + (uint32_t)d;
        p->at++;
    }
    return v;
}

/* The class behind \ (d, w, s, h, v, p and opposites); false when c names none. */
static bool class_escape(parser *p, char c, qd_charset *s)
{
    bool uni = p->flags & QD_RE_UNICODE_CLASS;
    int rc = 0;
    switch (c | 32) {
    case 'd':
        rc = uni ? qd_charset_categories(s, QD_GC_BIT(QD_GC_ND)) : qd_charset_add(s, '0', '9');
        break;
    case 'w':
        rc = qd_charset_property(s, QD_STR("Alnum"), false) | qd_charset_add(s, '_', '_');
        if (uni)
            rc |= qd_charset_categories(
                s, QD_GC_LETTER | QD_GC_BIT(QD_GC_NL) | QD_GC_BIT(QD_GC_MN) | QD_GC_BIT(QD_GC_ME) |
                       QD_GC_BIT(QD_GC_MC) | QD_GC_BIT(QD_GC_ND) | QD_GC_BIT(QD_GC_PC));
        break;
    case 's':
        rc = qd_charset_add(s, 9, 13) | qd_charset_add(s, ' ', ' ');
        if (uni)
            rc |= qd_charset_categories(s, QD_GC_BIT(QD_GC_ZS) | QD_GC_BIT(QD_GC_ZL) |
                                               QD_GC_BIT(QD_GC_ZP)) |
                  qd_charset_add(s, 0x85, 0x85);
        break;
    case 'h':
        rc = qd_charset_categories(s, QD_GC_BIT(QD_GC_ZS)) | qd_charset_add(s, 9, 9) |
             qd_charset_add(s, 0x180E, 0x180E);
        break;
    case 'v':
        rc = qd_charset_add(s, 10, 13) | qd_charset_add(s, 0x85, 0x85) |
             qd_charset_add(s, 0x2028, 0x2029);
        break;
    case 'p': {
        qd_str name;
        if (accept(p, "{")) {
            size_t from = p->at;
            while (!done(p) && peek(p) != '}') p->at++;
            if (done(p)) return fail(p, "Unclosed character family"), true;
            name = qd_str_sub(p->text, from, p->at++ - from);
        } else {
            name = qd_str_sub(p->text, p->at++, 1);
        }
        rc = qd_charset_property(s, name, uni);
        if (rc == QD_E_NOTFOUND) return fail(p, "Unknown or unsupported character property"), true;
        break;
    }
    default:
        return false;
    }
    qd_charset_finish(s);
    if (!rc && c < 'a') rc = qd_charset_negate(s);
    if (rc) nomem(p);
    return true;
}

/* The code point behind \ where it is a plain escape. */
static uint32_t char_escape(parser *p)
{
    uint32_t c = next_point(p), v = 0;
    switch (c) {
    case 't':
        return '\t';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 'f':
        return '\f';
    case 'a':
        return 7;
    case 'e':
        return 27;
    case 'u':
        v = hex(p, 4);
        if ((v & 0xFC00) == 0xD800 && accept(p, "\\u"))
            v = 0x10000 + ((v & 0x3FF) << 10) + (hex(p, 4) & 0x3FF);
        return v;
    case 'c':
        return done(p) ? (uint32_t)fail(p, "Illegal control escape sequence") : next_point(p) ^ 64;
    case 'x':
        if (!accept(p, "{")) return hex(p, 2);
        while (!done(p) && peek(p) != '}' && v <= 0x10FFFF) v = v * 16 + hex(p, 1);
        if (!accept(p, "}") || v > 0x10FFFF) fail(p, "Illegal hexadecimal escape sequence");
        return v;
    case '0':
        for (int i = 0; i < 3 && peek(p) >= '0' && peek(p) <= '7' && v < 32; i++)
            v = v * 8 + (uint32_t)(p->text.p[p->at++] - '0');
        return v;
    default:
        if (c < 128 && (c | 32) >= 'a' && (c | 32) <= 'z')
            fail(p, "Illegal/unsupported escape sequence");
        return c;
    }
}

static void parse_class(parser *p, qd_charset *s);

/* One member of a class, or a range, into s. */
static void class_member(parser *p, qd_charset *s)
{
    uint32_t lo, hi;
    if (peek(p) == '\\') {
        qd_charset sub = {0};
        char c = p->at + 1 < p->text.n ? p->text.p[p->at + 1] : 0;
        if (c && memchr("dDwWsShHvVpP", c, 12)) {
            p->at += 2;
            (void)class_escape(p, c, &sub);
            if (!p->rc && qd_charset_union(s, &sub)) nomem(p);
            qd_charset_fini(&sub);
            return;
        }
        if (accept(p, "\\Q")) {
            while (!done(p) && !accept(p, "\\E")) {
                lo = next_point(p);
                if (qd_charset_add(s, lo, lo)) nomem(p);
            }
            return;
        }
        p->at++;
        if (done(p)) {
            fail(p, "Unexpected end of pattern");
            return;
        }
        lo = char_escape(p);
    } else {
        lo = next_point(p);
    }
    hi = lo;
    if (!p->rc && peek(p) == '-' && p->at + 1 < p->text.n && p->text.p[p->at + 1] != ']' &&
        p->text.p[p->at + 1] != '[') {
        p->at++;
        if (accept(p, "\\"))
            hi = done(p) ? 0 : char_escape(p);
        else
            hi = next_point(p);
        if (hi < lo) fail(p, "Illegal character range");
    }
    if (!p->rc && qd_charset_add(s, lo, hi)) nomem(p);
}

/* Behind '[': union of members, cut with what follows &&, up to ']'. */
static void parse_class(parser *p, qd_charset *s)
{
    bool negate = accept(p, "^"), first = true;
    qd_charset part = {0}, all = {0};
    bool cut = false;
    if (++p->depth > DEPTH_MAX) fail(p, "Too deeply nested");
    for (;; first = false) {
        if (done(p)) {
            fail(p, "Unclosed character class");
            break;
        }
        if (!first && peek(p) == ']') {
            p->at++;
            break;
        }
        if (accept(p, "&&")) {
            qd_charset_finish(&part);
            int rc = cut ? qd_charset_intersect(&all, &part) : qd_charset_union(&all, &part);
            if (rc) nomem(p);
            cut = true;
            qd_charset_fini(&part);
            part = (qd_charset){0};
        } else if (accept(p, "[")) {
            qd_charset sub = {0};
            parse_class(p, &sub);
            if (!p->rc && qd_charset_union(&part, &sub)) nomem(p);
            qd_charset_fini(&sub);
        } else {
            class_member(p, &part);
        }
    }
    p->depth--;
    qd_charset_finish(&part);
    if (!p->rc && cut && qd_charset_intersect(&all, &part)) nomem(p);
    if (!p->rc && qd_charset_union(s, cut ? &all : &part)) nomem(p);
    qd_charset_finish(s);
    if (!p->rc && p->flags & QD_RE_CASE && qd_charset_fold(s, p->flags & QD_RE_UNICODE_CASE))
        nomem(p);
    if (!p->rc && negate && qd_charset_negate(s)) nomem(p);
    qd_charset_fini(&part);
    qd_charset_fini(&all);
}

static uint32_t parse_dot(parser *p)
{
    qd_charset s = {0};
    if (p->flags & QD_RE_DOTALL) {
        if (qd_charset_add(&s, 0, 0x10FFFF)) nomem(p);
    } else if (qd_charset_add(&s, '\n', '\n') || qd_charset_add(&s, '\r', '\r') ||
               qd_charset_add(&s, 0x85, 0x85) || qd_charset_add(&s, 0x2028, 0x2029) ||
               qd_charset_negate(&s)) {
        nomem(p);
    }
    return set_node(p, &s);
}

/* (?ismxuU-ismxuU: flags; false when another letter stands there. */
static bool inline_flags(parser *p, uint32_t *flags)
{
    static const char letters[] = "imsuxU";
    static const uint32_t bits[] = {QD_RE_CASE,     QD_RE_MULTILINE,
                                    QD_RE_DOTALL,   QD_RE_UNICODE_CASE,
                                    QD_RE_COMMENTS, QD_RE_UNICODE_CLASS | QD_RE_UNICODE_CASE};
    bool off = false;
    for (; !done(p) && peek(p) != ')' && peek(p) != ':'; p->at++) {
        const char *l = strchr(letters, peek(p));
        if (peek(p) == '-')
            off = true;
        else if (!l || !*l)
            return false;
        else if (off)
            *flags &= ~bits[l - letters];
        else
            *flags |= bits[l - letters];
    }
    return !done(p);
}

static void group_name(parser *p)
{
    size_t from = p->at;
    while (!done(p) && peek(p) != '>') p->at++;
    size_t n = p->at - from;
    if (done(p) || !n || n >= sizeof p->r->names[0].name) {
        fail(p, "named capturing group is missing trailing '>'");
        return;
    }
    uint32_t k = p->r->nnames;
    if (k == QD_RE_GROUPS_MAX) return;
    memcpy(p->r->names[k].name, p->text.p + from, n);
    p->r->names[k].n = n;
    p->r->names[k].group = p->r->ngroups + 1;
    p->r->nnames++;
    p->at++;
}

/* Behind '('. */
static uint32_t parse_group(parser *p)
{
    uint32_t flags = p->flags, group = 0;
    bool capture = true;
    if (++p->depth > DEPTH_MAX) return (uint32_t)fail(p, "Too deeply nested");
    if (accept(p, "?")) {
        if (accept(p, "=") || accept(p, "!") || accept(p, "<=") || accept(p, "<!"))
            return (uint32_t)fail(p, "Look-ahead and look-behind are not supported");
        if (accept(p, ">")) return (uint32_t)fail(p, "Atomic groups are not supported");
        if (accept(p, "<")) {
            group_name(p);
        } else {
            if (!inline_flags(p, &p->flags)) return (uint32_t)fail(p, "Unknown inline modifier");
            capture = false;
            if (accept(p, ")")) { /* the flags hold to the end of the enclosing group */
                p->depth--;
                return node_add(p, (node){.type = N_EMPTY});
            }
            p->at++;
        }
    }
    if (capture) group = ++p->r->ngroups;
    if (p->r->ngroups >= QD_RE_GROUPS_MAX) return (uint32_t)fail(p, "Too many groups");
    uint32_t inner = parse_alt(p);
    if (!accept(p, ")")) return (uint32_t)fail(p, "Unclosed group");
    p->flags = flags;
    p->depth--;
    return capture ? node_add(p, (node){.type = N_GROUP, .a = inner, .b = group}) : inner;
}

static uint32_t parse_escape(parser *p)
{
    qd_charset s = {0};
    char c = peek(p);
    if (!c && done(p)) return (uint32_t)fail(p, "Unexpected internal error");
    static const char asserts[] = "AzZbB";
    static const uint32_t ops[] = {QD_RE_BEGIN, QD_RE_END, QD_RE_LAST, QD_RE_WORD_EDGE,
                                   QD_RE_NO_WORD_EDGE};
    const char *a = c ? strchr(asserts, c) : NULL;
    if (a) {
        p->at++;
        return node_add(p, (node){.type = N_ASSERT, .a = ops[a - asserts]});
    }
    if (c && memchr("dDwWsShHvVpP", c, 12)) {
        p->at++;
        (void)class_escape(p, c, &s);
        return set_node(p, &s);
    }
    if (c >= '1' && c <= '9') return (uint32_t)fail(p, "Back references are not supported");
    if (c == 'k') return (uint32_t)fail(p, "Back references are not supported");
    return char_node(p, char_escape(p));
}

static void skip_comments(parser *p)
{
    while (p->flags & QD_RE_COMMENTS && !done(p)) {
        if (strchr(" \t\n\r\f\v", peek(p)))
            p->at++;
        else if (peek(p) == '#')
            while (!done(p) && peek(p) != '\n') p->at++;
        else
            return;
    }
}

static uint32_t parse_atom(parser *p)
{
    bool multi = p->flags & QD_RE_MULTILINE;
    switch (peek(p)) {
    case '(':
        p->at++;
        return parse_group(p);
    case '[': {
        qd_charset s = {0};
        uint32_t flags = p->flags;
        p->at++;
        parse_class(p, &s);
        p->flags &= ~(uint32_t)QD_RE_CASE; /* folded before it was negated */
        uint32_t n = set_node(p, &s);
        p->flags = flags;
        return n;
    }
    case '.':
        p->at++;
        return parse_dot(p);
    case '^':
        p->at++;
        return node_add(p, (node){.type = N_ASSERT, .a = multi ? QD_RE_LINE_BEGIN : QD_RE_BEGIN});
    case '$':
        p->at++;
        return node_add(p, (node){.type = N_ASSERT, .a = multi ? QD_RE_LINE_END : QD_RE_LAST});
    case '\\':
        p->at++;
        return parse_escape(p);
    case '*':
    case '+':
    case '?':
        return (uint32_t)fail(p, "Dangling meta character");
    default:
        return char_node(p, next_point(p));
    }
}

static int32_t number(parser *p)
{
    int32_t v = -1;
    while (peek(p) >= '0' && peek(p) <= '9' && v <= REPEAT_MAX)
        v = (v < 0 ? 0 : v) * 10 + (p->text.p[p->at++] - '0');
    return v;
}

static uint32_t parse_repeat(parser *p)
{
    uint32_t atom = parse_atom(p);
    for (;;) {
        skip_comments(p);
        int32_t min, max;
        if (done(p)) return atom;
        if (accept(p, "*"))
            min = 0, max = -1;
        else if (accept(p, "+"))
            min = 1, max = -1;
        else if (accept(p, "?"))
            min = 0, max = 1;
        else if (accept(p, "{")) {
            min = max = number(p);
            if (accept(p, ",")) max = number(p);
            if (min < 0 || !accept(p, "}")) return (uint32_t)fail(p, "Illegal repetition");
            if (min > REPEAT_MAX || max > REPEAT_MAX)
                return (uint32_t)fail(p, "Repetition is over 1000");
            if (max >= 0 && max < min) return (uint32_t)fail(p, "Illegal repetition range");
        } else {
            return atom;
        }
        bool lazy = accept(p, "?");
        if (!lazy && accept(p, "+"))
            return (uint32_t)fail(p, "Possessive quantifiers are not supported");
        atom =
            node_add(p, (node){.type = N_REPEAT, .lazy = lazy, .a = atom, .min = min, .max = max});
        if (++p->depth > DEPTH_MAX) return (uint32_t)fail(p, "Too deeply nested");
    }
}

static uint32_t parse_cat(parser *p)
{
    uint32_t head = UINT32_MAX, last = UINT32_MAX;
    for (;;) {
        skip_comments(p);
        if (done(p) || peek(p) == '|' || peek(p) == ')') break;
        int depth = p->depth;
        if (accept(p, "\\Q")) {
            while (!done(p) && !accept(p, "\\E")) {
                uint32_t c = node_add(
                    p, (node){.type = N_CAT, .a = char_node(p, next_point(p)), .b = UINT32_MAX});
                if (p->rc) return 0;
                if (last != UINT32_MAX)
                    p->nodes.at[last].b = c;
                else
                    head = c;
                last = c;
            }
            continue;
        }
        uint32_t item = parse_repeat(p), cat;
        p->depth = depth;
        if (p->rc) return 0;
        cat = node_add(p, (node){.type = N_CAT, .a = item, .b = UINT32_MAX});
        if (p->rc) return 0;
        if (last != UINT32_MAX)
            p->nodes.at[last].b = cat;
        else
            head = cat;
        last = cat;
    }
    return head != UINT32_MAX ? head : node_add(p, (node){.type = N_EMPTY});
}

static uint32_t parse_alt(parser *p)
{
    uint32_t left = parse_cat(p), first = left, last = UINT32_MAX;
    while (!p->rc && accept(p, "|")) {
        uint32_t right = parse_cat(p);
        if (p->rc) return 0;
        /* a list, so that many alternatives do not nest */
        uint32_t alt = node_add(p, (node){.type = N_ALT,
                                          .a = last == UINT32_MAX ? left : p->nodes.at[last].b,
                                          .b = right});
        if (p->rc) return 0;
        if (last != UINT32_MAX)
            p->nodes.at[last].b = alt;
        else
            first = alt;
        last = alt;
    }
    return first;
}

/* --- program -----------------------------------------------------------------------------------
 */

static uint32_t emit(parser *p, uint32_t op, uint32_t x, uint32_t y)
{
    if (p->code.n >= CODE_MAX) fail(p, "Pattern is too large");
    if (!p->rc && qd_vec_push(&p->code, NULL, ((qd_re_inst){op, x, y}))) nomem(p);
    return p->rc ? 0 : (uint32_t)p->code.n - 1;
}

static void compile(parser *p, uint32_t n);

/* One pass more or none, in the order of preference. */
static void optional(parser *p, const node *r, bool loop)
{
    uint32_t split = emit(p, QD_RE_SPLIT, 0, 0);
    compile(p, r->a);
    if (loop) (void)emit(p, QD_RE_JUMP, split, 0);
    if (p->rc) return;
    uint32_t behind = (uint32_t)p->code.n;
    p->code.at[split].x = r->lazy ? behind : split + 1;
    p->code.at[split].y = r->lazy ? split + 1 : behind;
}

static void compile_repeat(parser *p, node r)
{
    for (int32_t i = 0; i < r.min && !p->rc; i++) compile(p, r.a);
    if (r.max < 0) {
        optional(p, &r, true);
        return;
    }
    /* the optional passes nest: leaving one leaves all; each split may go to the common end */
    QD_VEC(uint32_t) splits = {0};
    for (int32_t i = r.min; i < r.max && !p->rc; i++) {
        if (qd_vec_push(&splits, NULL, emit(p, QD_RE_SPLIT, 0, 0))) nomem(p);
        compile(p, r.a);
    }
    for (size_t i = 0; i < splits.n && !p->rc; i++) {
        uint32_t s = splits.at[i], behind = (uint32_t)p->code.n;
        p->code.at[s].x = r.lazy ? behind : s + 1;
        p->code.at[s].y = r.lazy ? s + 1 : behind;
    }
    qd_vec_fini(&splits);
}

static void compile_alt(parser *p, node a)
{
    QD_VEC(uint32_t) jumps = {0};
    for (;;) {
        uint32_t split = emit(p, QD_RE_SPLIT, 0, 0);
        compile(p, a.a);
        uint32_t jump = emit(p, QD_RE_JUMP, 0, 0);
        if (p->rc) break;
        if (qd_vec_push(&jumps, NULL, jump)) nomem(p);
        p->code.at[split].x = split + 1;
        p->code.at[split].y = (uint32_t)p->code.n;
        if (p->nodes.at[a.b].type != N_ALT) {
            compile(p, a.b);
            break;
        }
        a = p->nodes.at[a.b];
    }
    for (size_t i = 0; i < jumps.n && !p->rc; i++) p->code.at[jumps.at[i]].x = (uint32_t)p->code.n;
    qd_vec_fini(&jumps);
}

static void compile(parser *p, uint32_t at)
{
    while (!p->rc && at != UINT32_MAX) {
        node n = p->nodes.at[at];
        at = UINT32_MAX;
        switch (n.type) {
        case N_EMPTY:
            break;
        case N_CHAR:
            (void)emit(p, QD_RE_CHAR, n.a, 0);
            break;
        case N_SET:
            (void)emit(p, QD_RE_SET, n.a, 0);
            break;
        case N_ASSERT:
            (void)emit(p, n.a, 0, 0);
            break;
        case N_GROUP:
            (void)emit(p, QD_RE_SAVE, 2 * n.b, 0);
            compile(p, n.a);
            (void)emit(p, QD_RE_SAVE, 2 * n.b + 1, 0);
            break;
        case N_CAT:
            compile(p, n.a);
            at = n.b;
            break;
        case N_REPEAT:
            compile_repeat(p, n);
            break;
        default:
            compile_alt(p, n);
            break;
        }
    }
}

/* What lets a search go faster: one set, or a set that every match begins with. */
static void shortcuts(const parser *p, qd_regex *r)
{
    const qd_re_inst *c = r->code;
    /* 0 save, 1 set, then split back over a set for the plus */
    if (r->ncode < 3 || c[1].op != QD_RE_SET) return;
    if (r->ngroups == 0 && r->nsets == 1 && r->ncode == 4) r->run = true;
    if (r->ngroups == 0 && r->nsets == 1 && r->ncode == 7 && c[2].op == QD_RE_SPLIT &&
        c[2].x == 3 && c[3].op == QD_RE_SET && c[4].op == QD_RE_JUMP && c[4].x == 2)
        r->run = r->run_plus = true;
    r->has_first = true;
    r->first = r->sets[c[1].x];
    (void)p;
}

int qd_regex_compile(qd_str pattern, uint32_t flags, qd_regex **out, qd_err *err)
{
    parser p = {.text = pattern, .flags = flags, .err = err};
    if (pattern.n > PATTERN_MAX)
        return qd_err_set(err, QD_E_ARG, "a pattern of %zu bytes is longer than %d", pattern.n,
                          PATTERN_MAX);
    if (!(p.r = qd_calloc(NULL, sizeof *p.r))) return qd_err_nomem(err, "regular expression");
    uint32_t root = 0;
    if (flags & QD_RE_LITERAL) {
        uint32_t last = UINT32_MAX;
        root = node_add(&p, (node){.type = N_EMPTY});
        while (!done(&p)) {
            uint32_t c = node_add(
                &p, (node){.type = N_CAT, .a = char_node(&p, next_point(&p)), .b = UINT32_MAX});
            if (p.rc) break;
            if (last != UINT32_MAX)
                p.nodes.at[last].b = c;
            else
                root = c;
            last = c;
        }
    } else {
        root = parse_alt(&p);
        if (!p.rc && p.at < pattern.n) fail(&p, "Unmatched closing ')'");
    }
    (void)emit(&p, QD_RE_SAVE, 0, 0);
    if (!p.rc) compile(&p, root);
    (void)emit(&p, QD_RE_SAVE, 1, 0);
    (void)emit(&p, QD_RE_MATCH, 0, 0);
    p.r->flags = flags;
    p.r->code = p.code.at;
    p.r->ncode = (uint32_t)p.code.n;
    p.r->sets = p.sets.at;
    p.r->nsets = (uint32_t)p.sets.n;
    qd_vec_fini(&p.nodes);
    if (p.rc) {
        qd_regex_free(p.r);
        return p.rc;
    }
    shortcuts(&p, p.r);
    *out = p.r;
    return 0;
}

int qd_regex_flags(qd_str names, uint32_t *flags, qd_err *err)
{
    static const struct {
        const char *name;
        uint32_t bit;
    } known[] = {
        {"CASE_INSENSITIVE", QD_RE_CASE},
        {"MULTILINE", QD_RE_MULTILINE},
        {"DOTALL", QD_RE_DOTALL},
        {"UNICODE_CASE", QD_RE_UNICODE_CASE},
        {"COMMENTS", QD_RE_COMMENTS},
        {"LITERAL", QD_RE_LITERAL},
        {"UNICODE_CHAR_CLASS", QD_RE_UNICODE_CLASS},
        {"UNICODE_CHARACTER_CLASS", QD_RE_UNICODE_CLASS},
        {"UNIX_LINES", 0},
    };
    *flags = 0;
    while (names.p && names.n) {
        qd_str one = qd_str_trim(qd_str_split(&names, '|'));
        size_t i = 0;
        while (i < QD_COUNT_OF(known) && !qd_str_ieq(one, qd_str_c(known[i].name))) i++;
        if (one.n && i == QD_COUNT_OF(known))
            return qd_err_set(err, QD_E_ARG, "Unknown regex flag [%.*s]", QD_STR_ARG(one));
        if (one.n) *flags |= known[i].bit;
    }
    return 0;
}
