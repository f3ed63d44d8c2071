/*
 * cluster_proc.c: a node's process. Its main thread opens what a node has, serves the changes that
 * the repl machines ask for, and closes everything in order.
 *
 * A process that is killed is cut off from network and disk at that moment; what runs of it goes on
 * until it has ended in order, and reaches nobody.
 */
#include "base/log.h"
#include "base/str.h"
#include "cluster/copies.h"
#include "cluster_int.h"

#define CHANGE_MS 5000

const char *node_name(int id)
{
    static const char *const names[NODES] = {"n0", "n1", "n2", "n3", "n4"};
    return names[id];
}

proc *proc_of_env(qd_env *env)
{
    cluster *x = cluster_now();
    for (int i = 0; i < NODES; i++) {
        if (x->m[i].now && x->m[i].now->env == env) return x->m[i].now;
        if (x->m[i].before && x->m[i].before->env == env) return x->m[i].before;
    }
    abort();
}

uint64_t proc_local_ns(const proc *p)
{
    const machine *m = &cluster_now()->m[p->node];
    return m->base - m->stood + (uint64_t)((double)qd_sim_now_ns(cluster_sim()) * m->rate);
}

void proc_leaves(proc *p, qd_thread *t)
{
    if (p->nleft == QD_COUNT_OF(p->left)) abort();
    p->left[p->nleft++] = t;
}

void proc_tidy(proc *p)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < p->nleft; i++) {
        if (qd_sim_thread_ended(p->left[i])) {
            qd_thread_join(p->env, p->left[i]);
        } else {
            p->left[kept++] = p->left[i];
        }
    }
    p->nleft = kept;
}

bool proc_follows(const proc *p)
{
    return p && !p->dying && p->cluster;
}

/* --- the state it applies --------------------------------------------------------------------- */

static void text(char out[REPL_AID], qd_str s)
{
    snprintf(out, REPL_AID, "%.*s", QD_STR_ARG(s));
}

static bool flat(const qd_shard_meta *s, srec *r)
{
    *r = (srec){.rev = s->mod_revision,
                .term = s->primary_term,
                .fresh = s->fresh,
                .n = s->ncopies,
                .nsync = s->nin_sync};
    if (s->ncopies > COPIES || s->nin_sync > COPIES) return false;
    text(r->primary, s->primary);
    for (uint32_t i = 0; i < r->n; i++) {
        const qd_copy *c = &s->copies[i];
        r->copies[i].state = (uint8_t)c->state;
        r->copies[i].recovery = (uint8_t)c->recovery;
        text(r->copies[i].aid, c->allocation_id);
        text(r->copies[i].node, c->node);
        text(r->copies[i].eph, c->ephemeral);
        text(r->copies[i].partner, c->partner);
        text(r->copies[i].last, c->last_node);
    }
    for (uint32_t i = 0; i < r->nsync; i++) {
        text(r->sync[i].aid, s->in_sync[i].allocation_id);
        text(r->sync[i].node, s->in_sync[i].node);
    }
    return true;
}

static void listen(void *arg, const qd_state *old, const qd_state *now)
{
    proc *p = arg;
    srec r;
    (void)old;
    if (p->dying) return;
    cluster_check_state(cluster_now(), p, now);
    const qd_index_meta *m = qd_state_index(now, QD_STR(INDEX_NAME));
    const qd_shard_meta *s = m ? qd_state_shard(now, m, 0) : NULL;
    if (!s || !s->mod_revision) return;
    if (!flat(s, &r)) {
        fail(cluster_enter(), "too many copies in the record");
        return;
    }
    cluster_check_in_sync(cluster_now(), &r);
    cluster_record(p, &r);
}

/* --- changes of the record -------------------------------------------------------------------- */

void proc_ask(proc *p, const msg *m)
{
    request *q = malloc(sizeof *q);
    if (!q) abort();
    q->next = NULL;
    q->m = *m;
    cluster_check_asked(p->x, m);
    if (p->last) {
        p->last->next = q;
    } else {
        p->first = q;
    }
    p->last = q;
    qd_cond_signal(&p->wake);
}

