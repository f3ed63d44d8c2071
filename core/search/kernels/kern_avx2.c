/* kern_avx2.c: x86-64-v3 kernels. Plain loops are vectorised by the compiler. */
#include "search/kernels/kern_int.h"
#if defined(__x86_64__)
#include "search/kernels/kern_body_int.h"
#include <immintrin.h>
#include <string.h>

static void score(const uint32_t *freq, const uint32_t *doc, uint32_t mask, const uint8_t *norm,
                  const float *ninv, float w, float *out, uint32_t from, uint32_t to)
{
    const __m256 W = _mm256_set1_ps(w), one = _mm256_set1_ps(1.0f);
    const __m256i m8 = _mm256_set1_epi32(255), dm = _mm256_set1_epi32((int)mask);
    for (uint32_t g = from >> 3; g < (to + 7) >> 3; g++) {
        __m256 f = _mm256_cvtepi32_ps(_mm256_loadu_si256((const void *)(freq + 8 * g)));
        __m256i d = _mm256_and_si256(_mm256_loadu_si256((const void *)(doc + 8 * g)), dm);
        __m256i n = _mm256_and_si256(m8, _mm256_i32gather_epi32((const int *)norm, d, 1));
        __m256 q = _mm256_add_ps(one, _mm256_mul_ps(f, _mm256_i32gather_ps(ninv, n, 4)));
        _mm256_storeu_ps(out + 8 * g, _mm256_sub_ps(W, _mm256_div_ps(W, q)));
    }
}

static uint64_t sum_clear(uint8_t *p, size_t n)
{
    const __m256i z = _mm256_setzero_si256();
    __m256i s = z;
    uint64_t t[4];
    for (size_t i = 0; i < n; i += 32) {
        s = _mm256_add_epi64(s, _mm256_sad_epu8(_mm256_loadu_si256((const void *)(p + i)), z));
        _mm256_storeu_si256((void *)(p + i), z);
    }
    _mm256_storeu_si256((void *)t, s);
    return t[0] + t[1] + t[2] + t[3];
}

/* 16 classes to their 16-bit table entries: bytes of the entries by four 16-entry shuffles each. */
typedef struct lut {
    __m256i lo[4], hi[4];
} lut;
static inline lut lut_make(const uint16_t *tab)
{
    lut l;
    for (int k = 0; k < 4; k++) {
        uint8_t a[16], b[16];
        for (int i = 0; i < 16; i++) {
            a[i] = (uint8_t)tab[16 * k + i];
            b[i] = (uint8_t)(tab[16 * k + i] >> 8);
        }
        l.lo[k] = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)a));
        l.hi[k] = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)b));
    }
    return l;
}
/* 32 classes: low and high bytes of their entries, still in byte order. */
static inline void lut_get(const lut *l, const uint8_t *cls, __m256i *lo, __m256i *hi)
{
    __m256i c = _mm256_loadu_si256((const void *)cls), a = _mm256_setzero_si256(), b = a;
    for (int k = 0; k < 4; k++) {
        __m256i x = _mm256_sub_epi8(c, _mm256_set1_epi8((char)(16 * k)));
        __m256i in = _mm256_cmpeq_epi8(_mm256_and_si256(x, _mm256_set1_epi8((char)0xf0)),
                                       _mm256_setzero_si256());
        a = _mm256_or_si256(a, _mm256_and_si256(in, _mm256_shuffle_epi8(l->lo[k], x)));
        b = _mm256_or_si256(b, _mm256_and_si256(in, _mm256_shuffle_epi8(l->hi[k], x)));
    }
    *lo = _mm256_permute4x64_epi64(a, 0xd8);
    *hi = _mm256_permute4x64_epi64(b, 0xd8);
}

static void bound_add(const uint8_t *cls, const uint16_t *tab, uint16_t *bound, size_t n)
{
    const lut l = lut_make(tab);
    for (size_t i = 0; i < n; i += 32) {
        __m256i lo, hi;
        lut_get(&l, cls + i, &lo, &hi);
        __m256i *b = (__m256i *)(void *)(bound + i);
        _mm256_storeu_si256(b,
                            _mm256_add_epi16(_mm256_loadu_si256(b), _mm256_unpacklo_epi8(lo, hi)));
        _mm256_storeu_si256(
            b + 1, _mm256_add_epi16(_mm256_loadu_si256(b + 1), _mm256_unpackhi_epi8(lo, hi)));
    }
}

