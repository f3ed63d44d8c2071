/*
 * space.c: room on the tier.
 *
 * Two things hang on it. Close to its end writes are refused before they take a number: what is
 * left is for the segments of what was accepted, and for commit points. And, as Elasticsearch does
 * it, an index with a shard on a disk above the flood stage becomes read-only but for deletion,
 * until the disk is below the high watermark again.
 */
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

/* Blocks, or frees, every index held here that is not so yet. */
static void flood_run(qd_work *w)
{
    qd_shards *all = (qd_shards *)(void *)((char *)w - offsetof(qd_shards, flood.work));
    bool on = all->flood.over;
    qd_state *state = qd_cluster_state(all->cluster);
    for (uint32_t i = 0; i < state->n; i++) {
        const qd_index_meta *m = state->indices[i];
        if (qd_values_bool(m->values, QD_IX_BLOCK_READ_ONLY_DELETE) == on || !held(all, m))
            continue;
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

/* A watermark as bytes to be left free; headroom bounds what a percentage asks for. */
static uint64_t mark_bytes(const qd_values *v, qd_set mark, qd_set headroom, uint64_t total)
{
    uint64_t left = (uint64_t)qd_values_space_free(v, mark, (int64_t)total);
    int64_t most = qd_values_i64(v, headroom);
    bool capped = most >= 0 && (!qd_values_is_set(v, mark) || qd_values_is_set(v, headroom));
    return capped && left > (uint64_t)most ? (uint64_t)most : left;
}

static void look_at_marks(qd_shards *all, uint64_t now, uint64_t total, uint64_t available)
{
    const qd_values *v = qd_config_values(all->config);
    if (!qd_values_bool(v, QD_SET_DISK_THRESHOLD) || atomic_load(&all->flood.queued)) return;
    bool over = available < mark_bytes(v, QD_SET_DISK_FLOOD, QD_SET_DISK_FLOOD_HEADROOM, total);
    bool below = available >= mark_bytes(v, QD_SET_DISK_HIGH, QD_SET_DISK_HIGH_HEADROOM, total);
    bool due = now >= all->flood.due_ns;
    bool crossed = (over && !all->flood.over) || (below && all->flood.over);
    if (!due && !crossed) return;
    all->flood.due_ns = now + (uint64_t)qd_values_ms(v, QD_SET_DISK_INTERVAL) * 1000000u;
    if (over || below) {
        all->flood.over = over;
        flood_queue(all);
    }
}

void qdi_shards_space(qd_shards *all, uint64_t now, uint64_t buffered)
{
    uint64_t total = 0, available = 0;
    if (qd_store_capacity(all->store, &total, &available, NULL) || total == 0) return;
    refuse_or_not(all, total, available, buffered);
    if (all->config && all->cluster) look_at_marks(all, now, total, available);
}
