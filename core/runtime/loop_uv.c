/*
 * loop_uv.c: loops of the real world: one uv_loop_t with a waker, one timer for the heap of loop.c,
 * and a prepare handle that ends each turn.
 *
 * libuv's thread pool is not used here; its size is set before the first loop, for libraft.
 */
#include "base/log.h"
#include "base/mem.h"
#include "runtime/env_int.h"
#include "runtime/stack/sample.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

typedef struct uv_backed_loop {
    qd_loop base;
    uv_loop_t uv;
    uv_async_t waker;
    uv_timer_t timer;
    uv_prepare_t prepare;
    qd_thread *thread; /* NULL when run by the caller */
    _Atomic pthread_t runner;
    _Atomic bool running;
    uint64_t turn_end_ns, idle_ns; /* at the last prepare */
    struct uv_backed_loop *next;   /* of those with threads */
    qd_post pulse;
    _Atomic bool asked; /* the pulse is under way */
} uv_backed_loop;

/* Those with threads, from start to close. */
static pthread_mutex_t listing = PTHREAD_MUTEX_INITIALIZER;
static uv_backed_loop *listed;

static uv_backed_loop *of(const qd_loop *loop)
{
    return QD_CONTAINER_OF(loop, uv_backed_loop, base);
}

static void loop_wake(qd_loop *loop)
{
    uv_async_send(&of(loop)->waker);
}

static void on_wake(uv_async_t *handle)
{
    uv_backed_loop *l = QD_CONTAINER_OF(handle, uv_backed_loop, waker);
    qdi_loop_run_posts(&l->base);
    if (l->base.stopped) uv_stop(&l->uv);
}

static void on_timer(uv_timer_t *handle)
{
    uv_backed_loop *l = QD_CONTAINER_OF(handle, uv_backed_loop, timer);
    qdi_loop_run_timers(&l->base, qd_env_mono_ns(l->base.env));
}

static void loop_arm(qd_loop *loop, uint64_t due_ns)
{
    uv_backed_loop *l = of(loop);
    if (due_ns == UINT64_MAX) {
        uv_timer_stop(&l->timer);
        return;
    }
    uv_update_time(&l->uv);
    /* libuv counts whole milliseconds of the same clock: round up, so as never to fire early. */
    uint64_t due_ms = (due_ns + 999999) / 1000000, now_ms = uv_now(&l->uv);
    uv_timer_start(&l->timer, on_timer, due_ms > now_ms ? due_ms - now_ms : 0, 0);
}

static void on_prepare(uv_prepare_t *handle)
{
    uv_backed_loop *l = QD_CONTAINER_OF(handle, uv_backed_loop, prepare);
    qdi_loop_end_turn(&l->base);
    uint64_t now = qd_env_mono_ns(l->base.env), idle = uv_metrics_idle_time(&l->uv);
    uint64_t elapsed = now - l->turn_end_ns, slept = idle - l->idle_ns;
    uint64_t busy = elapsed > slept ? elapsed - slept : 0;
    l->turn_end_ns = now;
    l->idle_ns = idle;
    atomic_fetch_add_explicit(&l->base.busy_ns, busy, memory_order_relaxed);
    if (busy > atomic_load_explicit(&l->base.lag_max_ns, memory_order_relaxed))
        atomic_store_explicit(&l->base.lag_max_ns, busy, memory_order_relaxed);
}

static void loop_run(qd_loop *loop)
{
    uv_backed_loop *l = of(loop);
    atomic_store(&l->runner, pthread_self());
    atomic_store(&l->running, true);
    l->turn_end_ns = qd_env_mono_ns(loop->env);
    l->idle_ns = uv_metrics_idle_time(&l->uv);
    qd_sample_calling(__builtin_frame_address(0));
    while (!loop->stopped) uv_run(&l->uv, UV_RUN_DEFAULT);
    qd_sample_calling(NULL);
    atomic_store(&l->running, false);
}

static void loop_thread(void *arg)
{
    uv_backed_loop *l = arg;
    loop_run(&l->base);
}

static int loop_start(qd_loop *loop, qd_err *err)
{
    uv_backed_loop *l = of(loop);
    qd_assert(!l->thread);
    int rc = qd_thread_start(loop->env, loop->name, loop_thread, l, &l->thread, err);
    if (rc != 0) return rc;
    pthread_mutex_lock(&listing);
    l->next = listed;
    listed = l;
    pthread_mutex_unlock(&listing);
    return 0;
}

