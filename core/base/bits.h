/*
 * bits.h: little-endian integers and varints, the only form in which integers reach disk or wire.
 *
 * Varint: LEB128, 7 bits a byte, low group first; a u64 takes at most 10 bytes. Signed values are
 * zig-zag coded. The get functions read unaligned; bounds are the caller's, except for
 * qd_get_varint, which stops at end and returns NULL on a cut or over-long value.
 */
#ifndef QD_BASE_BITS_H
#define QD_BASE_BITS_H

#include "base/assert.h"
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "big-endian machines are not supported");

/* Reads a little-endian integer at any address. */
QD_INLINE uint16_t qd_get_u16le(const void *p)
{
    uint16_t v;
    memcpy(&v, p, 2);
    return v;
}
/* Reads a little-endian integer at any address. */
QD_INLINE uint32_t qd_get_u32le(const void *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}
/* Reads a little-endian integer at any address. */
QD_INLINE uint64_t qd_get_u64le(const void *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}
/* Writes a little-endian integer at any address. */
QD_INLINE void qd_put_u16le(void *p, uint16_t v)
{
    memcpy(p, &v, 2);
}
/* Writes a little-endian integer at any address. */
QD_INLINE void qd_put_u32le(void *p, uint32_t v)
{
    memcpy(p, &v, 4);
}
/* Writes a little-endian integer at any address. */
QD_INLINE void qd_put_u64le(void *p, uint64_t v)
{
    memcpy(p, &v, 8);
}

/* Writes v at p (room for 10 bytes); returns the byte behind it. */
QD_INLINE uint8_t *qd_put_varint(uint8_t *p, uint64_t v)
{
    while (v >= 0x80) {
        *p++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *p++ = (uint8_t)v;
    return p;
}
/* Reads a varint from [p, end); returns the byte behind it, NULL when cut or longer than 64 bits.
 */
QD_INLINE const uint8_t *qd_get_varint(const uint8_t *p, const uint8_t *end, uint64_t *out)
{
    uint64_t v = 0;
    for (unsigned shift = 0; p < end && shift < 64; shift += 7) {
        uint8_t b = *p++;
        if (shift == 63 && b > 1) return NULL;
        v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80)) {
            *out = v;
            return p;
        }
    }
    return NULL;
}
/* Bytes that qd_put_varint takes for v. */
QD_INLINE unsigned qd_varint_size(uint64_t v)
{
    return v ? (unsigned)(63 - __builtin_clzll(v)) / 7 + 1 : 1;
}
/* Maps small magnitudes of either sign to small unsigned values. */
QD_INLINE uint64_t qd_zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}
/* The inverse of qd_zigzag. */
QD_INLINE int64_t qd_unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}
/* Bits needed for v: 0 for 0. */
QD_INLINE unsigned qd_bits_of(uint64_t v)
{
    return v ? 64 - (unsigned)__builtin_clzll(v) : 0;
}

#endif
