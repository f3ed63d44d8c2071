/* k_common.c: what the kernels share: offers, tables, lists of sparse terms, look-ups, range bounds
 * and bands. */
#include "search/run/kernel_int.h"
#include <float.h>
#include <math.h>

void qdi_k_offer(qdi_k *k, const uint32_t *docs, const float *s, uint32_t n)
{
    uint32_t idx[QD_BLOCK + 64];
    size_t m = k->k->at_least(s, n, k->q->threshold, idx);
    for (size_t i = 0; i < m; i++)
        if (s[idx[i]] >= k->q->threshold && qdi_k_live(k, docs[idx[i]]))
            qd_topk_push(k->q, s[idx[i]], k->base + docs[idx[i]]);
}

/* A double below which no sum rounds to a float of at least t. */
static double least_sum(float t)
{
    return t > 0 ? (double)t * (1 - 1e-7) : DBL_MIN;
}

void qdi_k_offer_acc(qdi_k *k, uint32_t from, uint32_t n)
{
    uint32_t idx[QDI_WINDOW + 64];
    size_t m = k->k->at_least_d(k->acc, n, least_sum(k->q->threshold), idx);
    for (size_t i = 0; i < m; i++) qdi_k_push(k, k->acc[idx[i]], from + idx[i]);
    memset(k->acc, 0, n * sizeof *k->acc);
}

void qdi_k_count_all(qdi_k *k, const uint32_t *d, uint32_t n)
{
    if (!k->want) return;
    k->count = n;
    if (k->r->live) {
        k->count = 0;
        for (uint32_t i = 0; i < n; i++) k->count += qdi_k_live(k, d[i]);
    }
    k->counted = true;
}

void qdi_k_restart(qdi_k *k)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < k->q->n; i++) {
        uint32_t d = qd_topk_doc(k->q->at[i]);
        k->q->at[n] = k->q->at[i];
        n += d < k->base || d - k->base >= k->r->ndocs;
    }
    k->q->n = n;
}

int qdi_k_table(qdi_k *k, qdi_cur *c)
{
    if (c->table) return 0;
    float *t = qdi_scratch_alloc(k->r->scratch, 9 * 256 * sizeof *t);
    if (!t) return QD_E_NOMEM;
    k->k->table(c->w, c->ninv, t);
    c->table = t;
    return 0;
}

void qdi_k_score_block(qdi_k *k, qdi_cur *c)
{
    qdi_cur_freqs(c);
    if (!c->table) {
        /* The kernel works by 16: what stands behind the last posting must be a document. */
        for (uint32_t i = c->n; i & 15; i++) c->docs[i] = c->docs[c->n - 1];
        k->k->score(c->freq, c->docs, c->norm_mask, c->norms, c->ninv, c->w, c->score, 0, c->n);
        return;
    }
    const float *t = c->table;
    const uint8_t *norms = c->norms;
    uint32_t mask = c->norm_mask;
    for (uint32_t i = 0; i < c->n; i++) {
        uint32_t f = c->freq[i];
        uint8_t nm = norms[c->docs[i] & mask];
        c->score[i] = QD_LIKELY(f <= 8) ? t[f * 256 + nm] : qdi_score(c->w, (float)f, c->ninv[nm]);
    }
}

/* Scores of n postings by the table; small: all frequencies are in it. */
static void list_scores(const qdi_cur *c, bool small, const uint32_t *d, uint32_t n, double *s)
{
    const float *t = c->table;
    const uint8_t *norms = c->norms;
    const uint32_t *f = c->freq, mask = c->norm_mask;
    if (small) {
        for (uint32_t i = 0; i < n; i++) s[i] = (double)t[f[i] * 256 + norms[d[i] & mask]];
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint8_t nm = norms[d[i] & mask];
        s[i] = (double)(QD_LIKELY(f[i] <= 8) ? t[f[i] * 256 + nm]
                                             : qdi_score(c->w, (float)f[i], c->ninv[nm]));
    }
}

