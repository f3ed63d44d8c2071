/*
 * html.c: the char filter html_strip: takes tags, comments, scripts and styles out and resolves
 * character references, byte for byte as Lucene's HTMLStripCharFilter (its grammar's longest
 * match).
 *
 * Tags of block elements and br become a newline, so that words do not run together; inline tags
 * vanish; the bodies of script and style go with their tags (one newline). What is no markup
 * ("a < b", "AT&T") stays; markup that the end of the text cuts off goes.
 */
#include "analysis/builtin_int.h"
#include "analysis/charfilter/charfilter_int.h"

typedef struct strip {
    qd_part head;
    QD_VEC(qd_str) kept; /* escaped_tags: left in the text; owned */
} strip;

typedef struct stripper {
    const strip *f;
    qd_analysis *s;
    qd_filtered *to;
    const char *p, *end;
    uint32_t units;   /* of the output */
    int32_t diff;     /* input unit = output unit + diff */
    const char *gt;   /* the last '>' looked up; end: there is none behind */
    size_t allowance; /* characters that searches for the ends of tags may still look at */
} stripper;

static uint32_t units_of(const char *p, const char *end)
{
    uint32_t n = 0;
    for (; p < end; p++) n += (((unsigned char)*p & 0xC0) != 0x80) + ((unsigned char)*p >= 0xF0);
    return n;
}

/* Input up to `upto` becomes n bytes at out. */
static int put(stripper *x, const char *upto, const char *out, size_t n)
{
    uint32_t in = units_of(x->p, upto), made = units_of(out, out + n);
    int rc = qd_filtered_add(x->s, x->to, out, n);
    x->units += made;
    if (!rc && in != made) {
        x->diff += (int32_t)in - (int32_t)made;
        rc = qd_fix_add(x->s, x->to, x->units, x->diff);
    }
    x->p = upto;
    return rc;
}

/* White space (Unicode's White_Space) at p: its bytes, or 0. */
static size_t space_at(const char *p, const char *end)
{
    if (p == end) return 0;
    if (!(*p & 0x80)) return *p == ' ' || (*p >= 9 && *p <= 13);
    uint32_t c;
    size_t n = qd_u8_next(p, end, &c);
    uint32_t bit = QD_GC_BIT(QD_TABLE_AT(qd_gc, c));
    const uint32_t z = QD_GC_BIT(QD_GC_ZS) | QD_GC_BIT(QD_GC_ZL) | QD_GC_BIT(QD_GC_ZP);
    return c == 0x85 || (bit & z) ? n : 0;
}

static const char *spaces(const char *p, const char *end)
{
    for (size_t n; (n = space_at(p, end)) > 0;) p += n;
    return p;
}

#define ID_START (QD_GC_LETTER | QD_GC_BIT(QD_GC_NL))
#define ID_MORE                                                                                    \
    (QD_GC_BIT(QD_GC_MN) | QD_GC_BIT(QD_GC_MC) | QD_GC_BIT(QD_GC_ND) | QD_GC_BIT(QD_GC_PC))

/* A character of a name at p (XML's Name over ID_Start and ID_Continue of UAX #31): its bytes. */
static size_t name_at(const char *p, const char *end, bool first)
{
    uint32_t c;
    if (p == end) return 0;
    size_t n = qd_u8_next(p, end, &c);
    uint32_t bit = QD_GC_BIT(QD_TABLE_AT(qd_gc, c));
    if (c == ':' || c == '_' || (bit & ID_START) || (c >= 0x1885 && c <= 0x1886) || c == 0x2118 ||
        c == 0x212E || c == 0x309B || c == 0x309C)
        return c == 0x2E2F ? 0 : n;
    bool more = c == '-' || c == '.' || (bit & ID_MORE) || c == 0xB7 || c == 0x387 ||
                (c >= 0x1369 && c <= 0x1371) || c == 0x19DA;
    return more && !first ? n : 0;
}

