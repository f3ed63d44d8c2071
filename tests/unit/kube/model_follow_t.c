/* model_follow_t.c: lib/kube over the model: who lists and watches knows in the end what is stored,
 * whatever became of connections, streams, history and the server in between. */
#include "model_world.h"
#include "runtime/env.h"
#include <kube/list.h>
#include <kube/watch.h>

typedef struct follower {
    world *w;
    kube_env env;
    kube_timers timers;
    uint64_t random;
    kube_transport *t;
    kube_client *c;
    kube_list list;
    kube_watch watch;
    json_t *known; /* name: {rv, n} */
    unsigned lists, events, bookmarks;
    bool watching;
} follower;

static void *f_alloc(qd_self *self, size_t n)
{
    (void)self;
    return malloc(n);
}
static void *f_realloc(qd_self *self, void *p, size_t n)
{
    (void)self;
    return realloc(p, n);
}
static const qd_svc_mem mem = {.alloc = f_alloc, .realloc = f_realloc, .free = free};

static int64_t f_now(void *arg)
{
    return (int64_t)((follower *)arg)->w->now;
}
static uint64_t f_random(void *arg)
{
    return ((follower *)arg)->random = ((follower *)arg)->random * 6364136223846793005ull + 1;
}
static void f_set(void *arg, kube_timer *t, int64_t at)
{
    kube_timers_set(&((follower *)arg)->timers, t, at);
}
static void f_clear(void *arg, kube_timer *t)
{
    kube_timers_clear(&((follower *)arg)->timers, t);
}

/* --- it follows --- */

static void learn(follower *f, json_t *o)
{
    const char *name = kube_object_name(o);
    json_t *old = json_object_get(f->known, name);
    uint64_t rv = strtoull(kube_object_version(o), NULL, 10);
    /* events may come twice, and from the past */
    if (old && (uint64_t)json_integer_value(json_object_get(old, "rv")) >= rv) return;
    json_object_set_new(f->known, name,
                        json_pack("{s:I, s:i}", "rv", (json_int_t)rv, "n", n_of(o)));
}

static int32_t on_page(kube_list *l, json_t *items)
{
    follower *f = l->user;
    for (size_t i = 0; i < json_array_size(items); i++) learn(f, json_array_get(items, i));
    return 0;
}
static void on_again(kube_list *l)
{
    json_object_clear(((follower *)l->user)->known);
}
static void list_now(follower *f);
static void on_list(kube_list *l)
{
    follower *f = l->user;
    if (l->rc) {
        list_now(f);
        return;
    }
    f->lists++;
    int32_t rc = f->watching ? kube_watch_resume(&f->watch, l->resource_version)
                             : kube_watch_start(f->c, &f->watch, l->resource_version);
    assert_int_equal(rc, 0);
    f->watching = true;
}
static void list_now(follower *f)
{
    json_object_clear(f->known);
    assert_int_equal(kube_list_start(f->c, &f->list), 0);
}
static void on_event(kube_watch *w, int32_t type, json_t *o)
{
    follower *f = w->user;
    if (type == KUBE_BOOKMARK) {
        f->bookmarks++;
        return;
    }
    f->events++;
    if (type != KUBE_DELETED)
        learn(f, o);
    else
        json_object_del(f->known, kube_object_name(o));
}
static void on_relist(kube_watch *w)
{
    list_now(w->user);
}

static void begin(follower *f, world *w, const char *name)
{
    *f = (follower){.w = w, .random = w->now, .known = json_object()};
    f->env = (kube_env){.mem = &mem,
                        .arg = f,
                        .mono_ns = f_now,
                        .random = f_random,
                        .timer_set = f_set,
                        .timer_clear = f_clear};
    f->t = kube_model_connect(w->m, name, NULL);
    f->c = kube_client_make(&f->env, f->t, NULL);
    f->list = (kube_list){.group = "",
                          .version = "v1",
                          .ns = "default",
                          .plural = "configmaps",
                          .limit = 3,
                          .timeout_ns = 5 * KUBE_SECOND_NS,
                          .page = on_page,
                          .again = on_again,
                          .done = on_list,
                          .user = f};
    f->watch = (kube_watch){.group = "",
                            .version = "v1",
                            .ns = "default",
                            .plural = "configmaps",
                            .event = on_event,
                            .relist = on_relist,
                            .user = f};
    list_now(f);
}
static void end(follower *f)
{
    if (f->watching) kube_watch_stop(&f->watch);
    kube_list_cancel(&f->list);
    kube_client_free(f->c);
    f->t->free(f->t, NULL, NULL);
    assert_null(f->timers.first);
    json_decref(f->known);
}

