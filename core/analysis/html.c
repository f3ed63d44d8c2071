/*
 * html.c: the char filter html_strip: takes tags, comments, scripts and styles out and resolves
 * character references.
 *
 * Tags of block elements and br become a newline, so that words do not run together; inline tags
 * vanish; the bodies of script and style go with their tags (one newline). What is no markup
 * ("a < b", "AT&T") stays. Lucene's HTMLStripCharFilter decides the same on well-formed text.
 */
#include "analysis/builtin_int.h"
#include "analysis/charfilter_int.h"

typedef struct strip {
    qd_part head;
    QD_VEC(qd_str) kept; /* escaped_tags: left in the text; owned */
} strip;

typedef struct stripper {
    const strip *f;
    qd_analysis *s;
    qd_filtered *to;
    const char *p, *end;
    uint32_t units; /* of the output */
    int32_t diff;   /* input unit = output unit + diff */
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

static bool name_char(char c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '_' || c == '-' ||
           c == ':' || c == '.' || (c & 0x80);
}

static bool is_space(char c)
{
    return c == ' ' || (c >= 9 && c <= 13);
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

/* The end of a tag whose name ends at q, or NULL when it is none. As in Lucene the first '>' ends
 * it, in quotes or not. */
static const char *tag_end(const char *q, const char *end)
{
    if (q < end && !is_space(*q) && *q != '>' && *q != '/') return NULL;
    while (q < end && *q != '>' && *q != '<') q++;
    return q < end && *q == '>' ? q + 1 : NULL;
}

/* Behind the next occurrence of needle (any case), or the end of the text. */
static const char *behind(const char *q, const char *end, qd_str needle)
{
    for (; (size_t)(end - q) >= needle.n; q++)
        if (qd_str_ieq((qd_str){q, needle.n}, needle)) return q + needle.n;
    return end;
}

/* Markup that begins with "<!" or "<?". */
static const char *declaration(const char *p, const char *end)
{
    size_t n = (size_t)(end - p);
    if (n >= 4 && memcmp(p, "<!--", 4) == 0) return behind(p + 4, end, QD_STR("-->"));
    const char *close = memchr(p, '>', n);
    if (p[1] == '?') {
        if (n < 5 || !name_char(p[2])) return NULL;
        const char *stop = behind(p + 3, end, QD_STR("?>"));
        return memcmp(stop - 2, "?>", 2) == 0 ? stop : NULL;
    }
    if (n > 2 && ((p[2] | 32) >= 'a' && (p[2] | 32) <= 'z')) return close ? close + 1 : NULL;
    return NULL;
}

/* What '<' at x->p begins; *out is what it becomes. Returns its end, NULL when it is no markup. */
static const char *markup(const stripper *x, const char **out)
{
    const char *p = x->p, *end = x->end, *q = p + 1;
    *out = "";
    if (q == end) return NULL;
    if (*q == '!' || *q == '?') return declaration(p, end);
    bool closing = *q == '/';
    if (closing) q++;
    while (q < end && is_space(*q)) q++;
    const char *name = q;
    if (q == end || !((*q | 32) >= 'a' && (*q | 32) <= 'z')) return NULL;
    while (q < end && name_char(*q)) q++;
    qd_str tag = {name, (size_t)(q - name)};
    const char *stop = tag_end(q, end);
    if (!stop || kept_tag(x->f, tag)) return NULL;
    if (!inline_tag(tag)) *out = "\n";
    bool script = qd_str_ieq(tag, QD_STR("script")), style = qd_str_ieq(tag, QD_STR("style"));
    if (!closing && (script || style)) {
        const char *close = behind(stop, end, script ? QD_STR("</script") : QD_STR("</style"));
        const char *gt = memchr(close, '>', (size_t)(end - close));
        return gt ? gt + 1 : end;
    }
    return stop;
}

/* A character reference at x->p: its end and code point; NULL when it is none. */
static const char *reference(const stripper *x, uint32_t *cp)
{
    const char *p = x->p + 1, *end = x->end;
    uint32_t v = 0;
    if (p < end && *p == '#') {
        bool hex = ++p < end && (*p | 32) == 'x';
        const char *digits = p += hex;
        for (; p < end && v < 0x110000; p++) {
            int c = *p | 32, d = *p >= '0' && *p <= '9'        ? *p - '0'
                                 : hex && c >= 'a' && c <= 'f' ? c - 'a' + 10
                                                               : -1;
            if (d < 0) break;
            v = v * (hex ? 16 : 10) + (uint32_t)d;
        }
        if (p == digits || v == 0 || v >= 0x110000 || (v >= 0xD800 && v < 0xE000)) return NULL;
    } else {
        const char *name = p;
        while (p < end && p - name < 10 &&
               ((*p >= '0' && *p <= '9') || ((*p | 32) >= 'a' && (*p | 32) <= 'z')))
            p++;
        v = qd_html_entity(name, (size_t)(p - name));
        if (!v) return NULL;
    }
    *cp = v == 0xA0 ? ' ' : v; /* a no-break space parts words */
    return p < end && *p == ';' ? p + 1 : p;
}

static int strip_run(const qd_part *p, qd_analysis *s, qd_err *err)
{
    (void)err;
    stripper x = {.f = (const strip *)p, .s = s, .p = s->src, .end = s->src + s->nsrc};
    int rc = qd_filtered_begin(s, &x.to);
    while (!rc && x.p < x.end) {
        const char *q = x.p, *out, *upto;
        while (q < x.end && *q != '<' && *q != '&') q++;
        if ((rc = put(&x, q, x.p, (size_t)(q - x.p))) || q == x.end) break;
        uint32_t cp = 0;
        char u[4];
        if (*q == '<') {
            upto = markup(&x, &out);
            rc = upto ? put(&x, upto, out, strlen(out)) : put(&x, q + 1, q, 1);
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
