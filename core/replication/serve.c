/* serve.c: a copy answers its primary. See repl_int.h, copy_int.h. */
#include "engine/pair.h"
#include "replication/mutants.h"
#include "replication/repl_int.h"
#include "runtime/point.h"
#include <stdio.h>

#define ADOPT_MAX 8

void repl_reply_send(qd_rpc_request *request, const repl_reply *a, qd_str tail)
{
    qd_writer w;
    qd_err err;
    qd_err_init(&err);
    qd_writer_init(&w, NULL, 4096, qd_rpc_request_version(request));
    repl_reply_write(&w, a);
    if (qd_writer_end(&w, "answer between copies", &err)) {
        qd_rpc_fail(request, &err);
    } else {
        qd_rpc_reply(request, qd_writer_view(&w), tail);
    }
    qd_writer_fini(&w);
    qd_err_fini(&err);
}

/* The same where the tail has been written into the answer's room. */
static void piece_send(repl_piece *piece, const repl_reply *a)
{
    qd_writer w;
    qd_err err;
    qd_err_init(&err);
    qd_writer_init(&w, NULL, REPL_HEAD_MAX, qd_rpc_request_version(piece->request));
    repl_reply_write(&w, a);
    qd_str head = qd_writer_view(&w);
    if (qd_writer_end(&w, "answer between copies", &err)) {
        qd_rpc_fail(piece->request, &err);
    } else {
        qd_assert(head.n <= REPL_HEAD_MAX);
        memcpy(piece->room + REPL_HEAD_MAX - head.n, head.p, head.n);
        qd_rpc_reply_filled(piece->request, REPL_HEAD_MAX - head.n, head.n + piece->n);
    }
    qd_writer_fini(&w);
    qd_err_fini(&err);
}

static void refuse(repl_reply *a, const char *why)
{
    a->verdict = REPL_FAILED;
    snprintf(a->why, sizeof a->why, "%s", why);
}

static void refuse_err(repl_reply *a, const qd_err *err)
{
    refuse(a, qd_err_reason(err));
}

/* Under the lock. */
static void step_down(repl_shard *g, uint64_t term)
{
    if (!g->leading || g->pm.term >= term) return;
    repl_primary_fence(&g->pm, term);
    g->leading = false;
}

/* The term of the request becomes this copy's; a primary of a lower one goes back to a copy. */
static int adopt(repl_shard *g, qd_engine *e, uint64_t term, qd_err *err)
{
    qd_mutex_lock(&g->lock);
    step_down(g, term);
    repl_unlock(g);
    int rc = qd_engine_mode_get(e) == QD_ENGINE_PRIMARY
                 ? qd_engine_rollback(e, term, QD_SEQ_NO_NONE, NULL, err)
                 : qd_engine_term_raise(e, term, err);
    if (rc == QD_E_TERM_OLD) { /* a still higher one: asked again */
        if (err) qd_err_fini(err);
        rc = 0;
    }
    qd_mutex_lock(&g->lock);
    if (!rc && g->cm.term < term) repl_copy_adopted(&g->cm, term);
    qd_invariant(g->cm.term <= qd_engine_primary_term(e)); /* what is promised is on the disk */
    if (!rc) step_down(g, term); /* of a lower term it may have become the primary meanwhile */
    repl_unlock(g);
    return rc;
}

/* Is the sender heard? Waits for leases of lower terms. true: go on. */
static bool heard(repl_shard *g, qd_engine *e, const repl_request *q, repl_reply *a)
{
    qd_err err;
    qd_err_init(&err);
    for (int i = 0; i < ADOPT_MAX; i++) {
        qd_mutex_lock(&g->lock);
        uint64_t now = repl_now(g), left = 0;
        repl_copy_verdict v = repl_copy_request(&g->cm, q->term, now);
        a->term = g->cm.term;
        if (v == REPL_COPY_WAIT && g->engine) { /* it may be given back before */
            left = g->cm.lease_until_ns - now;
            (void)qd_waitq_wait(&g->changed, qd_env_mono_ns(g->r->env) + left + 1000u);
        }
        qd_mutex_unlock(&g->lock);
        if (v == REPL_COPY_TAKE) return true;
        if (v == REPL_COPY_REFUSE) {
            a->verdict = REPL_STALE_TERM;
            snprintf(a->why, sizeof a->why, "it obeys term %llu", (unsigned long long)a->term);
            return false;
        }
        if (v == REPL_COPY_WAIT) {
            i -= !atomic_load(&g->r->closing); /* ends with the lease */
        } else if (adopt(g, e, q->term, &err)) {
            refuse_err(a, &err);
            qd_err_fini(&err);
            return false;
        }
    }
    qd_err_fini(&err);
    refuse(a, "its term changes");
    return false;
}

