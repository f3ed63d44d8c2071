/* vec.c: which kernels of vectors this machine runs. */
#include "mapping/ann/vec.h"
#include "runtime/cpu.h"

const qd_vec_kern *qd_vec_get(void)
{
#if defined(__x86_64__)
    switch (qd_cpu_level()) {
    case QD_CPU_V4:
        return &qd_vec_avx512;
    case QD_CPU_V3:
        return &qd_vec_avx2;
    default:
        return &qd_vec_scalar;
    }
#elif defined(__aarch64__)
    return &qd_vec_neon;
#else
    return &qd_vec_scalar;
#endif
}