int qdi_k_list_load(qdi_k *k, qdi_list *l, qdi_cur *c)
{
    qd_postings *p = c->p;
    uint32_t room = p->nblk * QD_BLOCK + 192;
    l->d = qdi_scratch_alloc(k->r->scratch, room * sizeof *l->d);
    l->s = qdi_scratch_alloc(k->r->scratch, room * sizeof *l->s);
    if (!l->d || !l->s) return QD_E_NOMEM;
    if (p->df > 512 && qdi_k_table(k, c)) return QD_E_NOMEM;
    l->n = l->pos = 0;
    qdi_k_rewind(c);
    for (uint32_t b = 0; b < p->nblk; b++) {
        uint32_t *d = l->d + l->n, n = qd_postings_docs(p, b, d);
        double *s = l->s + l->n;
        qd_postings_freqs(p, b, c->freq);
        if (c->table) {
            list_scores(c, p->freq_bits[b] <= 3, d, n, s);
        } else {
            for (uint32_t i = n; i & 15; i++) d[i] = d[n - 1];
            k->k->score(c->freq, d, c->norm_mask, c->norms, c->ninv, c->w, c->score, 0, n);
            for (uint32_t i = 0; i < n; i++) s[i] = (double)c->score[i];
        }
        l->n += n;
    }
    l->max = (float)k->k->max_d(l->s, l->n);
    for (uint32_t i = 0; i < 32; i++) l->d[l->n + i] = QD_NO_DOC;
    return 0;
}

/* Documents from[..] that block b of c may hold: those up to its last one, at most 128. */
static uint32_t same_block(const qdi_cur *c, uint32_t b, const uint32_t *d, uint32_t i, uint32_t n)
{
    uint32_t last = c->p->last[b], e = i + 1;
    while (e < n && d[e] <= last && e - i < QD_BLOCK) e++;
    return e;
}

uint32_t qdi_k_keep_in(qdi_k *k, qdi_cur *c, uint32_t *d, uint32_t n, double *s)
{
    qd_postings *p = c->p;
    uint32_t m = 0, b = 0, x[QD_BLOCK + 64], y[QD_BLOCK + 64];
    if (p->bits) {
        for (uint32_t i = 0; i < n; i++) {
            uint32_t v = d[i];
            if (s) s[m] = s[i];
            d[m] = v;
            m += qd_postings_test(p, v);
        }
        if (s && c->w > 0)
            for (uint32_t i = 0; i < m; i++)
                s[i] += (double)qdi_cur_score(c, qd_postings_rank(p, d[i]), d[i]);
        return m;
    }
    for (uint32_t i = 0; i < n;) {
        b = qd_postings_seek(p, b, d[i]);
        if (b >= p->nblk) break;
        qdi_cur_load(c, b);
        uint32_t e = same_block(c, b, d, i, n);
        if (e - i < 3) {
            for (; i < e; i++) {
                uint32_t v = d[i], at = k->k->rank(c->docs, c->n, v);
                if (at >= c->n || c->docs[at] != v) continue;
                if (s) s[m] = s[i] + (double)qdi_cur_score(c, b * QD_BLOCK + at, v);
                d[m++] = v;
            }
            continue;
        }
        for (uint32_t j = 0; j < 16; j++) c->docs[c->n + j] = QD_NO_DOC;
        uint32_t h = k->k->isect(d + i, e - i, c->docs, c->n, x, y);
        for (uint32_t j = 0; j < h; j++) {
            uint32_t v = d[i + x[j]];
            if (s) s[m] = s[i + x[j]] + (double)qdi_cur_score(c, b * QD_BLOCK + y[j], v);
            d[m++] = v;
        }
        i = e;
    }
    return m;
}

void qdi_k_add_in(qdi_k *k, qdi_cur *c, const uint32_t *d, uint32_t n, double *s)
{
    qd_postings *p = c->p;
    uint32_t b = 0, x[QD_BLOCK + 64], y[QD_BLOCK + 64];
    if (p->bits) {
        for (uint32_t i = 0; i < n; i++)
            if (qd_postings_test(p, d[i]))
                s[i] += (double)qdi_cur_score(c, qd_postings_rank(p, d[i]), d[i]);
        return;
    }
    for (uint32_t i = 0; i < n;) {
        b = qd_postings_seek(p, b, d[i]);
        if (b >= p->nblk) break;
        qdi_cur_load(c, b);
        uint32_t e = same_block(c, b, d, i, n);
        if (e - i < 3) {
            for (; i < e; i++) {
                uint32_t at = k->k->rank(c->docs, c->n, d[i]);
                if (at < c->n && c->docs[at] == d[i])
                    s[i] += (double)qdi_cur_score(c, b * QD_BLOCK + at, d[i]);
            }
            continue;
        }
        for (uint32_t j = 0; j < 16; j++) c->docs[c->n + j] = QD_NO_DOC;
        uint32_t h = k->k->isect(d + i, e - i, c->docs, c->n, x, y);
        for (uint32_t j = 0; j < h; j++)
            s[i + x[j]] += (double)qdi_cur_score(c, b * QD_BLOCK + y[j], d[i + x[j]]);
        i = e;
    }
}

