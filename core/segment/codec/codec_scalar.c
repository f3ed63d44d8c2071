/* codec_scalar.c: the reference kernels; every other table gives their results bit by bit. */
#include "segment/codec/codec.h"

static void docs_n(const uint8_t *in, unsigned b, uint32_t base, uint32_t n, uint32_t *out)
{
    for (uint32_t i = 0; i < n; i++) out[i] = base += qd_codec_one(in, b, i) + 1;
}

static void vals_n(const uint8_t *in, unsigned b, uint32_t add, uint32_t n, uint32_t *out)
{
    for (uint32_t i = 0; i < n; i++) out[i] = qd_codec_one(in, b, i) + add;
}

static void docs(const uint8_t *in, unsigned b, uint32_t base, uint32_t *out)
{
    docs_n(in, b, base, QD_BLOCK, out);
}

static void vals(const uint8_t *in, unsigned b, uint32_t add, uint32_t *out)
{
    vals_n(in, b, add, QD_BLOCK, out);
}

static uint32_t bits(const uint64_t *words, uint32_t from, uint32_t end, uint32_t n, uint32_t *out)
{
    uint32_t got = 0;
    if (from >= end) return 0;
    uint32_t last = (end - 1) >> 6;
    for (uint32_t w = from >> 6; w <= last && got < n; w++) {
        uint64_t x = words[w];
        if (w == from >> 6) x &= ~0ull << (from & 63);
        if (w == last) x &= ~0ull >> (63 - ((end - 1) & 63));
        for (; x; x &= x - 1) out[got++] = w * 64 + (uint32_t)__builtin_ctzll(x);
    }
    return got < n ? got : n;
}

const qd_codec qd_codec_scalar = {"scalar", docs, vals, docs_n, vals_n, bits};
