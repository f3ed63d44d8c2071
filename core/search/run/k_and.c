/*
 * k_and.c: all of several terms, and required with optional terms.
 *
 * Two or more sparse terms are intersected by documents first and scored where they meet. One
 * sparse term leads: it is scored whole, bounded by the dense terms' range classes, and looked up
 * in them, in document order with a rising threshold or in bands of falling bounds. Dense terms
 * alone go by ranges when k is small, else by windows of bytes.
 */
#include "search/run/kernel_int.h"
#include <math.h>

#define PASS_CHUNK 512u

/* --- all dense ----------------------------------------------------------------------------------
 */

/* Windows of 32 Ki documents: frequencies of the first term as bytes; what the second meets is
 * scored from the tables. */
static int and_table2(qdi_k *k)
{
    qdi_cur *a = k->c[0], *b = k->c[1];
    uint32_t hit[QD_BLOCK + 1];
    int rc = 0;
    k->name = "and: bytes";
    for (uint32_t w = 0; w < k->r->ndocs && !rc; w += QDI_BYTES_WINDOW) {
        uint32_t any = 0, end = w + QDI_BYTES_WINDOW;
        QDI_EACH_BELOW(k->k, a, end, p, m, {
            qdi_cur_freqs(a);
            const uint32_t *f = a->freq + (p - a->docs);
            any |= m;
            for (uint32_t j = 0; j < m; j++)
                k->bytes[p[j] - w] = (uint8_t)(f[j] < 255 ? f[j] : 255);
        })
        QDI_EACH_BELOW(k->k, b, end, p, m, {
            const uint32_t *f = b->freq + (p - b->docs);
            uint32_t n = 0;
            qdi_cur_freqs(b);
            for (uint32_t j = 0; j < m; j++) {
                hit[n] = j;
                n += k->bytes[p[j] - w] != 0;
            }
            for (uint32_t i = 0; i < n; i++) {
                uint32_t d = p[hit[i]], x = k->bytes[d - w], y = f[hit[i]];
                uint8_t na = a->norms[d & a->norm_mask], nb = b->norms[d & b->norm_mask];
                if (QD_UNLIKELY(x == 255)) { /* this or more: ask */
                    uint32_t blk = qd_postings_seek(a->p, 0, d), docs[192];
                    uint32_t at = k->k->rank(docs, qd_postings_docs(a->p, blk, docs), d);
                    x = qd_postings_freq(a->p, blk * QD_BLOCK + at);
                }
                float sa = x <= 8 ? a->table[x * 256 + na] : qdi_score(a->w, (float)x, a->ninv[na]);
                float sb = y <= 8 ? b->table[y * 256 + nb] : qdi_score(b->w, (float)y, b->ninv[nb]);
                qdi_k_push(k, (double)sa + (double)sb, d);
            }
        })
        if (any) memset(k->bytes, 0, QDI_BYTES_WINDOW);
        rc = qdi_run_tick(k->r);
    }
    return rc;
}

/* Windows of accumulators, a byte a document that counts the terms met so far. */
static int and_windows(qdi_k *k)
{
    int rc = 0;
    k->name = "and: windows";
    for (uint32_t w = 0; w < k->r->ndocs && !rc; w += QDI_WINDOW) {
        uint32_t any = 0, end = w + QDI_WINDOW;
        for (uint32_t i = 0; i < k->nt; i++) {
            qdi_cur *c = k->c[i];
            QDI_EACH_BELOW(k->k, c, end, p, m, {
                if (c->freq_blk != c->blk) qdi_k_score_block(k, c);
                const float *s = c->score + (p - c->docs);
                any |= m;
                for (uint32_t j = 0; j < m; j++) {
                    uint32_t x = p[j] - w;
                    if (k->bytes[x] != i) continue;
                    k->bytes[x]++;
                    k->acc[x] += (double)s[j];
                }
            })
        }
        for (uint32_t x = 0; any && x < QDI_WINDOW; x++)
            if (k->bytes[x] == k->nt) qdi_k_push(k, k->acc[x], w + x);
        if (any) {
            memset(k->acc, 0, QDI_WINDOW * sizeof *k->acc);
            memset(k->bytes, 0, QDI_WINDOW);
        }
        rc = qdi_run_tick(k->r);
    }
    return rc;
}

