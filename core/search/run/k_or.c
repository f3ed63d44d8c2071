/*
 * k_or.c: any of several terms.
 *
 * Sparse terms (no range classes) are decoded and scored whole and intersected pairwise, so that
 * each document's sparse sum is exact, and give a first threshold; only documents whose sum and the
 * dense terms' range bound reach it are looked up in the dense terms, best bounds first. Then come
 * ranges that dense terms alone could lift, in bands of falling bounds. Where neither pays, windows
 * of accumulators with score tables read everything.
 */
#include "search/run/kernel_int.h"
#include <math.h>

/* --- everything ------------------------------------------------------------------------------- */

#define TABLE_DF 512u /* a table of scores costs as much as scoring so many postings */

/* Adds m scored postings of the block at hand, from place `at`, to the window. */
static inline void add_postings(qdi_k *k, qdi_cur *c, uint32_t from, uint32_t at, uint32_t m)
{
    double *acc = k->acc;
    if (!c->table) {
        if (c->freq_blk != c->blk) qdi_k_score_block(k, c);
        for (uint32_t j = at; j < at + m; j++) acc[c->docs[j] - from] += (double)c->score[j];
        return;
    }
    qdi_cur_freqs(c);
    const uint32_t *p = c->docs + at, *f = c->freq + at;
    const float *t = c->table;
    const uint8_t *norms = c->norms;
    uint32_t mask = c->norm_mask;
    if (c->p->freq_bits[c->blk] <= 3) { /* all at most 8 */
        for (uint32_t j = 0; j < m; j++)
            acc[p[j] - from] += (double)t[f[j] * 256 + norms[p[j] & mask]];
        return;
    }
    for (uint32_t j = 0; j < m; j++) {
        uint8_t nm = norms[p[j] & mask];
        acc[p[j] - from] +=
            (double)(QD_LIKELY(f[j] <= 8) ? t[f[j] * 256 + nm]
                                          : qdi_score(c->w, (float)f[j], c->ninv[nm]));
    }
}

#define FEW 256u /* postings of a window that are offered one by one: no look at all of it */

/* Offers the documents of a window with few postings, some of them in it twice, and clears it. */
static void offer_few(qdi_k *k, uint32_t from, const uint32_t *docs, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        double *sum = &k->acc[docs[i] - from];
        if (*sum > 0) qdi_k_push(k, *sum, docs[i]);
        *sum = 0;
    }
}

/* On a line of the cache: its loops are short, and took 15 % longer where they came to lie badly.
 */
__attribute__((aligned(64))) int qdi_k_or_table(qdi_k *k)
{
    uint32_t few[FEW];
    k->name = "or: all postings";
    for (uint32_t i = 0; i < k->nt; i++) {
        if (k->c[i]->p->df > TABLE_DF && qdi_k_table(k, k->c[i])) return QD_E_NOMEM;
        qdi_k_rewind(k->c[i]);
    }
    for (uint32_t w = 0; w < k->r->ndocs; w += QDI_WINDOW) {
        uint32_t n = 0, end = w + QDI_WINDOW;
        for (uint32_t i = 0; i < k->nt; i++) {
            qdi_cur *c = k->c[i];
            QDI_EACH_BELOW(k->k, c, end, p, m, {
                if (n + m <= FEW) memcpy(few + n, p, m * sizeof *p);
                n += m;
                add_postings(k, c, w, (uint32_t)(p - c->docs), m);
            })
        }
        if (n > FEW)
            qdi_k_offer_acc(k, w, QDI_WINDOW);
        else
            offer_few(k, w, few, n);
        int rc = qdi_run_tick(k->r);
        if (rc) {
            memset(k->acc, 0, QDI_WINDOW * sizeof *k->acc);
            return rc;
        }
    }
    return 0;
}

/* --- ranges ------------------------------------------------------------------------------------
 */

