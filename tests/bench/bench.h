/*
 * bench.h: what the measuring programs share: an end with the error's text, random numbers, time.
 */
#ifndef QD_TESTS_BENCH_H
#define QD_TESTS_BENCH_H

#include "base/err.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static qd_err err;

/* Ends the program, telling err, unless rc is 0. */
static inline void bench_ok(int rc, const char *file, int line)
{
    if (!rc) return;
    fprintf(stderr, "%s:%d: %s: %s\n", file, line, qd_code_name(rc), qd_err_reason(&err));
    exit(1);
}
#define OK(x) bench_ok((x), __FILE__, __LINE__)

/* The same numbers in every run (splitmix64). */
static inline uint64_t random_next(void)
{
    static uint64_t seed = 1;
    uint64_t z = seed += 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

/* Seconds of a steady clock. */
static inline double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

#endif
