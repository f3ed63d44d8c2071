/*
 * set_int.h: the bitmap of the documents of many terms, filled term by term.
 */
#ifndef QD_SEARCH_SET_INT_H
#define QD_SEARCH_SET_INT_H

#include "search/leaf/leaf_int.h"

typedef struct qdi_set_batch {
    qdi_run *r;
    qd_postings *p;
    uint32_t n;
    qd_small_terms *small;
    qd_reads *reads, *small_reads;
    uint64_t *bits;
    uint64_t docs;     /* sum of frequencies so far */
    uint32_t enough;   /* live documents that are enough, the first ones; 0: all are wanted */
    uint32_t below;    /* documents from here on are not wanted */
    uint64_t look;     /* at this sum for the place again: sets of few documents have none */
    uint32_t nflushes; /* of larger terms */
    uint32_t nsmall;   /* small terms that are flushed together, at most */
    qdi_scratch_mark mark;
} qdi_set_batch;

/* leaf_set.c: begins with what stands in bits; enough as r->hint has it, 0: all. */
QD_MUST_CHECK
int qdi_set_begin(qdi_set_batch *b, qdi_run *r, uint64_t *bits, uint32_t enough, qd_err *err);
/* Adds the documents of a term, at once or with others. */
QD_MUST_CHECK
int qdi_set_add(qdi_set_batch *b, const qd_term *t, qd_err *err);
/* All that was added is in bits. */
QD_MUST_CHECK
int qdi_set_flush(qdi_set_batch *b, qd_err *err);
/* Gives back what the batch holds. */
void qdi_set_end(qdi_set_batch *b);

/* leaf_group.c: the documents of a pattern, found in one pass with those of the field's other
 * patterns: 1 with *bits (NULL: none) and *docs, 0 where each is to walk for itself, or an error.
 */
QD_MUST_CHECK
int qdi_group_bits(qdi_run *r, const qdi_node *x, uint32_t field, uint64_t **bits, uint64_t *docs,
                   qd_err *err);

#endif
