/*
 * fielddata.h: the terms of an indexed field by document, as if it had an ORDINAL column: built
 * from the inverted index in memory at the first use, and kept with the segment until it is
 * cleared.
 */
#ifndef QD_SEGMENT_FIELDDATA_H
#define QD_SEGMENT_FIELDDATA_H

#include "base/arena.h"
#include "segment/segment.h"

/* Which terms are left out: by their documents in the segment, as numbers above 1, or as parts of
 * the documents that have the field. Segments with fewer of these than min_docs keep all terms. */
typedef struct qd_fielddata_filter {
    double min, max; /* max 0: none */
    int64_t min_docs;
} qd_fielddata_filter;

/* The column of field (of the segment's schema); it stays until arena is reset. *out NULL: no
 * document has a term. filter NULL: all terms. All memory is charged to account. [worker]
 * QD_E_NOMEM, QD_E_BREAKER, QD_E_CORRUPT, QD_E_IO. */
QD_MUST_CHECK
int qd_segment_fielddata(qd_segment *s, uint32_t field, const qd_fielddata_filter *filter,
                         qd_account *account, qd_arena *arena, const qd_column **out, qd_err *err);
/* Forgets what is kept of a field (empty name: of all); who uses it keeps it. [any] */
void qd_segment_fielddata_clear(qd_segment *s, qd_str field);
/* Calls fn for each field that is kept, with the bytes it takes. [any] */
void qd_segment_fielddata_each(qd_segment *s,
                               void (*fn)(void *arg, const qd_field_info *f, int64_t bytes),
                               void *arg);

#endif
