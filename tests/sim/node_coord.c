/*
 * node_coord.c: where the state of the cluster is kept. In memory, on a node that never dies; or by
 * three control nodes, without data or those with data, in the plugin coordination-raft or
 * coordination-k8s: the plugin host, its services and the transport are the product's, the plugin's
 * loops and threads are fibers (cluster_uv.c). Raft's log lies on a disk that loses power
 * (raft_disk.c), its file "node" is written at once and for good (cluster_store.c); over Kubernetes
 * the API server is a model (node_k8s.c), a node's file loses power (cluster_k8s_file.c).
 */
#include "base/str.h"
#include "cluster_disk.h"
#include "cluster_k8s.h"
#include "cluster_uv.h"
#include "node_int.h"
#include "rpc/peers_service.h"

const qd_plugin *qd_plugin_entry_coordination_raft(void);
const qd_plugin *qd_plugin_entry_coordination_k8s(void);
bool cluster_store_leads(const qd_coord *handle);
uint64_t cluster_store_term(const qd_coord *handle);
/* The same of coordination-k8s (node.mk names them so). */
bool cluster_k8s_store_leads(const qd_coord *handle);
uint64_t cluster_k8s_store_term(const qd_coord *handle);

static const char *plugin_of(coord_kind kind)
{
    return kind == COORD_RAFT ? "coordination-raft" : "coordination-k8s";
}

/* Is a store of this kind there, in charge or not? */
static bool has(const world *w, coord_kind kind)
{
    return w->kind == kind || (w->both && kind != COORD_IN_MEMORY);
}

bool coord_has_k8s(const world *w)
{
    return has(w, COORD_K8S);
}

/* --- which --- */

static coord_kind choose(world *w)
{
    static const char *const names[COORD_KINDS] = {"memory", "raft", "k8s"};
    uint64_t by_seed = rnd(w, 10);
    const char *fixed = getenv("COORD");
    if (w->scene) return COORD_IN_MEMORY;
    for (int i = 0; fixed && i < COORD_KINDS; i++)
        if (strcmp(fixed, names[i]) == 0) return (coord_kind)i;
    if (fixed && strcmp(fixed, "both") == 0) return by_seed < 7 ? COORD_RAFT : COORD_K8S;
    return by_seed < 3 ? COORD_IN_MEMORY : by_seed < 8 ? COORD_RAFT : COORD_K8S;
}

void coord_begin(world *w)
{
    w->kind = choose(w);
    const char *fixed = getenv("COORD");
    (void)migrate_begin(w, fixed && strcmp(fixed, "both") == 0);
    w->apart = chance(w, 0.5) && w->kind != COORD_IN_MEMORY;
    for (int i = 0; i < MACHINES; i++) {
        machine *m = &w->m[i];
        m->data = i < NODES;
        m->exists = m->data || w->apart || (w->kind == COORD_IN_MEMORY && i == NODES);
        m->control = m->exists && m->data == (w->kind != COORD_IN_MEMORY && !w->apart);
        if (m->control && has(w, COORD_RAFT)) m->log = sim_disk_make();
    }
    if (has(w, COORD_K8S)) {
        k8s_begin(w);
        w->slow = true;
    }
    w->r->in_memory += w->kind == COORD_IN_MEMORY;
    w->r->raft += w->kind == COORD_RAFT;
    w->r->k8s += w->kind == COORD_K8S;
    w->r->with_data += w->kind != COORD_IN_MEMORY && !w->apart;
}

void coord_quiet(world *w)
{
    if (has(w, COORD_K8S)) k8s_quiet(w);
}

void coord_end(world *w)
{
    if (w->coord) coord_memory_free(w->coord);
    if (has(w, COORD_K8S)) k8s_end();
    for (int i = 0; i < MACHINES; i++) sim_disk_free(w->m[i].log);
}

/* --- a process --- */

static bool is_master(const world *w, int id)
{
    return w->m[id].control && w->kind != COORD_IN_MEMORY;
}

static int need(proc *p, coord_kind kind, const void **vt, qd_self **out, qd_err *err)
{
    return qd_plugin_need(p->plugins, QD_KIND_COORDINATION, qd_str_c(plugin_of(kind)),
                          "coordination.mode", vt, out, err);
}

