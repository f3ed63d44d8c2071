/*
 * target.c: a copy that is filled from its primary, step by step on one worker: hello, track,
 * files, operations, finalize. Whatever goes wrong begins again; what was fetched stays. A source
 * that is not heard ends it: the allocation finds another node. Once in sync it reports itself as
 * started.
 */
#include "base/done.h"
#include "engine/pair.h"
#include "replication/mutants.h"
#include "replication/repl_int.h"
#include "runtime/point.h"
#include <stdio.h>

#define PAUSE_MS 100
#define PAUSE_MAX_MS 2000
#define FINAL_PAUSE_MS 20 /* at most between questions whether it is in sync, from one on */
#define ATTEMPTS 40u
/* A source does not answer when nothing came from its node for so long, and it was asked for at
 * least so long. */
#define SILENT_NS UINT64_C(5000000000)
#define ASKED_NS UINT64_C(3000000000)
#define LOOK_NS UINT64_C(250000000)

/* The node that a recovery asks, and since when it does. */
typedef struct source {
    char address[QD_RPC_ADDRESS_MAX], name[64];
    uint64_t since_ns;
} source;

typedef struct target {
    repl_shard *g;
    qd_shard *s;
    qd_engine *e;
    const source *from;
    char primary[REPL_AID];
    uint64_t term, peer;
    int64_t max; /* the source's when it began to track */
    bool by_ops;
    uint32_t pause_ms; /* before it is asked again whether the copy is in sync */
    qd_publication *p;
} target;

static void stage(target *t, qd_recovery_stage s)
{
    qd_mutex_lock(&t->g->lock);
    t->g->progress.stage = s;
    qd_mutex_unlock(&t->g->lock);
}

static void request(const target *t, repl_request *q)
{
    qd_engine_checkpoints at;
    bool async = t->g->async;
    qd_engine_checkpoints_get(t->e, &at);
    *q = (repl_request){.shard = t->g->number,
                        .term = t->term,
                        .peer = t->peer,
                        .persisted = async || QD_MUTANT(repl, RECOVERY_UNSYNCED) ? at.processed
                                                                                 : at.persisted};
    qd_pair("copy.recovers", async || q->persisted <= at.durable);
    qd_assert(q->persisted <= at.max_seq_no);
    memcpy(q->uuid, t->g->uuid, sizeof q->uuid);
    memcpy(q->aid, t->primary, sizeof q->aid);
    memcpy(q->by, t->g->aid, sizeof q->by);
    qd_engine_published(t->e, &q->open_term, &q->open_generation, &q->max);
    qd_engine_history(t->e, q->history);
}

/* Has its node not been heard for too long? Anything that comes from it counts. */
static bool silent(const repl_shard *g, const source *from)
{
    uint64_t now = qd_env_mono_ns(g->r->env);
    uint64_t heard = qd_rpc_peer_heard_ns(g->r->rpc, qd_str_c(from->address));
    if (!heard) heard = from->since_ns;
    return now - from->since_ns >= ASKED_NS && now > heard && now - heard >= SILENT_NS;
}

typedef struct waiting {
    repl_shard *g;
    bool done; /* under its lock */
    int rc;
} waiting;

static void ask_done(qd_rpc_call *call, int rc)
{
    waiting *x = call->user;
    repl_shard *g = x->g;
    qd_mutex_lock(&g->lock);
    qd_assert(!x->done); /* what waits may be gone after the first one */
    x->rc = rc;
    x->done = true;
    qd_waitq_wake(&g->changed);
    qd_mutex_unlock(&g->lock);
}

/* Is the answer of no use any more: this copy goes, or another one is primary? Under the lock. */
static bool useless(const target *t)
{
    const repl_shard *g = t->g;
    bool other =
        strcmp(g->record_primary, t->primary) != 0 && strcmp(g->record_primary, g->aid) != 0;
    return !g->engine || g->r->closing || other;
}

