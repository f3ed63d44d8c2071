/* replication.c: the node's replication: copies held here, their lives, time. See repl_int.h. */
#include "replication/repl_int.h"
#include "runtime/cpu.h"
#include <stdio.h>

#define RETIRE_NS UINT64_C(1000000)
#define KEY_MAX 48
#define RATE_START ((uint64_t)40 << 20) /* bytes a second until something was measured */
#define RATE_LEAST ((uint64_t)4 << 20)
#define SLOW_THREADS 16u
#define CHANGE_THREADS 8u

static qd_str key_of(const char *uuid, uint32_t number, char buf[KEY_MAX])
{
    int n = snprintf(buf, KEY_MAX, "%s/%u", uuid, number);
    qd_assert(n > 0 && n < KEY_MAX);
    return (qd_str){buf, (size_t)n};
}

/* --- copies held here ------------------------------------------------------------------------- */

repl_shard *repl_ref(repl_shard *g)
{
    int32_t refs = atomic_fetch_add_explicit(&g->refs, 1, memory_order_relaxed);
    qd_assert(refs > 0);
    return g;
}

void repl_unref(repl_shard *g)
{
    if (!g) return;
    int32_t refs = atomic_fetch_sub_explicit(&g->refs, 1, memory_order_acq_rel);
    qd_assert(refs > 0);
    if (refs != 1) return;
    qd_assert(!g->mapped && !g->installing && g->writers == 0); /* each of them counts it */
    qd_assert(!g->pm.first && !g->pm.reads);
    for (size_t i = 0; i < REPL_HOLDS; i++)
        qd_assert(!g->hold[i].p); /* of an engine that is gone */
    qd_vec_fini(&g->outbox);
    qd_vec_fini(&g->cas);
    qd_free(g->place);
    qd_free(g->others);
    qd_mutex_fini(&g->lock);
    qd_free(g);
}

repl_shard *repl_get(qd_replication *r, const char *uuid, uint32_t number)
{
    char key[KEY_MAX];
    qd_mutex_lock(&r->lock);
    repl_shard *g = qd_map_get(&r->map, key_of(uuid, number, key));
    if (g) repl_ref(g);
    qd_mutex_unlock(&r->lock);
    return g;
}

int repl_enter(repl_shard *g, qd_shard **s, qd_engine **e, qd_err *err)
{
    qd_mutex_lock(&g->lock);
    qd_shard *shard = g->shard ? qd_shard_ref(g->shard) : NULL;
    qd_mutex_unlock(&g->lock);
    int rc = shard ? qd_shard_enter(shard, 0, e, err)
                   : qd_err_set(err, QD_E_NO_SHARD, "%s is being closed", g->name);
    if (!rc) {
        /* closed and opened again meanwhile: another engine, another g */
        qd_mutex_lock(&g->lock);
        bool same = g->engine == *e;
        qd_mutex_unlock(&g->lock);
        if (same) {
            *s = shard;
            return 0;
        }
        qd_shard_leave(shard);
        rc = qd_err_set(err, QD_E_NO_SHARD, "%s was opened again", g->name);
    }
    qd_shard_unref(shard);
    return rc;
}

void repl_leave(qd_shard *s)
{
    qd_shard_leave(s);
    qd_shard_unref(s);
}

static void job_run(qd_work *w)
{
    repl_job *j = (repl_job *)(void *)w;
    repl_shard *g = j->g;
    j->fn(g); /* which may be queued again before it returns */
    repl_unref(g);
}

int repl_submit(qd_replication *r, qd_pool *pool, qd_work *work)
{
    atomic_fetch_add(&r->submits, 1);
    int rc = atomic_load(&r->closing) ? QD_E_CLOSED : qd_pool_submit_forced(pool, work, NULL);
    uint32_t submits = atomic_fetch_sub(&r->submits, 1);
    qd_assert(submits > 0);
    return rc;
}

static void job_queue(repl_shard *g, repl_job *j)
{
    repl_ref(g);
    if (repl_submit(g->r, j->pool, &j->work) == 0) return;
    atomic_store(&j->late, true);
    repl_wake(g);
    repl_unref(g);
}