/* Adds a dense cursor's scores in range r to the accumulators. */
static void range_add(qdi_k *k, qdi_cur *c, uint32_t r)
{
    const uint32_t lo = r << QD_RANGE_LOG, hi = lo + (1u << QD_RANGE_LOG);
    qd_postings *p = c->p;
    if (!p->range_cls[r]) return;
    if (c->blk == QD_NO_DOC || p->last[c->blk] < lo) {
        uint32_t b = qd_postings_seek(p, c->blk == QD_NO_DOC ? 0 : c->blk, lo);
        if (b >= p->nblk) return;
        qdi_cur_load(c, b);
    }
    uint32_t j = k->k->rank(c->docs, c->n, lo);
    for (;;) {
        uint32_t e = k->k->rank(c->docs, c->n, hi);
        if (j < e) {
            qdi_cur_freqs(c);
            for (uint32_t i = c->n; i & 15; i++) c->docs[i] = c->docs[c->n - 1];
            k->k->score(c->freq, c->docs, c->norm_mask, c->norms, c->ninv, c->w, c->score, j, e);
            for (; j < e; j++) k->acc[c->docs[j] - lo] += (double)c->score[j];
        }
        if (e < c->n || c->blk + 1 >= p->nblk || p->last[c->blk] >= hi - 1) break;
        qdi_cur_load(c, c->blk + 1);
        j = 0;
    }
}

/* First place of a list at or after doc lo, galloping from where it stands. */
static uint32_t list_seek(qdi_list *l, uint32_t lo)
{
    uint32_t p = l->pos;
    if (l->d[p] < lo) {
        uint32_t step = 1, b = p;
        while (b + step < l->n && l->d[b + step] < lo) {
            b += step;
            step *= 2;
        }
        uint32_t h = b + step < l->n ? b + step : l->n;
        b++;
        while (b < h) {
            uint32_t m = (b + h) / 2;
            if (l->d[m] < lo)
                b = m + 1;
            else
                h = m;
        }
        p = b;
    }
    l->pos = p;
    return p;
}

/* A range of dense terms only: documents of sparse lists were candidates already. */
static void range_or(qdi_k *k, uint32_t nd, uint32_t r)
{
    const uint32_t lo = r << QD_RANGE_LOG, hi = lo + (1u << QD_RANGE_LOG);
    for (uint32_t i = 0; i < nd; i++) range_add(k, k->c[i], r);
    for (uint32_t i = 0; i < k->nlists; i++)
        for (uint32_t p = list_seek(&k->lists[i], lo); k->lists[i].d[p] < hi; p++)
            k->acc[k->lists[i].d[p] - lo] = 0;
    qdi_k_offer_acc(k, lo, 1u << QD_RANGE_LOG);
}

/* --- sparse lists and candidates
 * ------------------------------------------------------------------ */

/* Sums of documents in several lists go to one of them; the others get a score below all. */
static int intersect_lists(qdi_k *k)
{
    if (k->nlists < 2) return 0;
    uint32_t room = 0;
    for (uint32_t i = 0; i < k->nlists; i++) room = k->lists[i].n > room ? k->lists[i].n : room;
    qdi_scratch_mark mark = qdi_scratch_get_mark(k->r->scratch);
    uint32_t *ia = qdi_scratch_alloc(k->r->scratch, (room + 16) * sizeof *ia);
    uint32_t *ib = qdi_scratch_alloc(k->r->scratch, (room + 16) * sizeof *ib);
    if (!ia || !ib) return QD_E_NOMEM;
    for (uint32_t i = 0; i < k->nlists; i++)
        for (uint32_t j = i + 1; j < k->nlists; j++) {
            qdi_list *x = &k->lists[i], *y = &k->lists[j];
            bool swap = x->n > y->n;
            uint32_t m = swap ? k->k->isect(y->d, y->n, x->d, x->n, ia, ib)
                              : k->k->isect(x->d, x->n, y->d, y->n, ia, ib);
            const uint32_t *ti = swap ? ib : ia, *fi = swap ? ia : ib;
            for (uint32_t q = 0; q < m; q++) {
                /* A sum that went elsewhere already has left nothing to add. */
                if (y->s[fi[q]] < 0 || x->s[ti[q]] < 0) continue;
                x->s[ti[q]] += y->s[fi[q]];
                y->s[fi[q]] = -1e9;
            }
        }
    qdi_scratch_release(k->r->scratch, mark);
    return 0;
}

