/* group.c: a copy as primary: what its machine asks for is done here. See repl_int.h. */
#include "replication/mutants.h"
#include "replication/repl_int.h"
#include "runtime/point.h"
#include <stdio.h>

uint64_t repl_now(const repl_shard *g)
{
    return qd_env_boot_ns(g->r->env);
}

void repl_checkpoints(repl_shard *g, qd_engine *e, int64_t *persisted, int64_t *max)
{
    qd_engine_checkpoints at;
    qd_engine_checkpoints_get(e, &at);
    *persisted = g->async ? at.processed : at.persisted;
    *max = at.max_seq_no;
}

void repl_shipment_unref(repl_shipment *s)
{
    if (!s) return;
    int32_t refs = atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel);
    qd_assert(refs > 0);
    if (refs != 1) return;
    qd_invariant(s->b.done && !s->b.prev && !s->b.next); /* the machine has let it go */
    qd_buf_fini(&s->ops);
    qd_free(s);
}

void repl_record_view(repl_shard *g, repl_record_copy copies[REPL_COPIES], repl_record *out)
{
    qd_assert(g->nplaces <= REPL_COPIES && g->nplaces <= g->places_room);
    for (uint32_t i = 0; i < g->nplaces; i++) copies[i] = g->place[i].c;
    *out = (repl_record){
        .revision = g->revision, .term = g->record_term, .copies = copies, .n = g->nplaces};
    snprintf(out->primary, sizeof out->primary, "%s", g->record_primary);
}

bool repl_address(repl_shard *g, const char *aid, char out[QD_RPC_ADDRESS_MAX])
{
    for (uint32_t i = 0; i < g->nplaces; i++) {
        if (strcmp(g->place[i].c.aid, aid) != 0 || !g->place[i].address[0]) continue;
        memcpy(out, g->place[i].address, QD_RPC_ADDRESS_MAX);
        return true;
    }
    return false;
}

/* --- actions, under the lock ------------------------------------------------------------------ */

static void later(repl_shard *g, const repl_act *a)
{
    repl_todo t = {.kind = a->kind,
                   .peer = a->peer->id,
                   .number = a->number,
                   .from = a->from,
                   .to = a->to,
                   .release = a->release,
                   .read = a->waited,
                   .sent_ns = repl_now(g)};
    memcpy(t.aid, a->peer->aid, sizeof t.aid);
    qd_invariant(g->leading && t.peer); /* nobody else sends */
    qd_assert((a->kind == REPL_ACT_SHIP) == (a->batch != NULL));
    if (a->batch) {
        t.number = a->batch->id;
        t.shipment = (repl_shipment *)(void *)a->batch;
        atomic_fetch_add(&t.shipment->refs, 1);
    }
    if (qd_vec_push(&g->outbox, NULL, t)) {
        repl_shipment_unref(t.shipment);
        g->nomem = true;
    }
}

void repl_on_act(void *arg, const repl_act *a)
{
    repl_shard *g = arg;
    switch (a->kind) {
    case REPL_ACT_SHIP:
    case REPL_ACT_RESYNC:
    case REPL_ACT_SYNC:
    case REPL_ACT_CATCH_UP:
        later(g, a);
        return;
    case REPL_ACT_FAIL:
        repl_cas_push(g, REPL_CHANGE_FAIL, a->peer, a->why);
        return;
    case REPL_ACT_ADMIT:
        repl_cas_push(g, REPL_CHANGE_ADMIT, a->peer, NULL);
        return;
    case REPL_ACT_DROP:
        qd_assert(g->others && g->pm.peer == g->others->peer);
        repl_source_gone(g, a->peer);
        for (uint32_t i = 0; i < REPL_PEERS_MAX; i++) {
            repl_follower *f = &g->others->follower[i];
            if (f->peer == a->peer->id) *f = (repl_follower){0};
        }
        break;
    case REPL_ACT_BATCH_DONE:
        qd_assert(a->batch->done && !a->batch->prev && !a->batch->next);
        qd_latch_done(&((repl_shipment *)(void *)a->batch)->over, 0);
        return;
    case REPL_ACT_READ_DONE:
        qd_assert(!((repl_waiter *)(void *)a->read)->done && !a->read->waiting);
        ((repl_waiter *)(void *)a->read)->done = true;
        break;
    case REPL_ACT_GLOBAL:
        if (g->engine) qd_engine_global_checkpoint_set(g->engine, a->to);
        return;
    case REPL_ACT_READY:
        return;
    case REPL_ACT_ACTIVE:
        g->publish_again = true;
        break;
    case REPL_ACT_DRAINED:
        g->drained = true;
        break;
    case REPL_ACT_FENCED:
        g->fenced = true;
        break;
    }
    qd_waitq_wake(&g->changed);
}

