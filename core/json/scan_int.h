/*
 * scan_int.h: bytes of a string by blocks: where it stops (quote, backslash, control character) and
 * whether bytes beyond ASCII are among them.
 *
 * SSE2 belongs to the baseline; measured in a laboratory, AVX2 gains some 15 % on long strings
 * only, which is not worth a second copy of the parser. Other machines take eight bytes at a time.
 * A block may be loaded where its bytes are readable; the end of the input is scanned from a padded
 * copy, whose zeros count as control characters and so stop the scan.
 */
#ifndef QD_JSON_SCAN_INT_H
#define QD_JSON_SCAN_INT_H

#include "base/assert.h"
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define SCAN_BLOCK 64
#define SCAN_PAIR 32

typedef struct scan_masks {
    uint64_t stop; /* a bit a byte: quote, backslash, control character */
    bool high;     /* a byte beyond ASCII somewhere among the 64, also behind the stop */
} scan_masks;

#if defined(__SSE2__)
QD_INLINE void scan_16(const char *p, uint32_t *quote, uint32_t *stop, uint32_t *high)
{
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i q = _mm_cmpeq_epi8(x, _mm_set1_epi8('"'));
    __m128i b = _mm_cmpeq_epi8(x, _mm_set1_epi8('\\'));
    __m128i c = _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8(31)), x);
    *quote = (uint32_t)_mm_movemask_epi8(q);
    *stop = (uint32_t)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(q, b), c));
    *high = (uint32_t)_mm_movemask_epi8(x);
}

/* A bit for each of SCAN_PAIR bytes that are the same. */
QD_INLINE uint64_t scan_same(const char *a, const char *b)
{
    const __m128i *x = (const __m128i *)(const void *)a, *y = (const __m128i *)(const void *)b;
    __m128i low = _mm_cmpeq_epi8(_mm_loadu_si128(x), _mm_loadu_si128(y));
    __m128i top = _mm_cmpeq_epi8(_mm_loadu_si128(x + 1), _mm_loadu_si128(y + 1));
    return (uint32_t)_mm_movemask_epi8(low) | (uint32_t)_mm_movemask_epi8(top) << 16;
}

/* A bit for each of 16 bytes that is a digit. */
QD_INLINE uint32_t scan_digits(const char *p)
{
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
    x = _mm_sub_epi8(x, _mm_set1_epi8('0'));
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8(9)), x));
}
#else
QD_INLINE void scan_16(const char *p, uint32_t *quote, uint32_t *stop, uint32_t *high)
{
    uint32_t q = 0, s = 0, h = 0;
    for (int i = 0; i < 16; i++) {
        unsigned char c = (unsigned char)p[i];
        q |= (uint32_t)(c == '"') << i;
        s |= (uint32_t)((c == '"') | (c == '\\') | (c < 32)) << i;
        h |= (uint32_t)(c >> 7) << i;
    }
    *quote = q;
    *stop = s;
    *high = h;
}

QD_INLINE uint64_t scan_same(const char *a, const char *b)
{
    uint64_t same = 0;
    for (int i = 0; i < SCAN_PAIR; i++) same |= (uint64_t)(a[i] == b[i]) << i;
    return same;
}

QD_INLINE uint32_t scan_digits(const char *p)
{
    uint32_t d = 0;
    for (int i = 0; i < 16; i++) d |= (uint32_t)((unsigned)(p[i] - '0') <= 9) << i;
    return d;
}
#endif

/* 64 bytes at p, all readable. */
QD_INLINE scan_masks scan_64(const char *p)
{
    uint32_t q, s[4], h[4];
    for (int i = 0; i < 4; i++) scan_16(p + 16 * i, &q, &s[i], &h[i]);
    return (scan_masks){
        (uint64_t)s[0] | (uint64_t)s[1] << 16 | (uint64_t)s[2] << 32 | (uint64_t)s[3] << 48,
        (h[0] | h[1] | h[2] | h[3]) != 0,
    };
}

/* The n < 64 last bytes of the input at p, copied to tail with zeros behind them. */
QD_INLINE scan_masks scan_tail(const char *p, size_t n, char tail[SCAN_BLOCK])
{
    memset(tail, 0, SCAN_BLOCK);
    memcpy(tail, p, n);
    return scan_64(tail);
}

#endif
