/*
 * codec_avx2.c: kernels for x86-64-v3. Eight values are two halves of four, each shuffled out of
 * its own 16 bytes; the rest as in codec_avx512.c.
 */
#if defined(__x86_64__)
#include "segment/codec/bits_int.h"
#include "segment/codec/codec.h"
#include <immintrin.h>

/* Value l of 16, seen from the byte in which its quarter begins. */
#define BIT(b, l) ((l) * (b) - (l) / 4 * 4 * (b) / 8 * 8)
#define LANE(b, l) BIT(b, l) / 8, BIT(b, l) / 8 + 1, BIT(b, l) / 8 + 2, BIT(b, l) / 8 + 3
#define HALF(b, l)                                                                                 \
    LANE(b, l), LANE(b, l + 1), LANE(b, l + 2), LANE(b, l + 3), LANE(b, l + 4), LANE(b, l + 5),    \
        LANE(b, l + 6), LANE(b, l + 7)
#define SHIFT(b, l) (l) * (b) % 8
#define SHIFTS(b)                                                                                  \
    SHIFT(b, 0), SHIFT(b, 1), SHIFT(b, 2), SHIFT(b, 3), SHIFT(b, 4), SHIFT(b, 5), SHIFT(b, 6),     \
        SHIFT(b, 7)
#define ROW(b)                                                                                     \
    {                                                                                              \
        {{HALF(b, 0)}, {HALF(b, 8)}},                                                              \
        {                                                                                          \
            SHIFTS(b)                                                                              \
        }                                                                                          \
    }

static const struct row {
    _Alignas(32) uint8_t perm[2][32];
    uint32_t shift[8]; /* the same for both halves: 8 * b bits are whole bytes */
} rows[26] = {ROW(0),  ROW(1),  ROW(2),  ROW(3),  ROW(4),  ROW(5),  ROW(6),  ROW(7),  ROW(8),
              ROW(9),  ROW(10), ROW(11), ROW(12), ROW(13), ROW(14), ROW(15), ROW(16), ROW(17),
              ROW(18), ROW(19), ROW(20), ROW(21), ROW(22), ROW(23), ROW(24), ROW(25)};

typedef struct setup {
    __m256i perm[2], shift, mask;
    unsigned at[4]; /* bytes at which the quarters begin */
} setup;

static inline setup setup_of(unsigned b)
{
    const struct row *r = &rows[b];
    return (setup){{_mm256_load_si256((const __m256i *)(const void *)r->perm[0]),
                    _mm256_load_si256((const __m256i *)(const void *)r->perm[1])},
                   _mm256_load_si256((const __m256i *)(const void *)r->shift),
                   _mm256_set1_epi32((int)((1u << b) - 1)),
                   {0, 4 * b / 8, b, 12 * b / 8}};
}
static inline __m128i load16(const uint8_t *p)
{
    return _mm_loadu_si128((const void *)p);
}
/* Half h (8 values) of the 16 at p. */
static inline __m256i get8(const setup *s, const uint8_t *p, int h)
{
    __m256i v = _mm256_inserti128_si256(_mm256_castsi128_si256(load16(p + s->at[2 * h])),
                                        load16(p + s->at[2 * h + 1]), 1);
    return _mm256_and_si256(_mm256_srlv_epi32(_mm256_shuffle_epi8(v, s->perm[h]), s->shift),
                            s->mask);
}
static inline __m256i prefix(__m256i x)
{
    const __m256i l3 = _mm256_set1_epi32(3), z = _mm256_setzero_si256();
    x = _mm256_add_epi32(x, _mm256_slli_si256(x, 4));
    x = _mm256_add_epi32(x, _mm256_slli_si256(x, 8));
    return _mm256_add_epi32(x, _mm256_blend_epi32(z, _mm256_permutevar8x32_epi32(x, l3), 0xf0));
}
static inline void store(uint32_t *out, __m256i x)
{
    _mm256_storeu_si256((void *)out, x);
}
static inline __m256i load(const uint8_t *p)
{
    return _mm256_loadu_si256((const void *)p);
}

