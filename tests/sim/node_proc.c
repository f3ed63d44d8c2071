/*
 * node_proc.c: a node's process. Its main thread opens what a node has in the order of
 * core/main/daemon/steps.def, waits until it is told to end, and closes everything.
 *
 * A process that is killed is cut off from network and disk at that moment; what runs of it goes on
 * until it has ended in order, and reaches nobody.
 */
#include "base/log.h"
#include "base/str.h"
#include "cluster/authority/driver.h"
#include "engine/look_back.h"
#include "lib/action_parts.h"
#include "node_int.h"
#include "runtime/point.h"

#define CHANGE_MS 5000
#define RETIRE_MS 3000
#define LEAVE_MS 2000
#define PORT 9300
#define ENDING_RATE 3 /* what a killed process waits for is over sooner: the next one can start */
#define BUFFER_BYTES (8 << 20)
#define CATCH_UP_MS 4000 /* of a master: nodes that ask it may be behind meanwhile */

const char *node_name(int id)
{
    static const char *const names[MACHINES] = {"n0", "n1", "n2", "m0", "m1", "m2"};
    return names[id];
}

proc *proc_of_env(world *w, const qd_env *env)
{
    for (int i = 0; i < MACHINES; i++) {
        if (w->m[i].now && w->m[i].now->env == env) return w->m[i].now;
        if (w->m[i].before && w->m[i].before->env == env) return w->m[i].before;
    }
    return NULL;
}

bool proc_serves(const proc *p)
{
    return p && p->open && !p->dying;
}

bool proc_takes_part(const proc *p)
{
    return p && p->follows && !p->dying && !p->clean;
}

/* --- opening --- */

/* As a node does: others of its cluster are its peers from now on. */
static void tell_cluster(proc *p, const qd_state *old, const qd_state *now)
{
    if ((old && old->uuid[0]) || !now->uuid[0]) return;
    qd_rpc_cluster_uuid_set(p->a.rpc, qd_str_c(now->uuid));
    qd_remote_joined(p->store);
}

static void follow(void *arg, const qd_state *old, const qd_state *now)
{
    proc *p = arg;
    QD_POINT("sim.apply");
    qd_mutex_lock(&p->following);
    if (!p->closed) {
        qd_replication *r = atomic_load(&p->replication);
        tell_cluster(p, old, now);
        qd_authority_store(p->authority, p->env, coord_store_kind(p));
        if (p->control) world_state(p->w, old, now);
        if (p->a.shards) qd_shards_apply(p->a.shards, old, now);
        if (r) qd_replication_apply(r, old, now);
        qd_action_settings_follow(p->a.config, p->a.plugins, old, now);
    }
    qd_mutex_unlock(&p->following);
}

static int open_rpc(proc *p, qd_err *err)
{
    qd_rpc_listen at = {.host = "0.0.0.0", .port = PORT};
    qd_rpc_config c = {.env = p->env,
                       .wire = qd_sim_net_wire(p->w->net, p->name),
                       .pools = &p->pools,
                       .account = &p->account,
                       .cluster_name = qd_config_text(p->a.config, QD_SET_CLUSTER_NAME),
                       .node_id = qd_str_c(p->id),
                       .node_name = qd_str_c(p->name),
                       .product = upgrade_version(p),
                       .version_max = upgrade_wire(p),
                       .roles =
                           (p->data ? QD_RPC_ROLE_DATA : 0) | (p->control ? QD_RPC_ROLE_MASTER : 0),
                       .publish_host = qd_str_c(p->name),
                       .listen = &at,
                       .nlisten = 1};
    return qd_rpc_open(&c, &p->a.rpc, err);
}

/* As of a node whose part of the store has failed: it ends, and is started again. */
void proc_store_failed(void *arg, const char *why)
{
    proc *p = arg;
    trace(p->w, "%s.%u ends: %s", p->name, p->life, why);
    p->clean = true;
    qd_cond_signal(&p->wake);
}

typedef struct folders {
    char name[32][96];
    uint32_t n;
} folders;

