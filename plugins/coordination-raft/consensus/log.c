/* log.c: see log.h. */
#include "log.h"

cr_log_entry *cr_log_entry_make(const cr_heap *h, uint64_t index, uint64_t term, uint32_t type,
                                const uint8_t *bytes, uint32_t n)
{
    cr_log_entry *e = cr_must(h, sizeof *e + n);
    e->heap = h;
    atomic_init(&e->refs, 1);
    e->type = type;
    e->n = n;
    e->index = index;
    e->term = term;
    if (n) memcpy(e->bytes, bytes, n);
    return e;
}

cr_log_entry *cr_log_entry_ref(cr_log_entry *e)
{
    atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
    return e;
}

void cr_log_entry_drop(cr_log_entry *e)
{
    if (e && atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) == 1) cr_free(e->heap, e);
}

void cr_log_free(cr_log *l)
{
    cr_log_cut(l, l->base);
    cr_free(l->heap, l->ring);
    l->ring = NULL;
    l->cap = 0;
}

uint64_t cr_log_term(const cr_log *l, uint64_t index)
{
    if (index == l->base) return l->base_term;
    const cr_log_entry *e = cr_log_at(l, index);
    return e ? e->term : 0;
}

static void grow(cr_log *l)
{
    uint64_t cap = l->cap ? l->cap * 2 : 64;
    cr_log_entry **ring = cr_must(l->heap, cap * sizeof(cr_log_entry *));
    for (uint64_t i = l->base + 1; i <= l->base + l->n; i++)
        ring[i & (cap - 1)] = l->ring[i & (l->cap - 1)];
    cr_free(l->heap, l->ring);
    l->ring = ring;
    l->cap = cap;
}

void cr_log_push(cr_log *l, cr_log_entry *e)
{
    qd_invariant(e->index == cr_log_last(l) + 1);
    qd_invariant(e->term >= cr_log_term(l, cr_log_last(l))); /* terms do not fall along a log */
    if (l->n == l->cap) grow(l);
    l->ring[e->index & (l->cap - 1)] = e;
    l->n++;
}

void cr_log_cut(cr_log *l, uint64_t index)
{
    qd_invariant(index >= l->base);
    while (cr_log_last(l) > index && l->n) {
        cr_log_entry_drop(cr_log_at(l, cr_log_last(l)));
        l->n--;
    }
}

void cr_log_drop(cr_log *l, uint64_t index)
{
    qd_invariant(index >= l->base && index <= cr_log_last(l));
    uint64_t term = cr_log_term(l, index);
    while (l->base < index) {
        cr_log_entry_drop(cr_log_at(l, l->base + 1));
        l->base++;
        l->n--;
    }
    l->base_term = term;
}

void cr_log_reset(cr_log *l, uint64_t index, uint64_t term)
{
    cr_log_cut(l, l->base);
    l->base = index;
    l->base_term = term;
}

uint64_t cr_log_before(const cr_log *l, uint64_t from, uint64_t term)
{
    uint64_t i = from < cr_log_last(l) ? from : cr_log_last(l);
    while (i > l->base && cr_log_term(l, i) > term) i--;
    return i == l->base && i && l->base_term > term ? i - 1 : i;
}
