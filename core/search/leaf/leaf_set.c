/*
 * leaf_set.c: the bitmap of documents that have any of many terms, listed or in a range of the
 * dictionary (terms, prefix, wildcard, ...), made with fetches of its own.
 *
 * Where the first hits are all that is wanted, terms only give documents before the place by which
 * enough live ones are known; that place falls as terms are read.
 */
#include "search/leaf/set_int.h"

#define SET_BATCH 256u /* terms whose postings are fetched together */
/* Where first hits are wanted batches begin so, that a place is known soon, and double. */
#define FIRST_BATCH 4u
#define FIRST_SMALL 64u
#define LOWER_WORDS 512u /* of the bitmap that are counted at a time */

/* After more bits: where does the last document wanted stand? Looked for at sums of frequencies
 * that double: a set of many words and few documents has no such place, and few looks. */
static void lower(qdi_set_batch *b)
{
    const uint64_t *live = b->r->live;
    const qd_kern *k = b->r->k;
    uint32_t n = 0, words = (b->below + 63) / 64, w = 0;
    if (!b->enough || b->docs < b->look) return;
    b->look = 2 * b->docs;
    for (; w < words; w += LOWER_WORDS) { /* by parts, then word by word in the one that decides */
        uint32_t part = words - w < LOWER_WORDS ? words - w : LOWER_WORDS;
        uint64_t here =
            live ? k->popcount_and(b->bits + w, live + w, part) : k->popcount(b->bits + w, part);
        if (n + here >= b->enough) break;
        n += (uint32_t)here;
    }
    for (; w < words; w++) {
        n += (uint32_t)__builtin_popcountll(live ? b->bits[w] & live[w] : b->bits[w]);
        if (n < b->enough) continue;
        if ((w + 1) * 64 < b->below) b->below = (w + 1) * 64;
        return;
    }
}

static void add_postings(qdi_set_batch *b, qd_postings *p)
{
    uint32_t docs[192], words = (b->below + 63) / 64;
    if (p->bits) {
        for (uint32_t w = 0; w < words; w++) b->bits[w] |= p->bits[w];
        return;
    }
    for (uint32_t i = 0; i < p->nblk && (i == 0 || p->last[i - 1] < b->below); i++) {
        uint32_t m = qd_postings_docs(p, i, docs);
        for (uint32_t k = 0; k < m; k++) b->bits[docs[k] >> 6] |= 1ull << (docs[k] & 63);
    }
}

/* Sets the bits of larger terms' documents. */
static int set_flush(qdi_set_batch *b, qd_err *err)
{
    int rc = qd_reads_fetch(b->reads, err);
    for (uint32_t i = 0; i < b->n && !rc; i++) {
        rc = qd_postings_open(&b->p[i], b->reads, err);
        if (rc) break;
        add_postings(b, &b->p[i]);
        rc = qd_postings_status(&b->p[i], err);
    }
    b->n = 0;
    b->nflushes++;
    qd_reads_release(b->reads);
    return rc ? rc : qdi_run_tick(b->r);
}

static int small_flush(qdi_set_batch *b, qd_err *err)
{
    int rc =
        qd_small_terms_flush(b->small, b->r->leaf->segment, b->small_reads, b->below, b->bits, err);
    return rc ? rc : qdi_run_tick(b->r);
}

static int set_add(qdi_set_batch *b, const qd_term *t, qd_err *err)
{
    b->docs += t->df;
    if (t->df == 1) {
        if (t->doc < b->below) b->bits[t->doc >> 6] |= 1ull << (t->doc & 63);
        return 0;
    }
    if (t->df <= QD_BLOCK) {
        if (b->small->n < b->nsmall && qd_small_terms_add(b->small, t)) return 0;
        int failed = small_flush(b, err);
        if (failed) return failed;
        lower(b);
        if (b->nsmall < QD_SMALL_TERMS) b->nsmall *= 2;
        qd_small_terms_add(b->small, t);
        return 0;
    }
    int rc = qd_postings_plan(b->r->leaf->segment, t, QD_INDEX_DOCS, b->reads, &b->p[b->n], err);
    uint32_t most = b->enough && b->nflushes < 6 ? FIRST_BATCH << b->nflushes : SET_BATCH;
    if (rc || ++b->n < most) return rc;
    rc = set_flush(b, err);
    if (!rc) lower(b);
    return rc;
}