/* The answer is waited for as long as its node is heard, at most for the time of a step. */
static int ask(target *t, uint32_t action, const repl_request *q, qd_rpc_call *call, repl_reply *a,
               qd_err *err)
{
    repl_shard *g = t->g;
    waiting x = {.g = g};
    qd_writer w;
    bool cancelled = false, quiet = false;
    *call = (qd_rpc_call){0};
    qd_err_init(&call->err);
    qd_writer_init(&w, NULL, 4096, QD_RPC_OLDEST);
    repl_request_write(&w, q);
    int rc = qd_writer_end(&w, "request between copies", err);
    if (!rc && !g->r->rpc) rc = qd_err_set(err, QD_E_CLOSED, "the node stops");
    if (!rc) {
        call->to = qd_str_c(t->from->address);
        call->action = action;
        call->class = QD_RPC_DATA;
        call->flags = QD_RPC_FORCED; /* small, and one at a time */
        call->timeout_ms = repl_step_ms(g->r);
        call->body = qd_writer_view(&w);
        call->version = QD_RPC_OLDEST;
        call->done = ask_done;
        call->user = &x;
        rc = qd_rpc_call_start(g->r->rpc, call, err);
    }
    qd_writer_fini(&w);
    if (rc) return rc;
    qd_mutex_lock(&g->lock);
    while (!x.done) {
        quiet = quiet || silent(g, t->from);
        if (!cancelled && (quiet || useless(t))) {
            cancelled = true;
            qd_rpc_call_cancel(g->r->rpc, call); /* under the lock it has not ended */
        } else {
            (void)qd_waitq_wait(&g->changed, qd_env_mono_ns(g->r->env) + LOOK_NS);
        }
    }
    rc = x.rc;
    qd_mutex_unlock(&g->lock);
    if (rc && quiet)
        rc = qd_err_set(err, QD_E_TIMEOUT, "its source, node [%s] at [%s], does not answer",
                        t->from->name, t->from->address);
    else if (rc)
        qd_err_move(err, &call->err);
    if (!rc) rc = repl_reply_read(call->answer, call->answer_version, a, err);
    if (!rc && a->verdict != REPL_OK) rc = qd_err_set(err, QD_E_CLOSED, "%s", a->why);
    return rc;
}

/* Terms of the source become this copy's; what it holds is set back to what all are known to have.
 */
static int prepare(target *t, const repl_reply *a, qd_err *err)
{
    repl_shard *g = t->g;
    int64_t to;
    t->by_ops = a->flags & REPL_BY_OPS;
    int rc = 0;
    if (!t->by_ops) rc = qd_engine_recovery_reset(t->e, a->history, err);
    if (!rc && QD_MUTANT(repl, RECOVERY_NOT_SET_BACK)) {
        rc = qd_engine_term_raise(t->e, a->term, err);
    } else if (!rc) {
        rc = qd_engine_rollback(t->e, a->term, QD_SEQ_NO_NONE, &to, err);
    }
    if (rc) return rc;
    qd_mutex_lock(&g->lock);
    if (a->term > g->cm.term) repl_copy_adopted(&g->cm, a->term);
    qd_invariant(g->cm.term <= qd_engine_primary_term(t->e)); /* what is promised is on the disk */
    bool same = g->cm.term == a->term;
    if (same) {
        repl_copy_recovering(&g->cm);
        g->cm.lease_until_ns = 0; /* a copy that is not in sync has given none that counts */
    }
    qd_mutex_unlock(&g->lock);
    if (!same) return qd_err_set(err, QD_E_TERM_OLD, "another primary is known");
    t->term = a->term;
    qd_shard_term_set(t->s, a->term);
    return 0;
}

