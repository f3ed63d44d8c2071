/*
 * term_parts.c: what a wildcard pattern asks of a text: its beginning, its end, and texts between,
 * each with characters that may be any. Bytes are compared; UTF-8 lets no character begin inside
 * another one, so only those that may be any are counted.
 */
#include "segment/terms/term_block_int.h"

#define ANY QD_TERM_ANY

static inline bool continues(char c)
{
    return ((uint8_t)c & 0xc0) == 0x80;
}

/* Behind the character at p < end. */
static inline const char *skip_forward(const char *p, const char *end)
{
    p++;
    while (p < end && continues(*p)) p++;
    return p;
}

/* The end of pattern where it stands at p; NULL: it does not. */
static const char *match_here(qd_str pattern, const char *p, const char *end)
{
    for (size_t i = 0; i < pattern.n; i++) {
        if (p == end) return NULL;
        if (pattern.p[i] == ANY)
            p = skip_forward(p, end);
        else if (pattern.p[i] != *p++)
            return NULL;
    }
    return p;
}

/* The beginning of pattern where it ends at p, not before `from`; NULL: it does not. */
static const char *match_back(qd_str pattern, const char *from, const char *p)
{
    for (size_t i = pattern.n; i-- > 0;) {
        if (p == from) return NULL;
        p--;
        if (pattern.p[i] != ANY) {
            if (pattern.p[i] != *p) return NULL;
            continue;
        }
        while (p > from && continues(*p)) p--;
    }
    return p;
}

/* The end of the first place in [p, end) where pattern stands; NULL: there is none. Each of its
 * characters takes one, so what begins first ends first. */
static const char *find(qd_str pattern, const char *p, const char *end)
{
    size_t lead = 0, n = 0;
    while (lead < pattern.n && pattern.p[lead] == ANY) {
        if (p == end) return NULL;
        p = skip_forward(p, end);
        lead++;
    }
    while (lead + n < pattern.n && pattern.p[lead + n] != ANY) n++;
    if (n == 0) return p;
    qd_str rest = {pattern.p + lead + n, pattern.n - lead - n};
    for (; (p = memmem(p, (size_t)(end - p), pattern.p + lead, n)); p++) {
        const char *to = match_here(rest, p + n, end);
        if (to) return to;
    }
    return NULL;
}

qdi_term_parts qdi_term_parts_of(const qd_term_range *r)
{
    qdi_term_parts x = {.prefix = r->prefix.n,
                        .head = r->head,
                        .suffix = r->suffix,
                        .inner = r->inner,
                        .ninner = r->ninner,
                        .plain = true};
    while (x.literal < r->suffix.n && r->suffix.p[r->suffix.n - 1 - x.literal] != ANY) x.literal++;
    for (uint32_t i = 0; i < r->ninner; i++)
        if (memchr(r->inner[i].p, ANY, r->inner[i].n)) x.plain = false;
    return x;
}

/* Where part stands in [p, end). memmem prepares a table at each call, which costs more than the
 * search of a text as short as most terms. */
static const char *within(const char *p, const char *end, qd_str part)
{
    if (end - p > 64 || part.n < 2) return memmem(p, (size_t)(end - p), part.p, part.n);
    if ((size_t)(end - p) < part.n) return NULL;
    for (const char *last = end - part.n + 1; p < last; p++) {
        p = memchr(p, part.p[0], (size_t)(last - p));
        if (!p || memcmp(p + 1, part.p + 1, part.n - 1) == 0) return p;
    }
    return NULL;
}

bool qdi_term_has_parts(const qdi_term_parts *x, qd_str text)
{
    size_t tail = x->suffix.n - x->literal;
    if (text.n < x->prefix + x->literal) return false;
    const char *p = text.p + x->prefix, *end = text.p + text.n - x->literal;
    if (x->literal && memcmp(end, x->suffix.p + tail, x->literal) != 0) return false;
    if (x->head.n && !(p = match_here(x->head, text.p, end))) return false;
    if (tail && !(end = match_back((qd_str){x->suffix.p, tail}, p, end))) return false;
    for (uint32_t i = 0; i < x->ninner; i++) {
        const qd_str *part = &x->inner[i];
        p = x->plain ? within(p, end, *part) : find(*part, p, end);
        if (!p) return false;
        if (x->plain) p += part->n;
    }
    return true;
}
