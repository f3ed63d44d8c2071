/*
 * bisect_int.h: an order of documents in which those of common terms stand near each other, by
 * recursive graph bisection (Dhulipala et al., Compressing Graphs and Indexes with Recursive Graph
 * Bisection, KDD 2016), halves exchanged by selection instead of sorting (Mackenzie, Petri, Moffat,
 * Tradeoff Options for Bipartite Graph Partitioning, TKDE 2023).
 *
 * Pure and in integers: the same order from the same documents on every machine. One thread.
 */
#ifndef QD_SEGMENT_MERGE_BISECT_INT_H
#define QD_SEGMENT_MERGE_BISECT_INT_H

#include "base/err.h"
#include "base/mem.h"

/* Documents with the numbers of their terms; each term at most once in a document. */
typedef struct qdi_forward {
    uint32_t docs, terms;
    uint32_t *start; /* of each document's terms in `term` */
    uint32_t *count; /* how many; made smaller by the bisection */
    uint32_t *term;  /* moved about within each document's */
} qdi_forward;

typedef struct qdi_bisect_options {
    /* Asked each million steps or so with the part that is done, 0 to 1; nonzero ends it with that
     * code. NULL: never. */
    int (*poll)(void *arg, double done);
    void *arg;
} qdi_bisect_options;

/* Bytes of memory that the bisection takes for a document and for a term, beside `term`. */
#define QDI_BISECT_DOC_BYTES 21u
#define QDI_BISECT_TERM_BYTES 16u

/* order[i] becomes the document that comes i-th. f is used up. QD_E_NOMEM, or what poll gave. */
QD_MUST_CHECK
int qdi_bisect(qdi_forward *f, uint32_t *order, const qdi_bisect_options *options,
               qd_account *account, qd_err *err);

#endif
