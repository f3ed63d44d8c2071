/*
 * points_int.h: what the indexing buffer, the flush and the merge call of points.
 */
#ifndef QD_SEGMENT_POINTS_INT_H
#define QD_SEGMENT_POINTS_INT_H

#include "base/str.h"
#include "segment/check.h"
#include "segment/columns/columns_int.h"
#include "segment/format_int.h"
#include "segment/merge_in_int.h"
#include "segment/points.h"

/* --- add --- */
typedef struct qdi_points_buffer qdi_points_buffer;

/* An empty buffer of a qd_point_type (not NONE). [worker] QD_E_NOMEM. */
QD_MUST_CHECK
int qdi_points_buffer_make(uint8_t type, qd_account *account, qdi_points_buffer **out, qd_err *err);
/* Frees; NULL is fine. */
void qdi_points_buffer_free(qdi_points_buffer *b);
/* Empties it, keeps its memory. */
void qdi_points_buffer_reset(qdi_points_buffer *b);
/* Takes back everything of documents >= doc (an aborted document). */
void qdi_points_buffer_rollback(qdi_points_buffer *b, uint32_t doc);
/* Bytes held. */
size_t qdi_points_buffer_bytes(const qdi_points_buffer *b);
/* Adds n points of doc; doc never falls. QD_E_NOMEM: nothing was added. */
QD_MUST_CHECK
int qdi_points_buffer_add(qdi_points_buffer *b, uint32_t doc, const qd_point_value *values,
                          uint32_t n, qd_err *err);

/* --- write --- */
typedef struct qdi_points_source {
    uint32_t field;            /* number in the new segment's schema; ascending */
    qdi_points_buffer *buffer; /* sorted by the write; NULL: the points are column's values */
    qdi_column_buffer *column; /* an I64 column buffer with the same values */
} qdi_points_source;

/* Writes section POINTS (opens and closes it), appends section POINT_INDEX's bytes to resident. */
QD_MUST_CHECK
int qdi_points_write(const qdi_points_source *sources, uint32_t n, uint32_t docs, qd_file_writer *w,
                     qd_buf *resident, qd_account *account, qd_err *err);

/* --- open --- */
/* Reads section POINT_INDEX (resident). Keeps f without a reference. */
QD_MUST_CHECK
int qdi_points_open(qd_file *f, uint32_t docs, qd_account *account, qd_points_set **out,
                    qd_err *err);
/* Frees; NULL is fine. */
void qdi_points_close(qd_points_set *set);
/* Fields with points. */
uint32_t qdi_points_set_count(const qd_points_set *set);
/* Field number of the i-th. */
uint32_t qdi_points_set_field(const qd_points_set *set, uint32_t i);

/* --- merge, check --- */
/* Merges all inputs' points, as qdi_points_write. */
QD_MUST_CHECK
int qdi_points_merge(const qdi_merge_in *in, qd_file_writer *w, qd_buf *resident, qd_err *err);
/* Reads every block: order, bounds, documents. */
QD_MUST_CHECK
int qdi_points_check(const qd_points_set *set, qd_check *c, qd_err *err);

#endif
