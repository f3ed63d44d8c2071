/*
 * kernel_int.h: kernels for the common ranked shapes over one segment, after the laboratory's
 * measurements (docs/search.md). A kernel answers 1 when it did the work, 0 when the shape is not
 * its own, or an error.
 */
#ifndef QD_SEARCH_KERNEL_INT_H
#define QD_SEARCH_KERNEL_INT_H

#include "search/leaf_int.h"
#include "search/topk.h"

/* The best documents of the leaf into q, which may hold others already. */
int qdi_kernel_top(qdi_run *r, qd_topk *q, qd_strategy strategy, const char **name, qd_err *err);
/* Counts; with a limit (not 0) it may stop there. */
int qdi_kernel_count(qdi_run *r, uint64_t limit, uint64_t *n, qd_err *err);

#endif