static const char *name_end(const char *p, const char *end)
{
    size_t n = name_at(p, end, true);
    for (; n > 0; n = name_at(p, end, false)) p += n;
    return p;
}

static bool inline_tag(qd_str name)
{
    static const char *const tags[] = {
        "a",      "abbr", "acronym", "b",        "basefont", "bdo",   "big",   "cite",
        "code",   "dfn",  "em",      "font",     "i",        "img",   "input", "kbd",
        "label",  "q",    "s",       "samp",     "select",   "small", "span",  "strike",
        "strong", "sub",  "sup",     "textarea", "tt",       "u",     "var",
    };
    for (size_t i = 0; i < QD_COUNT_OF(tags); i++)
        if (qd_str_ieq(name, qd_str_c(tags[i]))) return true;
    return false;
}

static bool kept_tag(const strip *f, qd_str name)
{
    for (size_t i = 0; i < f->kept.n; i++)
        if (qd_str_ieq(name, f->kept.at[i])) return true;
    return false;
}

/* Where a tag's content may stand: the states of the grammar, taken all at once. */
enum {
    CONTENT = 1 << 0, /* anything but < and > */
    GAP = 1 << 1,     /* space before an attribute */
    OPEN1 = 1 << 2,   /* a server side include: "<!--#", bit by bit */
    OPEN2 = 1 << 3,
    OPEN3 = 1 << 4,
    OPEN4 = 1 << 5,
    INCLUDE = 1 << 6,
    CLOSE1 = 1 << 7, /* its "-->" */
    CLOSE2 = 1 << 8,
    QUOTED = 1 << 12,   /* 1 << 12..15: in '…', behind a \ there, in "…", behind a \ there */
    I_QUOTED = 1 << 16, /* the same four within an include */
};

/* The names of attributes whose quoted values may hold < and >, behind "on". */
static const char *const events[] = {
    "abort",     "blur",     "change", "click",  "dblclick",  "error",     "focus",
    "keydown",   "keypress", "keyup",  "load",   "mousedown", "mousemove", "mouseout",
    "mouseover", "reset",    "select", "submit", "unload",
};

/* The inside of the value of an event attribute that begins at p, or NULL. */
static const char *event_value(const char *p, const char *end)
{
    if (end - p < 4 || (p[0] | 32) != 'o' || (p[1] | 32) != 'n') return NULL;
    p += 2;
    for (size_t i = 0; i < QD_COUNT_OF(events); i++) {
        size_t n = strlen(events[i]);
        if ((size_t)(end - p) < n || !qd_str_ieq((qd_str){p, n}, qd_str_c(events[i]))) continue;
        const char *q = spaces(p + n, end);
        if (q == end || *q != '=') continue;
        q = spaces(q + 1, end);
        return q < end && (*q == '"' || *q == '\'') ? q + 1 : NULL;
    }
    return NULL;
}

/* The states of a quoted string (first bit: single) after a byte; it returns to `back`. */
static uint32_t in_quotes(uint32_t set, unsigned first, char c, uint32_t back)
{
    uint32_t to = 0;
    for (unsigned k = 0; k < 2; k++) {
        uint32_t in = 1u << (first + 2 * k), escaped = in << 1;
        char quote = k ? '"' : '\'';
        if (set & in) to |= c == quote ? back : c == '\\' ? in | escaped : in;
        if ((set & escaped) && c == quote) to |= in;
    }
    return to;
}

