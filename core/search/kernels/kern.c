/* kern.c: which kernels this machine runs. */
#include "runtime/cpu.h"
#include "search/kernels/kern_int.h"

const qd_kern *qd_kern_get(void)
{
#if defined(__x86_64__)
    switch (qd_cpu_level()) {
    case QD_CPU_V4:
        return &qd_kern_avx512;
    case QD_CPU_V3:
        return &qd_kern_avx2;
    default:
        break;
    }
#endif
    return &qd_kern_scalar;
}
