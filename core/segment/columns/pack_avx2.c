/*
 * pack_avx2.c: the kernels of pack_int.h for x86-64-v3.
 *
 * Eight values are w bytes, so shuffles and shifts of a group repeat: a pair of values lies within
 * 16 bytes (7 + 2 * 56 bits), is brought to its two 64-bit lanes by one byte shuffle, then shifted
 * and masked; four values below 26 bits likewise to four 32-bit lanes.
 */
#include "segment/columns/pack_int.h"

#if defined(__x86_64__)
#include <immintrin.h>

/* What a group of eight 64-bit results needs: four 16-byte loads. */
typedef struct group64 {
    uint32_t at[4];
    __m256i shuffle[2], shift[2];
} group64;

static void group64_make(uint32_t w, group64 *g)
{
    _Alignas(32) uint8_t shuffle[64];
    _Alignas(32) uint64_t shift[8];
    for (uint32_t pair = 0; pair < 4; pair++) {
        uint32_t bit = 2 * pair * w;
        g->at[pair] = bit >> 3;
        for (uint32_t j = 0; j < 2; j++) {
            uint32_t b = (bit & 7) + j * w;
            shift[2 * pair + j] = b & 7;
            for (uint32_t k = 0; k < 8; k++)
                shuffle[16 * pair + 8 * j + k] = (uint8_t)((b >> 3) + k);
        }
    }
    for (uint32_t i = 0; i < 2; i++) {
        g->shuffle[i] = _mm256_load_si256((const __m256i *)(const void *)(shuffle + 32 * i));
        g->shift[i] = _mm256_load_si256((const __m256i *)(const void *)(shift + 4 * i));
    }
}

QD_INLINE __m256i load2(const uint8_t *a, const uint8_t *b)
{
    return _mm256_inserti128_si256(
        _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)a)),
        _mm_loadu_si128((const __m128i *)(const void *)b), 1);
}

/* Low 64 bits of the products; AVX2 has only 32 x 32 -> 64. */
QD_INLINE __m256i mul64(__m256i a, __m256i m, __m256i m_high)
{
    __m256i cross = _mm256_add_epi64(_mm256_mul_epu32(_mm256_srli_epi64(a, 32), m),
                                     _mm256_mul_epu32(a, m_high));
    return _mm256_add_epi64(_mm256_mul_epu32(a, m), _mm256_slli_epi64(cross, 32));
}

typedef enum transform { ADD, MULTIPLY, LINE } transform;

/* Whole groups of eight from a multiple of 8 on; p is the first group's byte. Inlined once for each
 * transform, so that the common one is load, shuffle, shift, mask, add, store. */
QD_INLINE void groups(const uint8_t *p, uint32_t w, uint32_t first, uint32_t n,
                      const qdi_pack_form *f, transform t, int64_t *out)
{
    group64 g;
    group64_make(w, &g);
    const __m256i mask = _mm256_set1_epi64x((int64_t)(((uint64_t)1 << w) - 1));
    const __m256i base = _mm256_set1_epi64x((int64_t)f->base);
    const __m256i m = _mm256_set1_epi64x((int64_t)f->mult);
    const __m256i m_high = _mm256_srli_epi64(m, 32);
    const uint64_t at = QDI_LINE_BIAS + f->slope * first, s = f->slope;
    __m256i line0 = _mm256_set_epi64x((int64_t)(at + 3 * s), (int64_t)(at + 2 * s),
                                      (int64_t)(at + s), (int64_t)at);
    __m256i line1 = _mm256_add_epi64(line0, _mm256_set1_epi64x((int64_t)(4 * s)));
    const __m256i step = _mm256_set1_epi64x((int64_t)(8 * s));

    for (uint32_t i = 0; i < n; i += 8, p += w) {
        __m256i a = _mm256_shuffle_epi8(load2(p + g.at[0], p + g.at[1]), g.shuffle[0]);
        __m256i b = _mm256_shuffle_epi8(load2(p + g.at[2], p + g.at[3]), g.shuffle[1]);
        a = _mm256_and_si256(_mm256_srlv_epi64(a, g.shift[0]), mask);
        b = _mm256_and_si256(_mm256_srlv_epi64(b, g.shift[1]), mask);
        if (t == MULTIPLY) {
            a = mul64(a, m, m_high);
            b = mul64(b, m, m_high);
        }
        if (t == LINE) {
            a = _mm256_add_epi64(a, _mm256_srli_epi64(line0, QDI_LINE_SHIFT));
            b = _mm256_add_epi64(b, _mm256_srli_epi64(line1, QDI_LINE_SHIFT));
            line0 = _mm256_add_epi64(line0, step);
            line1 = _mm256_add_epi64(line1, step);
        }
        _mm256_storeu_si256((__m256i *)(void *)(out + i), _mm256_add_epi64(a, base));
        _mm256_storeu_si256((__m256i *)(void *)(out + i + 4), _mm256_add_epi64(b, base));
    }
}

