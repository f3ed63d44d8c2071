/*
 * searcher.c: one searcher for each reader of a shard, kept until a newer reader is asked for. The
 * reader is kept with it, so that its address cannot name another one meanwhile.
 */
#include "base/log.h"
#include "engine/replica.h"
#include "runtime/fiber.h"
#include "search/fielddata.h"
#include "search/ordinals.h"
#include "shard/shards_int.h"

#define BEHIND_LOOK_NS 10000000u  /* between looks at whether it shows what it showed before */
#define IDLE_MIN_NS 1000000000ull /* shards searched more often are not asked whether they idle */

qd_shard *qd_shard_ref(qd_shard *s)
{
    return qdi_shard_ref(s);
}

static int make(qd_shard *s, const qd_reader *r, qd_searcher **out, qd_err *err)
{
    struct qd_segment **segments = qd_alloc(&s->account, (r->n + 1) * sizeof *segments);
    struct qd_live **live = qd_alloc(&s->account, (r->n + 1) * sizeof *live);
    int rc = segments && live ? 0 : qd_err_nomem(err, "searcher");
    for (uint32_t i = 0; i < r->n && !rc; i++) {
        segments[i] = r->leaf[i].segment;
        live[i] = r->leaf[i].live;
    }
    if (!rc) rc = qd_searcher_make(segments, live, r->n, &s->account, out, err);
    if (!rc) qd_searcher_fielddata_by(*out, s->shards->fielddata);
    qd_free(segments);
    qd_free(live);
    return rc;
}

/* Puts a pair in the place of the kept one; the old pair goes without the lock held. */
static void keep(qd_shard *s, qd_searcher *searcher, qd_reader *r)
{
    qd_mutex_lock(&s->searcher_lock);
    qd_searcher *old = s->searcher;
    qd_reader *old_reader = s->searcher_of;
    s->searcher = searcher;
    s->searcher_of = r;
    qd_mutex_unlock(&s->searcher_lock);
    qd_searcher_unref(old);
    qd_reader_unref(old_reader);
}

void qdi_shard_searcher_drop(qd_shard *s, bool all)
{
    bool stale = all;
    if (!all) {
        qd_reader *now = s->engine ? qd_engine_reader(s->engine) : NULL;
        qd_mutex_lock(&s->searcher_lock);
        stale = s->searcher_of && s->searcher_of != now;
        qd_mutex_unlock(&s->searcher_lock);
        qd_reader_unref(now);
    }
    if (stale) keep(s, NULL, NULL);
}

void qdi_shard_searcher_relieve(qd_shard *s)
{
    qd_searcher *old = NULL;
    qd_reader *old_reader = NULL;
    qd_mutex_lock(&s->searcher_lock);
    if (s->searcher && qd_searcher_spare(s->searcher)) { /* whoever wants it takes the lock */
        old = s->searcher;
        old_reader = s->searcher_of;
        s->searcher = NULL;
        s->searcher_of = NULL;
    }
    qd_mutex_unlock(&s->searcher_lock);
    qd_searcher_unref(old);
    qd_reader_unref(old_reader);
}

/* The kept searcher, or NULL. */
static qd_searcher *kept(qd_shard *s)
{
    qd_mutex_lock(&s->searcher_lock);
    qd_searcher *x = s->searcher ? qd_searcher_ref(s->searcher) : NULL;
    qd_mutex_unlock(&s->searcher_lock);
    return x;
}

void qd_shard_fielddata_each(qd_shard *s, void (*fn)(void *arg, qd_str field, int64_t bytes),
                             void *arg)
{
    qd_searcher *x = kept(s);
    if (x) qd_searcher_fielddata_each(x, fn, arg);
    qd_searcher_unref(x);
}

void qd_shard_fielddata_clear(qd_shard *s, qd_str field)
{
    qd_searcher *x = kept(s);
    if (x) qd_searcher_fielddata_clear(x, field);
    qd_searcher_unref(x);
    qdi_shard_searcher_relieve(s); /* its ordinals */
}

/* A shard that was idle has not been refreshed meanwhile: it is now, so that the search sees what
 * it would have seen with the interval. A failure leaves it with what it shows. */
static void wake(qd_shard *s)
{
    uint64_t now = qd_env_mono_ns(s->shards->env), last = atomic_exchange(&s->searched_ns, now);
    qd_index_meta *m = NULL;
    if (now - last < IDLE_MIN_NS) return;
    m = qd_shard_index(s);
    bool idle = !qd_values_is_set(m->values, QD_IX_REFRESH_INTERVAL) &&
                now - last >= (uint64_t)qd_values_ms(m->values, QD_IX_SEARCH_IDLE) * 1000000u;
    qd_index_meta_unref(m);
    if (!idle) return;
    qdi_gate_enter(&s->gate);
    if (s->engine && qd_engine_refresh_needed(s->engine) &&
        qd_engine_refresh_start(s->engine, NULL, NULL)) {
        qd_log_debug(SHARD_LOG, "%s a search woke it, but the refresh failed", s->name);
    }
    qdi_gate_leave(&s->gate);
}