/* Offers all of a list whose sum reaches the threshold. */
static void offer_list(qdi_k *k, const qdi_list *l)
{
    uint32_t idx[1024 + 64];
    for (uint32_t at = 0; at < l->n; at += 1024) {
        uint32_t n = l->n - at < 1024 ? l->n - at : 1024;
        float thr = k->q->threshold;
        size_t m = k->k->at_least_d(l->s + at, n, thr > 0 ? (double)thr * (1 - 1e-7) : 1e-300, idx);
        for (size_t i = 0; i < m; i++) qdi_k_push(k, l->s[at + idx[i]], l->d[at + idx[i]]);
    }
}

/* What a probe of the sparse sums alone guarantees as k-th score. */
static float probe(qdi_k *k)
{
    qd_topk q, *real = k->q;
    qdi_scratch_mark mark = qdi_scratch_get_mark(k->r->scratch);
    float thr = real->threshold;
    q = (qd_topk){.k = real->k, .cap = real->cap, .threshold = real->threshold};
    q.at = qdi_scratch_alloc(k->r->scratch, ((size_t)q.cap + 64) * 2 * sizeof *q.at);
    if (q.at) {
        q.sort = q.at + q.cap + 64;
        k->q = &q;
        for (uint32_t i = 0; i < k->nlists; i++) offer_list(k, &k->lists[i]);
        qd_topk_shrink(&q);
        thr = q.threshold;
        k->q = real;
    }
    qdi_scratch_release(k->r->scratch, mark);
    return thr;
}

#define BOUND_STEPS 256u

typedef struct cands {
    float *bound; /* rounded up */
    uint32_t *at; /* place in its list */
    uint8_t *list;
    uint32_t *sel;
    uint32_t *d; /* a band's documents and sums */
    double *s;
    uint32_t n, room;
    float max, least;
    float width; /* of the steps between them */
    uint32_t hist[BOUND_STEPS];
} cands;

/* Those of one list. */
static void list_cands(const qdi_k *k, cands *x, const qdi_list *l)
{
    const uint16_t *ranges = k->bound;
    const uint32_t *d = l->d;
    const double *s = l->s;
    float *bound = x->bound + x->n, inv = 1.0f / k->scale, least = x->least, max = x->max;
    uint32_t *at = x->at + x->n, n = 0;
    for (uint32_t j = 0; j < l->n; j++) {
        float b = ((float)s[j] + (float)ranges[d[j] >> QD_RANGE_LOG] * inv) * 1.000001f;
        bound[n] = b;
        at[n] = j;
        n += b >= least && b > 0;
        max = b > max ? b : max;
    }
    x->n += n;
    x->max = max;
}

/* Candidates: documents whose sparse sum and range bound reach what is sure already. */
static int make_cands(qdi_k *k, cands *x, float least)
{
    qdi_scratch *s = k->r->scratch;
    uint32_t all = 0;
    for (uint32_t i = 0; i < k->nlists; i++) all += k->lists[i].n;
    x->room = all + 64;
    x->bound = qdi_scratch_alloc(s, x->room * sizeof *x->bound);
    x->at = qdi_scratch_alloc(s, x->room * sizeof *x->at);
    x->list = qdi_scratch_alloc(s, x->room);
    if (!x->bound || !x->at || !x->list) return QD_E_NOMEM;
    x->n = 0;
    x->max = 0;
    x->least = least;
    for (uint32_t i = 0; i < k->nlists; i++) {
        uint32_t first = x->n;
        list_cands(k, x, &k->lists[i]);
        memset(x->list + first, (int)i, x->n - first);
    }
    return 0;
}

/* Drops those of a run of n candidates that even the bounds of dense terms c[from..nd), which they
 * were not looked up in yet, leave below the threshold. */
static uint32_t drop_low(qdi_k *k, uint32_t from, uint32_t nd, float sure, uint32_t *d, double *s,
                         uint32_t n)
{
    uint32_t m = 0;
    double least = (double)(k->q->threshold > sure ? k->q->threshold : sure) * (1 - 1e-6);
    for (uint32_t j = 0; j < n; j++) {
        double b = s[j];
        for (uint32_t i = from; i < nd; i++)
            b += (double)k->c[i]->bound[k->c[i]->p->range_cls[d[j] >> QD_RANGE_LOG] & 63];
        d[m] = d[j];
        s[m] = s[j];
        m += b >= least;
    }
    return m;
}