void repl_run(repl_shard *g, qd_pool *pool, repl_kind kind, void (*fn)(repl_shard *g))
{
    repl_job *j = &g->job[kind];
    j->work = (qd_work){.run = job_run};
    j->g = g;
    j->pool = pool;
    j->fn = fn; /* late is the tick's too */
    job_queue(g, j);
}

void repl_run_late(repl_shard *g)
{
    for (size_t i = 0; i < REPL_JOBS; i++) {
        if (atomic_exchange(&g->job[i].late, false)) job_queue(g, &g->job[i]);
    }
}

void repl_fail_shard(repl_shard *g, const char *text, int why)
{
    qd_mutex_lock(&g->lock);
    qd_shard *s = g->shard ? qd_shard_ref(g->shard) : NULL;
    qd_mutex_unlock(&g->lock);
    if (!s) return;
    qd_log_warn(REPL_LOG, "%s copy [%s] fails: %s", g->name, g->aid, text);
    qd_shard_fail(s, qd_str_c(text), why);
    qd_shard_unref(s);
}

bool repl_contradicts(const repl_shard *g, int64_t known, int64_t max)
{
    return known > max && !g->async && !QD_MUTANT(repl, KNOWN_IGNORED);
}

void repl_set_aside(repl_shard *g, const char *text)
{
    qd_mutex_lock(&g->lock);
    qd_shard *s = g->shard ? qd_shard_ref(g->shard) : NULL;
    qd_mutex_unlock(&g->lock);
    if (!s) return;
    qd_shard_set_aside(s, qd_str_c(text));
    qd_shard_unref(s);
}

/* --- the shard module's hooks ----------------------------------------------------------------- */

/* The newest state that was shown to this node: the listener sees one before it is published. */
static qd_state *newest(qd_replication *r)
{
    qd_state *published = qd_cluster_state(r->cluster);
    qd_mutex_lock(&r->lock);
    if (!r->state || r->state->revision <= published->revision) {
        qd_mutex_unlock(&r->lock);
        return published;
    }
    qd_state *s = qd_state_ref(r->state);
    qd_mutex_unlock(&r->lock);
    qd_state_unref(published);
    return s;
}

/* Has the record of this shard other copies that may count? Yes when it is not known. */
static bool others(qd_replication *r, qd_shard *s)
{
    qd_state *state = newest(r);
    qd_index_meta *m = qd_shard_index(s);
    const qd_shard_meta *rec = qd_state_shard(state, m, qd_shard_number(s));
    bool some = !rec || !rec->ncopies;
    if (rec) {
        for (uint32_t i = 0; i < rec->nin_sync; i++) {
            some |= !qd_str_eq(rec->in_sync[i].allocation_id, qd_shard_allocation_id(s));
        }
    }
    qd_index_meta_unref(m);
    qd_state_unref(state);
    return some;
}

static void configure(void *arg, qd_shard *s, bool primary, qd_engine_config *c)
{
    qd_replication *r = arg;
    repl_shard *g = qd_calloc(&r->account, sizeof *g);
    c->mode = primary ? QD_ENGINE_PRIMARY : QD_ENGINE_REPLICA;
    if (!g) return; /* opened() finds none and fails the shard */
    atomic_store(&g->refs, 1);
    g->r = r;
    qd_mutex_init(&g->lock);
    qd_waitq_init(&g->changed, &g->lock);
    g->replicated = primary && others(r, s);
    c->replicated = g->replicated;
    c->published = repl_published;
    c->due = repl_due;
    c->copies_arg = g;
}

/* Under the lock: true for the one who is to run repl_lead. A second run beside it would take the
 * copy for a primary anew, and the writes that wait at the first one would never be answered. */
static bool lead_claim(repl_shard *g)
{
    if (g->lead_runs) {
        g->lead_again = true;
        return false;
    }
    g->lead_runs = true;
    return true;
}