static void get(const uint8_t *p, uint32_t width, uint32_t first, uint32_t n,
                const qdi_pack_form *form, int64_t *out)
{
    uint32_t head = (8 - (first & 7)) & 7;
    if (width == 64 || width == 0 || n < head + 8) {
        qdi_pack_scalar.get(p, width, first, n, form, out);
        return;
    }
    uint32_t body = (n - head) & ~7u, at = first + head;
    const uint8_t *q = p + (uint64_t)(at >> 3) * width;
    qdi_pack_scalar.get(p, width, first, head, form, out);
    if (form->line)
        groups(q, width, at, body, form, LINE, out + head);
    else if (form->mult != 1)
        groups(q, width, at, body, form, MULTIPLY, out + head);
    else
        groups(q, width, at, body, form, ADD, out + head);
    qdi_pack_scalar.get(p, width, at + body, n - head - body, form, out + head + body);
}

/* The greatest of eight unsigned lanes. */
static uint32_t max_lane(__m256i v)
{
    __m128i m = _mm_max_epu32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    m = _mm_max_epu32(m, _mm_shuffle_epi32(m, 0x4e));
    m = _mm_max_epu32(m, _mm_shuffle_epi32(m, 0xb1));
    return (uint32_t)_mm_cvtsi128_si32(m);
}

static uint32_t get32(const uint8_t *p, uint32_t width, uint32_t first, uint32_t n, uint32_t base,
                      uint32_t *out)
{
    uint32_t head = (8 - (first & 7)) & 7;
    if (width == 0 || width > 25 || n < head + 8)
        return qdi_pack_scalar.get32(p, width, first, n, base, out);

    _Alignas(32) uint8_t shuffle[32];
    _Alignas(32) uint32_t shift[8];
    for (uint32_t j = 0; j < 8; j++) {
        uint32_t b = ((4 * (j / 4) * width) & 7) + (j % 4) * width;
        shift[j] = b & 7;
        for (uint32_t k = 0; k < 4; k++) shuffle[4 * j + k] = (uint8_t)((b >> 3) + k);
    }
    const __m256i sh = _mm256_load_si256((const __m256i *)(const void *)shuffle);
    const __m256i sr = _mm256_load_si256((const __m256i *)(const void *)shift);
    const __m256i mask = _mm256_set1_epi32((int32_t)((1u << width) - 1));
    const __m256i add = _mm256_set1_epi32((int32_t)base);
    __m256i top = _mm256_setzero_si256();

    uint32_t body = (n - head) & ~7u, at = first + head, half = (4 * width) >> 3;
    const uint8_t *q = p + (uint64_t)(at >> 3) * width;
    uint32_t greatest = qdi_pack_scalar.get32(p, width, first, head, base, out);
    for (uint32_t i = 0; i < body; i += 8, q += width) {
        __m256i v = _mm256_shuffle_epi8(load2(q, q + half), sh);
        v = _mm256_add_epi32(_mm256_and_si256(_mm256_srlv_epi32(v, sr), mask), add);
        top = _mm256_max_epu32(top, v);
        _mm256_storeu_si256((__m256i *)(void *)(out + head + i), v);
    }
    uint32_t tail =
        qdi_pack_scalar.get32(p, width, at + body, n - head - body, base, out + head + body);
    uint32_t middle = max_lane(top);
    if (middle > greatest) greatest = middle;
    return tail > greatest ? tail : greatest;
}

