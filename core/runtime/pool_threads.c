/*
 * pool_threads.c: pools of the real world: a queue under one short lock, workers that spin briefly
 * before they sleep.
 *
 * A submit to a pool whose spinner watches needs no system call: the spinner sees `queued` rise. It
 * wakes a sleeper only for work beyond that, and starts a thread only when nobody is idle.
 */
#include "base/mem.h"
#include "runtime/cpu.h"
#include "runtime/env_int.h"
#include "runtime/sync.h"
#include <stdio.h>

#define SPIN_NS 30000u

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
    _Atomic uint32_t queued;
    bool closing;
    uint64_t rejected, completed, wait_ns;
} thread_pool;

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

/* Under the lock: waits for work; false when this worker is to end. */
static bool wait_for_work(thread_pool *p)
{
    bool spun = qd_cpu_count() == 1;
    while (!p->first) {
        if (p->closing || p->threads > p->threads_max) return false;
        if (!spun && p->spinning == 0) {
            p->spinning++;
            qd_mutex_unlock(&p->lock);
            spin(p);
            qd_mutex_lock(&p->lock);
            p->spinning--;
            spun = true;
            continue;
        }
        p->sleeping++;
        qd_cond_wait(&p->more, &p->lock);
        p->sleeping--;
        if (p->waking > 0) p->waking--;
        spun = qd_cpu_count() == 1;
    }
    return true;
}

static void worker_main(void *arg)
{
    thread_pool *p = ((worker *)arg)->pool;
    qd_mutex_lock(&p->lock);
    while (wait_for_work(p)) {
        qd_work *work = p->first;
        p->first = work->next;
        if (!p->first) p->last = &p->first;
        atomic_fetch_sub_explicit(&p->queued, 1, memory_order_relaxed);
        if (++p->active > p->largest) p->largest = p->active;
        qd_mutex_unlock(&p->lock);
        uint64_t waited = qd_env_mono_ns(p->base.env) - work->queued_ns;
        work->run(work); /* may free work */
        qd_mutex_lock(&p->lock);
        p->wait_ns += waited;
        p->active--;
        p->completed++;
    }
    p->threads--;
    qd_mutex_unlock(&p->lock);
}

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
    if (p->closing) {
        rc = QD_E_CLOSED;
    } else if (!forced && queued >= idle + room && queued - idle - room >= p->queue_max) {
        p->rejected++;
        rc = QD_E_REJECTED;
    } else if (queued >= idle && room) {
        rc = add_worker(p);
        if (rc != 0 && p->threads > 0) rc = 0; /* the others will get to it */
    }
    if (rc == 0) {
        *p->last = work;
        p->last = &work->next;
        atomic_store_explicit(&p->queued, queued + 1, memory_order_relaxed);
        if (p->sleeping > p->waking && queued + 1 > p->spinning + p->waking) {
            p->waking++;
            qd_cond_signal(&p->more);
        }
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
        .queue = atomic_load_explicit(&p->queued, memory_order_relaxed),
        .queue_max = p->queue_max,
        .largest = p->largest,
        .rejected = p->rejected,
        .completed = p->completed,
        .wait_ns = p->wait_ns,
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
    qd_assert(!p->first && p->threads == 0);
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
    qd_mutex_init(&p->lock);
    qd_cond_init(&p->more);
    p->last = &p->first;
    p->threads_max = threads;
    p->queue_max = queue_max;
    *out = &p->base;
    return 0;
}