int coord_plugin_open(proc *p, qd_err *err)
{
    const void *vt;
    if (!is_master(p->w, p->node)) return 0;
    qd_plugin_host_config c = {.env = p->env,
                               .loop = p->loop,
                               .pool = qd_pools_get(&p->pools, "generic"),
                               .flags = QD_HOST_SIMULATED};
    int rc = qd_plugin_host_open(&c, &p->plugins, err);
    if (rc) return rc;
    qd_plugin_host_service(p->plugins, QD_SERVICE_PEERS, qd_rpc_peers_service());
    for (int kind = COORD_RAFT; kind <= COORD_K8S && !rc; kind++) {
        const qd_plugin *plugin = kind == COORD_RAFT ? qd_plugin_entry_coordination_raft()
                                                     : qd_plugin_entry_coordination_k8s();
        if (has(p->w, (coord_kind)kind)) rc = qd_plugin_builtin(p->plugins, plugin, err);
    }
    if (!rc) rc = qd_plugin_host_load(p->plugins, err);
    if (!rc) rc = qd_plugin_host_start(p->plugins, err);
    for (int kind = COORD_RAFT; kind <= COORD_K8S && !rc; kind++)
        if (has(p->w, (coord_kind)kind))
            rc = need(p, (coord_kind)kind, &vt, &p->plugin[kind == COORD_K8S], err);
    return rc;
}

static int authority_read(void *arg, qd_buf *out, qd_err *err)
{
    const proc *p = arg;
    const machine *m = &p->w->m[p->node];
    if (!m->authority_n) return qd_err_set(err, QD_E_NOTFOUND, "none yet");
    return qd_buf_add(out, m->authority, m->authority_n);
}

static int authority_write(void *arg, qd_str s, qd_err *err)
{
    proc *p = arg;
    machine *m = &p->w->m[p->node];
    proc_sync_pause(m);
    if (p->dying || s.n > sizeof m->authority) return qd_err_set(err, QD_E_IO, "no disk");
    memcpy(m->authority, s.p, s.n);
    m->authority_n = s.n;
    return 0;
}

static uint32_t masters(const world *w, qd_str out[NODES])
{
    static const char *const at[MACHINES] = {"n0:9300", "n1:9300", "n2:9300",
                                             "m0:9300", "m1:9300", "m2:9300"};
    uint32_t n = 0;
    for (int i = 0; i < MACHINES; i++)
        if (w->m[i].control) out[n++] = qd_str_c(at[i]);
    return n;
}

static int open_plugins_store(proc *p, coord_kind kind, uint32_t flags, const qd_str *peers,
                              uint32_t npeers, qd_coord_store **out, qd_err *err)
{
    const qd_pair options[] = {{QD_STR("election_timeout"), QD_STR("500ms")},
                               {QD_STR("heartbeat_interval"), QD_STR("100ms")},
                               {QD_STR("snapshot_threshold"), QD_STR("48")}};
    qd_coord_config c = {.struct_size = sizeof c,
                         .flags = flags,
                         .cluster = qd_config_text(p->a.config, QD_SET_CLUSTER_NAME),
                         .node_id = qd_str_c(p->id),
                         .node_name = qd_str_c(p->name),
                         .path = QD_STR("/coordination"),
                         .publish = qd_rpc_address(p->a.rpc),
                         .peers = peers,
                         .npeers = npeers,
                         .options = options,
                         .noptions = QD_COUNT_OF(options)};
    const void *vt;
    qd_self *self;
    int rc = need(p, kind, &vt, &self, err);
    return rc ? rc : qd_coord_open(p->env, vt, self, &c, out, err);
}

/* The one that this node knows to be in charge first, which forms a cluster where there is none. */
static int open_stores(proc *p, const qd_str *peers, uint32_t npeers, qd_err *err)
{
    coord_kind second = p->first == COORD_RAFT ? COORD_K8S : COORD_RAFT;
    qd_coord_store **first = p->w->both ? &p->both[0] : &p->store;
    int rc = open_plugins_store(p, p->first, QD_COORD_OPEN_BOOTSTRAP, peers, npeers, first, err);
    if (rc || !p->w->both) return rc;
    rc = open_plugins_store(p, second, 0, peers, npeers, &p->both[1], err);
    return rc ? rc : migrate_open(p, err);
}

