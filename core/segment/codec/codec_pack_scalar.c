/*
 * codec_pack_scalar.c: packing of blocks, one unrolled loop a width. Eight values of b bits are b
 * bytes, so each step of eight begins and ends on a byte; with b known at compile time every shift
 * is a constant (some 30 ns a block, against 130 with the width in a register).
 */
#include "segment/codec/codec.h"

static inline __attribute__((always_inline)) void pack8(const uint32_t *in, uint8_t *out,
                                                        const unsigned b)
{
    uint64_t acc = 0;
    unsigned fill = 0;
    uint8_t *p = out;
#pragma GCC unroll 8
    for (unsigned i = 0; i < 8; i++) {
        acc |= (uint64_t)in[i] << fill;
        fill += b;
        if (fill >= 32) {
            qd_put_u32le(p, (uint32_t)acc);
            p += 4;
            acc >>= 32;
            fill -= 32;
        }
    }
    for (; fill > 0; fill -= 8, acc >>= 8) *p++ = (uint8_t)acc;
}

/* A list of numbers is moved by every run of clang-format. */
/* clang-format off */
#define WIDTHS(X) \
    X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15) X(16) X(17) \
    X(18) X(19) X(20) X(21) X(22) X(23) X(24) X(25) X(32)
/* clang-format on */

#define PACK_W(w)                                                                                  \
    static void pack_##w(const uint32_t *in, uint8_t *out)                                         \
    {                                                                                              \
        for (unsigned g = 0; g < QD_BLOCK / 8; g++)                                                \
            pack8(in + 8 * (size_t)g, out + w * (size_t)g, w);                                     \
    }
WIDTHS(PACK_W)

static void pack_block(const uint32_t *in, unsigned b, uint8_t *out)
{
    switch (b) {
#define CASE(w)                                                                                    \
    case w:                                                                                        \
        pack_##w(in, out);                                                                         \
        break;
        WIDTHS(CASE)
    default:
        break;
    }
}

uint32_t qd_codec_pack(const uint32_t *in, uint32_t n, unsigned b, uint8_t *out)
{
    qd_dassert(n >= 1 && n <= QD_BLOCK && qd_codec_width_ok(b));
    if (n == QD_BLOCK) {
        pack_block(in, b, out);
        return 16 * b;
    }
    uint64_t acc = 0;
    unsigned fill = 0;
    uint8_t *p = out;
    for (uint32_t i = 0; i < n; i++) {
        acc |= (uint64_t)in[i] << fill;
        for (fill += b; fill >= 8; fill -= 8, acc >>= 8) *p++ = (uint8_t)acc;
    }
    if (fill) *p++ = (uint8_t)acc;
    return (uint32_t)(p - out);
}
