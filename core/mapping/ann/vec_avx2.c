/* vec_avx2.c: bytes are widened to 16 bits and multiplied in pairs; bits are counted by a table of
 * half bytes. */
#if defined(__x86_64__)
#include "mapping/ann/vec.h"
#include <immintrin.h>

#define STEP_F 32
#define STEP_B 32

typedef struct acc_f {
    __m256 lane[4];
} acc_f;

static inline __m256 floats(const void *p)
{
    return _mm256_loadu_ps((const float *)p);
}

static inline void dot_step_f(acc_f *a, const float *q, const char *row)
{
    for (int i = 0; i < 4; i++)
        a->lane[i] =
            _mm256_add_ps(a->lane[i], _mm256_mul_ps(floats(q + 8 * i), floats(row + 32 * i)));
}

static inline void l2_step_f(acc_f *a, const float *q, const char *row)
{
    for (int i = 0; i < 4; i++) {
        __m256 d = _mm256_sub_ps(floats(q + 8 * i), floats(row + 32 * i));
        a->lane[i] = _mm256_add_ps(a->lane[i], _mm256_mul_ps(d, d));
    }
}

static inline float fold_f(const acc_f *a)
{
    __m256 x =
        _mm256_add_ps(_mm256_add_ps(a->lane[0], a->lane[2]), _mm256_add_ps(a->lane[1], a->lane[3]));
    __m128 y = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    y = _mm_add_ps(y, _mm_movehl_ps(y, y));
    y = _mm_add_ss(y, _mm_movehdup_ps(y));
    return _mm_cvtss_f32(y);
}

typedef struct acc_b {
    __m256i sum; /* 32 bits each */
} acc_b;

static inline __m256i words(const void *p)
{
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p));
}

static inline void dot_step_b(acc_b *a, const int8_t *q, const char *row)
{
    for (int i = 0; i < 2; i++)
        a->sum =
            _mm256_add_epi32(a->sum, _mm256_madd_epi16(words(q + 16 * i), words(row + 16 * i)));
}

static inline void l2_step_b(acc_b *a, const int8_t *q, const char *row)
{
    for (int i = 0; i < 2; i++) {
        __m256i d = _mm256_sub_epi16(words(q + 16 * i), words(row + 16 * i));
        a->sum = _mm256_add_epi32(a->sum, _mm256_madd_epi16(d, d));
    }
}

static inline void hamming_step(acc_b *a, const uint8_t *q, const char *row)
{
    const __m256i low = _mm256_set1_epi8(15),
                  table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1,
                                           2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    __m256i x = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(const void *)q),
                                 _mm256_loadu_si256((const __m256i *)(const void *)row));
    __m256i n =
        _mm256_add_epi8(_mm256_shuffle_epi8(table, _mm256_and_si256(x, low)),
                        _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(x, 4), low)));
    a->sum = _mm256_add_epi32(a->sum, _mm256_sad_epu8(n, _mm256_setzero_si256()));
}

static inline __m256i loaded(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

/* Pairs of products fit in 16 bits: 2 * 127 * 128. */
static inline void add_pairs(acc_b *a, __m256i pairs)
{
    a->sum = _mm256_add_epi32(a->sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

static inline void u7_step(acc_b *a, const int8_t *q, const char *row)
{
    add_pairs(a, _mm256_maddubs_epi16(loaded(row), loaded(q)));
}

static inline void u4_step(acc_b *a, const int8_t *low, const int8_t *high, const char *row)
{
    const __m256i half = _mm256_set1_epi8(15);
    __m256i x = loaded(row), l = _mm256_and_si256(x, half),
            h = _mm256_and_si256(_mm256_srli_epi16(x, 4), half);
    add_pairs(a, _mm256_add_epi16(_mm256_maddubs_epi16(l, loaded(low)),
                                  _mm256_maddubs_epi16(h, loaded(high))));
}

/* 32 bits: each byte gets the byte of its bit, and is kept where the bit is set. */
static inline __m256i chosen(const int8_t *q, uint32_t bits)
{
    const __m256i spread = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2,
                                            2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3),
                  each = _mm256_set1_epi64x((int64_t)0x8040201008040201ull);
    __m256i x = _mm256_shuffle_epi8(_mm256_set1_epi32((int32_t)bits), spread);
    x = _mm256_cmpeq_epi8(_mm256_and_si256(x, each), each);
    return _mm256_and_si256(x, loaded(q));
}

static inline void u1_step(acc_b *a, const int8_t *q, uint64_t bits)
{
    const __m256i one = _mm256_set1_epi8(1);
    add_pairs(a,
              _mm256_add_epi16(_mm256_maddubs_epi16(one, chosen(q, (uint32_t)bits)),
                               _mm256_maddubs_epi16(one, chosen(q + 32, (uint32_t)(bits >> 32)))));
}

static inline int32_t fold_b(const acc_b *a)
{
    __m128i x = _mm_add_epi32(_mm256_castsi256_si128(a->sum), _mm256_extracti128_si256(a->sum, 1));
    x = _mm_add_epi32(x, _mm_shuffle_epi32(x, 0x4e));
    x = _mm_add_epi32(x, _mm_shuffle_epi32(x, 0xb1));
    return _mm_cvtsi128_si32(x);
}

#include "mapping/ann/vec_body_int.h"

const qd_vec_kern qd_vec_avx2 = VEC_TABLE("avx2");
#endif