/* --- what was shown before ------------------------------------------------------------------- */

void qd_shard_search_from(qd_shard *s, int64_t seq_no)
{
    atomic_store(&s->search_from, seq_no);
}

/* With the gate held. A replica has started only once it showed what its primary did: the record's
 * rule, whatever it was before. */
static bool shows(qd_engine *e, int64_t from)
{
    qd_engine_checkpoints at;
    qd_engine_checkpoints_get(e, &at);
    return at.shown >= from || qd_engine_mode_get(e) == QD_ENGINE_REPLICA;
}

bool qd_shard_behind(qd_shard *s)
{
    int64_t from = atomic_load_explicit(&s->search_from, memory_order_relaxed);
    if (QD_LIKELY(from == QD_SEQ_NO_NONE)) return false;
    qdi_gate_enter(&s->gate);
    bool behind = s->engine && !shows(s->engine, from);
    /* another opening sets it anew, while nobody is in the gate */
    if (s->engine && !behind) atomic_store(&s->search_from, QD_SEQ_NO_NONE);
    qdi_gate_leave(&s->gate);
    return behind;
}

static int refuse_behind(qd_shard *s, qd_err *err)
{
    return qd_err_set(err, QD_E_NO_SHARD,
                      "%s was opened again and does not show yet what it showed before: its other "
                      "copies have not confirmed that",
                      s->name);
}

int qd_shard_searchable(qd_shard *s, int64_t timeout_ms, qd_err *err)
{
    uint64_t now, until = qd_env_mono_ns(s->shards->env) + (uint64_t)timeout_ms * 1000000u;
    qd_engine *e;
    for (;;) {
        now = qd_env_mono_ns(s->shards->env);
        int rc = qd_shard_enter(s, until > now ? (int64_t)((until - now) / 1000000u) : 0, &e, err);
        if (!rc) qd_shard_leave(s);
        if (!rc) rc = qd_task_check(qd_fiber_task(), err);
        if (rc || !qd_shard_behind(s)) return rc;
        now = qd_env_mono_ns(s->shards->env);
        if (now >= until) return refuse_behind(s, err);
        /* not in the gate: who closes or reopens it waits for whoever is there */
        uint64_t next = now + BEHIND_LOOK_NS;
        qd_mutex_lock(&s->lock);
        (void)qd_waitq_wait_task(&s->changed, next < until ? next : until);
        qd_mutex_unlock(&s->lock);
    }
}

qd_searcher *qd_shard_searcher_now(qd_shard *s)
{
    uint64_t now = qd_env_mono_ns(s->shards->env), last = atomic_load(&s->searched_ns);
    qd_searcher *found = NULL;
    if (last + IDLE_MIN_NS <= now) return NULL;
    if (atomic_load_explicit(&s->search_from, memory_order_relaxed) != QD_SEQ_NO_NONE) return NULL;
    if (!qdi_gate_try(&s->gate)) return NULL;
    qd_reader *r = s->engine ? qd_engine_reader(s->engine) : NULL;
    qdi_gate_leave(&s->gate);
    if (!r) return NULL;
    qd_mutex_lock(&s->searcher_lock);
    if (s->searcher_of == r) found = qd_searcher_ref(s->searcher);
    qd_mutex_unlock(&s->searcher_lock);
    qd_reader_unref(r); /* not the last one: the kept searcher has it, or the engine */
    if (found) atomic_store(&s->searched_ns, now);
    return found;
}

int qd_shard_searcher(qd_shard *s, qd_searcher **out, qd_err *err)
{
    qd_searcher *found = NULL;
    wake(s);
    if (qd_shard_behind(s)) return refuse_behind(s, err);
    qd_reader *r = qd_shard_reader(s);
    if (!r) {
        char reason[256];
        (void)qd_shard_ready(s, reason);
        return qd_err_set(err, QD_E_NO_SHARD, "%s is not open%s%s", s->name, reason[0] ? ": " : "",
                          reason);
    }
    qd_mutex_lock(&s->searcher_lock);
    if (s->searcher_of == r) found = qd_searcher_ref(s->searcher);
    qd_mutex_unlock(&s->searcher_lock);
    if (found) {
        qd_reader_unref(r);
        *out = found;
        return 0;
    }
    int rc = make(s, r, &found, err);
    if (rc) {
        qd_reader_unref(r);
        return rc;
    }
    *out = qd_searcher_ref(found);
    keep(s, found, r);
    return 0;
}