static void opened(void *arg, qd_shard *s, bool primary, qd_engine *e)
{
    qd_replication *r = arg;
    char key[KEY_MAX];
    repl_shard *g = qd_engine_copies_arg(e);
    qd_index_meta *m = qd_shard_index(s);
    qd_engine_checkpoints at;
    if (!g) {
        qd_shard_fail(s, QD_STR("not enough memory for its replication"), QD_E_NOMEM);
        qd_index_meta_unref(m);
        return;
    }
    qd_engine_checkpoints_get(e, &at);
    snprintf(g->uuid, sizeof g->uuid, "%s", m->uuid);
    snprintf(g->name, sizeof g->name, "[%.*s][%u]", QD_STR_ARG(m->name), qd_shard_number(s));
    snprintf(g->aid, sizeof g->aid, "%.*s", QD_STR_ARG(qd_shard_allocation_id(s)));
    g->number = qd_shard_number(s);
    g->async = qd_values_i64(m->values, QD_IX_TRANSLOG_DURABILITY) != 0;
    g->away_ms = qd_values_ms(m->values, QD_IX_RETENTION_LEASE);
    qd_index_meta_unref(m);
    qd_mutex_lock(&g->lock);
    g->shard = s;
    g->engine = e;
    g->recovers = !primary;
    repl_copy_init(&g->cm, qd_engine_primary_term(e), at.global, repl_now(g));
    qd_shard_search_from(s, primary ? repl_search_from(at.processed) : QD_SEQ_NO_NONE);
    qd_mutex_unlock(&g->lock);
    qd_mutex_lock(&r->lock);
    void *old = NULL;
    int rc = qd_map_put(&r->map, key_of(g->uuid, g->number, key), repl_ref(g), &old);
    if (old) repl_unmapped(old);
    g->mapped = !rc;
    repl_awake(g);
    qd_cond_signal(&r->tick);
    qd_mutex_unlock(&r->lock);
    if (old) repl_unref(old);
    if (rc) {
        repl_unref(g);
        qd_shard_fail(s, QD_STR("not enough memory for its replication"), QD_E_NOMEM);
        return;
    }
    qd_state *state = newest(r);
    repl_record_take(g, state);
    qd_state_unref(state);
    if (primary) {
        qd_mutex_lock(&g->lock);
        bool lead = lead_claim(g); /* the record, or a state since, may have begun it */
        qd_mutex_unlock(&g->lock);
        if (lead) repl_run(g, r->change_pool, REPL_JOB_LEAD, repl_lead);
    } else {
        repl_run(g, r->slow_pool, REPL_JOB_RECOVER, repl_recover);
    }
}

static void closing(void *arg, qd_shard *s, qd_engine *e)
{
    qd_replication *r = arg;
    char key[KEY_MAX];
    repl_shard *g = qd_engine_copies_arg(e);
    (void)s;
    if (!g) return;
    qd_mutex_lock(&r->lock);
    qd_str k = key_of(g->uuid, g->number, key);
    bool mine = qd_map_get(&r->map, k) == g;
    if (mine) (void)qd_map_del(&r->map, k);
    if (mine) repl_unmapped(g);
    qd_mutex_unlock(&r->lock);
    qd_mutex_lock(&g->lock);
    g->shard = NULL;
    g->engine = NULL;
    if (g->leading) repl_primary_fence(&g->pm, 0);
    qd_waitq_wake(&g->changed);
    repl_unlock(g);
    repl_holds_end(g, true);
    if (mine) repl_unref(g);
}

/* The reference of configure. */
static void abandoned(void *arg, void *copies_arg)
{
    (void)arg;
    repl_unref(copies_arg);
}

/* --- records ---------------------------------------------------------------------------------- */

static const qd_node_meta *node_by_id(const qd_state *s, qd_str id)
{
    for (uint32_t i = 0; i < s->nnodes; i++) {
        if (qd_str_eq(s->nodes[i].id, id)) return &s->nodes[i];
    }
    return NULL;
}