/* The states after the character at p. */
static uint32_t tag_step(uint32_t set, const char *p, const char *end)
{
    char c = *p;
    bool space = space_at(p, end) > 0;
    uint32_t to = in_quotes(set, 12, c, CONTENT) | in_quotes(set, 16, c, INCLUDE);
    if (set & CONTENT) {
        if (c == '<')
            to |= OPEN1;
        else if (c != '>')
            to |= CONTENT | (space ? GAP : 0);
    }
    if ((set & GAP) && space) to |= GAP;
    if ((set & OPEN1) && c == '!') to |= OPEN2;
    if ((set & OPEN2) && c == '-') to |= OPEN3;
    if ((set & OPEN3) && c == '-') to |= OPEN4;
    if ((set & OPEN4) && c == '#') to |= INCLUDE;
    if (set & INCLUDE)
        to |= c == '\''  ? I_QUOTED
              : c == '"' ? I_QUOTED << 2
              : c == '-' ? INCLUDE | CLOSE1
                         : INCLUDE;
    if ((set & CLOSE1) && c == '-') to |= CLOSE2;
    if ((set & CLOSE2) && c == '>') to |= CONTENT;
    return to;
}

/* The next '>' at or behind p, or NULL; the answer serves until p passes it. */
static const char *next_gt(stripper *x, const char *p)
{
    if (!x->gt || (x->gt < p && x->gt != x->end)) {
        const char *gt = memchr(p, '>', (size_t)(x->end - p));
        x->gt = gt ? gt : x->end;
    }
    return x->gt == x->end ? NULL : x->gt;
}

/* The end of a start tag whose name ends at q: behind the last '>' that the grammar allows, or
 * NULL. */
static const char *tag_end(stripper *x, const char *q)
{
    const char *end = x->end, *last = NULL, *gt = next_gt(x, q);
    if (!gt) return NULL;
    size_t n = *q == '=' ? 1 : space_at(q, end);
    if (n == 0) return gt == q || (gt == q + 1 && *q == '/') ? gt + 1 : NULL;
    /* all states at once while the text's allowance lasts (quotes may reach far, and every tag may
     * begin such a search); then only as far as the next < or > */
    const char *p = q + n, *value = NULL;
    for (uint32_t set = *q == '=' ? CONTENT : CONTENT | GAP; (set || value) && p < end; p += n) {
        if (p == value) {
            set |= p[-1] == '"' ? QUOTED << 2 : QUOTED;
            value = NULL;
        }
        if ((set & GAP) && !value) value = event_value(p, end);
        if (x->allowance == 0)
            return last ? last : memchr(q, '<', (size_t)(gt - q)) ? NULL : gt + 1;
        uint32_t cp;
        n = qd_u8_next(p, end, &cp);
        if ((set & CONTENT) && *p == '>') last = p + 1;
        set = tag_step(set, p, end);
        x->allowance--;
    }
    return last;
}

/* Behind the next occurrence of needle, or the end of the text. */
static const char *behind(const char *q, const char *end, qd_str needle)
{
    const char *at = memmem(q, (size_t)(end - q), needle.p, needle.n);
    return at ? at + needle.n : end;
}

/* Behind the quote that ends a string whose inside begins at p, or the end of the text. */
static const char *string_end(const char *p, const char *end, char quote)
{
    for (; p < end; p++) {
        if (*p == '\\') {
            if (++p == end) break;
        } else if (*p == quote) {
            return p + 1;
        }
    }
    return end;
}

/* Behind the "-->" that ends a comment or an include whose inside begins at p. In an include, and
 * in the comments of scripts, strings are skipped; comments (not includes) may hold includes. */
static const char *comment_end(const char *p, const char *end, bool include, bool strings)
{
    while (p < end) {
        size_t room = (size_t)(end - p);
        if (room >= 3 && memcmp(p, "-->", 3) == 0) return p + 3;
        if (!include && room >= 5 && memcmp(p, "<!--#", 5) == 0) {
            p = comment_end(p + 5, end, true, true);
        } else if (strings && (*p == '\'' || *p == '"')) {
            p = string_end(p + 1, end, *p);
        } else {
            p++;
        }
    }
    return end;
}

/* The body of a script or style begins at p: where its end tag begins; *close: behind that. Both
 * are the end of the text when there is none. */
