/*
 * pool_threads.c: pools of the real world: a queue under one short lock, workers that spin briefly
 * before they sleep.
 *
 * A submit to a pool whose spinner watches needs no system call: the spinner sees `queued` rise. It
 * wakes a sleeper only for work beyond that, and starts a thread only when nobody is idle.
 *
 * Fibers that have left their worker (fiber.h) stand in a list; what they waited for puts them into
 * a queue of their own that goes before new work, as they hold memory. While too many are away no
 * new work is taken, so that the pool's own queue fills and refuses. Every WATCH_NS some worker
 * looks whether the task of one was cancelled or is past its deadline.
 */
#include "base/list.h"
#include "base/mem.h"
#include "runtime/cpu.h"
#include "runtime/env_int.h"
#include "runtime/fiber_int.h"
#include "runtime/stack/sample.h"
#include "runtime/sync.h"
#include <stdio.h>

#define SPIN_NS 30000u
#define WATCH_NS 10000000u
#define PARKED_MAX 256u

typedef struct worker {
    struct worker *next;
    qd_thread *thread;
    struct thread_pool *pool;
} worker;

typedef struct thread_pool {
    qd_pool base;
    qd_mutex lock;
    qd_cond more; /* signalled for sleepers */
    qd_work *first, **last;
    worker *workers; /* every one ever started, joined at close */
    uint32_t threads, threads_max, queue_max;
    uint32_t active, largest, sleeping, spinning, waking;
    _Atomic uint32_t queued;      /* in both queues */
    qd_work *ready, **ready_last; /* fibers that go on */
    uint32_t nready;
    qdi_parked *parked;
    uint32_t nparked, parked_largest;
    uint64_t parks, watched_ns;
    bool closing;
    uint64_t rejected, completed, wait_ns;
} thread_pool;

/* The work that ran on this worker has left it: it ends later. Used by a worker's own code only. */
static _Thread_local bool left_worker;

static thread_pool *of(qd_pool *pool)
{
    return QD_CONTAINER_OF(pool, thread_pool, base);
}

static inline void cpu_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Watches the queue for a while without the lock. */
static void spin(thread_pool *p)
{
    uint64_t end = qd_env_mono_ns(p->base.env) + SPIN_NS;
    do {
        for (int i = 0; i < 32; i++) {
            if (atomic_load_explicit(&p->queued, memory_order_relaxed) > 0) return;
            cpu_relax();
        }
    } while (qd_env_mono_ns(p->base.env) < end);
}

static void worker_main(void *arg);

/* Under the lock, which is kept: one more thread. */
static int add_worker(thread_pool *p)
{
    worker *w = qd_calloc(NULL, sizeof *w);
    if (!w) return QD_E_NOMEM;
    w->pool = p;
    int rc = qd_thread_start(p->base.env, p->base.name, worker_main, w, &w->thread, NULL);
    if (rc != 0) {
        qd_free(w);
        return rc;
    }
    w->next = p->workers;
    p->workers = w;
    p->threads++;
    return 0;
}

/* Under the lock, after something was queued: wakes a sleeper unless enough others are on their
 * way. */
static void wake_one(thread_pool *p)
{
    uint32_t queued = atomic_load_explicit(&p->queued, memory_order_relaxed);
    if (p->sleeping <= p->waking || queued <= p->spinning + p->waking) return;
    p->waking++;
    qd_cond_signal(&p->more);
}

/* Under the lock: is there work for a worker? */
static bool has_work(const thread_pool *p)
{
    return p->ready || (p->first && p->nparked < PARKED_MAX);
}

/* Under the lock: queues a parked fiber whose wait is over. */
static void make_ready(thread_pool *p, qdi_parked *x)
{
    x->work.next = NULL;
    *p->ready_last = &x->work;
    p->ready_last = &x->work.next;
    p->nready++;
    uint32_t queued = atomic_fetch_add_explicit(&p->queued, 1, memory_order_relaxed);
    bool busy = queued >= p->threads - p->active;
    if (busy && p->threads < p->threads_max && !p->closing) (void)add_worker(p);
    wake_one(p);
}

static void unlink_parked(thread_pool *p, qdi_parked *x)
{
    QD_LIST_REMOVE(p->parked, x);
    p->nparked--;
}

