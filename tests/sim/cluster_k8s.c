/*
 * cluster_k8s.c: the API server of the composed simulation, a model; nodes' connections to it; what
 * goes wrong there; and what must hold of the root. See cluster_sim.h.
 */
#include "cluster_k8s.h"
#include "cluster_int.h"
#include "lib/kube_model_uv.h"

#define ROOT "sim"
#define STATES "quidditchstates"
#define BACK_MS 4000 /* a restored backup stays so long */

/* A process's connection. */
typedef struct cluster_api {
    kube_transport face; /* first */
    kube_transport *inner;
    kube_model_client *client;
    proc *p;
    void (*closed)(void *arg);
    void *arg;
} cluster_api;

static struct {
    kube_model *model;
    bool cut[NODES], parted[NODES];
    kube_model_backup *backup, *newest;
    uint64_t backup_index;
    uint64_t restored_ns;  /* when the older copy was put in place; 0: it is not there */
    bool seen;             /* there is a root */
    uint64_t first_writes; /* its count of writes less those in the log */
} api;

kube_model *cluster_api_model(void)
{
    return api.model;
}

/* --- connections ------------------------------------------------------------------------------ */

/* Nothing that a killed process begins reaches anybody. */
static int32_t start(kube_transport *t, kube_exchange *e)
{
    cluster_api *a = (cluster_api *)t;
    e->host = NULL;
    return a->p->dying ? 0 : a->inner->start(a->inner, e);
}

static int32_t cancel(kube_transport *t, kube_exchange *e)
{
    cluster_api *a = (cluster_api *)t;
    return e->host ? a->inner->cancel(a->inner, e) : KUBE_NOT_SENT;
}

static void closed(void *arg)
{
    cluster_api *a = arg;
    if (a->closed) a->closed(a->arg);
    free(a);
}

static void free_it(kube_transport *t, void (*then)(void *arg), void *arg)
{
    cluster_api *a = (cluster_api *)t;
    a->p->api = NULL;
    a->closed = then;
    a->arg = arg;
    a->inner->free(a->inner, closed, a);
}

static void apply_cuts(int id)
{
    const proc *p = cluster_now()->m[id].now;
    if (p && p->api) kube_model_cut(p->api->client, api.cut[id] || api.parted[id]);
}

kube_transport *cluster_api_connect(qd_self *self, uv_loop_t *loop)
{
    proc *p = (proc *)(void *)self;
    cluster_api *a = calloc(1, sizeof *a);
    if (!a) abort();
    a->face = (kube_transport){start, cancel, free_it};
    a->p = p;
    a->inner = kube_model_uv_connect(api.model, p->name, NULL, loop);
    a->client = kube_model_uv_client(a->inner);
    p->api = a;
    if (!p->dying) apply_cuts(p->node);
    return &a->face;
}

void cluster_api_cut(cluster *x, int id, bool on)
{
    api.cut[id] = on;
    apply_cuts(id);
    x->r->api_cut += on;
    trace(x->w, "n%d %s the API server", id, on ? "does not reach" : "reaches");
}

void store_cut(cluster *x, int id)
{
    if (!x->scenario && chance(x->w, 0.5)) return;
    api.parted[id] = true;
    apply_cuts(id);
    trace(x->w, "n%d does not reach the API server either", id);
}

void store_heal(cluster *x)
{
    (void)x;
    for (int i = 0; i < NODES; i++) {
        if (!api.parted[i]) continue;
        api.parted[i] = false;
        apply_cuts(i);
    }
}

/* --- what a killed process had under way ------------------------------------------------------ */

static void lands(void *arg)
{
    (void)cluster_enter();
    kube_model_cut(arg, false);
}

void store_killed(proc *p, bool power)
{
    cluster *x = p->x;
    if (!p->master) return;
    x->r->record_lost += cluster_file_crash(p->node, power);
    if (!p->api || !chance(x->w, 0.4)) return;
    kube_model_cut(p->api->client, true);
    if (qd_sim_after(x->sim, ms(rnd(x->w, 9000)), lands, p->api->client)) abort();
}

/* --- a schedule ------------------------------------------------------------------------------- */

static uint64_t sim_now(void *arg)
{
    (void)arg;
    return qd_sim_now_ns(cluster_sim()) + 1;
}

static const kube_model_fault_kind odd_kinds[] = {
    KUBE_FAULT_REFUSED, KUBE_FAULT_LOST,     KUBE_FAULT_LOST_DONE, KUBE_FAULT_SILENT,
    KUBE_FAULT_LATE,    KUBE_FAULT_429,      KUBE_FAULT_500,       KUBE_FAULT_503,
    KUBE_FAULT_504,     KUBE_FAULT_500_DONE, KUBE_FAULT_504_DONE,  KUBE_FAULT_504_LATE,
    KUBE_FAULT_SLOW,    KUBE_FAULT_TORN,     KUBE_FAULT_SLOW_START};