static void bound_and(const uint8_t *cls, const uint16_t *tab, uint16_t *bound, size_t n)
{
    const lut l = lut_make(tab);
    const __m256i z = _mm256_setzero_si256();
    for (size_t i = 0; i < n; i += 32) {
        __m256i lo, hi;
        lut_get(&l, cls + i, &lo, &hi);
        __m256i *b = (__m256i *)(void *)(bound + i);
        for (int h = 0; h < 2; h++) {
            __m256i x = h ? _mm256_unpackhi_epi8(lo, hi) : _mm256_unpacklo_epi8(lo, hi);
            __m256i u = _mm256_loadu_si256(b + h);
            __m256i none = _mm256_or_si256(_mm256_cmpeq_epi16(x, z), _mm256_cmpeq_epi16(u, z));
            _mm256_storeu_si256(b + h, _mm256_andnot_si256(none, _mm256_add_epi16(u, x)));
        }
    }
}

static uint16_t bound_max(const uint16_t *bound, size_t n)
{
    uint16_t m = 0;
    for (size_t i = 0; i < n; i++) m = bound[i] > m ? bound[i] : m;
    return m;
}

static size_t bound_select(const uint16_t *bound, size_t n, uint16_t lo, uint16_t hi, uint32_t *out)
{
    const __m256i L = _mm256_set1_epi16((short)lo),
                  H = _mm256_set1_epi16((short)(hi == 65535 ? 65535 : hi - 1));
    size_t m = 0;
    for (size_t i = 0; i < n; i += 16) {
        __m256i u = _mm256_loadu_si256((const void *)(bound + i));
        __m256i in = _mm256_and_si256(_mm256_cmpeq_epi16(_mm256_max_epu16(u, L), u),
                                      _mm256_cmpeq_epi16(_mm256_min_epu16(u, H), u));
        uint32_t k = (uint32_t)_mm256_movemask_epi8(in) & 0x55555555u;
        if (i + 16 > n) k &= (uint32_t)((1ull << (2 * (n - i))) - 1);
        for (; k; k &= k - 1) out[m++] = (uint32_t)i + ((uint32_t)__builtin_ctz(k) >> 1);
    }
    return m;
}

static size_t at_least(const float *s, size_t n, float least, uint32_t *idx)
{
    const __m256 t = _mm256_set1_ps(least);
    size_t m = 0;
    for (size_t i = 0; i < n; i += 8) {
        uint32_t k =
            (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(s + i), t, _CMP_GE_OQ));
        if (i + 8 > n) k &= (1u << (n - i)) - 1;
        for (; k; k &= k - 1) idx[m++] = (uint32_t)i + (uint32_t)__builtin_ctz(k);
    }
    return m;
}

static size_t at_least_d(const double *s, size_t n, double least, uint32_t *idx)
{
    const __m256d t = _mm256_set1_pd(least);
    size_t m = 0;
    for (size_t i = 0; i < n; i += 8) {
        uint32_t k =
            (uint32_t)_mm256_movemask_pd(_mm256_cmp_pd(_mm256_loadu_pd(s + i), t, _CMP_GE_OQ)) |
            (uint32_t)_mm256_movemask_pd(_mm256_cmp_pd(_mm256_loadu_pd(s + i + 4), t, _CMP_GE_OQ))
                << 4;
        if (i + 8 > n) k &= (1u << (n - i)) - 1;
        for (; k; k &= k - 1) idx[m++] = (uint32_t)i + (uint32_t)__builtin_ctz(k);
    }
    return m;
}

static double max_d(const double *s, size_t n)
{
    __m256d a = _mm256_setzero_pd(), c = a;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        a = _mm256_max_pd(_mm256_loadu_pd(s + i), a);
        c = _mm256_max_pd(_mm256_loadu_pd(s + i + 4), c);
    }
    double t[4], m = 0;
    _mm256_storeu_pd(t, _mm256_max_pd(a, c));
    for (int k = 0; k < 4; k++) m = t[k] > m ? t[k] : m;
    for (; i < n; i++) m = s[i] > m ? s[i] : m;
    return m;
}

