/* coord_rig.c: see coord_rig.h. */
#include "base/err.h"
#include "base/str.h"
#include "plugin/op.h"
#include "unit/lib/coord_rig_int.h"
#include <malloc.h>
#include <quidditch/plugin.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#ifndef RIG_ENTRY
#define RIG_ENTRY qd_plugin_entry_coordination_raft
#endif
const qd_plugin *RIG_ENTRY(void);

int64_t rig_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void rig_pause(int ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

static uint64_t chance(rig *r, uint64_t below)
{
    r->random = r->random * 6364136223846793005ull + 1442695040888963407ull;
    return below ? (r->random >> 33) % below : 0;
}

/* --- the host --- */

static node *of(qd_self *self)
{
    return (node *)self;
}

static _Atomic int64_t held; /* bytes of all nodes */

static void *count(void *p)
{
    if (p) atomic_fetch_add(&held, (int64_t)malloc_usable_size(p));
    return p;
}
static void mem_free(void *p)
{
    if (p) atomic_fetch_sub(&held, (int64_t)malloc_usable_size(p));
    free(p);
}
static void *mem_alloc(qd_self *self, size_t n)
{
    (void)self;
    return count(malloc(n));
}
static void *mem_calloc(qd_self *self, size_t n)
{
    (void)self;
    return count(calloc(1, n));
}
static void *mem_realloc(qd_self *self, void *p, size_t n)
{
    (void)self;
    if (p) atomic_fetch_sub(&held, (int64_t)malloc_usable_size(p));
    return count(realloc(p, n));
}

int64_t rig_memory(void)
{
    return atomic_load(&held);
}

static const qd_svc_mem svc_mem = {
    .alloc = mem_alloc, .calloc = mem_calloc, .realloc = mem_realloc, .free = mem_free};

static int32_t log_on(qd_self *self, int32_t level)
{
    (void)self;
    return level >= QD_LEVEL_INFO;
}
static void log_write(qd_self *self, int32_t level, qd_str line)
{
    node *x = of(self);
    (void)level;
    if (getenv("RIG_LOG")) fprintf(stderr, "# %s: %.*s\n", x->name, (int)line.n, line.p);
    pthread_mutex_lock(&x->r->lock);
    x->log = realloc(x->log, x->log_n + line.n + 2);
    memcpy(x->log + x->log_n, line.p, line.n);
    x->log_n += line.n;
    x->log[x->log_n++] = '\n';
    x->log[x->log_n] = 0;
    pthread_mutex_unlock(&x->r->lock);
}
static const qd_svc_log svc_log = {.on = log_on, .write = log_write};

static int64_t steady_ns(const node *x)
{
    while (atomic_load(&x->frozen)) rig_pause(1);
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
static int64_t mono_ns(qd_self *self)
{
    return steady_ns(of(self)) + atomic_load(&of(self)->mono_ahead);
}
static int64_t boot_ns(qd_self *self)
{
    node *x = of(self);
    if (atomic_load(&x->looks) > 0 && atomic_fetch_sub(&x->looks, 1) == 1)
        rig_suspend(x->r, x->i, (int)atomic_load(&x->asleep_ms));
    return steady_ns(x) + atomic_load(&x->boot_ahead);
}
void rig_suspend(rig *r, int i, int ms)
{
    for (int k = 0; k < r->n; k++) {
        node *x = &r->nodes[k];
        atomic_fetch_add(&x->boot_ahead, ms * 1000000ll);
        if (k != i) atomic_fetch_add(&x->mono_ahead, ms * 1000000ll);
    }
}
void rig_suspend_at_look(rig *r, int i, int ms, int looks)
{
    atomic_store(&r->nodes[i].asleep_ms, ms);
    atomic_store(&r->nodes[i].looks, looks);
}
static int64_t wall_ns(qd_self *self)
{
    (void)self;
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
static const qd_svc_clock svc_clock = {.mono_ns = mono_ns, .wall_ns = wall_ns, .boot_ns = boot_ns};

static void rand_bytes(qd_self *self, void *dst, size_t n)
{
    (void)self;
    if (getrandom(dst, n, 0) != (ssize_t)n) abort();
}
static uint64_t rand_u64(qd_self *self)
{
    uint64_t v;
    rand_bytes(self, &v, sizeof v);
    return v;
}
static const qd_svc_rand svc_rand = {.bytes = rand_bytes, .u64 = rand_u64};

static const qd_svc_loop svc_loop = {.complete = qd_op_complete};

/* --- the network --- */

static int32_t peers_open(qd_self *self, qd_str channel, const qd_peers_events *events,
                          qd_peers **out, qd_err *err)
{
    node *x = of(self);
    (void)channel;
    (void)err;
    pthread_mutex_lock(&x->r->lock);
    x->events = *events;
    x->open = true;
    x->ghost = false;
    pthread_mutex_unlock(&x->r->lock);
    *out = (qd_peers *)x;
    return 0;
}

int rig_find(rig *r, qd_str address)
{
    for (int i = 0; i < r->n; i++)
        if (qd_plug_is(address, r->nodes[i].address)) return i;
    return -1;
}

static int32_t peers_send(qd_peers *p, qd_str address, const qd_iovec *pieces, uint32_t npieces)
{
    node *x = (node *)p;
    rig *r = x->r;
    size_t n = 0;
    for (uint32_t k = 0; k < npieces; k++) n += pieces[k].len;
    if (n > QD_PEERS_MESSAGE_MAX) return QD_E_TOO_LARGE;
    int to = rig_find(r, address);
    if (to < 0) return QD_E_CLOSED;
    letter *l = malloc(sizeof *l + n);
    *l = (letter){.from = x->i, .to = to, .n = n};
    n = 0;
    for (uint32_t k = 0; k < npieces; k++) {
        if (pieces[k].len) memcpy(l->bytes + n, pieces[k].data, pieces[k].len);
        n += pieces[k].len;
    }
    pthread_mutex_lock(&r->lock);
    bool lost = x->ghost || r->cut[x->i][to] || !r->nodes[to].open || r->queued > (256u << 20) ||
                (r->lose && chance(r, r->lose) == 0);
    if (!lost) {
        l->at_us = now_us() + (int64_t)chance(r, r->delay_us);
        letter **at = r->first && r->last->at_us <= l->at_us ? &r->last->next : &r->first;
        while (*at && (*at)->at_us <= l->at_us) at = &(*at)->next;
        l->next = *at;
        *at = l;
        if (!l->next) r->last = l;
        r->queued += l->n;
        pthread_cond_signal(&r->more);
    }
    pthread_mutex_unlock(&r->lock);
    if (lost) free(l);
    return 0;
}

static void deliver(rig *r, const letter *l)
{
    node *to = &r->nodes[l->to], *from = &r->nodes[l->from];
    if (!to->open || r->cut[l->from][l->to]) return;
    qd_peer peer = {.address = qd_plug_str(from->address),
                    .node_id = qd_plug_str(from->name),
                    .node_name = qd_plug_str(from->name)};
    to->events.message(to->events.arg, &peer, (qd_str){l->bytes, l->n});
}

static void *run_post(void *arg)
{
    rig *r = arg;
    pthread_mutex_lock(&r->lock);
    while (!r->quit) {
        letter *l = r->first;
        int64_t now = now_us();
        if (!l) {
            pthread_cond_wait(&r->more, &r->lock);
        } else if (l->at_us > now) {
            struct timespec t;
            clock_gettime(CLOCK_MONOTONIC, &t);
            int64_t ns = t.tv_nsec + (l->at_us - now) * 1000;
            t.tv_sec += ns / 1000000000;
            t.tv_nsec = ns % 1000000000;
            pthread_cond_timedwait(&r->more, &r->lock, &t);
        } else {
            r->first = l->next;
            if (!r->first) r->last = NULL;
            r->queued -= l->n;
            deliver(r, l);
            free(l);
        }
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

static int32_t peers_watch(qd_peers *p, qd_str address, qd_err *err)
{
    (void)p;
    (void)address;
    (void)err;
    return 0;
}
static void peers_unwatch(qd_peers *p, qd_str address)
{
    (void)p;
    (void)address;
}
static qd_str peers_address(qd_self *self)
{
    return qd_plug_str(of(self)->address);
}
static void peers_close(qd_peers *p)
{
    node *x = (node *)p;
    pthread_mutex_lock(&x->r->lock);
    x->open = false;
    pthread_mutex_unlock(&x->r->lock);
}
static const qd_svc_peers svc_peers = {.open = peers_open,
                                       .send = peers_send,
                                       .watch = peers_watch,
                                       .unwatch = peers_unwatch,
                                       .address = peers_address,
                                       .close = peers_close};

#define HOST_FLAGS 0
#include "lib/coord_host.h"

/* --- nodes --- */

static void shell(const char *format, const char *a, const char *b)
{
    char line[512];
    snprintf(line, sizeof line, format, a, b);
    if (system(line) != 0) abort();
}

rig *rig_make(int n)
{
    rig *r = calloc(1, sizeof *r);
    pthread_condattr_t a;
    r->n = n;
    r->random = 42;
    snprintf(r->base, sizeof r->base, "/tmp/qd-rig-XXXXXX");
    if (!mkdtemp(r->base)) abort();
    pthread_mutex_init(&r->lock, NULL);
    pthread_condattr_init(&a);
    pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
    pthread_cond_init(&r->more, &a);
    pthread_condattr_destroy(&a);
    for (int i = 0; i < n; i++) {
        node *x = &r->nodes[i];
        *x = (node){.r = r, .i = i};
        snprintf(x->name, sizeof x->name, "m%d", i + 1);
        snprintf(x->address, sizeof x->address, "m%d:1", i + 1);
        snprintf(x->folder, sizeof x->folder, "%s/m%d", r->base, i + 1);
        snprintf(x->copy, sizeof x->copy, "%s/copy%d", r->base, i + 1);
        shell("mkdir -m 700 %s", x->folder, "");
        if (RIG_ENTRY()->init((qd_self *)x, &host, NULL)) abort();
    }
    if (pthread_create(&r->post, NULL, run_post, r)) abort();
    return r;
}

static void stopped(void *arg)
{
    atomic_store((_Atomic int *)arg, 1);
}

void rig_free(rig *r)
{
    for (int i = 0; i < r->n; i++) rig_stop(r, i);
    pthread_mutex_lock(&r->lock);
    r->quit = true;
    pthread_cond_signal(&r->more);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->post, NULL);
    while (r->first) {
        letter *next = r->first->next;
        free(r->first);
        r->first = next;
    }
    for (int i = 0; i < r->n; i++) {
        _Atomic int done = 0;
        RIG_ENTRY()->stop((qd_self *)&r->nodes[i], stopped, &done);
        free(r->nodes[i].log);
    }
    shell("rm -rf %s", r->base, "");
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->more);
    free(r);
}

static uint32_t list_of(const char *const *texts, qd_str *out)
{
    uint32_t n = 0;
    for (; texts && texts[n]; n++) out[n] = qd_plug_str(texts[n]);
    return n;
}

static qd_pair more[3];
static uint32_t nmore;

void rig_options(const qd_pair *options, uint32_t n)
{
    nmore = n < 3 ? n : 3;
    for (uint32_t i = 0; i < nmore; i++) more[i] = options[i];
}

void rig_actions(const void *table)
{
    svc_action = table;
}

int32_t rig_start_with(rig *r, int i, const char *name, const char *cluster,
                       const char *const *peers, const char *const *names, const char *const *seeds,
                       uint32_t flags)
{
    node *x = &r->nodes[i];
    qd_str lists[3][RIG_NODES + 1];
    qd_pair options[] = {{QD_STR("election_timeout"), QD_STR("250ms")},
                         {QD_STR("heartbeat_interval"), QD_STR("50ms")},
                         {QD_STR("snapshot_threshold"), QD_STR("200")},
                         {QD_STR(""), QD_STR("")},
                         {QD_STR(""), QD_STR("")},
                         {QD_STR(""), QD_STR("")}};
    for (uint32_t o = 0; o < nmore; o++) options[3 + o] = more[o];
    if (name) snprintf(x->name, sizeof x->name, "%s", name);
    qd_coord_config k = {.struct_size = sizeof k,
                         .flags = flags,
                         .cluster = qd_plug_str(cluster ? cluster : "rig"),
                         .node_id = qd_plug_str(x->name),
                         .node_name = qd_plug_str(x->name),
                         .path = qd_plug_str(x->folder),
                         .publish = qd_plug_str(x->address),
                         .options = options,
                         .noptions = 3 + nmore,
                         .peers = lists[0],
                         .npeers = list_of(peers, lists[0]),
                         .first = lists[1],
                         .nfirst = list_of(names, lists[1]),
                         .seeds = lists[2],
                         .nseeds = list_of(seeds, lists[2])};
    qd_err err;
    qd_err_init(&err);
    int32_t rc = x->vt->open((qd_self *)x, &k, &x->store, &err);
    if (rc) {
        if (getenv("RIG_LOG"))
            fprintf(stderr, "# %s: open: %s\n", x->name, err.reason ? err.reason : "?");
        x->store = NULL;
    }
    qd_err_fini(&err);
    return rc;
}

int32_t rig_start(rig *r, int i, int how, int first, uint32_t flags)
{
    const char *addresses[RIG_NODES + 1] = {0}, *names[RIG_NODES + 1] = {0};
    for (int k = 0; k < first; k++) {
        addresses[k] = r->nodes[k].address;
        names[k] = r->nodes[k].name;
    }
    return rig_start_with(r, i, NULL, NULL, how == RIG_PEERS ? addresses : NULL,
                          how == RIG_NAMES ? names : NULL, how != RIG_PEERS ? addresses : NULL,
                          flags);
}

void rig_stop(rig *r, int i)
{
    node *x = &r->nodes[i];
    _Atomic int done = 0;
    if (!x->store) return;
    x->vt->close(x->store, stopped, &done);
    x->store = NULL;
    while (!atomic_load(&done)) rig_pause(1);
}

void rig_kill(rig *r, int i)
{
    pthread_mutex_lock(&r->lock);
    r->nodes[i].ghost = true;
    r->nodes[i].open = false;
    pthread_mutex_unlock(&r->lock);
    rig_stop(r, i);
}

const char *rig_folder(const rig *r, int i)
{
    return r->nodes[i].folder;
}

void rig_wipe(rig *r, int i)
{
    shell("rm -rf %s && mkdir -m 700 %s", r->nodes[i].folder, r->nodes[i].folder);
}

void rig_copy(rig *r, int i)
{
    shell("rm -rf %s", r->nodes[i].copy, "");
    shell("cp -a %s %s", r->nodes[i].folder, r->nodes[i].copy);
}

void rig_restore(rig *r, int i)
{
    shell("rm -rf %s", r->nodes[i].folder, "");
    shell("cp -a %s %s", r->nodes[i].copy, r->nodes[i].folder);
}

void rig_cut(rig *r, int a, int b, bool cut)
{
    pthread_mutex_lock(&r->lock);
    r->cut[a][b] = cut;
    pthread_mutex_unlock(&r->lock);
}

void rig_isolate(rig *r, int i, bool cut)
{
    for (int k = 0; k < r->n; k++) {
        if (k == i) continue;
        rig_cut(r, i, k, cut);
        rig_cut(r, k, i, cut);
    }
}

void rig_freeze(rig *r, int i, bool on)
{
    atomic_store(&r->nodes[i].frozen, on);
}

void rig_noise(rig *r, uint32_t lose, uint32_t delay_us)
{
    pthread_mutex_lock(&r->lock);
    r->lose = lose;
    r->delay_us = delay_us;
    pthread_mutex_unlock(&r->lock);
}

qd_coord *rig_store(rig *r, int i)
{
    return r->nodes[i].store;
}

const qd_coord_vtable *rig_vtable(rig *r)
{
    return r->nodes[0].vt;
}

void rig_tell_gone(rig *r, int i)
{
    pthread_mutex_lock(&r->lock);
    for (int k = 0; k < r->n; k++) {
        node *x = &r->nodes[k];
        if (k != i && x->open && x->events.changed)
            x->events.changed(x->events.arg, qd_plug_str(r->nodes[i].address), QD_PEER_GONE, NULL,
                              QD_STR("closed, and refused when dialled"));
    }
    pthread_mutex_unlock(&r->lock);
}

bool rig_logged(rig *r, int i, const char *text)
{
    bool found = false;
    pthread_mutex_lock(&r->lock);
    for (int k = 0; k < r->n && !found; k++)
        if ((i < 0 || i == k) && r->nodes[k].log) found = strstr(r->nodes[k].log, text) != NULL;
    pthread_mutex_unlock(&r->lock);
    return found;
}

/* --- the kit --- */

static rig *kit;

static int32_t kit_open(qd_self *self, const qd_coord_config *k, qd_coord **out, qd_err *err)
{
    (void)self;
    (void)err;
    int32_t rc = 0;
    if (!(k->flags & QD_COORD_OPEN_BOOTSTRAP)) { /* a store of its own, one master */
        rc = rig_start_with(kit, kit->n - 1, "alone", "mirror", NULL, NULL, NULL, k->flags);
        *out = rig_store(kit, kit->n - 1);
        return rc;
    }
    if (!rig_store(kit, kit->conform))
        rc = rig_start(kit, kit->conform, RIG_PEERS, 3, QD_COORD_OPEN_BOOTSTRAP);
    *out = rig_store(kit, kit->conform);
    return rc;
}

static void kit_close(qd_coord *co, void (*done)(void *arg), void *arg)
{
    for (int i = 0; i < kit->n; i++)
        if (kit->nodes[i].store == co) kit->nodes[i].store = NULL;
    kit->nodes[0].vt->close(co, done, arg);
}

const qd_coord_vtable *rig_conform_vtable(rig *r, int i)
{
    static qd_coord_vtable vt;
    kit = r;
    r->conform = i;
    vt = *r->nodes[0].vt;
    vt.open = kit_open;
    vt.close = kit_close;
    return &vt;
}
