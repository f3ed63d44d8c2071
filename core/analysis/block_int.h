/*
 * block_int.h: 64 bytes of text at a time as 64-bit masks. SSE2 belongs to the x86-64 baseline;
 * elsewhere plain C that compilers vectorise. Loads and stores are unaligned.
 */
#ifndef QD_ANALYSIS_BLOCK_INT_H
#define QD_ANALYSIS_BLOCK_INT_H

#include "base/assert.h"
#include <string.h>

#if defined(__AVX2__)
#include <immintrin.h>
typedef struct qd_blk {
    __m256i v[2];
} qd_blk;

/* 64 bytes at p. */
QD_INLINE qd_blk qd_blk_load(const char *p)
{
    qd_blk b;
    for (int i = 0; i < 2; i++)
        b.v[i] = _mm256_loadu_si256((const __m256i *)(const void *)(p + 32 * i));
    return b;
}
/* 64 bytes to p. */
QD_INLINE void qd_blk_store(char *p, qd_blk b)
{
    for (int i = 0; i < 2; i++) _mm256_storeu_si256((__m256i *)(void *)(p + 32 * i), b.v[i]);
}
/* The sign bits. */
QD_INLINE uint64_t qd_blk_gather(const __m256i m[2])
{
    return (uint64_t)(uint32_t)_mm256_movemask_epi8(m[0]) |
           (uint64_t)(uint32_t)_mm256_movemask_epi8(m[1]) << 32;
}
/* Bytes with the sign bit. */
QD_INLINE uint64_t qd_blk_high(qd_blk b)
{
    return qd_blk_gather(b.v);
}
/* Bytes equal to c. */
QD_INLINE uint64_t qd_blk_eq(qd_blk b, char c)
{
    __m256i m[2];
    for (int i = 0; i < 2; i++) m[i] = _mm256_cmpeq_epi8(b.v[i], _mm256_set1_epi8(c));
    return qd_blk_gather(m);
}
/* Bytes of lo..hi, unsigned. */
QD_INLINE uint64_t qd_blk_in(qd_blk b, unsigned char lo, unsigned char hi)
{
    __m256i m[2];
    for (int i = 0; i < 2; i++) {
        __m256i d = _mm256_sub_epi8(b.v[i], _mm256_set1_epi8((char)lo));
        m[i] = _mm256_cmpeq_epi8(_mm256_min_epu8(d, _mm256_set1_epi8((char)(hi - lo))), d);
    }
    return qd_blk_gather(m);
}
/* A..Z to a..z. */
QD_INLINE qd_blk qd_blk_lower(qd_blk b)
{
    for (int i = 0; i < 2; i++) {
        __m256i d = _mm256_sub_epi8(b.v[i], _mm256_set1_epi8('A'));
        __m256i up = _mm256_cmpeq_epi8(_mm256_min_epu8(d, _mm256_set1_epi8(25)), d);
        b.v[i] = _mm256_add_epi8(b.v[i], _mm256_and_si256(up, _mm256_set1_epi8(32)));
    }
    return b;
}
#elif defined(__SSE2__)
#include <emmintrin.h>
typedef struct qd_blk {
    __m128i v[4];
} qd_blk;

