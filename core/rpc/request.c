/*
 * request.c: requests of other nodes (and of this one to itself): handed to their handlers,
 * answered from any thread, cancelled. A request lives until its answer has come back to the loop.
 */
#include "rpc/rpc_int.h"
#include "runtime/fiber.h"
#include <stdio.h>

#define OF_SHARDS 300u /* actions from here on are served by nodes with shards, when they run */

/* --- handlers --- */

int qd_rpc_handle(qd_rpc *rpc, uint32_t action, const char *pool, uint32_t flags, qd_rpc_handler fn,
                  void *arg, qd_err *err)
{
    QD_CHECK(rpc, QD_RPC_MAGIC);
    qd_pool *on = NULL;
    if (!qdi_action_since(action)) return qd_err_set(err, QD_E_ARG, "%u is no action", action);
    if (pool && !(on = rpc->c.pools ? qd_pools_find(rpc->c.pools, qd_str_c(pool)) : NULL))
        return qd_err_set(err, QD_E_ARG, "there is no pool [%s]", pool);
    rpc_handler *h = qd_calloc(&rpc->control, sizeof *h);
    if (!h) return qd_err_nomem(err, "a handler");
    *h = (rpc_handler){.node.id = action, .pool = on, .flags = flags, .fn = fn, .arg = arg};
    qd_mutex_lock(&rpc->lock);
    int rc = qdi_ids_get(&rpc->handlers, action)
                 ? qd_err_set(err, QD_E_EXISTS, "[%s] has a handler", qd_rpc_action_name(action))
                 : qdi_ids_add(&rpc->handlers, &rpc->control, &h->node);
    qd_mutex_unlock(&rpc->lock);
    if (rc == QD_E_NOMEM) qd_err_nomem(err, "a handler");
    if (rc) qd_free(h);
    return rc;
}

void qd_rpc_unhandle(qd_rpc *rpc, uint32_t action)
{
    QD_CHECK(rpc, QD_RPC_MAGIC);
    qd_mutex_lock(&rpc->lock);
    id_node *n = qdi_ids_del(&rpc->handlers, action);
    rpc_handler *h = n ? QD_CONTAINER_OF(n, rpc_handler, node) : NULL;
    while (h && h->running) qd_cond_wait(&rpc->idle, &rpc->lock);
    qd_mutex_unlock(&rpc->lock);
    qd_free(h);
}

int qd_rpc_serve(qd_rpc *rpc, const qd_rpc_row *rows, size_t n, void *arg, qd_err *err)
{
    for (size_t i = 0; i < n; i++) {
        int rc =
            qd_rpc_handle(rpc, rows[i].action, rows[i].pool, rows[i].flags, rows[i].fn, arg, err);
        if (!rc) continue;
        qd_rpc_unserve(rpc, rows, i);
        return rc;
    }
    return 0;
}

void qd_rpc_unserve(qd_rpc *rpc, const qd_rpc_row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) qd_rpc_unhandle(rpc, rows[i].action);
}

static void handler_left(qd_rpc *rpc, rpc_handler *h)
{
    qd_mutex_lock(&rpc->lock);
    h->running--;
    rpc->busy--;
    if (h->running == 0 || rpc->busy == 0) qd_cond_broadcast(&rpc->idle);
    qd_mutex_unlock(&rpc->lock);
}

/* --- running --- */

static void fail_text(qd_rpc_request *r, int code, const char *text)
{
    qd_err err;
    qd_err_init(&err);
    (void)qd_err_set(&err, code, "%s", text);
    qd_rpc_fail(r, &err);
    qd_err_fini(&err);
}

/* Runs the handler, or answers without it when nobody waits any more. */
static void run(void *arg)
{
    qd_rpc_request *r = arg;
    qd_rpc *rpc = r->rpc;
    rpc_handler *h = r->handler;
    qd_err err;
    qd_err_init(&err);
    if (qd_rpc_request_cancelled(r)) {
        fail_text(r, QD_E_CANCELLED, "the caller waits no more");
    } else if (qdi_body_inflate(rpc, r->class, &r->body, &err)) {
        qd_rpc_fail(r, &err);
    } else {
        h->fn(h->arg, r);
    }
    qd_err_fini(&err);
    handler_left(rpc, h);
}

