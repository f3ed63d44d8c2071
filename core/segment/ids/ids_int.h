/*
 * ids_int.h: what flush and merge call of the ids' hash table. The ids themselves are the BYTES
 * column of the `_id` field.
 */
#ifndef QD_SEGMENT_IDS_INT_H
#define QD_SEGMENT_IDS_INT_H

#include "base/str.h"
#include "segment/check.h"
#include "segment/columns/columns_int.h"
#include "segment/format_int.h"
#include "segment/ids.h"
#include "segment/merge_in_int.h"

/* Writes section IDS (opens and closes it) over the BYTES buffer of `_id`; of equal ids only the
 * last document is kept. */
QD_MUST_CHECK
int qdi_ids_write(const qdi_column_buffer *ids, qd_file_writer *w, qd_account *account,
                  qd_err *err);
/* Opens section IDS; column is the BYTES column of `_id`. *out is NULL when the file has none. */
QD_MUST_CHECK
int qdi_ids_open(qd_file *f, uint32_t docs, const qd_column *column, qd_account *account,
                 qd_ids **out, qd_err *err);
/* Frees; NULL is fine. */
void qdi_ids_close(qd_ids *x);
/* Merges over the inputs' `_id` columns. */
QD_MUST_CHECK
int qdi_ids_merge(const qdi_merge_in *in, qd_file_writer *w, qd_err *err);
/* Every id is found again, every entry names a document. */
QD_MUST_CHECK
int qdi_ids_check(const qd_ids *x, qd_check *c, qd_err *err);

#endif