static const kube_model_fault_kind watch_kinds[] = {KUBE_FAULT_WATCH_SILENT, KUBE_FAULT_WATCH_TORN,
                                                    KUBE_FAULT_WATCH_GONE, KUBE_FAULT_WATCH_ENDED};

static void some_odds(world *w, uint64_t least, uint64_t most)
{
    for (size_t i = 0; i < QD_COUNT_OF(odd_kinds); i++) {
        uint32_t one_in = chance(w, 0.5) ? (uint32_t)(least + rnd(w, most - least)) : 0;
        kube_model_odds(api.model, NULL, odd_kinds[i], one_in);
    }
    for (size_t i = 0; i < QD_COUNT_OF(watch_kinds); i++) {
        uint32_t one_in = chance(w, 0.6) ? (uint32_t)(2 + rnd(w, 8)) : 0;
        kube_model_odds(api.model, NULL, watch_kinds[i], one_in);
    }
}

void store_begin(cluster *x)
{
    world *w = x->w;
    bool calm = x->scenario != NULL;
    memset(&api, 0, sizeof api);
    cluster_files_begin();
    cluster_root_forget();
    kube_model_config c = {
        .seed = w->seed, .now_ns = 1, .mono_ns = sim_now, .bookmark_ns = ms(1000 + rnd(w, 20000))};
    if (!calm && chance(w, 0.3)) c.compact_ns = ms(3000 + rnd(w, 10000));
    api.model = kube_model_make(&c);
    kube_model_quidditch(api.model);
    if (!calm && chance(w, 0.7)) some_odds(w, 30, 600);
}

static void count_faults(cluster_report *r)
{
    kube_model_entry e;
    for (uint64_t i = 0; kube_model_log(api.model, i, &e); i++) {
        bool write = strcmp(e.verb, "create") == 0 || strcmp(e.verb, "update") == 0;
        kube_model_fault_kind k = e.fault;
        r->api_lost +=
            k == KUBE_FAULT_LOST_DONE || k == KUBE_FAULT_SILENT_DONE || k == KUBE_FAULT_TORN;
        r->api_unsent += k == KUBE_FAULT_LOST || k == KUBE_FAULT_SILENT || k == KUBE_FAULT_REFUSED;
        r->api_late += write && (k == KUBE_FAULT_LATE || k == KUBE_FAULT_504_LATE ||
                                 k == KUBE_FAULT_SLOW_START);
        r->api_429 += k == KUBE_FAULT_429;
        r->api_5xx += k == KUBE_FAULT_500 || k == KUBE_FAULT_503 || k == KUBE_FAULT_504;
        r->api_5xx_done += k == KUBE_FAULT_500_DONE || k == KUBE_FAULT_504_DONE;
        r->api_silent += k == KUBE_FAULT_WATCH_SILENT;
        r->api_torn += k == KUBE_FAULT_WATCH_TORN || k == KUBE_FAULT_WATCH_ENDED;
        r->api_410 += k == KUBE_FAULT_WATCH_GONE;
        r->api_409 += e.status == 409 && strcmp(e.verb, "update") == 0 && strcmp(e.name, ROOT) == 0;
    }
}

void store_quiet(cluster *x)
{
    count_faults(x->r);
    cluster_api_newest(x);
    memset(api.cut, 0, sizeof api.cut);
    memset(api.parted, 0, sizeof api.parted);
    kube_model_calm(api.model);
}

void store_end(cluster *x)
{
    (void)x;
    kube_model_backup_free(api.backup);
    kube_model_backup_free(api.newest);
    kube_model_free(api.model);
    cluster_root_forget();
    memset(&api, 0, sizeof api);
}

/* --- what goes wrong -------------------------------------------------------------------------- */

static void heal_api(cluster *x)
{
    for (int i = 0; i < NODES; i++) {
        if (api.cut[i]) cluster_api_cut(x, i, false);
        const proc *p = x->m[i].now;
        if (!p || !p->api) continue;
        kube_model_slow(p->api->client, 0, 0);
        kube_model_lag(p->api->client, 0);
    }
}

static void heal_later(void *arg)
{
    cluster *x = arg;
    (void)cluster_enter();
    if (!x->w->failed) heal_api(x);
}

static void all_cut(cluster *x)
{
    world *w = x->w;
    for (int i = 0; i < (int)x->masters; i++) cluster_api_cut(x, i, true);
    x->r->api_gone++;
    if (qd_sim_after(x->sim, ms(300 + rnd(w, 7000)), heal_later, x)) abort();
}

