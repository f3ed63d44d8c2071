/*
 * string_part.h: the type "strings" with an index part that keeps one byte string a document, in
 * the order of documents. It refuses the value "refused", and asserts what the host promises.
 */
#ifndef QD_TESTS_STRING_PART_H
#define QD_TESTS_STRING_PART_H

#include "segment/parts.h"

extern int string_part_buffers; /* begun and not ended */
extern const qd_field_conf string_part_conf;

qd_part_type string_part_type(void);
/* For qd_part_types.find; with arg it finds nothing. */
bool string_part_find(const void *arg, qd_str name, qd_part_type *out);
/* The value of a document; n = SIZE_MAX: none. */
qd_str string_part_value(const qd_part_reader *r, uint32_t doc);

#endif