static void pool_park(qd_pool *pool, qdi_parked *x)
{
    thread_pool *p = of(pool);
    left_worker = true;
    qd_mutex_lock(&p->lock);
    p->parks++;
    x->held = false;
    if (x->came) {
        make_ready(p, x);
    } else {
        QD_LIST_PUSH(p->parked, x);
        if (++p->nparked > p->parked_largest) p->parked_largest = p->nparked;
    }
    qd_mutex_unlock(&p->lock);
}

static void pool_resume(qd_pool *pool, qdi_parked *x)
{
    thread_pool *p = of(pool);
    qd_mutex_lock(&p->lock);
    if (x->held) {
        x->came = true;
    } else {
        unlink_parked(p, x);
        make_ready(p, x);
    }
    qd_mutex_unlock(&p->lock);
}

/* Is the wait to end early? */
static bool is_over(const qdi_parked *x, uint64_t now)
{
    if (!x->stop || x->stopped || x->held) return false;
    if (x->until_ns && now >= x->until_ns) return true;
    return x->task_ends && x->task && qd_task_poll(x->task) != 0;
}

/* Under the lock, given back for each call of stop: asks waits whose time is over, and those of
 * stopped tasks, to end. */
static void watch(thread_pool *p)
{
    p->watched_ns = qd_env_mono_ns(p->base.env);
    for (qdi_parked *x = p->parked; x;) {
        if (!is_over(x, p->watched_ns)) {
            x = x->next;
            continue;
        }
        x->stopped = x->held = true;
        qd_mutex_unlock(&p->lock);
        x->stop(x->stop_arg);
        qd_mutex_lock(&p->lock);
        x->held = false;
        if (x->came) {
            unlink_parked(p, x);
            make_ready(p, x);
        }
        x = p->parked; /* the list may be another one by now */
    }
}

/* Under the lock: sleeps until something changes, or until parked fibers are to be looked at. */
static void sleep_for_work(thread_pool *p)
{
    p->sleeping++;
    if (p->parked) {
        uint64_t next = p->watched_ns + WATCH_NS;
        if (qd_env_mono_ns(p->base.env) >= next) {
            watch(p);
        } else {
            (void)qd_cond_wait_until(&p->more, &p->lock, next);
        }
    } else {
        qd_cond_wait(&p->more, &p->lock);
    }
    p->sleeping--;
    if (p->waking > 0) p->waking--;
}

/* Under the lock: waits for work; false when this worker is to end. */
static bool wait_for_work(thread_pool *p)
{
    bool spun = qd_cpu_count() == 1;
    while (!has_work(p)) {
        bool over = p->closing && !p->nparked && p->active == 0;
        if (over || p->threads > p->threads_max) return false;
        if (!spun && p->spinning == 0) {
            p->spinning++;
            qd_mutex_unlock(&p->lock);
            spin(p);
            qd_mutex_lock(&p->lock);
            p->spinning--;
            spun = true;
            continue;
        }
        sleep_for_work(p);
        spun = qd_cpu_count() == 1;
    }
    return true;
}

/* Under the lock: the next piece; fibers that go on before new work. */
static qd_work *take(thread_pool *p, bool *fresh)
{
    qd_work *work = p->ready;
    *fresh = !work;
    if (work) {
        p->ready = work->next;
        if (!p->ready) p->ready_last = &p->ready;
        p->nready--;
    } else {
        work = p->first;
        p->first = work->next;
        if (!p->first) p->last = &p->first;
    }
    atomic_fetch_sub_explicit(&p->queued, 1, memory_order_relaxed);
    return work;
}

static void worker_main(void *arg)
{
    thread_pool *p = ((worker *)arg)->pool;
    bool fresh;
    qd_mutex_lock(&p->lock);
    for (;;) {
        qd_sample_idle(true);
        bool more = wait_for_work(p);
        qd_sample_idle(false);
        if (!more) break;
        qd_work *work = take(p, &fresh);
        if (++p->active > p->largest) p->largest = p->active;
        qd_mutex_unlock(&p->lock);
        uint64_t now = qd_env_mono_ns(p->base.env);
        uint64_t waited = fresh ? now - work->queued_ns : 0;
        left_worker = false;
        work->run(work); /* may free work */
        qd_mutex_lock(&p->lock);
        p->wait_ns += waited;
        p->active--;
        p->completed += !left_worker;
        if (p->parked && now >= p->watched_ns + WATCH_NS) watch(p);
        if (p->closing) qd_cond_broadcast(&p->more);
    }
    p->threads--;
    qd_mutex_unlock(&p->lock);
}

