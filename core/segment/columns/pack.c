/*
 * pack.c: writing of bit streams and the choice of kernels.
 */
#include "runtime/cpu.h"
#include "segment/columns.h"
#include "segment/columns/pack_int.h"

const qdi_pack_kernels *qdi_pack_kernels_get(void)
{
#if defined(__x86_64__)
    if (qd_cpu_level() >= QD_CPU_V4) return &qdi_pack_avx512;
    if (qd_cpu_level() >= QD_CPU_V3) return &qdi_pack_avx2;
#endif
    return &qdi_pack_scalar;
}

void qdi_pack_put(const uint64_t *v, uint32_t n, uint32_t w, uint8_t *out)
{
    uint64_t word = 0;
    uint32_t have = 0; /* bits waiting in word */

    if (w == 0) return;
    if (w == 64) {
        memcpy(out, v, (size_t)n * 8);
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        word |= v[i] << have;
        have += w;
        if (have >= 64) {
            qd_put_u64le(out, word);
            out += 8;
            have -= 64;
            word = have ? v[i] >> (w - have) : 0;
        }
    }
    if (have) qd_put_u64le(out, word);
}

void qd_sortable_to_f64_n(const int64_t *values, double *out, size_t n)
{
    qdi_pack_kernels_get()->to_f64(values, out, n);
}
