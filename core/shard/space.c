/*
 * space.c: room on the tier.
 *
 * Three things hang on it. The allocation of shards goes by it, so the others are told (in steps:
 * of the disk a hundredth). Close to its end writes are refused before they take a number: what is
 * left is for the segments of what was accepted, and for commit points. And, as Elasticsearch does
 * it, an index with a shard on a disk above the flood stage becomes read-only but for deletion,
 * until the disk is below the high watermark again.
 */
#include "base/hash.h"
#include "base/log.h"
#include "base/str.h"
#include "shard/shards_int.h"
#include <string.h>

#define MARGIN_MAX ((uint64_t)64 << 20)
#define MARGIN_PART 20 /* of a small tier: a twentieth */
#define BLOCK "index.blocks.read_only_allow_delete"

bool qd_shards_disk_full(qd_shards *s)
{
    bool full = false;
    for (uint32_t i = 0; i < s->ntiers; i++) full |= atomic_load(&s->tiers[i].disk_full);
    return full;
}

/* What writes leave free. A buffer's segment is smaller than the buffer. */
static uint64_t margin_of(uint64_t total, uint64_t buffered)
{
    uint64_t part = total / MARGIN_PART;
    return (part < MARGIN_MAX ? part : MARGIN_MAX) + buffered / 2;
}

static void refuse_or_not(shard_tier *t, const shard_tier *own, uint64_t total, uint64_t available,
                          uint64_t buffered)
{
    uint64_t margin = margin_of(total, buffered);
    bool was = atomic_load(&t->disk_full);
    /* with some distance, so that it does not flap */
    bool full = available < margin + (was ? margin / 4 : 0);
    /* without logs of its own it needs the room of the tier that has them */
    if (!(t->caps & QD_STORE_APPEND)) full |= atomic_load(&own->disk_full);
    if (full == was) return;
    atomic_store(&t->disk_full, full);
    if (full) {
        qd_log_error(SHARD_LOG,
                     "disk full: %llu of %llu bytes are free on tier [%s], writes are refused",
                     (unsigned long long)available, (unsigned long long)total, t->name);
    } else {
        qd_log_info(SHARD_LOG, "%llu bytes are free again on tier [%s]: writes are accepted",
                    (unsigned long long)available, t->name);
    }
}

/* A watermark as bytes to be left free; headroom bounds what a percentage asks for. */
static uint64_t mark_bytes(const qd_values *v, qd_set mark, qd_set headroom, uint64_t total)
{
    uint64_t left = (uint64_t)qd_values_space_free(v, mark, (int64_t)total);
    int64_t most = qd_values_i64(v, headroom);
    bool capped = most >= 0 && (!qd_values_is_set(v, mark) || qd_values_is_set(v, headroom));
    return capped && left > (uint64_t)most ? (uint64_t)most : left;
}

static const shard_tier *shard_tier_of(qd_shard *s)
{
    qdi_gate_enter(&s->gate);
    const shard_tier *t = s->engine ? s->tier : NULL;
    qdi_gate_leave(&s->gate);
    return t;
}

/* The tier where this node has shards of the index; NULL: it has none that are open. */
static const shard_tier *held_on(qd_shards *all, const qd_index_meta *m)
{
    const shard_tier *t = NULL;
    for (uint32_t k = 0; k < m->shards && !t; k++) {
        qd_shard *s = qd_shards_get(all, m->uuid, k);
        if (s) t = shard_tier_of(s);
        qd_shard_unref(s);
    }
    return t;
}

static int set_block(qd_shards *all, const qd_index_meta *m, bool on, qd_err *err)
{
    qd_settings *update;
    int rc = qd_settings_new(NULL, &update, err);
    if (rc) return rc;
    rc = on ? qd_settings_put(update, QD_STR(BLOCK), QD_STR("true"), err)
            : qd_settings_put_null(update, QD_STR(BLOCK), err);
    if (!rc) rc = qd_settings_seal(update, err);
    if (!rc) {
        rc = qd_cluster_put_settings(all->cluster, qd_str_c(m->uuid), update, false, NULL, err);
    }
    qd_settings_unref(update);
    return rc;
}

/* Is a copy of the index on another node whose disk, that of the index's tier, is above the high
 * watermark? */
