/*
 * cluster.c: following the store: watch, applier thread, session. See cluster.h.
 *
 * The watch's callback copies events into a queue and returns; the applier folds them into its map
 * of keys, builds a snapshot, shows it to the listener and publishes it. A compacted watch is
 * answered by reading everything again.
 */
#include "cluster/cluster.h"
#include "base/log.h"
#include "base/str.h"
#include "cluster/allocation/allocator_int.h"
#include "cluster/cluster_int.h"
#include "cluster/mutants.h"
#include "rpc/rpc.h"
#include <string.h>

#define STOP_MS 2000
#define AGAIN_NS UINT64_C(200000000)
#define SAY_NS UINT64_C(10000000000)
#define TAKE_UP_MS 5000 /* at most, at the start */
#define STALE_NS UINT64_C(5000000000)
#define BATCH_ARENA_MAX ((size_t)1 << 30)

/* --- map of keys ---------------------------------------------------------------------------------
 */

static int kv_put(qd_cluster *c, const qd_coord_kv *kv)
{
    qd_state_kv *v = qd_alloc(NULL, sizeof *v + kv->value_len + 1), *old = NULL;
    if (!v) return QD_E_NOMEM;
    char *bytes = (char *)(v + 1);
    if (kv->value_len) memcpy(bytes, kv->value, kv->value_len);
    bytes[kv->value_len] = 0;
    *v = (qd_state_kv){kv->mod_revision, kv->session, {bytes, kv->value_len}};
    if (qd_map_put(&c->kv, kv->key, v, (void **)&old)) {
        qd_free(v);
        return QD_E_NOMEM;
    }
    qd_free(old);
    return 0;
}

static void kv_clear(qd_cluster *c)
{
    size_t pos = 0;
    const qd_map_entry *e;
    while ((e = qd_map_next(&c->kv, &pos))) qd_free(e->value);
    qd_map_fini(&c->kv);
}

static qd_str uuid_in(const qd_coord_list *list)
{
    for (uint32_t i = 0; i < list->n; i++) {
        const qd_coord_kv *kv = &list->at[i];
        if (qd_str_is(kv->key, "cluster/uuid")) {
            return (qd_str){(const char *)kv->value, kv->value_len};
        }
    }
    return (qd_str){NULL, 0};
}

/* The epoch of the store in charge; false: not known yet. A mirror has one above all that were
 * used, and no state is of it; a sealed or retired store's is of the past, and a node that has not
 * followed yet may tell of it while another one answers the read. By the applier, and before it. */
static bool epoch_of(qd_cluster *c, uint64_t *epoch)
{
    qd_coord_identity i;
    qd_coord_identity_get(c->store, &i);
    if (i.state == QD_COORD_ACTIVE || i.state == QD_COORD_EMPTY) {
        c->epoch = i.epoch;
        c->epoch_known = true;
    }
    *epoch = c->epoch;
    return c->epoch_known;
}

/* Is a key older in the list than this node has seen it? Then the store has lost what came between,
 * however far it has grown since. *revision gets that of the key. */
static bool lost_something(qd_cluster *c, const qd_coord_list *list, uint64_t *revision)
{
    for (uint32_t i = 0; i < list->n; i++) {
        const qd_state_kv *had = qd_map_get(&c->kv, list->at[i].key);
        if (!had || list->at[i].mod_revision >= had->mod_revision) continue;
        *revision = list->at[i].mod_revision;
        return true;
    }
    return false;
}

/* Reads all keys; *revision is where the watch goes on. QD_E_FENCED: it is older than what this
 * node has acted on. */
