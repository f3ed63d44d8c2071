/* pool_int.h: the best so many rows of a walk, nearest first, and which of them were expanded. */
#ifndef QD_MAPPING_POOL_INT_H
#define QD_MAPPING_POOL_INT_H

#include "mapping/ann/graph.h"
#include <string.h>

#define POOL_DONE 0x80000000u /* flag of a row: expanded. Graphs have fewer rows than that */

typedef struct pool {
    qd_near *at;
    uint32_t n, cap, next; /* next: no row before it is left to expand */
} pool;

static inline void pool_push(pool *p, float near, uint32_t row)
{
    uint32_t lo = 0, hi = p->n;
    if (p->n == p->cap && !(near > p->at[p->n - 1].near)) return;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (p->at[mid].near >= near)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (p->n == p->cap) p->n--;
    memmove(p->at + lo + 1, p->at + lo, (p->n - lo) * sizeof *p->at);
    p->at[lo] = (qd_near){near, row};
    p->n++;
    if (lo < p->next) p->next = lo;
}

/* The nearest row that was not expanded, which it is now; false: there is none. */
static inline bool pool_take(pool *p, uint32_t *row)
{
    while (p->next < p->n && p->at[p->next].row & POOL_DONE) p->next++;
    if (p->next == p->n) return false;
    *row = p->at[p->next].row;
    p->at[p->next++].row |= POOL_DONE;
    return true;
}

#endif
