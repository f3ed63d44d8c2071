/* heap.h: the memory that a plugin's pure parts are given, for fuzzers: the sanitizer's malloc. */
#ifndef QD_FUZZ_HEAP_H
#define QD_FUZZ_HEAP_H

#include <quidditch/abi.h>
#include <stdlib.h>

static inline void *heap_alloc(qd_self *self, size_t n)
{
    (void)self;
    return malloc(n);
}

static inline void *heap_realloc(qd_self *self, void *p, size_t n)
{
    (void)self;
    return realloc(p, n);
}

static const qd_svc_mem mem = {.alloc = heap_alloc, .realloc = heap_realloc, .free = free};

#endif