/* --- calls ------------------------------------------------------------------------------------ */

typedef struct repl_call {
    qd_rpc_call call; /* first */
    repl_shard *g;
    repl_shipment *shipment;
    uint64_t peer;
    repl_answer answer; /* what is known before it comes */
} repl_call;

void repl_head_fill(repl_shard *g, const repl_todo *t, repl_request *q)
{
    *q = (repl_request){.shard = g->number, .peer = t->peer, .sent_ns = t->sent_ns};
    memcpy(q->uuid, g->uuid, sizeof q->uuid);
    memcpy(q->aid, t->aid, sizeof q->aid);
    memcpy(q->by, g->aid, sizeof q->by);
    qd_mutex_lock(&g->lock);
    q->term = g->pm.term;
    q->global = QD_MUTANT(repl, CHECKPOINT_OF_OWN) ? g->pm.persisted : g->pm.global;
    qd_mutex_unlock(&g->lock);
    q->flags = t->release ? REPL_RELEASE : REPL_LEASE;
    if (t->read) q->flags |= REPL_READ;
}

void repl_answered(repl_shard *g, uint64_t peer, const repl_answer *a)
{
    qd_mutex_lock(&g->lock);
    if (g->leading) {
        repl_primary_answer(&g->pm, peer, a, repl_now(g));
        repl_relocate_look(g);
    }
    repl_unlock(g);
}

void repl_answer_of(repl_answer *x, int rc, const repl_reply *a, const qd_err *err)
{
    if (rc) {
        x->verdict = REPL_FAILED;
        x->why = qd_err_reason(err);
        x->sent_ns = 0;
        return;
    }
    x->verdict = a->verdict;
    x->term = a->term;
    x->persisted = a->persisted;
    if (a->verdict != REPL_OK) x->why = a->why;
}

static void call_done(qd_rpc_call *call, int rc)
{
    repl_call *c = (repl_call *)(void *)call;
    repl_shard *g = c->g;
    repl_reply a;
    qd_err err;
    qd_err_init(&err);
    bool read = !rc;
    if (!rc) rc = repl_reply_read(call->answer, call->answer_version, &a, &err);
    repl_answer_of(&c->answer, rc, &a, read ? &err : &call->err);
    repl_answered(g, c->peer, &c->answer);
    if (c->shipment) repl_flight_ends(g->r, c->shipment->ops.n);
    qd_err_fini(&err);
    qd_rpc_call_fini(call);
    repl_shipment_unref(c->shipment);
    qd_replication *r = g->r;
    repl_unref(g);
    qd_free(c);
    uint32_t calls = atomic_fetch_sub(&r->calls, 1); /* last: r may be gone after this */
    qd_assert(calls > 0);
}

