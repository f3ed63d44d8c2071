/*
 * arena.h: memory with one common end. Named by lifetime (node, index, shard, reader, request,
 * task, scratch) and passed explicitly; there is no current arena. One thread at a time.
 *
 * Cleanups run in reverse order at reset and fini, so that files and references held on behalf of
 * the lifetime go with it. A mark remembers a point to which scratch use is rolled back.
 */
#ifndef QD_BASE_ARENA_H
#define QD_BASE_ARENA_H

#include "base/mem.h"
#include <quidditch/types.h>

typedef struct qd_arena {
    uint32_t magic;
    qd_account *account;
    struct qd_arena_chunk *chunk;     /* newest first */
    struct qd_arena_cleanup *cleanup; /* newest first */
    char *at, *end;
    size_t total, max; /* bytes in chunks; max 0 = no limit */
    uint32_t least;    /* of the first chunk; 0: as much as most requests need */
} qd_arena;

typedef struct qd_arena_mark {
    struct qd_arena_chunk *chunk;
    char *at;
} qd_arena_mark;

/* Prepares an empty arena; nothing is allocated yet. max bounds its bytes (0 = none). */
void qd_arena_init(qd_arena *a, qd_account *account, size_t max);
/* The same for what lives long and is small mostly (metadata): chunks begin at 256 bytes and
 * double. */
void qd_arena_init_small(qd_arena *a, qd_account *account, size_t max);
/* Runs the cleanups and frees everything. */
void qd_arena_fini(qd_arena *a);
/* Runs the cleanups, keeps one chunk for reuse. */
void qd_arena_reset(qd_arena *a);
/* n bytes, 16-byte aligned, living until reset; NULL when out of memory or over max. */
QD_MUST_CHECK
void *qd_arena_alloc(qd_arena *a, size_t n);
/* The same, zeroed. */
QD_MUST_CHECK
void *qd_arena_calloc(qd_arena *a, size_t n);
/* n bytes at any alignment, for text. */
QD_MUST_CHECK
char *qd_arena_bytes(qd_arena *a, size_t n);
/* Copies s with a NUL behind it; {NULL,0} when out of memory and s.n > 0. */
qd_str qd_arena_str(qd_arena *a, qd_str s);
/* printf into the arena, NUL-terminated; {NULL,0} when out of memory. */
qd_str qd_arena_printf(qd_arena *a, const char *fmt, ...) QD_PRINTF(2, 3);
/* Calls fn(arg) at reset or fini; QD_E_NOMEM runs fn at once. */
QD_MUST_CHECK
int qd_arena_on_reset(qd_arena *a, void (*fn)(void *arg), void *arg);
/* Remembers the present end. No cleanup may be added between mark and release. */
qd_arena_mark qd_arena_mark_get(qd_arena *a);
/* Frees all that was allocated since the mark. */
void qd_arena_mark_release(qd_arena *a, qd_arena_mark m);

#endif