/* Looks the candidates of a band up: x->sel[0..m), of which those from bound hi on were before. */
static void look_up(qdi_k *k, cands *x, uint32_t nd, size_t m, float hi)
{
    uint32_t n = 0;
    for (size_t j = 0; j < m; j++) {
        uint32_t c = x->sel[j];
        const qdi_list *l = &k->lists[x->list[c]];
        x->d[n] = l->d[x->at[c]];
        x->s[n] = l->s[x->at[c]];
        n += x->bound[c] < hi;
    }
    for (uint32_t a = 0; a < n;) { /* runs in document order, one for each list */
        uint32_t e = a + 1, left;
        while (e < n && x->d[e] > x->d[e - 1]) e++;
        left = e - a;
        for (uint32_t i = 0; i < nd && left; i++) {
            if (i) left = drop_low(k, i, nd, x->least, x->d + a, x->s + a, left);
            qdi_k_add_in(k, k->c[i], x->d + a, left, x->s + a);
        }
        for (uint32_t j = a; j < a + left; j++) qdi_k_push(k, x->s[j], x->d[j]);
        a = e;
    }
    qd_topk_shrink(k->q);
}

/* Counts the candidates by bound: BOUND_STEPS equal steps from the least to the greatest bound. */
static void count_bounds(cands *x)
{
    memset(x->hist, 0, sizeof x->hist);
    x->width = (x->max - x->least) / BOUND_STEPS;
    float inv = x->width > 0 ? 0.9999f / x->width : 0;
    for (uint32_t j = 0; j < x->n; j++) x->hist[(uint32_t)((x->bound[j] - x->least) * inv)]++;
}

/* A bound that some `want` candidates reach, of those below hi. */
static float band_end(const cands *x, float hi, uint32_t want)
{
    uint32_t i = BOUND_STEPS, n = 0;
    while (i && n < want) {
        i--;
        if (x->least + (float)i * x->width < hi) n += x->hist[i];
    }
    return x->least + (float)i * x->width;
}

/* Are n candidates left after a band more than may be? Every band to come lets fewer be left. */
static bool too_many(const qdi_k *k, size_t n, uint32_t limit, uint32_t halves)
{
    return n > 4 * (size_t)k->q->k && n > (size_t)limit * halves / 2;
}

/* Looks candidates up in the dense terms: the best bounds first, in two bands that lift the
 * threshold, then what is left. Bands are cut by number: the bound of one document that has a rare
 * term may be far above all others. QD_DONE, QD_DECLINED when more than `limit` are left, or an
 * error. */
static int run_cands(qdi_k *k, cands *x, uint32_t nd, uint32_t limit)
{
    float hi = INFINITY;
    size_t done = 0;
    uint32_t want = 2 * k->q->k + 32, part = limit / 6;
    uint32_t bands = want > part ? 0 : 8 * want > part ? 1 : 2; /* what they cost may be lost */
    if (x->n <= 2 * want) bands = 0;
    if (bands < 2 && too_many(k, x->n, limit, bands ? 4 : 2)) return QD_DECLINED;
    qdi_scratch *s = k->r->scratch;
    x->sel = qdi_scratch_alloc(s, (x->n + 64) * sizeof *x->sel);
    x->d = qdi_scratch_alloc(s, (x->n + 64) * sizeof *x->d);
    x->s = qdi_scratch_alloc(s, (x->n + 64) * sizeof *x->s);
    if (!x->sel || !x->d || !x->s) return QD_E_NOMEM;
    if (bands) count_bounds(x);
    for (;; bands--, want *= 8) {
        float lo = k->q->threshold > x->least ? k->q->threshold : x->least;
        float end = bands ? band_end(x, hi, want) : lo;
        size_t m = k->k->at_least(x->bound, x->n, end > lo ? end : lo, x->sel);
        if (m > done) look_up(k, x, nd, m, hi);
        if (end <= lo || end <= k->q->threshold) return QD_DONE;
        hi = end;
        done = m;
        m = k->k->at_least(x->bound, x->n, k->q->threshold, x->sel);
        if (m <= done) return QD_DONE;
        if (bands < 2 && too_many(k, m - done, limit, bands + 1)) return QD_DECLINED;
        int rc = qdi_run_tick(k->r);
        if (rc) return rc;
    }
}