/* --- the world goes on --- */

enum { FOLLOWERS = 2 };

static void go(world *w, follower *f, uint64_t ns)
{
    uint64_t until = w->now + ns;
    for (;;) {
        uint64_t next = kube_model_next(w->m);
        for (int i = 0; i < FOLLOWERS; i++) {
            uint64_t t = (uint64_t)kube_timers_next(&f[i].timers);
            if (t < next) next = t;
        }
        if (next > until) break;
        if (next > w->now) w->now = next;
        kube_model_turn(w->m, w->now);
        for (int i = 0; i < FOLLOWERS; i++) kube_timers_run(&f[i].timers, (int64_t)w->now);
    }
    w->now = until;
    kube_model_turn(w->m, until);
}

static void change(world *w, qd_prng *r)
{
    char name[16], target[64];
    snprintf(name, sizeof name, "m%d", (int)qd_prng_below(r, 12));
    if (qd_prng_below(r, 4)) {
        json_decref(put_map(w, name, (int)qd_prng_below(r, 1000)));
        return;
    }
    snprintf(target, sizeof target, MAPS "/%s", name);
    kube_model_do(w->m, "DELETE", target, NULL, NULL);
}

static bool knows_all(world *w, const follower *f)
{
    const char *name;
    json_t *k;
    if (json_object_size(f->known) != kube_model_size(w->m, "configmaps", "default")) return false;
    json_object_foreach(f->known, name, k)
    {
        if (stored(w, name) != json_integer_value(json_object_get(k, "n"))) return false;
    }
    return true;
}

static unsigned follow(uint64_t seed, unsigned *lists, unsigned *bookmarks)
{
    world w =
        world_make(&(kube_model_config){.history_max = 200, .bookmark_ns = 10 * SECOND}, seed);
    qd_prng r;
    follower f[FOLLOWERS];
    qd_prng_init(&r, seed);
    for (int i = 0; i < 10; i++) change(&w, &r);
    for (int k = 1; k < KUBE_FAULTS; k++)
        kube_model_odds(w.m, NULL, (kube_model_fault_kind)k, k < KUBE_FAULT_WATCH_SILENT ? 80 : 8);
    begin(&f[0], &w, "near");
    begin(&f[1], &w, "far");
    kube_model_lag(kube_model_client_of(f[1].t), 2 * SECOND);
    for (int s = 0; s < 300; s++) {
        kube_model_client *c = kube_model_client_of(f[qd_prng_below(&r, FOLLOWERS)].t);
        switch (qd_prng_below(&r, 40)) {
        case 0:
            kube_model_cut(c, true);
            break;
        case 1:
        case 2:
            kube_model_cut(c, false);
            break;
        case 3:
            kube_model_compact(w.m);
            break;
        case 4:
            kube_model_restart(w.m, qd_prng_below(&r, 3) * SECOND);
            break;
        case 5:
            kube_model_lag(c, qd_prng_below(&r, 5) * SECOND);
            break;
        default:
            break;
        }
        for (uint64_t n = qd_prng_below(&r, 3); n > 0; n--) change(&w, &r);
        go(&w, f, SECOND);
    }
    kube_model_calm(w.m);
    /* a stream that had gone silent is given up after ten minutes at the latest */
    for (int i = 0; i < 120 && !(knows_all(&w, &f[0]) && knows_all(&w, &f[1])); i++)
        go(&w, f, 10 * SECOND);
    unsigned events = 0;
    for (int i = 0; i < FOLLOWERS; i++) {
        if (!knows_all(&w, &f[i])) fail_msg("seed %d: follower %d does not know all", (int)seed, i);
        events += f[i].events;
        *lists += f[i].lists;
        *bookmarks += f[i].bookmarks;
        end(&f[i]);
    }
    world_free(&w);
    return events;
}

static void test_follow(void **state)
{
    (void)state;
    unsigned events = 0, lists = 0, bookmarks = 0;
    uint64_t n = unit_rounds(40);
    for (uint64_t seed = 1; seed <= n; seed++) events += follow(seed, &lists, &bookmarks);
    assert_true(events > 20 * n);
    assert_true(lists > 2 * 2 * n); /* each had to read all again, often */
    assert_true(bookmarks > n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_follow)};
    return unit_run(tests);
}
