/* publish.c: segments from the primary to those who show them. See repl_int.h and "Segments" of
 * docs/replication.md. */
#include "replication/mutants.h"
#include "replication/repl_int.h"
#include <stdio.h>

#define PUBLISH_MS 120000u
#define PUBLISH_FAILURES 5u

/* --- the engine's call-backs ------------------------------------------------------------------ */

void repl_publish_queue(repl_shard *g)
{
    qd_mutex_lock(&g->lock);
    bool run = g->leading && !g->publish_runs && g->pm.top > 0;
    g->publish_again = g->publish_asked = true;
    if (run) g->publish_runs = true;
    qd_mutex_unlock(&g->lock);
    if (run) repl_run(g, g->r->slow_pool, REPL_JOB_PUBLISH, repl_publish);
}

void repl_published(void *arg, int64_t max_seq_no)
{
    repl_shard *g = arg;
    (void)max_seq_no;
    repl_publish_queue(g);
}

static void due_run(repl_shard *g)
{
    qd_shard *s;
    qd_engine *e;
    qd_err err;
    qd_err_init(&err);
    bool queued = atomic_exchange(&g->due_queued, false);
    qd_assert(queued); /* one at a time */
    if (repl_enter(g, &s, &e, NULL)) return;
    if (qd_engine_refresh_finish(e, &err)) {
        qd_log_warn(REPL_LOG, "%s refresh: %s", g->name, qd_err_reason(&err));
    }
    repl_leave(s);
    qd_err_fini(&err);
}

/* May be called under the lock of g. */
void repl_due(void *arg)
{
    repl_shard *g = arg;
    bool no = false;
    if (!atomic_compare_exchange_strong(&g->due_queued, &no, true)) return;
    repl_run(g, g->r->replica_pool, REPL_JOB_DUE, due_run);
}

/* --- publications kept for fetches ------------------------------------------------------------ */

void repl_hold_put(repl_shard *g, qd_publication *p)
{
    qd_publication *gone = NULL;
    uint64_t now = qd_env_mono_ns(g->r->env);
    qd_mutex_lock(&g->lock);
    repl_hold *at = NULL;
    for (uint32_t i = 0; i < REPL_HOLDS; i++) {
        repl_hold *h = &g->hold[i];
        if (h->p && qd_publication_compare(h->p, p) == 0) {
            h->used_ns = now;
            gone = p;
            break;
        }
        if (h->users) continue;
        if (!at || !h->p || (at->p && h->used_ns < at->used_ns)) at = h;
    }
    if (!gone && at) {
        qd_assert(at->users == 0);
        gone = at->p;
        *at = (repl_hold){.p = p, .used_ns = now};
    } else if (!gone) {
        gone = p;
    }
    qd_mutex_unlock(&g->lock);
    qd_publication_unref(gone);
}

static void holds_end(repl_shard *g, bool all)
{
    uint64_t now = qd_env_mono_ns(g->r->env);
    for (uint32_t i = 0; i < REPL_HOLDS; i++) {
        qd_mutex_lock(&g->lock);
        repl_hold *h = &g->hold[i];
        qd_publication *p = NULL;
        if (h->p && !h->users && (all || now - h->used_ns > REPL_HOLD_NS)) {
            p = h->p;
            h->p = NULL;
        }
        qd_mutex_unlock(&g->lock);
        qd_publication_unref(p);
    }
}

void repl_holds_end(repl_shard *g, bool all)
{
    qd_shard *s;
    qd_engine *e;
    bool some = all;
    uint64_t now = qd_env_mono_ns(g->r->env);
    qd_mutex_lock(&g->lock);
    for (uint32_t i = 0; i < REPL_HOLDS && !all; i++) {
        const repl_hold *h = &g->hold[i];
        some |= h->p && !h->users && now - h->used_ns > REPL_HOLD_NS;
    }
    qd_mutex_unlock(&g->lock);
    if (!some) return;
    if (all) { /* the engine is closing, nobody uses it */
        holds_end(g, true);
    } else if (repl_enter(g, &s, &e, NULL) == 0) {
        holds_end(g, false);
        repl_leave(s);
    }
}