int coord_open(proc *p, qd_err *err)
{
    world *w = p->w;
    qd_str peers[NODES];
    uint32_t npeers = masters(w, peers);
    qd_authority_files files = {authority_read, authority_write, p};
    int rc = qd_authority_open(&files, &p->authority, err);
    if (rc) return rc;
    p->first = migrate_first(p);
    if (!p->control) {
        qd_remote_config c = {.env = p->env,
                              .rpc = p->a.rpc,
                              .loop = p->loop,
                              .pools = &p->pools,
                              .masters = peers,
                              .nmasters = npeers};
        return qd_remote_open(&c, &p->store, err);
    }
    if (w->kind == COORD_IN_MEMORY) {
        qd_coord_config c = {.struct_size = sizeof c,
                             .flags = QD_COORD_OPEN_BOOTSTRAP,
                             .cluster = qd_config_text(p->a.config, QD_SET_CLUSTER_NAME),
                             .node_id = qd_str_c(p->id),
                             .node_name = qd_str_c(p->name),
                             .path = QD_STR("node_sim")};
        if (!w->coord) w->coord = coord_memory_make(p->env, "node_sim");
        rc = qd_coord_open(p->env, coord_memory_vtable(), NULL, &c, &p->store, err);
    } else {
        p->log = w->m[p->node].log;
        if (p->log) sim_disk_pause(p->log, proc_sync_pause, &w->m[p->node]);
        qd_rpc_peers_bind(p->plugins, p->a.rpc);
        rc = open_stores(p, peers, npeers, err);
    }
    if (!rc) rc = qd_remote_server_open(p->a.rpc, p->store, p->loop, &p->pools, &p->server, err);
    if (!rc) migrate_serve(p);
    return rc ? rc : migrate_drive(p, err);
}

void coord_close(proc *p)
{
    qd_remote_server_close(p->server);
    while (p->hurrying) qd_env_sleep_ns(p->env, us(100));
    qd_coord_store *s = p->store;
    p->store = NULL;
    if (p->w->both && p->control) {
        migrate_close(p);
    } else {
        qd_coord_close(s);
    }
    qd_authority_close(p->authority);
}

void coord_plugin_close(proc *p)
{
    if (p->plugins) qd_rpc_peers_bind(p->plugins, NULL);
    qd_plugin_host_close(p->plugins);
}

static uint64_t random_of(void *arg, uint64_t below)
{
    return rnd(arg, below);
}

void coord_killed(proc *p, bool power)
{
    machine *m = &p->w->m[p->node];
    if (!is_master(p->w, p->node)) return;
    p->w->r->master_kills += !power;
    p->w->r->master_power += power;
    if (has(p->w, COORD_K8S)) k8s_killed(p, power);
    if (!m->log) return;
    p->w->r->master_lost += sim_disk_crash(m->log, power, random_of, p->w);
    p->log = m->log;
    m->log = sim_disk_take(m->log);
}

void coord_reap(proc *p)
{
    if (p->log != p->w->m[p->node].log) sim_disk_free(p->log);
}

/* --- for the world --- */

qd_store_kind coord_store_kind(const proc *p)
{
    static const qd_store_kind kinds[COORD_KINDS] = {QD_STORE_UNKNOWN, QD_STORE_MASTERS,
                                                     QD_STORE_KUBERNETES};
    if (!p->w->both) return kinds[p->w->kind];
    return p->control ? kinds[migrate_kind(p)] : qd_remote_kind(p->store);
}

bool coord_mortal(const world *w, int id)
{
    return is_master(w, id);
}

static bool leads(const proc *p, uint64_t *term)
{
    qd_coord *handle;
    if (!proc_takes_part(p) || !is_master(p->w, p->node)) return false;
    coord_kind kind = migrate_kind(p);
    (void)qd_coord_table(p->stores ? p->both[kind != p->first] : p->store, &handle);
    bool raft = kind == COORD_RAFT;
    *term = raft ? cluster_store_term(handle) : cluster_k8s_store_term(handle);
    return raft ? cluster_store_leads(handle) : cluster_k8s_store_leads(handle);
}

