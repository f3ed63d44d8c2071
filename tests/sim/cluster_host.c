/* cluster_host.c: what the plugin (coordination-raft, or coordination-k8s) gets from its host:
 * services, and the network between masters, which loses, doubles, delays and reorders. */
#include "cluster_disk.h"
#include "cluster_int.h"
#include "plugin/op.h"
#include <quidditch/plugin.h>

const qd_plugin *CLUSTER_PLUGIN(void);

static proc *of(qd_self *self)
{
    return (proc *)(void *)self;
}

/* --- memory, log, clock, random --------------------------------------------------------------- */

static void *mem_alloc(qd_self *self, size_t n)
{
    (void)self;
    return malloc(n);
}
static void *mem_calloc(qd_self *self, size_t n)
{
    (void)self;
    return calloc(1, n);
}
static void *mem_realloc(qd_self *self, void *p, size_t n)
{
    (void)self;
    return realloc(p, n);
}
static const qd_svc_mem svc_mem = {
    .alloc = mem_alloc, .calloc = mem_calloc, .realloc = mem_realloc, .free = free};

static int32_t log_on(qd_self *self, int32_t level)
{
    (void)self;
    return level >= QD_LEVEL_ERROR || cluster_now()->w->trace;
}

static void log_write(qd_self *self, int32_t level, qd_str line)
{
    proc *p = of(self);
    char text[1200];
    snprintf(text, sizeof text, "%.*s", (int)line.n, line.p);
    trace(cluster_enter(), "%s.%u plugin: %s", p->name, p->inc, text);
    if (level < QD_LEVEL_ERROR || p->dying) return;
    p->sick = true; /* no changes until it is started again */
    if (strstr(text, "old copy")) p->old_copy = true;
}
static const qd_svc_log svc_log = {.on = log_on, .write = log_write};

/* A process that stood still was on a machine that was suspended: this clock did not go on then. */
static int64_t mono_ns(qd_self *self)
{
    const proc *p = of(self);
    return (int64_t)(proc_local_ns(p) - cluster_now()->m[p->node].slept);
}
static int64_t wall_ns(qd_self *self)
{
    return qd_env_wall_ms(of(self)->env) * 1000000;
}
static int64_t boot_ns(qd_self *self)
{
    return (int64_t)proc_local_ns(of(self));
}
static const qd_svc_clock svc_clock = {.mono_ns = mono_ns, .wall_ns = wall_ns, .boot_ns = boot_ns};

static void rand_bytes(qd_self *self, void *dst, size_t n)
{
    qd_env_random(of(self)->env, dst, n);
}
static uint64_t rand_u64(qd_self *self)
{
    uint64_t v;
    rand_bytes(self, &v, sizeof v);
    return v;
}
static const qd_svc_rand svc_rand = {.bytes = rand_bytes, .u64 = rand_u64};

void host_keeps(const void *op, uint64_t session)
{
    cluster *x = cluster_now();
    for (size_t i = 0; i < QD_COUNT_OF(x->keeping); i++) {
        if (x->keeping[i].op) continue;
        x->keeping[i].op = op;
        x->keeping[i].session = session;
        x->keeping[i].sent_ns = qd_sim_now_ns(x->sim);
        return;
    }
}

static void kept(cluster *x, const qd_op *op, int32_t rc)
{
    for (size_t i = 0; i < QD_COUNT_OF(x->keeping); i++) {
        uint64_t session = x->keeping[i].session;
        if (x->keeping[i].op != op) continue;
        x->keeping[i].op = NULL;
        if (rc) return;
        uint64_t over = x->over[session % SESSIONS].session == session
                            ? x->over[session % SESSIONS].ns
                            : UINT64_MAX;
        if (x->keeping[i].sent_ns > over) {
            fail(cluster_enter(), "a session was renewed, as was asked %llu ms after it had ended",
                 (unsigned long long)((x->keeping[i].sent_ns - over) / 1000000));
        }
        if (x->kept[session % SESSIONS].session != session) x->kept[session % SESSIONS].ns = 0;
        x->kept[session % SESSIONS].session = session;
        if (x->keeping[i].sent_ns > x->kept[session % SESSIONS].ns) {
            x->kept[session % SESSIONS].ns = x->keeping[i].sent_ns;
        }
        return;
    }
}

