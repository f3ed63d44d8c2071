/*
 * call.c: calls of this node to others. The caller's struct is touched from the start to the end of
 * done only; what travels is an rpc_out of our own, counted by the queue that it is in, by cancels
 * on their way and by the call itself.
 */
#include "rpc/rpc_int.h"
#include "runtime/fiber.h"
#include <stdarg.h>
#include <stdio.h>

/* What a call's host words are. */
typedef struct call_host {
    rpc_out *out;  /* until done has returned */
    rpc_body body; /* of the answer */
    qd_rpc *rpc;
} call_host;
_Static_assert(sizeof(call_host) <= sizeof(((qd_rpc_call *)0)->host),
               "the host's words are enough");

static call_host *host_of(qd_rpc_call *call)
{
    return (call_host *)(void *)call->host;
}

/* --- ending --- */

static void wait_done(qd_rpc_call *call, int rc)
{
    qd_latch_done(call->user, rc);
}

static int inflate(qd_rpc_call *call, int rc)
{
    call_host *h = host_of(call);
    if (rc || !h->body.raw) return rc;
    rc = qdi_body_inflate(h->rpc, call->class, &h->body, &call->err);
    if (!rc) call->answer = h->body.bytes;
    return rc;
}

/* qd_rpc_close waits for what is counted here. */
static void busy(qd_rpc *rpc, int n)
{
    qd_mutex_lock(&rpc->lock);
    rpc->busy += (uint64_t)n;
    if (rpc->busy == 0) qd_cond_broadcast(&rpc->idle);
    qd_mutex_unlock(&rpc->lock);
}

static void run_done(qd_work *work)
{
    qd_rpc_call *call = QD_CONTAINER_OF(work, qd_rpc_call, work);
    rpc_out *o = host_of(call)->out;
    qd_rpc *rpc = o->rpc;
    int rc = inflate(call, call->err.code);
    call->done(call, rc);
    qdi_out_unref(o);
    busy(rpc, -1);
}

/* The end: call's err and answer are set. */
static void finish(rpc_out *o, int rc)
{
    qd_rpc_call *call = o->call;
    if (!call) return;
    if (o->conn) qdi_conn_forget(o->conn, o);
    o->call = NULL;
    qd_timer_stop(&o->timer);
    if (!call->sent) {
        o->dropped = true;
        qdi_out_room_end(o);
    }
    if (o->local_request) {
        qd_rpc_request *r = o->local_request;
        o->local_request = NULL;
        qdi_request_cancel(r);
    }
    if (rc == QD_E_TIMEOUT) COUNT(o->rpc, calls_timed_out, 1);
    if (rc == QD_E_CANCELLED) COUNT(o->rpc, calls_cancelled, 1);
    if (call->done_pool) {
        call->work.run = run_done;
        busy(o->rpc, 1);
        if (qd_pool_submit_forced(call->done_pool, &call->work, NULL) == 0) return;
        busy(o->rpc, -1);
    }
    if (call->done != wait_done) rc = inflate(call, rc);
    call->done(call, rc);
    qdi_out_unref(o);
}

void qdi_call_end(rpc_out *o, int rc, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    if (!o->call) return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    finish(o, qd_err_set(&o->call->err, rc, "%s", text));
}

void qdi_call_fail(rpc_out *o, int rc, qd_err *err)
{
    if (!o->call) return;
    qd_err_move(&o->call->err, err);
    finish(o, rc);
}

void qdi_call_answered(rpc_out *o, uint16_t version, bool error, rpc_body *body)
{
    qd_rpc_call *call = o->call;
    if (!call) {
        qd_free(body->block);
        return;
    }
    if (o->conn) (void)qdi_ids_del(&o->conn->calls, o->id);
    o->conn = NULL;
    call->sent = true;
    call->answer_version = version;
    if (!error) {
        call_host *h = host_of(call);
        h->body = *body;
        call->answer = body->bytes;
        finish(o, 0);
        return;
    }
    qd_body_reader r;
    qd_err err;
    qd_err_init(&err);
    int rc = body->raw ? qdi_body_inflate(o->rpc, o->class, body, &err) : 0;
    if (!rc) {
        qd_body_reader_init(&r, body->bytes, "error of a peer", version);
        qd_read_err(&r, &err);
        rc = qd_body_reader_check(&r, &err);
    }
    qd_free(body->block);
    qdi_call_fail(o, err.code ? err.code : rc, &err);
}