/* Groups of eight below 26 bits in 32-bit lanes, whose sums are carried over to 64 bits before they
 * can overflow. */
QD_INLINE void fold32(const uint8_t *q, uint32_t width, uint32_t groups, const uint64_t *bits,
                      bool bounds, qdi_pack_fold *f)
{
    _Alignas(32) uint8_t shuffle[32];
    _Alignas(32) uint32_t shift[8];
    for (uint32_t j = 0; j < 8; j++) {
        uint32_t b = ((4 * (j / 4) * width) & 7) + (j % 4) * width;
        shift[j] = b & 7;
        for (uint32_t k = 0; k < 4; k++) shuffle[4 * j + k] = (uint8_t)((b >> 3) + k);
    }
    const __m256i sh = _mm256_load_si256((const __m256i *)(const void *)shuffle);
    const __m256i sr = _mm256_load_si256((const __m256i *)(const void *)shift);
    const __m256i mask = _mm256_set1_epi32((int32_t)((1u << width) - 1));
    const __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    const __m256i ones = _mm256_set1_epi32(-1), zero = _mm256_setzero_si256();
    const uint32_t half = (4 * width) >> 3, most = 1u << (32 - width);
    __m256i sum = zero, top = zero, least = ones;
    for (uint32_t from = 0; from < groups;) {
        uint32_t to = groups - from < most ? groups : from + most;
        __m256i s = zero;
        for (uint32_t i = from; i < to; i++, q += width) {
            __m256i v = _mm256_shuffle_epi8(load2(q, q + half), sh);
            v = _mm256_and_si256(_mm256_srlv_epi32(v, sr), mask);
            if (bits) {
                int m = (int)(bits[i / 8] >> (8 * (i & 7)) & 255);
                __m256i on = _mm256_and_si256(_mm256_set1_epi32(m), bit);
                on = _mm256_cmpeq_epi32(on, bit);
                v = _mm256_and_si256(v, on);
                if (bounds)
                    least = _mm256_min_epu32(least, _mm256_or_si256(v, _mm256_xor_si256(on, ones)));
            } else if (bounds) {
                least = _mm256_min_epu32(least, v);
            }
            s = _mm256_add_epi32(s, v);
            if (bounds) top = _mm256_max_epu32(top, v);
        }
        sum = _mm256_add_epi64(sum, _mm256_and_si256(s, _mm256_set1_epi64x(0xffffffff)));
        sum = _mm256_add_epi64(sum, _mm256_srli_epi64(s, 32));
        from = to;
    }
    uint64_t lanes[4];
    _mm256_storeu_si256((__m256i *)(void *)lanes, sum);
    f->sum += lanes[0] + lanes[1] + lanes[2] + lanes[3];
    if (!bounds) return;
    uint64_t greatest = max_lane(top), lowest = ~max_lane(_mm256_xor_si256(least, ones));
    lowest &= 0xffffffff;
    if (greatest > f->max) f->max = greatest;
    if (lowest != 0xffffffff && lowest < f->min) f->min = lowest;
}

