/*
 * range_int.h: a range of numbers by its column, window by window.
 *
 * Nothing is read until a window wants it: block bounds decide most windows of ordered columns, few
 * candidates are looked up, and only else a block is compared whole. A range of few points is
 * cheaper as a bitmap made at once; the planner chooses (leaf_range.c).
 */
#ifndef QD_SEARCH_RANGE_INT_H
#define QD_SEARCH_RANGE_INT_H

#include "search/leaf/leaf_int.h"
#include "segment/columns.h"
#include "segment/points.h"

/* Candidates of a window up to which they are looked up: with vectors, where a block is compared
 * fastest, that costs as much from some 170 on (make bench-ranges). */
#define QDI_RANGE_LOOKUPS_MAX 128u

struct qdi_range {
    const qd_column *column;
    qd_column_reader *reader; /* all documents planned */
    int64_t lo, hi;
    int64_t absent; /* no value of the range: what stands for none */
    bool lookups;   /* one value a document, and there is such an integer */
};

/* The range that a clause is, perhaps with a score of its own; NULL: it is something else. */
static inline const qdi_node *qdi_range_in(const qdi_node *x)
{
    if (qdi_plan_can(x, QDI_NODE_SAME_DOCS)) x = x->u.child;
    return qdi_plan_can(x, QDI_NODE_INTERVAL) ? x : NULL;
}

/* leaf_range.c: what a segment has of a range. */
typedef struct qdi_range_plan_out {
    const qd_points *points; /* NULL: none of this kind */
    const qd_column *column; /* of I64, or NULL */
    qd_point_value lo, hi;
    uint64_t most; /* documents, at most; 0: none */
} qdi_range_plan_out;
void qdi_range_plan(const qdi_run *r, const qdi_node *x, qdi_range_plan_out *out);
/* Is the column cheaper than the points, as far as is known of the other clauses? */
bool qdi_range_by_column(const qdi_run *r, const qdi_node *x, const qdi_range_plan_out *g);
/* A range over a column. */
QD_MUST_CHECK
int qdi_range_make(qdi_run *r, const qd_column *c, int64_t lo, int64_t hi, struct qdi_range **out,
                   qd_err *err);

/* window_range.c */
uint32_t qdi_range_next(const qdi_run *r, const struct qdi_range *g, uint32_t from);
QD_MUST_CHECK
int qdi_fill_range(struct qdi_range *g, const qdi_win *w, const uint64_t *cand, uint64_t *out,
                   qd_err *err);

#endif
