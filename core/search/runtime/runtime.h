/*
 * runtime.h: runtime fields of a search: a searcher over overlays of its base's segments, whose
 * columns are made when a query, a sort, an aggregation or a script first looks for their field.
 *
 * A column is made for all live documents of a segment, or, for hits, for those alone. It belongs
 * to one search: nothing is kept for the next. One thread at a time.
 */
#ifndef QD_SEARCH_RUNTIME_H
#define QD_SEARCH_RUNTIME_H

#include "mapping/runtime/runtime.h"
#include "search/searcher.h"

struct qd_task;

/* The runtime fields of mapping over base; *out has one reference. Columns are charged to the
 * leaves' account of fielddata. [any] QD_E_NOMEM. */
QD_MUST_CHECK
int qd_runtime_searcher(qd_searcher *base, const qd_mapping *mapping, int64_t now_ms,
                        qd_account *account, qd_searcher **out, qd_err *err);
/* The same for n documents (global numbers, in any order): columns that s has made serve again,
 * others are made for these alone. s without runtime fields: s itself. */
QD_MUST_CHECK
int qd_runtime_narrow(qd_searcher *s, const uint32_t *docs, uint32_t n, qd_searcher **out,
                      qd_err *err);
/* The task whose end (cancelled, out of time) ends the making of columns of s; NULL: none. It lives
 * until it is set anew. */
void qd_runtime_task(qd_searcher *s, struct qd_task *task);
/* Why a column could not be made: the answer that missed it does not count. 0: all could, or s has
 * no runtime fields. QD_E_TIMEOUT and QD_E_CANCELLED come without a text. */
QD_MUST_CHECK
int qd_runtime_status(const qd_searcher *s, qd_err *err);

#endif