/* Wider ones in 64-bit lanes. */
QD_INLINE void fold64(const uint8_t *p, uint32_t width, uint32_t ngroups, const uint64_t *bits,
                      qdi_pack_fold *f)
{
    group64 g;
    group64_make(width, &g);
    const __m256i mask = _mm256_set1_epi64x((int64_t)(((uint64_t)1 << width) - 1));
    const __m256i low = _mm256_setr_epi64x(1, 2, 4, 8), high = _mm256_setr_epi64x(16, 32, 64, 128);
    __m256i s0 = _mm256_setzero_si256(), s1 = s0;
    for (uint32_t i = 0; i < ngroups; i++, p += width) {
        __m256i a = _mm256_shuffle_epi8(load2(p + g.at[0], p + g.at[1]), g.shuffle[0]);
        __m256i b = _mm256_shuffle_epi8(load2(p + g.at[2], p + g.at[3]), g.shuffle[1]);
        a = _mm256_and_si256(_mm256_srlv_epi64(a, g.shift[0]), mask);
        b = _mm256_and_si256(_mm256_srlv_epi64(b, g.shift[1]), mask);
        if (bits) {
            __m256i m = _mm256_set1_epi64x((int64_t)(bits[i / 8] >> (8 * (i & 7)) & 255));
            a = _mm256_and_si256(a, _mm256_cmpeq_epi64(_mm256_and_si256(m, low), low));
            b = _mm256_and_si256(b, _mm256_cmpeq_epi64(_mm256_and_si256(m, high), high));
        }
        s0 = _mm256_add_epi64(s0, a);
        s1 = _mm256_add_epi64(s1, b);
    }
    uint64_t lanes[4];
    _mm256_storeu_si256((__m256i *)(void *)lanes, _mm256_add_epi64(s0, s1));
    f->sum += lanes[0] + lanes[1] + lanes[2] + lanes[3];
}

static void fold(const uint8_t *p, uint32_t width, uint32_t first, uint32_t n, const uint64_t *bits,
                 bool bounds, qdi_pack_fold *out)
{
    bool narrow = width <= 25;
    if (width == 0 || (first & 7) || n < 8 || (!narrow && bounds)) {
        qdi_pack_scalar.fold(p, width, first, n, bits, bounds, out);
        return;
    }
    uint32_t body = n & ~7u, rest = n & 7;
    const uint8_t *q = p + (uint64_t)(first >> 3) * width;
    uint64_t left = bits && rest ? bits[body / 64] >> (body & 63) : 0;
    qdi_pack_scalar.fold(p, width, first + body, rest, bits ? &left : NULL, bounds, out);
    if (!bits) {
        out->n += body;
    } else {
        for (uint32_t w = 0; w < body / 64; w++) out->n += (uint64_t)__builtin_popcountll(bits[w]);
        if (body & 63)
            out->n += (uint64_t)__builtin_popcountll(bits[body / 64] &
                                                     (((uint64_t)1 << (body & 63)) - 1));
    }
    if (!narrow && bits)
        fold64(q, width, body / 8, bits, out);
    else if (!narrow)
        fold64(q, width, body / 8, NULL, out);
    else if (bits && bounds)
        fold32(q, width, body / 8, bits, true, out);
    else if (bits)
        fold32(q, width, body / 8, bits, false, out);
    else if (bounds)
        fold32(q, width, body / 8, NULL, true, out);
    else
        fold32(q, width, body / 8, NULL, false, out);
}