static const char *body_end(const char *p, const char *end, qd_str name, const char **close)
{
    while (p < end) {
        const char *lt = memchr(p, '<', (size_t)(end - p));
        if (!lt) break;
        p = lt + 1;
        if (end - p >= 3 && memcmp(p, "!--", 3) == 0) {
            p = comment_end(p + 3, end, false, true);
        } else if (p < end && *p == '/') {
            const char *q = spaces(p + 1, end);
            if ((size_t)(end - q) < name.n || !qd_str_ieq((qd_str){q, name.n}, name)) continue;
            q = spaces(q + name.n, end);
            if (q == end || *q != '>') continue;
            *close = q + 1;
            return lt;
        }
    }
    *close = end;
    return end;
}

/* "<!" at x->p: a comment and a declaration vanish; a CDATA section's inside stays as it is, and so
 * does all that follows a "<!" without '>'. */
static int strip_bang(stripper *x)
{
    const char *p = x->p + 2, *end = x->end;
    size_t room = (size_t)(end - p);
    if (room >= 2 && memcmp(p, "--", 2) == 0)
        return put(x, comment_end(p + 2, end, false, false), "", 0);
    if (room >= 7 && memcmp(p, "[CDATA[", 7) == 0) {
        const char *stop = behind(p + 7, end, QD_STR("]]>"));
        bool closed = stop - p >= 10 && memcmp(stop - 3, "]]>", 3) == 0;
        int rc = put(x, p + 7, "", 0);
        if (!rc)
            rc = put(x, closed ? stop - 3 : end, x->p, (size_t)((closed ? stop - 3 : end) - x->p));
        return rc || !closed ? rc : put(x, stop, "", 0);
    }
    const char *gt = next_gt(x, p);
    return gt ? put(x, gt + 1, "", 0) : put(x, end, x->p, (size_t)(end - x->p));
}

/* A script or style whose start tag ends at body: tags and inside become a newline; an escaped one
 * keeps its tags. */
static int strip_body(stripper *x, const char *body, qd_str name)
{
    const char *close, *from = body_end(body, x->end, name, &close);
    if (!kept_tag(x->f, name)) return put(x, close, "\n", from < x->end);
    int rc = put(x, body, x->p, (size_t)(body - x->p));
    if (!rc) rc = put(x, from, "", 0);
    return rc ? rc : put(x, close, x->p, (size_t)(close - x->p));
}

/* '<' at x->p. */
static int strip_markup(stripper *x)
{
    const char *p = x->p, *end = x->end, *q = p + 1;
    if (q < end && *q == '!') return strip_bang(x);
    if (q < end && *q == '?') {
        const char *gt = next_gt(x, q + 1);
        bool ends = gt && gt > q + 1 && (gt[-1] == '?' || gt[-1] == '/');
        return ends ? put(x, gt + 1, "", 0) : put(x, q, p, 1);
    }
    bool closing = q < end && *q == '/';
    const char *name = spaces(q + closing, end), *behind_name = name_end(name, end), *stop = NULL;
    qd_str tag = {name, (size_t)(behind_name - name)};
    if (tag.n == 0) return put(x, q, p, 1);
    /* the text ends within or right behind the name */
    if (behind_name == end)
        return kept_tag(x->f, tag) ? put(x, end, p, (size_t)(end - p)) : put(x, end, "", 0);
    if (closing) {
        const char *gt = spaces(behind_name, end);
        if (gt < end && *gt == '>') stop = gt + 1;
    } else {
        stop = tag_end(x, behind_name);
    }
    if (!stop) return put(x, q, p, 1);
    bool body = qd_str_ieq(tag, QD_STR("script")) || qd_str_ieq(tag, QD_STR("style"));
    if (body && !closing) return strip_body(x, stop, tag);
    if (kept_tag(x->f, tag)) return put(x, stop, p, (size_t)(stop - p));
    return put(x, stop, "\n", inline_tag(tag) ? 0 : 1);
}

/* The number of a numeric reference "#…" at p: hexadecimal of at most 5 digits, decimal of at most
 * 7, as the grammar bounds them. Its end, or NULL. */