/* What the primary is told at the end, unless another one is obeyed meanwhile. */
static void confirm(repl_shard *g, qd_engine *e, const repl_request *q, repl_reply *a)
{
    qd_engine_checkpoints at;
    QD_POINT("replication.confirm");
    bool async = g->async;
    qd_engine_checkpoints_get(e, &at);
    a->persisted = async ? at.processed : at.persisted;
    if (QD_MUTANT(repl, COPY_ACK_BEFORE_FSYNC) || QD_MUTANT(repl, RESYNC_UNSYNCED))
        a->persisted = at.processed;
    if (QD_MUTANT(repl, GAPS_COUNTED)) a->persisted = at.max_seq_no;
    qd_pair("copy.confirms", async || a->persisted <= at.durable);
    qd_assert(a->persisted <= at.max_seq_no);
    qd_mutex_lock(&g->lock);
    a->term = g->cm.term;
    a->verdict = g->cm.term == q->term ? REPL_OK : REPL_STALE_TERM;
    if (QD_MUTANT(repl, OK_WHATEVER_TERM)) a->verdict = REPL_OK;
    qd_invariant(a->verdict != REPL_OK || a->term == q->term); /* none but the one it obeys */
    qd_mutex_unlock(&g->lock);
}

/* Lease and checkpoint that the request carries. Before what it brings is applied: a copy never
 * takes more of a checkpoint than it has. */
static repl_copy_verdict take_head(repl_shard *g, const repl_request *q)
{
    qd_mutex_lock(&g->lock);
    repl_copy_verdict v = g->cm.term == q->term ? repl_copy_ops(&g->cm) : REPL_COPY_NOT_SYNCED;
    if (v == REPL_COPY_TAKE) {
        (void)repl_copy_told(&g->cm, q->global, repl_now(g));
        if (q->flags & REPL_LEASE) repl_copy_lease(&g->cm, q->sent_ns, repl_now(g));
    }
    qd_mutex_unlock(&g->lock);
    return v;
}

static void failed(repl_shard *g, qd_engine *e, repl_reply *a, int rc, const qd_err *err)
{
    if (rc == QD_E_TERM_OLD) {
        a->verdict = REPL_STALE_TERM;
        a->term = qd_engine_primary_term(e);
        return;
    }
    refuse_err(a, err);
    if (qd_engine_contradicted(e)) {
        repl_set_aside(g, qd_err_reason(err));
        return;
    }
    if (qd_engine_failure(e, NULL)) repl_fail_shard(g, qd_err_reason(err), QD_E_IO);
}

static int take_ops(repl_shard *g, qd_engine *e, const repl_request *q, qd_err *err)
{
    qd_translog_location at = {0};
    int rc = 0;
    if (q->tail.n) {
        rc = qd_engine_replicate(e, q->term, q->tail, NULL, &at, err);
        bool sync = !QD_MUTANT(repl, COPY_ACK_BEFORE_FSYNC) && !QD_MUTANT(repl, RESYNC_UNSYNCED);
        if (!rc && sync) rc = qd_engine_sync(e, &at, err);
    }
    if (!rc) qd_engine_global_checkpoint_set(e, q->global);
    (void)g;
    return rc;
}

static void serve_ops(repl_shard *g, qd_engine *e, const repl_request *q, repl_reply *a)
{
    qd_err err;
    qd_err_init(&err);
    if (take_head(g, q) != REPL_COPY_TAKE) {
        a->verdict = REPL_NOT_SYNCED;
        snprintf(a->why, sizeof a->why, "it was opened anew");
        return;
    }
    int rc = take_ops(g, e, q, &err);
    if (!rc && !q->tail.n && !(q->flags & REPL_READ))
        rc = qd_engine_global_checkpoint_sync(e, &err);
    if (rc) {
        failed(g, e, a, rc, &err);
    } else {
        confirm(g, e, q, a);
    }
    qd_err_fini(&err);
}