/* Whole runs of 16 from a multiple of 8 on, whose bit i stands for the first run's value i. */
QD_INLINE void reals(const uint8_t *p, uint32_t width, uint32_t runs, const uint64_t *bits,
                     bool bounds, qdi_pack_reals *r, qd_fsum *io)
{
    group64 g;
    group64_make(width & 63, &g);
    const __m256i mask =
        _mm256_set1_epi64x((int64_t)(width < 64 ? ((uint64_t)1 << width) - 1 : ~0ull));
    const __m256i base = _mm256_set1_epi64x((int64_t)r->base), zero = _mm256_setzero_si256();
    const __m128i shift = _mm_cvtsi32_si128((int)r->shift);
    const __m256i bit[2] = {_mm256_setr_epi64x(1, 2, 4, 8), _mm256_setr_epi64x(16, 32, 64, 128)};
    __m256i least = _mm256_set1_epi64x(r->min), top = _mm256_set1_epi64x(r->max);
    __m256d s[4], c[4];
    for (uint32_t k = 0; k < 4; k++) {
        s[k] = _mm256_loadu_pd(io->sum + 4 * k);
        c[k] = _mm256_loadu_pd(io->low + 4 * k);
    }
    for (uint32_t i = 0; i < 2 * runs; i += 2)
        for (uint32_t h = 0; h < 2; h++, p += width) {
            __m256i v[2];
            if (width == 64) {
                v[0] = _mm256_loadu_si256((const __m256i *)(const void *)p);
                v[1] = _mm256_loadu_si256((const __m256i *)(const void *)(p + 32));
            } else {
                for (uint32_t k = 0; k < 2; k++) {
                    v[k] = load2(p + g.at[2 * k], p + g.at[2 * k + 1]);
                    v[k] = _mm256_shuffle_epi8(v[k], g.shuffle[k]);
                    v[k] = _mm256_and_si256(_mm256_srlv_epi64(v[k], g.shift[k]), mask);
                }
            }
            for (uint32_t k = 0; k < 2; k++) {
                __m256i w = _mm256_add_epi64(_mm256_sll_epi64(v[k], shift), base), on = zero;
                __m256i flip = _mm256_srli_epi64(_mm256_cmpgt_epi64(zero, w), 1);
                __m256i b = _mm256_xor_si256(w, flip);
                if (bits) {
                    uint64_t m = bits[(i + h) / 8] >> (8 * ((i + h) & 7)) & 255;
                    on = _mm256_and_si256(_mm256_set1_epi64x((int64_t)m), bit[k]);
                    on = _mm256_cmpeq_epi64(on, bit[k]);
                    b = _mm256_and_si256(b, on);
                }
                if (bounds) {
                    __m256i lower = _mm256_cmpgt_epi64(least, w),
                            upper = _mm256_cmpgt_epi64(w, top);
                    if (bits) {
                        lower = _mm256_and_si256(lower, on);
                        upper = _mm256_and_si256(upper, on);
                    }
                    least = _mm256_blendv_epi8(least, w, lower);
                    top = _mm256_blendv_epi8(top, w, upper);
                }
                const uint32_t lane = 2 * h + k;
                __m256d y = _mm256_sub_pd(_mm256_castsi256_pd(b), c[lane]);
                __m256d t = _mm256_add_pd(s[lane], y);
                c[lane] = _mm256_sub_pd(_mm256_sub_pd(t, s[lane]), y);
                s[lane] = t;
            }
        }
    for (uint32_t k = 0; k < 4; k++) {
        _mm256_storeu_pd(io->sum + 4 * k, s[k]);
        _mm256_storeu_pd(io->low + 4 * k, c[k]);
    }
    int64_t lo[4], hi[4];
    _mm256_storeu_si256((__m256i *)(void *)lo, least);
    _mm256_storeu_si256((__m256i *)(void *)hi, top);
    for (uint32_t k = 0; bounds && k < 4; k++) {
        if (lo[k] < r->min) r->min = lo[k];
        if (hi[k] > r->max) r->max = hi[k];
    }
}

static void fold_f64(const uint8_t *p, uint32_t width, uint32_t first, uint32_t n,
                     const uint64_t *bits, bool bounds, qdi_pack_reals *r, qd_fsum *io)
{
    qdi_pack_fold_runs(reals, p, width, first, n, bits, bounds, r, io);
}

static uint64_t match(const int64_t *v, uint32_t n, int64_t lo, int64_t hi)
{
    const __m256i l = _mm256_set1_epi64x(lo), h = _mm256_set1_epi64x(hi);
    uint64_t bits = 0;
    uint32_t i = 0;
    for (; i + 4 <= n; i += 4) {
        __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)(v + i));
        __m256i out = _mm256_or_si256(_mm256_cmpgt_epi64(l, x), _mm256_cmpgt_epi64(x, h));
        uint32_t m = (uint32_t)_mm256_movemask_pd(_mm256_castsi256_pd(out)) ^ 15u;
        bits |= (uint64_t)m << i;
    }
    if (i < n) bits |= qdi_pack_scalar.match(v + i, n - i, lo, hi) << i;
    return bits;
}

static uint64_t match32(const uint32_t *v, uint32_t n, uint32_t lo, uint32_t hi)
{
    const __m256i l = _mm256_set1_epi32((int)lo), span = _mm256_set1_epi32((int)(hi - lo));
    uint64_t bits = 0;
    uint32_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)(v + i));
        x = _mm256_sub_epi32(x, l);
        x = _mm256_cmpeq_epi32(_mm256_min_epu32(x, span), x);
        bits |= (uint64_t)(uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(x)) << i;
    }
    if (i < n) bits |= qdi_pack_scalar.match32(v + i, n - i, lo, hi) << i;
    return bits;
}

