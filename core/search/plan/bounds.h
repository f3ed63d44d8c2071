/*
 * bounds.h: what the resident bounds of columns and points say of a searcher, without a read: can a
 * query match anything at all here, and between which values does a field lie.
 */
#ifndef QD_SEARCH_BOUNDS_H
#define QD_SEARCH_BOUNDS_H

#include "query/node.h"
#include "search/searcher.h"

/* May some document match? False only when surely none does: ranges that no segment's values meet,
 * and what needs them. O(nodes · segments) [any] */
bool qd_searcher_may_match(const qd_searcher *s, const qd_node *root);
/* Least and greatest value of a numeric column over all segments, deleted documents included.
 * False: there is none. *all (may be NULL): every document has a value. [any] */
bool qd_searcher_bounds(const qd_searcher *s, qd_str field, int64_t *min, int64_t *max, bool *all);

#endif