static bool full_elsewhere(qd_shards *all, const qd_state *s, const qd_index_meta *m)
{
    const qd_values *v = qd_config_values(all->config);
    for (uint32_t k = 0; k < m->shards; k++) {
        const qd_shard_meta *r = qd_state_shard(s, m, k);
        for (uint32_t i = 0; r && i < r->ncopies; i++) {
            const qd_node_meta *n =
                r->copies[i].node.n ? qd_state_node(s, r->copies[i].node) : NULL;
            if (!n || qd_str_eq(n->id, qd_cluster_self(all->cluster)->id)) continue;
            uint64_t total, left;
            if (qd_node_disk(n, qd_values_text(m->values, QD_IX_STORAGE_TIER), &total, &left) &&
                left < mark_bytes(v, QD_SET_DISK_HIGH, QD_SET_DISK_HIGH_HEADROOM, total))
                return true;
        }
    }
    return false;
}

/* Is there a tier that changes an index that is, or is not, blocked? */
static bool acts(const qd_shards *all, bool blocked)
{
    bool any = false;
    for (uint32_t i = 0; i < all->ntiers; i++)
        any |= blocked ? all->tiers[i].below : all->tiers[i].over;
    return any;
}

/* Blocks, or frees, every index held here that is not so yet. */
static void flood_blocks(qd_shards *all)
{
    qd_state *state = qd_cluster_state(all->cluster);
    for (uint32_t i = 0; i < state->n; i++) {
        const qd_index_meta *m = state->indices[i];
        bool blocked = qd_values_bool(m->values, QD_IX_BLOCK_READ_ONLY_DELETE);
        if (!acts(all, blocked)) continue;
        const shard_tier *t = held_on(all, m);
        bool on = t && t->over;
        if (!t || blocked == on || !(t->over || t->below)) continue;
        if (!on && full_elsewhere(all, state, m)) continue;
        qd_err err;
        qd_err_init(&err);
        if (set_block(all, m, on, &err)) {
            qd_log_warn(SHARD_LOG, "[%.*s] " BLOCK " could not be changed: %s", QD_STR_ARG(m->name),
                        qd_err_reason(&err));
        } else if (on) {
            qd_log_warn(SHARD_LOG,
                        "[%.*s] flood stage disk watermark exceeded, its documents are read-only",
                        QD_STR_ARG(m->name));
        } else {
            qd_log_info(SHARD_LOG, "[%.*s] the disk has room again, " BLOCK " is removed",
                        QD_STR_ARG(m->name));
        }
        qd_err_fini(&err);
    }
    qd_state_unref(state);
}

/* --- telling the others ---------------------------------------------------------------------- */

#define TOLD_SIZE_UNIT 26 /* bits: shards are told in steps of 64 MB, smaller ones are not */
#define SIZES_MAX ((size_t)1 << 20)

static int add_size(void *arg, qd_shard *s)
{
    qd_buf *b = arg;
    qd_engine *e;
    qd_engine_stats es;
    if (!qd_shard_ready(s, NULL) || qd_shard_enter(s, 0, &e, NULL)) return 0;
    qd_engine_stats_get(e, &es);
    qd_shard_leave(s);
    uint64_t steps = (uint64_t)es.segment_bytes >> TOLD_SIZE_UNIT;
    qd_index_meta *m = qd_shard_index(s);
    if (steps) {
        qd_buf_printf(b, "%s/%u=%llu ", m->uuid, qd_shard_number(s),
                      (unsigned long long)steps << TOLD_SIZE_UNIT);
    }
    qd_index_meta_unref(m);
    return 0;
}

/* What the others are told of: nothing is available where writes are refused. */
static uint64_t for_writes(const shard_tier *t)
{
    return atomic_load(&t->disk_full) ? 0 : t->available;
}

/* The tiers beside the node's own, "<name>=<total>/<available> ...": in steps of a hundredth. */
static void tell_others(const qd_shards *all, qd_buf *b)
{
    for (uint32_t i = 1; i < all->ntiers; i++) {
        const shard_tier *t = &all->tiers[i];
        uint64_t step = t->total / 100 + 1;
        if (t->total)
            qd_buf_printf(b, "%s=%llu/%llu ", t->name, (unsigned long long)t->total,
                          (unsigned long long)(for_writes(t) / step * step));
    }
}

static bool worth_telling(const qd_shards *all, uint64_t texts)
{
    const qd_node_meta *self = qd_cluster_self(all->cluster);
    qd_state *s = qd_cluster_state(all->cluster);
    const qd_node_meta *n = qd_state_node(s, self->id);
    bool unknown = n && !n->disk_total; /* also after the session was lost */
    qd_state_unref(s);
    const shard_tier *t = &all->tiers[0]; /* the own one */
    uint64_t a = for_writes(t), b = all->flood.told_available;
    if ((a == 0) != (b == 0)) return true; /* health goes by it */
    return unknown || t->total != all->flood.told_total || texts != all->flood.told_texts ||
           (a > b ? a - b : b - a) > t->total / 100;
}

