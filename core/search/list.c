/*
 * list.c: the hits of required terms for a collector with an order, without windows: where the
 * rarest term is not frequent, its documents are a list that the others narrow. Chunks of it go to
 * the collector from the end that has the better ones; with k kept, documents of a window that
 * cannot have a better one are left out.
 */
#include "search/kernel_int.h"
#include "search/order_int.h"

#define CHUNK 512u /* documents before the collector is asked what it still wants */

/* Documents in a batch: many where many are kept, whose best are found together. */
static uint32_t batch_size(uint32_t k)
{
    uint32_t size = k < QD_COLLECT_BATCH / 8 ? 8 * k : QD_COLLECT_BATCH;
    return size < CHUNK ? CHUNK : size;
}

/* The required terms of a leaf that is nothing but those; 0: it is something else. */
static uint32_t required_terms(qdi_lnode *x, qdi_cur **c, uint32_t max)
{
    while (x->kind == QDI_L_CONST) x = x->u.child;
    if (x->kind == QDI_L_TERM) {
        c[0] = x->u.cur;
        return 1;
    }
    if (x->kind != QDI_L_BOOL || x->u.b.nnot || x->u.b.min_should || !x->u.b.nreq ||
        x->u.b.nreq > max)
        return 0;
    uint32_t n = 0;
    for (uint32_t i = 0; i < x->u.b.nreq; i++) {
        if (x->u.b.req[i]->kind != QDI_L_TERM) return 0;
        c[n++] = x->u.b.req[i]->u.cur;
    }
    return n;
}

/* Documents of c[0] that are live and in all of c[1..n), at most docs of them in order. */
static uint32_t *hits_of(qdi_run *r, qdi_cur **c, uint32_t n, uint32_t *found)
{
    qdi_k k = {.r = r, .k = r->k};
    qd_postings *p = c[0]->p;
    uint32_t m = 0, live = 0;
    uint32_t *d = qdi_scratch_alloc(r->scratch, (p->nblk * QD_BLOCK + 256) * sizeof *d);
    if (!d) return NULL;
    for (uint32_t b = 0; b < p->nblk; b++) m += qd_postings_docs(p, b, d + m);
    for (uint32_t i = 1; i < n && m; i++) m = qdi_k_keep_in(&k, c[i], d, m, NULL);
    for (uint32_t i = 0; r->live && i < m; i++) {
        d[live] = d[i];
        live += qdi_run_live(r, d[i]);
    }
    *found = r->live ? live : m;
    return d;
}

/* Documents of d[0..n) in windows that the collector wants anything of, to the front. */
static uint32_t wanted(const qdi_run *r, qd_collector *c, uint32_t *d, uint32_t n, bool later)
{
    uint32_t m = 0;
    for (uint32_t i = 0; i < n;) {
        uint32_t from = d[i] & ~(QDI_WINDOW - 1), to = from + QDI_WINDOW, e = i + 1;
        if (to > r->ndocs || to < from) to = r->ndocs;
        while (e < n && d[e] < to) e++;
        if (c->vt->order->wanted_window(c, from, to, later)) {
            memmove(d + m, d + i, (e - i) * sizeof *d);
            m += e - i;
        }
        i = e;
    }
    return m;
}

int qdi_collect_list(qdi_run *r, qd_collector *c, qd_err *err)
{
    qdi_cur *terms[QDI_LIST_TERMS_MAX];
    uint32_t nt = required_terms(r->root, terms, QDI_LIST_TERMS_MAX), n;
    if (nt == 0) return 0;
    qdi_k_by_df(terms, nt);
    if (terms[0]->p->bits || qdi_order_pays(r, c, QDI_LIST_WALK_COST)) return 0;
    uint32_t *d = hits_of(r, terms, nt, &n);
    if (!d) return qd_err_nomem(err, "search");
    const bool back = n && c->vt->order->better_last(c, d[0], d[n - 1]);
    qd_collect_order o;
    const uint32_t size = batch_size(c->vt->order->get(c, r->leaf, &o) ? o.k : 0);
    for (uint32_t at = 0; at < n; at += size) {
        uint32_t m = n - at < size ? n - at : size, *chunk = d + (back ? n - at - m : at);
        if (at && c->vt->order->settled(c)) m = wanted(r, c, chunk, m, !back);
        qd_hits hits = {.leaf = r->leaf, .docs = chunk, .n = m};
        int rc = m ? c->vt->collect(c, &hits, err) : 0;
        if (!rc) rc = qdi_run_tick(r);
        if (rc) return rc;
    }
    return 1;
}