static int collect(void *arg, qd_str name, uint64_t bytes)
{
    folders *f = arg;
    (void)bytes;
    if (!qd_str_ends(name, QD_STR("/commit")) || f->n == QD_COUNT_OF(f->name)) return 0;
    snprintf(f->name[f->n++], sizeof f->name[0], "%.*s",
             QD_STR_ARG(qd_str_sub(name, 0, name.n - strlen("/commit"))));
    return 0;
}

/* No node of this version, however it ended, leaves a folder that tells of numbers given twice. */
static int look_back(proc *p, qd_err *err)
{
    char what[256];
    folders f = {.n = 0};
    int rc = qd_store_list(p->a.store, QD_STR("indices/"), collect, &f, err);
    for (uint32_t i = 0; i < f.n && !rc && !p->dying; i++) {
        qd_str folder = qd_str_c(f.name[i]);
        if (qd_engine_look_back(p->a.store, p->a.store, folder, &p->account, what, sizeof what,
                                NULL))
            continue;
        p->w->r->looked_back++;
        if (what[0] && !p->dying) fail(p->w, "%s: [%s] %s", p->name, f.name[i], what);
    }
    return rc;
}

static int open_cluster(proc *p, qd_err *err)
{
    const qd_shards_tier warm = {QD_STR("warm"), "", p->a.store};
    qd_shards_config sc = {.env = p->env,
                           .store = p->own ? p->own : p->a.store,
                           .tier = QD_STR("hot"),
                           .others = &warm,
                           .nothers = p->own ? 1 : 0,
                           .pools = &p->pools,
                           .account = &p->account,
                           .config = p->a.config,
                           .buffer_bytes = BUFFER_BYTES,
                           .slots = 2};
    int rc = p->data ? look_back(p, err) : 0;
    if (!rc && p->data) rc = qd_shards_open(&sc, &p->a.shards, err);
    qd_cluster_config c = {.env = p->env,
                           .store = p->store,
                           .name = qd_config_text(p->a.config, QD_SET_CLUSTER_NAME),
                           .self = {.id = qd_str_c(p->id),
                                    .name = qd_str_c(p->name),
                                    .host = qd_str_c(p->name),
                                    .transport_address = qd_rpc_address(p->a.rpc),
                                    .http_address = qd_str_c(p->address),
                                    .roles = qd_str_c(!p->data     ? "m"
                                                      : p->control ? "dim"
                                                                   : "di"),
                                    .tiers = p->own ? QD_STR("hot,warm") : QD_STR("hot"),
                                    .version = upgrade_version(p),
                                    .features = p->features,
                                    .stores = !p->w->both  ? QD_NODE_STORES_NONE
                                              : p->control ? QD_NODE_STORES_BOTH
                                                           : QD_NODE_STORES_NONE,
                                    .ephemeral = qd_str_c(qd_rpc_self(p->a.rpc)->ephemeral)},
                           .data = p->data,
                           .control = p->control,
                           .authority = p->authority,
                           .config = p->a.config,
                           .rpc = p->a.rpc,
                           .session_ttl_ms = TTL_MS,
                           .timeout_ms = CHANGE_MS,
                           .failed = proc_store_failed,
                           .listener = follow,
                           .listener_arg = p};
    if (!rc) rc = qd_cluster_open(&c, &p->a.cluster, err);
    if (!rc) {
        qd_driver_joined(p->driver);
        p->a.driver = p->driver;
    }
    if (rc || !p->data) return rc;
    qd_replication_config r = {.env = p->env,
                               .rpc = p->a.rpc,
                               .shards = p->a.shards,
                               .cluster = p->a.cluster,
                               .store = p->a.store,
                               .pools = &p->pools,
                               .account = &p->account,
                               .config = p->a.config};
    rc = qd_replication_open(&r, &p->a.replication, err);
    if (rc) return rc;
    atomic_store(&p->replication, p->a.replication);
    qd_shards_cluster(p->a.shards, p->a.cluster);
    qd_replication_begin(p->a.replication);
    return 0;
}