int coord_leader(world *w)
{
    uint64_t term;
    for (int i = 0; i < MACHINES; i++)
        if (leads(w->m[i].now, &term)) return i;
    return -1;
}

int coord_any(world *w)
{
    return w->kind == COORD_IN_MEMORY ? -1 : (w->apart ? NODES : 0) + (int)rnd(w, NODES);
}

void coord_look(world *w)
{
    uint64_t term;
    for (int i = 0; i < MACHINES; i++) {
        if (!leads(w->m[i].now, &term) || term <= w->master_term) continue;
        w->r->leaders += w->master_term != 0;
        w->master_term = term;
        trace(w, "%s leads the masters in term %llu", node_name(i), (unsigned long long)term);
    }
}

void coord_fail_sync(world *w, int id)
{
    w->r->master_syncs++;
    if (w->m[id].log) {
        sim_disk_fail_sync(w->m[id].log);
    } else {
        cluster_file_fails(id);
    }
}

qd_state *state_now(const world *w)
{
    qd_state *newest = NULL;
    for (int i = 0; i < MACHINES; i++) {
        const proc *p = w->m[i].now;
        if (!proc_takes_part(p) || !p->control) continue;
        qd_state *s = qd_cluster_state(p->a.cluster);
        qd_state *old = newest && newest->revision >= s->revision ? s : newest;
        newest = old == s ? newest : s;
        qd_state_unref(old);
    }
    return newest;
}

/* --- what the plugin's loops, folder and disk ask for --- */

qd_sim *coord_sim(void)
{
    return world_now()->sim;
}

uint64_t coord_time_ns(qd_env *env)
{
    return qd_env_mono_ns(env);
}

uint64_t coord_clock_ns(qd_env *env)
{
    return qd_env_mono_ns(env);
}

void coord_still(qd_env *env)
{
    world *w = world_now();
    const proc *p = proc_of_env(w, env);
    fail(w, STILL ": the store's loop of %s turned %u times within %u ns", p ? p->name : "nobody",
         STILL_LOOP_MOST, STILL_NS);
}

proc *coord_proc(const qd_self *self)
{
    world *w = world_now();
    for (int i = 0; i < MACHINES; i++) {
        for (int k = 0; k < 2; k++) {
            if (w->m[i].now && w->m[i].now->plugin[k] == self) return w->m[i].now;
            if (w->m[i].before && w->m[i].before->plugin[k] == self) return w->m[i].before;
        }
    }
    abort();
}

bool cluster_folder_read(qd_self *self, void *out, size_t n)
{
    const machine *m = &world_now()->m[coord_proc(self)->node];
    if (m->folder_n != n) return false;
    memcpy(out, m->folder, n);
    return true;
}

bool cluster_folder_write(qd_self *self, const void *p, size_t n)
{
    machine *m = &world_now()->m[coord_proc(self)->node];
    if (coord_proc(self)->dying || n > sizeof m->folder) return false;
    memcpy(m->folder, p, n);
    m->folder_n = n;
    return true;
}

cr_disk *cluster_disk_of(qd_self *self)
{
    return sim_disk_of(coord_proc(self)->log);
}

void cluster_disk_empty(qd_self *self)
{
    for (const char *name; (name = sim_disk_pick(coord_proc(self)->log, "", 0));)
        sim_disk_lose(coord_proc(self)->log, name);
}

bool cluster_disk_is_full(qd_self *self)
{
    (void)self;
    return false;
}

/* --- the file of coordination-k8s --- */

int coord_machine(bool *dying)
{
    world *w = world_now();
    const proc *p = proc_of_env(w, qd_sim_env_here(w->sim));
    if (!p) abort();
    *dying = p->dying;
    return p->node;
}

bool coord_chance(double p)
{
    return chance(world_now(), p);
}

uint64_t coord_random(uint64_t below)
{
    return rnd(world_now(), below);
}

void coord_file_pause(void)
{
    bool dying;
    proc_sync_pause(&world_now()->m[coord_machine(&dying)]);
}

void coord_file_failed(void) {}

void cluster_committed(qd_str key, qd_str value, uint64_t revision)
{
    (void)key;
    (void)value;
    (void)revision;
}
