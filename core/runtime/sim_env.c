/* sim_env.c: loops and pools of a simulated world: fibers of sim_sched.c. See sim_env.h. */
#include "runtime/sim_env.h"
#include "base/mem.h"
#include "runtime/env_int.h"
#include "runtime/sim_sched_int.h"
#include <stdio.h>

#define WAKE_MAX_NS 20000u
#define POOL_WAKE_MAX_NS 50000u

static qd_sim *sim_of(qd_env *env)
{
    return QD_CONTAINER_OF(env, qdi_sim_env, base)->sim;
}

/* --- loops
 * ---------------------------------------------------------------------------------------- */

typedef struct sim_loop {
    qd_loop base;
    qd_sim *sim;
    qdi_fiber *thread; /* started by qd_loop_start */
    qdi_fiber *runner; /* who runs it now */
    uint64_t due_ns;
} sim_loop;

static sim_loop *loop_of(const qd_loop *loop)
{
    return QD_CONTAINER_OF(loop, sim_loop, base);
}

static void loop_wake(qd_loop *loop)
{
    sim_loop *l = loop_of(loop);
    if (l->runner) qdi_fiber_wake(l->sim, l->runner, WAKE_MAX_NS);
}

static void loop_arm(qd_loop *loop, uint64_t due_ns)
{
    sim_loop *l = loop_of(loop);
    l->due_ns = due_ns;
    /* Armed by somebody else while it sleeps, during set-up: it must sleep anew. */
    if (l->runner && qdi_fiber_here(l->sim) != l->runner) qdi_fiber_wake(l->sim, l->runner, 0);
}

static void loop_run(qd_loop *loop)
{
    sim_loop *l = loop_of(loop);
    l->runner = qdi_fiber_here(l->sim);
    while (!loop->stopped) {
        unsigned ran = qdi_loop_run_posts(loop);
        qdi_loop_run_timers(loop, qd_env_mono_ns(loop->env));
        qdi_loop_end_turn(loop);
        if (loop->stopped) break;
        if (ran == 0 && !atomic_load(&loop->posted)) qdi_fiber_block(l->sim, l->due_ns);
    }
    l->runner = NULL;
}

static void loop_thread(void *arg)
{
    loop_run(arg);
}

static int loop_start(qd_loop *loop, qd_err *err)
{
    sim_loop *l = loop_of(loop);
    l->thread = qdi_fiber_start(loop->env, loop_thread, loop);
    return l->thread ? 0 : qd_err_nomem(err, "a simulated loop");
}

static void loop_close(qd_loop *loop)
{
    sim_loop *l = loop_of(loop);
    if (l->thread) {
        qd_loop_stop(loop);
        qdi_fiber_join(l->sim, l->thread);
    }
    while (qdi_loop_run_posts(loop) > 0) {}
    qdi_loop_fini(loop);
    qd_free(l);
}

static bool loop_here(const qd_loop *loop)
{
    sim_loop *l = loop_of(loop);
    return !l->runner || l->runner == qdi_fiber_here(l->sim);
}

static uint64_t loop_now(const qd_loop *loop)
{
    return qd_env_mono_ns(loop->env);
}

static struct uv_loop_s *loop_uv(qd_loop *loop)
{
    (void)loop;
    return NULL;
}

int qdi_loop_sim_open(qd_env *env, const char *name, qd_loop **out, qd_err *err)
{
    sim_loop *l = qd_calloc(NULL, sizeof *l);
    if (!l) return qd_err_nomem(err, "a simulated loop");
    qdi_loop_init(&l->base, env, name);
    l->sim = sim_of(env);
    l->due_ns = UINT64_MAX;
    l->base.wake = loop_wake;
    l->base.arm = loop_arm;
    l->base.start = loop_start;
    l->base.run = loop_run;
    l->base.close = loop_close;
    l->base.here = loop_here;
    l->base.now = loop_now;
    l->base.uv = loop_uv;
    *out = &l->base;
    return 0;
}

/* --- pools
 * ----------------------------------------------------------------------------------------- */

typedef struct sim_worker {
    struct sim_pool *pool;
    qdi_fiber *fiber;
    bool idle, ended;
    struct sim_worker *next;
} sim_worker;

typedef struct sim_pool {
    qd_pool base;
    qd_sim *sim;
    qd_work *first, **last;
    sim_worker *workers;
    uint32_t threads, threads_max, queue_max, queued, active, idle, largest;
    bool closing;
    uint64_t rejected, completed, wait_ns;
} sim_pool;

static sim_pool *pool_of(qd_pool *pool)
{
    return QD_CONTAINER_OF(pool, sim_pool, base);
}

