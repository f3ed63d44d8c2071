/*
 * vec.h: distances of one vector to many rows, once for each instruction set, with
 * bit-identical results: floats are multiplied, rounded, and added into lane i % 32, and the lanes
 * folded by halves.
 */
#ifndef QD_MAPPING_VEC_H
#define QD_MAPPING_VEC_H

#include <stddef.h>
#include <stdint.h>

/* The query is followed by zeros up to a multiple of this many elements (of bits: bytes). Rows are
 * not: nothing behind a row is read. */
#define QD_VEC_LANES 64u

/*
 * q against n rows: row i begins at rows + (at ? at[i] : i) * stride, at any alignment. size:
 * elements of a row, of hamming its bytes.
 */
typedef struct qd_vec_kern {
    const char *name;
    void (*dot_f32)(const float *q, const char *rows, size_t stride, const uint32_t *at, uint32_t n,
                    uint32_t size, float *out);
    /* Squared distance; below too. */
    void (*l2_f32)(const float *q, const char *rows, size_t stride, const uint32_t *at, uint32_t n,
                   uint32_t size, float *out);
    /* Exact up to 32,768 elements. */
    void (*dot_i8)(const int8_t *q, const char *rows, size_t stride, const uint32_t *at, uint32_t n,
                   uint32_t size, int32_t *out);
    void (*l2_i8)(const int8_t *q, const char *rows, size_t stride, const uint32_t *at, uint32_t n,
                  uint32_t size, int32_t *out);
    /* Bits that differ. */
    void (*hamming)(const uint8_t *q, const char *rows, size_t stride, const uint32_t *at,
                    uint32_t n, uint32_t size, int32_t *out);
    /* Sums of q[i] * n[i], n being codes of 7, 4 or 1 bits without a sign (codes.h). Of 7 bits size
     * is in elements; of 4 in bytes, byte i holding element i in its low half and element size + i
     * in its high one; of 1 in bytes, a multiple of 8, element i in bit i % 8 of byte i / 8. */
    void (*dot_u7)(const int8_t *q, const char *rows, size_t stride, const uint32_t *at, uint32_t n,
                   uint32_t size, int32_t *out);
    void (*dot_u4)(const int8_t *q, const char *rows, size_t stride, const uint32_t *at, uint32_t n,
                   uint32_t size, int32_t *out);
    void (*dot_u1)(const int8_t *q, const char *rows, size_t stride, const uint32_t *at, uint32_t n,
                   uint32_t size, int32_t *out);
} qd_vec_kern;

extern const qd_vec_kern qd_vec_scalar;
#if defined(__x86_64__)
extern const qd_vec_kern qd_vec_avx2, qd_vec_avx512;
#elif defined(__aarch64__)
extern const qd_vec_kern qd_vec_neon;
#endif

/* The table for this machine (and QD_CPU). */
const qd_vec_kern *qd_vec_get(void);

#endif
