/*
 * tick.c: what time brings to copies. One thread looks at those that are awake: where something was
 * done lately, or is left to do; at each of the others now and then, to be sure. See repl_int.h.
 */
#include "replication/repl_int.h"
#include <string.h>

#define IDLE_TICKS 60u   /* until a copy is not looked at any more: longer than REPL_RETENTION_NS */
#define SWEEP_TICKS 100u /* in which each of the others is looked at: 10 s */

void repl_awake(repl_shard *g)
{
    qd_replication *r = g->r;
    if (atomic_load(&g->awake) || !g->mapped) return;
    if (qd_vec_push(&r->awake, NULL, g)) return; /* the sweep finds it */
    g->awake_at = r->awake.n - 1;
    atomic_store(&g->awake, true);
    repl_ref(g);
}

/* Under qd_replication.lock; the caller has a reference of its own. */
static void put_to_sleep(repl_shard *g)
{
    qd_replication *r = g->r;
    if (!atomic_load(&g->awake)) return;
    repl_shard *last = r->awake.at[--r->awake.n];
    r->awake.at[g->awake_at] = last;
    last->awake_at = g->awake_at;
    atomic_store(&g->awake, false);
    repl_unref(g);
}

void repl_unmapped(repl_shard *g)
{
    put_to_sleep(g);
    g->mapped = false;
}

void repl_wake(repl_shard *g)
{
    if (QD_LIKELY(atomic_load(&g->awake))) return;
    qd_mutex_lock(&g->r->lock);
    repl_awake(g);
    qd_mutex_unlock(&g->r->lock);
}

typedef QD_VEC(repl_shard *) repl_list;

/* What time brings; true: nothing more, until something happens. */
static bool tick_one(repl_shard *g)
{
    repl_run_late(g);
    qd_mutex_lock(&g->lock);
    if (g->leading && g->engine && (g->pm.top || g->replicated)) {
        int64_t persisted, max;
        repl_checkpoints(g, g->engine, &persisted, &max);
        uint64_t now = repl_now(g);
        repl_primary_progress(&g->pm, persisted, max, now);
        repl_primary_tick(&g->pm, now);
        repl_commits_end(g, qd_env_mono_ns(g->r->env));
        repl_relocate_look(g);
    }
    /* while nobody follows there is nobody to publish to */
    bool publish = g->leading && g->publish_again && !g->publish_runs && g->pm.top;
    /* nobody else will be: it begins again under another term */
    bool stuck = g->leading && g->engine && g->pm.phase == REPL_FENCED &&
                 g->record_term == g->pm.term && strcmp(g->record_primary, g->aid) == 0;
    if (!stuck) {
        g->fenced_ns = 0;
    } else if (!g->fenced_ns) {
        g->fenced_ns = repl_now(g);
    }
    stuck = stuck && repl_now(g) > g->fenced_ns + REPL_STUCK_NS;
    if (stuck) g->fenced_ns = 0;
    bool start = repl_start_due(g);
    bool rest = !publish && !start && !stuck && repl_rests(g);
    bool retain = g->leading && g->engine && repl_now(g) >= g->retention_ns;
    if (retain) g->retention_ns = repl_now(g) + REPL_RETENTION_NS;
    repl_unlock_tick(g);
    if (publish) repl_publish_queue(g);
    if (start) repl_run(g, g->r->change_pool, REPL_JOB_START, repl_start);
    if (stuck)
        repl_fail_shard(g, "the record names it as primary, which it could not stay", QD_E_IO);
    repl_holds_end(g, false);
    if (retain) repl_retention(g);
    return rest;
}

/* Whoever did something meanwhile found it awake, and did not wake it: so it is looked at again. */
static void sleep_on(repl_shard *g)
{
    qd_mutex_lock(&g->r->lock);
    put_to_sleep(g);
    qd_mutex_unlock(&g->r->lock);
    qd_mutex_lock(&g->lock);
    bool rest = repl_rests(g);
    qd_mutex_unlock(&g->lock);
    if (!rest) repl_wake(g);
}

/* Those that are awake, and some of the others; a reference each. Under the lock. */
static void gather(qd_replication *r, repl_list *list)
{
    size_t sweep = r->map.n / SWEEP_TICKS + 1;
    const qd_map_entry *e;
    for (size_t i = 0; i < r->awake.n; i++) {
        if (!qd_vec_push(list, NULL, r->awake.at[i])) repl_ref(r->awake.at[i]);
    }
    for (; sweep && (e = qd_map_next(&r->map, &r->swept)); sweep--) {
        repl_shard *g = e->value;
        if (!atomic_load(&g->awake) && !qd_vec_push(list, NULL, g)) repl_ref(g);
    }
    if (sweep) r->swept = 0;
}

void repl_tick(void *arg)
{
    qd_replication *r = arg;
    qd_mutex_lock(&r->lock);
    while (!r->closing) {
        if (r->map.n == 0) {
            qd_cond_wait(&r->tick, &r->lock);
        } else {
            (void)qd_cond_wait_until(&r->tick, &r->lock, qd_env_mono_ns(r->env) + REPL_TICK_NS);
        }
        if (r->closing) break;
        repl_list list = {0};
        gather(r, &list);
        qd_mutex_unlock(&r->lock);
        for (size_t i = 0; i < list.n; i++) {
            repl_shard *g = list.at[i];
            bool rest = tick_one(g), awake = atomic_load(&g->awake);
            g->idle_ticks = rest ? g->idle_ticks + 1 : 0;
            if (awake && g->idle_ticks > IDLE_TICKS) {
                sleep_on(g);
            } else if (!awake && !rest) {
                repl_wake(g);
            }
            repl_unref(g);
        }
        qd_vec_fini(&list);
        qd_mutex_lock(&r->lock);
    }
    qd_mutex_unlock(&r->lock);
}
