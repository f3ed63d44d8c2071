/* codecs.h: the kernels of the postings codec that this CPU runs, for tests that hold them against
 * one another. */
#ifndef QD_TESTS_UNIT_CODECS_H
#define QD_TESTS_UNIT_CODECS_H

#include "runtime/cpu.h"
#include "segment/codec/codec.h"

#define CODECS_MAX 4u

/* Fills t, the scalar ones first; returns how many. */
static inline uint32_t codecs_here(const qd_codec *t[CODECS_MAX])
{
    uint32_t n = 0;
    t[n++] = &qd_codec_scalar;
#if defined(__x86_64__)
    if (qd_cpu_level() >= QD_CPU_V3) t[n++] = &qd_codec_avx2;
    if (qd_cpu_level() >= QD_CPU_V4) t[n++] = &qd_codec_avx512;
#elif defined(__aarch64__)
    t[n++] = &qd_codec_neon;
#endif
    return n;
}

#endif