static inline __attribute__((always_inline)) void vals_groups(const uint8_t *in, unsigned b,
                                                              uint32_t add, uint32_t groups,
                                                              uint32_t *out)
{
    const __m256i a = _mm256_set1_epi32((int)add);
    const setup s = setup_of(b == 32 ? 0 : b);
    for (uint32_t g = 0; g < groups; g++, out += 16) {
        const uint8_t *p = in + (size_t)2 * b * g;
        store(out, _mm256_add_epi32(a, b == 32 ? load(p) : get8(&s, p, 0)));
        store(out + 8, _mm256_add_epi32(a, b == 32 ? load(p + 32) : get8(&s, p, 1)));
    }
}

static inline __attribute__((always_inline)) void docs_groups(const uint8_t *in, unsigned b,
                                                              uint32_t base, uint32_t groups,
                                                              uint32_t *out)
{
    const __m256i one = _mm256_set1_epi32(1), l7 = _mm256_set1_epi32(7);
    __m256i c = _mm256_set1_epi32((int)base);
    const setup s = setup_of(b == 32 ? 0 : b);
    for (uint32_t g = 0; g < groups; g++, out += 16) {
        const uint8_t *p = in + (size_t)2 * b * g;
        __m256i x = prefix(_mm256_add_epi32(one, b == 32 ? load(p) : get8(&s, p, 0)));
        __m256i y = prefix(_mm256_add_epi32(one, b == 32 ? load(p + 32) : get8(&s, p, 1)));
        __m256i tx = _mm256_permutevar8x32_epi32(x, l7), ty = _mm256_permutevar8x32_epi32(y, l7);
        store(out, _mm256_add_epi32(x, c));
        c = _mm256_add_epi32(c, tx);
        store(out + 8, _mm256_add_epi32(y, c));
        c = _mm256_add_epi32(c, ty);
    }
}

static void vals(const uint8_t *in, unsigned b, uint32_t add, uint32_t *out)
{
    if (b == 32)
        vals_groups(in, 32, add, 8, out);
    else
        vals_groups(in, b, add, 8, out);
}
static void docs(const uint8_t *in, unsigned b, uint32_t base, uint32_t *out)
{
    if (b == 32)
        docs_groups(in, 32, base, 8, out);
    else
        docs_groups(in, b, base, 8, out);
}
static void vals_n(const uint8_t *in, unsigned b, uint32_t add, uint32_t n, uint32_t *out)
{
    vals_groups(in, b, add, (n + 15) / 16, out);
}
static void docs_n(const uint8_t *in, unsigned b, uint32_t base, uint32_t n, uint32_t *out)
{
    docs_groups(in, b, base, (n + 15) / 16, out);
}

static uint32_t bits(const uint64_t *words, uint32_t from, uint32_t end, uint32_t n, uint32_t *out)
{
    uint32_t got = 0;
    if (from >= end) return 0;
    uint32_t last = (end - 1) >> 6;
    for (uint32_t w = from >> 6; w <= last && got < n; w++) {
        uint64_t x = words[w];
        if (w == from >> 6) x &= ~0ull << (from & 63);
        if (w == last) x &= ~0ull >> (63 - ((end - 1) & 63));
        for (uint32_t at = w * 64; x; x >>= 8, at += 8) {
            __m128i t = _mm_cvtsi64_si128((long long)qdi_byte_bits[x & 255]);
            store(out + got, _mm256_add_epi32(_mm256_cvtepu8_epi32(t), _mm256_set1_epi32((int)at)));
            got += (uint32_t)__builtin_popcountll(x & 255);
        }
    }
    return got < n ? got : n;
}

const qd_codec qd_codec_avx2 = {"avx2", docs, vals, docs_n, vals_n, bits};
#endif