static void send_now(repl_shard *g, const repl_todo *t)
{
    char to[QD_RPC_ADDRESS_MAX];
    repl_request q;
    qd_writer w;
    qd_err err;
    qd_err_init(&err);
    repl_head_fill(g, t, &q);
    qd_mutex_lock(&g->lock);
    bool known = repl_address(g, t->aid, to);
    qd_mutex_unlock(&g->lock);
    repl_call *c = qd_calloc(&g->r->account, sizeof *c);
    repl_answer x = {.sent_ns = t->release ? 0 : t->sent_ns};
    if (t->kind == REPL_ACT_SHIP) x.batch = t->number;
    if (t->kind == REPL_ACT_SYNC) x.round = t->number;
    qd_writer_init(&w, NULL, 4096, QD_RPC_OLDEST);
    repl_request_write(&w, &q);
    int rc = c ? qd_writer_end(&w, "request between copies", &err)
               : qd_err_nomem(&err, "request between copies");
    if (!rc && (!known || !g->r->rpc)) {
        rc = qd_err_set(&err, QD_E_CLOSED, "its node is not known");
    }
    if (!rc) {
        c->g = repl_ref(g);
        c->peer = t->peer;
        c->answer = x;
        c->shipment = t->shipment;
        if (t->shipment) {
            atomic_fetch_add(&t->shipment->refs, 1);
            repl_flight_begins(g->r, t->shipment->ops.n);
        }
        bool ship = t->kind == REPL_ACT_SHIP;
        c->call = (qd_rpc_call){.to = qd_str_c(to),
                                .action = ship ? QD_ACTION_COPY_OPS : QD_ACTION_COPY_SYNC,
                                .class = QD_RPC_DATA,
                                .flags = ship ? QD_RPC_FORCED : 0,
                                .timeout_ms = ship ? REPL_SHIP_MS : REPL_SYNC_MS,
                                .body = qd_writer_view(&w),
                                .tail = ship ? qd_buf_view(&t->shipment->ops) : (qd_str){NULL, 0},
                                .version = QD_RPC_OLDEST,
                                .done = call_done};
        qd_err_init(&c->call.err);
        atomic_fetch_add(&g->r->calls, 1);
        rc = qd_rpc_call_start(g->r->rpc, &c->call, &err);
        if (!rc && ship && QD_MUTANT(repl, SENT_IS_CONFIRMED)) {
            repl_answer sent = {.verdict = REPL_OK, .batch = t->number, .persisted = -1};
            repl_answered(g, t->peer, &sent);
        }
        if (rc) {
            atomic_fetch_sub(&g->r->calls, 1);
            if (t->shipment) {
                repl_flight_ends(g->r, t->shipment->ops.n);
                repl_shipment_unref(t->shipment);
            }
            repl_unref(g);
        }
    }
    if (rc) {
        qd_free(c);
        repl_answer_of(&x, rc, NULL, &err);
        repl_answered(g, t->peer, &x);
    }
    qd_writer_fini(&w);
    qd_err_fini(&err);
}

int repl_ask(qd_replication *r, const char *to, uint32_t action, qd_rpc_class class,
             uint32_t timeout_ms, const repl_request *q, qd_rpc_call *call, repl_reply *a,
             qd_err *err)
{
    qd_writer w;
    qd_writer_init(&w, NULL, 4096, QD_RPC_OLDEST);
    repl_request_write(&w, q);
    *call = (qd_rpc_call){0};
    qd_err_init(&call->err);
    int rc = qd_writer_end(&w, "request between copies", err);
    if (!rc && (!r->rpc || r->closing)) rc = qd_err_set(err, QD_E_CLOSED, "the node stops");
    if (!rc) {
        call->to = qd_str_c(to);
        call->action = action;
        call->class = class;
        call->timeout_ms = timeout_ms;
        call->body = qd_writer_view(&w);
        call->tail = q->tail;
        call->version = QD_RPC_OLDEST;
        rc = qd_rpc_call_wait(r->rpc, call, err);
    }
    if (!rc) rc = repl_reply_read(call->answer, call->answer_version, a, err);
    qd_writer_fini(&w);
    return rc;
}

/* --- after the lock --------------------------------------------------------------------------- */

/* The first copy came, or the last one went. */
static void replicated_run(repl_shard *g)
{
    qd_shard *s;
    qd_engine *e;
    for (;;) {
        qd_mutex_lock(&g->lock);
        bool want = g->pm.top > 0;
        qd_assert(g->replicated_runs);
        if (!g->leading || want || !g->replicated || g->first_writer) {
            g->replicated_runs = false;
            qd_mutex_unlock(&g->lock);
            return;
        }
        g->replicated = false;
        qd_mutex_unlock(&g->lock);
        if (repl_enter(g, &s, &e, NULL)) continue;
        qd_engine_replicated_set(e, false);
        repl_leave(s);
    }
}

static void do_one(repl_shard *g, const repl_todo *t)
{
    if (t->kind == REPL_ACT_SHIP || t->kind == REPL_ACT_SYNC) {
        send_now(g, t);
    } else {
        repl_stream_queue(g, t);
    }
    repl_shipment_unref(t->shipment);
}

void repl_unlock(repl_shard *g)
{
    repl_unlock_tick(g);
    repl_wake(g);
}

