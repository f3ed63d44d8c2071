/*
 * scratch_int.h: memory of a running search: a bump allocator over one kept block, and arrays that
 * are all zero between uses. Scratches are kept in a small process-wide cache, so that a query
 * touches no fresh page; taking and giving back is one atomic exchange, without a lock.
 */
#ifndef QD_SEARCH_SCRATCH_INT_H
#define QD_SEARCH_SCRATCH_INT_H

#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"
#include <string.h>

#define QDI_WINDOW 4096u /* documents of a window of accumulators */
#define QDI_WINDOW_WORDS (QDI_WINDOW / 64)
#define QDI_BYTES_WINDOW 32768u /* documents of a window of bytes (counts) */

typedef struct qdi_scratch_extra {
    struct qdi_scratch_extra *next;
} qdi_scratch_extra;

typedef struct qdi_scratch {
    char *block, *at, *end;
    size_t used, most; /* bytes handed out since the reset; greatest such number */
    qdi_scratch_extra *extra;
    qd_account *account;
    double *acc;    /* QDI_WINDOW + slack, zero between uses */
    qd_arena arena; /* small things of a leaf; reset between leaves */
    uint8_t *bytes; /* QDI_BYTES_WINDOW + slack, zero between uses */
} qdi_scratch;

typedef struct qdi_scratch_mark {
    char *at;
    size_t used;
    qdi_scratch_extra *extra;
} qdi_scratch_mark;

/* One from the cache or a new one; NULL when out of memory. */
qdi_scratch *qdi_scratch_take(void);
/* Back to the cache, emptied; NULL is fine. The zero arrays are zero. */
void qdi_scratch_give(qdi_scratch *s);
/* n bytes, 64-byte aligned, with 256 writable bytes behind; NULL when out of memory. */
void *qdi_scratch_alloc(qdi_scratch *s, size_t n);
/* The same, zeroed (the slack as well). */
void *qdi_scratch_calloc(qdi_scratch *s, size_t n);
/* Remembers the end and goes back to it. */
qdi_scratch_mark qdi_scratch_get_mark(qdi_scratch *s);
void qdi_scratch_release(qdi_scratch *s, qdi_scratch_mark m);

#endif
