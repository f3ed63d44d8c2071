/* bitmap.h: a set of numbers as a serialized Roaring bitmap, as OpenSearch's terms query takes it.
 */
#ifndef QD_QUERY_BITMAP_H
#define QD_QUERY_BITMAP_H

#include "query/dsl.h"

#define QDI_BITMAP_VALUES_MAX 65536u /* as index.max_terms_count has by default */

/* The numbers of a bitmap in base64, ascending, as values whose texts lie in the arena. The format
 * is RoaringFormatSpec's portable one of 32-bit numbers. QD_E_ARG: it is damaged, or has more than
 * QDI_BITMAP_VALUES_MAX. [any] */
QD_MUST_CHECK
int qdi_bitmap_values(qd_str base64, qd_arena *arena, const qd_query_value **out, uint32_t *n,
                      qd_err *err);

#endif
