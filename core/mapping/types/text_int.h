/* text_int.h: what the types of analyzed text share. */
#ifndef QD_MAPPING_TYPES_TEXT_INT_H
#define QD_MAPPING_TYPES_TEXT_INT_H

#include "mapping/doc_int.h"

/* Members of rows: analyzers and what follows from them, texts as they are. */
int qdi_text_finish(field_builder *b, qd_field *f, qd_err *err);
int qdi_text_value(doc *d, const qd_field *f, qd_err *err);
int qdi_text_term(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out,
                  qd_err *err);
int qdi_text_range(const qd_field *f, const qd_query_value *lo, bool lo_in,
                   const qd_query_value *hi, bool hi_in, const qd_value_ctx *ctx, qd_point out[2],
                   qd_err *err);
int qdi_text_shown(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out);

#endif
