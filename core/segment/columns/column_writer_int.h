/*
 * column_writer_int.h: the streaming writers under flush and merge: documents in order, strings in
 * order. One column at a time; one thread.
 */
#ifndef QD_SEGMENT_COLUMN_WRITER_INT_H
#define QD_SEGMENT_COLUMN_WRITER_INT_H

#include "base/str.h"
#include "base/vec.h"
#include "segment/columns/column_format_int.h"
#include "store/file.h"

/* Strings in order to COLUMN_DICT, blocks of 16 front-coded; offsets are kept for the index. */
typedef struct qdi_strings_writer {
    qd_file_writer *w;
    qd_buf block;   /* the block being built */
    qd_buf last;    /* the string before */
    qd_buf offsets; /* 5 bytes a block, relative to start */
    uint64_t start; /* in the section */
    uint32_t n;
} qdi_strings_writer;

/* Begins at the section's present end. */
void qdi_strings_begin(qdi_strings_writer *s, qd_file_writer *w, qd_account *account);
/* Appends a string (at most QDI_STRING_MAX bytes). */
QD_MUST_CHECK
int qdi_strings_add(qdi_strings_writer *s, qd_str v, qd_err *err);
/* Ends the last block; afterwards offsets holds (blocks + 1) entries, the last one the length. */
QD_MUST_CHECK
int qdi_strings_end(qdi_strings_writer *s, uint64_t *bytes, qd_err *err);
/* Frees the buffers. */
void qdi_strings_fini(qdi_strings_writer *s);

/* Values of one column to COLUMNS. */
typedef struct qdi_column_writer {
    qd_file_writer *w;
    qd_account *account;
    qdi_column_head head;
    uint32_t docs;     /* of the segment */
    uint32_t block;    /* being filled; UINT32_MAX before the first document */
    uint16_t *present; /* documents of the block that have a value, [QD_COLUMN_BLOCK] */
    uint32_t *counts;  /* their values */
    uint32_t ndocs;
    QD_VEC(int64_t) values;
    QD_VEC(uint64_t) packed; /* scratch of the encoder */
    qd_buf body;             /* a block's bytes */
    qd_buf heads;            /* finished block heads */
    uint64_t written;
} qdi_column_writer;

/* Prepares for a segment of docs documents; w stands in section COLUMNS when values come. */
QD_MUST_CHECK
int qdi_column_writer_init(qdi_column_writer *x, uint32_t docs, qd_account *account, qd_err *err);
/* Begins the next column. */
void qdi_column_writer_begin(qdi_column_writer *x, qd_file_writer *w, uint32_t field, uint8_t type);
/* Adds a document's values, ascending; documents ascend, each comes once, n >= 1. BYTES: one value,
 * ignored. */
QD_MUST_CHECK
int qdi_column_writer_add(qdi_column_writer *x, uint32_t doc, const int64_t *values, uint32_t n,
                          qd_err *err);
/* Ends the column and appends its resident bytes to index, nothing when no document has a value;
 * strings NULL for I64. */
QD_MUST_CHECK
int qdi_column_writer_end(qdi_column_writer *x, const qdi_strings_writer *strings,
                          uint64_t dict_bytes, qd_buf *index, qd_err *err);
/* Frees. */
void qdi_column_writer_fini(qdi_column_writer *x);

/* Chooses the encoding of a block's values (n >= 1): fills encoding, width, mult, base of h and
 * leaves the packed integers in packed[n]; TABLE leaves its entries in table. */
void qdi_column_encode(const int64_t *values, uint32_t n, bool plain, qdi_block_head *h,
                       uint64_t *packed, int64_t table[QDI_COLUMN_TABLE_MAX]);

/* Sorts ascending in place, O(n log n) at worst. */
void qdi_sort_i64(int64_t *v, uint32_t n);
/* Sorts and drops duplicates; returns what is left. */
uint32_t qdi_sort_unique_i64(int64_t *v, uint32_t n);

#endif