int qdi_k_bounds(qdi_k *k, qdi_cur **c, uint32_t nd, float sum, bool all)
{
    qdi_scratch *s = k->r->scratch;
    k->nranges = (k->r->ndocs + (1u << QD_RANGE_LOG) - 1) >> QD_RANGE_LOG;
    k->bound = qdi_scratch_calloc(s, k->nranges * sizeof *k->bound);
    k->sel = qdi_scratch_alloc(s, k->nranges * sizeof *k->sel);
    if (!k->bound || !k->sel) return QD_E_NOMEM;
    /* Room for the rounding of every term below 2^16. */
    k->scale = (64000.0f - 4.0f * (float)k->nt) / sum;
    for (uint32_t i = 0; i < nd; i++) {
        c[i]->quant[0] = 0;
        for (uint32_t j = 1; j < QD_CLASSES; j++)
            c[i]->quant[j] = (uint16_t)(c[i]->bound[j] * k->scale + 2.0f);
        (all && i ? k->k->bound_and : k->k->bound_add)(c[i]->p->range_cls, c[i]->quant, k->bound,
                                                       k->nranges);
    }
    /* No range without an accepted document is read. */
    uint32_t first = k->r->from >> QD_RANGE_LOG, end = ((k->r->to - 1) >> QD_RANGE_LOG) + 1;
    memset(k->bound, 0, first * sizeof *k->bound);
    memset(k->bound + end, 0, (k->nranges - end) * sizeof *k->bound);
    /* Kernels run to a multiple of 64: what stands behind the last range must not be selected. */
    memset(k->bound + k->nranges, 0, 64 * sizeof *k->bound);
    return 0;
}

/* The threshold in quantized units, rounded down. */
static uint16_t thr_q(const qdi_k *k)
{
    float x = k->q->threshold * k->scale * 0.999999f;
    return x > 65000 ? 65000 : x < 1 ? 1 : (uint16_t)x;
}

int qdi_k_bands(qdi_k *k, uint32_t nd, void (*range)(qdi_k *, uint32_t nd, uint32_t range))
{
    const qd_kern *kk = k->k;
    uint16_t most = kk->bound_max(k->bound, k->nranges), hi = 65535;
    uint32_t want = k->q->k / 4 + 8;
    int round = 0;
    float step = 0.06f, t = (float)most;
    while (most) {
        uint16_t th = thr_q(k), lo;
        size_t n = 0;
        if (hi != 65535 && th >= hi) break;
        do {
            t -= step * (float)most;
            if (round >= 2 && k->q->threshold > 0) t = th;
            lo = t < (float)th ? th : (uint16_t)t;
            if (lo < 1) lo = 1;
            n = kk->bound_select(k->bound, k->nranges, lo, hi, k->sel);
            if (round == 0 && n > 8 * (size_t)want && step > 0.004f) { /* too wide a first band */
                t += step * (float)most;
                step /= 2;
                n = 0;
                lo = hi == 65535 ? most : hi;
                continue;
            }
        } while (n < want && lo > th && lo > 1);
        for (uint32_t i = 0; i < nd; i++) qdi_k_rewind(k->c[i]);
        for (uint32_t i = 0; i < k->nlists; i++) k->lists[i].pos = 0;
        for (size_t i = 0; i < n; i++) {
            if (i % 512 == 511) {
                int rc = qdi_run_tick(k->r);
                if (rc) return rc;
            }
            if (k->bound[k->sel[i]] >= thr_q(k)) range(k, nd, k->sel[i]);
        }
        qd_topk_shrink(k->q);
        if (k->give_up != SIZE_MAX && kk->bound_select(k->bound, k->nranges, thr_q(k), lo, k->sel) >
                                          k->give_up * (round == 0   ? 5
                                                        : round == 1 ? 2
                                                                     : 1))
            return QD_DECLINED;
        hi = lo;
        round++;
        if (lo <= 1) break;
        want *= 4;
    }
    return QD_DONE;
}

void qdi_k_by_df(qdi_cur **c, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        qdi_cur *x = c[i];
        uint32_t j = i;
        for (; j && c[j - 1]->p->df > x->p->df; j--) c[j] = c[j - 1];
        c[j] = x;
    }
}
