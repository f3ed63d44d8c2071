/* order_int.h: collecting the best by a number in the order of its points (order.c). */
#ifndef QD_SEARCH_ORDER_INT_H
#define QD_SEARCH_ORDER_INT_H

#include "base/done.h"
#include "search/collect/collect.h"
#include "search/leaf/leaf_int.h"

/* Hands hits to a collector that has an order and has settled its total, best first: QD_DONE when
 * no other one can be kept; QD_DECLINED when the rest must go by windows, without the documents of
 * *tested (NULL: none). *tested: what was collected before, or NULL. An error otherwise. No scores.
 */
QD_MUST_CHECK
int qdi_collect_ordered(qdi_run *r, qd_collector *c, uint64_t **tested, bool *walked, qd_err *err);

/* Is the walk expected to be cheaper than a list of all hits? 1 it is, 0, or an error. */
QD_MUST_CHECK
int qdi_order_beats_list(qdi_run *r, qd_collector *c, qd_err *err);

/* Is that expected to be cheaper than collecting n hits that are known? */
bool qdi_walk_list_pays(const qdi_run *r, qd_collector *c, uint32_t n);

/* The same for hits that are known, n > 0 ascending documents: QD_DONE when no other one can be
 * kept; QD_DECLINED when those that are not tested (*tested; NULL: none is) must still be
 * collected. later: all that was collected lies before them. */
QD_MUST_CHECK
int qdi_walk_list(qdi_run *r, qd_collector *c, const uint32_t *docs, uint32_t n, bool later,
                  uint64_t **tested, qd_err *err);

/* list.c: hands all hits of required terms whose rarest has no bitmap to a collector that has an
 * order, where that is cheaper than the walk: QD_DONE, QD_DECLINED, an error or what collect
 * answered. */
QD_MUST_CHECK
int qdi_collect_list(qdi_run *r, qd_collector *c, qd_err *err);

#endif