/* As replication does: a primary that was promoted says first that it can be used. */
static void started_first(proc *p, const msg *m)
{
    const scopy *c = rec_copy(&p->latest, m->by);
    qd_copy_ref ref = {cluster_now()->uuid, 0, qd_str_c(m->by)};
    bool own = m->cas == CAS_FAIL || m->cas == CAS_ADMIT || m->cas == CAS_HANDOVER;
    if (!own || (c && c->state != QD_SHARD_INITIALIZING)) return;
    int rc = qd_cluster_copy_started(p->cluster, &ref, NULL, NULL);
    (void)rc; /* what follows tells */
}

static int change(proc *p, const msg *m, uint64_t *revision, qd_err *err)
{
    cluster *x = cluster_now();
    qd_primary_ref primary = {x->uuid, 0, qd_str_c(m->by), m->term};
    qd_copy_ref copy = {x->uuid, 0, qd_str_c(m->aid)};
    qd_str aid = qd_str_c(m->aid);
    qd_state *s = NULL;
    int rc = 0;
    started_first(p, m);
    switch (m->cas) {
    case CAS_FAIL:
        rc = qd_cluster_primary_fail(p->cluster, &primary, &aid, 1, QD_STR("it failed"), &s, err);
        break;
    case CAS_ADMIT:
        rc = qd_cluster_primary_admit(p->cluster, &primary, aid, &s, err);
        break;
    case CAS_HANDOVER:
        rc = qd_cluster_primary_handoff(p->cluster, &primary, aid, &s, err);
        break;
    case CAS_START:
        rc = qd_cluster_copy_started(p->cluster, &copy, &s, err);
        break;
    case CAS_FAILED:
        rc = qd_cluster_copy_failed(p->cluster, &copy, QD_STR("its disk failed"), QD_COPY_PASSES,
                                    &s, err);
        break;
    case CAS_LOST:
        rc = qd_cluster_copy_failed(p->cluster, &copy, QD_STR("it is not there"), QD_COPY_LOST, &s,
                                    err);
        break;
    }
    *revision = 0;
    if (!rc && s) {
        const qd_index_meta *i = qd_state_index(s, QD_STR(INDEX_NAME));
        const qd_shard_meta *k = i ? qd_state_shard(s, i, 0) : NULL;
        if (k && (m->cas == CAS_START || k->primary_term == m->term)) *revision = k->mod_revision;
    }
    qd_state_unref(s);
    return rc;
}

/* As replication's own: is the answer final? */
static bool settled(int rc)
{
    return !rc || rc == QD_E_NOT_PRIMARY || rc == QD_E_NOTFOUND || rc == QD_E_CONFLICT ||
           rc == QD_E_INDEX_NOT_FOUND || rc == QD_E_ARG;
}

static void count(cluster *x, const msg *m, int rc)
{
    repl_sim_report *r = x->w->r;
    if (rc) return;
    r->removals += m->cas == CAS_FAIL;
    r->admissions += m->cas == CAS_ADMIT;
    r->relocations += m->cas == CAS_HANDOVER;
}

static void serve_one(proc *p, const msg *m)
{
    qd_err err;
    uint64_t revision;
    qd_err_init(&err);
    int rc = change(p, m, &revision, &err);
    qd_err_fini(&err);
    if (p->dying) return;
    cluster *x = cluster_now();
    world *w = cluster_enter();
    node *n = &w->n[p->node];
    if (!n->up || n->inc != m->inc) return;
    trace(w, "%s change %d of %s: %s", p->name, (int)m->cas, m->aid, qd_code_name(rc));
    count(x, m, rc);
    msg a = {.ok = rc == 0 || (m->cas >= CAS_FAILED && rc == QD_E_NOTFOUND),
             .stale = rc == QD_E_NOT_PRIMARY || (m->cas == CAS_START && rc == QD_E_NOTFOUND),
             .first = (int64_t)revision};
    node_answer(w, n, m, settled(rc) ? &a : NULL);
    if (n->up && n->inc == m->inc) cluster_record(p, &p->latest);
}