/* Explicit terms: looked up in groups, in order. */
static int set_terms(qdi_set_batch *b, const qdi_node *x, uint32_t field, qd_err *err)
{
    qd_segment *seg = b->r->leaf->segment;
    qd_term_lookup *look = qd_arena_alloc(b->r->arena, SET_BATCH * sizeof *look);
    qd_reads *reads = qd_reads_make(b->r->arena, b->r->plan->account);
    if (!look || !reads) return qd_err_nomem(err, "search");
    int rc = 0;
    for (uint32_t i = 0; i < x->u.set.n && !rc;) {
        uint32_t n = 0;
        for (; i < x->u.set.n && n < SET_BATCH && !rc; i++) {
            rc = qd_term_plan(seg, field, x->u.set.terms[i], reads, &look[n], err);
            n += !rc && look[n].possible;
        }
        if (!rc) rc = qd_reads_fetch(reads, err);
        for (uint32_t k = 0; k < n && !rc; k++) {
            qd_term t;
            rc = qd_term_find(&look[k], reads, &t, err);
            if (rc == QD_E_NOTFOUND)
                rc = 0;
            else if (!rc)
                rc = set_add(b, &t, err);
        }
        qd_reads_release(reads);
        if (!rc) rc = qdi_run_tick(b->r);
    }
    return rc;
}

static int set_range(qdi_set_batch *b, const qdi_node *x, uint32_t field, qd_err *err)
{
    qdi_walk w;
    qd_str text;
    qd_term t;
    int rc = qdi_walk_open(&w, b->r->plan, b->r->leaf, field, &x->u.set.range, b->r->arena, err);
    while (!rc) {
        rc = qd_term_iter_step(w.it, &text, &t, err);
        if (rc <= 0) break;
        rc = set_add(b, &t, err);
    }
    return rc ? rc : qdi_plan_spend(b->r->plan, w.field, b->docs / 64, err);
}

int qdi_set_begin(qdi_set_batch *b, qdi_run *r, uint64_t *bits, uint32_t enough, qd_err *err)
{
    *b = (qdi_set_batch){.r = r,
                         .reads = qd_reads_make(r->arena, r->plan->account),
                         .small_reads = qd_reads_make(r->arena, r->plan->account),
                         .bits = bits,
                         .below = r->ndocs,
                         .enough = enough,
                         .look = enough};
    b->nsmall = enough ? FIRST_SMALL : QD_SMALL_TERMS;
    b->mark = qdi_scratch_get_mark(r->scratch);
    b->p = qdi_scratch_alloc(r->scratch, SET_BATCH * sizeof *b->p);
    b->small = qdi_scratch_alloc(r->scratch, sizeof *b->small);
    if (!b->reads || !b->small_reads || !b->p || !b->small) return qd_err_nomem(err, "search");
    b->small->n = b->small->nruns = 0;
    return 0;
}

int qdi_set_add(qdi_set_batch *b, const qd_term *t, qd_err *err)
{
    return set_add(b, t, err);
}

int qdi_set_flush(qdi_set_batch *b, qd_err *err)
{
    int rc = b->small->n ? small_flush(b, err) : 0;
    if (rc || !b->n) return rc;
    lower(b);
    return set_flush(b, err);
}

void qdi_set_end(qdi_set_batch *b)
{
    if (b->reads) qd_reads_release(b->reads);
    if (b->small_reads) qd_reads_release(b->small_reads);
    qdi_scratch_release(b->r->scratch, b->mark);
}

int qdi_set_bits(qdi_run *r, const qdi_node *x, uint32_t field, uint64_t *bits, uint64_t *docs,
                 qd_err *err)
{
    qdi_set_batch b;
    bool first = r->hint.alone == x && r->hint.enough < r->leaf->live_docs;
    int rc = qdi_set_begin(&b, r, bits, first ? r->hint.enough : 0, err);
    if (!rc) rc = x->u.set.terms ? set_terms(&b, x, field, err) : set_range(&b, x, field, err);
    if (!rc) rc = qdi_set_flush(&b, err);
    qdi_set_end(&b);
    *docs = b.docs;
    return rc;
}