static int read_all(qd_cluster *c, uint64_t *revision, qd_err *err)
{
    qd_arena a;
    qd_coord_list list;
    qd_arena_init(&a, NULL, BATCH_ARENA_MAX);
    int rc = qd_coord_read(c->store, QD_STR(""), true, c->timeout_ms, &a, &list, err);
    if (!rc && c->authority) {
        uint64_t shown = list.revision, epoch;
        (void)lost_something(c, &list, &shown);
        rc = epoch_of(c, &epoch)
                 ? qd_authority_check(c->authority, uuid_in(&list), epoch, shown, err)
                 : qd_err_set(err, QD_E_NO_COORDINATION,
                              "the store of the cluster's state does not say yet under which "
                              "control epoch it is in charge");
    }
    if (!rc) {
        kv_clear(c);
        c->changes.every = true;
        for (uint32_t i = 0; i < list.n && !rc; i++) rc = kv_put(c, &list.at[i]);
        if (rc) (void)qd_err_nomem(err, "keys of the cluster state");
        *revision = list.revision;
    }
    qd_arena_fini(&a);
    return rc;
}

/* --- applying
 * ------------------------------------------------------------------------------------- */

/* Before a state is acted on it is on record; a control node's own store is record enough for the
 * moment. */
static int note(qd_cluster *c, const qd_state *s, qd_err *err)
{
    uint64_t epoch;
    if (!c->authority || !epoch_of(c, &epoch)) return 0;
    return qd_authority_note(c->authority, qd_str_c(s->uuid), epoch, s->revision, !c->control, err);
}

static int publish(qd_cluster *c, uint64_t revision, qd_err *err)
{
    qd_state *now, *old = c->state;
    int rc = qd_state_build(&c->kv, revision, old, &c->changes, c->plugins, &now, err);
    if (rc) return rc;
    qd_state_changes_fini(&c->changes);
    qd_state_changes_init(&c->changes);
    if ((rc = note(c, now, err))) {
        qd_state_unref(now);
        return rc;
    }
    qd_mutex_lock(&c->lock);
    c->applying = revision;
    c->shown = now;
    qd_mutex_unlock(&c->lock);
    /* before anybody asks another node for what this state says */
    if (c->rpc && now->uuid[0] && !(old && old->uuid[0])) {
        qd_rpc_cluster_uuid_set(c->rpc, qd_str_c(now->uuid));
    }
    if (c->listener) c->listener(c->listener_arg, old, now);
    qd_mutex_lock(&c->lock);
    c->state = now;
    qd_cond_broadcast(&c->applied);
    qd_waitq_wake(&c->newer);
    qd_mutex_unlock(&c->lock);
    qdi_applied_left(c, old, now);
    qd_state_unref(old);
    qdi_applied_tell(c);
    return 0;
}

static void on_events(void *arg, const qd_coord_event *events, uint32_t n, uint64_t revision,
                      int32_t rc)
{
    qd_cluster *c = arg;
    cluster_batch *b = qd_calloc(NULL, sizeof *b);
    if (b) {
        qd_arena_init(&b->arena, NULL, BATCH_ARENA_MAX);
        b->revision = revision;
        b->rc = rc;
        b->n = n;
        b->events = qd_arena_alloc(&b->arena, (n + 1) * sizeof *b->events);
        for (uint32_t i = 0; i < n && b->events; i++) {
            b->events[i] = events[i];
            qd_coord_kv *kv = &b->events[i].kv;
            qd_str value =
                qd_arena_str(&b->arena, (qd_str){(const char *)kv->value, kv->value_len});
            kv->key = qd_arena_str(&b->arena, kv->key);
            kv->value = (const uint8_t *)value.p;
            if (!kv->key.p || !value.p) b->rc = QD_E_COMPACTED;
        }
        if (!b->events) b->rc = QD_E_COMPACTED; /* out of memory: read everything again */
    }
    qd_mutex_lock(&c->lock);
    if (!b) {
        c->lost = true;
    } else if (c->last) {
        c->last = c->last->next = b;
    } else {
        c->first = c->last = b;
    }
    qd_cond_signal(&c->wake);
    qd_mutex_unlock(&c->lock);
}

