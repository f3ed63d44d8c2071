/* round.c: one round. See allocation.h. */
#include "cluster/allocation/allocation_int.h"

static int finish(alloc_work *w, qd_alloc_result *out, qd_err *err)
{
    if (w->failed) return qd_err_nomem(err, "allocating shards");
    for (uint32_t g = 0; g < w->ncopies; g++) {
        if (w->state[g] != QD_ALLOC_UNASSIGNED) continue;
        out->unassigned++;
        out->throttled += w->status[g] == QD_ALLOC_STATUS_THROTTLED;
        out->delayed += w->status[g] == QD_ALLOC_STATUS_DELAYED;
    }
    out->rebalances = w->relocating;
    for (uint32_t n = 0; n < w->view->nnodes; n++) {
        int64_t end = w->view->nodes[n].permit_until_ms;
        bool open = w->view->nodes[n].leave != QD_ALLOC_STAYS && end > w->view->now_ms;
        if (open && end < out->again_ms) out->again_ms = end;
    }
    qd_alloc_decision *d = qd_arena_alloc(w->arena, (w->out.n + 1) * sizeof *d);
    if (!d) return qd_err_nomem(err, "allocating shards");
    if (w->out.n) memcpy(d, w->out.at, w->out.n * sizeof *d);
    out->decisions = d;
    out->n = (uint32_t)w->out.n;
    return 0;
}

int qd_allocation_round(const qd_alloc_view *view, qd_arena *arena, qd_alloc_result *out,
                        qd_err *err)
{
    alloc_work w;
    *out = (qd_alloc_result){.again_ms = QD_ALLOC_NEVER};
    int rc = qdi_alloc_work_init(&w, view, arena, err);
    if (!rc) {
        w.result = out;
        qdi_alloc_mend(&w);
        qdi_alloc_traffic(&w);
        qdi_alloc_plan_start(&w);
        rc = qdi_alloc_weights_make(&w, err);
    }
    if (!rc) {
        qdi_alloc_flood(&w);
        qdi_alloc_place(&w);
        qdi_alloc_emit(&w);
        rc = finish(&w, out, err);
    }
    qdi_alloc_work_fini(&w);
    return rc;
}
