/*
 * cpu.h: which instruction sets the kernels may use, chosen once for the process.
 *
 * Kernels live in *_scalar.c, *_avx2.c, *_avx512.c, *_neon.c and are reached through const tables
 * picked by qd_cpu_level(). QD_CPU=v2|v3|v4 in the environment caps the choice (never raises it).
 * All levels give bit-identical results.
 */
#ifndef QD_RUNTIME_CPU_H
#define QD_RUNTIME_CPU_H

#include "base/assert.h"

typedef enum qd_cpu {
    QD_CPU_V2 = 2, /* x86-64-v2: SSE4.2, POPCNT; on arm64 the baseline with NEON */
    QD_CPU_V3 = 3, /* x86-64-v3: AVX2, BMI2, FMA */
    QD_CPU_V4 = 4, /* x86-64-v4: AVX-512 F, BW, CD, DQ, VL, and VBMI (flags of *_avx512.c) */
} qd_cpu;

/* The highest level that machine and QD_CPU allow. Cheap after the first call. [any] */
qd_cpu qd_cpu_level(void);
/* Caps the level for tests and benchmarks; returns the level before. Not while kernels run. */
qd_cpu qd_cpu_level_set(qd_cpu max);
/* "v2", "v3", "v4". [any] */
const char *qd_cpu_name(qd_cpu level);
/* CPUs this process may use: affinity, then the cgroup's quota rounded up; at least 1. [any] */
unsigned qd_cpu_count(void);

#endif
