/* nearest_int.h: the documents with the nearest vectors, over all segments of a searcher. */
#ifndef QD_SEARCH_NEAREST_INT_H
#define QD_SEARCH_NEAREST_INT_H

#include "base/vec.h"
#include "mapping/ann/graph.h"
#include "search/collect/topk.h"
#include "search/nearest.h"
#include "search/plan/plan_int.h"

/* Documents of the searcher, ascending, and how near their vectors are. */
typedef struct qdi_nearest {
    uint32_t n;
    const uint32_t *docs;
    const float *scores;
    qd_nearest_counts counts;
} qdi_nearest;

/* The vectors of live documents that the filter leaves: all are looked at, or found by codes and a
 * graph where the segment has some (nearest_graph.c); the result lives in the plan's arena. What is
 * held meanwhile is charged to the plan's account. [worker] QD_E_CANCELLED, QD_E_TIMEOUT; errors of
 * reading, and of the filter's plan. */
QD_MUST_CHECK
int qdi_nearest_find(qd_plan *p, const qd_node_knn *q, const qdi_nearest **out, qd_err *err);
/* The best k of what was found, in the plan's arena; k 0: all. */
QD_MUST_CHECK
int qdi_nearest_best(qd_plan *p, const qdi_nearest *found, uint32_t k, const qdi_nearest **out,
                     qd_err *err);

/* --- between nearest.c and nearest_graph.c --- */

typedef struct qdi_finding {
    qd_plan *p;
    const qd_node_knn *q;
    const qd_vec_kern *kern;
    float length;     /* of the query's vector */
    uint64_t *passed; /* bitmaps of the filter's documents, leaf by leaf; NULL: no filter */
    size_t *first;    /* by leaf: its word there */
    struct qdi_parents *parents; /* nearest.c's: rows are of nested documents; NULL: they are not */
    qd_topk top;                 /* k > 0 */
    QD_VEC(uint64_t) all;        /* k 0: keys of topk.h, documents ascending */
    qd_arena scratch;
    qd_nearest_counts counts;
} qdi_finding;

/* Documents of a leaf that may be found; NULL: all. */
const uint64_t *qdi_nearest_bits(const qdi_finding *f, const qd_leaf *leaf);
/* Measures these rows, ascending, by their vectors and keeps them. [worker] Errors of reading. */
QD_MUST_CHECK
int qdi_nearest_rows(qdi_finding *f, const qd_leaf *leaf, const qd_vectors *v, const uint32_t *rows,
                     uint32_t n, qd_err *err);
/* Finds the nearest of a leaf by its codes or graph; *done false: nothing was looked at, its rows
 * are to be. [worker] As qdi_nearest_find. */
QD_MUST_CHECK
int qdi_nearest_by_graph(qdi_finding *f, const qd_leaf *leaf, const qd_part_reader *reader,
                         bool *done, qd_err *err);

#endif
