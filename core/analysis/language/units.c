/*
 * units.c: terms to UTF-16 units and back around a function that rewrites them, and tables of
 * endings.
 */
#include "analysis/language/units_int.h"

typedef struct rewriter {
    qd_part head;
    qd_units_fn *fn;
    bool stems;
} rewriter;

static int to_units(const char *p, const char *end, char16_t *out)
{
    int n = 0;
    while (p < end) {
        uint32_t cp;
        p += qd_u8_next(p, end, &cp);
        if (cp > 0xFFFF) {
            out[n++] = (char16_t)(0xD7C0 + (cp >> 10));
            out[n++] = (char16_t)(0xDC00 + (cp & 0x3FF));
        } else {
            out[n++] = (char16_t)cp;
        }
    }
    return n;
}

/* Half a pair becomes U+FFFD, as in Lucene's terms. */
static size_t from_units(const char16_t *b, int n, char *out)
{
    char *at = out;
    for (int i = 0; i < n; i++) {
        uint32_t cp = b[i];
        if (cp >= 0xD800 && cp < 0xDC00 && i + 1 < n && b[i + 1] >= 0xDC00 && b[i + 1] < 0xE000)
            cp = (cp - 0xD7C0) << 10 | (b[++i] & 0x3FFu);
        else if (cp >= 0xD800 && cp < 0xE000)
            cp = 0xFFFD;
        at += qd_u8_put(at, cp);
    }
    return (size_t)(at - out);
}

static int rewrite(qd_analysis *s, qd_units_fn *fn, size_t i)
{
    size_t n = qd_term_len(s, i);
    char *p = qd_term_ptr(s, i);
    char16_t *b = s->work;
    int units = to_units(p, p + n, b), is = units ? fn(b, units) : 0;
    qd_span *span = &s->b->t.term[i];
    if ((size_t)is * 3 <= n) {
        span->to = span->from + (uint32_t)from_units(b, is, p);
        return 0;
    }
    int rc = qd_text_reserve(s, (size_t)is * 3 + 4);
    if (rc) return rc;
    size_t len = from_units(b, is, s->text + s->ntext);
    if (len <= n) {
        memcpy(qd_term_ptr(s, i), s->text + s->ntext, len);
        span->to = span->from + (uint32_t)len;
        return 0;
    }
    *span = (qd_span){(uint32_t)s->ntext, (uint32_t)(s->ntext + len)};
    s->ntext += len;
    return 0;
}

static int rewrite_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)err;
    const rewriter *f = (const rewriter *)p;
    const qd_tokens *t = &s->b->t;
    int rc = qd_text_unshare(s);
    for (size_t i = 0; !rc && i < t->n; i++) {
        if (f->stems && (t->has & QD_TOKENS_KEYWORD) && t->keyword[i]) continue;
        rc = qd_work_reserve(s, (qd_term_len(s, i) * 2 + QD_UNITS_ROOM) * sizeof(char16_t));
        if (!rc) rc = rewrite(s, f->fn, i);
    }
    return rc;
}

static const qd_part_ops rewrite_ops = {rewrite_run, qd_part_release, NULL};

int qd_units_make(const qd_part_conf *c, qd_units_fn *fn, bool stems, qd_part **out, qd_err *err)
{
    int rc = qd_part_alloc(c, sizeof(rewriter), QD_STAGE_FILTER, &rewrite_ops, out, err);
    if (rc) return rc;
    ((rewriter *)*out)->fn = fn;
    ((rewriter *)*out)->stems = stems;
    (*out)->normalizes = !stems;
    (*out)->keywords = stems;
    return 0;
}

/* --- endings --- */

static bool vowel(char16_t c)
{
    return qd_unit_of(c, u"aeiouy");
}

/* One unit of a word of a list; before: the unit of the term in front, 0 at the word's start. */
static bool unit_fits(char16_t w, char16_t c, char16_t before, char16_t *any)
{
    switch (w) {
    case '?':
        *any = c;
        return true;
    case '@':
        return vowel(c);
    case '#':
        return !vowel(c);
    case '=':
        return c == before;
    default:
        return w == c;
    }
}

/* The word at *list against the end of b; *list moves behind it. *any: what ? met. */
static bool ends_with(const char16_t *b, int n, const char16_t **list, char16_t *any)
{
    int len = 0;
    const char16_t *w = *list;
    while (w[len] && w[len] != ' ') len++;
    *list = w + len + (w[len] == ' ');
    if (len > n) return false;
    for (int i = 0; i < len; i++)
        if (!unit_fits(w[i], b[n - len + i], i ? b[n - len + i - 1] : 0, any)) return false;
    return true;
}

bool qd_units_end_any(const char16_t *b, int n, const char16_t *list)
{
    char16_t any;
    while (*list)
        if (ends_with(b, n, &list, &any)) return true;
    return false;
}

bool qd_units_end(const char16_t *b, int n, const char16_t *s)
{
    return qd_units_end_any(b, n, s);
}

bool qd_units_in(const char16_t *b, int n, const char16_t *list)
{
    while (*list) {
        int i = 0;
        while (i < n && list[i] == b[i]) i++;
        if (i == n && (!list[i] || list[i] == ' ')) return true;
        while (*list && *list != ' ') list++;
        while (*list == ' ') list++;
    }
    return false;
}

bool qd_unit_of(char16_t c, const char16_t *set)
{
    for (; *set; set++)
        if (*set == c) return true;
    return false;
}

void qd_units_map(char16_t *b, int n, const char16_t *pairs)
{
    for (int i = 0; i < n; i++)
        for (const char16_t *p = pairs; *p; p += 2)
            if (*p == b[i]) {
                b[i] = p[1];
                break;
            }
}

int qd_units_cut(char16_t *b, int n, int at, int count)
{
    memmove(b + at, b + at + count, (size_t)(n - at - count) * sizeof *b);
    return n - count;
}

int qd_units_gap(char16_t *b, int n, int at)
{
    memmove(b + at + 1, b + at, (size_t)(n - at) * sizeof *b);
    return n + 1;
}

/* Applies a rule if it fits; *n is the length. */
static bool rule_fits(const qd_rule *r, char16_t *b, int *n)
{
    if (*n <= r->over) return false;
    char16_t any = 0;
    bool fits = false;
    for (const char16_t *list = r->ends; *list && !fits;) fits = ends_with(b, *n, &list, &any);
    if (!fits) return false;
    *n -= r->cut;
    for (const char16_t *put = r->put ? r->put : u""; *put; put++)
        b[(*n)++] = *put == '?' ? any : *put;
    return true;
}

int qd_rules_run(const qd_rule *r, char16_t *b, int n)
{
    for (;; r++) {
        while (r->ends && !rule_fits(r, b, &n)) r++;
        if (r->ends && r->then == QD_RULE_STOP) return n;
        while (r->ends) r++;
        if (r->over == 255) return n;
    }
}
