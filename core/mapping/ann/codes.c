/* codes.c: see codes.h. Sums run in double and in order: a code depends on its vector alone. */
#include "mapping/ann/codes.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 2
#define RANGES 10u /* that are tried for a code of 4 bits */

/* --- rotation --------------------------------------------------------------------------------- */

/* Bit i of a sequence that is the same everywhere (splitmix64). */
static uint64_t signs(uint64_t word)
{
    uint64_t x = (word + 1) * 0x9e3779b97f4a7c15ull;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

static void hadamard(float *v, uint32_t n)
{
    const float norm = 1 / sqrtf((float)n);
    for (uint32_t half = 1; half < n; half *= 2)
        for (uint32_t i = 0; i < n; i += 2 * half)
            for (uint32_t j = i; j < i + half; j++) {
                float a = v[j], b = v[j + half];
                v[j] = a + b;
                v[j + half] = a - b;
            }
    for (uint32_t i = 0; i < n; i++) v[i] *= norm;
}

void qd_coding_rotate(float *v, uint32_t dims)
{
    uint32_t n = 1;
    while (2 * n <= dims) n *= 2;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (uint32_t i = 0; i < dims; i++)
            if (signs(round << 16 | i / 64) >> (i % 64) & 1) v[i] = -v[i];
        hadamard(v, n);
        if (n < dims) hadamard(v + dims - n, n); /* both ends, which overlap */
    }
}

/* --- codes ------------------------------------------------------------------------------------ */

/* r and what the space adds, of x. */
static float relative(const qd_coding *c, const float *x, float length, float *r)
{
    const float by = c->space == QD_SPACE_COSINE && length > 0 ? 1 / length : 1;
    double own = 0;
    for (uint32_t i = 0; i < c->dims; i++) {
        r[i] = x[i] * by - c->centre[i];
        own += c->space == QD_SPACE_L2 ? -(double)r[i] * (double)r[i]
                                       : (double)c->centre[i] * (double)r[i];
    }
    if (c->bits < 7) qd_coding_rotate(r, c->dims);
    return (float)own;
}

static uint32_t number(float v, float range, float top)
{
    float n = (v / range + 1) * top / 2 + 0.5f;
    return n <= 0 ? 0 : n >= top ? (uint32_t)top : (uint32_t)n;
}

static int descending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* <code, r> and <code, code> under a range. */
static double fit(const float *r, uint32_t dims, float range, float top, double *square)
{
    double dot = 0, sum = 0;
    for (uint32_t i = 0; i < dims; i++) {
        float v = 2 * (float)number(r[i], range, top) - top;
        dot += (double)v * (double)r[i];
        sum += (double)v * (double)v;
    }
    *square = sum;
    return dot;
}

/* The range whose code points most into the direction of r. */
static float best_range(const float *r, uint32_t dims, float most, float top)
{
    float best = most;
    double high = -1;
    for (uint32_t i = 0; i < RANGES; i++) {
        float range = most * (1 - 0.06f * (float)i);
        double square, dot = fit(r, dims, range, top, &square);
        double cosine = square > 0 ? dot / sqrt(square) : -1;
        if (cosine > high) high = cosine, best = range;
    }
    return best;
}

static float range_of(const qd_coding *c, const float *r, float *sorted, float top)
{
    float most = 0;
    for (uint32_t i = 0; i < c->dims; i++)
        if (fabsf(r[i]) > most) most = fabsf(r[i]);
    if (!(most > 0)) return 1;
    if (c->bits == 1) return most;
    if (c->confidence == 0) return c->bits == 4 ? best_range(r, c->dims, most, top) : most;
    if (c->confidence >= 1) return most;
    for (uint32_t i = 0; i < c->dims; i++) sorted[i] = fabsf(r[i]);
    qsort(sorted, c->dims, sizeof *sorted, descending);
    uint32_t outside = (uint32_t)((1 - c->confidence) * (float)c->dims);
    return sorted[outside] > 0 ? sorted[outside] : most;
}

static void put_number(const qd_coding *c, uint32_t i, uint32_t n, uint8_t *to)
{
    uint32_t half = (c->dims + 1) / 2;
    if (c->bits == 7)
        to[i] = (uint8_t)n;
    else if (c->bits == 4)
        to[i < half ? i : i - half] |= (uint8_t)(i < half ? n : n << 4);
    else
        to[i / 8] |= (uint8_t)(n << i % 8);
}

void qd_coding_encode(const qd_coding *c, const float *x, float length, float *scratch, char *out)
{
    const float top = (float)((1u << c->bits) - 1);
    float *r = scratch, own = relative(c, x, length, r), scale = 0;
    float range = range_of(c, r, scratch + c->dims, top);
    double dot = 0, square = 0;
    memset(out, 0, (size_t)qd_coding_stride(c->bits, c->dims));
    for (uint32_t i = 0; i < c->dims; i++) {
        uint32_t n = c->bits == 1 ? r[i] > 0 : number(r[i], range, top);
        put_number(c, i, n, (uint8_t *)out + QD_CODE_HEAD);
        dot += (double)(2 * (float)n - top) * (double)r[i];
        square += (double)r[i] * (double)r[i];
    }
    if (dot > 0) scale = (float)(square / dot);
    if (!isfinite(scale)) scale = 0;
    if (!isfinite(own)) own = -3e38f;
    memcpy(out, &scale, sizeof scale);
    memcpy(out + sizeof scale, &own, sizeof own);
}

/* --- queries ---------------------------------------------------------------------------------- */

void qd_coding_query(const qd_coding *c, const float *x, float length, float *scratch,
                     qd_code_query *out)
{
    float *r = scratch, most = 0;
    (void)relative(c, x, length, r);
    for (uint32_t i = 0; i < c->dims; i++)
        if (fabsf(r[i]) > most) most = fabsf(r[i]);
    float step = most > 0 && isfinite(most) ? most / 127 : 1;
    memset(out->q, 0, qd_coding_padded(c));
    out->sum = 0;
    for (uint32_t i = 0; i < c->dims; i++) {
        float v = roundf(r[i] / step);
        out->q[i] = (int8_t)(v > 127 ? 127 : v > -127 ? v : -127);
        out->sum += out->q[i];
    }
    out->factor = c->space == QD_SPACE_L2 ? 2 * step : step;
}

void qd_coding_near(const qd_coding *c, const qd_vec_kern *k, const qd_code_query *q,
                    const char *records, const uint32_t *at, uint32_t n, int32_t *sums, float *out)
{
    const size_t stride = (size_t)qd_coding_stride(c->bits, c->dims);
    const char *numbers = records + QD_CODE_HEAD;
    const int32_t less = (int32_t)((1u << c->bits) - 1) * q->sum;
    if (c->bits == 7)
        k->dot_u7(q->q, numbers, stride, at, n, c->dims, sums);
    else if (c->bits == 4)
        k->dot_u4(q->q, numbers, stride, at, n, (c->dims + 1) / 2, sums);
    else
        k->dot_u1(q->q, numbers, stride, at, n, (c->dims + 63) / 64 * 8, sums);
    for (uint32_t i = 0; i < n; i++) {
        float own[2]; /* scale, and what the space adds */
        memcpy(own, records + (at ? at[i] : i) * stride, sizeof own);
        out[i] = own[1] + own[0] * q->factor * (float)(2 * sums[i] - less);
    }
}