static void worker_main(void *arg)
{
    sim_worker *w = arg;
    sim_pool *p = w->pool;
    for (;;) {
        while (!p->first) {
            if (p->closing || p->threads > p->threads_max) goto end;
            w->idle = true;
            p->idle++;
            qdi_fiber_block(p->sim, UINT64_MAX);
            p->idle--;
            w->idle = false;
        }
        qd_work *work = p->first;
        p->first = work->next;
        if (!p->first) p->last = &p->first;
        p->queued--;
        if (++p->active > p->largest) p->largest = p->active;
        p->wait_ns += qd_sim_now_ns(p->sim) - work->queued_ns;
        work->run(work); /* may free work */
        p->active--;
        p->completed++;
    }
end:
    p->threads--;
    w->ended = true;
}

static int add_worker(sim_pool *p)
{
    sim_worker *w = qd_calloc(NULL, sizeof *w);
    if (!w) return QD_E_NOMEM;
    w->pool = p;
    w->fiber = qdi_fiber_start(p->base.env, worker_main, w);
    if (!w->fiber) {
        qd_free(w);
        return QD_E_NOMEM;
    }
    w->next = p->workers;
    p->workers = w;
    p->threads++;
    return 0;
}

/* Which idle worker gets up is up to the seed. */
static void wake_one(sim_pool *p)
{
    if (p->idle == 0) return;
    uint64_t chosen = qd_prng_below(qd_sim_prng(p->sim), p->idle);
    for (sim_worker *w = p->workers; w; w = w->next) {
        if (w->idle && chosen-- == 0) qdi_fiber_wake(p->sim, w->fiber, POOL_WAKE_MAX_NS);
    }
}

static int pool_submit(qd_pool *pool, qd_work *work, bool forced)
{
    sim_pool *p = pool_of(pool);
    uint32_t free_hands = p->threads - p->active, room = p->threads_max > p->threads ? 1 : 0;
    if (p->closing) return QD_E_CLOSED;
    if (!forced && p->queued >= free_hands + room &&
        p->queued - free_hands - room >= p->queue_max) {
        p->rejected++;
        return QD_E_REJECTED;
    }
    if (p->queued >= free_hands && room && add_worker(p) != 0 && p->threads == 0) return QD_E_NOMEM;
    work->next = NULL;
    work->queued_ns = qd_sim_now_ns(p->sim);
    *p->last = work;
    p->last = &work->next;
    p->queued++;
    wake_one(p);
    return 0;
}

static void wake_all(sim_pool *p)
{
    for (sim_worker *w = p->workers; w; w = w->next) {
        if (w->idle) qdi_fiber_wake(p->sim, w->fiber, POOL_WAKE_MAX_NS);
    }
}

static void pool_resize(qd_pool *pool, uint32_t threads, uint32_t queue_max)
{
    sim_pool *p = pool_of(pool);
    p->threads_max = threads;
    p->queue_max = queue_max;
    wake_all(p);
}

static void pool_stats(qd_pool *pool, qd_pool_stats *out)
{
    sim_pool *p = pool_of(pool);
    *out = (qd_pool_stats){
        .name = pool->name,
        .threads = p->threads,
        .threads_max = p->threads_max,
        .active = p->active,
        .queue = p->queued,
        .queue_max = p->queue_max,
        .largest = p->largest,
        .rejected = p->rejected,
        .completed = p->completed,
        .wait_ns = p->wait_ns,
    };
}

static void pool_close(qd_pool *pool)
{
    sim_pool *p = pool_of(pool);
    p->closing = true;
    wake_all(p);
    for (sim_worker *w = p->workers, *next; w; w = next) {
        next = w->next;
        qdi_fiber_join(p->sim, w->fiber);
        qd_free(w);
    }
    qd_assert(!p->first && p->threads == 0);
    pool->magic = 0;
    qd_free(p);
}

int qdi_pool_sim_open(qd_env *env, const char *name, uint32_t threads, uint32_t queue_max,
                      qd_pool **out, qd_err *err)
{
    sim_pool *p = qd_calloc(NULL, sizeof *p);
    if (!p) return qd_err_nomem(err, "a simulated pool");
    p->base.magic = QDI_POOL_MAGIC;
    p->base.env = env;
    snprintf(p->base.name, sizeof p->base.name, "%s", name);
    p->base.submit = pool_submit;
    p->base.close = pool_close;
    p->base.resize = pool_resize;
    p->base.stats = pool_stats;
    p->sim = sim_of(env);
    p->last = &p->first;
    p->threads_max = threads;
    p->queue_max = queue_max;
    *out = &p->base;
    return 0;
}
