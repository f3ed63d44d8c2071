/*
 * columns_read_int.h: an open segment's columns, shared by open, readers, merge and check.
 */
#ifndef QD_SEGMENT_COLUMNS_READ_INT_H
#define QD_SEGMENT_COLUMNS_READ_INT_H

#include "segment/columns/column_format_int.h"
#include "segment/columns/columns_int.h"

struct qd_column {
    qd_file *file;
    uint32_t field;
    uint32_t segment_docs;
    qd_column_stats stats;
    uint32_t blocks;
    uint32_t string_blocks;
    uint32_t strings;
    const uint8_t *heads;   /* resident: blocks * 56 bytes */
    const uint8_t *offsets; /* resident: (string_blocks + 1) * 5 bytes */
    uint64_t offset;        /* of the bodies in COLUMNS */
    uint64_t bytes;
    uint64_t dict_offset, dict_bytes; /* in COLUMN_DICT */
};

struct qd_columns {
    uint32_t magic;
    uint32_t n;
    const struct qdi_overlay *overlay; /* whose columns are asked for; NULL: those that follow */
    qd_column columns[];
};
#define QDI_COLUMNS_MAGIC 0x51446373u

/* Copies the i-th block head. */
static inline void qdi_column_head_at(const qd_column *c, uint32_t i, qdi_block_head *h)
{
    memcpy(h, c->heads + (size_t)i * sizeof *h, sizeof *h);
}
/* Index of the first block head whose block number is >= block; c->blocks when none. */
uint32_t qdi_column_head_find(const qd_column *c, uint32_t block);
/* Documents in a block of the segment. */
static inline uint32_t qdi_column_block_docs(const qd_column *c, uint32_t block)
{
    uint32_t from = block << QDI_COLUMN_BLOCK_SHIFT;
    return c->segment_docs - from < QD_COLUMN_BLOCK ? c->segment_docs - from : QD_COLUMN_BLOCK;
}
/* Offset of the i-th block of strings in the column's dictionary (i <= string_blocks). */
static inline uint64_t qdi_strings_offset(const qd_column *c, uint32_t i)
{
    const uint8_t *p = c->offsets + (size_t)i * QDI_STRINGS_OFFSET_BYTES;
    return qd_get_u32le(p) | (uint64_t)p[4] << 32;
}
/* The form of a block's packed values. */
static inline qdi_pack_form qdi_block_form(const qdi_block_head *h)
{
    bool line = h->encoding == QDI_ENC_LINE;
    return (qdi_pack_form){(uint64_t)h->base, line ? 1 : h->mult, line ? h->mult : 0, line};
}

/* Sequential strings of a column from a section cursor: merge, check. */
typedef struct qdi_strings_walk {
    qd_section_cursor cursor;
    const qd_column *c;
    qd_buf last;
    uint32_t next; /* number of the string to come */
} qdi_strings_walk;
/* Starts before the first string. Close in any case. */
QD_MUST_CHECK
int qdi_strings_walk_open(qdi_strings_walk *s, const qd_column *c, qd_account *account,
                          qd_err *err);
/* The next string, valid until the next call; *end at the end. */
QD_MUST_CHECK
int qdi_strings_walk_next(qdi_strings_walk *s, qd_str *out, bool *end, qd_err *err);
/* Frees. */
void qdi_strings_walk_close(qdi_strings_walk *s);

#endif
