/*
 * allocator.c: election and loop. See allocator.h.
 *
 * One thread. It waits on the cluster's condition `applied` for a new state, the end of its
 * candidacy, an event of a peer, or a time; everything it does happens without the lock.
 */
#include "cluster/allocation/allocator.h"
#include "base/log.h"
#include "base/str.h"
#include "cluster/allocation/allocator_int.h"
#include "cluster/permits.h"

#define GATHER_MS 300000
#define LEADER_MS 1000
#define PAUSE_NS UINT64_C(200000000) /* after an error of the store */
#define ELIGIBLE_NS UINT64_C(1000000000)
#define REST_RATIO 10u /* so many times as long as the last round took */
#define REST_NS_MAX UINT64_C(1000000000)

static void on_ended(void *arg, int32_t rc, qd_coord_token token)
{
    qd_allocator *a = arg;
    qd_mutex_lock(&a->c->lock);
    a->ended = true;
    a->ended_rc = rc;
    a->ended_token = token;
    qd_cond_broadcast(&a->c->applied);
    qd_mutex_unlock(&a->c->lock);
}

/* --- election -------------------------------------------------------------------------------- */

static void lose(qd_allocator *a, const char *why)
{
    if (a->leads) qd_log_info(CLUSTER_LOG, "this node does not allocate shards any more: %s", why);
    a->leads = a->confirmed = false;
    a->fence.token = (qd_coord_token){0};
    qd_state_unref(a->looked);
    qd_state_unref(a->mended);
    a->looked = a->mended = NULL;
}

static void withdraw(qd_allocator *a)
{
    qd_coord_campaign_end(a->c->store, a->campaign);
    a->campaign = NULL;
}

/* Stands for the election under the present session. */
static int stand(qd_allocator *a, qd_err *err)
{
    qd_mutex_lock(&a->c->lock);
    a->session = a->c->session;
    a->ended = false;
    qd_mutex_unlock(&a->c->lock);
    return qd_coord_campaign_start(a->c->store, a->fence.election, a->c->self.id, a->session,
                                   on_ended, a, &a->campaign, err);
}

/* The candidacy has ended: with rc 0 this node leads. */
static int ended(qd_allocator *a, int32_t rc, qd_coord_token token)
{
    withdraw(a);
    if (rc) return rc;
    a->leads = true;
    a->confirmed = false;
    a->fence.token = token;
    a->epoch = token.epoch;
    qd_log_info(CLUSTER_LOG, "elected as master: this node allocates shards, term %llu",
                (unsigned long long)token.term);
    return 0;
}

/* --- loop ------------------------------------------------------------------------------------ */

/* What a change asks for: nothing, a round in its time, a round now. */
typedef enum urgency { CALM, SOON, NOW } urgency;

/* A primary that has operations and no place is what requests wait for. */
static int index_matters(void *arg, const qd_state_difference *d)
{
    urgency *u = arg;
    bool set = d->was && d->is && d->was->settings_version == d->is->settings_version &&
               d->was->closed == d->is->closed;
    if (set && d->was_shards == d->is_shards) return 0;
    *u = SOON;
    if (d->was && d->is && !set) *u = NOW;
    for (uint32_t k = 0; d->is && k < d->is->shards; k++) {
        const qd_copy *p = qd_shard_meta_primary(&d->is_shards[k]);
        if (p && !qd_copy_is_assigned(p) && !d->is_shards[k].fresh) *u = NOW;
    }
    return *u == NOW;
}

static bool nodes_matter(const qd_state *old, const qd_state *now)
{
    for (uint32_t i = 0; old->nodes != now->nodes && i < now->nnodes; i++) {
        const qd_node_meta *x = &old->nodes[i], *y = &now->nodes[i];
        if (!qd_str_eq(x->id, y->id) || x->mod_revision != y->mod_revision ||
            x->disk_free != y->disk_free || !qd_str_eq(x->tier_spaces, y->tier_spaces)) {
            return true;
        }
    }
    return false;
}

