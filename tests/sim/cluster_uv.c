/* cluster_uv.c: loops and threads of the plugin as fibers. See cluster_shim/uv.h, cluster_uv.h. */
#include "cluster_uv.h"
#include "cluster_shim/uv.h"
#include "runtime/sim_env.h"
#include "still.h"
#include <stdlib.h>

static qd_env *here(void)
{
    return qd_sim_env_here(coord_sim());
}

uint64_t uv_hrtime(void)
{
    return coord_clock_ns(here());
}

int uv_loop_init(uv_loop_t *l)
{
    *l = (uv_loop_t){.env = here()};
    qd_mutex_init(&l->lock);
    qd_cond_init(&l->wake);
    return 0;
}

int uv_loop_close(uv_loop_t *l)
{
    qd_mutex_fini(&l->lock);
    qd_cond_fini(&l->wake);
    return 0;
}

void uv_update_time(uv_loop_t *l)
{
    (void)l;
}

/* --- handles ---------------------------------------------------------------------------------- */

static void init(uv_loop_t *l, uv_handle_t *h, int type, void (*fn)(uv_handle_t *))
{
    void *data = h->data;
    *h = (uv_handle_t){.data = data, .loop = l, .type = type, .fn = fn, .next = l->handles};
    l->handles = h;
}

static void wake(uv_loop_t *l)
{
    l->woken = 1;
    qd_cond_signal(&l->wake);
}

int uv_async_init(uv_loop_t *l, uv_async_t *h, void (*fn)(uv_async_t *))
{
    init(l, h, SIM_UV_ASYNC, fn);
    h->active = 1;
    return 0;
}

int uv_async_send(uv_async_t *h)
{
    h->pending = 1;
    wake(h->loop);
    return 0;
}

int uv_timer_init(uv_loop_t *l, uv_timer_t *h)
{
    init(l, h, SIM_UV_TIMER, NULL);
    return 0;
}

int uv_timer_start(uv_timer_t *h, void (*fn)(uv_timer_t *), uint64_t milliseconds, uint64_t repeat)
{
    (void)repeat;
    h->fn = fn;
    h->active = 1;
    h->due_ns = coord_time_ns(h->loop->env) + milliseconds * 1000000;
    return 0;
}

int uv_timer_stop(uv_timer_t *h)
{
    h->active = 0;
    return 0;
}

int uv_prepare_init(uv_loop_t *l, uv_prepare_t *h)
{
    init(l, h, SIM_UV_PREPARE, NULL);
    return 0;
}

int uv_prepare_start(uv_prepare_t *h, void (*fn)(uv_prepare_t *))
{
    h->fn = fn;
    h->active = 1;
    return 0;
}

int uv_idle_init(uv_loop_t *l, uv_idle_t *h)
{
    init(l, h, SIM_UV_IDLE, NULL);
    return 0;
}

int uv_idle_start(uv_idle_t *h, void (*fn)(uv_idle_t *))
{
    h->fn = fn;
    h->active = 1;
    return 0;
}

int uv_idle_stop(uv_idle_t *h)
{
    h->active = 0;
    return 0;
}

int uv_is_closing(const uv_handle_t *h)
{
    return h->closing;
}

void uv_close(uv_handle_t *h, void (*closed)(uv_handle_t *))
{
    h->closing = 1;
    h->active = 0;
    h->closed = closed;
}

/* --- turns ------------------------------------------------------------------------------------ */

/* Runs what is due of a kind; handles may close each other meanwhile. */
static int run_kind(uv_loop_t *l, int type)
{
    uint64_t now = coord_time_ns(l->env);
    int ran = 0;
    for (uv_handle_t *h = l->handles, *next; h; h = next) {
        next = h->next;
        if (h->type != type || h->closing || !h->active) continue;
        if (type == SIM_UV_ASYNC && !h->pending) continue;
        if (type == SIM_UV_TIMER && h->due_ns > now) continue;
        if (type == SIM_UV_TIMER) h->active = 0;
        h->pending = 0;
        h->fn(h);
        ran++;
    }
    return ran;
}

static void run_closing(uv_loop_t *l)
{
    for (uv_handle_t **at = &l->handles; *at;) {
        uv_handle_t *h = *at;
        if (!h->closing) {
            at = &h->next;
            continue;
        }
        *at = h->next;
        if (h->closed) h->closed(h); /* it may be freed there */
        at = &l->handles;
    }
}

static void wait(uv_loop_t *l)
{
    uint64_t until = UINT64_MAX;
    for (const uv_handle_t *h = l->handles; h; h = h->next) {
        if (h->closing || (h->type == SIM_UV_IDLE && h->active)) return;
        if (h->type == SIM_UV_ASYNC && h->pending) return;
        if (h->type == SIM_UV_TIMER && h->active && h->due_ns < until) until = h->due_ns;
    }
    qd_mutex_lock(&l->lock);
    if (!l->woken && until == UINT64_MAX) qd_cond_wait(&l->wake, &l->lock);
    if (!l->woken && until != UINT64_MAX) (void)qd_cond_wait_until(&l->wake, &l->lock, until);
    l->woken = 0;
    qd_mutex_unlock(&l->lock);
}

static int alive(const uv_loop_t *l)
{
    for (const uv_handle_t *h = l->handles; h; h = h->next) {
        if (h->active || h->closing) return 1;
    }
    return 0;
}

/* After a loop that does not wait has failed its schedule, time passes with each of its turns, so
 * that the schedule ends. */
static void turn(still *s)
{
    if (still_turn(s, qd_sim_now_ns(coord_sim()), STILL_LOOP_MOST)) return;
    coord_still(here());
    qd_env_sleep_ns(here(), STILL_NS);
}

int uv_run(uv_loop_t *l, uv_run_mode mode)
{
    still turns = {0};
    while (alive(l)) {
        turn(&turns);
        (void)run_kind(l, SIM_UV_TIMER);
        (void)run_kind(l, SIM_UV_IDLE);
        (void)run_kind(l, SIM_UV_PREPARE);
        if (mode != UV_RUN_NOWAIT) wait(l);
        (void)run_kind(l, SIM_UV_ASYNC);
        run_closing(l);
        if (mode != UV_RUN_DEFAULT) break;
    }
    return alive(l);
}

/* --- threads ---------------------------------------------------------------------------------- */

typedef struct started {
    void *(*fn)(void *);
    void *arg;
} started;

static void begin(void *arg)
{
    started s = *(started *)arg;
    free(arg);
    (void)s.fn(s.arg);
}

int sim_uv_thread(pthread_t *out, const pthread_attr_t *a, void *(*fn)(void *), void *arg)
{
    qd_env *env = here();
    qd_thread *t;
    (void)a; /* the size of its stack; all are joined */
    started *s = malloc(sizeof *s);
    if (!s) abort();
    *s = (started){fn, arg};
    if (qd_thread_start(env, "plugin", begin, s, &t, NULL)) abort();
    *out = (pthread_t)(uintptr_t)t;
    return 0;
}

int sim_uv_join(pthread_t t)
{
    qd_thread_join(here(), (qd_thread *)(uintptr_t)t);
    return 0;
}