QD_INLINE qd_blk qd_blk_load(const char *p)
{
    qd_blk b;
    for (int i = 0; i < 4; i++)
        b.v[i] = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i));
    return b;
}
QD_INLINE void qd_blk_store(char *p, qd_blk b)
{
    for (int i = 0; i < 4; i++) _mm_storeu_si128((__m128i *)(void *)(p + 16 * i), b.v[i]);
}
QD_INLINE uint64_t qd_blk_gather(const __m128i m[4])
{
    return (uint64_t)(uint32_t)_mm_movemask_epi8(m[0]) |
           (uint64_t)(uint32_t)_mm_movemask_epi8(m[1]) << 16 |
           (uint64_t)(uint32_t)_mm_movemask_epi8(m[2]) << 32 |
           (uint64_t)(uint32_t)_mm_movemask_epi8(m[3]) << 48;
}
/* Bytes with the sign bit. */
QD_INLINE uint64_t qd_blk_high(qd_blk b)
{
    return qd_blk_gather(b.v);
}
/* Bytes equal to c. */
QD_INLINE uint64_t qd_blk_eq(qd_blk b, char c)
{
    __m128i m[4];
    for (int i = 0; i < 4; i++) m[i] = _mm_cmpeq_epi8(b.v[i], _mm_set1_epi8(c));
    return qd_blk_gather(m);
}
/* Bytes of lo..hi, unsigned. */
QD_INLINE uint64_t qd_blk_in(qd_blk b, unsigned char lo, unsigned char hi)
{
    __m128i m[4];
    for (int i = 0; i < 4; i++) {
        __m128i d = _mm_sub_epi8(b.v[i], _mm_set1_epi8((char)lo));
        m[i] = _mm_cmpeq_epi8(_mm_min_epu8(d, _mm_set1_epi8((char)(hi - lo))), d);
    }
    return qd_blk_gather(m);
}
/* A..Z to a..z. */
QD_INLINE qd_blk qd_blk_lower(qd_blk b)
{
    for (int i = 0; i < 4; i++) {
        __m128i d = _mm_sub_epi8(b.v[i], _mm_set1_epi8('A'));
        __m128i up = _mm_cmpeq_epi8(_mm_min_epu8(d, _mm_set1_epi8(25)), d);
        b.v[i] = _mm_add_epi8(b.v[i], _mm_and_si128(up, _mm_set1_epi8(32)));
    }
    return b;
}
#else
typedef struct qd_blk {
    unsigned char v[64];
} qd_blk;

QD_INLINE qd_blk qd_blk_load(const char *p)
{
    qd_blk b;
    memcpy(b.v, p, 64);
    return b;
}
QD_INLINE void qd_blk_store(char *p, qd_blk b)
{
    memcpy(p, b.v, 64);
}
/* Bytes of 0/1 to a mask: eight at a time by a multiplication. */
QD_INLINE uint64_t qd_blk_gather(const unsigned char m[64])
{
    uint64_t r = 0;
    for (int i = 0; i < 8; i++) {
        uint64_t w;
        memcpy(&w, m + 8 * i, 8);
        r |= (w * 0x0102040810204080ull >> 56) << (8 * i);
    }
    return r;
}
QD_INLINE uint64_t qd_blk_high(qd_blk b)
{
    unsigned char m[64];
    for (int i = 0; i < 64; i++) m[i] = b.v[i] >> 7;
    return qd_blk_gather(m);
}
QD_INLINE uint64_t qd_blk_eq(qd_blk b, char c)
{
    unsigned char m[64];
    for (int i = 0; i < 64; i++) m[i] = b.v[i] == (unsigned char)c;
    return qd_blk_gather(m);
}
QD_INLINE uint64_t qd_blk_in(qd_blk b, unsigned char lo, unsigned char hi)
{
    unsigned char m[64];
    for (int i = 0; i < 64; i++) m[i] = (unsigned char)(b.v[i] - lo) <= hi - lo;
    return qd_blk_gather(m);
}
QD_INLINE qd_blk qd_blk_lower(qd_blk b)
{
    for (int i = 0; i < 64; i++)
        b.v[i] = (unsigned char)(b.v[i] + ((unsigned char)(b.v[i] - 'A') < 26 ? 32 : 0));
    return b;
}
#endif

/* Appends base + the position of each set bit; may write 7 entries past the last one. */
QD_INLINE uint32_t qd_bits_out(uint64_t m, uint32_t base, uint32_t *out)
{
    uint32_t n = (uint32_t)__builtin_popcountll(m);
    /* eight at a time: few branches, all well foreseen */
    for (uint32_t i = 0; i < n; i += 8)
        for (uint32_t j = 0; j < 8; j++) {
            out[i + j] = base + (uint32_t)__builtin_ctzll(m | 1ull << 63);
            m &= m - 1;
        }
    return n;
}

#endif