static int open_all(proc *p, qd_err *err)
{
    p->a = action_parts_of(p->id, p->name, &p->account, &p->pools);
    p->a.env = p->env;
    p->a.start_wall_ms = qd_env_wall_ms(p->env);
    p->a.start_ns = qd_env_mono_ns(p->env);
    /* what waits leaves its worker in the product, and keeps it here */
    action_parts_open(&p->a, &p->pools, p->disk, 32, "cluster.name=sim");
    int rc = p->own_disk ? store_crash_open(p->own_disk, &p->own, err) : 0;
    if (!rc) rc = qd_loop_open(p->env, "node", &p->loop, err);
    if (!rc) rc = qd_loop_start(p->loop, err);
    if (!rc) rc = coord_plugin_open(p, err);
    if (!rc) rc = open_rpc(p, err);
    if (!rc && !p->dying) rc = coord_open(p, err);
    if (!rc && !p->dying) rc = open_cluster(p, err);
    p->follows = !rc && p->a.cluster;
    if (rc || p->dying || !p->data) return rc;
    rc = qd_scrolls_open(&p->a, err);
    if (!rc) rc = qd_action_serve(&p->a, err);
    if (rc) return rc;
    action_parts_ready(&p->a);
    p->open = true;
    return 0;
}

/* --- closing --- */

static void retire(proc *p)
{
    if (!p->clean || !(p->data ? p->open : p->follows) || p->dying) return;
    atomic_store(&p->a.stopping, true);
    if (p->data) qd_replication_retire(p->a.replication, RETIRE_MS);
    if (!p->dying) qd_cluster_leave(p->a.cluster, LEAVE_MS);
    if (p->data) qd_replication_stop(p->a.replication);
}

static void close_all(proc *p)
{
    bool opened = p->open;
    p->open = p->follows = false;
    if (opened) qd_action_unserve(&p->a);
    qd_mutex_lock(&p->following);
    p->closed = true;
    qd_mutex_unlock(&p->following);
    if (p->a.replication) qd_replication_stop(p->a.replication);
    while (p->calls) {
        calls_cancel(p);
        qd_env_sleep_ns(p->env, ms(5));
    }
    migrate_undrive(p);
    if (p->a.scrolls) qd_scrolls_close(&p->a);
    if (p->a.shards) qd_shards_close(p->a.shards);
    if (p->a.cluster) qd_cluster_close(p->a.cluster);
    if (p->a.replication) qd_replication_close(p->a.replication);
    coord_close(p);
    qd_rpc_close(p->a.rpc);
    coord_plugin_close(p);
    qd_loop_close(p->loop);
    qd_store_close(p->own);
    action_parts_close(&p->a, &p->pools);
    if (qd_account_used(&p->account)) {
        fail(p->w, "%s.%u leaves %lld bytes", p->name, p->life,
             (long long)qd_account_used(&p->account));
    }
}

static void reap(void *arg)
{
    proc *p = arg;
    world *w = p->w;
    machine *m = &w->m[p->node];
    qd_thread_join(p->env, p->main);
    if (p->hurry) qd_thread_join(w->env, p->hurry);
    if (m->now == p) m->now = NULL; /* it ended by itself */
    if (m->before == p) m->before = NULL;
    store_crash *disks[] = {m->disk, m->own_disk};
    for (int i = 0; i < 2 && disks[i]; i++) {
        if (p->power) {
            store_crash_crash(disks[i], qd_prng_u64(&w->prng));
        } else {
            store_crash_kill(disks[i]);
        }
    }
    coord_reap(p);
    trace(w, "%s.%u has ended", p->name, p->life);
    qd_mutex_fini(&p->following);
    qd_mutex_fini(&p->lock);
    qd_cond_fini(&p->wake);
    free(p);
}

static void process(void *arg)
{
    proc *p = arg;
    qd_err err;
    qd_err_init(&err);
    if (open_all(p, &err) && !p->dying) {
        trace(p->w, "%s.%u cannot go on: %s", p->name, p->life, qd_err_reason(&err));
        p->clean = true;
    }
    qd_err_fini(&err);
    qd_mutex_lock(&p->lock);
    while (!p->dying && !p->clean) qd_cond_wait(&p->wake, &p->lock);
    qd_mutex_unlock(&p->lock);
    retire(p);
    close_all(p);
    p->ended = true;
    if (qd_sim_after(p->w->sim, 1000, reap, p)) abort();
}

