/*
 * codec_avx512.c: kernels for x86-64-v4 with VBMI. Sixteen values of b bits lie in 2*b bytes: one
 * byte permutation brings each value's four bytes into its lane, a variable shift and a mask finish
 * it. The prefix sum runs on eight registers side by side, so that only one addition a group is on
 * the chain of carries.
 */
#if defined(__x86_64__)
#include "segment/codec/codec.h"
#include <immintrin.h>

#define LANE(b, l) (l) * (b) / 8, (l) * (b) / 8 + 1, (l) * (b) / 8 + 2, (l) * (b) / 8 + 3
#define LANES(b)                                                                                   \
    LANE(b, 0), LANE(b, 1), LANE(b, 2), LANE(b, 3), LANE(b, 4), LANE(b, 5), LANE(b, 6),            \
        LANE(b, 7), LANE(b, 8), LANE(b, 9), LANE(b, 10), LANE(b, 11), LANE(b, 12), LANE(b, 13),    \
        LANE(b, 14), LANE(b, 15)
#define SHIFTS(b)                                                                                  \
    0, (b) % 8, 2 * (b) % 8, 3 * (b) % 8, 4 * (b) % 8, 5 * (b) % 8, 6 * (b) % 8, 7 * (b) % 8, 0,   \
        (b) % 8, 2 * (b) % 8, 3 * (b) % 8, 4 * (b) % 8, 5 * (b) % 8, 6 * (b) % 8, 7 * (b) % 8
#define ROW(b)                                                                                     \
    {                                                                                              \
        {LANES(b)},                                                                                \
        {                                                                                          \
            SHIFTS(b)                                                                              \
        }                                                                                          \
    }

static const struct row {
    _Alignas(64) uint8_t perm[64];
    uint32_t shift[16];
} rows[26] = {ROW(0),  ROW(1),  ROW(2),  ROW(3),  ROW(4),  ROW(5),  ROW(6),  ROW(7),  ROW(8),
              ROW(9),  ROW(10), ROW(11), ROW(12), ROW(13), ROW(14), ROW(15), ROW(16), ROW(17),
              ROW(18), ROW(19), ROW(20), ROW(21), ROW(22), ROW(23), ROW(24), ROW(25)};

typedef struct setup {
    __m512i perm, shift, mask;
} setup;

static inline setup setup_of(unsigned b)
{
    const struct row *r = &rows[b];
    return (setup){_mm512_load_si512(r->perm), _mm512_load_si512(r->shift),
                   _mm512_set1_epi32((int)((1u << b) - 1))};
}
static inline __m512i get16(const setup *s, const uint8_t *p)
{
    __m512i x = _mm512_permutexvar_epi8(s->perm, _mm512_loadu_si512(p));
    return _mm512_and_si512(_mm512_srlv_epi32(x, s->shift), s->mask);
}
static inline __m512i prefix(__m512i x)
{
    const __m512i z = _mm512_setzero_si512();
    x = _mm512_add_epi32(x, _mm512_alignr_epi32(x, z, 15));
    x = _mm512_add_epi32(x, _mm512_alignr_epi32(x, z, 14));
    x = _mm512_add_epi32(x, _mm512_alignr_epi32(x, z, 12));
    return _mm512_add_epi32(x, _mm512_alignr_epi32(x, z, 8));
}

static void vals(const uint8_t *in, unsigned b, uint32_t add, uint32_t *out)
{
    const __m512i a = _mm512_set1_epi32((int)add);
    if (b == 32) {
        for (int g = 0; g < 8; g++)
            _mm512_storeu_si512(out + 16 * g, _mm512_add_epi32(a, _mm512_loadu_si512(in + 64 * g)));
        return;
    }
    const setup s = setup_of(b);
#pragma GCC unroll 8
    for (unsigned g = 0; g < 8; g++)
        _mm512_storeu_si512(out + 16 * g, _mm512_add_epi32(a, get16(&s, in + (size_t)2 * b * g)));
}

static void docs(const uint8_t *in, unsigned b, uint32_t base, uint32_t *out)
{
    const __m512i l15 = _mm512_set1_epi32(15), one = _mm512_set1_epi32(1);
    __m512i c = _mm512_set1_epi32((int)base), x[8];
    if (b == 32) {
        for (int g = 0; g < 8; g++) x[g] = _mm512_add_epi32(one, _mm512_loadu_si512(in + 64 * g));
    } else {
        const setup s = setup_of(b);
#pragma GCC unroll 8
        for (unsigned g = 0; g < 8; g++)
            x[g] = _mm512_add_epi32(one, get16(&s, in + (size_t)2 * b * g));
    }
#pragma GCC unroll 8
    for (int g = 0; g < 8; g++) x[g] = prefix(x[g]);
#pragma GCC unroll 8
    for (int g = 0; g < 8; g++) {
        __m512i total = _mm512_permutexvar_epi32(l15, x[g]);
        _mm512_storeu_si512(out + 16 * g, _mm512_add_epi32(x[g], c));
        c = _mm512_add_epi32(c, total);
    }
}

static void vals_n(const uint8_t *in, unsigned b, uint32_t add, uint32_t n, uint32_t *out)
{
    const __m512i a = _mm512_set1_epi32((int)add);
    const setup s = setup_of(b == 32 ? 0 : b);
    for (uint32_t g = 0; g < (n + 15) / 16; g++) {
        const uint8_t *p = in + (size_t)2 * b * g;
        __m512i x = b == 32 ? _mm512_loadu_si512(p) : get16(&s, p);
        _mm512_storeu_si512(out + (size_t)16 * g, _mm512_add_epi32(a, x));
    }
}

static void docs_n(const uint8_t *in, unsigned b, uint32_t base, uint32_t n, uint32_t *out)
{
    const __m512i l15 = _mm512_set1_epi32(15), one = _mm512_set1_epi32(1);
    __m512i c = _mm512_set1_epi32((int)base);
    const setup s = setup_of(b == 32 ? 0 : b);
    for (uint32_t g = 0; g < (n + 15) / 16; g++) {
        const uint8_t *p = in + (size_t)2 * b * g;
        __m512i x = prefix(_mm512_add_epi32(one, b == 32 ? _mm512_loadu_si512(p) : get16(&s, p)));
        _mm512_storeu_si512(out + (size_t)16 * g, _mm512_add_epi32(x, c));
        c = _mm512_add_epi32(c, _mm512_permutexvar_epi32(l15, x));
    }
}

static uint32_t bits(const uint64_t *words, uint32_t from, uint32_t end, uint32_t n, uint32_t *out)
{
    const __m512i iota = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    uint32_t got = 0;
    if (from >= end) return 0;
    uint32_t last = (end - 1) >> 6;
    for (uint32_t w = from >> 6; w <= last && got < n; w++) {
        uint64_t x = words[w];
        if (w == from >> 6) x &= ~0ull << (from & 63);
        if (w == last) x &= ~0ull >> (63 - ((end - 1) & 63));
        __m512i at = _mm512_add_epi32(iota, _mm512_set1_epi32((int)(w * 64)));
        uint32_t to = got;
        for (int q = 0; q < 4; q++) {
            __mmask16 m = (__mmask16)(x >> (16 * q));
            _mm512_storeu_si512(out + to, _mm512_maskz_compress_epi32(m, at));
            to += (uint32_t)__builtin_popcount(m);
            at = _mm512_add_epi32(at, _mm512_set1_epi32(16));
        }
        got = to;
    }
    return got < n ? got : n;
}

const qd_codec qd_codec_avx512 = {"avx512", docs, vals, docs_n, vals_n, bits};
#endif
