/*
 * pack_avx512.c: the kernels of pack_int.h for x86-64-v4 with VBMI; what is not here is that of v3.
 *
 * Eight values are at most 56 bytes: one load, from which a permutation brings each value's bytes
 * to its lane, where it is shifted and masked. Loads are masked to the bytes of the group, so
 * nothing is read behind it.
 */
#include "segment/columns/pack_int.h"

#if defined(__x86_64__)
#include <immintrin.h>

/* What a group of eight 64-bit results needs. */
typedef struct group64 {
    __mmask64 load;
    __m512i bytes, shift, mask;
} group64;

static inline void group64_make(uint32_t w, group64 *g)
{
    _Alignas(64) uint8_t bytes[64];
    _Alignas(64) uint64_t shift[8];
    for (uint32_t j = 0; j < 8; j++) {
        shift[j] = (j * w) & 7;
        for (uint32_t k = 0; k < 8; k++) bytes[8 * j + k] = (uint8_t)((j * w >> 3) + k);
    }
    g->load = ~0ull >> (64 - w); /* w bytes */
    g->bytes = _mm512_load_si512(bytes);
    g->shift = _mm512_load_si512(shift);
    g->mask = _mm512_set1_epi64((int64_t)(((uint64_t)1 << w) - 1));
}

QD_INLINE __m512i group64_at(const group64 *g, const uint8_t *p)
{
    __m512i v = _mm512_permutexvar_epi8(g->bytes, _mm512_maskz_loadu_epi8(g->load, p));
    return _mm512_and_si512(_mm512_srlv_epi64(v, g->shift), g->mask);
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
    group64 g;
    group64_make(width, &g);
    const __m512i base = _mm512_set1_epi64((int64_t)form->base);
    const __m512i mult = _mm512_set1_epi64((int64_t)form->mult);
    const __m512i step = _mm512_set1_epi64((int64_t)(8 * form->slope));
    const __m512i places = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
    __m512i line = _mm512_mullo_epi64(_mm512_add_epi64(places, _mm512_set1_epi64(at)),
                                      _mm512_set1_epi64((int64_t)form->slope));
    line = _mm512_add_epi64(line, _mm512_set1_epi64((int64_t)QDI_LINE_BIAS));
    qdi_pack_scalar.get(p, width, first, head, form, out);
    for (uint32_t i = 0; i < body; i += 8, q += width) {
        __m512i v = group64_at(&g, q);
        if (form->mult != 1) v = _mm512_mullo_epi64(v, mult);
        if (form->line) {
            v = _mm512_add_epi64(v, _mm512_srli_epi64(line, QDI_LINE_SHIFT));
            line = _mm512_add_epi64(line, step);
        }
        _mm512_storeu_si512(out + head + i, _mm512_add_epi64(v, base));
    }
    qdi_pack_scalar.get(p, width, at + body, n - head - body, form, out + head + body);
}