void proc_sync_pause(void *of)
{
    machine *m = of;
    world *w = world_now();
    qd_env *env = qd_sim_env_here(w->sim);
    proc *p = env ? proc_of_env(w, env) : NULL;
    if (!p || p->dying) return;
    uint64_t takes = us(60 + rnd(w, 600));
    if (m->slow_until > now_ns(w) && !w->quiet) takes += ms(rnd(w, m->slow_ms));
    qd_env_sleep_ns(p->env, takes);
    while (m->held && !p->dying) qd_env_sleep_ns(p->env, us(500));
}

void proc_start(world *w, int id)
{
    machine *m = &w->m[id];
    proc *p = calloc(1, sizeof *p);
    if (!p || m->now || m->before) abort();
    p->w = w;
    p->node = id;
    p->life = ++m->lives;
    p->data = m->data;
    p->control = m->control;
    p->features = m->features;
    snprintf(p->name, sizeof p->name, "%s", node_name(id));
    snprintf(p->id, sizeof p->id, "nodeidnodeidnodeid00%s", p->name);
    snprintf(p->address, sizeof p->address, "%s:9200", p->name);
    p->env = qd_sim_env(w->sim, node_name(id));
    qd_sim_rate(p->env, m->rate);
    if (m->skew_ms) qd_sim_wall_jump(p->env, m->skew_ms);
    if (!m->disk) m->disk = store_crash_make(NULL);
    p->disk = m->disk;
    store_crash_pause(m->disk, proc_sync_pause, m);
    if (w->tiered && !m->own_disk) m->own_disk = store_crash_make(NULL);
    p->own_disk = m->own_disk;
    qd_account_init(&p->account, "node_sim", NULL, 0);
    qd_mutex_init(&p->lock);
    qd_mutex_init(&p->following);
    qd_cond_init(&p->wake);
    m->now = p;
    m->start_at = 0;
    if (coord_mortal(w, id)) disturb(w, now_ns(w) + ms(CATCH_UP_MS));
    qd_sim_net_revive(w->net, p->name);
    trace(w, "%s starts, life %u", p->name, p->life);
    if (qd_thread_start(p->env, "main", process, p, &p->main, NULL)) abort();
}

static void hurry(void *arg)
{
    proc *p = arg;
    qd_coord_hurry(p->store, 0);
    for (int i = 0; i < 2; i++) qd_coord_hurry(p->both[i], 0);
    p->hurrying = false;
}

void proc_kill(world *w, int id, bool power)
{
    machine *m = &w->m[id];
    proc *p = m->now;
    if (!p || m->before) return;
    trace(w, "%s.%u is killed%s", p->name, p->life, power ? ", its power goes" : "");
    p->dying = true;
    p->power = power;
    async_crashed(w, id);
    w->r->migration_power += power && w->migrating;
    w->r->upgrade_power += power && w->upgrading;
    m->now = NULL;
    m->before = p;
    qd_sim_freeze(p->env, 0);
    qd_sim_rate(p->env, ENDING_RATE);
    qd_sim_net_kill(w->net, p->name);
    store_crash_power_off(m->disk);
    if (m->own_disk) store_crash_power_off(m->own_disk);
    coord_killed(p, power);
    if (p->store) { /* on a thread of its own: whoever holds the store's lock has to run first */
        p->hurrying = true;
        if (qd_thread_start(w->env, "hurry", hurry, p, &p->hurry, NULL)) abort();
    }
    qd_cond_signal(&p->wake);
}

void proc_stop(world *w, int id)
{
    proc *p = w->m[id].now;
    if (!p || p->clean) return;
    trace(w, "%s.%u is told to stop", p->name, p->life);
    p->clean = true;
    qd_cond_signal(&p->wake);
}