/* Some API servers are far away, or behind. */
static void slow_or_stale(cluster *x, bool slow)
{
    world *w = x->w;
    for (int i = 0; i < (int)x->masters; i++) {
        const proc *p = x->m[i].now;
        if (!p || !p->api || chance(w, 0.4)) continue;
        if (slow) {
            kube_model_slow(p->api->client, ms(rnd(w, 100)), ms(100 + rnd(w, 1500)));
            x->r->api_slow++;
        } else {
            kube_model_lag(p->api->client, ms(rnd(w, 20000)));
            x->r->api_stale++;
        }
    }
}

void cluster_api_lag(cluster *x, uint64_t milliseconds)
{
    for (int i = 0; i < (int)x->masters; i++) {
        const proc *p = x->m[i].now;
        if (p && p->api)
            kube_model_lag(p->api->client, ms(milliseconds ? rnd(x->w, milliseconds) : 0));
        x->r->api_stale += milliseconds != 0;
    }
}

/* The next writes of the root have a fate. */
static void fate(cluster *x)
{
    static const kube_model_fault_kind kinds[] = {
        KUBE_FAULT_LATE,     KUBE_FAULT_LATE,       KUBE_FAULT_LOST_DONE, KUBE_FAULT_SILENT_DONE,
        KUBE_FAULT_504_LATE, KUBE_FAULT_SLOW_START, KUBE_FAULT_500_DONE,  KUBE_FAULT_SLOW};
    kube_model_fault f = {.kind = kinds[rnd(x->w, QD_COUNT_OF(kinds))],
                          .verb = "update",
                          .plural = STATES,
                          .name = ROOT,
                          .skip = (uint32_t)rnd(x->w, 4),
                          .times = (uint32_t)(1 + rnd(x->w, 3))};
    kube_model_fault_add(api.model, &f);
    trace(x->w, "a write of the root will be %s", kube_model_fault_name(f.kind));
    if (chance(x->w, 0.7)) return;
    f.kind = KUBE_FAULT_401; /* and what is tried again is refused */
    f.skip = 0;
    f.times = (uint32_t)(1 + rnd(x->w, 4));
    kube_model_fault_add(api.model, &f);
}

void cluster_api_backup(cluster *x)
{
    json_t *root = kube_model_get(api.model, STATES, "default", ROOT);
    cluster_root seen;
    char why[400];
    if (!root || api.restored_ns || !cluster_root_next(root, &seen, why)) {
        json_decref(root);
        return;
    }
    json_decref(root);
    kube_model_backup_free(api.backup);
    api.backup = kube_model_backup_make(api.model);
    api.backup_index = seen.index;
    trace(x->w, "a backup of etcd, entry %llu", (unsigned long long)seen.index);
}

static void newest_again(void *arg)
{
    (void)cluster_enter();
    cluster_api_newest(arg);
}

bool cluster_api_restore(cluster *x)
{
    world *w = x->w;
    if (!api.backup || api.restored_ns) return false;
    for (int i = 0; i < (int)x->masters; i++) { /* who has not seen more may take it */
        if (cluster_file_index(i) <= api.backup_index) return false;
    }
    api.newest = kube_model_backup_make(api.model);
    kube_model_restore(api.model, api.backup, ms(rnd(w, 800)));
    api.restored_ns = sim_now(NULL);
    x->r->api_restored++;
    trace(w, "etcd is restored, entry %llu", (unsigned long long)api.backup_index);
    if (!x->scenario && qd_sim_after(x->sim, ms(rnd(w, BACK_MS)), newest_again, x)) abort();
    return true;
}

/* Writes that were sent while the older copy was there, and took effect. */
static uint64_t written_meanwhile(uint64_t since)
{
    kube_model_entry e;
    uint64_t n = 0;
    for (uint64_t i = kube_model_log_size(api.model); i-- && kube_model_log(api.model, i, &e);) {
        if (e.at_ns < since) break;
        n += e.revision && strcmp(e.verb, "update") == 0 && strcmp(e.plural, STATES) == 0 &&
             strcmp(e.name, ROOT) == 0;
    }
    return n;
}

uint64_t cluster_api_made(void)
{
    kube_model_entry e;
    uint64_t n = 0;
    for (uint64_t i = kube_model_log_size(api.model); i-- && kube_model_log(api.model, i, &e);) {
        if (e.at_ns < api.restored_ns) break;
        n += e.revision && strcmp(e.verb, "create") == 0 && strcmp(e.plural, STATES) == 0;
    }
    return n;
}

void cluster_api_newest(cluster *x)
{
    if (!api.restored_ns) return;
    if (written_meanwhile(api.restored_ns)) {
        fail(x->w, "a root that was restored from a backup was written, all nodes had seen more");
    }
    kube_model_restore(api.model, api.newest, ms(rnd(x->w, 800)));
    kube_model_backup_free(api.newest);
    api.newest = NULL;
    api.restored_ns = 0;
    trace(x->w, "etcd has its newest state again");
}

