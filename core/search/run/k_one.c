/*
 * k_one.c: one term that scores, and filters of which one is not frequent: the documents that have
 * all terms are found first, by batches of the rarest filter's blocks. A batch under which no block
 * of the scored term can score more than the worst hit kept is passed over, and few of the others'
 * documents are scored: a document's length alone bounds its score, as no frequency is above the
 * term's greatest, and with k documents kept what only equals the worst of them comes too late.
 */
#include "search/run/kernel_int.h"
#include <math.h>

#define TABLE_MIN 128u /* hits that pay for bounds by length */
#define SEEK_RATIO 64u /* documents to look up in a list this many times as long: by seeking */
#define BATCH 8u       /* blocks of the rarest filter at a time */

typedef struct one {
    qdi_k *k;
    qdi_cur *a;      /* the term that scores */
    uint32_t seen;   /* hits so far */
    uint32_t hint;   /* block of a before which the next documents do not stand */
    float most[256]; /* greatest score by norm, once there were TABLE_MIN hits */
    bool bounded;    /* it is filled */
} one;

/* The term that scores, when it is the only one; the filters go to the front, rarest first. */
static qdi_cur *only_scored(qdi_cur **c, uint32_t n)
{
    uint32_t at = n, scored = 0;
    for (uint32_t i = 0; i < n; i++)
        if (c[i]->w > 0) {
            at = i;
            scored++;
        }
    if (scored != 1) return NULL;
    qdi_cur *a = c[at];
    for (; at + 1 < n; at++) c[at] = c[at + 1];
    c[n - 1] = a;
    return a;
}

bool qdi_k_one_fits(const qdi_cur *scored, const qdi_cur *rarest)
{
    return !rarest->p->bits && rarest->p->df <= 16 * (uint64_t)scored->p->df;
}

/* The greatest frequency of a term, for all that is known without reading it. */
static float greatest_freq(const qd_postings *p)
{
    uint32_t f = 0, bits = 0;
    if (p->cls) {
        for (uint32_t i = 0; i < p->npairs; i++) f = p->pair_freq[i] > f ? p->pair_freq[i] : f;
        return f == QD_FREQ_SATURATED ? INFINITY : (float)f;
    }
    for (uint32_t b = 0; b < p->nblk; b++) bits = p->freq_bits[b] > bits ? p->freq_bits[b] : bits;
    return bits < 24 ? (float)(1u << bits) : INFINITY;
}

/* Documents of d[0..n) that a has, and the numbers of their postings in at unless that has a
 * bitmap. */
static uint32_t *keep_scored(one *x, uint32_t *d, uint32_t *n)
{
    qdi_k *k = x->k;
    qdi_cur *a = x->a;
    qd_postings *p = a->p;
    uint32_t m = 0, all = 0;
    if (p->bits) {
        *n = qdi_k_keep_in(k, a, d, *n, NULL);
        return d;
    }
    uint32_t *at = qdi_scratch_alloc(k->r->scratch, (*n + 64) * sizeof *at);
    if (!at) return NULL;
    uint32_t first = qd_postings_seek(p, x->hint, d[0]), end = p->nblk;
    if (first < p->nblk) end = qd_postings_seek(p, first, d[*n - 1]) + 1;
    if (end > p->nblk) end = p->nblk;
    x->hint = first;
    if ((uint64_t)*n * SEEK_RATIO < (uint64_t)(end - first) * QD_BLOCK) {
        for (uint32_t i = 0; i < *n; i++) {
            uint32_t j = qdi_cur_find(a, k->k, d[i]);
            d[m] = d[i];
            at[m] = j;
            m += j != QD_NO_DOC;
        }
        *n = m;
        return at;
    }
    size_t room = (size_t)(end - first) * QD_BLOCK;
    uint32_t *e = qdi_scratch_alloc(k->r->scratch, (room + 256) * sizeof *e);
    uint32_t *from = qdi_scratch_alloc(k->r->scratch, (*n + 64) * sizeof *from);
    if (!e || !from) return NULL;
    for (uint32_t b = first; b < end; b++) all += qd_postings_docs(p, b, e + all);
    for (uint32_t i = 0; i < 32; i++) e[all + i] = d[*n + i] = QD_NO_DOC;
    if (p->damaged) { /* numbers would be wrong; the run ends in an error */
        *n = 0;
        return at;
    }
    *n = *n <= all ? k->k->isect(d, *n, e, all, from, at) : k->k->isect(e, all, d, *n, at, from);
    for (uint32_t i = 0; i < *n; i++) {
        d[i] = d[from[i]];
        at[i] += first * QD_BLOCK;
    }
    return at;
}

