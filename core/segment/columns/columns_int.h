/*
 * columns_int.h: what the indexing buffer, the flush and the merge call of columns.
 *
 * Add (buffer), write (flush) and merge all end in one streaming writer that takes documents in
 * order, so a merged column is byte for byte the directly built one. One thread at a time.
 */
#ifndef QD_SEGMENT_COLUMNS_INT_H
#define QD_SEGMENT_COLUMNS_INT_H

#include "base/str.h"
#include "segment/check.h"
#include "segment/columns.h"
#include "segment/format_int.h"
#include "segment/merge_in_int.h"

/* --- add: one field's values in memory --- */
typedef struct qdi_column_buffer qdi_column_buffer;

/* An empty buffer of a qd_column_type (not NONE). [worker] QD_E_NOMEM. */
QD_MUST_CHECK
int qdi_column_buffer_make(uint8_t type, qd_account *account, qdi_column_buffer **out, qd_err *err);
/* Frees; NULL is fine. */
void qdi_column_buffer_free(qdi_column_buffer *b);
/* Empties it, keeps its memory. */
void qdi_column_buffer_reset(qdi_column_buffer *b);
/* Takes back everything of documents >= doc (an aborted document). */
void qdi_column_buffer_rollback(qdi_column_buffer *b, uint32_t doc);
/* Bytes held (for the buffer's budget). */
size_t qdi_column_buffer_bytes(const qdi_column_buffer *b);
/* I64: adds n values of doc; doc never falls, the same doc may come again. The values need no order
 * (duplicates are kept). QD_E_NOMEM: nothing was added. */
QD_MUST_CHECK
int qdi_column_buffer_i64(qdi_column_buffer *b, uint32_t doc, const int64_t *values, uint32_t n,
                          qd_err *err);
/* ORDINAL over the caller's term table: adds term ids; at write qdi_column_terms ranks them. */
QD_MUST_CHECK
int qdi_column_buffer_ids(qdi_column_buffer *b, uint32_t doc, const uint32_t *ids, uint32_t n,
                          qd_err *err);
/* ORDINAL with a table of its own (not mixed with qdi_column_buffer_ids): adds one byte string;
 * BYTES: sets doc's byte string (once a document). */
QD_MUST_CHECK
int qdi_column_buffer_str(qdi_column_buffer *b, uint32_t doc, qd_str s, qd_err *err);
/* BYTES: the string of the i-th document that has one, and that document; i < count. */
qd_str qdi_column_buffer_str_at(const qdi_column_buffer *b, uint32_t i, uint32_t *doc);
/* BYTES: the string of a document that has one. O(log n) */
qd_str qdi_column_buffer_str_of(const qdi_column_buffer *b, uint32_t doc);
/* BYTES: documents that have a string. */
uint32_t qdi_column_buffer_str_count(const qdi_column_buffer *b);

/* ORDINAL over the caller's term table: sets used[id] to 1 for each id that it holds. */
void qdi_column_buffer_used(const qdi_column_buffer *b, uint8_t *used);

/* --- write --- */
/* The distinct terms of the caller's table in byte order. Every term must occur in the column. A
 * source is not changed by a write: a failed one may be tried again. */
typedef struct qdi_column_terms {
    uint32_t n;
    const uint32_t *rank;                              /* term id -> ordinal */
    qd_str (*term)(const void *arg, uint32_t ordinal); /* asked in order, once each */
    const void *arg;
} qdi_column_terms;

typedef struct qdi_column_source {
    uint32_t field;                /* number in the new segment's schema; ascending */
    qdi_column_buffer *buffer;     /* its values; sorted within documents by the write */
    const qdi_column_terms *terms; /* when filled by qdi_column_buffer_ids, else NULL */
} qdi_column_source;

/* Writes sections COLUMN_DICT and COLUMNS (opens and closes both) and appends the bytes of section
 * COLUMN_INDEX to resident; fields without a value get no column. docs: documents of the segment.
 * [worker] */
QD_MUST_CHECK
int qdi_columns_write(const qdi_column_source *sources, uint32_t n, uint32_t docs,
                      qd_file_writer *w, qd_buf *resident, qd_account *account, qd_err *err);

/* --- open --- */
/* Reads section COLUMN_INDEX (resident) of f; a file without one has no columns. Keeps f without a
 * reference: the set dies before it. [worker] QD_E_CORRUPT, QD_E_NOMEM. */
QD_MUST_CHECK
int qdi_columns_open(qd_file *f, uint32_t docs, qd_account *account, qd_columns **out, qd_err *err);
/* Frees; NULL is fine. */
void qdi_columns_close(qd_columns *set);
/* Columns in the set, and the i-th one's field number. */
uint32_t qdi_columns_count(const qd_columns *set);
/* Field number of the i-th column. */
uint32_t qdi_columns_field(const qd_columns *set, uint32_t i);

/* --- merge --- */
/* Merges the columns of all inputs into sections COLUMN_DICT and COLUMNS, as qdi_columns_write. */
QD_MUST_CHECK
int qdi_columns_merge(const qdi_merge_in *in, qd_file_writer *w, qd_buf *resident, qd_err *err);

/* --- check --- */
/* Reads every block, value and dictionary entry. */
QD_MUST_CHECK
int qdi_columns_check(const qd_columns *set, qd_check *c, qd_err *err);

#endif