static int pool_submit(qd_pool *pool, qd_work *work, bool forced)
{
    thread_pool *p = of(pool);
    work->next = NULL;
    work->queued_ns = qd_env_mono_ns(pool->env);
    int rc = 0;
    qd_mutex_lock(&p->lock);
    uint32_t queued = atomic_load_explicit(&p->queued, memory_order_relaxed);
    /* Workers that are neither active nor promised to somebody queued take work at once. */
    uint32_t idle = p->threads - p->active, room = p->threads_max > p->threads ? 1 : 0;
    uint32_t fresh = queued - p->nready;
    if (p->closing) {
        rc = QD_E_CLOSED;
    } else if (!forced && fresh >= idle + room && fresh - idle - room >= p->queue_max) {
        p->rejected++;
        rc = QD_E_REJECTED;
    } else if (queued >= idle && room) {
        rc = add_worker(p);
        if (rc != 0 && p->threads > 0) rc = 0; /* the others will get to it */
    }
    if (rc == 0) {
        *p->last = work;
        p->last = &work->next;
        atomic_fetch_add_explicit(&p->queued, 1, memory_order_relaxed);
        wake_one(p);
    }
    qd_mutex_unlock(&p->lock);
    return rc;
}

static void pool_resize(qd_pool *pool, uint32_t threads, uint32_t queue_max)
{
    thread_pool *p = of(pool);
    qd_mutex_lock(&p->lock);
    p->threads_max = threads;
    p->queue_max = queue_max;
    qd_cond_broadcast(&p->more);
    qd_mutex_unlock(&p->lock);
}

static void pool_stats(qd_pool *pool, qd_pool_stats *out)
{
    thread_pool *p = of(pool);
    qd_mutex_lock(&p->lock);
    *out = (qd_pool_stats){
        .name = pool->name,
        .threads = p->threads,
        .threads_max = p->threads_max,
        .active = p->active,
        .queue = atomic_load_explicit(&p->queued, memory_order_relaxed) - p->nready,
        .queue_max = p->queue_max,
        .largest = p->largest,
        .rejected = p->rejected,
        .completed = p->completed,
        .wait_ns = p->wait_ns,
        .parked = p->nparked,
        .parked_largest = p->parked_largest,
        .parks = p->parks,
    };
    qd_mutex_unlock(&p->lock);
}

static void pool_close(qd_pool *pool)
{
    thread_pool *p = of(pool);
    qd_mutex_lock(&p->lock);
    p->closing = true;
    qd_cond_broadcast(&p->more);
    qd_mutex_unlock(&p->lock);
    for (worker *w = p->workers, *next; w; w = next) {
        next = w->next;
        qd_thread_join(pool->env, w->thread);
        qd_free(w);
    }
    qd_assert(!p->first && !p->ready && !p->parked && p->threads == 0);
    qd_cond_fini(&p->more);
    qd_mutex_fini(&p->lock);
    pool->magic = 0;
    qd_free(p);
}

int qdi_pool_threads_open(qd_env *env, const char *name, uint32_t threads, uint32_t queue_max,
                          qd_pool **out, qd_err *err)
{
    thread_pool *p = qd_calloc(NULL, sizeof *p);
    if (!p) return qd_err_nomem(err, "a thread pool");
    p->base.magic = QDI_POOL_MAGIC;
    p->base.env = env;
    snprintf(p->base.name, sizeof p->base.name, "%s", name);
    p->base.submit = pool_submit;
    p->base.close = pool_close;
    p->base.resize = pool_resize;
    p->base.stats = pool_stats;
    p->base.park = pool_park;
    p->base.resume = pool_resume;
    qd_mutex_init(&p->lock);
    qd_cond_init(&p->more);
    p->last = &p->first;
    p->ready_last = &p->ready;
    p->threads_max = threads;
    p->queue_max = queue_max;
    *out = &p->base;
    return 0;
}