static int hello(target *t, qd_err *err)
{
    repl_request q;
    repl_reply a;
    qd_rpc_call call;
    qd_engine_checkpoints at;
    request(t, &q);
    qd_engine_checkpoints_get(t->e, &at);
    q.first = (at.global < at.persisted ? at.global : at.persisted) + 1;
    q.number = (uint64_t)(qd_engine_log_end(t->e) + 1);
    int rc = ask(t, QD_ACTION_RECOVERY_HELLO, &q, &call, &a, err);
    if (!rc && memcmp(a.history, q.history, sizeof q.history) == 0 &&
        repl_contradicts(t->g, at.global, a.max)) {
        rc = qd_err_set(err, QD_E_CLOSED,
                        "this copy knows that operations up to [%lld] were acknowledged, and "
                        "the log of the primary [%s] ends at [%lld]: acknowledged operations were "
                        "lost, of which this copy may have the last record",
                        (long long)at.global, t->primary, (long long)a.max);
        repl_set_aside(t->g, qd_err_reason(err));
    }
    if (!rc && a.term < t->term)
        rc = qd_err_set(err, QD_E_TERM_OLD, "its source is of a lower term");
    if (!rc) rc = prepare(t, &a, err);
    qd_rpc_call_fini(&call);
    return rc;
}

static int track(target *t, qd_err *err)
{
    repl_request q;
    repl_reply a;
    qd_rpc_call call;
    request(t, &q);
    if (t->by_ops) q.flags |= REPL_BY_OPS;
    int rc = ask(t, QD_ACTION_RECOVERY_TRACK, &q, &call, &a, err);
    if (!rc) {
        t->peer = a.peer;
        t->max = a.max;
        qd_publication_unref(t->p);
        t->p = NULL;
        if (!t->by_ops) rc = qd_publication_decode(a.tail, &t->g->r->account, &t->p, err);
    }
    qd_rpc_call_fini(&call);
    return rc;
}

static int files(target *t, qd_err *err)
{
    if (!t->p) return 0;
    stage(t, QD_STAGE_INDEX);
    int rc = repl_install(t->g, t->e, t->p, t->from->address, t->primary, &t->g->progress, err);
    qd_publication_unref(t->p);
    t->p = NULL;
    return rc;
}

static int operations(target *t, qd_err *err)
{
    bool more = true;
    int rc = 0;
    stage(t, QD_STAGE_TRANSLOG);
    while (more && !rc) {
        repl_request q;
        repl_reply a;
        qd_rpc_call call;
        qd_translog_location at;
        uint32_t n = 0;
        request(t, &q);
        q.first = q.persisted + 1;
        rc = ask(t, QD_ACTION_RECOVERY_OPS, &q, &call, &a, err);
        if (!rc && a.tail.n) rc = qd_engine_replicate(t->e, t->term, a.tail, &n, &at, err);
        if (!rc && n && !QD_MUTANT(repl, RECOVERY_UNSYNCED)) rc = qd_engine_sync(t->e, &at, err);
        more = !rc && n && a.flags & REPL_MORE;
        qd_mutex_lock(&t->g->lock);
        t->g->progress.ops_recovered += n;
        int64_t left = more ? a.max + 1 - q.first - n : 0;
        if (!rc) {
            t->g->progress.ops_total =
                t->g->progress.ops_recovered + (uint64_t)(left > 0 ? left : 0);
        }
        bool closed = !t->g->engine || t->g->r->closing;
        qd_mutex_unlock(&t->g->lock);
        if (!rc && closed) rc = qd_err_set(err, QD_E_CLOSED, "it is being closed");
        qd_rpc_call_fini(&call);
    }
    /* above what the source had when it began to track: of this term, or of nobody */
    if (rc || QD_MUTANT(repl, RECOVERY_NO_TRIM)) return rc;
    return qd_engine_trim_above(t->e, t->max, t->term, err);
}

