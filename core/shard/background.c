/*
 * background.c: what happens to shards without a request: refresh by interval, translog sync with
 * async durability, flush by translog size and when idle, the node's indexing budget, room on the
 * disk, reports that did not get through. One thread looks around and queues work on the pools; it
 * does none itself.
 */
#include "base/log.h"
#include "engine/replica.h"
#include "runtime/proc.h"
#include "search/ordinals.h"
#include "shard/shards_int.h"

#define IDLE_TICK_NS UINT64_C(5000000000) /* without shards */
#define TICK_NS 50000000u                 /* granularity of all intervals */
#define SLOT_LEAST (UINT64_C(1) << 20)
#define SWEEP_TICKS 200u             /* in which each shard that sleeps is looked at: 10 s */
#define FLUSH_PAUSE_NS 1000000000ull /* a flush that did not help is not tried at once again */

void qdi_shard_submit(qd_shard *s, shard_job *job, const char *pool, void (*run)(qd_work *))
{
    bool no = false;
    if (!atomic_compare_exchange_strong(&job->queued, &no, true)) return;
    qdi_shard_ref(s);
    job->work.run = run;
    if (qd_pool_submit_forced(qd_pools_get(s->shards->pools, pool), &job->work, NULL)) {
        qdi_shard_job_end(job); /* the pools are closing, or there is no memory for a worker */
    }
}

void qdi_shard_queue(qd_shard *s, shard_job *job, const char *pool, void (*run)(qd_work *))
{
    atomic_store(&job->due, true);
    qdi_shard_wake(s); /* what cannot be queued now is queued by a tick */
    qdi_shard_submit(s, job, pool, run);
}

bool qdi_shard_job_begin(shard_job *job)
{
    return atomic_exchange(&job->due, false);
}

void qdi_shard_job_end(shard_job *job)
{
    qd_shard *s = job->shard;
    atomic_store(&job->queued, false);
    qd_shard_unref(s);
}

static void warn(const qd_shard *s, const char *what, const qd_err *err)
{
    qd_log_warn(SHARD_LOG, "%s %s failed: %s", s->name, what, qd_err_reason(err));
}

static void run_on_engine(shard_job *j, const char *what, int (*fn)(qd_engine *, qd_err *))
{
    qd_shard *s = j->shard;
    qd_err err;
    bool failed = false, due = qdi_shard_job_begin(j);
    qd_err_init(&err);
    qdi_gate_enter(&s->gate);
    if (due && s->engine && fn(s->engine, &err)) {
        warn(s, what, &err);
        failed = qd_engine_failure(s->engine, NULL) != 0;
    }
    qdi_gate_leave(&s->gate);
    qd_err_fini(&err);
    if (failed) qdi_shard_failed(s);
    qdi_shard_job_end(j);
}

static int flush(qd_engine *e, qd_err *err)
{
    return qd_engine_flush(e, false, err);
}

/* Where other copies have a say it is shown once they have confirmed it; nobody waits here. */
static int refresh(qd_engine *e, qd_err *err)
{
    return qd_engine_refresh_start(e, NULL, err);
}

void qdi_shard_refresh_run(qd_work *w)
{
    run_on_engine((shard_job *)(void *)w, "refresh", refresh);
}

void qdi_shard_flush_run(qd_work *w)
{
    run_on_engine((shard_job *)(void *)w, "flush", flush);
}

void qdi_shard_sync_run(qd_work *w)
{
    run_on_engine((shard_job *)(void *)w, "translog sync", qd_engine_sync_all);
}

/* Is a repeated thing due? Sets the next time. interval_ms < 0: never. */
static bool due(_Atomic uint64_t *at, int64_t interval_ms, uint64_t now)
{
    if (interval_ms < 0) return false;
    uint64_t when = atomic_load(at);
    if (when && now < when) return false;
    atomic_store(at, now + (uint64_t)interval_ms * 1000000u + 1);
    return when != 0; /* the first look only starts the interval */
}

#define IDLE_TICKS 60u /* 3 s without a write: pages of the buffers go back */

typedef struct looking {
    uint64_t now, buffers, largest_bytes;
    uint32_t used; /* slots that hold something */
    qd_shard *largest;
    bool trimmed, memory_short;
} looking;

/* Nobody has searched for long, and nobody waits to see his write: the next search refreshes. An
 * interval that somebody has set is kept. */
