/*
 * mark.c: that this node goes on writing is written down, in its folder and with the cluster, at
 * most once in cluster.data_mark.interval and at a clean stop, and only when something was written
 * since: a folder that is put back as it was before the last mark is an old copy, also one of the
 * same run of the node.
 */
#include "base/log.h"
#include "shard/shards_int.h"

static int add_written(void *arg, qd_shard *s)
{
    uint64_t *sum = arg;
    qd_engine *e;
    qd_engine_stats es;
    if (!qd_shard_ready(s, NULL) || qd_shard_enter(s, 0, &e, NULL)) return 0;
    qd_engine_stats_get(e, &es);
    qd_shard_leave(s);
    *sum += (uint64_t)(es.max_seq_no + 1);
    return 0;
}

static uint64_t written(qd_shards *all)
{
    uint64_t sum = 0;
    (void)qd_shards_each(all, add_written, &sum);
    return sum;
}

/* last: the node stops, and waits for nothing long. */
static void mark(qd_shards *all, bool last)
{
    uint64_t now = written(all);
    qd_err err;
    if (!now || now == all->mark.written) return;
    qd_err_init(&err);
    if (qd_cluster_mark(atomic_load(&all->cluster), last, &err))
        qd_log_debug(SHARD_LOG, "what was written was not marked: %s", qd_err_reason(&err));
    else
        all->mark.written = now; /* what came meanwhile is marked next time */
    qd_err_fini(&err);
}

static void mark_run(qd_work *w)
{
    qd_shards *all = (qd_shards *)(void *)((char *)w - offsetof(qd_shards, mark.work));
    mark(all, false);
    qd_mutex_lock(&all->lock);
    atomic_store(&all->mark.queued, false);
    all->live--;
    qd_cond_broadcast(&all->idle);
    qd_mutex_unlock(&all->lock);
}

void qdi_shards_mark(qd_shards *all, uint64_t now)
{
    if (!all->config || !atomic_load(&all->cluster) || atomic_load(&all->mark.queued)) return;
    const qd_values *v = qd_config_values(all->config);
    uint64_t interval = (uint64_t)qd_values_ms(v, QD_SET_DATA_MARK_INTERVAL) * 1000000u;
    if (!all->mark.due_ns) all->mark.due_ns = now + interval;
    if (now < all->mark.due_ns) return;
    all->mark.due_ns = now + interval;
    all->mark.work.run = mark_run;
    qd_mutex_lock(&all->lock);
    all->live++;
    atomic_store(&all->mark.queued, true);
    qd_mutex_unlock(&all->lock);
    if (!qd_pool_submit_forced(qd_pools_get(all->pools, "management"), &all->mark.work, NULL))
        return;
    qd_mutex_lock(&all->lock); /* the pools are closing */
    atomic_store(&all->mark.queued, false);
    all->live--;
    qd_mutex_unlock(&all->lock);
}

void qd_shards_mark_last(qd_shards *all)
{
    if (!atomic_load(&all->cluster)) return;
    qd_mutex_lock(&all->lock);
    while (atomic_load(&all->mark.queued)) qd_cond_wait(&all->idle, &all->lock);
    all->mark.due_ns = UINT64_MAX; /* no other one begins */
    qd_mutex_unlock(&all->lock);
    mark(all, true);
}
