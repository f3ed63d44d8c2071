/*
 * kern_body_int.h: the loops of kern_int.h, included by one file for each instruction set.
 */
#include "aggs/kern_int.h"
#include <string.h>

typedef int64_t vi __attribute__((vector_size(32)));
typedef uint64_t vu __attribute__((vector_size(32)));
typedef double vd __attribute__((vector_size(32)));

static void sum_i64(const int64_t *v, size_t n, qdi_isum *out)
{
    /* Halves are summed apart (the upper one biased to be unsigned): nothing can overflow. */
    const vu mask = {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff};
    const vu bias = {1ull << 63, 1ull << 63, 1ull << 63, 1ull << 63};
    vu low0 = {0}, low1 = {0}, high0 = {0}, high1 = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        vu a, b;
        memcpy(&a, v + i, 32);
        memcpy(&b, v + i + 4, 32);
        low0 += a & mask;
        low1 += b & mask;
        high0 += (a ^ bias) >> 32;
        high1 += (b ^ bias) >> 32;
    }
    low0 += low1;
    high0 += high1;
    uint64_t low = low0[0] + low0[1] + low0[2] + low0[3];
    int64_t high = (int64_t)(high0[0] + high0[1] + high0[2] + high0[3] - ((uint64_t)i << 31));
    for (; i < n; i++) {
        low += (uint64_t)v[i] & 0xffffffff;
        high += v[i] >> 32;
    }
    out->low = low;
    out->high = high;
}

static void bounds_i64(const int64_t *v, size_t n, int64_t *min, int64_t *max)
{
    vi lo0, hi0, lo1, hi1;
    int64_t lo = *min, hi = *max;
    size_t i = 0;
    if (n >= 8) {
        for (int k = 0; k < 4; k++) {
            lo0[k] = lo1[k] = lo;
            hi0[k] = hi1[k] = hi;
        }
        for (; i + 8 <= n; i += 8) {
            vi a, b;
            memcpy(&a, v + i, 32);
            memcpy(&b, v + i + 4, 32);
            vi m = a < lo0;
            lo0 = (a & m) | (lo0 & ~m);
            m = b < lo1;
            lo1 = (b & m) | (lo1 & ~m);
            m = a > hi0;
            hi0 = (a & m) | (hi0 & ~m);
            m = b > hi1;
            hi1 = (b & m) | (hi1 & ~m);
        }
        for (int k = 0; k < 4; k++) {
            if (lo0[k] < lo) lo = lo0[k];
            if (lo1[k] < lo) lo = lo1[k];
            if (hi0[k] > hi) hi = hi0[k];
            if (hi1[k] > hi) hi = hi1[k];
        }
    }
    for (; i < n; i++) {
        if (v[i] < lo) lo = v[i];
        if (v[i] > hi) hi = v[i];
    }
    *min = lo;
    *max = hi;
}

static void sum_f64(const double *v, size_t n, qdi_fsum *io)
{
    vd s[4], c[4];
    memcpy(s, io->sum, sizeof s);
    memcpy(c, io->low, sizeof c);
    size_t i = 0;
    for (; i + QDI_LANES <= n; i += QDI_LANES)
        for (int k = 0; k < 4; k++) { /* four chains hide the latency of additions */
            vd x;
            memcpy(&x, v + i + 4 * k, 32);
            vd y = x - c[k], t = s[k] + y;
            c[k] = (t - s[k]) - y;
            s[k] = t;
        }
    memcpy(io->sum, s, sizeof s);
    memcpy(io->low, c, sizeof c);
    for (; i < n; i++) {
        size_t k = i % QDI_LANES;
        double y = v[i] - io->low[k], t = io->sum[k] + y;
        io->low[k] = (t - io->sum[k]) - y;
        io->sum[k] = t;
    }
}

static void bounds_f64(const double *v, size_t n, double *min, double *max)
{
    double lo[8], hi[8];
    size_t i = 0;
    for (int k = 0; k < 8; k++) {
        lo[k] = *min;
        hi[k] = *max;
    }
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; k++) {
            lo[k] = v[i + k] < lo[k] ? v[i + k] : lo[k];
            hi[k] = v[i + k] > hi[k] ? v[i + k] : hi[k];
        }
    for (; i < n; i++) {
        lo[0] = v[i] < lo[0] ? v[i] : lo[0];
        hi[0] = v[i] > hi[0] ? v[i] : hi[0];
    }
    for (int k = 0; k < 8; k++) {
        *min = lo[k] < *min ? lo[k] : *min;
        *max = hi[k] > *max ? hi[k] : *max;
    }
}
