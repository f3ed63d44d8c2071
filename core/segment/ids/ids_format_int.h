/*
 * ids_format_int.h: the bytes of the ids' table (docs/format.md, "Ids").
 *
 * IDS: a head of 64 bytes (u32 buckets, u32 entries, u32 longest chain, zeros), then buckets of 64
 * bytes. An entry's home is bucket (hash >> 32) * buckets >> 32, its fingerprint the hash's low 16
 * bits. A full bucket sends entries to the next one (after the last comes the first) and has `more`
 * set; a look-up goes on while it is.
 */
#ifndef QD_SEGMENT_IDS_FORMAT_INT_H
#define QD_SEGMENT_IDS_FORMAT_INT_H

#include "base/bits.h"
#include "base/hash.h"
#include "segment/ids.h"

#define QDI_IDS_SLOTS 10u /* entries of a bucket */
#define QDI_IDS_LOAD 7u   /* entries of a bucket on the average */
#define QDI_IDS_HEAD 64u

typedef struct qdi_ids_bucket {
    uint8_t n;    /* entries used */
    uint8_t more; /* 1: entries of this home or a home before went on to the next bucket */
    uint16_t sum; /* qdi_ids_sum; 0: none, as older builds wrote it, which do not look at it */
    uint16_t prints[QDI_IDS_SLOTS];
    uint32_t docs[QDI_IDS_SLOTS];
} qdi_ids_bucket;
_Static_assert(sizeof(qdi_ids_bucket) == 64, "one cache line, on disk");

/* Of XXH3-64 of a bucket whose sum is 0 the low 16 bits, 1 for 0. A look-up that finds nothing
 * rests on one bucket's bytes, so it is compared each time. */
static inline uint16_t qdi_ids_sum(const qdi_ids_bucket *b)
{
    qdi_ids_bucket x = *b;
    x.sum = 0;
    uint16_t sum = (uint16_t)qd_xxh3(&x, sizeof x);
    return sum ? sum : 1;
}
/* Home bucket of a hash. */
static inline uint32_t qdi_ids_home(uint64_t hash, uint32_t buckets)
{
    return (uint32_t)(((hash >> 32) * buckets) >> 32);
}
static inline uint16_t qdi_ids_print(uint64_t hash)
{
    return (uint16_t)hash;
}

#endif
