/*
 * fielddata.h: the column that a text field with fielddata has in memory, in the place of the one
 * that other fields have on disk.
 */
#ifndef QD_SEARCH_FIELDDATA_H
#define QD_SEARCH_FIELDDATA_H

#include "base/arena.h"
#include "mapping/field.h"
#include "search/searcher.h"
#include "segment/columns.h"

/* Built at the first use, from all terms of the field in the segment, and kept with it; good until
 * arena is reset. *out NULL: the leaf has none. [worker] QD_E_NOMEM, QD_E_BREAKER, QD_E_CORRUPT,
 * QD_E_IO. */
QD_MUST_CHECK
int qd_leaf_fielddata(const qd_leaf *l, const qd_field *f, qd_arena *arena, const qd_column **out,
                      qd_err *err);
/* Calls fn for each field whose fielddata, or whose ordinals of the whole shard, the searcher's
 * segments or it keep; one field may come several times. [any] */
void qd_searcher_fielddata_each(const qd_searcher *s,
                                void (*fn)(void *arg, qd_str field, int64_t bytes), void *arg);
/* Forgets the fielddata of a field (empty: of all) in all segments. [any] */
void qd_searcher_fielddata_clear(const qd_searcher *s, qd_str field);

#endif
