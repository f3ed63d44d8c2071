/* codec.c: packing, and the choice of the kernels. See codec.h. */
#include "segment/codec/codec.h"
#include "runtime/cpu.h"

const qd_codec *qd_codec_get(void)
{
#if defined(__x86_64__)
    qd_cpu level = qd_cpu_level();
    if (level >= QD_CPU_V4) return &qd_codec_avx512;
    if (level >= QD_CPU_V3) return &qd_codec_avx2;
#elif defined(__aarch64__)
    return &qd_codec_neon;
#endif
    return &qd_codec_scalar;
}
