/*
 * nested.h: nested documents. Those of one path stand in a table of their own, which is a segment
 * within the segment: documents from 0 on in the order of the documents above them, with terms,
 * columns, points of their own, and nested documents of longer paths. Numbers, counts and live
 * documents of the segment know nothing of them; a nested document is live if the one above is.
 *
 * CHILDREN of a table says how many documents each one above has: which of them belong to which
 * follows from the order.
 */
#ifndef QD_SEGMENT_NESTED_H
#define QD_SEGMENT_NESTED_H

#include "segment/segment.h"

#define QD_NESTED_TABLES_MAX 200u /* in one segment, on all levels */

/* One path below a segment. */
typedef struct qd_nested {
    qd_str path; /* full: "comments", "comments.votes" */
    qd_segment *segment;
} qd_nested;

/* Paths right below s. [any] */
uint32_t qd_segment_nested_count(const qd_segment *s);
/* The i-th, in the order of paths. [any] */
const qd_nested *qd_segment_nested_at(const qd_segment *s, uint32_t i);
/* That of a path; NULL: no document of s has one. [any] */
const qd_nested *qd_segment_nested(const qd_segment *s, qd_str path);
/* Nested documents of all paths and levels, deleted ones included. [any] */
uint64_t qd_segment_nested_docs(const qd_segment *s);

/* Which nested documents belong to which: CHILDREN as it is read. */
typedef struct qd_children {
    uint32_t parents, children; /* documents above and of the table */
    uint32_t width;             /* bytes of a count */
    const uint8_t *base, *counts;
} qd_children;

/* Adds what qd_children_open needs. above: the segment that n stands right below. [worker] */
QD_MUST_CHECK
int qd_children_plan(const qd_segment *above, const qd_nested *n, qd_reads *r, uint32_t *slot,
                     qd_err *err);
/* After the fetch; good as long as the reads are. [worker] QD_E_CORRUPT. */
QD_MUST_CHECK
int qd_children_open(qd_children *c, const qd_segment *above, const qd_nested *n, const qd_reads *r,
                     uint32_t slot, qd_err *err);
/* Number of the first document that belongs to one not below `parent`, which may be all there are:
 * those of parent are [first(parent), first(parent + 1)). [any] O(64) */
uint32_t qd_children_first(const qd_children *c, uint32_t parent);
/* The same of n + 1 documents from `parent` on, parent + n <= parents. [any] O(64 + n) */
void qd_children_firsts(const qd_children *c, uint32_t parent, uint32_t n, uint32_t *out);
/* The document above a nested one. [any] O(log(parents / 64) + 64) */
uint32_t qd_children_parent(const qd_children *c, uint32_t child);

#endif