static void fill_table(one *x, uint32_t n)
{
    const qdi_cur *a = x->a;
    x->seen += n;
    if (x->bounded || x->seen < TABLE_MIN) return;
    float freq = greatest_freq(a->p);
    for (uint32_t i = 0; i < 256; i++)
        x->most[i] = isinf(freq) ? a->w : qdi_score(a->w, freq, a->ninv[i]);
    x->bounded = true;
}

/* Scores the documents that may enter, in ascending order. */
static void score_hits(one *x, const uint32_t *d, const uint32_t *at, uint32_t n)
{
    qdi_cur *a = x->a;
    qd_topk *q = x->k->q;
    fill_table(x, n);
    for (uint32_t i = 0; i < n; i++) {
        if (x->bounded && q->n >= q->k) {
            if (q->threshold == 0) qd_topk_shrink(q);
            const float least = q->threshold;
            while (i < n && x->most[a->norms[d[i] & a->norm_mask]] <= least) i++;
            if (i == n) break;
        }
        uint32_t j = a->p->bits ? qd_postings_rank(a->p, d[i]) : at[i];
        float ninv = a->ninv[a->norms[d[i] & a->norm_mask]];
        qdi_k_push(x->k, (double)qdi_score(a->w, (float)qd_postings_freq(a->p, j), ninv), d[i]);
    }
}

/* Can a document of [from, to] enter? Asked in ascending order. */
static bool may_enter(one *x, uint32_t from, uint32_t to)
{
    qdi_cur *a = x->a;
    qd_topk *q = x->k->q;
    const qd_postings *p = a->p;
    if (x->k->want || !p->cls || q->n < q->k) return true;
    if (q->threshold == 0) qd_topk_shrink(q);
    qdi_cur_bounds(a);
    for (uint32_t b = x->hint = qd_postings_seek(p, x->hint, from); b < p->nblk; b++) {
        if (a->bound[p->cls[b] & 63] > q->threshold) return true;
        if (p->last[b] >= to) return false;
    }
    return false;
}

/* The hits in blocks b to e of the rarest filter. */
static int batch(one *x, uint32_t b, uint32_t e, uint32_t *d)
{
    qdi_k *k = x->k;
    qdi_cur *f = k->c[0];
    uint32_t n = 0;
    for (; b < e; b++) n += qd_postings_docs(f->p, b, d + n);
    for (uint32_t i = 1; i + 1 < k->nt && n; i++) n = qdi_k_keep_in(k, k->c[i], d, n, NULL);
    uint32_t *at = n ? keep_scored(x, d, &n) : d;
    if (!at) return QD_E_NOMEM;
    int rc = qdi_run_tick(k->r);
    if (rc) return rc;
    qdi_k_count_all(k, d, n);
    score_hits(x, d, at, n);
    return 0;
}

int qdi_k_one(qdi_k *k)
{
    qdi_cur *a = only_scored(k->c, k->nt), *f = k->c[0];
    if (!a || !qdi_k_one_fits(a, f)) return QD_DECLINED;
    one x = {.k = k, .a = a};
    /* what is counted is counted at once */
    uint32_t step = k->want ? f->p->nblk : BATCH;
    k->name = "and: one scored";
    uint32_t *d = qdi_scratch_alloc(k->r->scratch, (step * QD_BLOCK + 256) * sizeof *d);
    if (!d) return QD_E_NOMEM;
    qdi_scratch_mark mark = qdi_scratch_get_mark(k->r->scratch);
    for (uint32_t b = 0; b < f->p->nblk; b += step) {
        uint32_t e = f->p->nblk - b > step ? b + step : f->p->nblk;
        if (!may_enter(&x, b ? f->p->last[b - 1] + 1 : 0, f->p->last[e - 1])) continue;
        int failed = batch(&x, b, e, d);
        qdi_scratch_release(k->r->scratch, mark);
        if (failed) return failed;
    }
    return QD_DONE;
}