static int resync_part(repl_shard *g, qd_engine *e, const repl_request *q, repl_copy_verdict v,
                       qd_err *err)
{
    int rc = 0;
    if (v == REPL_COPY_ROLL_BACK && !QD_MUTANT(repl, RESYNC_NO_ROLL_BACK)) {
        rc = qd_engine_rollback(e, q->term, q->first - 1, NULL, err);
    }
    if (!rc && v != REPL_COPY_REPEATED) rc = take_ops(g, e, q, err);
    if (!rc && v == REPL_COPY_REPEATED) rc = qd_engine_sync_all(e, err);
    bool trims = v != REPL_COPY_REPEATED && q->flags & REPL_LAST;
    if (!rc && trims && !QD_MUTANT(repl, RESYNC_NO_TRIM)) {
        rc = qd_engine_trim_above(e, q->max, q->term, err);
    }
    return rc;
}

static void serve_resync(repl_shard *g, qd_engine *e, const repl_request *q, repl_reply *a)
{
    qd_err err;
    qd_err_init(&err);
    repl_install_end(g); /* of the primary before, which may not answer any more */
    qd_mutex_lock(&g->lock);
    repl_copy_verdict v =
        g->cm.term == q->term ? repl_copy_resync(&g->cm, q->number, q->part) : REPL_COPY_NOT_SYNCED;
    qd_mutex_unlock(&g->lock);
    if (v != REPL_COPY_TAKE && v != REPL_COPY_ROLL_BACK && v != REPL_COPY_REPEATED) {
        a->verdict = REPL_NOT_SYNCED;
        snprintf(a->why, sizeof a->why, "part %u of a resync does not follow", q->part);
        return;
    }
    qd_engine_checkpoints at;
    qd_engine_checkpoints_get(e, &at);
    if (v == REPL_COPY_ROLL_BACK && repl_contradicts(g, at.global, q->max)) {
        /* before anything is rolled back: the primary has to give way */
        a->global = at.global;
        snprintf(a->why, sizeof a->why,
                 "it knows that operations up to [%lld] were acknowledged, and the log of the "
                 "primary ends at [%lld]",
                 (long long)at.global, (long long)q->max);
        a->verdict = REPL_FAILED;
        qd_log_error(REPL_LOG, "%s copy [%s]: %s", g->name, g->aid, a->why);
        return;
    }
    int rc = resync_part(g, e, q, v, &err);
    if (!rc) {
        qd_mutex_lock(&g->lock);
        if (v != REPL_COPY_REPEATED && g->cm.term == q->term && g->cm.resync == q->number) {
            repl_copy_resynced(&g->cm, (q->flags & REPL_LAST) != 0);
        }
        (void)repl_copy_told(&g->cm, q->global, repl_now(g));
        if (q->flags & REPL_LAST) repl_copy_lease(&g->cm, q->sent_ns, repl_now(g));
        bool over = q->flags & REPL_LAST;
        qd_shard *s = over && g->shard ? qd_shard_ref(g->shard) : NULL;
        qd_mutex_unlock(&g->lock);
        if (s) qd_shard_term_set(s, q->term);
        qd_shard_unref(s);
        confirm(g, e, q, a);
    } else {
        failed(g, e, a, rc, &err);
    }
    qd_err_fini(&err);
}

static void serve_publish(repl_shard *g, qd_engine *e, const repl_request *q, repl_reply *a)
{
    qd_err err;
    char from[QD_RPC_ADDRESS_MAX];
    qd_publication *p = NULL;
    qd_err_init(&err);
    if (take_head(g, q) != REPL_COPY_TAKE) {
        a->verdict = REPL_NOT_SYNCED;
        return;
    }
    qd_mutex_lock(&g->lock);
    bool known = repl_address(g, q->by, from);
    qd_mutex_unlock(&g->lock);
    int rc = known ? qd_publication_decode(q->tail, &g->r->account, &p, &err)
                   : qd_err_set(&err, QD_E_CLOSED, "the node of the primary is not known");
    bool skip = QD_MUTANT(repl, PUBLISH_UNSHOWN);
    if (!rc && !skip) rc = repl_install(g, e, p, from, q->by, NULL, &err);
    qd_publication_unref(p);
    if (rc) {
        failed(g, e, a, rc, &err);
    } else {
        uint64_t term;
        int64_t shown;
        confirm(g, e, q, a);
        qd_engine_published(e, &term, &a->peer, &shown);
        a->max = skip ? q->global : shown;
        qd_pair("copy.shows", a->max <= shown);
    }
    qd_err_fini(&err);
}