void repl_unlock_tick(repl_shard *g)
{
    if (g->nomem) {
        g->nomem = false;
        if (g->leading) repl_primary_fence(&g->pm, 0);
        qd_log_error(REPL_LOG, "%s no memory for its replication", g->name);
    }
    /* who leads no more has answered all that waited for it */
    qd_invariant(g->leading || !g->pm.act || g->pm.phase == REPL_FENCED);
    qd_assert(g->plain <= g->writers);
    repl_todo few[4], *at = few;
    size_t n = g->outbox.n;
    if (n > QD_COUNT_OF(few)) {
        at = g->outbox.at; /* taken away whole */
        g->outbox.at = NULL;
        g->outbox.n = g->outbox.cap = 0;
    } else {
        if (n) memcpy(few, g->outbox.at, n * sizeof *few);
        g->outbox.n = 0;
    }
    bool cas = g->leading && g->cas.n && !g->cas_runs;
    if (cas) g->cas_runs = true;
    bool fenced = g->fenced;
    g->fenced = false;
    bool single = g->leading && g->replicated && g->pm.top == 0 && !g->replicated_runs &&
                  g->pm.phase == REPL_ACTIVE && !g->writers;
    if (single) g->replicated_runs = true;
    qd_mutex_unlock(&g->lock);
    for (size_t i = 0; i < n; i++) do_one(g, &at[i]);
    if (at != few) qd_free(at);
    if (cas) repl_run(g, g->r->change_pool, REPL_JOB_RECORD, repl_cas_run);
    if (single) repl_run(g, g->r->change_pool, REPL_JOB_ALONE, replicated_run);
    if (fenced) {
        qd_log_info(REPL_LOG, "%s copy [%s] is not primary of term %llu any more", g->name, g->aid,
                    (unsigned long long)g->pm.term);
    }
}

/* --- becoming primary ------------------------------------------------------------------------- */

static bool alone(repl_shard *g)
{
    for (uint32_t i = 0; i < g->nplaces; i++) {
        if (g->place[i].c.in_sync && strcmp(g->place[i].c.aid, g->aid) != 0) return false;
    }
    return true;
}

/* The term becomes durable. A primary of a lower one is set back to a copy: what it has in buffers
 * comes back from its log when it is promoted. */
static int take_term(qd_engine *e, uint64_t term, qd_err *err)
{
    bool former = qd_engine_mode_get(e) == QD_ENGINE_PRIMARY && qd_engine_primary_term(e) < term;
    return former ? qd_engine_rollback(e, term, QD_SEQ_NO_NONE, NULL, err)
                  : qd_engine_term_raise(e, term, err);
}

/* The term is durable here, and the lease that this copy gave to another primary has run out. */
static int wait_to_lead(repl_shard *g, qd_engine *e, uint64_t term, bool one, qd_err *err)
{
    int rc = take_term(e, term, err);
    qd_mutex_lock(&g->lock);
    if (!rc && g->cm.term < term) repl_copy_adopted(&g->cm, term);
    if (one) g->cm.lease_until_ns = 0; /* nobody else could have been primary */
    while (!rc && !repl_copy_may_lead(&g->cm, term, repl_now(g))) {
        if (!g->engine || g->cm.term != term || g->r->closing) {
            rc = qd_err_set(err, QD_E_NOT_PRIMARY, "%s another primary is known", g->name);
            break;
        }
        uint64_t now = repl_now(g);
        uint64_t left = g->cm.lease_until_ns > now ? g->cm.lease_until_ns - now : 0;
        (void)qd_waitq_wait(&g->changed, qd_env_mono_ns(g->r->env) + left + 1000u);
    }
    qd_mutex_unlock(&g->lock);
    return rc;
}