bool store_fault(cluster *x, int id)
{
    world *w = x->w;
    int which = id < (int)x->masters ? id : (int)rnd(w, x->masters);
    if (chance(w, 0.5)) return false;
    switch (rnd(w, 16)) {
    case 0:
    case 1:
        cluster_api_cut(x, which, true);
        break;
    case 2:
        all_cut(x);
        break;
    case 3:
    case 4:
    case 5:
        heal_api(x);
        break;
    case 6:
        slow_or_stale(x, true);
        break;
    case 7:
        slow_or_stale(x, false);
        break;
    case 8:
        kube_model_compact(api.model);
        x->r->api_compacted++;
        break;
    case 9:
        kube_model_restart(api.model, ms(rnd(w, 3000)));
        x->r->api_restarts++;
        trace(w, "the API server restarts");
        break;
    case 10:
        some_odds(w, 5, 100);
        break;
    case 11:
    case 12:
        fate(x);
        break;
    case 13:
        cluster_api_backup(x);
        break;
    case 14:
        /* not restored here: objects that a running leader wrote into an etcd that is taken away
         * again are lost, and its next root names them; the scenario keeps to the documents */
        if (!api.backup) cluster_api_backup(x);
        break;
    case 15:
        cluster_file_fails(which);
        break;
    }
    return true;
}

/* --- what must hold --------------------------------------------------------------------------- */

cluster_root cluster_api_root(void)
{
    cluster_root seen = {0};
    char why[400];
    json_t *root = kube_model_get(api.model, STATES, "default", ROOT);
    if (root && !cluster_root_next(root, &seen, why)) fail(cluster_now()->w, "%s", why);
    json_decref(root);
    return seen;
}

uint64_t cluster_api_writes(void)
{
    kube_model_entry e;
    uint64_t n = 0;
    for (uint64_t i = 0; kube_model_log(api.model, i, &e); i++) {
        n += e.revision && strcmp(e.verb, "update") == 0 && strcmp(e.plural, STATES) == 0 &&
             strcmp(e.name, ROOT) == 0;
    }
    return n;
}

bool cluster_api_wrote(const char *name, uint64_t revision)
{
    kube_model_entry e;
    json_t *o = kube_model_get(api.model, STATES, "default", name);
    json_t *version = json_object_get(json_object_get(o, "metadata"), "resourceVersion");
    uint64_t v = o ? strtoull(json_string_value(version), NULL, 10) : UINT64_MAX;
    json_decref(o);
    if (v <= revision || v == UINT64_MAX) return v <= revision;
    for (uint64_t i = 0; kube_model_log(api.model, i, &e); i++) { /* written again later? */
        if (e.revision && strcmp(e.verb, "update") == 0 && strcmp(e.name, name) == 0) return true;
    }
    return false;
}

/* One chain: a root follows the one before, and each write that took effect is in it. */
void store_look(cluster *x)
{
    cluster_root now;
    char why[400];
    if (api.restored_ns || x->restored) return;
    json_t *root = kube_model_get(api.model, STATES, "default", ROOT);
    if (!root) {
        if (api.seen) fail(x->w, "the root is gone");
        return;
    }
    bool follows = cluster_root_next(root, &now, why);
    json_decref(root);
    if (!follows) {
        fail(x->w, "%s", why);
        return;
    }
    if (api.seen && !chance(x->w, 0.05)) return;
    uint64_t writes = cluster_api_writes();
    if (!api.seen) api.first_writes = now.writes - writes;
    api.seen = true;
    if (now.writes - writes != api.first_writes) {
        fail(x->w, "%llu writes of the root took effect, it counts %llu",
             (unsigned long long)(writes + api.first_writes), (unsigned long long)now.writes);
    }
}

static uint64_t asked(int id, uint64_t from_ns, uint64_t to_ns, bool lease)
{
    kube_model_entry e;
    uint64_t n = 0;
    for (uint64_t i = 0; kube_model_log(api.model, i, &e); i++) {
        bool renewal = strcmp(e.plural, "leases") == 0 && strcmp(e.verb, "update") == 0;
        n += e.at_ns >= from_ns && e.at_ns < to_ns && strcmp(e.client, node_name(id)) == 0 &&
             strcmp(e.verb, "watch") != 0 && renewal == lease;
    }
    return n;
}

uint64_t cluster_api_asked(int id, uint64_t from_ns, uint64_t to_ns)
{
    return asked(id, from_ns, to_ns, false);
}

uint64_t cluster_api_renewals(int id, uint64_t from_ns, uint64_t to_ns)
{
    return asked(id, from_ns, to_ns, true);
}
