/*
 * points.h: a field's values in order with their documents, for ranges.
 *
 * Blocks of QD_POINTS_BLOCK (value, document) pairs sorted by value, then document. The first value
 * of each block is resident, so a range finds its blocks without a read, estimates are free, and
 * only the two border blocks compare values. Phases and threads as in columns.h.
 */
#ifndef QD_SEGMENT_POINTS_H
#define QD_SEGMENT_POINTS_H

#include "segment/schema.h"
#include "store/reads.h"

#define QD_POINTS_BLOCK 512u

typedef struct qd_points_set qd_points_set;       /* all of a segment */
typedef struct qd_points qd_points;               /* one field's */
typedef struct qd_points_reader qd_points_reader; /* one planned range */

/* A bound: i for QD_POINT_I64, b (byte order) for QD_POINT_B16. */
typedef union qd_point_value {
    int64_t i;
    uint8_t b[16];
} qd_point_value;

typedef struct qd_points_stats {
    uint8_t type;  /* qd_point_type */
    bool multi;    /* some document has more than one point */
    uint32_t docs; /* documents with a point */
    uint64_t points;
    qd_point_value min, max; /* undefined without points */
} qd_points_stats;

/* The points of a field by its number in the schema; NULL when it has none. [any] */
const qd_points *qd_points_get(const qd_points_set *set, uint32_t field);
/* Counts and bounds. [any] */
const qd_points_stats *qd_points_stats_get(const qd_points *p);
/* Bounds of the number of points in [lo, hi] (inclusive), without a read. [any] O(log blocks) */
void qd_points_estimate(const qd_points *p, qd_point_value lo, qd_point_value hi, uint64_t *least,
                        uint64_t *most);
/* Plans the blocks that meet [lo, hi] (inclusive; lo > hi is an empty range); borders_only plans
 * just what qd_points_count reads. [worker] QD_E_NOMEM, QD_E_CORRUPT. */
QD_MUST_CHECK
int qd_points_plan(const qd_points *p, qd_point_value lo, qd_point_value hi, bool borders_only,
                   qd_reads *r, qd_arena *arena, qd_points_reader **out, qd_err *err);
/* Exact number of points in the range (of documents, unless stats.multi). [worker] */
QD_MUST_CHECK
int qd_points_count(qd_points_reader *rd, uint64_t *out, qd_err *err);
/* Sets the bit of each document in the range; bits covers the segment. [worker] */
QD_MUST_CHECK
int qd_points_bits(qd_points_reader *rd, uint64_t *bits, qd_err *err);
/* Ascending documents of the range, each once, into docs (room for the estimate's `most`);
 * *n gets their number. Sorts, so meant for small ranges. [worker] */
QD_MUST_CHECK
int qd_points_docs(qd_points_reader *rd, uint32_t *docs, uint32_t *n, qd_err *err);

/* A slice: points [first, first + n) in the order of their values. Plans its blocks; n > 0, inside
 * the field's points. [worker] QD_E_NOMEM, QD_E_CORRUPT. */
QD_MUST_CHECK
int qd_points_slice_plan(const qd_points *p, uint64_t first, uint32_t n, qd_reads *r,
                         qd_arena *arena, qd_points_reader **out, qd_err *err);
/* The documents of a planned slice, in the order of values, into docs (room for n). [worker] */
QD_MUST_CHECK
int qd_points_slice_docs(qd_points_reader *rd, uint32_t *docs, qd_err *err);
/* The value of the slice's point i (I64). [worker] QD_E_CORRUPT: its block may not hold it. */
QD_MUST_CHECK
int qd_points_slice_value(const qd_points_reader *rd, uint32_t i, int64_t *out, qd_err *err);

#endif