static int fold(qd_cluster *c, const cluster_batch *b)
{
    for (uint32_t i = 0; i < b->n; i++) {
        const qd_coord_event *e = &b->events[i];
        qd_state_changes_add(&c->changes, e->kv.key);
        if (e->type == QD_COORD_DELETE) {
            qd_free(qd_map_del(&c->kv, e->kv.key));
        } else if (kv_put(c, &e->kv)) {
            return QD_E_NOMEM;
        }
    }
    return 0;
}

static void free_batches(cluster_batch *b)
{
    while (b) {
        cluster_batch *next = b->next;
        qd_arena_fini(&b->arena);
        qd_free(b);
        b = next;
    }
}

/* After a compacted or lost watch: everything again, and a new watch from there. */
static int start_over(qd_cluster *c, qd_err *err)
{
    uint64_t revision;
    qd_coord_watch_end(c->store, c->watch);
    c->watch = NULL;
    qd_mutex_lock(&c->lock); /* what it told is older than what is read now */
    cluster_batch *old = c->first;
    c->first = c->last = NULL;
    c->lost = false;
    qd_mutex_unlock(&c->lock);
    free_batches(old);
    if (QD_MUTANT(cluster, GAP_IGNORED)) {
        return qd_coord_watch_open(c->store, QD_STR(""), 0, on_events, c, &c->watch, err);
    }
    int rc = read_all(c, &revision, err);
    if (!rc) rc = publish(c, revision, err);
    if (!rc) {
        rc = qd_coord_watch_open(c->store, QD_STR(""), revision + 1, on_events, c, &c->watch, err);
    }
    return rc;
}

/* Folds what has come, up to the first batch that ends the watch; *revision gets the newest one. */
static int fold_all(qd_cluster *c, const cluster_batch *first, uint64_t *revision)
{
    int rc = 0;
    for (const cluster_batch *b = first; b && !rc; b = b->next) {
        rc = b->rc;
        if (!rc && b->n) rc = fold(c, b);
        if (!rc && b->revision > *revision) *revision = b->revision;
    }
    return rc;
}

/* Reads everything until that works; says every ten seconds why not. */
static void read_again(qd_cluster *c)
{
    uint64_t said = 0;
    for (;;) {
        qd_err err;
        qd_err_init(&err);
        int rc = start_over(c, &err);
        uint64_t now = qd_env_mono_ns(c->env);
        qd_mutex_lock(&c->lock);
        bool stop = c->stop;
        qd_mutex_unlock(&c->lock);
        if (rc && !stop && (!said || now - said > SAY_NS)) {
            said = now;
            qd_log_warn(CLUSTER_LOG, "cluster state cannot be taken, serving the last one: %s",
                        qd_err_reason(&err));
        }
        qd_err_fini(&err);
        if (!rc || stop) return;
        qd_env_sleep_ns(c->env, AGAIN_NS);
    }
}

/* One state for all that has come: writers that wait for revisions in between wait no longer. */
static void apply_batches(qd_cluster *c, const cluster_batch *first, bool lost)
{
    qd_err err;
    uint64_t revision = c->state->revision;
    qd_err_init(&err);
    int rc = lost ? QD_E_COMPACTED : fold_all(c, first, &revision);
    if (!rc && revision > c->state->revision) rc = publish(c, revision, &err);
    if (rc && rc != QD_E_CLOSED) {
        qd_log_info(CLUSTER_LOG, "reading the whole cluster state again: %s", qd_code_name(rc));
        qd_err_fini(&err);
        read_again(c);
    }
    qd_err_fini(&err);
}

static void apply_all(void *arg)
{
    qd_cluster *c = arg;
    qd_mutex_lock(&c->lock);
    while (!c->stop) {
        cluster_batch *first = c->first;
        bool lost = c->lost;
        if (!first && !lost) {
            qd_cond_wait(&c->wake, &c->lock);
            continue;
        }
        c->first = c->last = NULL;
        c->lost = false;
        qd_mutex_unlock(&c->lock);
        apply_batches(c, first, lost);
        free_batches(first);
        qd_mutex_lock(&c->lock);
    }
    qd_mutex_unlock(&c->lock);
}

