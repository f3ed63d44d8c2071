/* integer_int.h: what other types of whole numbers share with integer.c. */
#ifndef QD_MAPPING_INTEGER_INT_H
#define QD_MAPPING_INTEGER_INT_H

#include "mapping/type_int.h"

/* Members of a row, by the kind of the field's type. */
int qdi_integer_term(const qd_field *f, qd_query_value v, const qd_value_ctx *ctx, qd_point *out,
                     qd_err *err);
int qdi_integer_range(const qd_field *f, const qd_query_value *lo, bool lo_in,
                      const qd_query_value *hi, bool hi_in, const qd_value_ctx *ctx,
                      qd_point out[2], qd_err *err);
double qdi_integer_f64(const qd_field *f, int64_t column);
int64_t qdi_integer_from_f64(const qd_field *f, double v);
void qdi_integer_write(const qd_field *f, int64_t column, const qd_date_format *format,
                       const qd_zone *zone, qd_json_writer *w);

#endif
