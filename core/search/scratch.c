/* scratch.c: kept memory of searches. */
#include "search/scratch_int.h"
#include <stdatomic.h>

#define KEPT 16 /* scratches in the cache */
#define BLOCK_MIN ((size_t)256 << 10)
#define BLOCK_MAX ((size_t)32 << 20) /* what a cached one may keep */
#define SLACK 256u

static _Atomic(qdi_scratch *) g_kept[KEPT];
static qd_account g_account = {.name = "search_scratch", .parent = &qd_account_root, .asked = true};

static void scratch_free(qdi_scratch *s)
{
    if (!s) return;
    qd_arena_fini(&s->arena);
    qd_free(s->block);
    qd_free(s->acc);
    qd_free(s->bytes);
    qd_free(s);
}

static qdi_scratch *scratch_make(void)
{
    qdi_scratch *s = qd_calloc(&g_account, sizeof *s);
    if (!s) return NULL;
    s->account = &g_account;
    qd_arena_init(&s->arena, &g_account, 0);
    size_t acc = (QDI_WINDOW + 64) * sizeof *s->acc, bytes = QDI_BYTES_WINDOW + SLACK;
    s->acc = qd_alloc_aligned(&g_account, 64, acc);
    s->bytes = qd_alloc_aligned(&g_account, 64, bytes);
    s->block = qd_alloc_aligned(&g_account, 64, BLOCK_MIN);
    if (!s->acc || !s->bytes || !s->block) {
        scratch_free(s);
        return NULL;
    }
    memset(s->acc, 0, acc);
    memset(s->bytes, 0, bytes);
    s->at = s->block;
    s->end = s->block + BLOCK_MIN;
    return s;
}

qdi_scratch *qdi_scratch_take(void)
{
    for (int i = 0; i < KEPT; i++) {
        if (!atomic_load_explicit(&g_kept[i], memory_order_relaxed)) continue;
        qdi_scratch *s = atomic_exchange_explicit(&g_kept[i], NULL, memory_order_acquire);
        if (s) return s;
    }
    return scratch_make();
}

static void drop_extra(qdi_scratch *s, const qdi_scratch_extra *until)
{
    while (s->extra != until) {
        qdi_scratch_extra *e = s->extra;
        s->extra = e->next;
        qd_free(e);
    }
}

void qdi_scratch_give(qdi_scratch *s)
{
    if (!s) return;
    drop_extra(s, NULL);
    qd_arena_reset(&s->arena);
    size_t have = (size_t)(s->end - s->block);
    if (s->most > have && have < BLOCK_MAX) { /* grow to what was needed, for the next query */
        size_t want = s->most < BLOCK_MAX ? s->most + s->most / 4 : BLOCK_MAX;
        if (want > BLOCK_MAX) want = BLOCK_MAX;
        char *b = qd_alloc_aligned(s->account, 64, want);
        if (b) {
            qd_free(s->block);
            s->block = b;
            s->end = b + want;
        }
    }
    s->at = s->block;
    s->used = s->most = 0;
    for (int i = 0; i < KEPT; i++) {
        qdi_scratch *none = NULL;
        if (atomic_compare_exchange_strong_explicit(&g_kept[i], &none, s, memory_order_release,
                                                    memory_order_relaxed))
            return;
    }
    scratch_free(s);
}

void *qdi_scratch_alloc(qdi_scratch *s, size_t n)
{
    if (n > (size_t)1 << 40) return NULL;
    n = (n + SLACK + 63) & ~(size_t)63;
    s->used += n;
    if (s->used > s->most) s->most = s->used;
    if ((size_t)(s->end - s->at) >= n) {
        void *p = s->at;
        s->at += n;
        return p;
    }
    qdi_scratch_extra *e = qd_alloc_aligned(s->account, 64, n + 64);
    if (!e) return NULL;
    e->next = s->extra;
    s->extra = e;
    return (char *)e + 64;
}

void *qdi_scratch_calloc(qdi_scratch *s, size_t n)
{
    void *p = qdi_scratch_alloc(s, n);
    if (p) memset(p, 0, n + SLACK);
    return p;
}

qdi_scratch_mark qdi_scratch_get_mark(qdi_scratch *s)
{
    return (qdi_scratch_mark){.at = s->at, .used = s->used, .extra = s->extra};
}

void qdi_scratch_release(qdi_scratch *s, qdi_scratch_mark m)
{
    drop_extra(s, m.extra);
    s->at = m.at;
    s->used = m.used;
}