static void serve_copy(repl_shard *g, uint32_t action, const repl_request *q, repl_reply *a)
{
    qd_shard *s;
    qd_engine *e;
    qd_err err;
    qd_err_init(&err);
    QD_POINT("replication.serve");
    int rc = repl_enter(g, &s, &e, &err);
    if (rc) {
        refuse_err(a, &err);
        qd_err_fini(&err);
        return;
    }
    if (q->flags & REPL_RELEASE) {
        qd_mutex_lock(&g->lock);
        repl_copy_release(&g->cm, q->term, q->sent_ns);
        qd_waitq_wake(&g->changed); /* it may wait to lead */
        qd_mutex_unlock(&g->lock);
    }
    if (heard(g, e, q, a)) {
        switch (action) {
        case QD_ACTION_COPY_OPS:
        case QD_ACTION_COPY_SYNC:
            serve_ops(g, e, q, a);
            break;
        case QD_ACTION_COPY_RESYNC:
            serve_resync(g, e, q, a);
            break;
        default:
            serve_publish(g, e, q, a);
            break;
        }
    }
    repl_leave(s);
    qd_err_fini(&err);
}

/* A round that only serves reads, where nothing is to be waited for: no term to adopt, no lease of
 * another one, no thread that has the lock. While it is held the engine stays, as `closing` takes
 * it away under it. The same steps as of serve_ops. */
static bool serve_read(repl_shard *g, const repl_request *q, repl_reply *a)
{
    if (!qd_mutex_trylock(&g->lock)) return false;
    uint64_t now = repl_now(g);
    qd_engine *e = g->engine;
    bool obeys = repl_copy_request(&g->cm, q->term, now) == REPL_COPY_TAKE &&
                 g->cm.term == q->term && repl_copy_ops(&g->cm) == REPL_COPY_TAKE;
    if (QD_MUTANT(repl, READ_ANY_TERM)) obeys = true;
    bool here = e && obeys && !qd_engine_failure(e, NULL);
    if (here) {
        int64_t max;
        qd_invariant(g->cm.term == q->term && !g->cm.primary);
        (void)repl_copy_told(&g->cm, q->global, now);
        if (q->flags & REPL_LEASE) repl_copy_lease(&g->cm, q->sent_ns, now);
        qd_engine_global_checkpoint_set(e, q->global);
        repl_checkpoints(g, e, &a->persisted, &max);
        a->term = g->cm.term;
        a->verdict = REPL_OK;
    }
    qd_mutex_unlock(&g->lock);
    return here;
}

bool repl_serve_read(qd_replication *r, qd_rpc_request *request)
{
    repl_request q;
    repl_reply a = {.persisted = -1, .max = -1, .global = -1};
    uint32_t version = qd_rpc_request_version(request);
    if (repl_request_read(qd_rpc_request_body(request), version, &q, NULL)) return false;
    if (!(q.flags & REPL_READ) || q.flags & REPL_RELEASE || q.tail.n) return false;
    repl_shard *g = repl_get(r, q.uuid, q.shard);
    bool served = g && strcmp(g->aid, q.aid) == 0 && serve_read(g, &q, &a);
    repl_unref(g);
    if (served) repl_reply_send(request, &a, (qd_str){NULL, 0});
    return served;
}

void repl_serve(qd_replication *r, uint32_t action, qd_rpc_request *request)
{
    repl_request q;
    repl_reply a = {.persisted = -1, .max = -1, .global = -1};
    repl_piece piece = {.request = request};
    qd_writer tail;
    qd_err err;
    qd_err_init(&err);
    if (repl_request_read(qd_rpc_request_body(request), qd_rpc_request_version(request), &q,
                          &err)) {
        qd_rpc_fail(request, &err);
        qd_err_fini(&err);
        return;
    }
    qd_writer_init(&tail, &r->account, REPL_TAIL_MAX, qd_rpc_request_version(request));
    repl_shard *g = repl_get(r, q.uuid, q.shard);
    if (!g || strcmp(g->aid, q.aid) != 0) {
        refuse(&a, "there is no such copy on its node");
    } else if (action >= QD_ACTION_RECOVERY_HELLO) {
        repl_source(g, action, &q, &a, &tail, &piece);
    } else {
        serve_copy(g, action, &q, &a);
    }
    repl_unref(g);
    if (qd_writer_end(&tail, "answer between copies", &err)) {
        qd_rpc_fail(request, &err);
    } else if (piece.n) {
        piece_send(&piece, &a);
    } else {
        repl_reply_send(request, &a, qd_writer_view(&tail));
    }
    qd_writer_fini(&tail);
    qd_err_fini(&err);
}
