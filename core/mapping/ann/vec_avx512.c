/* vec_avx512.c: as vec_avx2.c, 64 bytes at once. */
#if defined(__x86_64__)
#include "mapping/ann/vec.h"
#include <immintrin.h>

#define STEP_F 32
#define STEP_B 64

typedef struct acc_f {
    __m512 lane[2];
} acc_f;

static inline void dot_step_f(acc_f *a, const float *q, const char *row)
{
    for (int i = 0; i < 2; i++)
        a->lane[i] = _mm512_add_ps(
            a->lane[i], _mm512_mul_ps(_mm512_loadu_ps(q + 16 * i), _mm512_loadu_ps(row + 64 * i)));
}

static inline void l2_step_f(acc_f *a, const float *q, const char *row)
{
    for (int i = 0; i < 2; i++) {
        __m512 d = _mm512_sub_ps(_mm512_loadu_ps(q + 16 * i), _mm512_loadu_ps(row + 64 * i));
        a->lane[i] = _mm512_add_ps(a->lane[i], _mm512_mul_ps(d, d));
    }
}

static inline float fold_f(const acc_f *a)
{
    __m512 z = _mm512_add_ps(a->lane[0], a->lane[1]);
    __m256 x = _mm256_add_ps(_mm512_castps512_ps256(z), _mm512_extractf32x8_ps(z, 1));
    __m128 y = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    y = _mm_add_ps(y, _mm_movehl_ps(y, y));
    y = _mm_add_ss(y, _mm_movehdup_ps(y));
    return _mm_cvtss_f32(y);
}

typedef struct acc_b {
    __m512i sum; /* 32 bits each */
} acc_b;

static inline __m512i words(const void *p)
{
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)p));
}

static inline void dot_step_b(acc_b *a, const int8_t *q, const char *row)
{
    for (int i = 0; i < 2; i++)
        a->sum =
            _mm512_add_epi32(a->sum, _mm512_madd_epi16(words(q + 32 * i), words(row + 32 * i)));
}

static inline void l2_step_b(acc_b *a, const int8_t *q, const char *row)
{
    for (int i = 0; i < 2; i++) {
        __m512i d = _mm512_sub_epi16(words(q + 32 * i), words(row + 32 * i));
        a->sum = _mm512_add_epi32(a->sum, _mm512_madd_epi16(d, d));
    }
}

static inline void hamming_step(acc_b *a, const uint8_t *q, const char *row)
{
    const __m512i low = _mm512_set1_epi8(15), table = _mm512_broadcast_i32x4(_mm_setr_epi8(
                                                  0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    __m512i x = _mm512_xor_si512(_mm512_loadu_si512(q), _mm512_loadu_si512(row));
    __m512i n =
        _mm512_add_epi8(_mm512_shuffle_epi8(table, _mm512_and_si512(x, low)),
                        _mm512_shuffle_epi8(table, _mm512_and_si512(_mm512_srli_epi16(x, 4), low)));
    a->sum = _mm512_add_epi32(a->sum, _mm512_sad_epu8(n, _mm512_setzero_si512()));
}

/* Pairs of products fit in 16 bits: 2 * 127 * 128. */
static inline void add_pairs(acc_b *a, __m512i pairs)
{
    a->sum = _mm512_add_epi32(a->sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
}

static inline void u7_step(acc_b *a, const int8_t *q, const char *row)
{
    add_pairs(a, _mm512_maddubs_epi16(_mm512_loadu_si512(row), _mm512_loadu_si512(q)));
}

static inline void u4_step(acc_b *a, const int8_t *low, const int8_t *high, const char *row)
{
    const __m512i half = _mm512_set1_epi8(15);
    __m512i x = _mm512_loadu_si512(row), l = _mm512_and_si512(x, half),
            h = _mm512_and_si512(_mm512_srli_epi16(x, 4), half);
    add_pairs(a, _mm512_add_epi16(_mm512_maddubs_epi16(l, _mm512_loadu_si512(low)),
                                  _mm512_maddubs_epi16(h, _mm512_loadu_si512(high))));
}

static inline void u1_step(acc_b *a, const int8_t *q, uint64_t bits)
{
    add_pairs(a, _mm512_maddubs_epi16(_mm512_set1_epi8(1), _mm512_maskz_loadu_epi8(bits, q)));
}

static inline int32_t fold_b(const acc_b *a)
{
    return _mm512_reduce_add_epi32(a->sum);
}

#include "mapping/ann/vec_body_int.h"

const qd_vec_kern qd_vec_avx512 = VEC_TABLE("avx512");
#endif