/* Has anything changed that the allocation looks at? */
static urgency matters(const qd_state *old, const qd_state *now)
{
    urgency u = CALM;
    if (!old || old->nnodes != now->nnodes ||
        old->persistent_revision != now->persistent_revision ||
        old->transient_revision != now->transient_revision) {
        return NOW;
    }
    const qd_state_document_record *had = qd_state_document(old, QD_STR(QD_PERMITS_KEY));
    const qd_state_document_record *has = qd_state_document(now, QD_STR(QD_PERMITS_KEY));
    if ((had ? had->mod_revision : 0) != (has ? has->mod_revision : 0)) return NOW;
    if (nodes_matter(old, now)) return NOW;
    (void)qd_state_diff(old, now, index_matters, &u);
    return u;
}

/* What a look at the state came to. */
typedef enum outcome { DONE, AGAIN, LATER, LOST } outcome;

static outcome judge(int rc, qd_err *err)
{
    outcome o = rc == 0                                           ? DONE
                : rc == QD_E_CONFLICT                             ? AGAIN
                : rc == QD_E_FENCED || rc == QD_E_SESSION_EXPIRED ? LOST
                                                                  : LATER;
    if (o == LATER) qd_log_warn(CLUSTER_LOG, "allocation of shards: %s", qd_err_reason(err));
    return o;
}

/* Numbers of replicas, and where copies go. */
static int arrange(qd_allocator *a, const qd_state *s, uint32_t *n, qd_err *err)
{
    qd_arena arena;
    qd_alloc_view view;
    qd_alloc_facts facts = {.now_ms = qd_env_wall_ms(a->c->env),
                            .values = a->config ? qd_config_values(a->config) : NULL};
    uint64_t begun = qd_env_mono_ns(a->c->env), took;
    qd_arena_init(&arena, NULL, ALLOCATOR_ARENA_MAX);
    facts.pairs = a->pairs;
    facts.npairs = a->npairs;
    int rc = qd_alloc_view_make(s, &facts, &arena, &view, err);
    if (!rc) qdi_allocator_pairs_keep(a, &view);
    if (!rc) rc = qdi_allocator_expand(a, s, &view, n, err);
    took = qd_env_mono_ns(a->c->env) - begun;
    if (!rc && !*n) rc = qdi_allocator_assign(a, s, &view, &arena, n, &took, err);
    qd_arena_fini(&arena);
    uint64_t rest = took * REST_RATIO < REST_NS_MAX ? took * REST_RATIO : REST_NS_MAX;
    a->rested_ns = qd_env_mono_ns(a->c->env) + rest;
    a->urgent = rc != 0;
    return rc;
}

/* Does a process that runs hold a primary? Then nothing has begun anew. */
static bool any_runs(const qd_state *s)
{
    for (uint32_t i = 0; i < s->n; i++) {
        for (uint32_t k = 0; k < s->indices[i]->shards; k++) {
            const qd_copy *p = qd_shard_meta_primary(&s->shards[i][k]);
            const qd_node_meta *n = p && qd_copy_is_active(p) ? qd_state_node(s, p->node) : NULL;
            if (n && qd_str_eq(n->ephemeral, p->ephemeral)) return true;
        }
    }
    return false;
}

/* After the start of a whole cluster: are more data nodes to come before shards are allocated
 * (gateway.*)? Sets again_ns. */
static bool gathers(qd_allocator *a, const qd_state *s)
{
    if (a->gathered || !a->config) return false;
    int64_t expected = qd_config_i64(a->config, QD_SET_GATEWAY_EXPECTED), nodes = 0;
    int64_t least = qd_config_i64(a->config, QD_SET_GATEWAY_RECOVER_AFTER);
    int64_t ms = qd_config_ms(a->config, QD_SET_GATEWAY_RECOVER_TIME);
    if (expected > 0 && ms == 0) ms = GATHER_MS;
    for (uint32_t i = 0; i < s->nnodes; i++) nodes += qd_node_is_data(&s->nodes[i]);
    uint64_t now = qd_env_mono_ns(a->c->env);
    if (nodes < least) {
        a->enough_ns = 0;
    } else if (!a->enough_ns) {
        a->enough_ns = now;
    }
    bool all = expected > 0 && nodes >= expected;
    uint64_t until = a->enough_ns + (uint64_t)ms * 1000000u;
    a->gathered = any_runs(s) || (a->enough_ns && (all || now >= until));
    if (a->gathered) return false;
    if (a->enough_ns && until < a->again_ns) a->again_ns = until;
    if (!a->looked)
        qd_log_info(CLUSTER_LOG,
                    "no shards are allocated before more data nodes have come (%lld "
                    "are there): gateway.recover_after_data_nodes, "
                    "gateway.expected_data_nodes, gateway.recover_after_time",
                    (long long)nodes);
    return true;
}

