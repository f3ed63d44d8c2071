/*
 * kern_body_int.h: kernels whose plain C the compiler does well by itself. Each kern_<set>.c
 * includes them, so that they are built with its set of instructions.
 */
#ifndef QD_SEARCH_KERN_BODY_INT_H
#define QD_SEARCH_KERN_BODY_INT_H

#include <stddef.h>
#include <stdint.h>

static void and64(uint64_t *a, const uint64_t *b, size_t n)
{
    for (size_t i = 0; i < n; i++) a[i] &= b[i];
}

static uint64_t popcount(const uint64_t *a, size_t n)
{
    uint64_t c = 0;
    for (size_t i = 0; i < n; i++) c += (uint64_t)__builtin_popcountll(a[i]);
    return c;
}

static uint64_t popcount_and(const uint64_t *a, const uint64_t *b, size_t n)
{
    uint64_t c = 0;
    for (size_t i = 0; i < n; i++) c += (uint64_t)__builtin_popcountll(a[i] & b[i]);
    return c;
}

static void table(float w, const float *ninv, float *out)
{
    for (uint32_t f = 1; f <= 8; f++) {
        float *t = out + f * 256;
        for (uint32_t n = 0; n < 256; n++) t[n] = w - w / (1.0f + (float)f * ninv[n]);
    }
}

static uint32_t near(const uint32_t *a, uint32_t na, const uint32_t *b, uint32_t nb, uint32_t slop)
{
    for (uint32_t i = 0; i < na; i++) {
        uint32_t hit = 0, from = a[i] - slop;
        for (uint32_t j = 0; j < nb; j++) hit |= b[j] - from <= 2 * slop;
        if (hit) return 1;
    }
    return 0;
}

#endif
