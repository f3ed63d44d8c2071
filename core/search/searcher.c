/* searcher.c: a point in time over segments. */
#include "search/ordinals.h"
#include "search/searcher_int.h"
#include "segment/live.h"
#include "segment/segment.h"
#include <stdatomic.h>

#define SEARCHER_MAGIC 0x51534348u /* QSCH */
#define DOCS_MAX 0x7fffff00u

#define TABLES_MAX 64u /* fields and similarities of one index; more make their own */

/* Immutable once published. */
typedef struct ninv {
    struct ninv *next;
    float k1, b;
    uint64_t docs, sum_ttf;
    _Alignas(64) float at[256 + 16];
} ninv;

struct qd_searcher {
    uint32_t magic;
    _Atomic uint32_t refs;
    _Atomic(ninv *) tables;
    _Atomic uint32_t ntables;
    _Atomic(struct qdi_ordinals_entry *) ordinals;
    _Atomic(struct qdi_nested_entry *) nested;
    qd_account *account;
    uint64_t id;
    void (*gone)(void *owner);
    void *owner;
    uint32_t n, docs, live_docs;
    qd_leaf leaves[];
};

int qd_searcher_make(struct qd_segment *const *segments, struct qd_live *const *live, uint32_t n,
                     qd_account *account, qd_searcher **out, qd_err *err)
{
    qd_searcher *s = qd_calloc(account, sizeof *s + (size_t)n * sizeof s->leaves[0]);
    if (!s) return qd_err_nomem(err, "searcher");
    static _Atomic uint64_t made;
    s->id = atomic_fetch_add(&made, 1) + 1;
    uint64_t docs = 0, live_docs = 0;
    for (uint32_t i = 0; i < n; i++) {
        qd_leaf *l = &s->leaves[i];
        l->segment = segments[i];
        l->live = live ? live[i] : NULL;
        l->index = i;
        l->base = (uint32_t)docs;
        l->docs = qd_segment_docs(segments[i]);
        l->live_docs = l->live ? qd_live_count(l->live) : l->docs;
        docs += l->docs;
        live_docs += l->live_docs;
        if (docs > DOCS_MAX) {
            qd_free(s);
            return qd_err_set(err, QD_E_LIMIT, "a shard may hold at most %u documents", DOCS_MAX);
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        qd_segment_ref(s->leaves[i].segment);
        qd_live_ref(s->leaves[i].live);
    }
    s->magic = SEARCHER_MAGIC;
    s->account = account;
    atomic_init(&s->refs, 1);
    s->n = n;
    s->docs = (uint32_t)docs;
    s->live_docs = (uint32_t)live_docs;
    *out = s;
    return 0;
}

void qd_searcher_fielddata_by(qd_searcher *s, qd_account *account)
{
    for (uint32_t i = 0; i < s->n; i++) s->leaves[i].fielddata = account;
}

void qd_searcher_stand_for(qd_searcher *s, const qd_searcher *base, void (*gone)(void *owner),
                           void *owner)
{
    s->id = base->id;
    s->gone = gone;
    s->owner = owner;
}

void *qd_searcher_owner(const qd_searcher *s)
{
    return s->owner;
}

qd_searcher *qd_searcher_ref(qd_searcher *s)
{
    QD_CHECK(s, SEARCHER_MAGIC);
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void qd_searcher_unref(qd_searcher *s)
{
    if (!s) return;
    QD_CHECK(s, SEARCHER_MAGIC);
    if (atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1) return;
    qdi_nested_free(atomic_load(&s->nested));
    for (uint32_t i = 0; i < s->n; i++) {
        qd_segment_unref(s->leaves[i].segment);
        qd_live_unref(s->leaves[i].live);
    }
    for (ninv *t = atomic_load(&s->tables), *next; t; t = next) {
        next = t->next;
        qd_free(t);
    }
    qdi_ordinals_free(atomic_load(&s->ordinals));
    s->magic = 0;
    if (s->gone) s->gone(s->owner);
    qd_free(s);
}

struct qdi_ordinals_entry *qdi_searcher_ordinals(const qd_searcher *s, qd_account **account)
{
    *account = s->account;
    return atomic_load_explicit(&s->ordinals, memory_order_acquire);
}

bool qd_searcher_spare(const qd_searcher *s)
{
    return atomic_load_explicit(&s->refs, memory_order_acquire) == 1 &&
           qdi_ordinals_any(atomic_load_explicit(&s->ordinals, memory_order_acquire));
}

bool qdi_searcher_ordinals_put(qd_searcher *s, struct qdi_ordinals_entry *first,
                               struct qdi_ordinals_entry *e)
{
    return atomic_compare_exchange_strong_explicit(&s->ordinals, &first, e, memory_order_release,
                                                   memory_order_relaxed);
}

struct qdi_nested_entry *qdi_searcher_nested(const qd_searcher *s, qd_account **account)
{
    *account = s->account;
    return atomic_load_explicit(&s->nested, memory_order_acquire);
}

bool qdi_searcher_nested_put(qd_searcher *s, struct qdi_nested_entry *first,
                             struct qdi_nested_entry *e)
{
    return atomic_compare_exchange_strong_explicit(&s->nested, &first, e, memory_order_release,
                                                   memory_order_relaxed);
}

const float *qdi_searcher_ninv(qd_searcher *s, const qd_similarity *sim, uint64_t docs,
                               uint64_t sum_ttf,
                               void (*fill)(const qd_similarity *sim, uint64_t docs,
                                            uint64_t sum_ttf, float *out))
{
    for (ninv *t = atomic_load_explicit(&s->tables, memory_order_acquire); t; t = t->next)
        if (t->docs == docs && t->sum_ttf == sum_ttf && t->k1 == sim->k1 && t->b == sim->b)
            return t->at;
    if (atomic_fetch_add_explicit(&s->ntables, 1, memory_order_relaxed) >= TABLES_MAX) {
        atomic_store_explicit(&s->ntables, TABLES_MAX, memory_order_relaxed);
        return NULL;
    }
    ninv *t = qd_alloc_aligned(s->account, 64, sizeof *t);
    if (!t) return NULL;
    *t = (ninv){.k1 = sim->k1, .b = sim->b, .docs = docs, .sum_ttf = sum_ttf};
    fill(sim, docs, sum_ttf, t->at);
    t->next = atomic_load_explicit(&s->tables, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&s->tables, &t->next, t, memory_order_release,
                                                  memory_order_relaxed)) {}
    return t->at;
}

uint32_t qd_searcher_leaves(const qd_searcher *s)
{
    return s->n;
}

const qd_leaf *qd_searcher_leaf(const qd_searcher *s, uint32_t i)
{
    qd_assert(i < s->n);
    return &s->leaves[i];
}

const qd_leaf *qd_searcher_leaf_of(const qd_searcher *s, uint32_t doc)
{
    qd_assert(doc < s->docs);
    uint32_t lo = 0, hi = s->n;
    while (hi - lo > 1) {
        uint32_t m = (lo + hi) / 2;
        if (s->leaves[m].base <= doc) /* empty leaves share their base with the next one */
            lo = m;
        else
            hi = m;
    }
    return &s->leaves[lo];
}

uint64_t qd_searcher_id(const qd_searcher *s)
{
    return s->id;
}

uint32_t qd_searcher_docs(const qd_searcher *s)
{
    return s->docs;
}
uint32_t qd_searcher_live_docs(const qd_searcher *s)
{
    return s->live_docs;
}

bool qd_searcher_is_live(const qd_searcher *s, uint32_t doc)
{
    const qd_leaf *l = qd_searcher_leaf_of(s, doc);
    return qd_live_has(l->live, doc - l->base);
}

void qd_searcher_field_stats(const qd_searcher *s, qd_str field, qd_collection_stats *out)
{
    *out = (qd_collection_stats){0};
    for (uint32_t i = 0; i < s->n; i++) {
        const qd_segment *seg = s->leaves[i].segment;
        uint32_t f = qd_segment_field_find(seg, field);
        if (f == QD_FIELD_NONE) continue;
        const qd_index_stats *st = qd_segment_index_stats(seg, f);
        out->doc_count += st->docs;
        out->sum_doc_freq += st->sum_df;
        out->sum_total_term_freq += st->sum_ttf;
    }
}
