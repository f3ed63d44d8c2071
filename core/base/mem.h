/*
 * mem.h: the only door to the heap. Every block belongs to an account; accounts form a tree whose
 * counters feed the circuit breakers, _nodes/stats and the n-th-allocation fault test.
 *
 * A block carries a 16-byte header (account, size), so freeing needs neither. All functions are
 * thread-safe [any]. Limits are checked before the allocation; a refused one returns NULL.
 */
#ifndef QD_BASE_MEM_H
#define QD_BASE_MEM_H

#include "base/assert.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One counter of bytes; parent is charged too, up to the root. Usually static or embedded. */
typedef struct qd_account {
    const char *name;
    struct qd_account *parent;
    _Atomic int64_t used;  /* bytes */
    _Atomic int64_t peak;  /* bytes */
    _Atomic int64_t limit; /* bytes; 0 = none */
    _Atomic int64_t trips; /* refusals because of limit */
    bool asked; /* its users can be told to come again: the root's limit holds for them alone */
} qd_account;

/* The root of all accounts; its limit is the node's memory limit. It refuses what is charged to
 * accounts that are `asked` (requests), never what keeps the node going. */
extern qd_account qd_account_root;
/* What belongs to no narrower account: start-up, configuration, registries. */
extern qd_account qd_account_general;

/* Prepares an account below parent (NULL: the root); limit in bytes, 0 = none. */
void qd_account_init(qd_account *a, const char *name, qd_account *parent, int64_t limit);
/* Charges bytes without allocating (mmap, libraries); QD_E_BREAKER when a limit refuses. */
QD_MUST_CHECK
int qd_account_charge(qd_account *a, int64_t bytes);
/* Gives back what qd_account_charge took. */
void qd_account_release(qd_account *a, int64_t bytes);
/* Was the last allocation that failed on this thread refused by a limit? Forgets it; name gets the
 * account's (cut), want the bytes that it would have come to, limit its limit. */
bool qd_account_refusal(char name[32], int64_t *want, int64_t *limit);
/* Was it a's own limit that refused the last allocation that failed on this thread? Nothing is
 * forgotten. */
bool qd_account_refused(const qd_account *a);
/* Bytes in use. */
int64_t qd_account_used(const qd_account *a);

/* Allocates n bytes, 16-byte aligned, charged to a (NULL: general). NULL when out of memory or over
 * a limit. Give back with qd_free. */
QD_MUST_CHECK
void *qd_alloc(qd_account *a, size_t n);
/* The same, zeroed. */
QD_MUST_CHECK
void *qd_calloc(qd_account *a, size_t n);
/* Resizes p (NULL: allocates from a); the block stays with its first account. On NULL p lives on.
 */
QD_MUST_CHECK
void *qd_realloc(qd_account *a, void *p, size_t n);
/* Allocates n bytes aligned to align (a power of two, 16 to 4096), for SIMD and O_DIRECT buffers.
 */
QD_MUST_CHECK
void *qd_alloc_aligned(qd_account *a, size_t align, size_t n);
/* Frees a block of any of the functions above; NULL is fine. */
void qd_free(void *p);
/* Usable bytes of a block, as asked for. */
size_t qd_alloc_size(const void *p);
/* Copies n bytes with a NUL behind them. */
QD_MUST_CHECK
char *qd_memdup(qd_account *a, const void *p, size_t n);

/*
 * Fault test: after this call the n-th allocation (from 1) fails, and with sticky every later one
 * too; 0 switches it off. Returns how many allocations were seen since the last call.
 */
uint64_t qd_mem_fail_at(uint64_t n, bool sticky);

#endif