static void run_on_pool(qd_work *work)
{
    qd_rpc_request *r = QD_CONTAINER_OF(work, qd_rpc_request, work);
    if (r->handler->flags & QD_RPC_ON_FIBER)
        qd_fiber_run(r->handler->pool, run, r);
    else
        run(r);
}

/* Gives it to its handler. */
static void dispatch(qd_rpc_request *r)
{
    qd_rpc *rpc = r->rpc;
    char text[300];
    qd_mutex_lock(&rpc->lock);
    id_node *n = qdi_ids_get(&rpc->handlers, r->action);
    r->handler = n ? QD_CONTAINER_OF(n, rpc_handler, node) : NULL;
    if (r->handler) r->handler->running++, rpc->busy++;
    qd_mutex_unlock(&rpc->lock);
    if (!r->handler) {
        const char *name = qd_rpc_action_name(r->action);
        /* of shards: the asker finds another copy */
        bool later = r->action >= OF_SHARDS && qdi_action_since(r->action);
        if (later)
            snprintf(text, sizeof text, "node [%.120s] does not serve [%.60s], it starts or stops",
                     rpc->self->node.name, name);
        else
            snprintf(text, sizeof text, "node [%.120s] has no handler for [%.60s] (%u)",
                     rpc->self->node.name, name, r->action);
        fail_text(r, later ? QD_E_NO_SHARD : QD_E_UNSUPPORTED, text);
        return;
    }
    if (!r->handler->pool) {
        run(r);
        return;
    }
    qd_err err;
    qd_err_init(&err);
    r->work.run = run_on_pool;
    rpc_handler *h = r->handler;
    int rc = h->flags & QD_RPC_ON_FORCED ? qd_pool_submit_forced(h->pool, &r->work, &err)
                                         : qd_pool_submit(h->pool, &r->work, &err);
    if (rc) {
        if (!err.code) (void)qd_err_set(&err, rc, "the pool takes no more");
        qd_rpc_fail(r, &err);
        handler_left(rpc, h);
    }
    qd_err_fini(&err);
}

static qd_rpc_request *make(qd_rpc *rpc, rpc_loop *l, uint32_t class)
{
    qd_rpc_request *r = qd_calloc(qdi_account(rpc, class), sizeof *r);
    if (!r) return NULL;
    r->magic = RPC_REQUEST_MAGIC;
    r->rpc = rpc;
    r->loop = l;
    r->class = (uint8_t) class;
    r->deadline_ns = UINT64_MAX;
    qd_mutex_init(&r->lock);
    qd_mutex_lock(&rpc->lock);
    rpc->busy++;
    rpc->nopen++;
    r->open_next = rpc->open;
    if (rpc->open) rpc->open->open_prev = r;
    rpc->open = r;
    qd_mutex_unlock(&rpc->lock);
    COUNT(rpc, requests_in, 1);
    return r;
}

static void request_free(qd_rpc_request *r)
{
    qd_rpc *rpc = r->rpc;
    qdi_who_unref(r->from);
    qdi_flow_unref(r->flow);
    if (r->local) qdi_out_unref(r->local);
    qdi_bytes_free(rpc, r->body.block);
    qd_mutex_fini(&r->lock);
    r->magic = 0;
    qd_mutex_lock(&rpc->lock);
    *(r->open_prev ? &r->open_prev->open_next : &rpc->open) = r->open_next;
    if (r->open_next) r->open_next->open_prev = r->open_prev;
    rpc->nopen--;
    if (--rpc->busy == 0) qd_cond_broadcast(&rpc->idle);
    qd_mutex_unlock(&rpc->lock);
    qd_free(r);
}

/* Reads the fields in front of the body. */
static int read_fields(qd_rpc_request *r, qd_err *err)
{
    qd_body_reader in;
    qd_body_reader_init(&in, r->body.bytes, "request", r->version);
    uint64_t timeout_ms = qd_read_varint_max(&in, "timeout", UINT32_MAX);
    if (r->version >= QD_RPC_1_1) {
        qd_read_text(&in, "parent_node", r->parent_node, sizeof r->parent_node);
        r->parent_task = qd_read_varint(&in, "parent_task");
    }
    int rc = qd_body_reader_check(&in, err);
    if (rc) return rc;
    if (timeout_ms) r->deadline_ns = qd_env_mono_ns(r->rpc->c.env) + timeout_ms * 1000000u;
    r->body.bytes = (qd_str){(const char *)in.p, (size_t)(in.end - in.p)};
    return 0;
}

