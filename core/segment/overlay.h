/*
 * overlay.h: a segment with columns in memory beside those of its file: fields that scripts make.
 *
 * An overlay is a segment of its own for readers, and shares everything with its base. Its fields
 * stand behind the base's and hide those of their names; each is asked for when a reader first
 * looks its name up, and is absent where the maker has no column.
 */
#ifndef QD_SEGMENT_OVERLAY_H
#define QD_SEGMENT_OVERLAY_H

#include "segment/segment.h"

/* A column in memory under way: values come in the order of documents. One thread. */
typedef struct qd_overlay_buffer qd_overlay_buffer;
/* A column of a type (I64, ORDINAL) for a segment of so many documents. QD_E_NOMEM. */
QD_MUST_CHECK
int qd_overlay_buffer_make(uint8_t type, uint32_t docs, qd_account *account,
                           qd_overlay_buffer **out, qd_err *err);
/* Adds a value of doc, which never falls: a number of an I64 column. */
QD_MUST_CHECK
int qd_overlay_buffer_i64(qd_overlay_buffer *b, uint32_t doc, int64_t v, qd_err *err);
/* The same of bytes. */
QD_MUST_CHECK
int qd_overlay_buffer_str(qd_overlay_buffer *b, uint32_t doc, qd_str v, qd_err *err);
/* Takes back what doc has, the last one that was added to. */
void qd_overlay_buffer_undo(qd_overlay_buffer *b, uint32_t doc);
/* Bytes that it holds. */
size_t qd_overlay_buffer_bytes(const qd_overlay_buffer *b);
/* Frees; NULL is fine. */
void qd_overlay_buffer_free(qd_overlay_buffer *b);

/* A column that was written, in memory. */
typedef struct qd_overlay_column qd_overlay_column;
/* Writes it; *out NULL: no document has a value. QD_E_NOMEM, QD_E_BREAKER. */
QD_MUST_CHECK
int qd_overlay_column_make(qd_overlay_buffer *b, qd_overlay_column **out, qd_err *err);
/* Frees; NULL is fine. */
void qd_overlay_column_free(qd_overlay_column *c);
/* It as readers want it. */
const qd_column *qd_overlay_column_of(const qd_overlay_column *c);

typedef struct qd_overlay {
    const qd_field_info *fields; /* ascending by name; they outlive the overlay */
    uint32_t n;
    /* The column of fields[i] for the overlay s, which outlives s; NULL: no document has one, or
     * it cannot be made, which the maker keeps in mind. Called by the thread that searches. */
    const qd_column *(*column)(void *arg, uint32_t i);
    void *arg;
} qd_overlay;

/* Makes one over base, of which it takes a reference. QD_E_NOMEM. */
QD_MUST_CHECK
int qd_segment_overlay(qd_segment *base, const qd_overlay *o, qd_account *account, qd_segment **out,
                       qd_err *err);

#endif
