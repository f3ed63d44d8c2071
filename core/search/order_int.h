/* order_int.h: collecting the best by a number in the order of its points (order.c). */
#ifndef QD_SEARCH_ORDER_INT_H
#define QD_SEARCH_ORDER_INT_H

#include "search/collect.h"
#include "search/leaf_int.h"

/* Hands hits to a collector that has an order and has settled its total, best first: 1 when no
 * other one can be kept; 0 when the rest must go by windows, without the documents of *tested
 * (NULL: none). *tested: what was collected before, or NULL. An error otherwise. No scores. */
QD_MUST_CHECK
int qdi_collect_ordered(qdi_run *r, qd_collector *c, uint64_t **tested, bool *walked, qd_err *err);

#endif