/* A transaction in the allocator's name is committed only while its node holds the election. */
static void fenced(cluster *x, qd_op *op, int32_t rc)
{
    for (size_t i = 0; i < QD_COUNT_OF(x->fenced); i++) {
        if (x->fenced[i].op != op) continue;
        x->fenced[i].op = NULL;
        uint64_t revision = ((const qd_coord_txn *)(const void *)op)->revision, r = revision;
        if (rc || r >= REVISIONS || x->restored) return;
        while (r && !x->elected[r]) r--;
        if (x->elected[r] != '0' + x->fenced[i].node) {
            fail(cluster_enter(), "n%d commits %llu as allocator, which is n%c", x->fenced[i].node,
                 (unsigned long long)revision, x->elected[r] ? x->elected[r] : '?');
        }
        return;
    }
}

static void complete(qd_op *op, int32_t rc)
{
    fenced(cluster_now(), op, rc);
    kept(cluster_now(), op, rc);
    cluster_now()->r->unknown_txns += rc == QD_E_UNKNOWN_OUTCOME;
    qd_op_complete(op, rc);
}
static const qd_svc_loop svc_loop = {.complete = complete};

/* --- folder and disk -------------------------------------------------------------------------- */

bool cluster_folder_read(qd_self *self, void *out, size_t n)
{
    const folder *f = &cluster_now()->m[of(self)->node].folder;
    if (!f->made || f->n != n) return false;
    memcpy(out, f->bytes, n);
    return true;
}

bool cluster_folder_write(qd_self *self, const void *p, size_t n)
{
    folder *f = &cluster_now()->m[of(self)->node].folder;
    if (of(self)->dying || n > sizeof f->bytes) return false;
    f->made = true;
    f->n = n;
    memcpy(f->bytes, p, n);
    return true;
}

cr_disk *cluster_disk_of(qd_self *self)
{
    return sim_disk_of(of(self)->disk);
}

void cluster_disk_empty(qd_self *self)
{
    for (const char *name; (name = sim_disk_pick(of(self)->disk, "", 0));) {
        sim_disk_lose(of(self)->disk, name);
    }
}

bool cluster_disk_is_full(qd_self *self)
{
    return cluster_now()->m[of(self)->node].full;
}

/* --- the masters' network --------------------------------------------------------------------- */

typedef struct letter {
    int from, to;
    uint32_t inc; /* of the sender's process, and of the receiver's */
    uint32_t to_inc;
    size_t n;
    char bytes[];
} letter;

static int node_at(qd_str address)
{
    for (int i = 0; i < NODES; i++) {
        char text[32];
        snprintf(text, sizeof text, "%s:9300", node_name(i));
        if (qd_str_is(address, text)) return i;
    }
    return -1;
}

static void deliver(void *arg)
{
    letter *l = arg;
    cluster *x = cluster_now();
    proc *p = x->m[l->to].now;
    uint64_t frozen = x->w->n[l->to].frozen;
    (void)cluster_enter();
    if (p && frozen > x->w->now) {
        if (qd_sim_after(x->sim, frozen - x->w->now + us(rnd(x->w, 3000)), deliver, l)) abort();
        return;
    }
    if (p && !p->dying && p->peers_open && p->inc == l->to_inc && !x->w->cut[l->from][l->to]) {
        char address[32];
        snprintf(address, sizeof address, "%s:9300", node_name(l->from));
        qd_peer peer = {.address = qd_str_c(address),
                        .node_id = qd_str_c(node_name(l->from)),
                        .node_name = qd_str_c(node_name(l->from))};
        p->events.message(p->events.arg, &peer, (qd_str){l->bytes, l->n});
    }
    free(l);
}

static uint64_t travel(world *w)
{
    if (!w->quiet && chance(w, w->slow)) return ms(rnd(w, 700));
    return us(50 + rnd(w, 1200));
}

static int32_t peers_send(qd_peers *peers, qd_str address, const qd_iovec *pieces, uint32_t npieces)
{
    proc *p = (proc *)(void *)peers;
    cluster *x = cluster_now();
    world *w = cluster_enter();
    size_t n = 0;
    int to = node_at(address);
    if (p->dying || to < 0 || !x->m[to].now || x->m[to].now->dying) return QD_E_CLOSED;
    for (uint32_t i = 0; i < npieces; i++) n += pieces[i].len;
    if (w->cut[p->node][to] || (!w->quiet && to != p->node && chance(w, w->loss))) {
        x->r->dropped++;
        return 0;
    }
    int copies = !w->quiet && chance(w, w->twice) ? 2 : 1;
    x->r->doubled += copies == 2;
    /* a connection gives once what it was given: of two the second comes right behind the first,
     * not when the first has been answered and forgotten */
    uint64_t takes = travel(w);
    while (copies--) {
        letter *l = malloc(sizeof *l + n);
        if (!l) abort();
        *l = (letter){p->node, to, p->inc, x->m[to].now->inc, n};
        size_t at = 0;
        for (uint32_t i = 0; i < npieces; i++) {
            if (pieces[i].len) memcpy(l->bytes + at, pieces[i].data, pieces[i].len);
            at += pieces[i].len;
        }
        if (qd_sim_after(x->sim, takes, deliver, l)) abort();
    }
    return 0;
}