/* QD_DONE: in sync; QD_DECLINED: something was missing, and is here now; else an error. */
static int finalize(target *t, qd_err *err)
{
    repl_request q;
    repl_reply a;
    qd_rpc_call call;
    QD_POINT("replication.finalize");
    qd_assert(!t->p); /* what was listed is installed */
    stage(t, QD_STAGE_FINALIZE);
    request(t, &q);
    int rc = ask(t, QD_ACTION_RECOVERY_FINALIZE, &q, &call, &a, err);
    if (!rc && a.flags & REPL_IN_SYNC) {
        rc = QD_DONE;
    } else if (!rc && a.tail.n) {
        rc = qd_publication_decode(a.tail, &t->g->r->account, &t->p, err);
        if (!rc) rc = files(t, err);
    } else if (!rc && a.flags & REPL_MORE) {
        rc = operations(t, err);
    } else if (!rc) {
        t->pause_ms = t->pause_ms ? 2 * t->pause_ms : 1;
        if (t->pause_ms > FINAL_PAUSE_MS) t->pause_ms = FINAL_PAUSE_MS;
        qd_env_sleep_ns(t->g->r->env, t->pause_ms * UINT64_C(1000000));
    }
    qd_rpc_call_fini(&call);
    return rc;
}

static bool wanted(const repl_shard *g)
{
    return g->engine && !g->r->closing && g->recovers && strcmp(g->record_primary, g->aid) != 0;
}

/* The copy is in sync: started, unless the primary hands over to it. */
static int started(target *t, qd_err *err)
{
    repl_shard *g = t->g;
    qd_copy_ref ref = {g->uuid, g->number, qd_str_c(g->aid)};
    for (;;) {
        bool of_primary = false;
        qd_mutex_lock(&g->lock);
        for (uint32_t i = 0; i < g->nplaces; i++) {
            const repl_place *p = &g->place[i];
            if (strcmp(p->c.aid, g->aid) == 0) {
                of_primary = p->partner[0] && strcmp(p->partner, g->record_primary) == 0;
            }
        }
        bool go = wanted(g);
        qd_mutex_unlock(&g->lock);
        if (!go || of_primary) return 0;
        int rc = qd_cluster_copy_started(g->r->cluster, &ref, NULL, err);
        if (!rc || rc == QD_E_NOTFOUND) return rc;
        qd_log_warn(REPL_LOG, "%s is in sync, which could not be reported: %s", g->name,
                    qd_err_reason(err));
        if (err) qd_err_fini(err);
        if (rc == QD_E_CONFLICT) return 0; /* the record tells */
        qd_env_sleep_ns(g->r->env, 1000000000u);
    }
}

/* Who is primary, and where. A node that was not asked before has all its time. Under the lock. */
static bool source_find(repl_shard *g, source *from, char primary[REPL_AID])
{
    char address[QD_RPC_ADDRESS_MAX];
    snprintf(primary, REPL_AID, "%s", g->record_primary);
    if (!primary[0] || !repl_address(g, primary, address)) return false;
    if (strcmp(address, from->address) == 0) return true;
    *from = (source){.since_ns = qd_env_mono_ns(g->r->env)};
    memcpy(from->address, address, sizeof address);
    for (uint32_t i = 0; i < g->nplaces; i++) {
        if (strcmp(g->place[i].c.aid, primary) == 0)
            snprintf(from->name, sizeof from->name, "%s", g->place[i].node);
    }
    return true;
}

static int recover_once(repl_shard *g, source *from, qd_err *err)
{
    target t = {.g = g, .from = from, .max = -1};
    qd_mutex_lock(&g->lock);
    bool known = source_find(g, from, t.primary);
    t.term = g->cm.term;
    qd_mutex_unlock(&g->lock);
    if (!known) return qd_err_set(err, QD_E_CLOSED, "the primary is not known");
    int rc = repl_enter(g, &t.s, &t.e, err);
    if (rc) return rc;
    rc = hello(&t, err);
    if (!rc) rc = track(&t, err);
    if (!rc) rc = files(&t, err);
    if (!rc) rc = operations(&t, err);
    int final = QD_DECLINED;
    while (!rc && final == QD_DECLINED) {
        final = finalize(&t, err);
        if (final < 0) rc = final;
        qd_mutex_lock(&g->lock);
        bool go = wanted(g);
        qd_mutex_unlock(&g->lock);
        if (!go) break;
    }
    if (!rc) rc = started(&t, err);
    qd_publication_unref(t.p);
    if (rc && qd_engine_failure(t.e, NULL)) rc = QD_E_IO;
    repl_leave(t.s);
    return rc;
}

