/*
 * window_term.c: one term in a window: few candidates are looked up, many are
 * met by walking the blocks.
 */
#include "search/leaf/window_int.h"

#define LOOKUPS_MAX 64u /* candidates below which blocks are not walked */

/* Candidates one by one. */
static void fill_lookup(qdi_run *r, qdi_cur *c, const qdi_win *w, const uint64_t *cand,
                        uint64_t *out, double *acc)
{
    for (uint32_t i = 0; i < w->words; i++) {
        uint64_t keep = 0;
        for (uint64_t x = cand[i]; x; x &= x - 1) {
            uint32_t bit = (uint32_t)__builtin_ctzll(x), d = w->from + i * 64 + bit;
            uint32_t j = qdi_cur_find(c, r->k, d);
            if (j == QD_NO_DOC) continue;
            keep |= 1ull << bit;
            if (acc) acc[d - w->from] += (double)qdi_cur_score(c, j, d);
        }
        out[i] = keep;
    }
}

/* Postings a..b of the block at hand whose documents are candidates, which are not scored. */
static void mark_block(const qdi_cur *c, uint32_t a, uint32_t b, uint32_t from,
                       const uint64_t *cand, uint64_t *out)
{
    for (uint32_t j = a; j < b; j++) {
        uint32_t x = c->docs[j] - from;
        out[x >> 6] |= cand[x >> 6] & (1ull << (x & 63));
    }
}

/* The same, and their scores into acc. */
static void score_block(qdi_cur *c, uint32_t a, uint32_t b, uint32_t from, const uint64_t *cand,
                        uint64_t *out, double *acc)
{
    uint32_t hit[QD_BLOCK + 1], m = 0;
    for (uint32_t j = a; j < b; j++) {
        uint32_t x = c->docs[j] - from;
        hit[m] = j;
        m += cand[x >> 6] >> (x & 63) & 1;
    }
    for (uint32_t i = 0; i < m; i++) {
        uint32_t x = c->docs[hit[i]] - from;
        out[x >> 6] |= 1ull << (x & 63);
    }
    if (!m) return;
    qdi_cur_freqs(c);
    for (uint32_t i = 0; i < m; i++) {
        uint32_t d = c->docs[hit[i]];
        acc[d - from] +=
            (double)qdi_score(c->w, (float)c->freq[hit[i]], c->ninv[c->norms[d & c->norm_mask]]);
    }
}

void qdi_fill_term(qdi_run *r, qdi_cur *c, const qdi_win *w, const uint64_t *cand, uint64_t *out,
                   double *acc)
{
    qd_postings *p = c->p;
    if (p->bits && !acc) {
        const uint64_t *bits = p->bits + (w->from >> 6);
        for (uint32_t i = 0; i < w->words; i++) out[i] = cand[i] & bits[i];
        return;
    }
    if (qdi_popcount(cand, w->words) < LOOKUPS_MAX) {
        fill_lookup(r, c, w, cand, out, acc);
        return;
    }
    memset(out, 0, w->words * sizeof *out);
    uint32_t start =
        c->hint < p->nblk && (c->hint == 0 || p->last[c->hint - 1] < w->from) ? c->hint : 0;
    uint32_t b = qd_postings_seek(p, start, w->from);
    c->hint = b < p->nblk ? b : 0;
    for (; b < p->nblk; b++) {
        if (b && p->last[b - 1] + 1 >= w->to) break;
        qdi_cur_load(c, b);
        uint32_t lo = 0, hi = c->n;
        if (hi && c->docs[0] < w->from) lo = r->k->rank(c->docs, c->n, w->from);
        if (hi && c->docs[hi - 1] >= w->to) hi = r->k->rank(c->docs, c->n, w->to);
        if (acc)
            score_block(c, lo, hi, w->from, cand, out, acc);
        else
            mark_block(c, lo, hi, w->from, cand, out);
    }
}
