/*
 * window.c: what the nodes of nodes/ share over windows: lower bounds of the next match, upper
 * bounds of scores, scores that are all alike.
 */
#include "search/leaf/window_int.h"
#include <math.h>

uint32_t qdi_cur_next(const qdi_cur *c, uint32_t from)
{
    const qd_postings *p = c->p;
    uint32_t start =
        c->hint < p->nblk && (c->hint == 0 || p->last[c->hint - 1] < from) ? c->hint : 0;
    uint32_t b = qd_postings_seek(p, start, from);
    if (b >= p->nblk) return QD_NO_DOC;
    uint32_t first = b ? p->last[b - 1] + 1 : 0;
    return first > from ? first : from;
}

uint32_t qdi_next_least(qdi_run *r, qdi_lnode *const *list, uint32_t n, uint32_t from)
{
    uint32_t least = QD_NO_DOC;
    for (uint32_t i = 0; i < n && least > from; i++) {
        uint32_t d = qdi_next(r, list[i], from);
        least = d < least ? d : least;
    }
    return least;
}

float qdi_cur_bound(qdi_cur *c, uint32_t from, uint32_t to)
{
    qd_postings *p = c->p;
    qdi_cur_bounds(c);
    uint32_t start =
        c->hint < p->nblk && (c->hint == 0 || p->last[c->hint - 1] < from) ? c->hint : 0;
    uint32_t b = qd_postings_seek(p, start, from);
    if (b >= p->nblk || (b && p->last[b - 1] + 1 >= to)) return 0;
    if (!p->cls) return c->max;
    float m = 0;
    for (; b < p->nblk && !(b && p->last[b - 1] + 1 >= to); b++) {
        float x = c->bound[p->cls[b] & 63];
        m = x > m ? x : m;
    }
    return m;
}

float qdi_bound_up(double x)
{
    return nextafterf((float)x, INFINITY);
}

void qdi_clear_acc(double *acc, const uint64_t *bits, uint32_t words)
{
    if (qdi_popcount(bits, words) > 512) {
        memset(acc, 0, (size_t)words * 64 * sizeof *acc);
        return;
    }
    for (uint32_t i = 0; i < words; i++)
        for (uint64_t x = bits[i]; x; x &= x - 1) acc[i * 64 + (uint32_t)__builtin_ctzll(x)] = 0;
}

uint32_t qdi_next_any(qdi_run *r, qdi_lnode *l, uint32_t from)
{
    (void)r, (void)l;
    return from;
}

float qdi_bound_boost(qdi_run *r, qdi_lnode *l, uint32_t from, uint32_t to)
{
    (void)r, (void)from, (void)to;
    return l->boost;
}

void qdi_add_boost(const qdi_lnode *l, const qdi_win *w, const uint64_t *out, double *acc)
{
    if (!acc || l->boost == 0) return;
    for (uint32_t i = 0; i < w->words; i++)
        for (uint64_t x = out[i]; x; x &= x - 1)
            acc[i * 64 + (uint32_t)__builtin_ctzll(x)] += (double)l->boost;
}

int qdi_fill_blocks(qdi_run *r, qdi_lnode *l, const qdi_win *w, const uint64_t *bits,
                    qdi_block_fn fn, uint64_t *out, double *acc, qd_err *err)
{
    uint32_t docs[QDI_BLOCK_DOCS], n = 0;
    int rc = 0;
    for (uint32_t k = 0; k < w->words && !rc; k++)
        for (uint64_t left = bits[k]; left && !rc; left &= left - 1) {
            docs[n++] = w->from + k * 64 + (uint32_t)__builtin_ctzll(left);
            if (n < QDI_BLOCK_DOCS) continue;
            rc = fn(r, l, w, docs, n, out, acc, err);
            n = 0;
        }
    return rc || !n ? rc : fn(r, l, w, docs, n, out, acc, err);
}
