/* nearest_int.h: the documents with the nearest vectors, over all segments of a searcher. */
#ifndef QD_SEARCH_NEAREST_INT_H
#define QD_SEARCH_NEAREST_INT_H

#include "search/plan/plan_int.h"

/* Documents of the searcher, ascending, and how near their vectors are. */
typedef struct qdi_nearest {
    uint32_t n;
    const uint32_t *docs;
    const float *scores;
} qdi_nearest;

/* Looks at every vector of a live document that the filter leaves; the result lives in the plan's
 * arena. What is held meanwhile is charged to the plan's account. [worker] QD_E_CANCELLED,
 * QD_E_TIMEOUT; errors of reading, and of the filter's plan. */
QD_MUST_CHECK
int qdi_nearest_find(qd_plan *p, const qd_node_knn *q, const qdi_nearest **out, qd_err *err);
/* The best k of what was found, in the plan's arena; k 0: all. */
QD_MUST_CHECK
int qdi_nearest_best(qd_plan *p, const qdi_nearest *found, uint32_t k, const qdi_nearest **out,
                     qd_err *err);

#endif