void repl_node_name(qd_replication *r, const char *id, char *out, size_t n)
{
    qd_mutex_lock(&r->lock);
    const qd_node_meta *x = r->state ? node_by_id(r->state, qd_str_c(id)) : NULL;
    snprintf(out, n, "%.*s", QD_STR_ARG(x ? x->name : qd_str_c(id)));
    qd_mutex_unlock(&r->lock);
}

static void place_set(repl_place *p, const qd_state *s, qd_str aid, qd_str node)
{
    const qd_node_meta *n = node_by_id(s, node);
    *p = (repl_place){0};
    snprintf(p->c.aid, sizeof p->c.aid, "%.*s", QD_STR_ARG(aid));
    snprintf(p->node, sizeof p->node, "%.*s", QD_STR_ARG(node));
    if (n) snprintf(p->address, sizeof p->address, "%.*s", QD_STR_ARG(n->transport_address));
}

/* A node that has not applied s yet searches the copies that have left with it. Of those that left
 * before this copy was opened nobody knows here. */
static void note_left(repl_shard *g, const qd_state *s, const qd_shard_meta *m)
{
    if (!g->left_revision) g->left_revision = s->revision;
    for (uint32_t i = 0; i < g->nplaces; i++) {
        if (!g->place[i].c.started) continue;
        const qd_copy *c = qd_shard_meta_copy(m, qd_str_c(g->place[i].c.aid));
        if ((!c || !qd_copy_is_active(c)) && g->left_revision < s->revision)
            g->left_revision = s->revision;
    }
}

/* Does the record name a copy that is not this one? */
static bool names_others(const repl_shard *g, const qd_shard_meta *m)
{
    for (uint32_t i = 0; i < m->ncopies; i++) {
        const qd_copy *c = &m->copies[i];
        if (qd_copy_is_assigned(c) && !qd_str_is(c->allocation_id, g->aid)) return true;
    }
    for (uint32_t i = 0; i < m->nin_sync; i++) {
        if (!qd_str_is(m->in_sync[i].allocation_id, g->aid)) return true;
    }
    return false;
}

static bool places_set(repl_shard *g, const qd_state *s, const qd_shard_meta *m)
{
    uint32_t n = 0, room = m->ncopies + m->nin_sync;
    if (!g->others && names_others(g, m)) {
        g->others = qd_calloc(&g->r->account, sizeof *g->others);
        if (!g->others) return false;
        repl_primary_places(&g->pm, g->others->peer);
    }
    repl_source_nodes(g); /* of copies that the new record may not name any more */
    note_left(g, s, m);
    if (room > REPL_COPIES) room = REPL_COPIES;
    if (room > g->places_room) {
        repl_place *at = qd_calloc(&g->r->account, room * sizeof *at);
        if (!at) return false;
        qd_free(g->place);
        g->place = at;
        g->places_room = room;
    }
    for (uint32_t i = 0; i < m->ncopies && n < room; i++) {
        const qd_copy *c = &m->copies[i];
        if (!qd_copy_is_assigned(c)) continue;
        repl_place *p = &g->place[n++];
        place_set(p, s, c->allocation_id, c->node);
        p->c.assigned = true;
        p->c.in_sync = qd_shard_meta_in_sync(m, c->allocation_id) != NULL;
        p->c.started = qd_copy_is_active(c);
        p->state = c->state;
        snprintf(p->partner, sizeof p->partner, "%.*s", QD_STR_ARG(c->partner));
    }
    for (uint32_t i = 0; i < m->nin_sync && n < room; i++) {
        const qd_in_sync *k = &m->in_sync[i];
        if (qd_shard_meta_copy(m, k->allocation_id)) continue;
        place_set(&g->place[n], s, k->allocation_id, k->node);
        g->place[n++].c.in_sync = true;
    }
    qd_assert(n <= room && room <= g->places_room);
    g->nplaces = n;
    return true;
}