/* --- starting --- */

static void on_timer(qd_timer *t)
{
    rpc_out *o = t->user;
    qdi_call_end(o, QD_E_TIMEOUT, "[%s] at [%s] did not answer within %u ms",
                 qd_rpc_action_name(o->action), o->peer->address, o->call->timeout_ms);
}

static void start_here(qd_post *post)
{
    rpc_out *o = QD_CONTAINER_OF(post, rpc_out, post);
    rpc_loop *l = o->peer->loop;
    if (o->due_ns) {
        uint64_t now = qd_env_mono_ns(o->rpc->c.env);
        qd_timer_init(&o->timer, l->loop, on_timer, o);
        if (qd_timer_start(&o->timer, o->due_ns > now ? o->due_ns - now : 0, 0)) {
            qdi_call_end(o, QD_E_NOMEM, "out of memory: a call");
            return;
        }
    }
    atomic_fetch_add(&o->refs, 1);
    qdi_peer_send(o->peer, o);
}

static void cancel_here(qd_post *post)
{
    rpc_out *o = QD_CONTAINER_OF(post, rpc_out, cancel_post);
    qdi_call_end(o, QD_E_CANCELLED, "the call of [%s] was cancelled",
                 qd_rpc_action_name(o->action));
    qdi_out_unref(o);
}

/* Bytes that a call takes in the queue to its peer. */
static uint64_t room_of(const qd_rpc_call *call)
{
    return call->body.n + call->tail.n + sizeof(rpc_out);
}

/* The message of a call, with the room that it needs reserved at the peer. */
static int make(qd_rpc *rpc, qd_rpc_call *call, rpc_peer *p, rpc_out **out, qd_err *err)
{
    uint64_t n = room_of(call);
    qd_iovec pieces[2] = {{call->body.p, call->body.n}, {call->tail.p, call->tail.n}};
    qd_writer w;
    uint16_t version = call->version ? call->version : QD_RPC_OLDEST;
    if (!qdi_peer_room(p, call->class, n, call->flags & QD_RPC_FORCED)) {
        COUNT(rpc, calls_rejected, 1);
        return qd_err_set(err, QD_E_REJECTED,
                          "rejected execution of [%s]: the queue to [%s] is full (%llu bytes)",
                          qd_rpc_action_name(call->action), p->address,
                          (unsigned long long)rpc->c.queue_max[call->class]);
    }
    qd_writer_init(&w, &rpc->control, 1024, version);
    qd_write_varint(&w, call->timeout_ms);
    if (version >= QD_RPC_1_1) {
        qd_write_str(&w, qd_str_sub(qd_str_c(call->parent_node), 0, 63));
        qd_write_varint(&w, call->parent_task);
    }
    out_spec spec = {
        .type = FRAME_REQUEST,
        .class = (uint8_t)call->class,
        .version = version,
        .action = call->action,
        .fields = qd_writer_view(&w),
        .pieces = pieces,
        .npieces = 2,
        .compress = !(call->flags & QD_RPC_PLAIN) && !p->self && !(p->near && rpc->c.near_plain),
    };
    int rc = qd_writer_end(&w, "request", err);
    if (!rc) rc = qdi_out_make(rpc, &spec, out, err);
    qd_writer_fini(&w);
    if (rc) {
        atomic_fetch_sub(&p->queued[call->class], n);
        return rc;
    }
    (*out)->room = n;
    return 0;
}