/* One range of documents that all dense terms may share. */
static void range_and(qdi_k *k, uint32_t nd, uint32_t r)
{
    const uint32_t lo = r << QD_RANGE_LOG, hi = lo + (1u << QD_RANGE_LOG);
    for (uint32_t i = 0; i < nd; i++) {
        qdi_cur *c = k->c[i];
        qd_postings *p = c->p;
        if (c->blk == QD_NO_DOC || p->last[c->blk] < lo) {
            uint32_t b = qd_postings_seek(p, c->blk == QD_NO_DOC ? 0 : c->blk, lo);
            if (b >= p->nblk) break;
            qdi_cur_load(c, b);
        }
        uint32_t j = k->k->rank(c->docs, c->n, lo), met = 0;
        for (;;) {
            uint32_t e = k->k->rank(c->docs, c->n, hi);
            if (j < e) {
                qdi_cur_freqs(c);
                for (uint32_t x = c->n; x & 15; x++) c->docs[x] = c->docs[c->n - 1];
                k->k->score(c->freq, c->docs, c->norm_mask, c->norms, c->ninv, c->w, c->score, j,
                            e);
            }
            for (; j < e; j++) {
                uint32_t x = c->docs[j] - lo;
                if (k->bytes[x] != i) continue;
                k->bytes[x]++;
                k->acc[x] += (double)c->score[j];
                if (i == nd - 1) qdi_k_push(k, k->acc[x], c->docs[j]);
                met++;
            }
            if (e < c->n || c->blk + 1 >= p->nblk || p->last[c->blk] >= hi - 1) break;
            qdi_cur_load(c, c->blk + 1);
            j = 0;
        }
        if (!met) break;
    }
    memset(k->acc, 0, (1u << QD_RANGE_LOG) * sizeof *k->acc);
    memset(k->bytes, 0, 1u << QD_RANGE_LOG);
}

static int and_everything(qdi_k *k)
{
    for (uint32_t i = 0; i < k->nt; i++) {
        if (qdi_k_table(k, k->c[i])) return QD_E_NOMEM;
        qdi_k_rewind(k->c[i]);
    }
    return k->nt == 2 ? and_table2(k) : and_windows(k);
}

static int and_dense(qdi_k *k, qd_strategy strategy)
{
    bool forced =
        strategy == QD_STRATEGY_KERNEL_RANGES || strategy == QD_STRATEGY_KERNEL_CANDIDATES;
    uint32_t ranges = (k->r->ndocs + 127) >> QD_RANGE_LOG;
    double sum = 0;
    uint64_t all = 0;
    if (strategy == QD_STRATEGY_KERNEL_EXHAUSTIVE ||
        (!forced && k->nt == 2 && (uint64_t)k->q->k * 100 > ranges))
        return and_everything(k);
    for (uint32_t i = 0; i < k->nt; i++) {
        qdi_cur_bounds(k->c[i]);
        sum += (double)k->c[i]->max;
        all += k->c[i]->p->df;
    }
    if (!(sum > 0)) return and_everything(k);
    if (qdi_k_bounds(k, k->c, k->nt, (float)(sum * 1.000001), true)) return QD_E_NOMEM;
    k->give_up =
        k->nt == 2 && !forced ? (size_t)((double)all * 0.75 / (QDI_COST_RANGE * 2)) : SIZE_MAX;
    k->name = "and: ranges";
    int rc = qdi_k_bands(k, k->nt, range_and);
    if (rc < 0) return rc;
    if (rc == QD_DONE) return 0;
    qdi_k_restart(k);
    return and_everything(k);
}

/* --- a sparse term leads -------------------------------------------------------------------------
 */

/* All documents of a term, 32 times QD_NO_DOC behind; NULL when out of memory. */
static uint32_t *all_docs(qdi_k *k, qdi_cur *c, uint32_t *n)
{
    uint32_t *d = qdi_scratch_alloc(k->r->scratch, (c->p->nblk * QD_BLOCK + 256) * sizeof *d);
    if (!d) return NULL;
    *n = 0;
    for (uint32_t b = 0; b < c->p->nblk; b++) *n += qd_postings_docs(c->p, b, d + *n);
    for (uint32_t i = 0; i < 32; i++) d[*n + i] = QD_NO_DOC;
    return d;
}