void repl_record_take(repl_shard *g, const qd_state *s)
{
    repl_record_copy copies[REPL_COPIES];
    repl_record rec;
    bool lead = false;
    const qd_index_meta *m = qd_state_index_uuid(s, qd_str_c(g->uuid));
    const qd_shard_meta *r = m ? qd_state_shard(s, m, g->number) : NULL;
    if (!r || !r->ncopies) return;
    qd_mutex_lock(&g->lock);
    /* again too: nodes' addresses may have changed. Without memory the next state is taken */
    g->stale = r->mod_revision >= g->revision && !places_set(g, s, r);
    if (g->stale) atomic_store(&g->r->stale, true);
    if (r->mod_revision >= g->revision && !g->stale) {
        g->revision = r->mod_revision;
        g->record_term = r->primary_term;
        g->unsynced = r->unopened;
        g->async = qd_values_i64(m->values, QD_IX_TRANSLOG_DURABILITY) != 0;
        g->away_ms = qd_values_ms(m->values, QD_IX_RETENTION_LEASE);
        snprintf(g->record_primary, sizeof g->record_primary, "%.*s", QD_STR_ARG(r->primary));
        g->copies_wanted = m->replicas + 1;
        if (g->leading) {
            repl_record_view(g, copies, &rec);
            repl_primary_record(&g->pm, &rec, repl_now(g));
            repl_relocate_look(g);
        }
        bool mine = strcmp(g->record_primary, g->aid) == 0;
        lead = g->engine && mine && !(g->leading && g->pm.term >= g->record_term) && lead_claim(g);
        qd_waitq_wake(&g->changed);
    }
    repl_unlock(g);
    if (lead) repl_run(g, g->r->change_pool, REPL_JOB_LEAD, repl_lead);
}

typedef QD_VEC(repl_shard *) shard_list;
static void list_all(qd_replication *r, shard_list *list)
{
    size_t pos = 0;
    const qd_map_entry *e;
    qd_mutex_lock(&r->lock);
    while ((e = qd_map_next(&r->map, &pos))) {
        if (!qd_vec_push(list, NULL, (repl_shard *)e->value)) repl_ref(e->value);
    }
    qd_mutex_unlock(&r->lock);
}

/* Has all of a record been taken? */
static bool taken(repl_shard *g, const qd_shard_meta *is)
{
    qd_mutex_lock(&g->lock);
    bool all = !g->stale && g->revision >= is->mod_revision;
    qd_mutex_unlock(&g->lock);
    return all;
}

typedef struct applying {
    qd_replication *r;
    const qd_state *now;
} applying;

/* The copies held here of an index that has changed. Those of one that is gone are closed. */
static int apply_difference(void *arg, const qd_state_difference *d)
{
    const applying *a = arg;
    for (uint32_t k = 0; d->is && k < d->is->shards; k++) {
        bool same =
            d->was == d->is && d->was_shards[k].mod_revision == d->is_shards[k].mod_revision;
        repl_shard *g = repl_get(a->r, d->is->uuid, k);
        if (g && !(same && taken(g, &d->is_shards[k]))) repl_record_take(g, a->now);
        repl_unref(g);
    }
    return 0;
}

/* Nodes are shared between states in which they are the same: then only what has changed is looked
 * at, unless a record could not be taken before. */
void qd_replication_apply(qd_replication *r, const qd_state *old, const qd_state *now)
{
    shard_list list = {0};
    applying a = {r, now};
    if (atomic_load(&r->closing)) return;
    qd_mutex_lock(&r->lock);
    qd_state *before = r->state;
    r->state = qd_state_ref(now);
    qd_mutex_unlock(&r->lock);
    bool stale = atomic_exchange(&r->stale, false);
    if (!stale && old && old == before && old->nodes == now->nodes) {
        (void)qd_state_diff(old, now, apply_difference, &a);
    } else {
        list_all(r, &list);
        for (size_t i = 0; i < list.n; i++) {
            repl_record_take(list.at[i], now);
            repl_unref(list.at[i]);
        }
        qd_vec_fini(&list);
    }
    qd_state_unref(before);
}

void qd_replication_begin(qd_replication *r)
{
    qd_state *now = qd_cluster_shown(r->cluster);
    qd_replication_apply(r, NULL, now);
    qd_state_unref(now);
}

/* --- how fast copies are brought -------------------------------------------------------------- */

