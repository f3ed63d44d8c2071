/*
 * codec_neon.c: kernels for arm64. Four values are shuffled out of their own 16 bytes by tbl,
 * shifted and masked; the prefix sum is two shifted additions.
 */
#if defined(__aarch64__)
#include "segment/codec/codec.h"
#include <arm_neon.h>

typedef struct setup {
    uint8x16_t perm[4];
    int32x4_t shift[4];
    uint32x4_t mask;
    unsigned at[4];
} setup;

static inline setup setup_of(unsigned b)
{
    setup s;
    for (unsigned q = 0; q < 4; q++) {
        uint8_t perm[16];
        int32_t shift[4];
        s.at[q] = 4 * q * b / 8;
        for (unsigned l = 0; l < 4; l++) {
            unsigned bit = (4 * q + l) * b - 8 * s.at[q];
            shift[l] = -(int32_t)(bit & 7);
            for (unsigned k = 0; k < 4; k++) perm[4 * l + k] = (uint8_t)(bit / 8 + k);
        }
        s.perm[q] = vld1q_u8(perm);
        s.shift[q] = vld1q_s32(shift);
    }
    s.mask = vdupq_n_u32((1u << b) - 1);
    return s;
}
static inline uint32x4_t get4(const setup *s, const uint8_t *p, unsigned b, unsigned q)
{
    if (b == 32) return vreinterpretq_u32_u8(vld1q_u8(p + 16 * q));
    uint32x4_t x = vreinterpretq_u32_u8(vqtbl1q_u8(vld1q_u8(p + s->at[q]), s->perm[q]));
    return vandq_u32(vshlq_u32(x, s->shift[q]), s->mask);
}

static void vals_n(const uint8_t *in, unsigned b, uint32_t add, uint32_t n, uint32_t *out)
{
    const setup s = setup_of(b == 32 ? 0 : b);
    const uint32x4_t a = vdupq_n_u32(add);
    for (uint32_t i = 0; i < (n + 15) / 16 * 4; i++)
        vst1q_u32(out + 4 * i, vaddq_u32(a, get4(&s, in + (size_t)2 * b * (i / 4), b, i & 3)));
}

static void docs_n(const uint8_t *in, unsigned b, uint32_t base, uint32_t n, uint32_t *out)
{
    const setup s = setup_of(b == 32 ? 0 : b);
    const uint32x4_t z = vdupq_n_u32(0), one = vdupq_n_u32(1);
    uint32x4_t c = vdupq_n_u32(base);
    for (uint32_t i = 0; i < (n + 15) / 16 * 4; i++) {
        uint32x4_t x = vaddq_u32(one, get4(&s, in + (size_t)2 * b * (i / 4), b, i & 3));
        x = vaddq_u32(x, vextq_u32(z, x, 3));
        x = vaddq_u32(x, vextq_u32(z, x, 2));
        x = vaddq_u32(x, c);
        vst1q_u32(out + 4 * i, x);
        c = vdupq_laneq_u32(x, 3);
    }
}

static void vals(const uint8_t *in, unsigned b, uint32_t add, uint32_t *out)
{
    vals_n(in, b, add, QD_BLOCK, out);
}
static void docs(const uint8_t *in, unsigned b, uint32_t base, uint32_t *out)
{
    docs_n(in, b, base, QD_BLOCK, out);
}
static uint32_t bits(const uint64_t *words, uint32_t from, uint32_t end, uint32_t n, uint32_t *out)
{
    return qd_codec_scalar.bits(words, from, end, n, out);
}

const qd_codec qd_codec_neon = {"neon", docs, vals, docs_n, vals_n, bits};
#endif