/* The allocation of shards goes by it. */
static void tell_disk(qd_shards *all)
{
    qd_buf b, o;
    qd_err err;
    qd_err_init(&err);
    qd_buf_init(&b, NULL, SIZES_MAX);
    qd_buf_init(&o, NULL, SIZES_MAX);
    (void)qd_shards_each(all, add_size, &b);
    tell_others(all, &o);
    const shard_tier *t = &all->tiers[0]; /* the own one */
    qd_disk_report told = {.total = t->total, .available = for_writes(t)};
    if (!qd_buf_status(&b)) told.shards = qd_str_trim(qd_buf_view(&b));
    if (!qd_buf_status(&o)) told.tiers = qd_str_trim(qd_buf_view(&o));
    uint64_t texts = told.shards.n ? qd_xxh3(told.shards.p, told.shards.n) : 0;
    if (told.tiers.n) texts ^= qd_xxh3(told.tiers.p, told.tiers.n);
    if (worth_telling(all, texts)) {
        int rc = qd_cluster_report_disk(all->cluster, &told, &err);
        if (rc) {
            qd_log_debug(SHARD_LOG, "free space was not told: %s", qd_err_reason(&err));
        } else {
            all->flood.told_total = told.total;
            all->flood.told_available = told.available;
            all->flood.told_texts = texts;
        }
    }
    qd_buf_fini(&o);
    qd_buf_fini(&b);
    qd_err_fini(&err);
}

static void flood_run(qd_work *w)
{
    qd_shards *all = (qd_shards *)(void *)((char *)w - offsetof(qd_shards, flood.work));
    tell_disk(all);
    if (acts(all, true) || acts(all, false)) flood_blocks(all);
    qd_mutex_lock(&all->lock);
    atomic_store(&all->flood.queued, false);
    all->live--;
    qd_cond_broadcast(&all->idle);
    qd_mutex_unlock(&all->lock);
}

static void flood_queue(qd_shards *all)
{
    all->flood.work.run = flood_run;
    qd_mutex_lock(&all->lock);
    all->live++;
    atomic_store(&all->flood.queued, true);
    qd_mutex_unlock(&all->lock);
    if (!qd_pool_submit_forced(qd_pools_get(all->pools, "management"), &all->flood.work, NULL)) {
        return;
    }
    qd_mutex_lock(&all->lock); /* the pools are closing */
    atomic_store(&all->flood.queued, false);
    all->live--;
    qd_mutex_unlock(&all->lock);
}

/* A tier's place among the watermarks; true: it crossed one since the last look. */
static bool look_at_tier(qd_shards *all, shard_tier *t)
{
    const qd_values *v = qd_config_values(all->config);
    bool on = qd_values_bool(v, QD_SET_DISK_THRESHOLD);
    uint64_t flood = mark_bytes(v, QD_SET_DISK_FLOOD, QD_SET_DISK_FLOOD_HEADROOM, t->total),
             high = mark_bytes(v, QD_SET_DISK_HIGH, QD_SET_DISK_HIGH_HEADROOM, t->total);
    bool over = on && t->available < flood, below = on && t->available >= high;
    bool crossed = (over && !t->over) || (below && t->over);
    if (over || below) t->over = over;
    t->below = below;
    return crossed;
}

static void look_at_disks(qd_shards *all, uint64_t now)
{
    const qd_values *v = qd_config_values(all->config);
    bool full = atomic_load(&all->tiers[0].disk_full), told_full = all->flood.told_available == 0;
    bool due = now >= all->flood.due_ns;
    bool crossed = atomic_load(&all->flood.told_total) && full != told_full;
    for (uint32_t i = 0; i < all->ntiers; i++)
        if (all->tiers[i].total) crossed |= look_at_tier(all, &all->tiers[i]);
    if (!due && !crossed) return;
    all->flood.due_ns = now + (uint64_t)qd_values_ms(v, QD_SET_DISK_INTERVAL) * 1000000u;
    flood_queue(all);
}

void qdi_shards_space(qd_shards *all, uint64_t now, uint64_t buffered)
{
    bool queued = atomic_load(&all->flood.queued), any = false;
    for (uint32_t i = 0; i < all->ntiers; i++) {
        shard_tier *t = &all->tiers[i];
        uint64_t total = 0, available = 0;
        if (qd_store_capacity(t->store, &total, &available, NULL) || total == 0) continue;
        any = true;
        refuse_or_not(t, &all->tiers[0], total, available, buffered);
        if (queued) continue; /* the work reads them */
        t->total = total;
        t->available = available;
    }
    if (any && !queued && all->config && all->cluster) look_at_disks(all, now);
}