static uint32_t isect(const uint32_t *a, uint32_t na, const uint32_t *b, uint32_t nb, uint32_t *ia,
                      uint32_t *ib)
{
    uint32_t n = 0, j = 0;
    for (uint32_t i = 0; i < na; i++) {
        while (j + 15 < nb && b[j + 15] < a[i]) j += 16;
        __m256i x = _mm256_set1_epi32((int)a[i]);
        __m256i u = _mm256_cmpeq_epi32(x, _mm256_loadu_si256((const void *)(b + j)));
        __m256i v = _mm256_cmpeq_epi32(x, _mm256_loadu_si256((const void *)(b + j + 8)));
        uint32_t k = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(u)) |
                     (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(v)) << 8;
        ia[n] = i;
        ib[n] = j + (uint32_t)__builtin_ctz(k | 65536);
        n += k != 0;
    }
    return n;
}

/* Eight values of b against all of a: turned within their quarters, quarters swapped. */
static inline __m256i meet8(__m256i a, __m256i v, __m256i w)
{
    __m256i m = _mm256_cmpeq_epi32(a, v), n = _mm256_cmpeq_epi32(a, w);
    m = _mm256_or_si256(m, _mm256_cmpeq_epi32(a, _mm256_shuffle_epi32(v, 0x39)));
    n = _mm256_or_si256(n, _mm256_cmpeq_epi32(a, _mm256_shuffle_epi32(w, 0x39)));
    m = _mm256_or_si256(m, _mm256_cmpeq_epi32(a, _mm256_shuffle_epi32(v, 0x4e)));
    n = _mm256_or_si256(n, _mm256_cmpeq_epi32(a, _mm256_shuffle_epi32(w, 0x4e)));
    m = _mm256_or_si256(m, _mm256_cmpeq_epi32(a, _mm256_shuffle_epi32(v, 0x93)));
    n = _mm256_or_si256(n, _mm256_cmpeq_epi32(a, _mm256_shuffle_epi32(w, 0x93)));
    return _mm256_or_si256(m, n);
}

static uint32_t meet(const uint32_t *a, uint32_t na, const uint32_t *b, uint32_t nb, uint32_t diff)
{
    const __m256i iota = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i eight = _mm256_set1_epi32(8), first = _mm256_set1_epi32((int)b[0]);
    __m256i at = _mm256_sub_epi32(_mm256_set1_epi32((int)diff), iota);
    __m256i x = _mm256_add_epi32(_mm256_loadu_si256((const void *)a), at);
    __m256i y =
        _mm256_add_epi32(_mm256_loadu_si256((const void *)(a + 8)), _mm256_sub_epi32(at, eight));
    __m256i m = _mm256_setzero_si256(), n = m, i = iota;
    for (uint32_t r = 0; r < nb; r += 8, i = _mm256_add_epi32(i, eight)) {
        __m256i v = _mm256_sub_epi32(_mm256_loadu_si256((const void *)(b + r)), i);
        /* lanes behind nb repeat the first value */
        v = _mm256_blendv_epi8(first, v, _mm256_cmpgt_epi32(_mm256_set1_epi32((int)nb), i));
        __m256i w = _mm256_permute2x128_si256(v, v, 1);
        m = _mm256_or_si256(m, meet8(x, v, w));
        if (na > 8) n = _mm256_or_si256(n, meet8(y, v, w));
    }
    uint32_t k = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(m)) |
                 (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(n)) << 8;
    return k & ((1u << na) - 1);
}

static uint32_t rank(const uint32_t *docs, uint32_t n, uint32_t d)
{
    uint32_t r = 0;
    for (uint32_t i = 0; i < n; i++) r += docs[i] < d;
    return r;
}

static uint32_t bits_to_docs(const uint64_t *a, size_t n, uint32_t base, uint32_t *out)
{
    uint32_t m = 0;
    for (size_t i = 0; i < n; i++, base += 64) {
        uint64_t w = a[i];
        if (w == ~0ull) { /* match_all, dense filters */
            __m256i d = _mm256_add_epi32(_mm256_set1_epi32((int)base),
                                         _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
            for (unsigned k = 0; k < 64; k += 8, d = _mm256_add_epi32(d, _mm256_set1_epi32(8)))
                _mm256_storeu_si256((__m256i *)(void *)(out + m + k), d);
            m += 64;
            continue;
        }
        for (; w; w &= w - 1) out[m++] = base + (uint32_t)__builtin_ctzll(w);
    }
    return m;
}

const qd_kern qd_kern_avx2 = {
    .name = "avx2",
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
