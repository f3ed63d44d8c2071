/* vec_scalar.c: the reference for the others, and what baseline machines run. */
#include "mapping/ann/vec.h"
#include <string.h>

#define STEP_F 32
#define STEP_B 16

typedef struct acc_f {
    float lane[STEP_F];
} acc_f;

static inline void dot_step_f(acc_f *a, const float *q, const char *row)
{
    float v[STEP_F];
    memcpy(v, row, sizeof v);
    for (int i = 0; i < STEP_F; i++) a->lane[i] += q[i] * v[i];
}

static inline void l2_step_f(acc_f *a, const float *q, const char *row)
{
    float v[STEP_F];
    memcpy(v, row, sizeof v);
    for (int i = 0; i < STEP_F; i++) {
        float d = q[i] - v[i];
        a->lane[i] += d * d;
    }
}

static inline float fold_f(acc_f *a)
{
    for (int w = STEP_F / 2; w; w /= 2)
        for (int i = 0; i < w; i++) a->lane[i] += a->lane[i + w];
    return a->lane[0];
}

typedef struct acc_b {
    int32_t sum;
} acc_b;

static inline void dot_step_b(acc_b *a, const int8_t *q, const char *row)
{
    for (int i = 0; i < STEP_B; i++) a->sum += q[i] * (int8_t)row[i];
}

static inline void l2_step_b(acc_b *a, const int8_t *q, const char *row)
{
    for (int i = 0; i < STEP_B; i++) {
        int32_t d = q[i] - (int8_t)row[i];
        a->sum += d * d;
    }
}

static inline void hamming_step(acc_b *a, const uint8_t *q, const char *row)
{
    uint64_t x[2], y[2];
    memcpy(x, q, sizeof x);
    memcpy(y, row, sizeof y);
    a->sum += __builtin_popcountll(x[0] ^ y[0]) + __builtin_popcountll(x[1] ^ y[1]);
}

static inline void u7_step(acc_b *a, const int8_t *q, const char *row)
{
    dot_step_b(a, q, row);
}

static inline void u4_step(acc_b *a, const int8_t *low, const int8_t *high, const char *row)
{
    for (int i = 0; i < STEP_B; i++)
        a->sum += low[i] * (row[i] & 15) + high[i] * (row[i] >> 4 & 15);
}

static inline void u1_step(acc_b *a, const int8_t *q, uint64_t bits)
{
    for (int i = 0; i < 64; i++) a->sum += q[i] & -(int)(bits >> i & 1);
}

static inline int32_t fold_b(const acc_b *a)
{
    return a->sum;
}

#include "mapping/ann/vec_body_int.h"

const qd_vec_kern qd_vec_scalar = VEC_TABLE("scalar");
