/* kern_avx512.c: x86-64-v4 kernels. */
#include "search/kernels/kern_int.h"
#if defined(__x86_64__)
#include "search/kernels/kern_body_int.h"
#include <immintrin.h>
#include <string.h>

static void score(const uint32_t *freq, const uint32_t *doc, uint32_t mask, const uint8_t *norm,
                  const float *ninv, float w, float *out, uint32_t from, uint32_t to)
{
    const __m512 W = _mm512_set1_ps(w), one = _mm512_set1_ps(1.0f);
    const __m512i m8 = _mm512_set1_epi32(255), dm = _mm512_set1_epi32((int)mask);
    for (uint32_t g = from >> 4; g < (to + 15) >> 4; g++) {
        __m512 f = _mm512_cvtepi32_ps(_mm512_loadu_si512(freq + 16 * g));
        __m512i d = _mm512_and_si512(_mm512_loadu_si512(doc + 16 * g), dm);
        __m512i n = _mm512_and_si512(m8, _mm512_i32gather_epi32(d, norm, 1));
        __m512 q = _mm512_add_ps(one, _mm512_mul_ps(f, _mm512_i32gather_ps(n, ninv, 4)));
        _mm512_storeu_ps(out + 16 * g, _mm512_sub_ps(W, _mm512_div_ps(W, q)));
    }
}

static uint64_t sum_clear(uint8_t *p, size_t n)
{
    const __m512i z = _mm512_setzero_si512();
    __m512i s = z;
    for (size_t i = 0; i < n; i += 64) {
        s = _mm512_add_epi64(s, _mm512_sad_epu8(_mm512_loadu_si512(p + i), z));
        _mm512_storeu_si512(p + i, z);
    }
    return (uint64_t)_mm512_reduce_add_epi64(s);
}

static inline __m512i lut(const uint8_t *cls, __m512i t0, __m512i t1)
{
    return _mm512_permutex2var_epi16(
        t0, _mm512_cvtepu8_epi16(_mm256_loadu_si256((const void *)cls)), t1);
}

static void bound_add(const uint8_t *cls, const uint16_t *tab, uint16_t *bound, size_t n)
{
    const __m512i t0 = _mm512_loadu_si512(tab), t1 = _mm512_loadu_si512(tab + 32);
    for (size_t i = 0; i < n; i += 32)
        _mm512_storeu_si512(bound + i,
                            _mm512_add_epi16(_mm512_loadu_si512(bound + i), lut(cls + i, t0, t1)));
}

static void bound_and(const uint8_t *cls, const uint16_t *tab, uint16_t *bound, size_t n)
{
    const __m512i t0 = _mm512_loadu_si512(tab), t1 = _mm512_loadu_si512(tab + 32);
    for (size_t i = 0; i < n; i += 32) {
        __m512i u = _mm512_loadu_si512(bound + i), x = lut(cls + i, t0, t1);
        __mmask32 both = _mm512_test_epi16_mask(x, x) & _mm512_test_epi16_mask(u, u);
        _mm512_storeu_si512(bound + i, _mm512_maskz_add_epi16(both, u, x));
    }
}

static uint16_t bound_max(const uint16_t *bound, size_t n)
{
    __m512i m = _mm512_setzero_si512();
    uint16_t t[32], r = 0;
    size_t i = 0;
    for (; i + 32 <= n; i += 32) m = _mm512_max_epu16(m, _mm512_loadu_si512(bound + i));
    _mm512_storeu_si512(t, m);
    for (int k = 0; k < 32; k++) r = t[k] > r ? t[k] : r;
    for (; i < n; i++) r = bound[i] > r ? bound[i] : r;
    return r;
}

static size_t bound_select(const uint16_t *bound, size_t n, uint16_t lo, uint16_t hi, uint32_t *out)
{
    const __m512i L = _mm512_set1_epi16((short)lo),
                  H = _mm512_set1_epi16((short)(hi == 65535 ? 65535 : hi - 1));
    size_t m = 0;
    for (size_t i = 0; i < n; i += 32) {
        __m512i u = _mm512_loadu_si512(bound + i);
        uint32_t k = _mm512_cmpge_epu16_mask(u, L) & _mm512_cmple_epu16_mask(u, H);
        if (i + 32 > n) k &= (uint32_t)((1ull << (n - i)) - 1);
        for (; k; k &= k - 1) out[m++] = (uint32_t)i + (uint32_t)__builtin_ctz(k);
    }
    return m;
}

static size_t at_least(const float *s, size_t n, float least, uint32_t *idx)
{
    const __m512 t = _mm512_set1_ps(least);
    size_t m = 0;
    for (size_t i = 0; i < n; i += 16) {
        uint32_t k = _mm512_cmp_ps_mask(_mm512_loadu_ps(s + i), t, _CMP_GE_OQ);
        if (i + 16 > n) k &= (1u << (n - i)) - 1;
        for (; k; k &= k - 1) idx[m++] = (uint32_t)i + (uint32_t)__builtin_ctz(k);
    }
    return m;
}

static size_t at_least_d(const double *s, size_t n, double least, uint32_t *idx)
{
    const __m512d t = _mm512_set1_pd(least);
    size_t m = 0;
    for (size_t i = 0; i < n; i += 16) {
        uint32_t k = (uint32_t)_mm512_cmp_pd_mask(_mm512_loadu_pd(s + i), t, _CMP_GE_OQ) |
                     (uint32_t)_mm512_cmp_pd_mask(_mm512_loadu_pd(s + i + 8), t, _CMP_GE_OQ) << 8;
        if (i + 16 > n) k &= (1u << (n - i)) - 1;
        for (; k; k &= k - 1) idx[m++] = (uint32_t)i + (uint32_t)__builtin_ctz(k);
    }
    return m;
}

