/*
 * disk.c: the watermarks. What recoveries under way will write counts as written; what leaves is
 * counted as free only for the question whether more must leave.
 */
#include "cluster/allocation/decide_int.h"
#include "cluster/state/state.h"
#include "config/value.h"
#include <stdio.h>

static bool space_of(const qd_alloc_node *n, qd_str tier, int64_t *total, int64_t *free_bytes)
{
    uint64_t a, b;
    if (!qd_tier_space_in(n->tier_spaces, tier, &a, &b)) return false;
    *total = (int64_t)a;
    *free_bytes = (int64_t)b;
    return true;
}

void qdi_alloc_disk_of(const alloc_work *w, uint32_t index, uint32_t node, alloc_disk *out)
{
    const qd_alloc_settings *st = &w->view->settings;
    const qd_alloc_node *n = &w->view->nodes[node];
    qd_str tier = w->view->indices[index].storage_tier, rest = n->tiers;
    *out = (alloc_disk){n->disk_total, n->disk_free, w->low[node], w->high[node], w->flood[node]};
    if (!tier.n || !rest.n || qd_str_eq(qd_str_split(&rest, ','), tier)) return; /* its own */
    out->low = out->high = out->flood = -1;
    if (!st->disk_enabled || !space_of(n, tier, &out->total, &out->free)) return;
    out->low = qd_alloc_watermark_free(&st->low, out->total);
    out->high = qd_alloc_watermark_free(&st->high, out->total);
    out->flood = qd_alloc_watermark_free(&st->flood, out->total);
}

typedef struct mark_text {
    char setting[160], want[32], have[32], used[16], size[32];
} mark_text;

static void percent(char out[16], int64_t free_bytes, int64_t total)
{
    double used = 100.0 - 100.0 * (double)free_bytes / (double)total;
    snprintf(out, 16, "%.1f", used);
    size_t n = strlen(out);
    if (n > 2 && out[n - 1] == '0') out[n - 2] = 0;
    n = strlen(out);
    snprintf(out + n, 16 - n, "%%");
}

/* The parts of the sentences; nothing is done while only the verdict is wanted. */
static void describe(const alloc_ask *a, const qd_alloc_watermark *w, const char *name,
                     int64_t total, int64_t want, int64_t have, mark_text *t)
{
    if (!a->why) return;
    bool by_headroom = !w->is_bytes && w->headroom >= 0 &&
                       (double)total * (1.0 - w->used_ratio) > (double)w->headroom;
    if (by_headroom && w->headroom_text.n)
        snprintf(t->setting, sizeof t->setting,
                 "cluster.routing.allocation.disk.watermark.%s.max_headroom=%.*s", name,
                 QD_STR_ARG(w->headroom_text));
    else
        snprintf(t->setting, sizeof t->setting, "cluster.routing.allocation.disk.watermark.%s=%.*s",
                 name, QD_STR_ARG(w->text));
    qd_bytes_text(want, t->want);
    qd_bytes_text(have, t->have);
    percent(t->used, have, total);
}

qd_alloc_verdict qdi_alloc_disk_allocate(const alloc_ask *a)
{
    const alloc_work *w = a->w;
    const qd_alloc_settings *st = &w->view->settings;
    alloc_disk d;
    if (!st->disk_enabled)
        return qdi_alloc_say(a, QD_ALLOC_YES, "the disk threshold decider is disabled");
    if (w->ndata <= 1) /* nothing is won by leaving its shards unassigned */
        return qdi_alloc_say(a, QD_ALLOC_YES, "there is only a single data node present");
    qdi_alloc_disk_of(w, alloc_shard_of(w, a->g)->index, a->node, &d);
    if (d.low < 0) return qdi_alloc_say(a, QD_ALLOC_YES, "disk usage is unavailable");
    int64_t have = d.free - a->o->arriving[a->node], size = alloc_shard_of(w, a->g)->size;
    int64_t low = d.low, high = d.high;
    mark_text t = {0};
    if (have < low) {
        bool first = alloc_shard_of(w, a->g)->fresh && w->primary[a->g];
        if (first && have >= high)
            return qdi_alloc_say(a, QD_ALLOC_YES,
                                 "the node is above the low watermark, but less than the high "
                                 "watermark, and this primary shard has never been allocated "
                                 "before");
        describe(a, first ? &st->high : &st->low, first ? "high" : "low", d.total,
                 first ? high : low, have, &t);
        return qdi_alloc_say(a, QD_ALLOC_NO,
                             "the node is above the %s watermark cluster setting [%s], having "
                             "less than the minimum required [%s] free space, actual free: [%s], "
                             "actual used: [%s]",
                             first ? "high" : "low", t.setting, t.want, t.have, t.used);
    }
    if (have - size < high) {
        describe(a, &st->high, "high", d.total, high, have, &t);
        qd_bytes_text(size, t.size);
        return qdi_alloc_say(a, QD_ALLOC_NO,
                             "allocating the shard to this node will bring the node above the "
                             "high watermark cluster setting [%s] and cause it to have less than "
                             "the minimum required [%s] of free space (free: [%s], used: [%s], "
                             "estimated shard size: [%s])",
                             t.setting, t.want, t.have, t.used, t.size);
    }
    if (!a->why) return QD_ALLOC_YES;
    char left[32];
    describe(a, &st->high, "high", d.total, high, have, &t);
    return qdi_alloc_say(a, QD_ALLOC_YES,
                         "enough disk for shard on node, free: [%s], used: [%s], shard size: [%s], "
                         "free after allocating shard: [%s]",
                         t.have, t.used, qd_bytes_text(size, t.size),
                         qd_bytes_text(have - size, left));
}

qd_alloc_verdict qdi_alloc_disk_remain(const alloc_ask *a)
{
    const alloc_work *w = a->w;
    const qd_alloc_settings *st = &w->view->settings;
    if (!st->disk_enabled)
        return qdi_alloc_say(a, QD_ALLOC_YES, "the disk threshold decider is disabled");
    if (w->ndata <= 1)
        return qdi_alloc_say(a, QD_ALLOC_YES, "there is only a single data node present");
    alloc_disk d;
    qdi_alloc_disk_of(w, alloc_shard_of(w, a->g)->index, a->node, &d);
    if (d.high < 0) return qdi_alloc_say(a, QD_ALLOC_YES, "disk usage is unavailable");
    int64_t have = d.free - a->o->arriving[a->node] + a->o->leaving[a->node];
    mark_text t = {0};
    describe(a, &st->high, "high", d.total, d.high, have, &t);
    if (have < d.high)
        return qdi_alloc_say(a, QD_ALLOC_NO,
                             "the shard cannot remain on this node because it is above the high "
                             "watermark cluster setting [%s] and there is less than the required "
                             "[%s] free space on node, actual free: [%s], actual used: [%s]",
                             t.setting, t.want, t.have, t.used);
    return qdi_alloc_say(a, QD_ALLOC_YES,
                         "there is enough disk on this node for the shard to remain, free: [%s]",
                         t.have);
}
