/*
 * column_format_int.h: the bytes of columns (docs/format.md, "Columns").
 *
 * COLUMN_INDEX (resident): u32 columns, then for each its head, block heads, string block offsets.
 * COLUMNS: block bodies [presence][starts][table][packed values]. COLUMN_DICT: front-coded strings.
 */
#ifndef QD_SEGMENT_COLUMN_FORMAT_INT_H
#define QD_SEGMENT_COLUMN_FORMAT_INT_H

#include "segment/columns.h"
#include "segment/columns/pack_int.h"

#define QDI_COLUMN_BLOCK_SHIFT 12
#define QDI_COLUMN_TABLE_MAX 256u
#define QDI_STRINGS_BLOCK 16u            /* front-coded strings under one head */
#define QDI_STRINGS_OFFSET_BYTES 5u      /* of one string block's offset */
#define QDI_STRING_MAX ((1u << 20) - 64) /* bytes of one string */

enum { QDI_ENC_PACKED = 0, QDI_ENC_TABLE = 1, QDI_ENC_LINE = 2 };
enum { QDI_PRESENT_ALL = 0, QDI_PRESENT_BITS = 1, QDI_PRESENT_LIST = 2 };

/* Head of one block of documents, as on disk (little-endian, no holes). */
typedef struct qdi_block_head {
    uint32_t block;   /* document / QD_COLUMN_BLOCK */
    uint8_t encoding; /* QDI_ENC_ */
    uint8_t width;    /* of packed values */
    uint8_t presence; /* QDI_PRESENT_ */
    uint8_t starts;   /* width of the starts of multi-valued documents; 0: one value each */
    uint16_t docs;    /* with a value, 1..4096 */
    uint16_t zero;
    uint32_t values;
    uint64_t offset; /* of the body in COLUMNS */
    int64_t min, max;
    uint64_t mult; /* PACKED: common divisor of the values minus base; LINE: slope */
    int64_t base;  /* BYTES: number of the block's first string */
} qdi_block_head;
_Static_assert(sizeof(qdi_block_head) == 56, "on disk");

/* Head of one column, as on disk. */
typedef struct qdi_column_head {
    uint32_t field;
    uint8_t type;
    uint8_t flags; /* QDI_COLUMN_ */
    uint16_t zero;
    uint32_t docs;
    uint32_t strings; /* dictionary entries (ORDINAL), strings (BYTES) */
    uint64_t values;
    int64_t min, max;
    uint32_t blocks;        /* block heads behind this head */
    uint32_t string_blocks; /* string_blocks + 1 offsets of 5 bytes behind the block heads */
    uint64_t offset;        /* of the first block body in COLUMNS */
    uint64_t bytes;         /* of all block bodies */
    uint64_t dict_offset;   /* in COLUMN_DICT */
    uint64_t dict_bytes;
} qdi_column_head;
_Static_assert(sizeof(qdi_column_head) == 80, "on disk");
enum { QDI_COLUMN_MULTI = 1u << 0, QDI_COLUMN_DENSE = 1u << 1 };

/* A presence bitmap: u16 ranks before each 512 documents, then 64 words. */
#define QDI_PRESENT_RANKS 8u
#define QDI_PRESENT_WORDS 64u
#define QDI_PRESENT_BITS_BYTES (QDI_PRESENT_RANKS * 2 + QDI_PRESENT_WORDS * 8)

/* Bytes of the three parts of a body. */
static inline uint32_t qdi_block_presence_bytes(const qdi_block_head *h)
{
    return h->presence == QDI_PRESENT_ALL    ? 0
           : h->presence == QDI_PRESENT_BITS ? QDI_PRESENT_BITS_BYTES
                                             : 2u * h->docs;
}
static inline uint64_t qdi_block_starts_bytes(const qdi_block_head *h)
{
    return h->starts ? qdi_pack_bytes(h->docs + 1u, h->starts) : 0;
}
static inline uint64_t qdi_block_table_bytes(const qdi_block_head *h)
{
    return h->encoding == QDI_ENC_TABLE ? (uint64_t)8 << h->width : 0;
}
static inline uint64_t qdi_block_bytes(const qdi_block_head *h)
{
    return qdi_block_presence_bytes(h) + qdi_block_starts_bytes(h) + qdi_block_table_bytes(h) +
           qdi_pack_bytes(h->values, h->width);
}

#endif
