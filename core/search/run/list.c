/*
 * list.c: hits that are a list (listed.h) for a collector with an order. Batches of it go to the
 * collector from the end that has the better ones; with k kept, documents of a window that cannot
 * have a better one are left out, or the points are walked over the list.
 */
#include "search/run/listed.h"
#include "search/run/order_int.h"

#define CHUNK 512u /* documents before the collector is asked what it still wants */

/* Documents in a batch: many where many are kept, whose best are found together. */
static uint32_t batch_size(uint32_t k)
{
    uint32_t size = k < QD_COLLECT_BATCH / 8 ? 8 * k : QD_COLLECT_BATCH;
    return size < CHUNK ? CHUNK : size;
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
    const qd_collect_order_vt *o = c->vt->order;
    qdi_listed x;
    uint32_t n;
    if (!qdi_listed_shape(&x, r, r->root)) return QD_DECLINED;
    int rc = qdi_order_beats_list(r, c, err);
    if (rc) return rc < 0 ? rc : QD_DECLINED;
    if (qdi_listed_room(&x, UINT32_MAX)) return qd_err_nomem(err, "search");
    rc = qdi_listed_next(&x, x.cap, &n, err);
    if (rc < 0) return rc;
    uint32_t *d = x.d;
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
    return qd_done(rc);
}
