/* nearest.h: what a search for nearest vectors did, for the profile. */
#ifndef QD_SEARCH_NEAREST_H
#define QD_SEARCH_NEAREST_H

#include <stdint.h>

typedef struct qd_nearest_counts {
    uint32_t walked, scanned, exact; /* segments: by a graph, by all codes, by all vectors; a walk
                                        that found too few is followed by one of the others */
    uint64_t measured;               /* codes or vectors that were measured */
    uint64_t rescored;               /* candidates that were measured by their vectors */
} qd_nearest_counts;

/* Of what a memo of a node has (qd_knn_memo.found, not NULL). [any] */
qd_nearest_counts qd_nearest_counts_of(const void *found);

#endif