/* --- begin, end
 * ------------------------------------------------------------------------------------- */

/* The uuid is made by the control node that comes first; others wait for it. A node that was in a
 * cluster makes no other one. */
static int form(qd_cluster *c, qd_str wanted, qd_err *err)
{
    cluster_txn t;
    qd_authority_record known = {0};
    if (c->authority) qd_authority_get(c->authority, &known);
    if (!c->control || (known.uuid[0] && !known.accept_older)) return 0;
    uint8_t random[16];
    char uuid[QD_UUID_TEXT];
    qdi_txn_init(&t);
    qd_env_random(c->env, random, sizeof random);
    qd_uuid_text(random, uuid);
    qdi_txn_exists(&t, QD_STR("cluster/uuid"), false);
    qdi_txn_put(&t, QD_STR("cluster/uuid"), wanted.n ? wanted : qd_str_c(uuid), 0);
    qdi_txn_put(&t, QD_STR("features"), qdi_txn_key(&t, "%u", c->self.features), 0);
    int rc = qdi_txn_commit(c, &t, NULL, err);
    qdi_txn_fini(&t);
    return rc == QD_E_CONFLICT ? 0 : rc;
}

/* Masters do more than tell the uuid only for who names it, once there is one. */
static int name_cluster(qd_cluster *c, qd_err *err)
{
    qd_arena a;
    qd_coord_list list;
    if (!c->rpc) return 0;
    qd_arena_init(&a, NULL, BATCH_ARENA_MAX);
    int rc = qd_coord_read(c->store, QD_STR("cluster/uuid"), false, c->timeout_ms, &a, &list, err);
    if (!rc && uuid_in(&list).n) qd_rpc_cluster_uuid_set(c->rpc, uuid_in(&list));
    qd_arena_fini(&a);
    return rc;
}

/* The cluster may have been formed behind the reading at the start. */
void qdi_cluster_named(qd_cluster *c)
{
    char uuid[64];
    qd_err err;
    if (!c->rpc) return;
    qd_rpc_cluster_uuid(c->rpc, uuid);
    if (uuid[0]) return;
    qd_err_init(&err);
    if (name_cluster(c, &err)) {
        qd_log_debug(CLUSTER_LOG, "the cluster's uuid: %s", qd_err_reason(&err));
    }
    qd_err_fini(&err);
}

/* Puts this node into the cluster, which another one may form meanwhile: then it is named first. */
static int join(qd_cluster *c, qd_str uuid, qd_err *err)
{
    int rc = 0;
    for (int i = 0; i < 2; i++) {
        if (rc) {
            qd_err_fini(err);
            qd_err_init(err);
        }
        rc = name_cluster(c, err);
        if (!rc) rc = form(c, uuid, err);
        if (!rc) rc = qdi_session_begin(c, err);
        if (rc != QD_E_SECURITY) break;
    }
    return rc;
}