/* What a node asks before it knows its cluster's uuid: who the masters are, and the uuid itself.
 * Builds before 1.2 put their record first. */
static bool of_joining(uint32_t action, uint16_t version)
{
    if (action == QD_ACTION_ECHO || action == QD_ACTION_COORD_RANGE ||
        action == QD_ACTION_COORD_MEMBERS)
        return true;
    return version < QD_RPC_1_2 && action >= QD_ACTION_COORD_RANGE &&
           action <= QD_ACTION_COORD_WATCH;
}

/* May a node that has not told this one's cluster ask for it? Where there is no cluster yet, yes.
 */
static bool may_ask(rpc_conn *c, uint32_t action)
{
    if (c->named || of_joining(action, c->version)) return true;
    qd_mutex_lock(&c->rpc->lock);
    bool formed = c->rpc->cluster_uuid[0] != 0;
    qd_mutex_unlock(&c->rpc->lock);
    return !formed;
}

static void refuse_stranger(rpc_conn *c, const frame_head *h)
{
    char text[300];
    snprintf(text, sizeof text,
             "node [%.120s] has not named the cluster's uuid: before that a node may join, not ask "
             "for [%.60s]",
             c->who->node.name, qd_rpc_action_name(h->action));
    qdi_refuse(c, h->id, h->action, h->version, QD_E_SECURITY, text);
}

void qdi_request_arrived(rpc_conn *c, const frame_head *h, rpc_body *body)
{
    qd_rpc *rpc = c->rpc;
    qd_err err;
    if (c->requests.n >= REQUESTS_MAX || atomic_load(&rpc->closing)) {
        bool full = c->requests.n >= REQUESTS_MAX;
        qd_free(body->block);
        qdi_refuse(c, h->id, h->action, h->version, full ? QD_E_REJECTED : QD_E_CLOSED,
                   full ? "too many requests of one node are under way" : "the node is closing");
        return;
    }
    if (qdi_ids_get(&c->requests, h->id)) {
        qd_free(body->block);
        qdi_conn_end(c, false, "a request with the number of another");
        return;
    }
    if (!may_ask(c, h->action)) {
        qd_free(body->block);
        refuse_stranger(c, h);
        return;
    }
    qd_rpc_request *r = make(rpc, c->loop, c->class);
    if (!r) {
        qd_free(body->block);
        qdi_refuse(c, h->id, h->action, h->version, QD_E_NOMEM, "out of memory: a request");
        return;
    }
    r->id = r->node.id = h->id;
    r->action = h->action;
    r->version = h->version;
    r->from = qdi_who_ref(c->who);
    r->body = *body;
    r->conn = c;
    r->flow = c->flow;
    atomic_fetch_add(&c->flow->refs, 1);
    qd_err_init(&err);
    if (qdi_ids_add(&c->requests, &rpc->control, &r->node)) {
        r->conn = NULL;
        qdi_refuse(c, h->id, h->action, h->version, QD_E_NOMEM, "out of memory: a request");
        request_free(r);
    } else if (read_fields(r, &err)) {
        qd_rpc_fail(r, &err);
    } else {
        dispatch(r);
    }
    qd_err_fini(&err);
}

void qdi_request_local(rpc_loop *l, rpc_out *o)
{
    qd_rpc *rpc = l->rpc;
    qd_err err;
    qd_rpc_request *r = make(rpc, l, o->class);
    if (!r) {
        qdi_call_end(o, QD_E_NOMEM, "out of memory: a request");
        return;
    }
    rpc_in in = {.head = {.flags = o->flags}, .block = o->bytes + o->at, .have = o->n - o->at};
    const char *wrong = qdi_in_begin(rpc, &in);
    qd_assert(!wrong && in.total == in.have);
    r->node.id = ++l->next_local;
    if (qdi_ids_add(&l->locals, &rpc->control, &r->node)) {
        request_free(r);
        qdi_call_end(o, QD_E_NOMEM, "out of memory: a request");
        return;
    }
    r->action = o->action;
    r->version = o->version;
    r->from = qdi_who_ref(rpc->self);
    r->body = (rpc_body){o->bytes, {in.block + in.body_at, in.total - in.body_at}, in.raw};
    o->bytes = NULL;
    o->n = o->at = 0;
    o->local_request = r;
    if (o->call) o->call->sent = true;
    qdi_out_room_end(o);
    atomic_fetch_add(&o->refs, 1);
    r->local = o;
    qd_err_init(&err);
    if (read_fields(r, &err))
        qd_rpc_fail(r, &err);
    else
        dispatch(r);
    qd_err_fini(&err);
}

