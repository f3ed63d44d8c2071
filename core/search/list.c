/*
 * list.c: the hits of required terms for a collector with an order, without windows: where the
 * rarest term is not frequent, its documents are a list that the others narrow. Chunks of it go to
 * the collector from the end that has the better ones; with k kept, documents of a window that
 * cannot have a better one are left out, or the points are walked over the list.
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
    const qd_collect_order_vt *o = c->vt->order;
    if (o->wanted(c, INT64_MIN, false) && o->wanted(c, INT64_MAX, false)) return n; /* as yet all */
    uint32_t m = 0;
    for (uint32_t i = 0; i < n;) {
        uint32_t from = d[i] & ~(QDI_WINDOW - 1), to = from + QDI_WINDOW, e = i + 1;
        if (to > r->ndocs || to < from) to = r->ndocs;
        while (e < n && d[e] < to) e++;
        if (o->wanted_window(c, from, to, later)) {
            memmove(d + m, d + i, (e - i) * sizeof *d);
            m += e - i;
        }
        i = e;
    }
    return m;
}

/* About as many of d[0..n), n > 0, are in windows that the collector wants anything of. */
static uint32_t wanted_about(const qdi_run *r, qd_collector *c, const uint32_t *d, uint32_t n,
                             bool later)
{
    uint32_t first = d[0] / QDI_WINDOW, last = d[n - 1] / QDI_WINDOW, m = 0;
    for (uint32_t i = first; i <= last; i++) {
        uint32_t from = i * QDI_WINDOW,
                 to = r->ndocs - from > QDI_WINDOW ? from + QDI_WINDOW : r->ndocs;
        m += c->vt->order->wanted_window(c, from, to, later);
    }
    return (uint32_t)((uint64_t)n * m / (last - first + 1));
}

/* Those of d[0..n) that a walk has not tested, to the front. */
static uint32_t untested(const uint64_t *tested, uint32_t *d, uint32_t n)
{
    uint32_t m = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t doc = d[i];
        d[m] = doc;
        m += !(tested[doc >> 6] >> (doc & 63) & 1);
    }
    return m;
}

/* Collects d[0..n) by batches, the last one first if `back`. later: nothing behind one was
 * collected before it. */
static int batches(qdi_run *r, qd_collector *c, uint32_t *d, uint32_t n, uint32_t size, bool back,
                   bool later, qd_err *err)
{
    for (uint32_t at = 0; at < n; at += size) {
        uint32_t m = n - at < size ? n - at : size, *batch = d + (back ? n - at - m : at);
        if (c->vt->order->settled(c)) m = wanted(r, c, batch, m, later);
        qd_hits hits = {.leaf = r->leaf, .docs = batch, .n = m};
        int rc = m ? c->vt->collect(c, &hits, err) : 0;
        if (!rc) rc = qdi_run_tick(r);
        if (rc) return rc;
    }
    return 0;
}

int qdi_collect_list(qdi_run *r, qd_collector *c, qd_err *err)
{
    qdi_cur *terms[QDI_LIST_TERMS_MAX];
    const qd_collect_order_vt *o = c->vt->order;
    uint32_t nt = required_terms(r->root, terms, QDI_LIST_TERMS_MAX), n;
    if (nt == 0) return 0;
    qdi_k_by_df(terms, nt);
    if (terms[0]->p->bits) return 0;
    int rc = qdi_order_beats_list(r, c, err);
    if (rc) return rc < 0 ? rc : 0;
    uint32_t *d = hits_of(r, terms, nt, &n);
    if (!d) return qd_err_nomem(err, "search");
    if (!o->settled(c)) o->counted(c, n);
    const bool back = n && o->better_last(c, d[0], d[n - 1]);
    qd_collect_order order;
    const uint32_t size = batch_size(o->get(c, r->leaf, &order) ? order.k : 0);
    /* A first batch, so that much of the rest need not be looked at. */
    uint32_t first = n < size ? n : size;
    rc = batches(r, c, back ? d + n - first : d, first, size, back, !back, err);
    if (rc) return rc;
    if (!back) d += first;
    n -= first;
    uint64_t *tested = NULL;
    if (n && qdi_walk_list_pays(r, c, n) &&
        qdi_walk_list_pays(r, c, wanted_about(r, c, d, n, !back))) {
        rc = qdi_walk_list(r, c, d, n, !back, &tested, err);
        if (rc) return rc;
        if (tested) n = untested(tested, d, n);
    }
    rc = batches(r, c, d, n, size, back, !back && !tested, err);
    return rc ? rc : 1;
}
