/*
 * stats_int.h: what avg, sum, min, max, stats, extended_stats and value_count share: what they keep
 * of an owner and of a slot, and the value of their results.
 *
 * Below a table (terms, histogram) with one owner, values are folded by slot, the number of an
 * ordinal or interval in the segment, and go to the rows of buckets at the segment's end: what is
 * touched for a document is small, and no bucket is looked for.
 */
#ifndef QD_AGGS_STATS_INT_H
#define QD_AGGS_STATS_INT_H

#include "aggs/kernels/kern_int.h"
#include "aggs/parse/parse_int.h"
#include "aggs/reduce/reduce_int.h"

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

/* The value of a result. */
typedef struct qdi_stats {
    uint64_t n;
    double sum, sum_low; /* compensated */
    double min, max;
    double squares, squares_low;
} qdi_stats;
static inline qdi_stats *qdi_stats_of(const qdi_out *o)
{
    return o->value;
}
/* "avg", "std_upper" and so on; NAN: none. */
double qdi_aggs_stats_value(const qdi_stats *s, double sigma, qd_str member);

/* For qdi_ops.open: want is a set of QDI_WANT_. */
int qdi_aggs_stats_open(qdi_aggr *a, uint32_t want, qd_err *err);
/* For qdi_ops.metric: what an owner has by now. */
double qdi_aggs_stats_metric(qdi_aggr *a, uint32_t owner, double sigma, qd_str member);
int qdi_aggs_stats_grow(qdi_aggr *a, uint32_t n, qd_err *err);
int qdi_aggs_stats_collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                           qd_err *err);
int qdi_aggs_stats_build(qdi_aggr *a, uint32_t owner, qdi_out *out, qd_err *err);
void qdi_aggs_stats_close(qdi_aggr *a);
/* The operations that all have in common. */
#define QDI_STATS_OPS                                                                              \
    .reads = QDI_READS_VALUES, .grow = qdi_aggs_stats_grow, .collect = qdi_aggs_stats_collect,     \
    .slots = qdi_stats_slots_begin, .collect_slots = qdi_stats_slots_collect,                      \
    .take_slot = qdi_stats_slots_take, .build = qdi_aggs_stats_build,                              \
    .close = qdi_aggs_stats_close

double qdi_aggs_stats_zero(qd_str member); /* for qd_agg_type.empty */
int qdi_aggs_stats_reduce(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out, qd_err *err);
void qdi_aggs_stats_send(const qdi_out *o, qd_writer *w);
void qdi_aggs_stats_receive(qd_body_reader *r, qdi_out *o, const qd_aggs *tree, qd_arena *arena);
/* What the rows have in common. */
#define QDI_STATS                                                                                  \
    .value_size = sizeof(qdi_stats), .reduce = qdi_aggs_stats_reduce, .send = qdi_aggs_stats_send, \
    .receive = qdi_aggs_stats_receive

/* count, min, max, avg, sum: stats, and the first half of extended_stats. */
void qdi_aggs_stats_write(const qdi_out *o, bool typed, qd_json_writer *w);
double qdi_aggs_stats_empty(qd_str member);

#endif