static uint32_t get32(const uint8_t *p, uint32_t width, uint32_t first, uint32_t n, uint32_t base,
                      uint32_t *out)
{
    uint32_t head = (8 - (first & 7)) & 7;
    if (width == 0 || width > 25 || n < head + 16)
        return qdi_pack_scalar.get32(p, width, first, n, base, out);
    _Alignas(64) uint8_t bytes[64];
    _Alignas(64) uint32_t shift[16];
    for (uint32_t j = 0; j < 16; j++) {
        shift[j] = (j * width) & 7;
        for (uint32_t k = 0; k < 4; k++) bytes[4 * j + k] = (uint8_t)((j * width >> 3) + k);
    }
    const __mmask64 load = ~0ull >> (64 - 2 * width);
    const __m512i order = _mm512_load_si512(bytes), right = _mm512_load_si512(shift);
    const __m512i mask = _mm512_set1_epi32((int32_t)((1u << width) - 1));
    const __m512i add = _mm512_set1_epi32((int32_t)base);
    __m512i top = _mm512_setzero_si512();
    uint32_t body = (n - head) & ~15u, at = first + head;
    const uint8_t *q = p + (uint64_t)(at >> 3) * width;
    uint32_t greatest = qdi_pack_scalar.get32(p, width, first, head, base, out);
    for (uint32_t i = 0; i < body; i += 16, q += 2 * width) {
        __m512i v = _mm512_permutexvar_epi8(order, _mm512_maskz_loadu_epi8(load, q));
        v = _mm512_add_epi32(_mm512_and_si512(_mm512_srlv_epi32(v, right), mask), add);
        top = _mm512_max_epu32(top, v);
        _mm512_storeu_si512(out + head + i, v);
    }
    uint32_t tail =
        qdi_pack_scalar.get32(p, width, at + body, n - head - body, base, out + head + body);
    uint32_t middle = _mm512_reduce_max_epu32(top);
    if (middle > greatest) greatest = middle;
    return tail > greatest ? tail : greatest;
}

/* Runs of 16 from a multiple of 8 on, two registers of lanes. */
QD_INLINE void reals(const uint8_t *p, uint32_t width, uint32_t runs, const uint64_t *bits,
                     bool bounds, qdi_pack_reals *r, qd_fsum *io)
{
    group64 g;
    group64_make(width & 63 ? width & 63 : 1, &g);
    const __m512i base = _mm512_set1_epi64((int64_t)r->base), zero = _mm512_setzero_si512();
    const __m128i shift = _mm_cvtsi32_si128((int)r->shift);
    __m512i least = _mm512_set1_epi64(INT64_MAX), top = _mm512_set1_epi64(INT64_MIN);
    __m512d s[2], c[2];
    for (uint32_t k = 0; k < 2; k++) {
        s[k] = _mm512_loadu_pd(io->sum + 8 * k);
        c[k] = _mm512_loadu_pd(io->low + 8 * k);
    }
    for (uint32_t i = 0; i < runs; i++)
        for (uint32_t k = 0; k < 2; k++, p += width) {
            __m512i v = width == 64 ? _mm512_loadu_si512(p) : group64_at(&g, p);
            __m512i w = _mm512_add_epi64(_mm512_sll_epi64(v, shift), base);
            __mmask8 on = (__mmask8)(bits ? bits[i / 4] >> (16 * (i & 3) + 8 * k) : 255);
            __m512i flip = _mm512_srli_epi64(_mm512_srai_epi64(w, 63), 1);
            __m512d x = _mm512_castsi512_pd(_mm512_xor_si512(w, flip));
            if (bits) x = _mm512_mask_mov_pd(_mm512_castsi512_pd(zero), on, x);
            if (bounds) {
                least = _mm512_mask_min_epi64(least, on, least, w);
                top = _mm512_mask_max_epi64(top, on, top, w);
            }
            __m512d y = _mm512_sub_pd(x, c[k]), t = _mm512_add_pd(s[k], y);
            c[k] = _mm512_sub_pd(_mm512_sub_pd(t, s[k]), y);
            s[k] = t;
        }
    for (uint32_t k = 0; k < 2; k++) {
        _mm512_storeu_pd(io->sum + 8 * k, s[k]);
        _mm512_storeu_pd(io->low + 8 * k, c[k]);
    }
    r->min = _mm512_reduce_min_epi64(least);
    r->max = _mm512_reduce_max_epi64(top);
}

static void fold_f64(const uint8_t *p, uint32_t width, uint32_t first, uint32_t n,
                     const uint64_t *bits, bool bounds, qdi_pack_reals *r, qd_fsum *io)
{
    qdi_pack_fold_runs(reals, p, width, first, n, bits, bounds, r, io);
}

