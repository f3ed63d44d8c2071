/*
 * kube_model_uv.c: see kube_model_uv.h. A timer for the next moment; an async wakes the loop when
 * another thread brings something.
 */
#include "lib/kube_model_uv.h"
#include "base/assert.h"
#include <stdlib.h>

typedef struct on_loop {
    kube_transport base; /* first */
    kube_model *m;
    kube_transport *inner;
    uv_timer_t timer;
    uv_async_t async;
    int open; /* handles */
    void (*closed)(void *arg);
    void *arg;
} on_loop;

uint64_t kube_model_uv_now(void *arg)
{
    (void)arg;
    return uv_hrtime();
}

static void turn(on_loop *l);
static void on_timer(uv_timer_t *t)
{
    turn(t->data);
}
static void on_async(uv_async_t *a)
{
    turn(a->data);
}

static void turn(on_loop *l)
{
    kube_model_client *c = kube_model_client_of(l->inner);
    kube_model_client_turn(c, kube_model_now(l->m));
    if (l->open < 2 || uv_is_closing((uv_handle_t *)&l->timer)) return;
    uint64_t next = kube_model_client_next(c), now = kube_model_now(l->m);
    if (next == KUBE_MODEL_NEVER) {
        uv_timer_stop(&l->timer);
        return;
    }
    uv_update_time(l->timer.loop);
    uv_timer_start(&l->timer, on_timer, next > now ? (next - now + 999999) / 1000000 : 0, 0);
}

static void wake(void *arg)
{
    on_loop *l = arg;
    uv_async_send(&l->async);
}

static int32_t start(kube_transport *t, kube_exchange *x)
{
    on_loop *l = (on_loop *)t;
    return l->inner->start(l->inner, x);
}
static int32_t cancel(kube_transport *t, kube_exchange *x)
{
    on_loop *l = (on_loop *)t;
    return l->inner->cancel(l->inner, x);
}

static void on_closed(uv_handle_t *h)
{
    on_loop *l = h->data;
    if (--l->open > 0) return;
    if (l->closed) l->closed(l->arg);
    free(l);
}

static void free_transport(kube_transport *t, void (*closed)(void *arg), void *arg)
{
    on_loop *l = (on_loop *)t;
    l->closed = closed;
    l->arg = arg;
    /* once it is freed nobody wakes it any more */
    l->inner->free(l->inner, NULL, NULL);
    uv_close((uv_handle_t *)&l->timer, on_closed);
    uv_close((uv_handle_t *)&l->async, on_closed);
}

kube_transport *kube_model_uv_connect(kube_model *m, const char *name, const char *user,
                                      uv_loop_t *loop)
{
    on_loop *l = calloc(1, sizeof *l);
    qd_assert(l != NULL);
    l->base = (kube_transport){.start = start, .cancel = cancel, .free = free_transport};
    int rc = uv_timer_init(loop, &l->timer);
    qd_assert(rc == 0);
    rc = uv_async_init(loop, &l->async, on_async);
    qd_assert(rc == 0);
    l->timer.data = l->async.data = l;
    l->open = 2;
    l->m = m;
    l->inner = kube_model_connect(m, name, user);
    kube_model_client_wake(kube_model_client_of(l->inner), wake, l);
    return &l->base;
}

kube_model_client *kube_model_uv_client(kube_transport *t)
{
    return kube_model_client_of(((on_loop *)t)->inner);
}