int qd_rpc_call_start(qd_rpc *rpc, qd_rpc_call *call, qd_err *err)
{
    rpc_peer *p;
    rpc_out *o;
    QD_CHECK(rpc, QD_RPC_MAGIC);
    qd_assert(call->done != NULL && call->class < QD_RPC_CLASSES);
    memset(call->host, 0, sizeof call->host);
    call->answer = (qd_str){NULL, 0};
    call->sent = false;
    qd_err_init(&call->err);
    if (atomic_load(&rpc->closing)) return qd_err_set(err, QD_E_CLOSED, "the node is closing");
    if (!qdi_action_since(call->action))
        return qd_err_set(err, QD_E_ARG, "%u is no action", call->action);
    int rc = qdi_peer_get(rpc, call->to, &p, err);
    if (rc) return rc;
    uint32_t state = atomic_load(&p->state);
    if ((call->flags & QD_RPC_NO_DIAL) && state != PEER_UP && state != PEER_SUSPECT)
        rc = qd_err_set(err, QD_E_CLOSED, "[%s] is not connected", p->address);
    if (!rc) rc = make(rpc, call, p, &o, err);
    if (rc) {
        qdi_peer_put(p);
        return rc;
    }
    o->peer = p; /* with its count */
    o->call = call;
    if (call->timeout_ms)
        o->due_ns = qd_env_mono_ns(rpc->c.env) + (uint64_t)call->timeout_ms * 1000000u;
    host_of(call)->out = o;
    host_of(call)->rpc = rpc;
    o->post.fn = start_here;
    qd_loop_post(p->loop->loop, &o->post);
    return 0;
}

void qd_rpc_call_cancel(qd_rpc *rpc, qd_rpc_call *call)
{
    QD_CHECK(rpc, QD_RPC_MAGIC);
    rpc_out *o = host_of(call)->out;
    if (atomic_exchange(&o->cancel_posted, true)) return;
    atomic_fetch_add(&o->refs, 1);
    o->cancel_post.fn = cancel_here;
    qd_loop_post(o->peer->loop->loop, &o->cancel_post);
}

void qd_rpc_call_fini(qd_rpc_call *call)
{
    call_host *h = host_of(call);
    if (call->class == QD_RPC_BULK && h->body.block)
        qdi_bytes_free(h->rpc, h->body.block);
    else
        qd_free(h->body.block);
    memset(call->host, 0, sizeof call->host);
    call->answer = (qd_str){NULL, 0};
    qd_err_fini(&call->err);
}

/* --- waiting --- */

typedef struct waiter {
    qd_rpc *rpc;
    qd_rpc_call *call;
} waiter;

static void stop_waiting(void *arg)
{
    waiter *w = arg;
    qd_rpc_call_cancel(w->rpc, w->call);
}

/* Starts it, waiting for room if need be. */
static int start_when_room(qd_rpc *rpc, qd_rpc_call *call, qd_err *err)
{
    qd_task *task = qd_fiber_task();
    uint64_t begun = qd_env_mono_ns(rpc->c.env);
    uint64_t end = call->timeout_ms ? begun + (uint64_t)call->timeout_ms * 1000000u : UINT64_MAX;
    for (;;) {
        qd_err why;
        qd_err_init(&why);
        int rc = qd_rpc_call_start(rpc, call, &why);
        uint64_t now = qd_env_mono_ns(rpc->c.env);
        if (rc != QD_E_REJECTED || now >= end) {
            if (rc && err) qd_err_move(err, &why);
            qd_err_fini(&why);
            return rc;
        }
        qd_err_fini(&why);
        rc = qd_task_check(task, err);
        if (rc) return rc;
        rpc_peer *p = qdi_peer_find(rpc, call->to);
        if (!p) continue;
        uint64_t until = now + 100000000u; /* to look at the task now and then */
        qdi_peer_room_wait(p, call->class, room_of(call), until < end ? until : end);
        qdi_peer_put(p);
    }
}

int qd_rpc_call_wait(qd_rpc *rpc, qd_rpc_call *call, qd_err *err)
{
    qd_latch latch;
    waiter w = {rpc, call};
    qd_latch_init(&latch, 1);
    call->done = wait_done;
    call->done_pool = NULL;
    call->user = &latch;
    int rc = start_when_room(rpc, call, err);
    if (rc) {
        qd_latch_done(&latch, 0);
        (void)qd_latch_wait(&latch);
        return rc;
    }
    rc = inflate(call, qd_latch_wait_stop(&latch, stop_waiting, &w));
    if (rc && err && !err->code) qd_err_move(err, &call->err);
    return rc;
}