/* Those of the setting as it is now; false: somebody said that there is none. */
static bool rate_bounds(qd_replication *r)
{
    const qd_values *v = r->config ? qd_config_values(r->config) : NULL;
    bool set = v && qd_values_is_set(v, QD_SET_RECOVERY_RATE);
    int64_t most = set ? qd_values_i64(v, QD_SET_RECOVERY_RATE) : 0;
    qd_rate_bounds(&r->rate, RATE_LEAST, most > 0 ? (uint64_t)most : 0);
    return !set || most > 0;
}

double repl_rate_ask(qd_replication *r, uint64_t n)
{
    uint64_t now = qd_env_mono_ns(r->env);
    qd_mutex_lock(&r->rate_lock);
    double asked = rate_bounds(r) ? qd_rate_ask(&r->rate, n, now) : 0;
    qd_mutex_unlock(&r->rate_lock);
    return asked;
}

uint64_t repl_rate_left(qd_replication *r, double asked)
{
    uint64_t now = qd_env_mono_ns(r->env);
    qd_mutex_lock(&r->rate_lock);
    uint64_t left = rate_bounds(r) ? qd_rate_left(&r->rate, asked, now) : 0;
    qd_mutex_unlock(&r->rate_lock);
    return left;
}

void repl_rate_observe(qd_replication *r, qd_rate_kind kind, uint64_t bytes, uint64_t begun_ns,
                       uint64_t end_ns)
{
    qd_mutex_lock(&r->rate_lock);
    qd_rate_observe(&r->rate, kind, bytes, end_ns > begun_ns ? end_ns - begun_ns : 1, end_ns);
    qd_mutex_unlock(&r->rate_lock);
}

/* --- opening, end ----------------------------------------------------------------------------- */

typedef struct served {
    qd_work work; /* first */
    qd_replication *r;
    qd_rpc_request *request;
    uint32_t action;
} served;

static void served_run(qd_work *w)
{
    served s = *(served *)(void *)w;
    qd_free(w);
    repl_serve(s.r, s.action, s.request);
}

static void on_request(qd_replication *r, uint32_t action, qd_pool *pool, qd_rpc_request *request)
{
    qd_err err;
    qd_err_init(&err);
    served *s = qd_calloc(NULL, sizeof *s);
    int rc = s ? 0 : qd_err_nomem(&err, "request of another copy");
    if (!rc) {
        *s = (served){.work = {.run = served_run}, .r = r, .request = request, .action = action};
        rc = repl_submit(r, pool, &s->work);
        if (rc) (void)qd_err_set(&err, rc, "the node stops");
    }
    if (rc) {
        qd_free(s);
        qd_rpc_fail(request, &err);
    }
    qd_err_fini(&err);
}

/* What answers without asking other nodes has a pool of its own, so that two nodes never wait for
 * each other's workers. */