void qdi_requests_local_end(rpc_loop *l)
{
    for (uint32_t i = 0; l->locals.n && i <= l->locals.mask; i++) {
        for (id_node *n = l->locals.slots[i]; n; n = n->next) {
            qd_rpc_request *r = QD_CONTAINER_OF(n, qd_rpc_request, node);
            qdi_call_end(r->local, QD_E_CLOSED, "this node is closing");
            qdi_request_cancel(r);
        }
    }
}

/* --- cancelling --- */

void qdi_request_cancel(qd_rpc_request *r)
{
    qd_mutex_lock(&r->lock);
    bool first = !atomic_exchange(&r->cancelled, true);
    if (first && r->on_cancel) r->on_cancel(r->on_cancel_arg);
    qd_mutex_unlock(&r->lock);
}

bool qd_rpc_request_cancelled(const qd_rpc_request *r)
{
    QD_CHECK(r, RPC_REQUEST_MAGIC);
    return atomic_load_explicit(&r->cancelled, memory_order_relaxed) ||
           (r->deadline_ns != UINT64_MAX && qd_env_mono_ns(r->rpc->c.env) >= r->deadline_ns);
}

void qd_rpc_request_on_cancel(qd_rpc_request *r, void (*fn)(void *arg), void *arg)
{
    QD_CHECK(r, RPC_REQUEST_MAGIC);
    qd_mutex_lock(&r->lock);
    if (atomic_load(&r->cancelled)) {
        fn(arg);
    } else {
        r->on_cancel = fn;
        r->on_cancel_arg = arg;
    }
    qd_mutex_unlock(&r->lock);
}

/* --- answering --- */

/* Makes an answer's message; an error that cannot be told in full is told short. NULL: no memory.
 */
static rpc_out *make_answer(qd_rpc *rpc, uint32_t class, uint16_t version, uint32_t action,
                            const qd_err *err)
{
    qd_writer w;
    rpc_out *o = NULL;
    qd_err why;
    qd_writer_init(&w, &rpc->control, 1 << 20, version);
    qd_write_err(&w, err);
    qd_err_init(&why);
    if (qd_writer_end(&w, "error", &why)) {
        qd_writer_fini(&w);
        qd_writer_init(&w, &rpc->control, 1 << 20, version);
        qd_write_err(&w, &why);
    }
    qd_err_fini(&why);
    qd_iovec piece = {w.buf.p, w.buf.n};
    out_spec spec = {
        .type = FRAME_ANSWER,
        .flags = FRAME_ERROR,
        .class = (uint8_t) class,
        .version = version,
        .action = action,
        .pieces = &piece,
        .npieces = 1,
    };
    if (qdi_out_make(rpc, &spec, &o, NULL)) {
        spec.class = QD_RPC_CONTROL; /* whose account has no limit of requests */
        if (qdi_out_make(rpc, &spec, &o, NULL)) o = NULL;
    }
    qd_writer_fini(&w);
    return o;
}

void qdi_refuse(rpc_conn *c, uint64_t id, uint32_t action, uint16_t version, int code,
                const char *text)
{
    qd_err err;
    qd_err_init(&err);
    (void)qd_err_set(&err, code, "%s", text);
    rpc_out *o = make_answer(c->rpc, c->class, version, action, &err);
    qd_err_fini(&err);
    if (!o) {
        qdi_conn_end(c, false, "out of memory");
        return;
    }
    o->id = id;
    qdi_conn_send(c, o);
}