static bool search_idle(qd_shard *s, const looking *l, const qd_values *v)
{
    int64_t after = qd_values_ms(v, QD_IX_SEARCH_IDLE);
    if (qd_values_is_set(v, QD_IX_REFRESH_INTERVAL)) return false;
    if (qd_values_i64(v, QD_IX_NUMBER_OF_REPLICAS))
        return false; /* searches of other copies are not seen here */
    uint64_t last = atomic_load(&s->searched_ns);
    return l->now >= last + (uint64_t)after * 1000000u && !qd_engine_waited_for(s->engine);
}

/* A large translog, or one that has been lying for a while without a new operation. */
static bool flush_due(qd_shard *s, const looking *l, const qd_values *v)
{
    if (l->now < atomic_load(&s->flush_due_ns)) return false;
    int64_t max = qd_engine_uncommitted(s->engine);
    if (max != s->quiet_seq_no) {
        s->quiet_seq_no = max;
        s->quiet_ns = l->now;
    }
    uint64_t age = (uint64_t)qd_values_ms(v, QD_IX_TRANSLOG_FLUSH_AGE) * 1000000u;
    bool due = (max >= 0 && l->now - s->quiet_ns >= age) ||
               qd_engine_translog_bytes(s->engine) >=
                   (uint64_t)qd_values_i64(v, QD_IX_TRANSLOG_FLUSH_SIZE);
    if (due) atomic_store(&s->flush_due_ns, l->now + FLUSH_PAUSE_NS);
    return due;
}

static void look_at_engine(qd_shard *s, looking *l, const qd_index_meta *m)
{
    const qd_values *v = m->values;
    qdi_shard_searcher_drop(s, false);
    if (l->memory_short) qdi_shard_searcher_relieve(s);
    if (due(&s->refresh_due_ns, qd_values_ms(v, QD_IX_REFRESH_INTERVAL), l->now) &&
        !search_idle(s, l, v) && qd_engine_refresh_needed(s->engine)) {
        qdi_shard_queue(s, &s->refresh, "refresh", qdi_shard_refresh_run);
    }
    bool async = qd_values_i64(v, QD_IX_TRANSLOG_DURABILITY) != 0;
    if (async && due(&s->sync_due_ns, qd_values_ms(v, QD_IX_TRANSLOG_SYNC), l->now)) {
        qdi_shard_queue(s, &s->sync, "flush", qdi_shard_sync_run);
    }
    if (flush_due(s, l, v)) qdi_shard_queue(s, &s->flush, "flush", qdi_shard_flush_run);
    uint64_t bytes = qd_engine_buffer_bytes(s->engine, &l->used);
    qd_engine_slot_bytes_set(s->engine, s->shards->slot_bytes);
    l->buffers += bytes;
    s->idle_ticks = bytes ? 0 : s->idle_ticks + 1;
    if (s->idle_ticks == IDLE_TICKS && !qd_engine_trim(s->engine, &l->trimmed)) s->idle_ticks--;
    if (bytes > l->largest_bytes) {
        qd_shard_unref(l->largest);
        l->largest = qdi_shard_ref(s);
        l->largest_bytes = bytes;
    }
}

/* What nobody else would ask for again: without it the shard would never be open, or told of. It is
 * not asked for anew: it may have been done since it was looked at. */
static void queue_due(qd_shard *s)
{
    if (atomic_load(&s->open.due)) qdi_shard_submit(s, &s->open, "generic", qdi_shard_open_run);
    if (atomic_load(&s->reopen.due))
        qdi_shard_submit(s, &s->reopen, "generic", qdi_shard_reopen_run);
    if (atomic_load(&s->report.due))
        qdi_shard_submit(s, &s->report, "generic", qdi_shard_report_run);
}

static bool none_queued(const qd_shard *s)
{
    const shard_job *all[] = {&s->open,   &s->refresh, &s->flush, &s->sync,
                              &s->reopen, &s->report,  &s->close};
    for (size_t i = 0; i < QD_COUNT_OF(all); i++) {
        if (atomic_load(&all[i]->queued) || atomic_load(&all[i]->due)) return false;
    }
    return true;
}

/* Is there nothing that a look would do until somebody uses it? In the gate. */
static bool rests(qd_shard *s)
{
    uint32_t used = 0;
    return s->engine && s->idle_ticks > IDLE_TICKS && none_queued(s) &&
           !atomic_load(&s->report_due_ns) && !qd_engine_failure(s->engine, NULL) &&
           qd_engine_uncommitted(s->engine) < 0 && !qd_engine_refresh_needed(s->engine) &&
           qd_engine_buffer_bytes(s->engine, &used) == 0;
}

