/*
 * node_k8s.c: the API server below whole nodes, a model (lib/kube_model.h); control nodes'
 * connections to it, and what goes wrong there.
 */
#include "cluster_k8s.h"
#include "lib/kube_model_uv.h"
#include "node_int.h"

#define ROOT "sim"
#define STATES "quidditchstates"

/* A process's connection. */
typedef struct node_api {
    kube_transport face; /* first */
    kube_transport *inner;
    kube_model_client *client;
    proc *p;
    void (*closed)(void *arg);
    void *arg;
} node_api;

static kube_model *model;
static bool cut[MACHINES];

/* --- connections --- */

/* Nothing that a killed process begins reaches anybody. */
static int32_t start(kube_transport *t, kube_exchange *e)
{
    node_api *a = (node_api *)t;
    e->host = NULL;
    return a->p->dying ? 0 : a->inner->start(a->inner, e);
}

static int32_t cancel(kube_transport *t, kube_exchange *e)
{
    node_api *a = (node_api *)t;
    return e->host ? a->inner->cancel(a->inner, e) : KUBE_NOT_SENT;
}

static void closed(void *arg)
{
    node_api *a = arg;
    if (a->closed) a->closed(a->arg);
    free(a);
}

static void free_it(kube_transport *t, void (*then)(void *arg), void *arg)
{
    node_api *a = (node_api *)t;
    a->p->api = NULL;
    a->closed = then;
    a->arg = arg;
    a->inner->free(a->inner, closed, a);
}

static kube_model_client *client_of(const world *w, int id)
{
    const proc *p = w->m[id].now;
    return p && p->api ? p->api->client : NULL;
}

static void reach(world *w, int id, bool on)
{
    kube_model_client *c = client_of(w, id);
    cut[id] = !on;
    if (c) kube_model_cut(c, !on);
    trace(w, "%s %s the API server", node_name(id), on ? "reaches" : "does not reach");
}

kube_transport *cluster_api_connect(qd_self *self, uv_loop_t *loop)
{
    proc *p = coord_proc(self);
    node_api *a = calloc(1, sizeof *a);
    if (!a) abort();
    a->face = (kube_transport){start, cancel, free_it};
    a->p = p;
    a->inner = kube_model_uv_connect(model, p->name, NULL, loop);
    a->client = kube_model_uv_client(a->inner);
    p->api = a;
    if (!p->dying) kube_model_cut(a->client, cut[p->node]);
    return &a->face;
}

/* What a killed process had under way lands later, or not. */
static void lands(void *arg)
{
    kube_model_cut(arg, false);
}

void k8s_killed(proc *p, bool power)
{
    world *w = p->w;
    w->r->master_lost += cluster_file_crash(p->node, power);
    if (!p->api || !chance(w, 0.4)) return;
    kube_model_cut(p->api->client, true);
    if (qd_sim_after(w->sim, ms(rnd(w, 9000)), lands, p->api->client)) abort();
}

/* --- a schedule --- */

static uint64_t sim_now(void *arg)
{
    (void)arg;
    return qd_sim_now_ns(world_now()->sim) + 1;
}

static void some_odds(world *w, uint64_t least, uint64_t most)
{
    static const kube_model_fault_kind odd[] = {
        KUBE_FAULT_REFUSED, KUBE_FAULT_LOST,     KUBE_FAULT_LOST_DONE, KUBE_FAULT_SILENT,
        KUBE_FAULT_LATE,    KUBE_FAULT_429,      KUBE_FAULT_500,       KUBE_FAULT_503,
        KUBE_FAULT_504,     KUBE_FAULT_500_DONE, KUBE_FAULT_504_DONE,  KUBE_FAULT_504_LATE,
        KUBE_FAULT_SLOW,    KUBE_FAULT_TORN,     KUBE_FAULT_SLOW_START};
    static const kube_model_fault_kind watch[] = {KUBE_FAULT_WATCH_SILENT, KUBE_FAULT_WATCH_TORN,
                                                  KUBE_FAULT_WATCH_GONE, KUBE_FAULT_WATCH_ENDED};
    for (size_t i = 0; i < QD_COUNT_OF(odd); i++) {
        uint32_t one_in = chance(w, 0.5) ? (uint32_t)(least + rnd(w, most - least)) : 0;
        kube_model_odds(model, NULL, odd[i], one_in);
    }
    for (size_t i = 0; i < QD_COUNT_OF(watch); i++) {
        uint32_t one_in = chance(w, 0.6) ? (uint32_t)(2 + rnd(w, 8)) : 0;
        kube_model_odds(model, NULL, watch[i], one_in);
    }
}