static const char *number(const char *p, const char *end, uint32_t *cp)
{
    bool hex = ++p < end && (*p | 32) == 'x';
    const char *digits = p += hex;
    uint32_t v = 0;
    for (; p < end; p++) {
        int c = *p | 32, d = *p >= '0' && *p <= '9'        ? *p - '0'
                             : hex && c >= 'a' && c <= 'f' ? c - 'a' + 10
                                                           : -1;
        if (d < 0) break;
        if (p - digits < 8) v = v * (hex ? 16 : 10) + (uint32_t)d;
    }
    if (p == digits || p - digits > (hex ? 5 : 7) || v > 0x10FFFF) return NULL;
    *cp = v;
    return p;
}

/* A character reference at x->p: its end and code point; NULL when it is none. It ends with ';', or
 * with the text. */
static const char *reference(const stripper *x, uint32_t *cp)
{
    const char *p = x->p + 1, *end = x->end, *q;
    if (p < end && *p == '#') {
        if (!(q = number(p, end, cp))) return NULL;
        uint32_t low;
        if (*cp >= 0xD800 && *cp < 0xDC00 && end - q >= 4 && memcmp(q, ";&#", 3) == 0) {
            const char *r = number(q + 2, end, &low);
            if (r && low >= 0xDC00 && low < 0xE000 && r < end && *r == ';') {
                *cp = 0x10000 + ((*cp - 0xD800) << 10) + (low - 0xDC00);
                return r + 1;
            }
        }
        if (*cp >= 0xD800 && *cp < 0xE000) *cp = 0xFFFD;
    } else {
        for (q = p; q < end && q - p < 10; q++)
            if (!((*q >= '0' && *q <= '9') || ((*q | 32) >= 'a' && (*q | 32) <= 'z'))) break;
        *cp = qd_html_entity(p, (size_t)(q - p));
        if (*cp == 0) return NULL;
        if (*cp == 0xA0) *cp = ' '; /* a no-break space by name parts words */
    }
    if (q == end) return q;
    return *q == ';' ? q + 1 : NULL;
}

static int strip_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)err;
    stripper x = {.f = (const strip *)p, .s = s, .p = s->src, .end = s->src + s->nsrc};
    x.allowance = 65536 + 16 * s->nsrc;
    int rc = qd_filtered_begin(s, &x.to);
    while (!rc && x.p < x.end) {
        const char *q = x.p, *upto;
        while (q < x.end && *q != '<' && *q != '&') q++;
        if ((rc = put(&x, q, x.p, (size_t)(q - x.p))) || q == x.end) break;
        uint32_t cp = 0;
        char u[4];
        if (*q == '<') {
            rc = strip_markup(&x);
        } else {
            upto = reference(&x, &cp);
            rc = upto ? put(&x, upto, u, qd_u8_put(u, cp)) : put(&x, q + 1, q, 1);
        }
    }
    if (!rc) qd_filtered_end(s, x.to);
    return rc;
}

static void strip_free(qd_part *p)
{
    strip *f = (strip *)p;
    for (size_t i = 0; i < f->kept.n; i++) qd_free((char *)(uintptr_t)f->kept.at[i].p);
    qd_vec_fini(&f->kept);
    qd_part_release(p);
}

static const qd_part_ops ops = {strip_run, strip_free, NULL};

int qd_make_html_strip(const qd_part_conf *c, qd_part **out, qd_err *err)
{
    int rc = qd_part_alloc(c, sizeof(strip), QD_STAGE_CHAR_FILTER, &ops, out, err);
    if (rc) return rc;
    strip *f = (strip *)*out;
    qd_str tag;
    for (size_t i = 0; qd_conf_list(c, "escaped_tags", i, &tag); i++) {
        char *copy = qd_memdup(NULL, tag.p, tag.n);
        if (copy && !qd_vec_push(&f->kept, NULL, ((qd_str){copy, tag.n}))) continue;
        qd_free(copy);
        strip_free(*out);
        return qd_err_nomem(err, "escaped_tags");
    }
    return 0;
}
