/* loop.c: clock, random numbers and timers of a kube_env on a uv loop: see curl.h. */
#include "curl.h"

static int64_t mono_ns(void *arg)
{
    kube_loop *l = arg;
    return l->mono_ns(l->arg);
}

static uint64_t random_of(void *arg)
{
    kube_loop *l = arg;
    return l->random(l->arg);
}

static void log_line(void *arg, int32_t level, qd_str line)
{
    kube_loop *l = arg;
    if (l->log) l->log(l->arg, level, line);
}

static void on_timer(uv_timer_t *timer);

/* The one uv_timer stands at the first of ours. */
static void arm(kube_loop *l)
{
    int64_t at = kube_timers_next(&l->timers);
    if (at == INT64_MAX) {
        (void)uv_timer_stop(&l->timer);
        return;
    }
    int64_t wait = at - mono_ns(l);
    uint64_t ms = wait > 0 ? ((uint64_t)wait + 999999) / 1000000 : 0;
    (void)uv_timer_start(&l->timer, on_timer, ms, 0);
}

static void on_timer(uv_timer_t *timer)
{
    kube_loop *l = timer->data;
    kube_timers_run(&l->timers, mono_ns(l));
    if (!uv_is_closing((uv_handle_t *)timer)) arm(l);
}

static void timer_set(void *arg, kube_timer *t, int64_t at_ns)
{
    kube_loop *l = arg;
    int64_t first = kube_timers_next(&l->timers);
    kube_timers_set(&l->timers, t, at_ns);
    if (kube_timers_next(&l->timers) != first) arm(l);
}

static void timer_clear(void *arg, kube_timer *t)
{
    kube_loop *l = arg;
    kube_timers_clear(&l->timers, t);
    if (!l->timers.first && !uv_is_closing((uv_handle_t *)&l->timer))
        (void)uv_timer_stop(&l->timer);
}

void kube_loop_init(kube_loop *l)
{
    (void)uv_timer_init(l->uv, &l->timer);
    l->timer.data = l;
    l->timers.first = NULL;
    l->env.arg = l;
    l->env.mono_ns = mono_ns;
    l->env.random = random_of;
    l->env.log = log_line;
    l->env.timer_set = timer_set;
    l->env.timer_clear = timer_clear;
}

static void on_closed(uv_handle_t *timer)
{
    kube_loop *l = timer->data;
    if (l->closed) l->closed(l->closed_arg);
}

void kube_loop_close(kube_loop *l, void (*closed)(void *arg), void *arg)
{
    l->closed = closed;
    l->closed_arg = arg;
    uv_close((uv_handle_t *)&l->timer, on_closed);
}
