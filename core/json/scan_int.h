/*
 * scan_int.h: bytes of a string by blocks: where it stops (quote, backslash, control character) and
 * whether bytes beyond ASCII lie before that.
 *
 * SSE2 belongs to the baseline; measured in a laboratory, AVX2 gains some 15 % on long strings
 * only, which is not worth a second copy of the parser. Other machines take eight bytes at a time.
 * A block may be loaded where 64 bytes are readable; the end of the input is scanned from a padded
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

typedef struct scan_masks {
    uint64_t quote, stop, high; /* one bit a byte; stop includes quote */
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
#endif

/* 64 bytes at p, all readable. */
QD_INLINE scan_masks scan_64(const char *p)
{
    uint32_t q[4], s[4], h[4];
    for (int i = 0; i < 4; i++) scan_16(p + 16 * i, &q[i], &s[i], &h[i]);
    return (scan_masks){
        (uint64_t)q[0] | (uint64_t)q[1] << 16 | (uint64_t)q[2] << 32 | (uint64_t)q[3] << 48,
        (uint64_t)s[0] | (uint64_t)s[1] << 16 | (uint64_t)s[2] << 32 | (uint64_t)s[3] << 48,
        (uint64_t)h[0] | (uint64_t)h[1] << 16 | (uint64_t)h[2] << 32 | (uint64_t)h[3] << 48,
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