/* --- sending ---------------------------------------------------------------------------------- */

typedef struct publish_call {
    qd_rpc_call call; /* first */
    repl_shard *g;
    uint64_t peer, term, generation;
} publish_call;

static repl_follower *follower_of(repl_shard *g, uint64_t peer)
{
    for (uint32_t i = 0; g->others && i < REPL_PEERS_MAX; i++) {
        if (g->others->follower[i].peer == peer) return &g->others->follower[i];
    }
    return NULL;
}

/* The machine's lock is held. true: send again. */
static bool publish_answered(repl_shard *g, uint64_t peer, int rc, const repl_reply *a,
                             uint64_t term, uint64_t generation)
{
    repl_follower *f = follower_of(g, peer);
    if (!f || !g->leading) return false;
    bool again = f->again;
    qd_assert(f->busy); /* one publication at a time is under way */
    f->busy = f->again = false;
    if (!rc && a->verdict == REPL_STALE_TERM) {
        repl_primary_fence(&g->pm, a->term);
        return false;
    }
    if (!rc && a->verdict == REPL_OK) {
        f->fails = 0;
        f->term = term;
        f->generation = generation;
        f->max_seq_no = a->max;
        qd_waitq_wake(&g->changed);
        return again || g->publish_again;
    }
    g->publish_again = true; /* by the next tick */
    if (++f->fails > PUBLISH_FAILURES) {
        repl_primary_fail(&g->pm, peer, "it does not show what is published", repl_now(g));
    }
    return false;
}

static void publish_done(qd_rpc_call *call, int rc)
{
    publish_call *c = (publish_call *)(void *)call;
    repl_shard *g = c->g;
    qd_replication *r = g->r;
    repl_reply a;
    qd_err err;
    qd_err_init(&err);
    if (!rc) rc = repl_reply_read(call->answer, call->answer_version, &a, &err);
    if (rc || a.verdict != REPL_OK) {
        qd_log_warn(REPL_LOG, "%s a copy does not show publication %llu: %s", g->name,
                    (unsigned long long)c->generation,
                    !rc              ? a.why
                    : call->err.code ? qd_err_reason(&call->err)
                                     : qd_err_reason(&err));
    }
    qd_mutex_lock(&g->lock);
    bool again = publish_answered(g, c->peer, rc, &a, c->term, c->generation);
    repl_unlock(g);
    if (again) repl_publish_queue(g);
    qd_err_fini(&err);
    qd_rpc_call_fini(call);
    repl_unref(g);
    qd_free(c);
    uint32_t calls = atomic_fetch_sub(&r->calls, 1); /* last: r may be gone after this */
    qd_assert(calls > 0);
}

static int publish_to(repl_shard *g, const repl_peer *peer, const char *to, uint64_t term,
                      const qd_publication *p, qd_str bytes)
{
    repl_request q = {.shard = g->number,
                      .term = term,
                      .peer = peer->id,
                      .global = p->global_checkpoint,
                      .number = p->generation};
    qd_writer w;
    publish_call *c = qd_calloc(NULL, sizeof *c);
    if (!c) return QD_E_NOMEM;
    memcpy(q.uuid, g->uuid, sizeof q.uuid);
    memcpy(q.aid, peer->aid, sizeof q.aid);
    memcpy(q.by, g->aid, sizeof q.by);
    qd_writer_init(&w, NULL, 4096, QD_RPC_OLDEST);
    repl_request_write(&w, &q);
    c->g = repl_ref(g);
    c->peer = peer->id;
    c->term = p->primary_term;
    c->generation = p->generation;
    c->call = (qd_rpc_call){.to = qd_str_c(to),
                            .action = QD_ACTION_COPY_PUBLISH,
                            .class = QD_RPC_DATA,
                            .timeout_ms = PUBLISH_MS,
                            .body = qd_writer_view(&w),
                            .tail = bytes,
                            .version = QD_RPC_OLDEST,
                            .done = publish_done};
    qd_err_init(&c->call.err);
    atomic_fetch_add(&g->r->calls, 1);
    int rc = qd_writer_end(&w, "publication", NULL);
    if (!rc) rc = qd_rpc_call_start(g->r->rpc, &c->call, NULL);
    qd_writer_fini(&w);
    if (rc) {
        atomic_fetch_sub(&g->r->calls, 1);
        repl_unref(g);
        qd_free(c);
    }
    return rc;
}

