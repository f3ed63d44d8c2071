/* hash.c: hashes over libxxhash, and murmur3. See hash.h. */
#include "base/hash.h"
#include "base/bits.h"
#include "base/utf8.h"
#define XXH_INLINE_ALL
#include <xxhash.h>
#ifdef __SSE4_2__
#include <nmmintrin.h>
#endif

_Static_assert(sizeof(XXH3_state_t) <= sizeof(qd_xxh3_stream), "room for the library's state");

uint64_t qd_xxh3(const void *p, size_t n)
{
    return XXH3_64bits(p, n);
}
uint64_t qd_xxh3_seed(const void *p, size_t n, uint64_t seed)
{
    return XXH3_64bits_withSeed(p, n, seed);
}

void qd_xxh3_128(const void *p, size_t n, uint8_t out[16])
{
    XXH128_hash_t h = XXH3_128bits(p, n);
    qd_put_u64le(out, h.low64);
    qd_put_u64le(out + 8, h.high64);
}

void qd_xxh3_begin(qd_xxh3_stream *s)
{
    XXH3_64bits_reset((XXH3_state_t *)(void *)s->state);
}
void qd_xxh3_update(qd_xxh3_stream *s, const void *p, size_t n)
{
    XXH3_64bits_update((XXH3_state_t *)(void *)s->state, p, n);
}
uint64_t qd_xxh3_digest(const qd_xxh3_stream *s)
{
    return XXH3_64bits_digest((const XXH3_state_t *)(const void *)s->state);
}

static uint32_t rotl(uint32_t x, int r)
{
    return x << r | x >> (32 - r);
}

static uint32_t murmur_mix(uint32_t k)
{
    return rotl(k * 0xcc9e2d51u, 15) * 0x1b873593u;
}

static uint32_t murmur_end(uint32_t h, size_t n)
{
    h ^= (uint32_t)n;
    h = (h ^ h >> 16) * 0x85ebca6bu;
    h = (h ^ h >> 13) * 0xc2b2ae35u;
    return h ^ h >> 16;
}

uint32_t qd_murmur3_32(const void *data, size_t n, uint32_t seed)
{
    const uint8_t *p = data;
    uint32_t h = seed, tail = 0;
    for (size_t i = 0; i + 4 <= n; i += 4) {
        h = rotl(h ^ murmur_mix(qd_get_u32le(p + i)), 13) * 5 + 0xe6546b64u;
    }
    for (size_t i = n & 3; i > 0; i--) tail = tail << 8 | p[(n & ~(size_t)3) + i - 1];
    if (n & 3) h ^= murmur_mix(tail);
    return murmur_end(h, n);
}

/* Two UTF-16 units make one 32-bit block, so the text is hashed without a copy. */
uint32_t qd_java_hash(qd_str s)
{
    uint32_t h = 0, cp;
    const char *p = s.p, *end = s.p + s.n;
    while (p < end) {
        p += qd_utf8_next(p, end, &cp);
        if (cp > 0xffff) {
            h = h * 31 + (0xd800 + ((cp - 0x10000) >> 10));
            cp = 0xdc00 + ((cp - 0x10000) & 0x3ff);
        }
        h = h * 31 + cp;
    }
    return h ^ h >> 16;
}

int32_t qd_routing_hash(qd_str s)
{
    uint32_t h = 0, low = 0;
    size_t units = 0;
    const char *p = s.p, *end = s.p + s.n;
    while (p < end) {
        uint32_t cp, unit[2];
        p += qd_utf8_next(p, end, &cp);
        size_t k = 1;
        unit[0] = cp;
        if (cp > 0xffff) {
            unit[0] = 0xd800 + ((cp - 0x10000) >> 10);
            unit[1] = 0xdc00 + ((cp - 0x10000) & 0x3ff);
            k = 2;
        }
        for (size_t i = 0; i < k; i++, units++) {
            if (units & 1) {
                h = rotl(h ^ murmur_mix(low | unit[i] << 16), 13) * 5 + 0xe6546b64u;
            } else {
                low = unit[i];
            }
        }
    }
    if (units & 1) h ^= murmur_mix(low);
    return (int32_t)murmur_end(h, units * 2);
}

#ifdef __SSE4_2__
uint32_t qd_crc32c(uint32_t crc, const void *p, size_t n)
{
    const uint8_t *b = p;
    uint64_t c = ~crc;
    for (; n >= 8; b += 8, n -= 8) c = _mm_crc32_u64(c, qd_get_u64le(b));
    for (; n > 0; b++, n--) c = _mm_crc32_u8((uint32_t)c, *b);
    return ~(uint32_t)c;
}
#else
/* A nibble at a time: 16 words of table. */
uint32_t qd_crc32c(uint32_t crc, const void *p, size_t n)
{
    static const uint32_t table[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
                                       0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
                                       0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                                       0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
    const uint8_t *b = p;
    uint32_t c = ~crc;
    for (; n > 0; b++, n--) {
        c ^= *b;
        c = c >> 4 ^ table[c & 15];
        c = c >> 4 ^ table[c & 15];
    }
    return ~c;
}
#endif
