/*
 * k_list.c: hits that are a list (listed.h) and all score alike, as under filters: counted, and the
 * first ones of them kept, which are the best.
 */
#include "search/run/listed.h"

#define BATCH 4096u /* documents of the rarest term */

static int begin(qdi_listed *x, qd_err *err)
{
    return qdi_listed_room(x, BATCH) ? qd_err_nomem(err, "search") : 0;
}

int qdi_k_list_count(qdi_run *r, qdi_lnode *l, uint64_t limit, uint64_t *n, qd_err *err)
{
    qdi_listed x;
    uint32_t m;
    if (!qdi_listed_shape(&x, r, l)) return QD_DECLINED;
    int rc = begin(&x, err);
    *n = 0;
    while (!rc && (!limit || *n < limit)) {
        rc = qdi_listed_next(&x, BATCH, &m, err);
        if (rc == 0) break;
        if (rc == 1) {
            *n += m;
            rc = qdi_run_tick(r);
        }
    }
    return qd_done(rc);
}

int qdi_k_list_top(qdi_run *r, qd_topk *q, uint64_t want, uint64_t *count, bool *counted,
                   qd_err *err)
{
    qdi_listed x;
    if (!qdi_bound_is_flat(r->root) || !qdi_listed_shape(&x, r, r->root)) return QD_DECLINED;
    if (x.nranges + x.nbits == 0) return QD_DECLINED; /* terms alone have kernels of their own */
    const float score = qdi_bound(r, r->root, 0, r->ndocs);
    uint32_t m, size = QD_BLOCK, room = q->k; /* few at first: they may be enough */
    uint64_t n = 0;
    if (q->n >= q->k) qd_topk_shrink(q);
    if (q->n >= q->k && score <= q->threshold) room = 0; /* ties go to those of earlier leaves */
    int rc = begin(&x, err);
    while (!rc && (room || n < want)) {
        rc = qdi_listed_next(&x, size, &m, err);
        if (rc == 0) break;
        if (rc < 0) return rc;
        for (uint32_t i = 0; i < m && room; i++, room--)
            if (score >= q->threshold) qd_topk_push(q, score, r->leaf->base + x.d[i]);
        n += m;
        if (size < BATCH) size *= 2;
        rc = qdi_run_tick(r);
    }
    *count = n;
    *counted = want != 0;
    return qd_done(rc);
}
