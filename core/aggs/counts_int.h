/*
 * counts_int.h: counters of small numbers (ordinals, intervals), several for each number where they
 * are few: one counter that most documents go to would make each wait for the one before it.
 */
#ifndef QD_AGGS_COUNTS_INT_H
#define QD_AGGS_COUNTS_INT_H

#include "aggs/aggs_int.h"
#include "aggs/kernels/kern_int.h"

#define QDI_COUNT_LANES 4u
#define QDI_COUNT_LANES_MAX                                                                        \
    8192u /* numbers with that many counters each: they stay in the caches */

typedef struct qdi_counts {
    uint32_t *at;
    uint32_t cap, n, stride; /* stride: from lane to lane; 0: one lane */
} qdi_counts;

/* Counters for numbers below n, all 0. QD_E_NOMEM, QD_E_BREAKER. */
static inline int qdi_counts_reset(qdi_counts *c, qd_account *account, uint32_t n, qd_err *err)
{
    c->n = n;
    c->stride = n <= QDI_COUNT_LANES_MAX ? n : 0;
    uint32_t all = c->stride ? n * QDI_COUNT_LANES : n;
    int rc = qdi_aggs_grow(account, &c->at, &c->cap, all, sizeof *c->at, err);
    if (!rc) memset(c->at, 0, all * sizeof *c->at);
    return rc;
}

/* Counts n numbers below c->n. */
static inline void qdi_counts_add(qdi_counts *c, const uint32_t *numbers, uint32_t n)
{
    uint32_t *a = c->at, *b = a + c->stride, *d = b + c->stride, *e = d + c->stride;
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        a[numbers[i]]++;
        b[numbers[i + 1]]++;
        d[numbers[i + 2]]++;
        e[numbers[i + 3]]++;
    }
    for (; i < n; i++) a[numbers[i]]++;
}

/* Adds the lanes up: c->at[i] is the count of i. */
static inline void qdi_counts_sum(qdi_counts *c)
{
    const qdi_kernels *k = qdi_aggs_kernels_get();
    for (uint32_t lanes = c->stride ? QDI_COUNT_LANES : 1; lanes > 1; lanes /= 2)
        k->add_up(c->at, c->n * (lanes / 2), c->n * (lanes / 2));
}

#endif
