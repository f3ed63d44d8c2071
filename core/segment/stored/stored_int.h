/*
 * stored_int.h: what the indexing buffer, the flush and the merge call of stored documents.
 */
#ifndef QD_SEGMENT_STORED_INT_H
#define QD_SEGMENT_STORED_INT_H

#include "base/str.h"
#include "segment/check.h"
#include "segment/format_int.h"
#include "segment/merge_in_int.h"
#include "segment/stored.h"

/* --- add --- */
typedef struct qdi_stored_buffer qdi_stored_buffer;

/* An empty buffer with a codec (not QD_STORED_NONE). Blocks are compressed as they fill, by the
 * thread that adds. [worker] QD_E_NOMEM. */
QD_MUST_CHECK
int qdi_stored_buffer_make(qd_stored_codec codec, qd_account *account, qdi_stored_buffer **out,
                           qd_err *err);
/* Frees; NULL is fine. */
void qdi_stored_buffer_free(qdi_stored_buffer *b);
/* Empties it, keeps contexts and memory. */
void qdi_stored_buffer_reset(qdi_stored_buffer *b);
/* Takes back documents >= doc; only the one added last may be affected (an aborted document). */
void qdi_stored_buffer_rollback(qdi_stored_buffer *b, uint32_t doc);
/* Bytes held. */
size_t qdi_stored_buffer_bytes(const qdi_stored_buffer *b);
/* Adds doc's bytes; documents come in order, those left out are empty. */
QD_MUST_CHECK
int qdi_stored_buffer_add(qdi_stored_buffer *b, uint32_t doc, qd_str source, qd_err *err);

/* --- write --- */
/* b holds its documents until reset: a failed write may be tried again. */
/* Writes section STORED (opens and closes it), appends section STORED_INDEX's bytes to resident.
 * b NULL: writes nothing. */
QD_MUST_CHECK
int qdi_stored_write(qdi_stored_buffer *b, uint32_t docs, qd_file_writer *w, qd_buf *resident,
                     qd_err *err);

/* --- open --- */
/* Reads section STORED_INDEX; *out is NULL when the file has none. Keeps f without a reference. */
QD_MUST_CHECK
int qdi_stored_open(qd_file *f, uint32_t docs, qd_account *account, qd_stored **out, qd_err *err);
/* Frees; NULL is fine. */
void qdi_stored_close(qd_stored *s);

/* --- merge, check --- */
/* Merges: blocks of inputs without deletions are copied unopened where they are well filled. */
QD_MUST_CHECK
int qdi_stored_merge(const qdi_merge_in *in, qd_file_writer *w, qd_buf *resident, qd_err *err);
/* Decompresses every block. */
QD_MUST_CHECK
int qdi_stored_check(const qd_stored *s, qd_check *c, qd_err *err);

#endif