/* The two rarest are sparse: intersect, then score what is left. */
static int and_sparse(qdi_k *k)
{
    qdi_cur *a = k->c[0], *b = k->c[1];
    uint32_t n, m = 0;
    k->name = "and: sparse lists";
    uint32_t *d = all_docs(k, a, &n);
    if (!d) return QD_E_NOMEM;
    double *s = qdi_scratch_alloc(k->r->scratch, (n + 64) * sizeof *s);
    if (!s) return QD_E_NOMEM;
    if (b->p->df < 64 * (uint64_t)a->p->df && !a->p->damaged) {
        uint32_t nb, *e = all_docs(k, b, &nb);
        uint32_t *ia = qdi_scratch_alloc(k->r->scratch, (n + 64) * sizeof *ia);
        uint32_t *ib = qdi_scratch_alloc(k->r->scratch, (n + 64) * sizeof *ib);
        if (!e || !ia || !ib) return QD_E_NOMEM;
        if (b->p->damaged) return 0; /* places would be wrong; the run ends in an error */
        m = k->k->isect(d, n, e, nb, ia, ib);
        for (uint32_t j = 0; j < m; j++) {
            uint32_t v = d[ia[j]];
            s[j] = (double)qdi_cur_score(a, ia[j], v) + (double)qdi_cur_score(b, ib[j], v);
            d[j] = v;
        }
    } else {
        for (uint32_t j = 0; j < n; j++) s[j] = (double)qdi_cur_score(a, j, d[j]);
        m = qdi_k_keep_in(k, b, d, n, s);
    }
    for (uint32_t i = 2; i < k->nt && m; i++) m = qdi_k_keep_in(k, k->c[i], d, m, s);
    qdi_k_count_all(k, d, m);
    for (uint32_t j = 0; j < m; j++) qdi_k_push(k, s[j], d[j]);
    return 0;
}

/* Looks a chunk of led documents up in the other terms: required (keep) or optional (add). */
typedef struct lead {
    qdi_list *l;
    float *bound; /* by place in l; 0: not wanted */
    uint32_t *sel, *d;
    double *s;
    float max;
    uint32_t from_req, to_req, from_opt, to_opt; /* cursors of k->c */
} lead;

static void lead_chunk(qdi_k *k, lead *x, uint32_t n)
{
    for (uint32_t i = x->from_req; i < x->to_req && n; i++)
        n = qdi_k_keep_in(k, k->c[i], x->d, n, x->s);
    for (uint32_t i = x->from_opt; i < x->to_opt && n; i++) qdi_k_add_in(k, k->c[i], x->d, n, x->s);
    for (uint32_t j = 0; j < n; j++) qdi_k_push(k, x->s[j], x->d[j]);
}

/* In document order, the threshold rising by chunks. */
static int lead_pass(qdi_k *k, lead *x)
{
    const qdi_list *l = x->l;
    for (uint32_t j = 0; j < l->n;) {
        uint32_t n = 0;
        float thr = k->q->threshold;
        for (; j < l->n && n < PASS_CHUNK; j++) {
            x->d[n] = l->d[j];
            x->s[n] = l->s[j];
            n += x->bound[j] >= thr && x->bound[j] > 0;
        }
        lead_chunk(k, x, n);
        int rc = qdi_run_tick(k->r);
        if (rc) return rc;
    }
    return 0;
}

/* In bands of falling bounds. */
static int lead_bands(qdi_k *k, lead *x)
{
    const qdi_list *l = x->l;
    float hi = INFINITY, step = 0.08f;
    for (int round = 0; x->max > 0; round++) {
        float thr = k->q->threshold;
        float lo = round >= 2 && k->q->n >= k->q->k ? thr
                   : isinf(hi)                      ? x->max * (1 - step)
                                                    : hi - x->max * step * (float)(1 << round);
        if (lo < thr) lo = thr;
        if (lo < 0) lo = 0;
        uint32_t n = 0;
        size_t m = k->k->at_least(x->bound, l->n, lo > 0 ? lo : __FLT_MIN__, x->sel);
        for (size_t j = 0; j < m; j++) {
            uint32_t at = x->sel[j];
            x->d[n] = l->d[at];
            x->s[n] = l->s[at];
            n += x->bound[at] < hi;
        }
        lead_chunk(k, x, n);
        qd_topk_shrink(k->q);
        if (lo <= k->q->threshold || lo <= 0) break;
        hi = lo;
        int rc = qdi_run_tick(k->r);
        if (rc) return rc;
    }
    return 0;
}