static void serve(proc *p)
{
    qd_mutex_lock(&p->lock);
    while (!p->dying) {
        request *q = p->first;
        if (!q) {
            qd_cond_wait(&p->wake, &p->lock);
            continue;
        }
        p->first = q->next;
        if (!p->first) p->last = NULL;
        qd_mutex_unlock(&p->lock);
        serve_one(p, &q->m);
        free(q);
        qd_mutex_lock(&p->lock);
    }
    qd_mutex_unlock(&p->lock);
}

/* --- opening ---------------------------------------------------------------------------------- */

static int authority_read(void *arg, qd_buf *out, qd_err *err)
{
    const proc *p = arg;
    const machine *m = &cluster_now()->m[p->node];
    if (!m->authority_n) return qd_err_set(err, QD_E_NOTFOUND, "none yet");
    qd_buf_add(out, m->authority, m->authority_n);
    return qd_buf_status(out);
}

static int authority_write(void *arg, qd_str s, qd_err *err)
{
    proc *p = arg;
    qd_env_sleep_ns(p->env, us(100 + rnd(cluster_enter(), 1500)));
    machine *m = &cluster_now()->m[p->node];
    if (p->dying || s.n > sizeof m->authority) return qd_err_set(err, QD_E_IO, "no disk");
    memcpy(m->authority, s.p, s.n);
    m->authority_n = s.n;
    return 0;
}

/* A small file beside it. */
static int disk_probe(void *arg, uint32_t which, qd_err *err)
{
    proc *p = arg;
    (void)which;
    world *w = cluster_enter();
    uint64_t takes = us(100 + rnd(w, 1500));
    machine *m = &cluster_now()->m[p->node];
    if (m->slow && !w->quiet && chance(w, 0.3)) takes += ms(rnd(w, 400));
    if (m->still_from <= w->now && m->still_until > w->now + takes) takes = m->still_until - w->now;
    qd_env_sleep_ns(p->env, takes);
    return p->dying ? qd_err_set(err, QD_E_IO, "no disk") : 0;
}

static const char *disk_name(void *arg, uint32_t which)
{
    const proc *p = arg;
    (void)which;
    return p->name;
}

static int open_rpc(proc *p, qd_err *err)
{
    int rc = qd_pools_add(&p->pools, p->env, "generic", 3, 1000, err);
    if (!rc) rc = qd_loop_open(p->env, "node", &p->loop, err);
    if (!rc) rc = qd_loop_start(p->loop, err);
    qd_rpc_listen at = {.host = "0.0.0.0", .port = 9300};
    qd_rpc_config c = {.env = p->env,
                       .wire = qd_sim_net_wire(cluster_now()->net, p->name),
                       .pools = &p->pools,
                       .cluster_name = QD_STR("sim"),
                       .node_id = qd_str_c(p->name),
                       .node_name = qd_str_c(p->name),
                       .product = QD_STR("0.1.0"),
                       .roles =
                           p->master ? QD_RPC_ROLE_MASTER | QD_RPC_ROLE_DATA : QD_RPC_ROLE_DATA,
                       .publish_host = qd_str_c(p->name),
                       .listen = &at,
                       .nlisten = 1};
    return rc ? rc : qd_rpc_open(&c, &p->rpc, err);
}