/* A round looks at all shards, so it takes a part of the time only: what is not urgent waits. */
static bool postponed(qd_allocator *a)
{
    if (a->urgent || qd_env_mono_ns(a->c->env) >= a->rested_ns) return false;
    if (a->rested_ns < a->again_ns) a->again_ns = a->rested_ns;
    return true;
}

static outcome look(qd_allocator *a, const qd_state *s, urgency u)
{
    qd_err err;
    uint32_t n = 0;
    a->again_ns = UINT64_MAX;
    a->urgent |= u == NOW;
    qd_err_init(&err);
    qdi_allocator_pairs_moves(a, a->looked, s);
    int rc = qdi_allocator_mend(a, s, &n, &err);
    /* what was mended comes back as a new state: replicas are thought of then */
    if (!rc && !n && !postponed(a) && !gathers(a, s)) rc = arrange(a, s, &n, &err);
    outcome o = judge(rc, &err);
    qd_err_fini(&err);
    return o;
}

/* Is there something to do? Called under the lock. */
static bool due(const qd_allocator *a)
{
    if (a->ended || a->kicked || a->peer_event || a->looked != a->c->state) return true;
    if (a->session != a->c->session && a->again_ns == UINT64_MAX) return true;
    uint64_t now = qd_env_mono_ns(a->c->env);
    return now >= a->again_ns || now >= a->silence_ns;
}

static void wait_due(qd_allocator *a)
{
    qd_cluster *c = a->c;
    while (!a->stop && !due(a)) {
        uint64_t until = a->again_ns < a->silence_ns ? a->again_ns : a->silence_ns;
        if (until == UINT64_MAX) {
            qd_cond_wait(&c->applied, &c->lock);
        } else {
            (void)qd_cond_wait_until(&c->applied, &c->lock, until);
        }
    }
}

/* Election first: stands, notes the result. Returns false when there is none to act under. */
static bool elected(qd_allocator *a, bool was_ended, int32_t rc, qd_coord_token token,
                    uint64_t session)
{
    qd_err err;
    qd_err_init(&err);
    if (a->session != session) {
        withdraw(a);
        lose(a, "its session has expired");
        was_ended = false;
    }
    bool failed = was_ended && ended(a, rc, token);
    bool may = !a->c->eligible || a->c->eligible(a->c->eligible_arg);
    if (!may && a->campaign) withdraw(a);
    if (!may && !a->leads) { /* looked at again when the state changes, or then */
        a->session = 0;
        a->again_ns = qd_env_mono_ns(a->c->env) + ELIGIBLE_NS;
    } else if (!failed && !a->leads && !a->campaign && session) {
        failed = stand(a, &err);
    }
    if (failed) {
        a->session = 0;
        a->again_ns = qd_env_mono_ns(a->c->env) + PAUSE_NS;
    }
    qd_err_fini(&err);
    return a->leads;
}

/* Another store is in charge that knows nothing of this election (authority/stores.h)? One that was
 * sealed for a while and is in charge again knows it still. */
static bool lost_by_move(qd_allocator *a)
{
    qd_coord_identity id;
    uint64_t session;
    qd_coord_token token;
    qd_coord_identity_get(a->c->store, &id);
    if (id.state != QD_COORD_ACTIVE || id.epoch == a->epoch) return false;
    int rc = qd_coord_leader(a->c->store, a->fence.election, LEADER_MS, &session, &token, NULL);
    if (rc == 0 && token.epoch == a->fence.token.epoch && token.term == a->fence.token.term)
        a->epoch = id.epoch;
    return rc == QD_E_NOTFOUND || (rc == 0 && a->epoch != id.epoch);
}