#define HANDLER(name, action, pool)                                                                \
    static void on_##name(void *arg, qd_rpc_request *request)                                      \
    {                                                                                              \
        qd_replication *r = arg;                                                                   \
        on_request(r, QD_ACTION_##action, r->pool, request);                                       \
    }
HANDLER(ops, COPY_OPS, replica_pool)
HANDLER(resync, COPY_RESYNC, replica_pool)
HANDLER(publish, COPY_PUBLISH, slow_pool)
HANDLER(hello, RECOVERY_HELLO, replica_pool)
HANDLER(track, RECOVERY_TRACK, replica_pool)
HANDLER(pull, RECOVERY_OPS, replica_pool)
HANDLER(finalize, RECOVERY_FINALIZE, replica_pool)
HANDLER(file, RECOVERY_FILE, replica_pool)

/* A get waits for these, so most are answered here: on the loop of the connection. */
static void on_sync(void *arg, qd_rpc_request *request)
{
    qd_replication *r = arg;
    atomic_fetch_add(&r->submits, 1);
    bool done = !atomic_load(&r->closing) && repl_serve_read(r, request);
    atomic_fetch_sub(&r->submits, 1);
    if (!done) on_request(r, QD_ACTION_COPY_SYNC, r->replica_pool, request);
}

static const qd_rpc_row handlers[] = {
    {QD_ACTION_COPY_OPS, NULL, 0, on_ops},
    {QD_ACTION_COPY_SYNC, NULL, 0, on_sync},
    {QD_ACTION_COPY_RESYNC, NULL, 0, on_resync},
    {QD_ACTION_COPY_PUBLISH, NULL, 0, on_publish},
    {QD_ACTION_RECOVERY_HELLO, NULL, 0, on_hello},
    {QD_ACTION_RECOVERY_TRACK, NULL, 0, on_track},
    {QD_ACTION_RECOVERY_OPS, NULL, 0, on_pull},
    {QD_ACTION_RECOVERY_FINALIZE, NULL, 0, on_finalize},
    {QD_ACTION_RECOVERY_FILE, NULL, 0, on_file},
};

static int open_pools(qd_replication *r, qd_err *err)
{
    uint32_t cpus = qd_cpu_count();
    int rc = qd_pool_open(r->env, "replica", cpus * 2 < 4 ? 4 : cpus * 2, UINT32_MAX,
                          &r->replica_pool, err);
    if (!rc) rc = qd_pool_open(r->env, "recovery", SLOW_THREADS, UINT32_MAX, &r->slow_pool, err);
    if (!rc) {
        rc = qd_pool_open(r->env, "shard_change", CHANGE_THREADS, UINT32_MAX, &r->change_pool, err);
    }
    return rc;
}

static const qd_shards_copies hooks = {configure, opened, closing, abandoned};

int qd_replication_open(const qd_replication_config *c, qd_replication **out, qd_err *err)
{
    qd_replication *r = qd_calloc(NULL, sizeof *r);
    if (!r) return qd_err_nomem(err, "replication");
    r->env = c->env;
    r->rpc = c->rpc;
    r->shards = c->shards;
    r->cluster = c->cluster;
    r->store = c->store;
    r->pools = c->pools;
    r->config = c->config;
    qd_account_init(&r->account, "replication", c->account, 0);
    qd_mutex_init(&r->lock);
    qd_mutex_init(&r->rate_lock);
    qd_mutex_init(&r->room_lock);
    qd_waitq_init(&r->room, &r->room_lock);
    qd_rate_init(&r->rate, RATE_START, RATE_LEAST, 0, qd_env_mono_ns(r->env));
    qd_cond_init(&r->tick);
    qd_map_init(&r->map, NULL);
    repl_tick_init(r);
    int rc = open_pools(r, err);
    if (!rc && r->rpc) rc = qd_rpc_serve(r->rpc, handlers, QD_COUNT_OF(handlers), r, err);
    if (!rc) rc = qd_thread_start(r->env, "replication", repl_tick, r, &r->ticker, err);
    if (rc) {
        qd_replication_close(r);
        return rc;
    }
    qd_shards_copies_set(r->shards, &hooks, r);
    *out = r;
    return 0;
}

static void wake_all(qd_replication *r)
{
    shard_list list = {0};
    repl_flight_wake(r);
    list_all(r, &list);
    for (size_t i = 0; i < list.n; i++) {
        qd_mutex_lock(&list.at[i]->lock);
        repl_commits_end(list.at[i], UINT64_MAX);
        qd_waitq_wake(&list.at[i]->changed);
        repl_unlock(list.at[i]);
        repl_unref(list.at[i]);
    }
    qd_vec_fini(&list);
}

void qd_replication_retire(qd_replication *r, int64_t timeout_ms)
{
    shard_list list = {0};
    if (!r || atomic_load(&r->closing)) return;
    uint64_t until = qd_env_mono_ns(r->env) + (uint64_t)timeout_ms * 1000000u;
    atomic_store(&r->retiring, true);
    list_all(r, &list);
    for (size_t i = 0; i < list.n; i++) (void)repl_retired(list.at[i]); /* all begin at once */
    for (size_t i = 0; i < list.n; i++) {
        while (!repl_retired(list.at[i]) && qd_env_mono_ns(r->env) < until)
            qd_env_sleep_ns(r->env, RETIRE_NS);
        repl_unref(list.at[i]);
    }
    qd_vec_fini(&list);
}

void qd_replication_stop(qd_replication *r)
{
    if (!r || atomic_load(&r->closing)) return;
    if (r->rpc) qd_rpc_unserve(r->rpc, handlers, QD_COUNT_OF(handlers));
    qd_mutex_lock(&r->lock);
    atomic_store(&r->closing, true);
    qd_cond_broadcast(&r->tick);
    qd_mutex_unlock(&r->lock);
    wake_all(r);
    if (r->ticker) qd_thread_join(r->env, r->ticker);
    while (atomic_load(&r->submits)) qd_env_sleep_ns(r->env, 100000);
    if (r->slow_pool) qd_pool_close(r->slow_pool);
    if (r->change_pool) qd_pool_close(r->change_pool);
    if (r->replica_pool) qd_pool_close(r->replica_pool);
}

void qd_replication_close(qd_replication *r)
{
    if (!r) return;
    qd_replication_stop(r);
    while (atomic_load(&r->calls)) qd_env_sleep_ns(r->env, 1000000);
    qd_state_unref(r->state);
    qd_awake_fini(&r->awake);
    qd_map_fini(&r->map);
    qd_cond_fini(&r->tick);
    qd_mutex_fini(&r->rate_lock);
    qd_mutex_fini(&r->room_lock);
    qd_mutex_fini(&r->lock);
    qd_free(r);
}

uint32_t repl_step_ms(const qd_replication *r)
{
    int64_t ms = r->config ? qd_config_ms(r->config, QD_SET_RECOVERY_ACTION_TIMEOUT) : 60000;
    return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

/* --- statistics ----------------------------------------------------------------------------------
 */

int64_t qd_replication_stale_ms(qd_replication *r, const char *uuid, uint32_t number)
{
    repl_shard *g = repl_get(r, uuid, number);
    int64_t ms = 0;
    if (!g) return 0;
    qd_mutex_lock(&g->lock);
    uint64_t now = repl_now(g);
    if (!g->leading && now > g->cm.heard_ns + 5000000000ull) {
        ms = (int64_t)((now - g->cm.heard_ns) / 1000000u);
    }
    qd_mutex_unlock(&g->lock);
    repl_unref(g);
    return ms;
}

bool qd_replication_recovery(qd_replication *r, const char *uuid, uint32_t number,
                             qd_recovery_progress *out)
{
    repl_shard *g = repl_get(r, uuid, number);
    if (!g) return false;
    qd_mutex_lock(&g->lock);
    *out = g->progress;
    if (out->uuid[0] && !out->stop_wall_ms) {
        out->elapsed_ns = qd_env_mono_ns(r->env) - g->progress_ns;
    }
    qd_mutex_unlock(&g->lock);
    repl_unref(g);
    return out->uuid[0] != 0;
}

static void recovering(repl_shard *g, qd_recovery_counts *out)
{
    qd_mutex_lock(&g->lock);
    out->as_target += g->progress.uuid[0] && !g->progress.stop_wall_ms;
    out->throttle_ns += g->progress.throttle_ns;
    for (uint32_t i = 0; g->leading && i < g->pm.top; i++) {
        out->as_source += g->pm.peer[i].id && !g->pm.peer[i].started;
    }
    qd_mutex_unlock(&g->lock);
}

void qd_replication_recovering(qd_replication *r, const char *uuid, uint32_t number,
                               qd_recovery_counts *out)
{
    shard_list list = {0};
    *out = (qd_recovery_counts){0};
    repl_shard *one = uuid ? repl_get(r, uuid, number) : NULL;
    if (one) {
        recovering(one, out);
        repl_unref(one);
    }
    if (uuid) return;
    list_all(r, &list);
    for (size_t i = 0; i < list.n; i++) {
        recovering(list.at[i], out);
        repl_unref(list.at[i]);
    }
    qd_vec_fini(&list);
    out->throttle_ns = atomic_load(&r->throttle_ns);
}
