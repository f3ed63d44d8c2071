/* k_term.c: one term: blocks by impact class from the best downwards until k postings are sure,
 * then only blocks whose class reaches the threshold. */
#include "search/kernel_int.h"

static void block(qdi_k *k, qdi_cur *c, uint32_t b)
{
    qdi_cur_load(c, b);
    if (!c->n) return;
    qdi_k_score_block(k, c);
    qdi_k_offer(k, c->docs, c->score, c->n);
}

int qdi_k_term(qdi_k *k)
{
    qdi_cur *c = k->c[0];
    const qd_postings *p = c->p;
    if (!p->cls || p->nblk <= 4) {
        for (uint32_t b = 0; b < p->nblk; b++) block(k, c, b);
        return 0;
    }
    if (k->q->k >= 100 && qdi_k_table(k, c)) return QD_E_NOMEM;
    qdi_cur_bounds(c);
    uint32_t hist[4][QD_CLASSES] = {{0}};
    for (uint32_t b = 0; b < p->nblk; b++) hist[b & 3][p->cls[b] & 63]++;
    for (uint32_t i = 0; i < QD_CLASSES; i++) hist[0][i] += hist[1][i] + hist[2][i] + hist[3][i];
    uint32_t top = QD_CLASSES - 1, nb = 0, want = k->q->k / 8 + 4;
    while (top > 1 && nb + hist[0][top] < want) nb += hist[0][top--];
    for (uint32_t b = 0; b < p->nblk; b++)
        if ((p->cls[b] & 63) >= top) block(k, c, b);
    qd_topk_shrink(k->q);
    for (uint32_t b = 0; b < p->nblk; b++) {
        uint32_t cls = p->cls[b] & 63;
        if (cls >= top || c->bound[cls] < k->q->threshold) continue;
        block(k, c, b);
        if (b % 1024 == 1023) {
            int rc = qdi_run_tick(k->r);
            if (rc) return rc;
        }
    }
    return 0;
}
