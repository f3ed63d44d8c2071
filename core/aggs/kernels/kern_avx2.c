/*
 * kern_avx2.c: the loops with AVX2.
 */
#if defined(__x86_64__)
#include "aggs/kernels/kern_body_int.h"

const qdi_kernels qdi_aggs_kernels_avx2 = {sum_i64,    bounds_i64, sum_f64, sum_sortable, split,
                                           bounds_f64, offsets,    steps,   intervals,    add_up};
#else
typedef int qdi_no_avx2; /* an empty unit is not C */
#endif