static void leads(repl_shard *g, qd_engine *e, uint64_t term)
{
    repl_record_copy copies[REPL_COPIES];
    repl_record rec;
    qd_engine_checkpoints at;
    qd_mutex_lock(&g->lock);
    bool more = !alone(g) && !g->replicated;
    if (more) g->replicated = true;
    qd_mutex_unlock(&g->lock);
    if (more) qd_engine_replicated_set(e, true);
    qd_engine_checkpoints_get(e, &at);
    qd_mutex_lock(&g->lock);
    repl_record_view(g, copies, &rec);
    bool mine = rec.term == term && strcmp(rec.primary, g->aid) == 0 && g->cm.term == term;
    /* whoever adopts a later term has set the engine back before it says so in g->cm */
    mine = mine && qd_engine_mode_get(e) == QD_ENGINE_PRIMARY && qd_engine_primary_term(e) == term;
    if (mine) {
        qd_assert(!g->leading && !g->pm.first && !g->pm.reads);
        qd_invariant(term >= g->pm.term); /* terms of this copy as primary only rise */
        repl_copy_leads(&g->cm);
        repl_primary_init(&g->pm, g->others ? g->others->peer : NULL, g->aid, term,
                          rec.revision - 1, g->async ? at.processed : at.persisted, at.max_seq_no,
                          QD_MUTANT(repl, LEAD_ALL_GLOBAL) ? at.persisted : at.global, repl_on_act,
                          g);
        g->leading = true;
        g->recovers = false;
        g->cas.n = 0;
        for (uint32_t i = 0; i < rec.n; i++) {
            if (QD_MUTANT(repl, AWAY_IGNORED) && !copies[i].assigned) continue;
            if (copies[i].in_sync && strcmp(copies[i].aid, g->aid) != 0) {
                qd_invariant(g->others); /* since a record named it */
                (void)repl_primary_counted(&g->pm, copies[i].aid, copies[i].started);
            }
        }
        repl_primary_begin(&g->pm, repl_now(g));
        repl_primary_record(&g->pm, &rec, repl_now(g));
        qd_waitq_wake(&g->changed);
    }
    repl_unlock(g);
}

static int lead_once(repl_shard *g, uint64_t term, qd_err *err)
{
    qd_shard *s;
    qd_engine *e;
    QD_POINT("replication.lead");
    int rc = repl_enter(g, &s, &e, err);
    if (rc) return rc;
    qd_mutex_lock(&g->lock);
    bool one = alone(g);
    if (g->leading) { /* of a lower term */
        repl_primary_fence(&g->pm, term);
        g->leading = false;
    }
    repl_unlock(g);
    rc = wait_to_lead(g, e, term, one, err);
    /* asked behind it: to take the term may have made a copy of it */
    bool promoted = qd_engine_mode_get(e) == QD_ENGINE_REPLICA;
    if (!rc && promoted) {
        repl_install_end(g);
        rc = qd_engine_promote(e, term, err);
        if (!rc) {
            qd_mutex_lock(&g->lock);
            g->replicated = true;
            qd_mutex_unlock(&g->lock);
            qd_shard_promoted(s, term);
        }
    }
    if (!rc) {
        leads(g, e, term);
        (void)repl_started_first(g); /* said again by the clock until it is heard */
        if (promoted) {
            qd_log_info(REPL_LOG, "%s copy [%s] is primary of term %llu", g->name, g->aid,
                        (unsigned long long)term);
        }
    }
    repl_leave(s);
    return rc;
}

void repl_lead(repl_shard *g)
{
    for (;;) {
        qd_err err;
        qd_mutex_lock(&g->lock);
        bool mine = g->engine && !g->r->closing && strcmp(g->record_primary, g->aid) == 0 &&
                    !(g->leading && g->pm.term >= g->record_term);
        uint64_t term = g->record_term;
        qd_assert(g->lead_runs); /* lead_claim */
        g->lead_again = false;
        if (!mine) g->lead_runs = false;
        qd_mutex_unlock(&g->lock);
        if (!mine) return;
        qd_err_init(&err);
        int rc = lead_once(g, term, &err);
        if (rc) {
            qd_log_warn(REPL_LOG, "%s copy [%s] cannot become primary of term %llu: %s", g->name,
                        g->aid, (unsigned long long)term, qd_err_reason(&err));
        }
        qd_err_fini(&err);
        qd_mutex_lock(&g->lock);
        bool again = g->lead_again || !rc;
        if (!again) g->lead_runs = false;
        qd_mutex_unlock(&g->lock);
        if (!again) {
            if (rc != QD_E_NO_SHARD && rc != QD_E_NOT_PRIMARY && rc != QD_E_TERM_OLD) {
                repl_fail_shard(g, "it could not become primary", QD_E_IO);
            }
            return;
        }
    }
}
