/*
 * kern_int.h: inner loops over decoded values. Every instruction set gives the same bits: the body
 * (kern_body_int.h) is written once with vectors of a fixed width, so lanes and their order do not
 * depend on the machine.
 */
#ifndef QD_AGGS_KERN_INT_H
#define QD_AGGS_KERN_INT_H

#include "segment/columns.h"
#include <stddef.h>

/* Sums of n values (at most 2^31), exact: sum = high * 2^32 + low. */
typedef struct qdi_isum {
    int64_t high;
    uint64_t low;
} qdi_isum;

/* A double in two parts, high a multiple of a fixed power of two: sums of many highs are exact, of
 * lows nearly so. */
typedef double qdi_pair __attribute__((vector_size(16)));

typedef struct qdi_kernels {
    void (*sum_i64)(const int64_t *v, size_t n, qdi_isum *out);
    void (*bounds_i64)(const int64_t *v, size_t n, int64_t *min, int64_t *max);
    /* Value i into lane i % QD_FSUM_LANES. */
    void (*sum_f64)(const double *v, size_t n, qd_fsum *io);
    /* The same for sortable integers of doubles. */
    void (*sum_sortable)(const int64_t *v, size_t n, qd_fsum *io);
    /* Parts of sortable doubles: high = (v + magic) - magic, low = v - high. Four values
     * are in the order 0, 2, 1, 3; the last n % 4 as they come. False: one but zero is nearer to
     * zero than tiny > 0. */
    bool (*split)(const int64_t *v, size_t n, double magic, double tiny, qdi_pair *out);
    void (*bounds_f64)(const double *v, size_t n, double *min, double *max);
    /* out[i] = v[i] - base, its low 32 bits; the greatest of them. */
    uint32_t (*offsets)(const int64_t *v, size_t n, int64_t base, uint32_t *out);
    /* out[i] = floor((v[i] - base) / step) for base <= v[i] < base + 2^52, the low 32 bits of
     * something for others; the greatest of them. 0 < step < 2^52, results below 2^24. */
    uint32_t (*steps)(const int64_t *v, size_t n, int64_t base, int64_t step, uint32_t *out);
    /* out[i] = floor((v[i] - offset) / interval) - first, every step rounded as doubles are, where
     * the quotient is within 2^50 of 0; the low 32 bits of something for others; the greatest. */
    uint32_t (*intervals)(const double *v, size_t n, double offset, double interval, double first,
                          uint32_t *out);
    /* v[i] += v[i + stride] for i < n <= stride. */
    void (*add_up)(uint32_t *v, size_t n, size_t stride);
} qdi_kernels;

extern const qdi_kernels qdi_aggs_kernels_scalar, qdi_aggs_kernels_avx2;
/* The best table for this machine. */
const qdi_kernels *qdi_aggs_kernels_get(void);

#endif
