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
    return atomic_load(&s->disk_full);
}

/* What writes leave free. A buffer's segment is smaller than the buffer. */
static uint64_t margin_of(uint64_t total, uint64_t buffered)
{
    uint64_t part = total / MARGIN_PART;
    return (part < MARGIN_MAX ? part : MARGIN_MAX) + buffered / 2;
}

static void refuse_or_not(qd_shards *all, uint64_t total, uint64_t available, uint64_t buffered)
{
    uint64_t margin = margin_of(total, buffered);
    bool was = atomic_load(&all->disk_full);
    /* with some distance, so that it does not flap */
    bool full = available < margin + (was ? margin / 4 : 0);
    if (full == was) return;
    atomic_store(&all->disk_full, full);
    if (full) {
        qd_log_error(SHARD_LOG, "disk full: %llu of %llu bytes are free, writes are refused",
                     (unsigned long long)available, (unsigned long long)total);
    } else {
        qd_log_info(SHARD_LOG, "%llu bytes are free again: writes are accepted",
                    (unsigned long long)available);
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

/* Has this node a shard of the index? */
static bool held(qd_shards *all, const qd_index_meta *m)
{
    bool yes = false;
    for (uint32_t k = 0; k < m->shards && !yes; k++) {
        qd_shard *s = qd_shards_get(all, m->uuid, k);
        yes = s != NULL;
        qd_shard_unref(s);
    }
    return yes;
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

/* Is a copy of the index on another node whose disk is above the high watermark? */
static bool full_elsewhere(qd_shards *all, const qd_state *s, const qd_index_meta *m)
{
    const qd_values *v = qd_config_values(all->config);
    for (uint32_t k = 0; k < m->shards; k++) {
        const qd_shard_meta *r = qd_state_shard(s, m, k);
        for (uint32_t i = 0; r && i < r->ncopies; i++) {
            const qd_node_meta *n =
                r->copies[i].node.n ? qd_state_node(s, r->copies[i].node) : NULL;
            if (!n || !n->disk_total || qd_str_eq(n->id, qd_cluster_self(all->cluster)->id))
                continue;
            if (n->disk_free <
                mark_bytes(v, QD_SET_DISK_HIGH, QD_SET_DISK_HIGH_HEADROOM, n->disk_total))
                return true;
        }
    }
    return false;
}

/* Blocks, or frees, every index held here that is not so yet. */
static void flood_blocks(qd_shards *all)
{
    bool on = all->flood.over;
    qd_state *state = qd_cluster_state(all->cluster);
    for (uint32_t i = 0; i < state->n; i++) {
        const qd_index_meta *m = state->indices[i];
        if (qd_values_bool(m->values, QD_IX_BLOCK_READ_ONLY_DELETE) == on || !held(all, m))
            continue;
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
static uint64_t for_writes(const qd_shards *all)
{
    return atomic_load(&all->disk_full) ? 0 : all->flood.available;
}

static bool worth_telling(const qd_shards *all, uint64_t sizes)
{
    const qd_node_meta *self = qd_cluster_self(all->cluster);
    qd_state *s = qd_cluster_state(all->cluster);
    const qd_node_meta *n = qd_state_node(s, self->id);
    bool unknown = n && !n->disk_total; /* also after the session was lost */
    qd_state_unref(s);
    uint64_t a = for_writes(all), b = all->flood.told_available;
    if ((a == 0) != (b == 0)) return true; /* health goes by it */
    return unknown || all->flood.total != all->flood.told_total || sizes != all->flood.told_sizes ||
           (a > b ? a - b : b - a) > all->flood.total / 100;
}

/* The allocation of shards goes by it. */
static void tell_disk(qd_shards *all)
{
    qd_buf b;
    qd_err err;
    qd_err_init(&err);
    qd_buf_init(&b, NULL, SIZES_MAX);
    (void)qd_shards_each(all, add_size, &b);
    qd_str text = qd_buf_status(&b) ? (qd_str){NULL, 0} : qd_str_trim(qd_buf_view(&b));
    uint64_t sizes = text.n ? qd_xxh3(text.p, text.n) : 0;
    if (worth_telling(all, sizes)) {
        uint64_t available = for_writes(all);
        int rc = qd_cluster_report_disk(all->cluster, all->flood.total, available, text, &err);
        if (rc) {
            qd_log_debug(SHARD_LOG, "free space was not told: %s", qd_err_reason(&err));
        } else {
            all->flood.told_total = all->flood.total;
            all->flood.told_available = available;
            all->flood.told_sizes = sizes;
        }
    }
    qd_buf_fini(&b);
    qd_err_fini(&err);
}

static void flood_run(qd_work *w)
{
    qd_shards *all = (qd_shards *)(void *)((char *)w - offsetof(qd_shards, flood.work));
    tell_disk(all);
    if (all->flood.over || all->flood.below) flood_blocks(all);
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

static void look_at_disk(qd_shards *all, uint64_t now, uint64_t total, uint64_t available)
{
    const qd_values *v = qd_config_values(all->config);
    bool on = qd_values_bool(v, QD_SET_DISK_THRESHOLD);
    if (atomic_load(&all->flood.queued)) return;
    bool over =
        on && available < mark_bytes(v, QD_SET_DISK_FLOOD, QD_SET_DISK_FLOOD_HEADROOM, total);
    bool below =
        on && available >= mark_bytes(v, QD_SET_DISK_HIGH, QD_SET_DISK_HIGH_HEADROOM, total);
    bool due = now >= all->flood.due_ns;
    bool full = atomic_load(&all->disk_full), told_full = all->flood.told_available == 0;
    bool crossed = (over && !all->flood.over) || (below && all->flood.over) ||
                   (atomic_load(&all->flood.told_total) && full != told_full);
    if (!due && !crossed) return;
    all->flood.due_ns = now + (uint64_t)qd_values_ms(v, QD_SET_DISK_INTERVAL) * 1000000u;
    if (over || below) all->flood.over = over;
    all->flood.below = below;
    all->flood.total = total;
    all->flood.available = available;
    flood_queue(all);
}

void qdi_shards_space(qd_shards *all, uint64_t now, uint64_t buffered)
{
    uint64_t total = 0, available = 0;
    if (qd_store_capacity(all->store, &total, &available, NULL) || total == 0) return;
    refuse_or_not(all, total, available, buffered);
    if (all->config && all->cluster) look_at_disk(all, now, total, available);
}
