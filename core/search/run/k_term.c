/* k_term.c: one term: blocks by impact class from the best downwards until k postings are sure,
 * then only blocks whose class reaches the threshold. */
#include "search/run/kernel_int.h"

#define LIVE_WORDS_MAX 16u /* of documents are looked through before a block is decoded */

/* May a block have a document that is accepted? */
static bool any_live(const qdi_k *k, const qdi_cur *c, uint32_t b)
{
    const uint64_t *live = k->r->live;
    if (!live) return true;
    uint32_t w = b ? (c->p->last[b - 1] + 1) >> 6 : 0, end = (c->p->last[b] >> 6) + 1;
    if (end - w > LIVE_WORDS_MAX) return true;
    return qdi_any(live + w, end - w);
}

static void block(qdi_k *k, qdi_cur *c, uint32_t b)
{
    if (!any_live(k, c, b)) return;
    qdi_cur_load(c, b);
    if (!c->n) return;
    qdi_k_score_block(k, c);
    qdi_k_offer(k, c->docs, c->score, c->n);
}

/* Behind the last block that may have an accepted document. */
static uint32_t end_of(const qdi_run *r, const qd_postings *p, uint32_t first)
{
    if (r->to == r->ndocs || first == p->nblk) return p->nblk;
    uint32_t b = qd_postings_seek(p, first, r->to - 1);
    return b < p->nblk ? b + 1 : p->nblk;
}

/* The greatest document kept, when there are k: what stands behind it and equals the worst is too
 * late. */
static uint32_t last_of(const qd_topk *q)
{
    uint32_t last = 0;
    for (uint32_t i = 0; i < q->n; i++) {
        uint32_t d = qd_topk_doc(q->at[i]);
        last = d > last ? d : last;
    }
    return q->n < q->k ? QD_NO_DOC : last;
}

int qdi_k_term(qdi_k *k)
{
    qdi_cur *c = k->c[0];
    const qd_postings *p = c->p;
    const uint32_t first = k->r->from ? qd_postings_seek(p, 0, k->r->from) : 0;
    const uint32_t end = end_of(k->r, p, first);
    if (!p->cls || end - first <= 4) {
        for (uint32_t b = first; b < end; b++) block(k, c, b);
        return 0;
    }
    if (k->q->k >= 100 && qdi_k_table(k, c)) return QD_E_NOMEM;
    qdi_cur_bounds(c);
    uint32_t hist[4][QD_CLASSES] = {{0}};
    for (uint32_t b = first; b < end; b++) hist[b & 3][p->cls[b] & 63]++;
    for (uint32_t i = 0; i < QD_CLASSES; i++) hist[0][i] += hist[1][i] + hist[2][i] + hist[3][i];
    uint32_t top = QD_CLASSES - 1, nb = 0, want = k->q->k / 8 + 4;
    while (top > 1 && nb + hist[0][top] < want) nb += hist[0][top--];
    qd_topk *q = k->q;
    for (uint32_t b = first; b < end; b++) {
        uint32_t cls = p->cls[b] & 63;
        if (cls < top) continue;
        if (q->n >= q->k) { /* all kept ones stand before: what equals the worst comes too late */
            if (q->threshold == 0) qd_topk_shrink(q);
            if (c->bound[cls] <= q->threshold) continue;
        }
        block(k, c, b);
    }
    qd_topk_shrink(q);
    float known = q->threshold;
    uint32_t last = last_of(q);
    for (uint32_t b = first; b < end; b++) {
        uint32_t cls = p->cls[b] & 63;
        if (cls >= top || c->bound[cls] < q->threshold) continue;
        if (c->bound[cls] == known && b && k->base + p->last[b - 1] >= last) continue;
        block(k, c, b);
        if (b % 1024 == 1023) {
            int rc = qdi_run_tick(k->r);
            if (rc) return rc;
        }
    }
    return 0;
}