/* Sorts dense cursors by falling greatest score: what the first look-up finds or not says most. */
static void by_max(qdi_cur **c, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        qdi_cur *x = c[i];
        uint32_t j = i;
        for (; j && c[j - 1]->max < x->max; j--) c[j] = c[j - 1];
        c[j] = x;
    }
}

/* QD_DONE, QD_DECLINED (not worth it) or an error. */
static int or_cands(qdi_k *k, uint32_t cand_limit)
{
    uint32_t nd = 0;
    double sum = 0;
    for (uint32_t i = 0; i < k->nt; i++) { /* dense ones first */
        if (!qdi_k_dense(k->c[i])) continue;
        qdi_cur *x = k->c[i];
        k->c[i] = k->c[nd];
        k->c[nd++] = x;
        qdi_cur_bounds(x);
        sum += (double)x->max;
    }
    k->nlists = 0;
    if (nd < k->nt) {
        k->lists = qdi_scratch_alloc(k->r->scratch, (k->nt - nd) * sizeof *k->lists);
        if (!k->lists) return QD_E_NOMEM;
        for (uint32_t i = nd; i < k->nt; i++) {
            if (qdi_k_list_load(k, &k->lists[k->nlists], k->c[i])) return QD_E_NOMEM;
            sum += (double)k->lists[k->nlists++].max;
        }
        if (intersect_lists(k)) return QD_E_NOMEM;
    }
    if (nd == 0) {
        k->name = "or: sparse lists";
        for (uint32_t i = 0; i < k->nlists; i++) offer_list(k, &k->lists[i]);
        return QD_DONE;
    }
    by_max(k->c, nd);
    if (qdi_k_bounds(k, k->c, nd, (float)(sum * 1.000001), false)) return QD_E_NOMEM;
    k->name = k->nlists ? "or: candidates and ranges" : "or: ranges";
    if (k->nlists) {
        float sure = probe(k);
        cands x = {0};
        if (make_cands(k, &x, sure)) return QD_E_NOMEM;
        int rc = run_cands(k, &x, nd, cand_limit);
        if (rc == QD_DECLINED && sure > k->q->threshold) k->q->threshold = sure;
        if (rc != QD_DONE) return rc;
    }
    return qdi_k_bands(k, nd, range_or);
}

int qdi_k_or(qdi_k *k, qd_strategy strategy)
{
    uint32_t nd = 0;
    uint64_t postings = 0;
    uint32_t ranges = (k->r->ndocs + 127) >> QD_RANGE_LOG;
    for (uint32_t i = 0; i < k->nt; i++) {
        nd += qdi_k_dense(k->c[i]);
        postings += k->c[i]->p->df;
    }
    bool forced =
        strategy == QD_STRATEGY_KERNEL_RANGES || strategy == QD_STRATEGY_KERNEL_CANDIDATES;
    if (strategy == QD_STRATEGY_KERNEL_EXHAUSTIVE || k->nt - nd > QDI_K_LISTS_MAX ||
        (!forced && nd == k->nt && (uint64_t)k->q->k * 100 > ranges))
        return qdi_k_or_table(k);
    double all = (double)postings * QDI_COST_POSTING + QDI_COST_EXHAUSTIVE;
    /* most are looked up in the first of several dense terms alone */
    double cand_limit = nd ? all / (QDI_COST_CANDIDATES * (nd + 1) / 2) : 4e9;
    k->give_up = nd && !forced ? (size_t)(all / (QDI_COST_RANGE * nd)) : SIZE_MAX;
    int rc = or_cands(k, forced || cand_limit > 4e9 ? UINT32_MAX : (uint32_t)cand_limit);
    k->nlists = 0;
    if (rc < 0) return rc;
    if (rc == QD_DONE) return 0;
    qdi_k_restart(k);
    return qdi_k_or_table(k);
}
