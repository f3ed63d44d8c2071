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

#endif