/* This node, for as long as c lives; an ephemeral id is made when none is given. */
static int copy_self(qd_cluster *c, const qd_node_meta *n, qd_err *err)
{
    qd_arena *a = &c->arena;
    char made[QD_UUID_TEXT];
    uint8_t random[16];
    qd_env_random(c->env, random, sizeof random);
    qd_uuid_text(random, made);
    qd_pair *pairs = qd_arena_calloc(a, (n->nattributes + 1) * sizeof *pairs);
    c->self = (qd_node_meta){
        .id = qd_arena_str(a, n->id),
        .name = qd_arena_str(a, n->name),
        .host = qd_arena_str(a, n->host),
        .transport_address = qd_arena_str(a, n->transport_address),
        .http_address = qd_arena_str(a, n->http_address),
        .roles = qd_arena_str(a, n->roles),
        .version = qd_arena_str(a, n->version),
        .ephemeral = qd_arena_str(a, n->ephemeral.n ? n->ephemeral : qd_str_c(made)),
        .wants = qd_arena_str(a, n->wants),
        .tiers = qd_arena_str(a, n->tiers),
        .stores = n->stores,
        .features = n->features ? n->features : QD_FEATURES_LEVEL,
        .attributes = pairs,
    };
    if (!pairs || !c->self.ephemeral.p) return qd_err_nomem(err, "cluster");
    for (uint32_t i = 0; i < n->nattributes; i++) {
        pairs[i].key = qd_arena_str(a, n->attributes[i].key);
        pairs[i].value = qd_arena_str(a, n->attributes[i].value);
        if (!pairs[i].key.p || !pairs[i].value.p) return qd_err_nomem(err, "cluster");
        c->self.nattributes++;
    }
    return 0;
}

/* Has the allocator seen that this node's process is a new one, and given it its primaries? Of many
 * it gives some, and the others as those are opened, which begins behind this. */
static bool taken_up(void *arg, const qd_state *s)
{
    const qd_cluster *c = arg;
    bool given = false, waiting = false;
    if (!s->master.n) return false;
    for (uint32_t i = 0; i < s->n; i++) {
        for (uint32_t k = 0; k < s->indices[i]->shards; k++) {
            const qd_shard_meta *m = &s->shards[i][k];
            const qd_copy *mine = qd_shard_meta_copy_of(m, c->self.id);
            if (mine && !qd_str_eq(mine->ephemeral, c->self.ephemeral)) return false;
            given |= mine != NULL;
            if (!m->ncopies || m->primary.n || m->copies[0].reason != QD_UNASSIGNED_NODE_LEFT) {
                continue;
            }
            for (uint32_t x = 0; x < m->nin_sync; x++) {
                waiting |= qd_str_eq(m->in_sync[x].node, c->self.id);
            }
        }
    }
    return given || !waiting;
}

static void end(qd_cluster *c)
{
    qdi_applied_close(c);
    qdi_allocator_close(c->allocator);
    qd_mutex_lock(&c->lock);
    c->allocator = NULL;
    c->stop = true;
    qd_cond_broadcast(&c->wake);
    qd_cond_broadcast(&c->keeper_wake);
    qd_mutex_unlock(&c->lock);
    if (c->keeper) qd_thread_join(c->env, c->keeper);
    if (c->recorder) qd_thread_join(c->env, c->recorder);
    if (c->applier) qd_thread_join(c->env, c->applier);
    qd_coord_watch_end(c->store, c->watch);
    if (c->session) qd_coord_session_end(c->store, c->session);
    free_batches(c->first);
    qd_state_unref(c->state);
    qd_state_changes_fini(&c->changes);
    kv_clear(c);
    qd_cond_fini(&c->wake);
    qd_cond_fini(&c->applied);
    qd_cond_fini(&c->keeper_wake);
    qd_mutex_fini(&c->lock);
    qd_arena_fini(&c->arena);
    qd_free(c);
}

