/*
 * string_lex.c: tokens of Lucene's classic query syntax, by longest match as its generated lexer
 * has it: "AND" is an operator, "ANDROID" a word, "a*" a prefix, "a*b" a wildcard. In a range and
 * behind `^` other rules hold; the token that opens or closes one switches.
 */
#include "base/utf8.h"
#include "query/string/string_lex_int.h"
#include <stdio.h>

/* White space of the syntax at p: its bytes, 0: none. U+3000 counts. */
static size_t space_at(qd_str s, size_t i)
{
    if (i >= s.n) return 0;
    char c = s.p[i];
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') return 1;
    return s.n - i >= 3 && memcmp(s.p + i, "\xe3\x80\x80", 3) == 0 ? 3 : 0;
}

/* Bytes of a code point that may begin a word, escapes included; 0: none. */
static size_t term_start_at(qd_str s, size_t i)
{
    if (i >= s.n || space_at(s, i)) return 0;
    char c = s.p[i];
    size_t n = 1;
    if (c == '\\') {
        if (i + 1 >= s.n) return 0;
        n = 2;
    } else if (memchr("+-!():^[]\"{}~*?/", c, 16)) {
        return 0;
    }
    while (i + n < s.n && ((uint8_t)s.p[i + n] & 0xc0) == 0x80) n++;
    return n;
}

/* The same for what may go on in a word. */
static size_t term_char_at(qd_str s, size_t i)
{
    if (i < s.n && (s.p[i] == '-' || s.p[i] == '+')) return 1;
    return term_start_at(s, i);
}

void qdi_lex_shown(qd_str s, char out[256])
{
    static const char names[] = "b\bt\tn\nf\fr\r\"\"\'\'\\\\";
    size_t n = 0;
    const char *p = s.p, *end = s.p + s.n;
    while (p < end && n < 236) {
        uint32_t cp;
        const char *name = NULL;
        p += qd_utf8_next(p, end, &cp);
        for (size_t k = 0; k < sizeof names - 1; k += 2)
            if ((uint8_t)names[k + 1] == cp) name = &names[k];
        if (name) {
            out[n++] = '\\';
            out[n++] = *name;
        } else if (cp >= 0x20 && cp <= 0x7e) {
            out[n++] = (char)cp;
        } else if (cp <= 0xffff) {
            n += (size_t)snprintf(out + n, 256 - n, "\\u%04x", cp);
        } else {
            n += (size_t)snprintf(out + n, 256 - n, "\\u%04x\\u%04x",
                                  0xd800 + ((cp - 0x10000) >> 10),
                                  0xdc00 + ((cp - 0x10000) & 0x3ff));
        }
    }
    out[n] = 0;
}

/* As JavaCC tells it: the character at which no token goes on, or the end, when that was the last
 * one; columns count UTF-16 units. */
static int error_at(const qdi_lexer *l, size_t at, qd_err *err)
{
    static const char *const states[] = {[QDI_LEX_DEFAULT] = " (in lexical state 2)",
                                         [QDI_LEX_BOOST] = "",
                                         [QDI_LEX_RANGE] = " (in lexical state 1)"};
    char after[256];
    uint32_t cp = 0;
    qd_str s = l->text;
    size_t step = at < s.n ? qd_utf8_next(s.p + at, s.p + s.n, &cp) : 0;
    bool end = at + step >= s.n;
    after[0] = 0;
    if (at >= s.n && s.n - l->at > 1) qdi_lex_shown(qd_str_sub(s, l->at, s.n - l->at), after);
    size_t column = qd_utf8_utf16(qd_str_sub(s, 0, end ? s.n : at)) + 1;
    if (end)
        return qd_err_set(err, QD_E_QUERY_SYNTAX,
                          "Lexical error at line 1, column %zu.  Encountered: <EOF>%s%s%s%s",
                          column, after[0] ? " after prefix \"" : "", after, after[0] ? "\"" : "",
                          states[l->state]);
    if (cp > 0xffff) cp = 0xd800 + ((cp - 0x10000) >> 10);
    return qd_err_set(err, QD_E_QUERY_SYNTAX,
                      "Lexical error at line 1, column %zu.  Encountered: '%u' (%u),%s", column, cp,
                      cp, states[l->state]);
}

static int take(qdi_lexer *l, qdi_lex_kind kind, size_t n, qdi_lex_token *out)
{
    *out = (qdi_lex_token){kind, qd_str_sub(l->text, l->at, n)};
    l->at += n;
    return 0;
}

/* A word, a prefix or a wildcard, or a word that is an operator. */
static int word(qdi_lexer *l, qdi_lex_token *out)
{
    static const struct {
        const char *text;
        qdi_lex_kind kind;
    } words[] = {{"AND", QDI_T_AND},
                 {"&&", QDI_T_AND},
                 {"OR", QDI_T_OR},
                 {"||", QDI_T_OR},
                 {"NOT", QDI_T_NOT}};
    qd_str s = l->text;
    size_t i = l->at, n, stars = 0, last_star = 0;
    for (;;) {
        if (i < s.n && (s.p[i] == '*' || s.p[i] == '?')) {
            stars++;
            last_star = i++;
        } else if ((n = i == l->at ? term_start_at(s, i) : term_char_at(s, i))) {
            i += n;
        } else {
            break;
        }
    }
    n = i - l->at;
    if (stars == 0) {
        for (size_t k = 0; k < QD_COUNT_OF(words); k++)
            if (qd_str_is(qd_str_sub(s, l->at, n), words[k].text))
                return take(l, words[k].kind, n, out);
        return take(l, QDI_T_TERM, n, out);
    }
    bool trailing = stars == 1 && last_star == i - 1 && s.p[last_star] == '*';
    if (trailing && n == 1) return take(l, QDI_T_STAR, n, out);
    return take(l, trailing ? QDI_T_PREFIXTERM : QDI_T_WILDTERM, n, out);
}