/* To whom it has to go: marks them busy. */
static uint32_t publish_list(repl_shard *g, const qd_publication *p, repl_peer out[REPL_PEERS_MAX],
                             char to[REPL_PEERS_MAX][QD_RPC_ADDRESS_MAX], uint64_t *term)
{
    uint32_t n = 0;
    qd_mutex_lock(&g->lock);
    *term = g->pm.term;
    for (uint32_t i = 0; i < g->pm.top && g->leading; i++) {
        const repl_peer *c = &g->pm.peer[i];
        repl_follower *f = &g->others->follower[i];
        if (!c->id || !c->started || c->failing || !c->synced) continue;
        if (f->peer != c->id) *f = (repl_follower){.peer = c->id, .max_seq_no = -1};
        bool has = f->term > p->primary_term ||
                   (f->term == p->primary_term && f->generation >= p->generation);
        if (f->busy) f->again = true; /* its answer sends what is newest then */
        if (f->busy || has) continue;
        if (!repl_address(g, c->aid, to[n])) {
            g->publish_again = true;
            continue;
        }
        qd_assert(f->peer == c->id && n < REPL_PEERS_MAX);
        f->busy = true;
        if (QD_MUTANT(repl, SENT_IS_SHOWN)) f->max_seq_no = p->max_seq_no;
        out[n++] = *c;
    }
    qd_mutex_unlock(&g->lock);
    return n;
}

static void publish_once(repl_shard *g, qd_engine *e)
{
    qd_err err;
    qd_buf bytes;
    qd_publication *p = NULL;
    repl_peer peers[REPL_PEERS_MAX];
    uint64_t term;
    qd_err_init(&err);
    qd_buf_init(&bytes, &g->r->account, REPL_TAIL_MAX);
    char(*to)[QD_RPC_ADDRESS_MAX] = qd_calloc(NULL, REPL_PEERS_MAX * sizeof *to);
    int rc = to ? qd_engine_publication(e, &p, &err) : qd_err_nomem(&err, "publication");
    if (!rc && !repl_publish_allowed(p->max_seq_no, p->global_checkpoint)) {
        rc = qd_err_set(&err, QD_E_STATE, "it is above the global checkpoint");
    }
    if (!rc) rc = qd_publication_encode(p, &bytes, &err);
    if (!rc) {
        uint32_t n = publish_list(g, p, peers, to, &term);
        qd_invariant(p->max_seq_no <= p->global_checkpoint);
        if (n) repl_hold_put(g, qd_publication_ref(p));
        for (uint32_t i = 0; i < n; i++) {
            if (publish_to(g, &peers[i], to[i], term, p, qd_buf_view(&bytes)) == 0) continue;
            repl_reply none = {.verdict = REPL_FAILED};
            qd_mutex_lock(&g->lock);
            (void)publish_answered(g, peers[i].id, QD_E_CLOSED, &none, 0, 0);
            repl_unlock(g);
        }
    }
    if (rc && rc != QD_E_NOT_PRIMARY) {
        qd_log_warn(REPL_LOG, "%s publication: %s", g->name, qd_err_reason(&err));
    }
    qd_publication_unref(p);
    qd_buf_fini(&bytes);
    qd_free(to);
    qd_err_fini(&err);
}

void repl_publish(repl_shard *g)
{
    for (;;) {
        qd_shard *s;
        qd_engine *e;
        qd_mutex_lock(&g->lock);
        bool go = g->publish_asked && g->leading && g->engine && !g->r->closing;
        qd_assert(g->publish_runs); /* one at a time: what is newer goes later */
        g->publish_asked = false;
        if (go) {
            g->publish_again = false;
        } else { /* what is left is taken up by an answer or the next tick */
            g->publish_runs = false;
        }
        qd_mutex_unlock(&g->lock);
        if (!go) return;
        if (repl_enter(g, &s, &e, NULL)) continue;
        publish_once(g, e);
        repl_leave(s);
    }
}
