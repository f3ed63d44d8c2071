/*
 * flood.c: an index with a copy on a disk above the flood stage becomes read-only (deletion
 * allowed), and writable again once none of its disks is above the high watermark.
 */
#include "cluster/allocation/allocation_int.h"

static void worst_disk(const alloc_work *w, uint32_t index, uint32_t node, int *worst,
                       uint32_t *where)
{
    alloc_disk d;
    if (node == QD_ALLOC_NONE) return;
    qdi_alloc_disk_of(w, index, node, &d);
    if (d.flood < 0) return;
    int level = d.free < d.flood ? 2 : d.free < d.high ? 1 : 0;
    if (level > *worst) *worst = level, *where = node;
}

void qdi_alloc_flood(alloc_work *w)
{
    const qd_alloc_view *v = w->view;
    bool any = false; /* mostly there is nothing to do */
    for (uint32_t n = 0; n < v->nnodes && !any; n++)
        any =
            w->flood[n] >= 0 && (v->nodes[n].disk_free < w->flood[n] || v->nodes[n].tier_spaces.n);
    for (uint32_t i = 0; i < v->nindices; i++) {
        const qd_alloc_index *x = &v->indices[i];
        if (!any && !(x->flood_block && v->disks_new)) continue;
        int worst = -1;
        uint32_t where = QD_ALLOC_NONE;
        for (uint32_t s = x->first; s < x->first + x->nshards; s++)
            for (uint32_t g = w->first[s]; g < w->first[s + 1]; g++) {
                worst_disk(w, i, w->now.node[g], &worst, &where);
                worst_disk(w, i, w->now.from[g], &worst, &where);
            }
        qd_alloc_decision *d;
        if (worst == 2 && !x->flood_block)
            d = qdi_alloc_decide(w, QD_ALLOC_BLOCK, QD_ALLOC_NONE, where,
                                 "the disk of node [%.*s] is above the flood stage watermark",
                                 QD_STR_ARG(v->nodes[where].name));
        /* with the decider switched off nothing is known: what it blocked is released */
        else if (x->flood_block && v->disks_new && (worst == 0 || !v->settings.disk_enabled))
            d = qdi_alloc_decide(w, QD_ALLOC_UNBLOCK, QD_ALLOC_NONE, QD_ALLOC_NONE,
                                 "all disks of the index are below the high watermark");
        else
            continue;
        d->index = i;
    }
}
