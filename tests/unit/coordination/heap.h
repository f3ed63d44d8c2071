/* heap.h: memory for the pure parts of coordination-raft: malloc, counted. */
#ifndef QD_TESTS_COORDINATION_HEAP_H
#define QD_TESTS_COORDINATION_HEAP_H

#include <coordination-common/bytes.h>
#include <stdlib.h>

static long unit_blocks;

static inline void *unit_alloc(qd_self *self, size_t n)
{
    (void)self;
    unit_blocks++;
    return malloc(n);
}

static inline void *unit_realloc(qd_self *self, void *p, size_t n)
{
    (void)self;
    unit_blocks += p == NULL;
    return realloc(p, n);
}

static inline void unit_free(void *p)
{
    unit_blocks -= p != NULL;
    free(p);
}

/* The one heap. */
static inline const cr_heap *unit_heap(void)
{
    static const qd_svc_mem mem = {.alloc = unit_alloc, .realloc = unit_realloc, .free = unit_free};
    static const cr_heap heap = {&mem, NULL};
    return &heap;
}

/* Everything was given back. */
static inline void unit_heap_check(void)
{
    if (unit_blocks) {
        fprintf(stderr, "%ld blocks are left\n", unit_blocks);
        abort();
    }
}

#endif
