/*
 * hdr_int.h: quantiles of non-negative values: HdrHistogram ("hdr" of percentiles), with the cells
 * of its DoubleHistogram: each power of two is cut into equal cells, so many that 1 to 5
 * significant digits are kept. Counts are exact, merging is addition and independent of order.
 */
#ifndef QD_AGGS_HDR_INT_H
#define QD_AGGS_HDR_INT_H

#include "base/arena.h"
#include "base/mem.h"

typedef struct qdi_hdr_cell {
    int64_t key; /* exponent * cells in a power of two + number; INT64_MIN: the value 0 */
    uint64_t n;
} qdi_hdr_cell;

typedef struct qdi_hdr {
    uint32_t half; /* cells in a power of two; a power of two itself */
    int32_t least; /* least exponent of a value that is not 0; INT32_MAX: none */
    uint64_t total;
    qdi_hdr_cell *at; /* open addressing; once settled ascending and dense */
    uint32_t n, cap;
    bool settled;
} qdi_hdr;

/* An empty histogram of so many significant digits (0 to 5); allocates nothing yet. */
void qdi_aggs_hdr_init(qdi_hdr *h, uint32_t digits);
/* Adds a value: finite and not negative; 0 or QD_E_NOMEM. Not after settling. */
int qdi_aggs_hdr_add(qdi_hdr *h, double v, qd_account *account);
/* Adds another histogram of as many digits. */
int qdi_aggs_hdr_merge(qdi_hdr *to, const qdi_hdr *from, qd_account *account);
/* A settled copy in the arena; NULL when out of memory. */
qdi_hdr *qdi_aggs_hdr_copy(const qdi_hdr *h, qd_arena *arena);
/* Makes it settled over n cells that stand in h->at: false when they are not ascending, or hold
 * something impossible. */
bool qdi_aggs_hdr_load(qdi_hdr *h, uint32_t n);
/* The value at percentile p (0 to 100); NAN when empty. Settled. */
double qdi_aggs_hdr_value(const qdi_hdr *h, double p);
/* The percentage of values at or below v; NAN when empty. Settled. */
double qdi_aggs_hdr_percent(const qdi_hdr *h, double v);
void qdi_aggs_hdr_fini(qdi_hdr *h);

#endif
