/* arena.c: chunked bump allocation. See arena.h. */
#include "base/arena.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ARENA_MAGIC 0x51414e41u
#define CHUNK_MIN 4096u
#define CHUNK_LEAST 256u
#define CHUNK_MAX (1u << 20)

struct qd_arena_chunk {
    struct qd_arena_chunk *next;
    size_t size;
};
struct qd_arena_cleanup {
    struct qd_arena_cleanup *next;
    void (*fn)(void *);
    void *arg;
};

void qd_arena_init(qd_arena *a, qd_account *account, size_t max)
{
    *a = (qd_arena){.magic = ARENA_MAGIC, .account = account, .max = max};
}

void qd_arena_init_small(qd_arena *a, qd_account *account, size_t max)
{
    qd_arena_init(a, account, max);
    a->least = CHUNK_LEAST;
}

static void run_cleanups(qd_arena *a)
{
    while (a->cleanup) {
        struct qd_arena_cleanup *c = a->cleanup;
        a->cleanup = c->next;
        c->fn(c->arg);
    }
}

static void free_until(qd_arena *a, struct qd_arena_chunk *keep)
{
    while (a->chunk != keep) {
        struct qd_arena_chunk *c = a->chunk;
        a->chunk = c->next;
        a->total -= c->size;
        qd_free(c);
    }
}

void qd_arena_fini(qd_arena *a)
{
    QD_CHECK(a, ARENA_MAGIC);
    run_cleanups(a);
    free_until(a, NULL);
    a->at = a->end = NULL;
}

void qd_arena_reset(qd_arena *a)
{
    QD_CHECK(a, ARENA_MAGIC);
    run_cleanups(a);
    if (!a->chunk) return;
    struct qd_arena_chunk *first = a->chunk;
    while (first->next) first = first->next;
    if (first->size > CHUNK_MAX) { /* one large allocation is not kept for all that come after */
        free_until(a, NULL);
        a->at = a->end = NULL;
        return;
    }
    free_until(a, first);
    a->at = (char *)(first + 1);
    a->end = (char *)first + first->size;
#ifdef QD_DEBUG
    memset(a->at, 0xdd, (size_t)(a->end - a->at));
#endif
}

static bool grow(qd_arena *a, size_t n)
{
    size_t size = a->least ? a->least : CHUNK_MIN;
    while (size < CHUNK_MAX && size < a->total) size *= 2;
    if (n > CHUNK_MAX * (size_t)1024 * 1024) return false;
    if (size < n + sizeof(struct qd_arena_chunk) + 16) {
        size = n + sizeof(struct qd_arena_chunk) + 16;
    }
    if (a->max && a->total + size > a->max) {
        size = n + sizeof(struct qd_arena_chunk) + 16;
        if (a->total + size > a->max) return false;
    }
    struct qd_arena_chunk *c = qd_alloc(a->account, size);
    if (!c) return false;
    c->next = a->chunk;
    c->size = size;
    a->chunk = c;
    a->total += size;
    a->at = (char *)(c + 1);
    a->end = (char *)c + size;
    return true;
}

static void *take(qd_arena *a, size_t n, size_t align)
{
    QD_CHECK(a, ARENA_MAGIC);
    for (;;) {
        uintptr_t p = ((uintptr_t)a->at + (align - 1)) & ~(uintptr_t)(align - 1);
        if (a->at && n <= (uintptr_t)a->end - p && p <= (uintptr_t)a->end) {
            char *r = a->at + (p - (uintptr_t)a->at);
            a->at = r + n;
            return r;
        }
        if (!grow(a, n)) return NULL;
    }
}

void *qd_arena_alloc(qd_arena *a, size_t n)
{
    return take(a, n, 16);
}
char *qd_arena_bytes(qd_arena *a, size_t n)
{
    return take(a, n, 1);
}

void *qd_arena_calloc(qd_arena *a, size_t n)
{
    void *p = take(a, n, 16);
    return p ? memset(p, 0, n) : NULL;
}

qd_str qd_arena_str(qd_arena *a, qd_str s)
{
    char *p = take(a, s.n + 1, 1);
    if (!p) return (qd_str){NULL, 0};
    if (s.n) memcpy(p, s.p, s.n);
    p[s.n] = 0;
    return (qd_str){p, s.n};
}

qd_str qd_arena_printf(qd_arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *p = n < 0 ? NULL : take(a, (size_t)n + 1, 1);
    if (!p) return (qd_str){NULL, 0};
    va_start(ap, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return (qd_str){p, (size_t)n};
}

int qd_arena_on_reset(qd_arena *a, void (*fn)(void *), void *arg)
{
    struct qd_arena_cleanup *c = take(a, sizeof *c, 16);
    if (!c) {
        fn(arg);
        return QD_E_NOMEM;
    }
    *c = (struct qd_arena_cleanup){a->cleanup, fn, arg};
    a->cleanup = c;
    return 0;
}

qd_arena_mark qd_arena_mark_get(qd_arena *a)
{
    return (qd_arena_mark){a->chunk, a->at};
}

void qd_arena_mark_release(qd_arena *a, qd_arena_mark m)
{
    if (!m.chunk) { /* the arena was empty: keep its first chunk */
        if (a->chunk) {
            struct qd_arena_chunk *first = a->chunk;
            while (first->next) first = first->next;
            free_until(a, first);
            a->at = (char *)(first + 1);
            a->end = (char *)first + first->size;
        }
        return;
    }
    free_until(a, m.chunk);
    a->at = m.at;
    a->end = (char *)m.chunk + m.chunk->size;
}
