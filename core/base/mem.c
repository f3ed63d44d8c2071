/* mem.c: accounted allocation over the C library's allocator. See mem.h. */
#include "base/mem.h"
#include <quidditch/types.h>
#include <stdlib.h>
#include <string.h>

/* Stands in front of every block; base is what goes back to free(). */
typedef struct head {
    qd_account *account;
    uint64_t size : 48, shift : 16; /* shift: distance from the C library's block to the user's */
} head;
_Static_assert(sizeof(head) == 16, "the header keeps blocks 16-byte aligned");

#define SMALL_BYTES 65536

qd_account qd_account_root = {.name = "root"};
qd_account qd_account_general = {.name = "general", .parent = &qd_account_root};

static _Atomic uint64_t fail_at, calls_seen;
static _Atomic bool fail_sticky, fail_armed;

void qd_account_init(qd_account *a, const char *name, qd_account *parent, int64_t limit)
{
    memset(a, 0, sizeof *a);
    a->name = name;
    a->parent = parent ? parent : &qd_account_root;
    atomic_store(&a->limit, limit);
}

static void raise_peak(qd_account *a, int64_t now)
{
    int64_t peak = atomic_load_explicit(&a->peak, memory_order_relaxed);
    while (now > peak && !atomic_compare_exchange_weak(&a->peak, &peak, now)) {}
}

/* The last failure of this thread, if it was a limit's. */
static _Thread_local struct {
    char name[32];
    int64_t want, limit; /* limit 0: none */
    const qd_account *by;
} refusal;

static void note_refusal(const qd_account *by, int64_t want, int64_t limit)
{
    const char *name = by->parent ? by->name : "parent";
    size_t n = strlen(name);
    if (n >= sizeof refusal.name) n = sizeof refusal.name - 1;
    memcpy(refusal.name, name, n);
    refusal.name[n] = 0;
    refusal.want = want;
    refusal.limit = limit;
    refusal.by = by;
}

bool qd_account_refused(const qd_account *a)
{
    return refusal.limit && refusal.by == a;
}

bool qd_account_refusal(char name[32], int64_t *want, int64_t *limit)
{
    if (!refusal.limit) return false;
    memcpy(name, refusal.name, sizeof refusal.name);
    *want = refusal.want;
    *limit = refusal.limit;
    refusal.limit = 0;
    return true;
}

int qd_account_charge(qd_account *a, int64_t bytes)
{
    bool asked = false;
    for (qd_account *x = a; x; x = x->parent) {
        int64_t now = atomic_fetch_add_explicit(&x->used, bytes, memory_order_relaxed) + bytes;
        int64_t limit = atomic_load_explicit(&x->limit, memory_order_relaxed);
        asked |= x->asked;
        /* the root refuses what is large: small requests, that tell what is going on, have a
         * twentieth more */
        if (!x->parent && bytes <= SMALL_BYTES) limit += limit / 20;
        if (QD_UNLIKELY(limit > 0 && now > limit && (asked || x->parent))) {
            atomic_fetch_add(&x->trips, 1);
            note_refusal(x, now, limit);
            for (qd_account *y = a;; y = y->parent) {
                atomic_fetch_sub_explicit(&y->used, bytes, memory_order_relaxed);
                if (y == x) break;
            }
            return QD_E_BREAKER;
        }
        raise_peak(x, now);
    }
    return 0;
}

void qd_account_release(qd_account *a, int64_t bytes)
{
    for (; a; a = a->parent) atomic_fetch_sub_explicit(&a->used, bytes, memory_order_relaxed);
}

int64_t qd_account_used(const qd_account *a)
{
    return atomic_load_explicit(&((qd_account *)(uintptr_t)a)->used, memory_order_relaxed);
}

uint64_t qd_mem_fail_at(uint64_t n, bool sticky)
{
    uint64_t seen = atomic_exchange(&calls_seen, 0);
    atomic_store(&fail_at, n);
    atomic_store(&fail_sticky, sticky);
    atomic_store(&fail_armed, n > 0);
    return seen;
}

static bool must_fail(void)
{
    if (QD_LIKELY(!atomic_load_explicit(&fail_armed, memory_order_relaxed))) {
        return false;
    }
    uint64_t call = atomic_fetch_add(&calls_seen, 1) + 1, at = atomic_load(&fail_at);
    return call == at || (call > at && atomic_load(&fail_sticky));
}

static void *place(qd_account *a, size_t align, size_t n, bool zero)
{
    if (!a) a = &qd_account_general;
    if (QD_UNLIKELY(n > (size_t)1 << 47) || must_fail()) {
        refusal.limit = 0;
        return NULL;
    }
    if (qd_account_charge(a, (int64_t)n)) return NULL;
    size_t extra = align > 16 ? align : sizeof(head);
    char *raw = zero ? calloc(1, n + extra) : align > 16 ? NULL : malloc(n + extra);
    if (align > 16) {
        void *p = NULL;
        raw = posix_memalign(&p, align, n + extra) ? NULL : p;
    }
    if (QD_UNLIKELY(!raw)) {
        refusal.limit = 0;
        qd_account_release(a, (int64_t)n);
        return NULL;
    }
    head *h = (head *)(void *)(raw + extra) - 1;
    h->account = a;
    h->size = n;
    h->shift = (uint16_t)extra;
    return raw + extra;
}

void *qd_alloc(qd_account *a, size_t n)
{
    return place(a, 16, n, false);
}
void *qd_calloc(qd_account *a, size_t n)
{
    return place(a, 16, n, true);
}

void *qd_alloc_aligned(qd_account *a, size_t align, size_t n)
{
    qd_assert(align >= 16 && align <= 4096 && (align & (align - 1)) == 0);
    return place(a, align, n, false);
}

void *qd_realloc(qd_account *a, void *p, size_t n)
{
    if (!p) return qd_alloc(a, n);
    head *h = (head *)p - 1;
    if (h->shift != sizeof(head)) { /* aligned blocks move by hand */
        void *q = place(h->account, h->shift, n, false);
        if (!q) return NULL;
        memcpy(q, p, h->size < n ? h->size : n);
        qd_free(p);
        return q;
    }
    if (QD_UNLIKELY(n > (size_t)1 << 47) || must_fail()) {
        refusal.limit = 0;
        return NULL;
    }
    qd_account *acct = h->account;
    int64_t old = (int64_t)h->size, diff = (int64_t)n - old;
    if (diff > 0 && qd_account_charge(acct, diff)) return NULL;
    head *moved = realloc(h, n + sizeof(head));
    if (QD_UNLIKELY(!moved)) {
        refusal.limit = 0;
        if (diff > 0) qd_account_release(acct, diff);
        return NULL;
    }
    if (diff < 0) qd_account_release(acct, -diff);
    moved->size = n;
    return moved + 1;
}

void qd_free(void *p)
{
    if (!p) return;
    head *h = (head *)p - 1;
    qd_account_release(h->account, (int64_t)h->size);
    free((char *)p - h->shift);
}

size_t qd_alloc_size(const void *p)
{
    return ((const head *)p - 1)->size;
}

char *qd_memdup(qd_account *a, const void *p, size_t n)
{
    char *s = qd_alloc(a, n + 1);
    if (!s) return NULL;
    if (n) memcpy(s, p, n);
    s[n] = 0;
    return s;
}