static int open_store(proc *p, qd_err *err)
{
    const qd_str masters[NODES] = {QD_STR("n0:9300"), QD_STR("n1:9300"), QD_STR("n2:9300"),
                                   QD_STR("n3:9300"), QD_STR("n4:9300")};
    const cluster *x = cluster_now();
    if (!p->master) {
        qd_remote_config c = {.env = p->env,
                              .rpc = p->rpc,
                              .loop = p->loop,
                              .pools = &p->pools,
                              .masters = masters,
                              .nmasters = x->masters};
        return qd_remote_open(&c, &p->store, err);
    }
    const qd_pair options[] = {{QD_STR("election_timeout"), QD_STR("500ms")},
                               {QD_STR("heartbeat_interval"), QD_STR("100ms")},
                               {QD_STR("snapshot_threshold"), QD_STR("48")}};
    qd_coord_config c = {.struct_size = sizeof c,
                         .flags = QD_COORD_OPEN_BOOTSTRAP,
                         .cluster = QD_STR("sim"),
                         .node_id = qd_str_c(p->name),
                         .node_name = qd_str_c(p->name),
                         .path = QD_STR("/coordination"),
                         .publish = qd_str_c(p->address),
                         .peers = masters,
                         .npeers = x->masters,
                         .options = options,
                         .noptions = QD_COUNT_OF(options)};
    int rc = qd_coord_open(p->env, host_plugin(p), (qd_self *)(void *)p, &c, &p->store, err);
    return rc ? rc : qd_remote_server_open(p->rpc, p->store, p->loop, &p->pools, &p->server, err);
}

static int open_cluster(proc *p, qd_err *err)
{
    qd_cluster_config c = {.env = p->env,
                           .store = p->store,
                           .name = QD_STR("sim"),
                           .self = {.id = qd_str_c(p->name),
                                    .name = qd_str_c(p->name),
                                    .host = qd_str_c(p->name),
                                    .transport_address = qd_rpc_address(p->rpc),
                                    .http_address = qd_str_c(p->address),
                                    .roles = qd_str_c(p->master ? "dm" : "d"),
                                    .version = QD_STR(QD_VERSION),
                                    .features = p->x->m[p->node].features,
                                    .ephemeral = qd_str_c(qd_rpc_self(p->rpc)->ephemeral)},
                           .data = true,
                           .control = p->master,
                           .authority = p->authority,
                           .disks = {1, disk_probe, disk_name, p},
                           .rpc = p->rpc,
                           .session_ttl_ms = SESSION_TTL_MS,
                           .timeout_ms = CHANGE_MS,
                           .listener = listen,
                           .listener_arg = p};
    text(cluster_now()->w->n[p->node].eph, c.self.ephemeral);
    return qd_cluster_open(&c, &p->cluster, err);
}

/* --- the process ------------------------------------------------------------------------------ */

static void close_all(proc *p)
{
    qd_cluster *c = p->cluster;
    p->cluster = NULL;
    while (p->helpers) qd_env_sleep_ns(p->env, ms(1));
    qd_cluster_close(c);
    qd_remote_server_close(p->server);
    qd_coord_close(p->store);
    qd_authority_close(p->authority);
    qd_rpc_close(p->rpc);
    qd_loop_close(p->loop);
    qd_pools_close(&p->pools);
    host_plugin_stop(p);
}

static void reap_later(void *arg)
{
    proc *p = arg;
    proc_reap(p->x, p->node);
}

static void process(void *arg)
{
    proc *p = arg;
    qd_err err;
    qd_authority_files files = {authority_read, authority_write, p};
    qd_err_init(&err);
    int rc = open_rpc(p, &err);
    if (!rc) rc = qd_authority_open(&files, &p->authority, &err);
    if (!rc && p->x->m[p->node].accept) {
        p->x->m[p->node].accept = false;
        rc = qd_authority_accept_older(p->authority, &err);
    }
    if (!rc && !p->dying) rc = open_store(p, &err);
    if (!rc && !p->dying) rc = open_cluster(p, &err);
    if (rc && !p->dying) {
        trace(cluster_enter(), "%s.%u cannot go on: %s", p->name, p->inc, qd_err_reason(&err));
        p->sick = true;
    }
    qd_err_fini(&err);
    serve(p);
    close_all(p);
    p->ended = true;
    if (qd_sim_after(cluster_sim(), 1000, reap_later, p)) abort();
}

