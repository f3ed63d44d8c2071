/*
 * codec.h: integers in blocks of 128, packed as one plain little-endian bit stream of b bits each
 * (16 * b bytes), and the kernels that unpack them, chosen once at start.
 *
 * Value i lies at bits [i*b, (i+1)*b): 16 values take 2*b bytes, so groups of 16 begin on a byte
 * and one shuffle, shift and mask serves every width; and one value can be read without its block
 * (qd_codec_one). Widths are 0 to 25, or 32; anything else is invalid. A tail of n < 128 values is
 * the same stream cut to ceil(n*b/8) bytes.
 *
 * Readers may touch QD_CODEC_SLACK bytes behind the stream. All kernels give the scalar's results
 * bit by bit (tests/unit/segment/codec_t.c). [any]
 */
#ifndef QD_SEGMENT_CODEC_H
#define QD_SEGMENT_CODEC_H

#include "base/bits.h"
#include <stddef.h>

#define QD_BLOCK 128u
#define QD_CODEC_SLACK 64u

typedef struct qd_codec {
    const char *name;
    /* out[i] = base + sum over j <= i of (value j + 1), 128 values, modulo 2^32. For documents base
     * is the last document of the block before, UINT32_MAX for the first block; over frequencies
     * it is the running number of positions. */
    void (*docs)(const uint8_t *in, unsigned b, uint32_t base, uint32_t *out);
    /* out[i] = value i + add, 128 values. */
    void (*vals)(const uint8_t *in, unsigned b, uint32_t add, uint32_t *out);
    /* The same for the first n values (1 to 128). out has room for n rounded up to 16; what is
     * written behind n is unspecified. */
    void (*docs_n)(const uint8_t *in, unsigned b, uint32_t base, uint32_t n, uint32_t *out);
    void (*vals_n)(const uint8_t *in, unsigned b, uint32_t add, uint32_t n, uint32_t *out);
    /* The positions of the next n set bits at or after bit `from` and before `end`, ascending;
     * returns how many there were. words is readable to 64 bits behind end; out has room for
     * n + 64. */
    uint32_t (*bits)(const uint64_t *words, uint32_t from, uint32_t end, uint32_t n, uint32_t *out);
} qd_codec;

/* The reference; works everywhere. */
extern const qd_codec qd_codec_scalar;
#if defined(__x86_64__)
extern const qd_codec qd_codec_avx2;   /* needs x86-64-v3 */
extern const qd_codec qd_codec_avx512; /* needs x86-64-v4 with VBMI */
#elif defined(__aarch64__)
extern const qd_codec qd_codec_neon;
#endif

/* The best table for this machine, under the QD_CPU cap of runtime/cpu.h; always the same. */
const qd_codec *qd_codec_get(void);

/* Is b a width that streams may have? */
QD_INLINE bool qd_codec_width_ok(unsigned b)
{
    return b <= 25 || b == 32;
}
/* May the documents of a block of such deltas wrap 2^32? Else the last one tells that they ascend:
 * 128 deltas of less than 25 bits behind a document below 2^31 do not reach it. */
QD_INLINE bool qd_codec_docs_wrap(unsigned b)
{
    return b >= 25;
}
/* The width for values whose bits are or-ed together in all. */
QD_INLINE unsigned qd_codec_width(uint32_t all)
{
    unsigned b = qd_bits_of(all);
    return b > 25 ? 32 : b;
}
/* Bytes of a stream of n values. */
QD_INLINE uint32_t qd_codec_bytes(uint32_t n, unsigned b)
{
    return (n * b + 7) / 8;
}
/* Value i of a stream, without the rest; reads 8 bytes at its first. */
QD_INLINE uint32_t qd_codec_one(const uint8_t *in, unsigned b, uint32_t i)
{
    size_t bit = (size_t)i * b;
    return (uint32_t)(qd_get_u64le(in + (bit >> 3)) >> (bit & 7)) & (uint32_t)((1ull << b) - 1);
}

/* Packs n values (1 to 128, each below 2^b) to out; writes exactly qd_codec_bytes(n, b) and returns
 * them. Bits behind the last value in its byte are 0. */
uint32_t qd_codec_pack(const uint32_t *in, uint32_t n, unsigned b, uint8_t *out);

#endif
