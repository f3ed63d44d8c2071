/*
 * forward.c: see the header. One walk over all dictionaries finds the terms that count and how many
 * of them each document has; one more for each group of documents fills the lists.
 */
#include "segment/merge/forward_int.h"

#define MEMORY ((uint64_t)64 << 20)
#define GROUPS_MAX 64u
#define STEP_POSTINGS 1000000u
#define CLASSES 32u /* of terms by log2 of their documents */

typedef struct forward {
    qdi_merge *m;
    uint32_t least, most; /* documents of a term that counts */
    QD_VEC(uint8_t) cls;  /* of each, in the order of the walk */
    uint32_t *number;     /* of each: frequent ones first, for the sake of caches */
    uint32_t *count;      /* terms of each place */
    uint64_t postings;
    uint64_t stepped;
    /* the group in hand */
    uint32_t from, to;
    qdi_forward lists;
    double done, share; /* of all that is to be ordered: before it, its own */
} forward;

/* --- walks ------------------------------------------------------------------------------------ */

/* Is called with each term that counts, present in sources[0..n). */
typedef int (*on_term)(forward *f, uint32_t term, qdi_source *const *sources, uint32_t n);

/* The sources that stand on the heap's first term, and documents of it in all. */
static uint32_t present(const qdi_merge *m, qdi_source **same, uint64_t *df)
{
    uint32_t n = 0;
    *df = 0;
    for (uint32_t i = 0; i < m->nheap; i++) {
        if (!qdi_source_same(m->heap[i], m->heap[0])) continue;
        *df += m->heap[i]->term.df;
        same[n++] = m->heap[i];
    }
    return n;
}

static int walk_terms(forward *f, on_term each)
{
    qdi_merge *m = f->m;
    uint32_t term = 0;
    qdi_source **same = qd_alloc(m->account, m->n * sizeof(qdi_source *));
    int rc = same ? 0 : qd_err_nomem(m->err, "order of documents");
    for (uint32_t field = 0; rc == 0 && field < m->nfields; field++) {
        if (!m->fields[field].index) continue;
        rc = qdi_merge_terms_begin(m, field);
        while (rc == 0 && m->nheap) {
            uint64_t df;
            uint32_t n = present(m, same, &df);
            if (df >= f->least && df <= f->most) rc = each(f, term++, same, n);
            for (; rc == 0 && n > 0; n--) rc = qdi_merge_terms_next(m);
        }
    }
    qd_free(same);
    return rc;
}

/* Calls fn for the place of each document that has the present term of s. */
static int each_place(forward *f, qdi_source *s, uint32_t term,
                      void (*fn)(forward *f, uint32_t term, const uint32_t *places, uint32_t n))
{
    uint32_t docs[QD_BLOCK + 64];
    int rc = qdi_source_postings(s, QD_INDEX_DOCS, f->m->err);
    for (uint32_t b = 0; rc == 0 && b < s->view.nblk && !s->view.damaged; b++) {
        uint32_t n = qd_postings_docs(&s->view, b, docs), kept = 0;
        for (uint32_t i = 0; i < n; i++) {
            docs[kept] = qdi_renumber(s, docs[i]);
            kept += docs[kept] != QDI_DOC_GONE;
        }
        fn(f, term, docs, kept);
        f->stepped += n;
        if (f->stepped < STEP_POSTINGS) continue;
        f->stepped = 0;
        if (f->m->options->step)
            rc = f->m->options->step(f->m->options->arg, f->m->written, f->m->err);
    }
    return rc ? rc : qd_postings_status(&s->view, f->m->err);
}

static void count_places(forward *f, uint32_t term, const uint32_t *places, uint32_t n)
{
    (void)term;
    f->postings += n;
    for (uint32_t i = 0; i < n; i++) f->count[places[i]]++;
}

static int count_term(forward *f, uint32_t term, qdi_source *const *sources, uint32_t n)
{
    uint64_t df = 0;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < n; i++) {
        df += sources[i]->term.df;
        rc = each_place(f, sources[i], term, count_places);
    }
    if (rc == 0 && qd_vec_push(&f->cls, f->m->account, (uint8_t)(qd_bits_of(df) - 1)))
        rc = qd_err_nomem(f->m->err, "order of documents");
    return rc;
}

static void add_places(forward *f, uint32_t term, const uint32_t *places, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (places[i] < f->from || places[i] >= f->to) continue;
        uint32_t doc = places[i] - f->from;
        f->lists.term[f->lists.start[doc] + f->lists.count[doc]++] = f->number[term];
    }
}

static int add_term(forward *f, uint32_t term, qdi_source *const *sources, uint32_t n)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < n; i++) rc = each_place(f, sources[i], term, add_places);
    return rc;
}