/* A sync, in a thread of the plugin's. */
static void disk_pause(void *arg)
{
    proc *p = arg;
    machine *m = &cluster_now()->m[p->node];
    world *w = cluster_enter();
    uint64_t takes = us(60 + rnd(w, 1200));
    if (m->slow && !w->quiet && chance(w, 0.3)) takes += ms(rnd(w, 400));
    if (m->still_from <= w->now && m->still_until > w->now + takes) takes = m->still_until - w->now;
    if (!p->dying) qd_env_sleep_ns(p->env, takes);
}

void proc_start(cluster *x, int id)
{
    machine *m = &x->m[id];
    proc *p = calloc(1, sizeof *p);
    if (!p || m->now || m->before) abort();
    p->x = x;
    p->node = id;
    p->inc = (uint32_t)++m->lives;
    p->master = m->master;
    snprintf(p->name, sizeof p->name, "%s", node_name(id));
    snprintf(p->address, sizeof p->address, "%s:9300", p->name);
    p->env = qd_sim_env(x->sim, node_name(id));
    if (m->disk) cluster_copies(x, id);
    p->disk = m->disk;
    if (p->disk) sim_disk_pause(p->disk, disk_pause, p);
    qd_mutex_init(&p->lock);
    qd_cond_init(&p->wake);
    m->now = p;
    m->start_at = 0;
    qd_sim_net_revive(x->net, p->name);
    if (m->skew_ms) qd_sim_wall_jump(p->env, m->skew_ms);
    trace(x->w, "%s starts, life %u", p->name, p->inc);
    node_start(x->w, &x->w->n[id]);
    if (qd_thread_start(p->env, "main", process, p, &p->main, NULL)) abort();
}

static uint64_t random_of(void *arg, uint64_t below)
{
    return rnd(arg, below);
}

void proc_kill(cluster *x, int id, bool power)
{
    machine *m = &x->m[id];
    proc *p = m->now;
    world *w = cluster_enter();
    if (!p || m->before) return;
    trace(w, "%s.%u is killed%s", p->name, p->inc, power ? ", its power goes" : "");
    p->dying = true;
    m->now = NULL;
    m->before = p;
    if (w->n[id].up) node_crash(w, &w->n[id]);
    w->n[id].frozen = 0;
    qd_sim_freeze(p->env, 0);
    qd_sim_net_kill(x->net, p->name);
    if (p->store && p->master) {
        qd_coord *handle;
        (void)qd_coord_table(p->store, &handle);
        if (!m->newest) m->life = cluster_store_life(handle, &m->voters);
    }
    if (p->disk) {
        x->r->lost_sectors += sim_disk_crash(p->disk, power, random_of, w);
        m->disk = sim_disk_take(p->disk);
        if (m->newest && p->old_copy) {
            sim_disk_free(m->disk);
            m->disk = m->newest;
            m->newest = NULL;
            sim_disk_full(m->disk, m->full);
            x->r->old_refused++;
        }
    }
    store_killed(p, power);
    host_gone(x, id);
    if (p->store) qd_coord_hurry(p->store, 0);
    qd_cond_signal(&p->wake);
    x->r->kills += !power;
    x->r->power_losses += power;
}

void proc_reap(cluster *x, int id)
{
    proc *p = x->m[id].before;
    if (!p || !p->ended) abort();
    qd_thread_join(p->env, p->main);
    for (uint32_t i = 0; i < p->nleft; i++) qd_thread_join(p->env, p->left[i]);
    while (p->first) {
        request *q = p->first;
        p->first = q->next;
        free(q);
    }
    if (p->disk != x->m[id].disk) sim_disk_free(p->disk);
    qd_mutex_fini(&p->lock);
    qd_cond_fini(&p->wake);
    free(p);
    x->m[id].before = NULL;
}
