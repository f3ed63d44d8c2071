/* utf8.c: UTF-8 by hand; ASCII runs go eight bytes at a time. See utf8.h. */
#include "base/utf8.h"
#include "base/bits.h"
#include <string.h>

#define HIGH_BITS 0x8080808080808080ull

/* Length of the valid sequence at p, 0 if invalid. */
static size_t sequence(const unsigned char *p, const unsigned char *end, uint32_t *cp)
{
    uint32_t c = p[0];
    size_t left = (size_t)(end - p);
    if (c < 0x80) {
        *cp = c;
        return 1;
    }
    if (c < 0xc2 || c > 0xf4) return 0;
    size_t n = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    if (left < n) return 0;
    uint32_t v = c & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) return 0;
        v = v << 6 | (p[i] & 0x3fu);
    }
    if ((n == 3 && (v < 0x800 || (v >= 0xd800 && v < 0xe000))) ||
        (n == 4 && (v < 0x10000 || v > 0x10ffff))) {
        return 0;
    }
    *cp = v;
    return n;
}

bool qd_utf8_valid(qd_str s, size_t *bad)
{
    const unsigned char *p = (const unsigned char *)s.p, *end = p + s.n;
    while (p < end) {
        if (end - p >= 8 && !(qd_get_u64le(p) & HIGH_BITS)) {
            p += 8;
            continue;
        }
        uint32_t cp;
        size_t n = sequence(p, end, &cp);
        if (!n) {
            if (bad) *bad = (size_t)(p - (const unsigned char *)s.p);
            return false;
        }
        p += n;
    }
    return true;
}

size_t qd_utf8_next(const char *p, const char *end, uint32_t *cp)
{
    size_t n = sequence((const unsigned char *)p, (const unsigned char *)end, cp);
    if (n) return n;
    *cp = 0xfffd;
    return 1;
}

size_t qd_utf8_put(char *out, uint32_t cp)
{
    if (cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000)) cp = 0xfffd;
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    size_t n = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, cp >>= 6) out[i] = (char)(0x80 | (cp & 0x3f));
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    out[0] = (char)(lead[n] | cp);
    return n;
}

size_t qd_utf8_points(qd_str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

size_t qd_utf8_utf16(qd_str s)
{
    size_t n = 0, i = 0;
    for (; s.n - i >= 8; i += 8) { /* eight at a time: all but continuations, leads of four twice */
        const uint64_t ones = 0x0101010101010101u;
        uint64_t x;
        memcpy(&x, s.p + i, 8);
        uint64_t cont = x >> 7 & ~(x >> 6) & ones, four = x >> 7 & x >> 6 & x >> 5 & x >> 4 & ones;
        n += 8 - (size_t)__builtin_popcountll(cont) + (size_t)__builtin_popcountll(four);
    }
    for (; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        n += ((c & 0xc0) != 0x80) + (c >= 0xf0);
    }
    return n;
}

size_t qd_utf8_offset(qd_str s, size_t n)
{
    size_t i = 0;
    while (i < s.n) {
        if (((unsigned char)s.p[i] & 0xc0) != 0x80 && n-- == 0) break;
        i++;
    }
    return i;
}