static void progress_begin(repl_shard *g)
{
    qd_recovery_progress *p = &g->progress;
    qd_str self = qd_cluster_self(g->r->cluster)->id;
    qd_mutex_lock(&g->lock);
    *p = (qd_recovery_progress){.shard = g->number, .start_wall_ms = qd_env_wall_ms(g->r->env)};
    memcpy(p->uuid, g->uuid, sizeof p->uuid);
    snprintf(p->target_node, sizeof p->target_node, "%.*s", QD_STR_ARG(self));
    for (uint32_t i = 0; i < g->nplaces; i++) {
        const repl_place *x = &g->place[i];
        if (strcmp(x->c.aid, g->record_primary) == 0) {
            snprintf(p->source_node, sizeof p->source_node, "%.31s", x->node);
        }
        if (strcmp(x->c.aid, g->aid) == 0) p->relocation = x->partner[0] != 0;
    }
    g->progress_ns = qd_env_mono_ns(g->r->env);
    qd_mutex_unlock(&g->lock);
}

static void progress_end(repl_shard *g, bool done)
{
    qd_mutex_lock(&g->lock);
    g->progress.elapsed_ns = qd_env_mono_ns(g->r->env) - g->progress_ns;
    if (done) {
        g->progress.stage = QD_STAGE_DONE;
        g->progress.stop_wall_ms = qd_env_wall_ms(g->r->env);
        g->recovers = false;
    }
    qd_mutex_unlock(&g->lock);
}

/* Waits until the next attempt, or the record changes. */
static void pause_for(repl_shard *g, uint32_t attempt)
{
    uint64_t ms = PAUSE_MS * (uint64_t)(attempt + 1);
    if (ms > PAUSE_MAX_MS) ms = PAUSE_MAX_MS;
    qd_mutex_lock(&g->lock);
    if (wanted(g)) {
        (void)qd_waitq_wait(&g->changed, qd_env_mono_ns(g->r->env) + ms * 1000000u);
    }
    qd_mutex_unlock(&g->lock);
}

/* The attempt has failed. Does the copy fail, too? */
static bool given_up(repl_shard *g, const source *from, uint32_t attempt, int rc, const qd_err *err)
{
    char text[320];
    bool quiet = g->r->rpc && from->address[0] && silent(g, from);
    bool final = rc == QD_E_IO || rc == QD_E_CORRUPT || rc == QD_E_NOSPACE;
    if (!quiet && !final && attempt < ATTEMPTS) return false;
    if (quiet)
        snprintf(text, sizeof text,
                 "recovery failed: its source, node [%s] at [%s], does not answer", from->name,
                 from->address);
    else
        snprintf(text, sizeof text, "recovery failed: %.200s", qd_err_reason(err));
    /* a full disk there may have room again, a source may be heard again, or another node is better
     * off */
    if (quiet) rc = QD_E_TIMEOUT;
    bool passes = quiet || rc == QD_E_NOSPACE || rc == QD_E_NOMEM;
    repl_fail_shard(g, text, passes ? rc : QD_E_IO);
    return true;
}

void repl_recover(repl_shard *g)
{
    qd_err err;
    source from = {.since_ns = 0};
    int rc = QD_E_CLOSED;
    qd_err_init(&err);
    progress_begin(g);
    for (uint32_t attempt = 0;; attempt++) {
        qd_mutex_lock(&g->lock);
        bool go = wanted(g);
        qd_mutex_unlock(&g->lock);
        if (!go) break;
        if (g->progress.source_node[0] == 0) progress_begin(g);
        rc = recover_once(g, &from, &err);
        if (!rc) break;
        qd_log_info(REPL_LOG, "%s copy [%s] recovery: %s", g->name, g->aid, qd_err_reason(&err));
        if (given_up(g, &from, attempt, rc, &err)) break;
        qd_err_fini(&err);
        pause_for(g, attempt);
    }
    progress_end(g, !rc);
    qd_err_fini(&err);
}