/* --- groups ----------------------------------------------------------------------------------- */

static int number_terms(forward *f)
{
    uint32_t at[CLASSES + 1] = {0};
    f->number = qd_alloc(f->m->account, (f->cls.n + 1) * sizeof *f->number);
    if (!f->number) return qd_err_nomem(f->m->err, "order of documents");
    for (size_t i = 0; i < f->cls.n; i++) at[CLASSES - f->cls.at[i]]++;
    for (uint32_t c = 0; c < CLASSES; c++) at[c + 1] += at[c];
    for (size_t i = 0; i < f->cls.n; i++) f->number[i] = at[CLASSES - 1 - f->cls.at[i]]++;
    return 0;
}

/* The end of the group that begins at from: what `memory` bytes hold, and one document at least. */
static uint32_t group_end(const forward *f, uint32_t from, uint64_t memory)
{
    uint64_t bytes = 0, postings = 0;
    uint32_t to = from;
    for (; to < f->m->docs; to++) {
        bytes += (uint64_t)f->count[to] * 4 + QDI_BISECT_DOC_BYTES;
        postings += f->count[to];
        if (to > from && (bytes > memory || postings > UINT32_MAX)) break;
    }
    return to;
}

static int poll(void *arg, double done)
{
    forward *f = arg;
    const qd_merge_options *o = f->m->options;
    if (o->ordering) o->ordering(o->arg, f->done + done * f->share);
    return o->step ? o->step(o->arg, f->m->written, f->m->err) : 0;
}

/* Orders the places [from, to) among themselves. */
static int order_group(forward *f, uint32_t *numbers)
{
    qdi_merge *m = f->m;
    uint32_t docs = f->to - f->from, *order = qd_alloc(m->account, (size_t)docs * sizeof *order);
    qdi_forward *l = &f->lists;
    *l = (qdi_forward){.docs = docs, .terms = (uint32_t)f->cls.n};
    l->start = qd_alloc(m->account, ((size_t)docs + 1) * sizeof *l->start);
    l->count = qd_calloc(m->account, ((size_t)docs + 1) * sizeof *l->count);
    uint32_t postings = 0;
    for (uint32_t d = 0; l->start && d < docs; d++) {
        l->start[d] = postings;
        postings += f->count[f->from + d];
    }
    l->term = qd_alloc(m->account, ((size_t)postings + 1) * sizeof *l->term);
    int rc =
        order && l->start && l->count && l->term ? 0 : qd_err_nomem(m->err, "order of documents");
    if (rc == 0) rc = walk_terms(f, add_term);
    const qdi_bisect_options o = {poll, f};
    if (rc == 0) rc = qdi_bisect(l, order, &o, m->account, m->err);
    for (uint32_t i = 0; rc == 0 && i < docs; i++) numbers[f->from + order[i]] = f->from + i;
    qd_free(order);
    qd_free(l->start);
    qd_free(l->count);
    qd_free(l->term);
    return rc;
}

static int order_groups(forward *f, uint32_t *numbers, uint64_t *wants)
{
    uint32_t docs = f->m->docs;
    uint64_t memory = f->m->options->order_memory ? f->m->options->order_memory : MEMORY;
    uint64_t terms = f->cls.n * (uint64_t)(QDI_BISECT_TERM_BYTES + 5);
    uint64_t all = f->postings * 4 + (uint64_t)docs * QDI_BISECT_DOC_BYTES;
    *wants = terms + all / GROUPS_MAX;
    if (memory < *wants) return 0;
    int rc = number_terms(f);
    for (f->from = 0; rc == 0 && f->from < docs; f->from = f->to) {
        f->to = group_end(f, f->from, memory - terms);
        f->share = (double)(f->to - f->from) / docs;
        rc = order_group(f, numbers);
        if (rc == 0) rc = poll(f, 1);
        f->done += f->share;
    }
    if (rc == 0) *wants = 0;
    return rc;
}

int qdi_merge_bisect(qdi_merge *m, uint32_t *numbers, uint64_t *wants)
{
    /* a term of few documents could bring those together at best; what many of them have tells
     * little, and its postings stand in a bitmap */
    forward f = {.m = m, .least = m->docs / 2000 > 8 ? m->docs / 2000 : 8, .most = m->docs / 8};
    *wants = 0;
    f.count = qd_calloc(m->account, (size_t)m->docs * sizeof *f.count);
    int rc = f.count ? 0 : qd_err_nomem(m->err, "order of documents");
    if (rc == 0) rc = walk_terms(&f, count_term);
    if (rc == 0) rc = order_groups(&f, numbers, wants);
    qd_free(f.count);
    qd_free(f.number);
    qd_vec_fini(&f.cls);
    return rc;
}