static bool look(looking *l, qd_shard *s)
{
    uint64_t again = atomic_load(&s->report_due_ns);
    bool failed = false, rest = false;
    if (again && l->now >= again) {
        atomic_store(&s->report_due_ns, 0);
        qdi_shard_queue(s, &s->report, "generic", qdi_shard_report_run);
    }
    queue_due(s);
    qd_index_meta *m = qd_shard_index(s);
    qdi_gate_enter(&s->gate);
    if (s->engine) {
        failed = qd_engine_failure(s->engine, NULL) != 0;
        if (!failed) look_at_engine(s, l, m);
        rest = !failed && rests(s);
    }
    qdi_gate_leave(&s->gate);
    qd_index_meta_unref(m);
    if (failed) qdi_shard_failed(s);
    return rest;
}

/* --- who is looked at ------------------------------------------------------------------------- */

static void ref(void *s)
{
    qdi_shard_ref(s);
}

static void unref(void *s)
{
    qd_shard_unref(s);
}

void qdi_shards_tick_init(qd_shards *all)
{
    all->awake = (qd_awake_set){.offset = offsetof(qd_shard, awake), .ref = ref, .unref = unref};
}

void qdi_shard_awake(qd_shard *s)
{
    if (!s->ended && !s->shards->stop) qd_awake_wake(&s->shards->awake, s);
}

void qdi_shard_asleep(qd_shard *s)
{
    qd_awake_sleep(&s->shards->awake, s);
}

void qdi_shard_wake(qd_shard *s)
{
    if (QD_LIKELY(atomic_load(&s->awake.is))) return;
    qd_mutex_lock(&s->shards->lock);
    qdi_shard_awake(s);
    qd_mutex_unlock(&s->shards->lock);
}

/* Whoever did something meanwhile found it awake, and did not wake it: so it is looked at again. */
static void sleep_on(qd_shard *s)
{
    qd_mutex_lock(&s->shards->lock);
    qdi_shard_asleep(s);
    qd_mutex_unlock(&s->shards->lock);
    qdi_gate_enter(&s->gate);
    bool rest = rests(s);
    qdi_gate_leave(&s->gate);
    if (!rest) qdi_shard_wake(s);
}

static void look_around(qd_shards *all, looking *l)
{
    qd_awake_list list = {0};
    qd_mutex_lock(&all->lock);
    /* those that sleep may keep memory that can be given back */
    qd_awake_gather(&all->awake, &all->map, l->memory_short ? 0 : SWEEP_TICKS, &list);
    qd_mutex_unlock(&all->lock);
    for (size_t i = 0; i < list.n; i++) {
        qd_shard *s = list.at[i];
        bool rest = look(l, s);
        if (rest != !atomic_load(&s->awake.is)) {
            if (rest) {
                sleep_on(s);
            } else {
                qdi_shard_wake(s);
            }
        }
        qd_shard_unref(s);
    }
    qd_vec_fini(&list);
}

void qdi_shards_tick(void *arg)
{
    qd_shards *all = arg;
    qd_mutex_lock(&all->lock);
    while (!all->stop) {
        uint64_t until = qd_env_mono_ns(all->env) + TICK_NS;
        if (all->map.n == 0) {
            /* nothing to look after but the disk */
            uint64_t idle =
                atomic_load(&all->flood.queued) || !all->flood.told_total ? TICK_NS : IDLE_TICK_NS;
            (void)qd_cond_wait_until(&all->tick, &all->lock, until - TICK_NS + idle);
        } else {
            (void)qd_cond_wait_until(&all->tick, &all->lock, until);
        }
        if (all->stop) break;
        qd_mutex_unlock(&all->lock);
        looking l = {.now = qd_env_mono_ns(all->env), .memory_short = qd_ordinals_memory_short(0)};
        look_around(all, &l);
        qdi_shards_space(all, l.now, l.buffers);
        qdi_shards_scrub(all, l.now);
        qdi_shards_mark(all, l.now);
        uint64_t closed = atomic_load(&all->closed_due_ns);
        if (closed && l.now >= closed) {
            atomic_store(&all->closed_due_ns, 0);
            qdi_closed_reports(all);
        }
        /* all of it for one writer; what several write is shared, and none gets less than makes a
         * segment worth its merges */
        uint64_t share = (uint64_t)all->buffer_bytes / (l.used ? l.used : 1);
        all->slot_bytes = share < SLOT_LEAST ? SLOT_LEAST : share;
        if (l.largest && l.buffers > (uint64_t)all->buffer_bytes) {
            qdi_shard_queue(l.largest, &l.largest->refresh, "refresh", qdi_shard_refresh_run);
        }
        qd_shard_unref(l.largest);
        if (l.trimmed) qd_proc_trim_heap();
        qd_mutex_lock(&all->lock);
    }
    qd_mutex_unlock(&all->lock);
}