int qd_cluster_open(const qd_cluster_config *config, qd_cluster **out, qd_err *err)
{
    uint64_t revision;
    qd_cluster *c = qd_calloc(NULL, sizeof *c);
    if (!c) return qd_err_nomem(err, "cluster");
    c->env = config->env;
    c->store = config->store;
    c->data = config->data;
    c->config = config->config;
    c->plugins = config->plugins;
    c->rpc = config->rpc;
    c->authority = config->authority;
    c->disks = config->disks;
    c->control = config->control;
    c->eligible = config->eligible;
    c->eligible_arg = config->eligible_arg;
    c->session_ttl_ms = config->session_ttl_ms;
    c->timeout_ms = config->timeout_ms;
    c->listener = config->listener;
    c->listener_arg = config->listener_arg;
    c->failed = config->failed;
    qd_arena_init(&c->arena, NULL, (size_t)1 << 20);
    qd_map_init(&c->kv, NULL);
    qd_state_changes_init(&c->changes);
    qd_mutex_init(&c->lock);
    qd_cond_init(&c->wake);
    qd_cond_init(&c->applied);
    qd_cond_init(&c->keeper_wake);
    qd_waitq_init(&c->newer, &c->lock);
    c->name = qd_arena_str(&c->arena, config->name);
    int rc = copy_self(c, &config->self, err);
    if (!rc) rc = join(c, config->uuid, err);
    if (!rc) rc = read_all(c, &revision, err);
    if (!rc) rc = publish(c, revision, err);
    if (!rc) {
        rc = qd_coord_watch_open(c->store, QD_STR(""), revision + 1, on_events, c, &c->watch, err);
    }
    if (!rc) rc = qdi_applied_open(c, err);
    if (!rc) rc = qd_thread_start(c->env, "cluster-applier", apply_all, c, &c->applier, err);
    if (!rc) rc = qd_thread_start(c->env, "cluster-session", qdi_session_keep, c, &c->keeper, err);
    if (!rc && (c->authority || c->disks.n)) {
        rc = qd_thread_start(c->env, "cluster-record", qdi_session_record, c, &c->recorder, err);
    }
    bool stands = config->control || config->eligible;
    if (!rc && stands) {
        rc = qdi_allocator_open(c, config->config, config->rpc, &c->allocator, err);
    }
    /* a time-out is none: the allocator may be another node's, or wait for something */
    if (!rc && stands && qd_cluster_wait_for(c, taken_up, c, TAKE_UP_MS) == QD_E_TIMEOUT)
        qd_log_info(CLUSTER_LOG, "no allocator took up this node's shards in %d s: it goes on",
                    TAKE_UP_MS / 1000);
    if (rc) {
        end(c); /* without haste, which the store would keep: it may be tried again */
        return rc;
    }
    *out = c;
    return 0;
}

/* What the others still have of a node that leaves: its record, its copies; is anybody there? */
static bool has_left(void *arg, const qd_state *s)
{
    const qd_cluster *c = arg;
    bool others = false, listed = false;
    for (uint32_t i = 0; i < s->nnodes; i++) {
        bool own = qd_str_eq(s->nodes[i].id, c->self.id);
        listed |= own;
        others |= !own && qd_node_has_role(&s->nodes[i], 'm');
    }
    for (uint32_t i = 0; others && i < s->n; i++) {
        for (uint32_t k = 0; k < s->indices[i]->shards; k++) {
            if (qd_shard_meta_copy_of(&s->shards[i][k], c->self.id)) return false;
        }
    }
    return !others || !listed;
}

void qd_cluster_leave(qd_cluster *c, int64_t timeout_ms)
{
    qd_coord_hurry(c->store, STOP_MS);
    qd_mutex_lock(&c->lock);
    qd_allocator *a = c->allocator;
    c->allocator = NULL;
    c->leaving = true;
    qd_cond_broadcast(&c->keeper_wake);
    qd_mutex_unlock(&c->lock);
    if (c->keeper) qd_thread_join(c->env, c->keeper); /* it joins anew with no session */
    c->keeper = NULL;
    qdi_allocator_close(a);
    qd_mutex_lock(&c->lock);
    uint64_t session = c->session;
    c->session = 0;
    qd_mutex_unlock(&c->lock);
    if (session) qd_coord_session_end(c->store, session);
    (void)qd_cluster_wait_for(c, has_left, c, timeout_ms);
}

void qd_cluster_close(qd_cluster *c)
{
    if (!c) return;
    qd_coord_hurry(c->store, STOP_MS); /* a majority may have gone already */
    end(c);
}

qd_state *qd_cluster_state(qd_cluster *c)
{
    qd_mutex_lock(&c->lock);
    qd_state *s = qd_state_ref(c->state);
    qd_mutex_unlock(&c->lock);
    return s;
}

