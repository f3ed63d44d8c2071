/*
 * stats_int.h: what avg, sum, min, max, stats and value_count keep of an owner, and of a slot.
 *
 * Below a table (terms, histogram) with one owner, values are folded by slot, the number of an
 * ordinal or interval in the segment, and go to the rows of buckets at the segment's end: what is
 * touched for a document is small, and no bucket is looked for.
 */
#ifndef QD_AGGS_STATS_INT_H
#define QD_AGGS_STATS_INT_H

#include "aggs/aggs_int.h"
#include "aggs/kernels/kern_int.h"

enum { QDI_WANT_SUM = 1, QDI_WANT_BOUNDS = 2, QDI_WANT_SQUARES = 4 };

typedef struct qdi_stats_row {
    uint64_t n;
    __int128 isum; /* of integers */
    double sum, low;
    int64_t min, max; /* encoded; MAX, MIN: none */
    double squares, squares_low;
} qdi_stats_row;

/* Of the leaf: lanes of sums, lane after lane of n slots; document i goes to lane i % lanes, so
 * that a slot met again need not wait for the sum before. */
typedef struct qdi_stats_slots {
    uint32_t n, lanes;
    bool empty; /* no document of the leaf has a value */
    int64_t *whole;
    double *sum, *low; /* Kahan's compensation; all 0 until something is carried there */
    bool carried;
    /* Parts of doubles on their way to sum: whole numbers of a unit, and what is less than that.
     * The unit is such that sums of SECTION highs are exact (stats_slots.c). */
    qdi_pair *parts;
    double magic, tiny;
    uint32_t pending; /* documents in parts */
    int64_t *min, *max;
    uint32_t cap_whole, cap_sum, cap_low, cap_parts, cap_min, cap_max;
} qdi_stats_slots;

typedef struct qdi_stats_state {
    qdi_stats_row *rows;
    uint32_t cap, want;
    qd_fsum lanes, square_lanes; /* of owner 0 */
    bool has_lanes;
    double *square;
    qdi_stats_slots slots;
} qdi_stats_state;

/* The operations of qdi_ops by slot. */
int qdi_stats_slots_begin(qdi_aggr *a, uint32_t n, qd_err *err);
int qdi_stats_slots_collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *slot, uint32_t n,
                            qd_err *err);
void qdi_stats_slots_take(qdi_aggr *a, uint32_t slot, uint32_t docs, uint32_t bucket);
void qdi_stats_slots_fini(qdi_stats_slots *s);

#endif
