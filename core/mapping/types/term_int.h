/* term_int.h: what the types share whose values are terms as they are. */
#ifndef QD_MAPPING_TYPES_TERM_INT_H
#define QD_MAPPING_TYPES_TERM_INT_H

#include "mapping/doc_int.h"

#define QDI_TERM_MAX 32766u /* bytes of a term and of an entry of a column */

/* ignore_above must not be negative. 0 or QD_E_ARG. */
int qdi_term_above(const qd_field *f, qd_err *err);
/* More UTF-16 units than limit? A unit takes one to three bytes: few strings need counting. */
bool qdi_term_longer(qd_str v, uint64_t limit);
/* Lucene's complaint of a value of more than QDI_TERM_MAX bytes: QD_E_ARG. */
int qdi_term_immense(const qd_field *f, qd_str v, qd_err *err);
/* Members of rows: the normalized text, texts as bounds, values up to ignore_above. */
int qdi_term_term(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out,
                  qd_err *err);
int qdi_term_range(const qd_field *f, const qd_query_value *lo, bool lo_in,
                   const qd_query_value *hi, bool hi_in, const qd_value_ctx *ctx, qd_point out[2],
                   qd_err *err);
int qdi_term_shown(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out);

#endif