void k8s_begin(world *w)
{
    memset(cut, 0, sizeof cut);
    cluster_files_begin();
    kube_model_config c = {
        .seed = w->seed, .now_ns = 1, .mono_ns = sim_now, .bookmark_ns = ms(1000 + rnd(w, 20000))};
    if (chance(w, 0.3)) c.compact_ns = ms(3000 + rnd(w, 10000));
    model = kube_model_make(&c);
    kube_model_quidditch(model);
    if (chance(w, 0.7)) some_odds(w, 30, 600);
}

static void heal(world *w)
{
    for (int i = 0; i < MACHINES; i++) {
        if (cut[i]) reach(w, i, true);
        if (!client_of(w, i)) continue;
        kube_model_slow(client_of(w, i), 0, 0);
        kube_model_lag(client_of(w, i), 0);
    }
}

static void heal_later(void *arg)
{
    world *w = arg;
    if (!w->failed && !w->quiet) heal(w);
}

void k8s_quiet(world *w)
{
    heal(w);
    kube_model_calm(model);
}

void k8s_end(void)
{
    kube_model_free(model);
    model = NULL;
}

/* The next writes of the root have a fate. */
static void fate(world *w)
{
    static const kube_model_fault_kind kinds[] = {
        KUBE_FAULT_LATE,     KUBE_FAULT_LATE,       KUBE_FAULT_LOST_DONE, KUBE_FAULT_SILENT_DONE,
        KUBE_FAULT_504_LATE, KUBE_FAULT_SLOW_START, KUBE_FAULT_500_DONE,  KUBE_FAULT_SLOW};
    kube_model_fault f = {.kind = kinds[rnd(w, QD_COUNT_OF(kinds))],
                          .verb = "update",
                          .plural = STATES,
                          .name = ROOT,
                          .skip = (uint32_t)rnd(w, 4),
                          .times = (uint32_t)(1 + rnd(w, 3))};
    kube_model_fault_add(model, &f);
    trace(w, "a write of the root will be %s", kube_model_fault_name(f.kind));
}

static void all_cut(world *w)
{
    for (int i = 0; i < MACHINES; i++)
        if (w->m[i].control) reach(w, i, false);
    if (qd_sim_after(w->sim, ms(300 + rnd(w, 7000)), heal_later, w)) abort();
}

/* Some API servers are far away, or behind. */
static void slow_or_stale(world *w, bool slow)
{
    for (int i = 0; i < MACHINES; i++) {
        kube_model_client *c = client_of(w, i);
        if (!c || chance(w, 0.4)) continue;
        if (slow) kube_model_slow(c, ms(rnd(w, 100)), ms(100 + rnd(w, 1500)));
        if (!slow) kube_model_lag(c, ms(rnd(w, 20000)));
        trace(w, "the API server of %s is %s", node_name(i), slow ? "slow" : "behind");
    }
}

void k8s_fault(world *w, int id)
{
    w->r->api_faults++;
    switch (rnd(w, 12)) {
    case 0:
    case 1:
        reach(w, id, false);
        break;
    case 2:
        all_cut(w);
        break;
    case 3:
    case 4:
    case 5:
        heal(w);
        break;
    case 6:
    case 7:
        slow_or_stale(w, chance(w, 0.5));
        break;
    case 8:
        kube_model_compact(model);
        trace(w, "etcd is compacted");
        break;
    case 9:
        kube_model_restart(model, ms(rnd(w, 3000)));
        trace(w, "the API server restarts");
        break;
    case 10:
        some_odds(w, 5, 100);
        break;
    default:
        fate(w);
        break;
    }
}

/* Objects that a root names are looked at in build/tests/sim/cluster_k8s. */
bool cluster_api_wrote(const char *name, uint64_t revision)
{
    (void)name;
    (void)revision;
    return true;
}