/* For each four bits the order that brings the kept 64-bit lanes to the front. */
static const uint32_t keep_order[16][8] = {
    {0, 1, 2, 3, 4, 5, 6, 7}, {0, 1, 2, 3, 4, 5, 6, 7}, {2, 3, 0, 1, 4, 5, 6, 7},
    {0, 1, 2, 3, 4, 5, 6, 7}, {4, 5, 0, 1, 2, 3, 6, 7}, {0, 1, 4, 5, 2, 3, 6, 7},
    {2, 3, 4, 5, 0, 1, 6, 7}, {0, 1, 2, 3, 4, 5, 6, 7}, {6, 7, 0, 1, 2, 3, 4, 5},
    {0, 1, 6, 7, 2, 3, 4, 5}, {2, 3, 6, 7, 0, 1, 4, 5}, {0, 1, 2, 3, 6, 7, 4, 5},
    {4, 5, 6, 7, 0, 1, 2, 3}, {0, 1, 4, 5, 6, 7, 2, 3}, {2, 3, 4, 5, 6, 7, 0, 1},
    {0, 1, 2, 3, 4, 5, 6, 7},
};

static uint32_t keep(const int64_t *v, uint32_t n, uint64_t bits, int64_t *out)
{
    uint32_t k = 0, i = 0;
    for (; i + 4 <= n; i += 4) {
        uint32_t m = (bits >> i) & 15;
        __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)(v + i));
        __m256i o = _mm256_loadu_si256((const __m256i *)(const void *)keep_order[m]);
        _mm256_storeu_si256((__m256i *)(void *)(out + k), _mm256_permutevar8x32_epi32(x, o));
        k += (uint32_t)__builtin_popcount(m);
    }
    if (i < n) k += qdi_pack_scalar.keep(v + i, n - i, bits >> i, out + k);
    return k;
}

/* The places of the set bits of a byte, in the low lanes. */
QD_INLINE __m256i places(uint32_t m)
{
    uint64_t spread = _pdep_u64(m, 0x0101010101010101u) * 255;
    return _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((int64_t)_pext_u64(0x0706050403020100u, spread)));
}

static uint32_t list(uint64_t bits, uint32_t base, uint32_t *out)
{
    uint32_t k = 0;
    for (; bits; bits >>= 8, base += 8) {
        uint32_t m = bits & 255;
        _mm256_storeu_si256((__m256i *)(void *)(out + k),
                            _mm256_add_epi32(places(m), _mm256_set1_epi32((int32_t)base)));
        k += (uint32_t)__builtin_popcount(m);
    }
    return k;
}

static uint32_t keep32(const uint32_t *v, uint32_t n, uint64_t bits, uint32_t *out)
{
    uint32_t k = 0, i = 0;
    for (; i + 8 <= n; i += 8) {
        uint32_t m = (bits >> i) & 255;
        __m256i o = places(m);
        __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)(v + i));
        _mm256_storeu_si256((__m256i *)(void *)(out + k), _mm256_permutevar8x32_epi32(x, o));
        k += (uint32_t)__builtin_popcount(m);
    }
    if (i < n) k += qdi_pack_scalar.keep32(v + i, n - i, bits >> i, out + k);
    return k;
}

static void to_f64(const int64_t *v, double *out, size_t n)
{
    const __m256i max = _mm256_set1_epi64x(INT64_MAX), zero = _mm256_setzero_si256();
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)(v + i));
        __m256i flip = _mm256_and_si256(_mm256_cmpgt_epi64(zero, x), max);
        _mm256_storeu_si256((__m256i *)(void *)(out + i), _mm256_xor_si256(x, flip));
    }
    qdi_pack_scalar.to_f64(v + i, out + i, n - i);
}

const qdi_pack_kernels qdi_pack_avx2 = {get,     get32, fold,   fold_f64, match,
                                        match32, keep,  keep32, list,     to_f64};
#endif