static int32_t peers_open(qd_self *self, qd_str channel, const qd_peers_events *events,
                          qd_peers **out, qd_err *err)
{
    (void)channel;
    (void)err;
    of(self)->events = *events;
    of(self)->peers_open = true;
    *out = (qd_peers *)(void *)self;
    return 0;
}

static int32_t peers_watch(qd_peers *peers, qd_str address, qd_err *err)
{
    int to = node_at(address);
    (void)err;
    if (to >= 0) ((proc *)(void *)peers)->watched[to] = true;
    return 0;
}

static void peers_unwatch(qd_peers *peers, qd_str address)
{
    int to = node_at(address);
    if (to >= 0) ((proc *)(void *)peers)->watched[to] = false;
}

static qd_str peers_address(qd_self *self)
{
    return qd_str_c(of(self)->address);
}

static void cluster_set(qd_self *self, qd_str uuid)
{
    (void)self;
    (void)uuid;
}

static void peers_close(qd_peers *peers)
{
    ((proc *)(void *)peers)->peers_open = false;
}
static const qd_svc_peers svc_peers = {.open = peers_open,
                                       .send = peers_send,
                                       .watch = peers_watch,
                                       .unwatch = peers_unwatch,
                                       .address = peers_address,
                                       .cluster_set = cluster_set,
                                       .close = peers_close};

typedef struct leaving {
    int node;
    int to;
} leaving;

static void tell_gone(void *arg)
{
    leaving l = *(leaving *)arg;
    cluster *x = cluster_now();
    proc *p = x->m[l.to].now;
    char address[32];
    free(arg);
    (void)cluster_enter();
    if (!p || p->dying || !p->peers_open || !p->watched[l.node] || x->w->cut[l.node][l.to]) return;
    snprintf(address, sizeof address, "%s:9300", node_name(l.node));
    p->events.changed(p->events.arg, qd_str_c(address), QD_PEER_GONE, NULL, QD_STR("refused"));
}

void host_mistaken(cluster *x, int id, int to)
{
    leaving *l = malloc(sizeof *l);
    if (!l) abort();
    *l = (leaving){id, to};
    if (qd_sim_after(x->sim, us(100 + rnd(x->w, 4000)), tell_gone, l)) abort();
}

void host_gone(cluster *x, int id)
{
    for (int i = 0; i < NODES; i++) {
        if (i != id && x->m[i].now) host_mistaken(x, id, i);
    }
}

/* --- the plugin ------------------------------------------------------------------------------- */

#define HOST_FLAGS QD_HOST_SIMULATED
#include "lib/coord_host.h"

/* The plugin's own, looked at in passing. */
static int32_t session(qd_coord *c, qd_coord_session *s)
{
    if (s->action == QD_COORD_SESSION_KEEP) host_keeps(&s->op, s->session);
    int32_t rc = cluster_now()->vt.session(c, s);
    if (rc) kept(cluster_now(), &s->op, rc);
    return rc;
}

static int32_t txn(qd_coord *c, qd_coord_txn *t)
{
    cluster *x = cluster_now();
    proc *p = proc_of_env(qd_sim_env_here(x->sim));
    for (size_t i = 0; t->election.n && i < QD_COUNT_OF(x->fenced); i++) {
        if (x->fenced[i].op) continue;
        x->fenced[i].op = &t->op;
        x->fenced[i].node = p->node;
        break;
    }
    int32_t rc = x->vt.txn(c, t);
    if (rc && t->election.n) fenced(x, &t->op, rc);
    return rc;
}

const qd_coord_vtable *host_plugin(proc *p)
{
    static qd_coord_vtable watched;
    if (CLUSTER_PLUGIN()->init((qd_self *)(void *)p, &host, NULL)) abort();
    cluster_now()->vt = watched = *p->vt;
    watched.session = session;
    watched.txn = txn;
    return &watched;
}

static void stopped(void *arg)
{
    (void)arg;
}

void host_plugin_stop(proc *p)
{
    if (p->data) CLUSTER_PLUGIN()->stop((qd_self *)(void *)p, stopped, NULL);
    p->data = NULL;
}