/* The allocator's part of one turn, without the lock. */
static void lead(qd_allocator *a, qd_state *s, bool kicked)
{
    bool timer = qd_env_mono_ns(a->c->env) >= a->again_ns;
    if (lost_by_move(a)) {
        lose(a, "another store is in charge of the cluster's state, it stands there");
        return;
    }
    /* a state from before this election may name this node for an earlier one */
    bool mine = qd_str_eq(s->master, a->c->self.id) && s->master_session == a->session;
    if (a->confirmed && !mine) {
        lose(a, "another node was elected");
        return;
    }
    urgency u = kicked || timer || (mine && !a->confirmed) ? NOW : matters(a->looked, s);
    a->confirmed |= mine;
    if (!mine || u == CALM) {
        /* a time that was set before the election: the state that tells of it is a turn's reason */
        if (timer) a->again_ns = UINT64_MAX;
        qd_state_unref(a->looked);
        a->looked = qd_state_ref(s);
        return;
    }
    outcome o = look(a, s, u);
    if (o == LOST) {
        lose(a, "another node leads");
        return;
    }
    qd_state_unref(a->looked);
    a->looked = o == AGAIN ? NULL : qd_state_ref(s);
    if (o != DONE) a->again_ns = qd_env_mono_ns(a->c->env) + (o == AGAIN ? 1000000 : PAUSE_NS);
}

static void allocate(void *arg)
{
    qd_allocator *a = arg;
    qd_cluster *c = a->c;
    qd_mutex_lock(&c->lock);
    for (;;) {
        wait_due(a);
        if (a->stop) break;
        bool was_ended = a->ended, kicked = a->kicked;
        int32_t rc = a->ended_rc;
        qd_coord_token token = a->ended_token;
        uint64_t session = c->session;
        qd_state *s = qd_state_ref(c->state);
        a->ended = a->kicked = a->peer_event = false;
        qd_mutex_unlock(&c->lock);
        if (!a->leads && qd_env_mono_ns(c->env) >= a->again_ns) a->again_ns = UINT64_MAX;
        qdi_allocator_peers_follow(a, s);
        qdi_allocator_peers_close(a, s);
        qdi_allocator_silence(a, s);
        if (elected(a, was_ended, rc, token, session)) {
            lead(a, s, kicked);
        } else if (a->looked != s) {
            qd_state_unref(a->looked);
            a->looked = qd_state_ref(s);
        }
        qd_state_unref(s);
        qd_mutex_lock(&c->lock);
    }
    qd_mutex_unlock(&c->lock);
}

/* --- begin, end ------------------------------------------------------------------------------ */

int qdi_allocator_open(qd_cluster *c, const qd_config *config, struct qd_rpc *rpc,
                       qd_allocator **out, qd_err *err)
{
    qd_allocator *a = qd_calloc(NULL, sizeof *a);
    if (!a) return qd_err_nomem(err, "allocator");
    a->c = c;
    a->config = config;
    a->rpc = rpc;
    a->fence.election = QD_STR(QD_ELECTION_ALLOCATOR);
    a->again_ns = a->silence_ns = UINT64_MAX;
    qd_map_init(&a->peers, NULL);
    int rc = qd_thread_start(c->env, "allocator", allocate, a, &a->thread, err);
    if (rc) {
        qd_map_fini(&a->peers);
        qd_free(a);
        return rc;
    }
    *out = a;
    return 0;
}

void qdi_allocator_close(qd_allocator *a)
{
    if (!a) return;
    qd_mutex_lock(&a->c->lock);
    a->stop = true;
    qd_cond_broadcast(&a->c->applied);
    qd_mutex_unlock(&a->c->lock);
    qd_thread_join(a->c->env, a->thread);
    qdi_allocator_peers_fini(a);
    withdraw(a);
    /* the session ends right after and with it the election, of which the next one then knows */
    qd_state_unref(a->looked);
    qd_state_unref(a->mended);
    qd_map_fini(&a->peers);
    qd_free(a);
}

void qd_cluster_reroute(qd_cluster *c)
{
    qd_mutex_lock(&c->lock);
    if (c->allocator) c->allocator->kicked = true;
    qd_cond_broadcast(&c->applied);
    qd_mutex_unlock(&c->lock);
}
