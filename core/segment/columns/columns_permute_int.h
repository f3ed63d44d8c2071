/*
 * columns_permute_int.h: values and strings of a merge whose documents get another order than the
 * inputs'. Those of one window of new numbers after the other are gathered, in one walk over the
 * inputs each, so that memory does not grow with the column.
 */
#ifndef QD_SEGMENT_COLUMNS_PERMUTE_INT_H
#define QD_SEGMENT_COLUMNS_PERMUTE_INT_H

#include "segment/columns/column_walk_int.h"
#include "segment/columns/column_writer_int.h"

/* One input's share of a column. */
typedef struct qdi_permute_input {
    const qd_column *c;
    const uint32_t *map;  /* old -> new number, or QDI_DOC_GONE */
    const uint32_t *ords; /* ORDINAL: old -> new; else NULL */
} qdi_permute_input;

/* Gives all documents' values to x, in the order of the new numbers. QD_E_CORRUPT, QD_E_NOMEM. */
QD_MUST_CHECK
int qdi_permute_values(const qdi_merge_in *in, const qdi_permute_input *inputs, uint32_t n,
                       qdi_column_writer *x, qd_err *err);
/* Gives all documents' strings to s, in the order of the new numbers. */
QD_MUST_CHECK
int qdi_permute_strings(const qdi_merge_in *in, const qdi_permute_input *inputs, uint32_t n,
                        qdi_strings_writer *s, qd_err *err);

#endif
