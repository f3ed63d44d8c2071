/*
 * kern_scalar.c: the loops for the oldest machines we run on.
 */
#include "aggs/kernels/kern_body_int.h"
#include "runtime/cpu.h"

const qdi_kernels qdi_aggs_kernels_scalar = {sum_i64,    bounds_i64, sum_f64, sum_sortable, split,
                                             bounds_f64, offsets,    steps,   intervals,    add_up};

const qdi_kernels *qdi_aggs_kernels_get(void)
{
#if defined(__x86_64__)
    if (qd_cpu_level() >= QD_CPU_V3) return &qdi_aggs_kernels_avx2;
#endif
    return &qdi_aggs_kernels_scalar;
}