qd_state *qd_cluster_shown(qd_cluster *c)
{
    qd_mutex_lock(&c->lock);
    qd_state *s = qd_state_ref(c->shown);
    qd_mutex_unlock(&c->lock);
    return s;
}

const struct qd_plugin_host *qd_cluster_plugins(const qd_cluster *c)
{
    return c->plugins;
}

const qd_node_meta *qd_cluster_self(const qd_cluster *c)
{
    return &c->self;
}
qd_str qd_cluster_name(const qd_cluster *c)
{
    return c->name;
}
int64_t qd_cluster_stale_ms(qd_cluster *c)
{
    uint64_t now = qd_env_boot_ns(c->env), at = atomic_load(&c->contact_ns);
    uint64_t may = (uint64_t)c->session_ttl_ms * 1000000u;
    if (may < STALE_NS) may = STALE_NS;
    return now > at + may ? (int64_t)((now - at) / 1000000u) : 0;
}
uint32_t qd_cluster_pending(qd_cluster *c)
{
    return atomic_load(&c->pending);
}

int qd_cluster_wait_for(qd_cluster *c, bool (*done)(void *arg, const qd_state *s), void *arg,
                        int64_t timeout_ms)
{
    uint64_t until = qd_env_mono_ns(c->env) + (uint64_t)timeout_ms * 1000000u;
    int rc = 0;
    qd_mutex_lock(&c->lock);
    while (!done(arg, c->state) && !rc) {
        rc = qd_waitq_wait_task(&c->newer, until);
        if (rc && done(arg, c->state)) rc = 0;
        if (rc) break;
    }
    qd_mutex_unlock(&c->lock);
    return rc;
}

static bool reached(void *arg, const qd_state *s)
{
    return s && s->revision >= *(uint64_t *)arg;
}

int qd_cluster_wait(qd_cluster *c, uint64_t revision, int64_t timeout_ms, qd_err *err)
{
    int rc = qd_cluster_wait_for(c, reached, &revision, timeout_ms);
    return rc ? qd_err_set(err, rc, "cluster state of revision %llu was not applied in %lld ms",
                           (unsigned long long)revision, (long long)timeout_ms)
              : 0;
}

qd_health qd_shard_health_in(const qd_state *s, const qd_shard_meta *r, uint32_t replicas)
{
    qd_health h = qd_shard_health(r, replicas);
    const qd_copy *primary = qd_shard_meta_primary(r);
    const qd_node_meta *n = primary ? qd_state_node(s, primary->node) : NULL;
    return h == QD_HEALTH_GREEN && n && qd_node_disk_full(n) ? QD_HEALTH_YELLOW : h;
}

qd_health qd_index_health(const qd_state *s, const qd_index_meta *m)
{
    const qd_shard_meta *shard = qd_state_shards(s, m);
    qd_health worst = QD_HEALTH_GREEN;
    bool full = false;
    for (uint32_t i = 0; i < s->nnodes && !full; i++) full = qd_node_disk_full(&s->nodes[i]);
    for (uint32_t i = 0; shard && i < m->shards; i++) {
        qd_health h = full ? qd_shard_health_in(s, &shard[i], m->replicas)
                           : qd_shard_health(&shard[i], m->replicas);
        if (h > worst) worst = h;
    }
    return worst;
}

qd_health qd_shard_health(const qd_shard_meta *s, uint32_t replicas)
{
    qd_shard_counts_meta n;
    if (!qd_shard_meta_is_started(s)) return QD_HEALTH_RED;
    qd_shard_meta_count(s, replicas, &n);
    return n.unassigned || n.active < (uint64_t)replicas + 1 ? QD_HEALTH_YELLOW : QD_HEALTH_GREEN;
}

const char *qd_health_name(qd_health h)
{
    static const char *const names[] = {"green", "yellow", "red"};
    return names[h];
}