/* The answer has come to the loop of the request. */
static void answer_here(qd_post *post)
{
    qd_rpc_request *r = QD_CONTAINER_OF(post, qd_rpc_request, post);
    rpc_out *o = r->answer;
    if (r->local) {
        rpc_out *call = r->local;
        call->local_request = NULL;
        (void)qdi_ids_del(&r->loop->locals, r->node.id);
        if (!o) {
            qdi_call_end(call, QD_E_NOMEM, "out of memory: an answer");
        } else {
            rpc_in in = {
                .head = {.flags = o->flags}, .block = o->bytes + o->at, .have = o->n - o->at};
            const char *wrong = qdi_in_begin(r->rpc, &in);
            qd_assert(!wrong);
            rpc_body body = {o->bytes, {in.block + in.body_at, in.total - in.body_at}, in.raw};
            o->bytes = NULL;
            qdi_call_answered(call, o->version, o->flags & FRAME_ERROR, &body);
            qdi_out_unref(o);
        }
    } else if (r->conn) {
        rpc_conn *c = r->conn;
        (void)qdi_ids_del(&c->requests, r->node.id);
        if (o) atomic_fetch_sub(&r->flow->bytes, o->n);
        if (o) {
            o->id = r->id;
            qdi_conn_send(c, o);
        } else {
            qdi_conn_end(c, false, "out of memory");
        }
    } else if (o) {
        qdi_out_unref(o);
    }
    request_free(r);
}

static void send_answer(qd_rpc_request *r, rpc_out *o)
{
    bool again = atomic_exchange(&r->replied, true);
    qd_assert(!again);
    if (r->answer && r->answer != o) qdi_out_unref(r->answer); /* another one than was begun */
    qd_mutex_lock(&r->lock); /* on_cancel has ended when we have it, and begins no more */
    r->on_cancel = NULL;
    atomic_store(&r->cancelled, true);
    qd_mutex_unlock(&r->lock);
    r->answer = o;
    if (r->flow && o) atomic_fetch_add(&r->flow->bytes, o->n);
    r->post.fn = answer_here;
    qd_loop_post(r->loop->loop, &r->post);
}

static bool plain_for(const qd_rpc_request *r)
{
    return r->rpc->c.near_plain && r->from && qdi_near(r->rpc, qd_str_c(r->from->node.address));
}

void qd_rpc_reply(qd_rpc_request *r, qd_str body, qd_str tail)
{
    QD_CHECK(r, RPC_REQUEST_MAGIC);
    qd_iovec pieces[2] = {{body.p, body.n}, {tail.p, tail.n}};
    rpc_out *o = NULL;
    qd_err err;
    out_spec spec = {
        .type = FRAME_ANSWER,
        .class = r->class,
        .version = r->version,
        .action = r->action,
        .pieces = pieces,
        .npieces = 2,
        .compress = r->local == NULL && r->class != QD_RPC_BULK && !plain_for(r),
    };
    qd_err_init(&err);
    if (qdi_out_make(r->rpc, &spec, &o, &err))
        o = make_answer(r->rpc, r->class, r->version, r->action, &err);
    qd_err_fini(&err);
    send_answer(r, o);
}

int qd_rpc_reply_room(qd_rpc_request *r, size_t n, char **room, qd_err *err)
{
    QD_CHECK(r, RPC_REQUEST_MAGIC);
    qd_assert(!r->answer && !atomic_load(&r->replied));
    out_spec spec = {
        .type = FRAME_ANSWER, .class = r->class, .version = r->version, .action = r->action};
    return qdi_out_room(r->rpc, &spec, n, &r->answer, room, err);
}

void qd_rpc_reply_filled(qd_rpc_request *r, size_t from, size_t n)
{
    QD_CHECK(r, RPC_REQUEST_MAGIC);
    qd_assert(r->answer);
    qdi_out_filled(r->answer, from, n);
    send_answer(r, r->answer);
}

void qd_rpc_fail(qd_rpc_request *r, const qd_err *err)
{
    QD_CHECK(r, RPC_REQUEST_MAGIC);
    qd_assert(err->code < 0);
    send_answer(r, make_answer(r->rpc, r->class, r->version, r->action, err));
}

/* --- looking --- */

qd_str qd_rpc_request_body(const qd_rpc_request *r)
{
    QD_CHECK(r, RPC_REQUEST_MAGIC);
    return r->body.bytes;
}
uint16_t qd_rpc_request_version(const qd_rpc_request *r)
{
    return r->version;
}
const qd_rpc_node *qd_rpc_request_from(const qd_rpc_request *r)
{
    return &r->from->node;
}
qd_str qd_rpc_request_parent(const qd_rpc_request *r, uint64_t *task)
{
    if (task) *task = r->parent_task;
    return qd_str_c(r->parent_node);
}
