/*
 * tick.c: what time brings to copies. One thread looks at those that are awake: where something was
 * done lately, or is left to do; at each of the others now and then, to be sure. See repl_int.h.
 */
#include "replication/repl_int.h"
#include <string.h>

#define IDLE_TICKS 60u   /* until a copy is not looked at any more: longer than REPL_RETENTION_NS */
#define SWEEP_TICKS 100u /* in which each of the others is looked at: 10 s */

static void ref(void *g)
{
    repl_ref(g);
}

static void unref(void *g)
{
    repl_unref(g);
}

void repl_tick_init(qd_replication *r)
{
    r->awake = (qd_awake_set){.offset = offsetof(repl_shard, awake), .ref = ref, .unref = unref};
}

void repl_awake(repl_shard *g)
{
    if (g->mapped) qd_awake_wake(&g->r->awake, g);
    qd_assert(g->mapped || !atomic_load(&g->awake.is)); /* the list has none that is going */
}

void repl_unmapped(repl_shard *g)
{
    qd_awake_sleep(&g->r->awake, g);
    g->mapped = false;
    qd_assert(!atomic_load(&g->awake.is)); /* the list's reference is gone */
}

void repl_wake(repl_shard *g)
{
    if (QD_LIKELY(atomic_load(&g->awake.is))) return;
    qd_mutex_lock(&g->r->lock);
    repl_awake(g);
    qd_mutex_unlock(&g->r->lock);
}

/* What time brings; true: nothing more, until something happens. */
static bool tick_one(repl_shard *g)
{
    repl_run_late(g);
    qd_mutex_lock(&g->lock);
    qd_invariant(!g->leading || g->pm.term >= g->cm.term); /* who obeys a later one leads no more */
    if (g->leading && g->engine && (g->pm.top || g->replicated)) {
        int64_t persisted, max;
        repl_checkpoints(g, g->engine, &persisted, &max);
        uint64_t now = repl_now(g);
        qd_assert(persisted <= max);
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
    qd_assert(!stuck ||
              g->fenced_ns <= repl_now(g)); /* its time began at an earlier tick, or now */
    stuck = stuck && repl_now(g) > g->fenced_ns + REPL_STUCK_NS;
    if (stuck) g->fenced_ns = 0;
    bool start = repl_start_due(g);
    bool rest = !publish && !start && !stuck && repl_rests(g);
    bool retain = g->engine && repl_now(g) >= g->retention_ns;
    if (retain) g->retention_ns = repl_now(g) + REPL_RETENTION_NS;
    qd_assert(!rest || (!publish && !start && !stuck)); /* who rests is not looked at again */
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
    qd_awake_sleep(&g->r->awake, g);
    qd_mutex_unlock(&g->r->lock);
    qd_mutex_lock(&g->lock);
    bool rest = repl_rests(g);
    qd_mutex_unlock(&g->lock);
    if (!rest) repl_wake(g);
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
        qd_assert(r->awake.at.n <= r->map.n); /* each shard once */
        qd_awake_list list = {0};
        qd_awake_gather(&r->awake, &r->map, SWEEP_TICKS, &list);
        qd_mutex_unlock(&r->lock);
        for (size_t i = 0; i < list.n; i++) {
            repl_shard *g = list.at[i];
            bool rest = tick_one(g), awake = atomic_load(&g->awake.is);
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
