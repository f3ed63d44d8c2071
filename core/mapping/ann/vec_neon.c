/* vec_neon.c: kernels for arm64: bytes are multiplied to 16 bits, which are added in pairs. */
#if defined(__aarch64__)
#include "mapping/ann/vec.h"
#include <arm_neon.h>

#define STEP_F 32
#define STEP_B 16

typedef struct acc_f {
    float32x4_t lane[8];
} acc_f;

static inline float32x4_t floats(const char *p)
{
    return vreinterpretq_f32_u8(vld1q_u8((const uint8_t *)p));
}

static inline void dot_step_f(acc_f *a, const float *q, const char *row)
{
    for (int i = 0; i < 8; i++) /* rounded between: not vfmaq_f32 */
        a->lane[i] = vaddq_f32(a->lane[i], vmulq_f32(vld1q_f32(q + 4 * i), floats(row + 16 * i)));
}

static inline void l2_step_f(acc_f *a, const float *q, const char *row)
{
    for (int i = 0; i < 8; i++) {
        float32x4_t d = vsubq_f32(vld1q_f32(q + 4 * i), floats(row + 16 * i));
        a->lane[i] = vaddq_f32(a->lane[i], vmulq_f32(d, d));
    }
}

static inline float fold_f(acc_f *a)
{
    for (int w = 4; w; w /= 2)
        for (int i = 0; i < w; i++) a->lane[i] = vaddq_f32(a->lane[i], a->lane[i + w]);
    float32x2_t x = vadd_f32(vget_low_f32(a->lane[0]), vget_high_f32(a->lane[0]));
    return vget_lane_f32(x, 0) + vget_lane_f32(x, 1);
}

typedef struct acc_b {
    int32x4_t sum;
} acc_b;

static inline int8x16_t bytes(const char *p)
{
    return vreinterpretq_s8_u8(vld1q_u8((const uint8_t *)p));
}

static inline void dot_step_b(acc_b *a, const int8_t *q, const char *row)
{
    int8x16_t x = vld1q_s8(q), y = bytes(row);
    a->sum = vpadalq_s16(a->sum, vmull_s8(vget_low_s8(x), vget_low_s8(y)));
    a->sum = vpadalq_s16(a->sum, vmull_s8(vget_high_s8(x), vget_high_s8(y)));
}

static inline int32x4_t add_squares(int32x4_t sum, int16x8_t d)
{
    sum = vmlal_s16(sum, vget_low_s16(d), vget_low_s16(d));
    return vmlal_s16(sum, vget_high_s16(d), vget_high_s16(d));
}

static inline void l2_step_b(acc_b *a, const int8_t *q, const char *row)
{
    int8x16_t x = vld1q_s8(q), y = bytes(row);
    a->sum = add_squares(a->sum, vsubl_s8(vget_low_s8(x), vget_low_s8(y)));
    a->sum = add_squares(a->sum, vsubl_s8(vget_high_s8(x), vget_high_s8(y)));
}

static inline void hamming_step(acc_b *a, const uint8_t *q, const char *row)
{
    uint8x16_t n = vcntq_u8(veorq_u8(vld1q_u8(q), vld1q_u8((const uint8_t *)row)));
    a->sum = vaddq_s32(a->sum, vreinterpretq_s32_u32(vpaddlq_u16(vpaddlq_u8(n))));
}

static inline void add_products(acc_b *a, int8x16_t x, int8x16_t y)
{
    a->sum = vpadalq_s16(a->sum, vmull_s8(vget_low_s8(x), vget_low_s8(y)));
    a->sum = vpadalq_s16(a->sum, vmull_s8(vget_high_s8(x), vget_high_s8(y)));
}

static inline void u7_step(acc_b *a, const int8_t *q, const char *row)
{
    add_products(a, vld1q_s8(q), bytes(row));
}

static inline void u4_step(acc_b *a, const int8_t *low, const int8_t *high, const char *row)
{
    uint8x16_t x = vld1q_u8((const uint8_t *)row);
    add_products(a, vld1q_s8(low), vreinterpretq_s8_u8(vandq_u8(x, vdupq_n_u8(15))));
    add_products(a, vld1q_s8(high), vreinterpretq_s8_u8(vshrq_n_u8(x, 4)));
}

static inline void u1_step(acc_b *a, const int8_t *q, uint64_t bits)
{
    const uint8x16_t each = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201ull));
    for (int i = 0; i < 4; i++, bits >>= 16) {
        uint8x16_t x = vcombine_u8(vdup_n_u8((uint8_t)bits), vdup_n_u8((uint8_t)(bits >> 8)));
        int8x16_t kept = vandq_s8(vreinterpretq_s8_u8(vtstq_u8(x, each)), vld1q_s8(q + 16 * i));
        a->sum = vpadalq_s16(a->sum, vpaddlq_s8(kept));
    }
}

static inline int32_t fold_b(const acc_b *a)
{
    return vaddvq_s32(a->sum);
}

#include "mapping/ann/vec_body_int.h"

const qd_vec_kern qd_vec_neon = VEC_TABLE("neon");
#endif