/* Text up to the closing byte; escapes are jumped over. 0: it is not closed. Unless any_escape, a
 * closing byte behind a backslash closes where no other does: the longest match counts. */
static size_t closed(const qdi_lexer *l, char close, bool any_escape)
{
    qd_str s = l->text;
    size_t escaped = 0;
    for (size_t i = l->at + 1; i < s.n; i++) {
        if (s.p[i] == close) return i + 1 - l->at;
        if (s.p[i] != '\\' || i + 1 == s.n) continue;
        if (!any_escape && s.p[i + 1] != close) continue;
        i++;
        if (!any_escape) escaped = i + 1 - l->at;
    }
    return escaped;
}

static int lex_default(qdi_lexer *l, qdi_lex_token *out, qd_err *err)
{
    qd_str s = l->text;
    size_t n;
    switch (s.p[l->at]) {
    case '+':
    case '-':
    case '!':
        n = space_at(s, l->at + 1);
        if (n) return take(l, QDI_T_BAREOPER, 1 + n, out);
        return take(l,
                    s.p[l->at] == '+'   ? QDI_T_PLUS
                    : s.p[l->at] == '-' ? QDI_T_MINUS
                                        : QDI_T_NOT,
                    1, out);
    case '(':
        return take(l, QDI_T_LPAREN, 1, out);
    case ')':
        return take(l, QDI_T_RPAREN, 1, out);
    case ':':
        return take(l, QDI_T_COLON, 1, out);
    case '^':
        l->state = QDI_LEX_BOOST;
        return take(l, QDI_T_CARAT, 1, out);
    case '[':
        l->state = QDI_LEX_RANGE;
        return take(l, QDI_T_RANGEIN_START, 1, out);
    case '{':
        l->state = QDI_LEX_RANGE;
        return take(l, QDI_T_RANGEEX_START, 1, out);
    case '"':
        n = closed(l, '"', true);
        return n ? take(l, QDI_T_QUOTED, n, out) : error_at(l, s.n, err);
    case '/':
        n = closed(l, '/', false);
        return n ? take(l, QDI_T_REGEXPTERM, n, out) : error_at(l, s.n, err);
    case '~':
        n = 1;
        for (size_t more; (more = term_char_at(s, l->at + n)); n += more) {}
        return take(l, QDI_T_FUZZY_SLOP, n, out);
    case ']':
    case '}':
        return error_at(l, l->at, err);
    case '\\':
        if (!term_start_at(s, l->at)) return error_at(l, s.n, err);
        return word(l, out);
    default:
        return word(l, out);
    }
}

static size_t digits_at(qd_str s, size_t i)
{
    size_t n = 0;
    while (i + n < s.n && s.p[i + n] >= '0' && s.p[i + n] <= '9') n++;
    return n;
}

static int lex_boost(qdi_lexer *l, qdi_lex_token *out, qd_err *err)
{
    size_t n = digits_at(l->text, l->at);
    if (n == 0) return error_at(l, l->at, err);
    if (l->at + n < l->text.n && l->text.p[l->at + n] == '.') {
        size_t fraction = digits_at(l->text, l->at + n + 1);
        if (fraction) n += 1 + fraction;
    }
    l->state = QDI_LEX_DEFAULT;
    return take(l, QDI_T_NUMBER, n, out);
}

/* Bytes of a range's end: up to blank or bracket. */
static size_t goop_at(qd_str s, size_t i)
{
    size_t n = 0;
    while (i + n < s.n && !memchr(" ]}", s.p[i + n], 3)) n++;
    return n;
}

/* Skips white space; in a range only what is not the beginning of a longer end. */
static void skip_space(qdi_lexer *l)
{
    size_t n;
    if (l->state == QDI_LEX_BOOST) return;
    while ((n = space_at(l->text, l->at))) {
        if (l->state == QDI_LEX_RANGE && goop_at(l->text, l->at) > n) return;
        l->at += n;
    }
}

static int lex_range(qdi_lexer *l, qdi_lex_token *out, qd_err *err)
{
    qd_str s = l->text;
    size_t n = goop_at(s, l->at);
    if (s.p[l->at] == ']' || s.p[l->at] == '}') {
        l->state = QDI_LEX_DEFAULT;
        return take(l, s.p[l->at] == ']' ? QDI_T_RANGEIN_END : QDI_T_RANGEEX_END, 1, out);
    }
    size_t quoted = s.p[l->at] == '"' ? closed(l, '"', false) : 0;
    if (quoted > 2 && quoted >= n) return take(l, QDI_T_RANGE_QUOTED, quoted, out);
    if (n == 0) return error_at(l, l->at, err);
    if (qd_str_is(qd_str_sub(s, l->at, n), "TO")) return take(l, QDI_T_RANGE_TO, n, out);
    return take(l, QDI_T_RANGE_GOOP, n, out);
}

int qdi_lex_next(qdi_lexer *l, qdi_lex_token *out, qd_err *err)
{
    skip_space(l);
    if (l->at >= l->text.n) {
        *out = (qdi_lex_token){QDI_T_EOF, {l->text.p + l->text.n, 0}};
        return 0;
    }
    switch (l->state) {
    case QDI_LEX_BOOST:
        return lex_boost(l, out, err);
    case QDI_LEX_RANGE:
        return lex_range(l, out, err);
    default:
        return lex_default(l, out, err);
    }
}
