/* sort_nested_int.h: the values of nested documents, as a sorter gathers them for those above. */
#ifndef QD_SEARCH_SORT_NESTED_INT_H
#define QD_SEARCH_SORT_NESTED_INT_H

#include "base/arena.h"
#include "search/collect/sort.h"
#include "segment/columns.h"

/* A key's nested documents in one segment; lives in the arena of the leaf. */
typedef struct qdi_sort_below qdi_sort_below;

/* The leaf whose columns the key reads; NULL: there is none, or *rc. */
const qd_leaf *qdi_sort_below_plan(const qd_sort_nested *n, const qd_leaf *leaf, qd_reads *reads,
                                   qd_arena *arena, qdi_sort_below **out, int *rc, qd_err *err);
/* After the fetch. */
QD_MUST_CHECK
int qdi_sort_below_open(qdi_sort_below *b, qd_reads *reads, qd_err *err);
/* The values of a document's nested ones, ascending; good until the next call. */
QD_MUST_CHECK
int qdi_sort_below_values(qdi_sort_below *b, qd_column_reader *reader, uint32_t doc,
                          const int64_t **v, uint32_t *n, qd_err *err);

#endif
