/* rig_api.c: see rig_api.h. */
#include "rig_api.h"
#include "store.h"
#include <stdlib.h>
#include <time.h>

enum { NODES = 8 };

/* A connection: the model's transport, turned on the store's loop. */
typedef struct wire {
    kube_transport face; /* the first member */
    kube_transport *inner;
    kube_model_client *client;
    uv_timer_t timer;
    uv_async_t wake;
    int node, handles;
    void (*closed)(void *arg);
    void *arg;
} wire;

static kube_model *model;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static wire *wires[NODES];
static bool cuts[NODES];
static const char *the_user;

static uint64_t now_ns(void *arg)
{
    struct timespec t;
    (void)arg;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

kube_model *rig_api_make(uint64_t seed)
{
    kube_model_config c = {.seed = seed, .now_ns = now_ns(NULL), .mono_ns = now_ns};
    model = kube_model_make(&c);
    kube_model_quidditch(model);
    memset(cuts, 0, sizeof cuts);
    the_user = NULL;
    return model;
}

void rig_api_free(void)
{
    kube_model_free(model);
    model = NULL;
}

kube_model_client *rig_api_client(int i)
{
    pthread_mutex_lock(&lock);
    kube_model_client *c = wires[i] ? wires[i]->client : NULL;
    pthread_mutex_unlock(&lock);
    return c;
}

void rig_api_cut(int i, bool on)
{
    pthread_mutex_lock(&lock);
    cuts[i] = on;
    if (wires[i]) kube_model_cut(wires[i]->client, on);
    pthread_mutex_unlock(&lock);
}

void rig_api_user(const char *user)
{
    the_user = user;
}

/* --- the transport --- */

static void on_timer(uv_timer_t *t);

static void turn(wire *w)
{
    if (uv_is_closing((uv_handle_t *)&w->timer)) return;
    uint64_t now = now_ns(NULL);
    kube_model_client_turn(w->client, now);
    uint64_t next = kube_model_client_next(w->client);
    now = now_ns(NULL);
    uv_update_time(w->timer.loop);
    if (next == KUBE_MODEL_NEVER)
        uv_timer_stop(&w->timer);
    else
        uv_timer_start(&w->timer, on_timer, next > now ? (next - now) / 1000000 + 1 : 0, 0);
}

static void on_timer(uv_timer_t *t)
{
    turn(t->data);
}

static void on_wake(uv_async_t *a)
{
    turn(a->data);
}

static void wake(void *arg)
{
    uv_async_send(&((wire *)arg)->wake);
}

static int32_t start(kube_transport *t, kube_exchange *x)
{
    wire *w = (wire *)t;
    int32_t rc = w->inner->start(w->inner, x);
    uv_async_send(&w->wake);
    return rc;
}

static int32_t cancel(kube_transport *t, kube_exchange *x)
{
    wire *w = (wire *)t;
    return w->inner->cancel(w->inner, x);
}

static void on_closed(uv_handle_t *h)
{
    wire *w = h->data;
    if (--w->handles) return;
    void (*closed)(void *arg) = w->closed;
    void *arg = w->arg;
    free(w);
    if (closed) closed(arg);
}

static void free_it(kube_transport *t, void (*closed)(void *arg), void *arg)
{
    wire *w = (wire *)t;
    pthread_mutex_lock(&lock);
    if (wires[w->node] == w) wires[w->node] = NULL;
    pthread_mutex_unlock(&lock);
    kube_model_client_wake(w->client, NULL, NULL);
    w->inner->free(w->inner, NULL, NULL);
    w->closed = closed;
    w->arg = arg;
    w->handles = 2;
    uv_close((uv_handle_t *)&w->timer, on_closed);
    uv_close((uv_handle_t *)&w->wake, on_closed);
}

/* --- in place of api.c --- */

int32_t ck_api_open(struct qd_coord *c, qd_err *err)
{
    (void)err;
    snprintf(c->home.space, sizeof c->home.space, "%s",
             c->home.space_wanted ? c->home.space_wanted : "default");
    return 0;
}

void ck_api_close(struct qd_coord *c)
{
    (void)c;
}

kube_transport *ck_api_connect(struct qd_coord *c, const kube_env *env, kube_error *err)
{
    char name[32];
    int node = c->address.n > 1 ? (c->address.p[1] - '1') & (NODES - 1) : 0; /* m1:1 */
    wire *w = calloc(1, sizeof *w);
    (void)env;
    (void)err;
    snprintf(name, sizeof name, "%.*s", (int)c->node_name.n, c->node_name.p);
    *w = (wire){.face = {start, cancel, free_it}, .node = node};
    w->inner = kube_model_connect(model, name, the_user);
    w->client = kube_model_client_of(w->inner);
    uv_timer_init(&c->loop, &w->timer);
    uv_async_init(&c->loop, &w->wake, on_wake);
    w->timer.data = w->wake.data = w;
    kube_model_client_wake(w->client, wake, w);
    pthread_mutex_lock(&lock);
    wires[node] = w;
    if (cuts[node]) kube_model_cut(w->client, true);
    pthread_mutex_unlock(&lock);
    return &w->face;
}
