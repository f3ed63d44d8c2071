/*
 * stored_permute_int.h: stored documents in another order than the inputs'.
 */
#ifndef QD_SEGMENT_STORED_PERMUTE_INT_H
#define QD_SEGMENT_STORED_PERMUTE_INT_H

#include "segment/stored/stored_int.h"
#include "segment/stored/stored_writer_int.h"

/* Bytes of documents that are put into order in memory at one time: 32 MiB. Tests lower it. */
extern size_t qdi_stored_permute_memory;

/* Gives all documents that stay to x in the order of the new numbers. More of them than fit in
 * memory wait in an unsynced log of the store, distributed over ranges of numbers. QD_E_CORRUPT,
 * QD_E_NOMEM, QD_E_NOSPACE, QD_E_IO. */
QD_MUST_CHECK
int qdi_stored_permute(const qdi_merge_in *in, qdi_stored_writer *x, qd_stored_scratch *scratch,
                       qd_err *err);

#endif