static double max_d(const double *s, size_t n)
{
    __m512d a = _mm512_setzero_pd(), c = a;
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        a = _mm512_max_pd(_mm512_loadu_pd(s + i), a);
        c = _mm512_max_pd(_mm512_loadu_pd(s + i + 8), c);
    }
    double m = _mm512_reduce_max_pd(_mm512_max_pd(a, c));
    for (; i < n; i++) m = s[i] > m ? s[i] : m;
    return m;
}

static uint32_t isect(const uint32_t *a, uint32_t na, const uint32_t *b, uint32_t nb, uint32_t *ia,
                      uint32_t *ib)
{
    uint32_t n = 0, j = 0;
    for (uint32_t i = 0; i < na; i++) {
        while (j + 15 < nb && b[j + 15] < a[i]) j += 16;
        uint32_t k =
            _mm512_cmpeq_epi32_mask(_mm512_loadu_si512(b + j), _mm512_set1_epi32((int)a[i]));
        ia[n] = i;
        ib[n] = j + (uint32_t)__builtin_ctz(k | 65536);
        n += k != 0;
    }
    return n;
}

static uint32_t meet(const uint32_t *a, uint32_t na, const uint32_t *b, uint32_t nb, uint32_t diff)
{
    const __m512i iota = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m256i first = _mm256_set1_epi32((int)b[0]);
    __m512i x = _mm512_add_epi32(_mm512_loadu_si512(a),
                                 _mm512_sub_epi32(_mm512_set1_epi32((int)diff), iota));
    __m256i i = _mm512_castsi512_si256(iota);
    uint32_t k = 0;
    for (uint32_t r = 0; r < nb; r += 8, i = _mm256_add_epi32(i, _mm256_set1_epi32(8))) {
        /* lanes behind nb repeat the first value; each quarter sees all eight by turns and a swap
         */
        __mmask8 in = _mm256_cmplt_epu32_mask(i, _mm256_set1_epi32((int)nb));
        __m512i v = _mm512_broadcast_i64x4(
            _mm256_mask_sub_epi32(first, in, _mm256_loadu_si256((const void *)(b + r)), i));
        __m512i w = _mm512_shuffle_i64x2(v, v, 0xb1);
        uint32_t k0 = _mm512_cmpeq_epi32_mask(x, v), k1 = _mm512_cmpeq_epi32_mask(x, w);
        k0 |= _mm512_cmpeq_epi32_mask(x, _mm512_shuffle_epi32(v, 0x39));
        k1 |= _mm512_cmpeq_epi32_mask(x, _mm512_shuffle_epi32(w, 0x39));
        k0 |= _mm512_cmpeq_epi32_mask(x, _mm512_shuffle_epi32(v, 0x4e));
        k1 |= _mm512_cmpeq_epi32_mask(x, _mm512_shuffle_epi32(w, 0x4e));
        k0 |= _mm512_cmpeq_epi32_mask(x, _mm512_shuffle_epi32(v, 0x93));
        k1 |= _mm512_cmpeq_epi32_mask(x, _mm512_shuffle_epi32(w, 0x93));
        k |= k0 | k1;
    }
    return k & ((1u << na) - 1);
}

static uint32_t rank(const uint32_t *docs, uint32_t n, uint32_t d)
{
    const __m512i v = _mm512_set1_epi32((int)d);
    uint32_t r = 0;
    for (uint32_t i = 0; i < n; i += 16) {
        uint32_t k = _mm512_cmplt_epu32_mask(_mm512_loadu_si512(docs + i), v);
        if (i + 16 > n) k &= (1u << (n - i)) - 1;
        r += (uint32_t)__builtin_popcount(k);
    }
    return r;
}

static uint32_t bits_to_docs(const uint64_t *a, size_t n, uint32_t base, uint32_t *out)
{
    uint32_t m = 0;
    for (size_t i = 0; i < n; i++, base += 64) {
        uint64_t w = a[i];
        __m512i d = _mm512_add_epi32(
            _mm512_set1_epi32((int)base),
            _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
        if (!w) continue;
        for (unsigned k = 0; k < 4; k++, w >>= 16, d = _mm512_add_epi32(d, _mm512_set1_epi32(16))) {
            /* compressed in a register: a compressing store is microcoded on some machines */
            uint32_t some = (uint32_t)__builtin_popcount((unsigned)(w & 0xffff));
            _mm512_mask_storeu_epi32(out + m, (__mmask16)((1u << some) - 1),
                                     _mm512_maskz_compress_epi32((__mmask16)w, d));
            m += some;
        }
    }
    return m;
}

const qd_kern qd_kern_avx512 = {
    .name = "avx512",
    .score = score,
    .table = table,
    .sum_clear = sum_clear,
    .bound_add = bound_add,
    .bound_and = bound_and,
    .bound_max = bound_max,
    .bound_select = bound_select,
    .at_least = at_least,
    .at_least_d = at_least_d,
    .max_d = max_d,
    .isect = isect,
    .meet = meet,
    .near = near,
    .rank = rank,
    .and64 = and64,
    .popcount = popcount,
    .popcount_and = popcount_and,
    .bits_to_docs = bits_to_docs,
};
#endif