static void unlist(uv_backed_loop *l)
{
    pthread_mutex_lock(&listing);
    for (uv_backed_loop **at = &listed; *at; at = &(*at)->next) {
        if (*at != l) continue;
        *at = l->next;
        break;
    }
    pthread_mutex_unlock(&listing);
}

static void on_pulse(qd_post *post)
{
    atomic_store(&QD_CONTAINER_OF(post, uv_backed_loop, pulse)->asked, false);
}

bool qd_loops_turn(char stuck[64])
{
    bool all = true;
    pthread_mutex_lock(&listing);
    for (uv_backed_loop *l = listed; l; l = l->next) {
        if (atomic_exchange(&l->asked, true)) {
            snprintf(stuck, 64, "%s", l->base.name);
            all = false;
            continue;
        }
        l->pulse.fn = on_pulse;
        qd_loop_post(&l->base, &l->pulse);
    }
    pthread_mutex_unlock(&listing);
    return all;
}

static bool loop_here(const qd_loop *loop)
{
    uv_backed_loop *l = of(loop);
    return !atomic_load_explicit(&l->running, memory_order_relaxed) ||
           pthread_equal(atomic_load_explicit(&l->runner, memory_order_relaxed), pthread_self());
}

static uint64_t loop_now(const qd_loop *loop)
{
    return uv_now(&of(loop)->uv) * 1000000u;
}

static uv_loop_t *loop_uv(qd_loop *loop)
{
    return &of(loop)->uv;
}

static void report_open(uv_handle_t *handle, void *arg)
{
    uv_backed_loop *l = arg;
    if (!uv_is_closing(handle))
        qd_log_error("runtime", "loop [%s] is closed with an open handle of type %s", l->base.name,
                     uv_handle_type_name(handle->type));
}

static void loop_close(qd_loop *loop)
{
    uv_backed_loop *l = of(loop);
    if (l->thread) {
        unlist(l); /* what asks it now has asked: the pulse runs below */
        qd_loop_stop(loop);
        qd_thread_join(loop->env, l->thread);
    }
    qd_assert(!atomic_load(&l->running));
    do {
        qdi_loop_posters_wait(loop);
    } while (qdi_loop_run_posts(loop) > 0);
    uv_close((uv_handle_t *)&l->waker, NULL);
    uv_close((uv_handle_t *)&l->timer, NULL);
    uv_close((uv_handle_t *)&l->prepare, NULL);
    /* Handles of others that are closing get their callbacks here; open ones are a defect. */
    uv_walk(&l->uv, report_open, l);
    for (int i = 0; i < 1000 && uv_loop_alive(&l->uv); i++) uv_run(&l->uv, UV_RUN_NOWAIT);
    int rc = uv_loop_close(&l->uv);
    qd_assert(rc == 0);
    qdi_loop_fini(loop);
    qd_free(l);
}

static void size_thread_pool(void)
{
    /* One pool a process, of 4 threads, for libraft's log writes. Before the first loop, while the
     * process has one thread. */
    setenv("UV_THREADPOOL_SIZE", "4", 0);
}

int qdi_loop_uv_open(qd_env *env, const char *name, qd_loop **out, qd_err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, size_thread_pool);
    uv_backed_loop *l = qd_calloc(NULL, sizeof *l);
    if (!l) return qd_err_nomem(err, "a loop");
    qdi_loop_init(&l->base, env, name);
    l->base.wake = loop_wake;
    l->base.arm = loop_arm;
    l->base.start = loop_start;
    l->base.run = loop_run;
    l->base.close = loop_close;
    l->base.here = loop_here;
    l->base.now = loop_now;
    l->base.uv = loop_uv;
    int rc = uv_loop_init(&l->uv);
    if (rc != 0) {
        qd_free(l);
        return qd_err_set(err, QD_E_IO, "cannot open the loop [%s]: %s", name, uv_strerror(rc));
    }
    uv_loop_configure(&l->uv, UV_METRICS_IDLE_TIME);
    rc = uv_async_init(&l->uv, &l->waker, on_wake);
    if (rc != 0) {
        uv_loop_close(&l->uv);
        qd_free(l);
        return qd_err_set(err, QD_E_IO, "cannot open the loop [%s]: %s", name, uv_strerror(rc));
    }
    uv_timer_init(&l->uv, &l->timer);
    uv_prepare_init(&l->uv, &l->prepare);
    uv_prepare_start(&l->prepare, on_prepare);
    *out = &l->base;
    return 0;
}

uint32_t qd_loop_uv_version(void)
{
    return uv_version();
}
