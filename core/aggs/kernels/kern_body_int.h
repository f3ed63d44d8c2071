/*
 * kern_body_int.h: the loops of kern_int.h, included by one file for each instruction set.
 */
#include "aggs/kernels/kern_int.h"
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

static inline void add_lanes(const vd *x, vd *s, vd *c)
{
    vd y = *x - *c, t = *s + y;
    *c = (t - *s) - y;
    *s = t;
}

static inline void add_lane(double x, size_t k, qd_fsum *io)
{
    double y = x - io->low[k], t = io->sum[k] + y;
    io->low[k] = (t - io->sum[k]) - y;
    io->sum[k] = t;
}

static void sum_f64(const double *v, size_t n, qd_fsum *io)
{
    vd s[4], c[4];
    memcpy(s, io->sum, sizeof s);
    memcpy(c, io->low, sizeof c);
    size_t i = 0;
    for (; i + QD_FSUM_LANES <= n; i += QD_FSUM_LANES)
        for (int k = 0; k < 4; k++) { /* four chains hide the latency of additions */
            vd x;
            memcpy(&x, v + i + 4 * k, 32);
            add_lanes(&x, &s[k], &c[k]);
        }
    memcpy(io->sum, s, sizeof s);
    memcpy(io->low, c, sizeof c);
    for (; i < n; i++) add_lane(v[i], i % QD_FSUM_LANES, io);
}

static void sum_sortable(const int64_t *v, size_t n, qd_fsum *io)
{
    vd s[4], c[4];
    memcpy(s, io->sum, sizeof s);
    memcpy(c, io->low, sizeof c);
    size_t i = 0;
    for (; i + QD_FSUM_LANES <= n; i += QD_FSUM_LANES)
        for (int k = 0; k < 4; k++) {
            vi a;
            memcpy(&a, v + i + 4 * k, 32);
            vu flip = (vu)(a < 0) >> 1;
            a ^= (vi)flip;
            vd x = (vd)a;
            add_lanes(&x, &s[k], &c[k]);
        }
    memcpy(io->sum, s, sizeof s);
    memcpy(io->low, c, sizeof c);
    for (; i < n; i++) add_lane(qd_sortable_to_f64(v[i]), i % QD_FSUM_LANES, io);
}

/* Into pairs of values 0, 2, 1, 3. The sign bits of bad gather what is nearer to zero than least,
 * but not zero: the bits of doubles of one sign are in their order. */
static inline void split4(const vi *v, double magic, int64_t least, vi *bad, qdi_pair out[4])
{
    vu flip = (vu)(*v < 0) >> 1;
    vd x = (vd)(*v ^ (vi)flip), high = (x + magic) - magic, low = x - high;
    vi size = (vi)x & INT64_MAX;
    *bad |= (size - least) & ~(size - 1);
    vd first = __builtin_shufflevector(high, low, 0, 4, 2, 6);
    vd second = __builtin_shufflevector(high, low, 1, 5, 3, 7);
    memcpy(out, &first, 32);
    memcpy(out + 2, &second, 32);
}

static bool split(const int64_t *v, size_t n, double magic, double tiny, qdi_pair *out)
{
    vi bad = {0}, a;
    const int64_t least = qd_sortable_f64(tiny);
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        memcpy(&a, v + i, 32);
        split4(&a, magic, least, &bad, out + i);
    }
    for (; i < n; i++) {
        qdi_pair some[4];
        split4(&(vi){v[i]}, magic, least, &bad, some);
        out[i] = some[0];
    }
    return (bad[0] | bad[1] | bad[2] | bad[3]) >= 0;
}

typedef uint32_t vw __attribute__((vector_size(16)));

static inline vw narrow(const vu *a)
{
    vw halves[2];
    memcpy(halves, a, sizeof halves);
    return __builtin_shufflevector(halves[0], halves[1], 0, 2, 4, 6);
}

/* Loops that compilers turn into vectors by themselves. */
static uint32_t greatest(const uint32_t *v, size_t n)
{
    uint32_t most = 0;
    for (size_t i = 0; i < n; i++) most = v[i] > most ? v[i] : most;
    return most;
}

static uint32_t offsets(const int64_t *v, size_t n, int64_t base, uint32_t *out)
{
    for (size_t i = 0; i < n; i++) out[i] = (uint32_t)((uint64_t)v[i] - (uint64_t)base);
    return greatest(out, n);
}

static void add_up(uint32_t *v, size_t n, size_t stride)
{
    for (size_t i = 0; i < n; i++) v[i] += v[i + stride];
}

/* Integers below 2^52 become doubles, and back, by the bits of 2^52 above them. The quotient by the
 * inverse is rounded to the nearest integer: it is one too great where the rest, exact, is
 * negative. */
static inline vw step4(const vu *above, double length, double inverse)
{
    const double magic = 0x1p52;
    vd d = (vd)(*above | (uint64_t)0x4330000000000000) - magic;
    vd q = (d * inverse + magic) - magic, rest = d - q * length;
    const vd one = {1, 1, 1, 1};
    q -= (vd)((vu)(rest < 0) & (vu)one);
    vu bits = (vu)(q + magic);
    return narrow(&bits);
}

static uint32_t steps(const int64_t *v, size_t n, int64_t base, int64_t step, uint32_t *out)
{
    const double length = (double)step, inverse = 1 / length;
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        vu a;
        memcpy(&a, v + i, 32);
        a -= (uint64_t)base;
        vw w = step4(&a, length, inverse);
        memcpy(out + i, &w, 16);
    }
    for (; i < n; i++) out[i] = step4(&(vu){(uint64_t)v[i] - (uint64_t)base}, length, inverse)[0];
    return greatest(out, n);
}

static inline vw interval4(const vd *v, double offset, double interval, double first)
{
    const double magic = 0x1.8p52; /* of either sign */
    vd x = (*v - offset) / interval, q = (x + magic) - magic;
    q -= (vd)((vu)(q > x) & (vu)(vd){1, 1, 1, 1});
    vu bits = (vu)(q - first + magic);
    return narrow(&bits);
}

static uint32_t intervals(const double *v, size_t n, double offset, double interval, double first,
                          uint32_t *out)
{
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        vd a;
        memcpy(&a, v + i, 32);
        vw w = interval4(&a, offset, interval, first);
        memcpy(out + i, &w, 16);
    }
    for (; i < n; i++) out[i] = interval4(&(vd){v[i]}, offset, interval, first)[0];
    return greatest(out, n);
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