static uint32_t keep(const int64_t *v, uint32_t n, uint64_t bits, int64_t *out)
{
    uint32_t k = 0, i = 0;
    for (; i + 8 <= n; i += 8) {
        __mmask8 m = (__mmask8)(bits >> i);
        __m512i x = _mm512_maskz_compress_epi64(m, _mm512_loadu_si512(v + i));
        uint32_t kept = (uint32_t)__builtin_popcount(m);
        _mm512_mask_storeu_epi64(out + k, (__mmask8)((1u << kept) - 1), x);
        k += kept;
    }
    if (i < n) k += qdi_pack_scalar.keep(v + i, n - i, bits >> i, out + k);
    return k;
}

static uint32_t keep32(const uint32_t *v, uint32_t n, uint64_t bits, uint32_t *out)
{
    uint32_t k = 0, i = 0;
    for (; i + 16 <= n; i += 16) {
        __mmask16 m = (__mmask16)(bits >> i);
        __m512i x = _mm512_maskz_compress_epi32(m, _mm512_loadu_si512(v + i));
        uint32_t kept = (uint32_t)__builtin_popcount(m);
        _mm512_mask_storeu_epi32(out + k, (__mmask16)((1u << kept) - 1), x);
        k += kept;
    }
    if (i < n) k += qdi_pack_scalar.keep32(v + i, n - i, bits >> i, out + k);
    return k;
}

static uint32_t list(uint64_t bits, uint32_t base, uint32_t *out)
{
    const __m512i places = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    uint32_t k = 0;
    for (; bits; bits >>= 16, base += 16) {
        __mmask16 m = (__mmask16)bits;
        __m512i x = _mm512_add_epi32(places, _mm512_set1_epi32((int32_t)base));
        uint32_t kept = (uint32_t)__builtin_popcount(m);
        _mm512_mask_storeu_epi32(out + k, (__mmask16)((1u << kept) - 1),
                                 _mm512_maskz_compress_epi32(m, x));
        k += kept;
    }
    return k;
}

static uint64_t match(const int64_t *v, uint32_t n, int64_t lo, int64_t hi)
{
    const __m512i l = _mm512_set1_epi64(lo), h = _mm512_set1_epi64(hi);
    uint64_t bits = 0;
    for (uint32_t i = 0; i < n; i += 8) {
        __mmask8 some = n - i < 8 ? (__mmask8)((1u << (n - i)) - 1) : 255;
        __m512i x = _mm512_maskz_loadu_epi64(some, v + i);
        some = _mm512_mask_cmpge_epi64_mask(some, x, l);
        bits |= (uint64_t)_mm512_mask_cmple_epi64_mask(some, x, h) << i;
    }
    return bits;
}

static uint64_t match32(const uint32_t *v, uint32_t n, uint32_t lo, uint32_t hi)
{
    const __m512i l = _mm512_set1_epi32((int)lo), h = _mm512_set1_epi32((int)hi);
    uint64_t bits = 0;
    for (uint32_t i = 0; i < n; i += 16) {
        __mmask16 some = n - i < 16 ? (__mmask16)((1u << (n - i)) - 1) : 0xffff;
        __m512i x = _mm512_maskz_loadu_epi32(some, v + i);
        some = _mm512_mask_cmpge_epu32_mask(some, x, l);
        bits |= (uint64_t)_mm512_mask_cmple_epu32_mask(some, x, h) << i;
    }
    return bits;
}

static void fold(const uint8_t *p, uint32_t width, uint32_t first, uint32_t n, const uint64_t *bits,
                 bool bounds, qdi_pack_fold *out)
{
    qdi_pack_avx2.fold(p, width, first, n, bits, bounds, out);
}

static void to_f64(const int64_t *v, double *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int64_t b = v[i] ^ ((v[i] >> 63) & INT64_MAX);
        memcpy(&out[i], &b, 8);
    }
}

const qdi_pack_kernels qdi_pack_avx512 = {get,     get32, fold,   fold_f64, match,
                                          match32, keep,  keep32, list,     to_f64};
#endif
