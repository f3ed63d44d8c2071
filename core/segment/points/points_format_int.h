/*
 * points_format_int.h: the bytes of points (docs/format.md, "Points").
 *
 * POINT_INDEX (resident): u32 fields, then for each its head, block heads, and the greatest value.
 * POINTS: block bodies [values][documents], bit-packed (pack_int.h). I64 values are packed above
 * the block's first value; B16 values as two streams of 8-byte halves (big-endian halves, the high
 * ones above the first high half; low halves whole or, when all high halves are equal, above the
 * least).
 */
#ifndef QD_SEGMENT_POINTS_FORMAT_INT_H
#define QD_SEGMENT_POINTS_FORMAT_INT_H

#include "segment/columns/pack_int.h"
#include "segment/points.h"

/* A value as two numbers in unsigned order: I64 has hi 0 and its sign bit turned. */
typedef struct qdi_point_key {
    uint64_t hi, lo;
} qdi_point_key;

typedef struct qdi_points_head {
    uint32_t field;
    uint8_t type;
    uint8_t multi;
    uint16_t zero;
    uint32_t docs;
    uint32_t blocks;
    uint64_t points;
    uint64_t offset, bytes; /* in POINTS */
    qdi_point_key max;      /* of all */
} qdi_points_head;
_Static_assert(sizeof(qdi_points_head) == 56, "on disk");

/* All blocks but the last hold QD_POINTS_BLOCK points. */
typedef struct qdi_points_block {
    qdi_point_key first; /* least value */
    uint64_t offset;     /* of the body, from the field's */
    uint64_t low_base;   /* what packed low halves stand on */
    uint32_t doc_base;   /* least document */
    uint8_t high_width, low_width, doc_width;
    uint8_t zero;
} qdi_points_block;
_Static_assert(sizeof(qdi_points_block) == 40, "on disk");

static inline bool qdi_point_less(qdi_point_key a, qdi_point_key b)
{
    return a.hi != b.hi ? a.hi < b.hi : a.lo < b.lo;
}
static inline qdi_point_key qdi_point_key_of(uint8_t type, qd_point_value v)
{
    qdi_point_key k = {0, (uint64_t)v.i ^ ((uint64_t)1 << 63)};
    if (type == QD_POINT_B16) {
        k.hi = __builtin_bswap64(qd_get_u64le(v.b));
        k.lo = __builtin_bswap64(qd_get_u64le(v.b + 8));
    }
    return k;
}
static inline qd_point_value qdi_point_value_of(uint8_t type, qdi_point_key k)
{
    qd_point_value v = {.b = {0}};
    if (type == QD_POINT_B16) {
        qd_put_u64le(v.b, __builtin_bswap64(k.hi));
        qd_put_u64le(v.b + 8, __builtin_bswap64(k.lo));
    } else {
        v.i = (int64_t)(k.lo ^ ((uint64_t)1 << 63));
    }
    return v;
}
/* Bytes of a body with n points. */
static inline uint64_t qdi_points_bytes(const qdi_points_block *b, uint32_t n)
{
    return qdi_pack_bytes(n, b->high_width) + qdi_pack_bytes(n, b->low_width) +
           qdi_pack_bytes(n, b->doc_width);
}

#endif
