/*
 * kern_int.h: inner loops over decoded values. Every instruction set gives the same bits: the body
 * (kern_body_int.h) is written once with vectors of a fixed width, so lanes and their order do not
 * depend on the machine.
 */
#ifndef QD_AGGS_KERN_INT_H
#define QD_AGGS_KERN_INT_H

#include <stddef.h>
#include <stdint.h>

/* Sums of n values (at most 2^31), exact: sum = high * 2^32 + low. */
typedef struct qdi_isum {
    int64_t high;
    uint64_t low;
} qdi_isum;

#define QDI_LANES 16u
/* Sums in lanes with Kahan's compensation, kept from call to call. */
typedef struct qdi_fsum {
    double sum[QDI_LANES], low[QDI_LANES];
} qdi_fsum;

typedef struct qdi_kernels {
    void (*sum_i64)(const int64_t *v, size_t n, qdi_isum *out);
    void (*bounds_i64)(const int64_t *v, size_t n, int64_t *min, int64_t *max);
    void (*sum_f64)(const double *v, size_t n, qdi_fsum *io);
    void (*bounds_f64)(const double *v, size_t n, double *min, double *max);
} qdi_kernels;

extern const qdi_kernels qdi_aggs_kernels_scalar, qdi_aggs_kernels_avx2;
/* The best table for this machine. */
const qdi_kernels *qdi_aggs_kernels_get(void);

#endif
