/* reader.c: snapshots and their lock-free publication. See reader.h. */
#include "engine/reader.h"
#include "segment/merge.h"

#define POINTER_BITS 48
#define POINTER_MASK (((uint64_t)1 << POINTER_BITS) - 1)
#define ONE_TAKER ((uint64_t)1 << POINTER_BITS)
/* What a published reader's place counts: more than takers can give back of their marks before the
 * publisher, between its own two steps, has moved these into the count. */
#define PLACE_SHARE ((int64_t)1 << 32)

qd_reader *qd_reader_make(const qd_reader_leaf *leaves, uint32_t n, uint64_t version,
                          int64_t max_seq_no, qd_account *account)
{
    qd_reader *r = qd_alloc(account, sizeof *r + n * sizeof *leaves);
    if (!r) return NULL;
    *r = (qd_reader){.version = version, .max_seq_no = max_seq_no, .n = n};
    atomic_store(&r->refs, 1);
    for (uint32_t i = 0; i < n; i++) {
        qd_reader_leaf *l = &r->leaf[i];
        *l = leaves[i];
        qd_segment_ref(l->segment);
        qd_live_ref(l->live);
        l->base = r->docs;
        uint32_t docs = qd_segment_docs(l->segment);
        l->docs_live = l->live ? qd_live_count(l->live) : docs;
        qd_assert(l->docs_live <= docs && (!l->live || qd_live_docs(l->live) == docs));
        r->docs += docs;
        r->docs_live += l->docs_live;
    }
    return r;
}

qd_reader *qd_reader_ref(qd_reader *r)
{
    int64_t refs = atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    qd_assert(refs > 0);
    return r;
}

/* Adds delta to the count; the one that brings it to 0 frees. */
static void settle(qd_reader *r, int64_t delta)
{
    int64_t left = atomic_fetch_add_explicit(&r->refs, delta, memory_order_acq_rel) + delta;
    qd_assert(left >= 0);
    if (left != 0) return;
    for (uint32_t i = 0; i < r->n; i++) {
        qd_segment_unref(r->leaf[i].segment);
        qd_live_unref(r->leaf[i].live);
    }
    qd_free(r);
}

void qd_reader_unref(qd_reader *r)
{
    if (r) settle(r, -1);
}

const qd_reader_leaf *qd_reader_leaf_of(const qd_reader *r, uint32_t doc)
{
    uint32_t lo = 0, hi = r->n;
    while (hi - lo > 1) {
        uint32_t mid = (lo + hi) / 2;
        if (r->leaf[mid].base <= doc) {
            lo = mid;
        } else {
            hi = mid;
        }
    }
    qd_assert(lo < r->n && r->leaf[lo].base <= doc);
    return &r->leaf[lo];
}

static qd_reader *pointer_of(uint64_t word)
{
    return (qd_reader *)(uintptr_t)(word & POINTER_MASK);
}

qd_reader *qd_reader_slot_take(qd_reader_slot *s)
{
    uint64_t word =
        atomic_fetch_add_explicit(&s->word, ONE_TAKER, memory_order_acquire) + ONE_TAKER;
    qd_reader *r = pointer_of(word);
    int64_t refs = r ? atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed) : 1;
    qd_assert(refs > 0);
    /* give the taker's mark back; if the pointer changed, the publisher has moved it into refs */
    while (pointer_of(word) == r) {
        if (atomic_compare_exchange_weak_explicit(&s->word, &word, word - ONE_TAKER,
                                                  memory_order_release, memory_order_relaxed)) {
            return r;
        }
    }
    if (r) settle(r, -1);
    return r;
}

void qd_reader_slot_publish(qd_reader_slot *s, qd_reader *r)
{
    if (r) atomic_fetch_add_explicit(&r->refs, PLACE_SHARE - 1, memory_order_relaxed);
    uint64_t old = atomic_exchange_explicit(&s->word, (uint64_t)(uintptr_t)r, memory_order_acq_rel);
    qd_reader *was = pointer_of(old);
    if (was) settle(was, (int64_t)(old >> POINTER_BITS) - PLACE_SHARE);
}

bool qd_reader_sorted(const qd_segment *s)
{
    qd_str user = qd_segment_attributes(s)->user;
    return user.n == QD_ENGINE_MARK_BYTES && user.p[16] == (char)QD_MERGE_SORT;
}
