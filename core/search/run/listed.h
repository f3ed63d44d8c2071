/*
 * listed.h: the hits of required clauses as a list: the documents of the rarest term, where that is
 * not frequent (it has no bitmap), narrowed by the other terms, bitmaps and ranges over columns of
 * one value a document. Batches in order of documents, without windows.
 */
#ifndef QD_SEARCH_LISTED_H
#define QD_SEARCH_LISTED_H

#include "search/run/kernel_int.h"

#define QDI_LISTED_MAX 16u /* clauses */

typedef struct qdi_listed {
    qdi_k k;
    qdi_cur *lead;
    qdi_cur *terms[QDI_LISTED_MAX];
    const uint64_t *bits[QDI_LISTED_MAX];
    struct qdi_range *ranges[QDI_LISTED_MAX];
    uint32_t nterms, nbits, nranges;
    uint32_t blk; /* next one of lead */
    uint32_t *d;  /* the batch; room for cap documents and a block */
    uint32_t cap;
} qdi_listed;

/* Are the hits of l such a list? Then x is ready but for its room. */
bool qdi_listed_shape(qdi_listed *x, qdi_run *r, qdi_lnode *l);
/* Room for batches of at most cap documents of the rarest term, rounded up to blocks, in the
 * scratch; 0 or QD_E_NOMEM. */
QD_MUST_CHECK
int qdi_listed_room(qdi_listed *x, uint32_t cap);
/* The hits among the next `want` (1 to cap) documents of the rarest term, or some more, into
 * x->d[0..*n), all live: 1, 0 behind the last one, or an error. */
QD_MUST_CHECK
int qdi_listed_next(qdi_listed *x, uint32_t want, uint32_t *n, qd_err *err);

/* Keeps the documents of d[0..*n), ascending, that a range has (its lookups is set). 0 or an
 * error. */
QD_MUST_CHECK
int qdi_listed_in_range(struct qdi_range *g, uint32_t *d, uint32_t *n, qd_err *err);

#endif