static int lead_run(qdi_k *k, lead *x)
{
    uint32_t room = x->l->n + 64;
    bool pass = x->l->n < 64 * (uint64_t)k->q->k;
    uint32_t chunk = pass && room > PASS_CHUNK + 64 ? PASS_CHUNK + 64 : room;
    x->d = qdi_scratch_alloc(k->r->scratch, chunk * sizeof *x->d);
    x->s = qdi_scratch_alloc(k->r->scratch, chunk * sizeof *x->s);
    x->sel = pass ? x->d : qdi_scratch_alloc(k->r->scratch, room * sizeof *x->sel);
    if (!x->d || !x->s || !x->sel) return QD_E_NOMEM;
    return pass ? lead_pass(k, x) : lead_bands(k, x);
}

static int and_lead(qdi_k *k)
{
    qdi_list l;
    if (!qdi_k_dense(k->c[1])) return and_sparse(k);
    k->name = "and: rarest leads";
    if (qdi_k_list_load(k, &l, k->c[0])) return QD_E_NOMEM;
    if (l.n <= PASS_CHUNK) {
        for (uint32_t i = 1; i < k->nt && l.n; i++) l.n = qdi_k_keep_in(k, k->c[i], l.d, l.n, l.s);
        for (uint32_t j = 0; j < l.n; j++) qdi_k_push(k, l.s[j], l.d[j]);
        return 0;
    }
    lead x = {.l = &l, .from_req = 1, .to_req = k->nt};
    x.bound = qdi_scratch_alloc(k->r->scratch, (l.n + 64) * sizeof *x.bound);
    if (!x.bound) return QD_E_NOMEM;
    for (uint32_t i = 1; i < k->nt; i++) qdi_cur_bounds(k->c[i]);
    for (uint32_t j = 0; j < l.n; j++) {
        float b = (float)l.s[j];
        uint32_t r = l.d[j] >> QD_RANGE_LOG, ok = 1;
        for (uint32_t i = 1; i < k->nt; i++) {
            uint32_t cls = k->c[i]->p->range_cls[r] & 63;
            b += k->c[i]->bound[cls];
            ok &= cls != 0;
        }
        /* A lead of score 0 (a filter) still has documents. */
        b = b > 0 ? b * 1.00001f : __FLT_MIN__;
        x.bound[j] = ok ? b : 0;
        x.max = x.bound[j] > x.max ? x.bound[j] : x.max;
    }
    return lead_run(k, &x);
}

int qdi_k_and(qdi_k *k, qd_strategy strategy)
{
    qdi_k_by_df(k->c, k->nt);
    if (strategy == QD_STRATEGY_AUTO) {
        int rc = qdi_k_one(k);
        if (rc != QD_DECLINED) return rc < 0 ? rc : 0;
        qdi_k_by_df(k->c, k->nt);
    }
    if (qdi_k_dense(k->c[0])) return and_dense(k, strategy);
    if (strategy == QD_STRATEGY_KERNEL_EXHAUSTIVE) return and_everything(k);
    return and_lead(k);
}

/* --- required and optional
 * ------------------------------------------------------------------------ */

/* c[0..nreq) are required, the others optional: the required documents are the candidates, bounded
 * by what the optional terms may add in their range. */
int qdi_k_mix(qdi_k *k, uint32_t nreq)
{
    qdi_list l;
    k->name = "required and optional";
    qdi_k_by_df(k->c, nreq);
    if (qdi_k_list_load(k, &l, k->c[0])) return QD_E_NOMEM;
    for (uint32_t i = 1; i < nreq; i++) l.n = qdi_k_keep_in(k, k->c[i], l.d, l.n, l.s);
    qdi_k_count_all(k, l.d, l.n);
    for (uint32_t i = 0; i < 32; i++) l.d[l.n + i] = QD_NO_DOC;
    lead x = {.l = &l, .from_opt = nreq, .to_opt = k->nt};
    x.bound = qdi_scratch_alloc(k->r->scratch, (l.n + 64) * sizeof *x.bound);
    if (!x.bound) return QD_E_NOMEM;
    for (uint32_t i = nreq; i < k->nt; i++) qdi_cur_bounds(k->c[i]);
    for (uint32_t j = 0; j < l.n; j++) {
        float b = (float)l.s[j];
        uint32_t r = l.d[j] >> QD_RANGE_LOG;
        for (uint32_t i = nreq; i < k->nt; i++) {
            const qdi_cur *c = k->c[i];
            b += qdi_k_dense(c) ? c->bound[c->p->range_cls[r] & 63] : c->max;
        }
        x.bound[j] = b > 0 ? b * 1.00001f : __FLT_MIN__;
        x.max = x.bound[j] > x.max ? x.bound[j] : x.max;
    }
    return lead_run(k, &x);
}
