/*
 * server.c: a control node answers remote nodes with its own store handle. See remote.h.
 *
 * Requests come on a loop of the transport, are decoded into one block each and submitted; their
 * answers are made where they may call the store again (results have to be freed there): on the
 * pool, or, for those without a result, at once.
 */
#include "base/log.h"
#include "base/str.h"
#include "cluster/remote/server_int.h"
#include "plugin/op.h"

struct server_request {
    qd_work work; /* first */
    qd_remote_server *s;
    server_request *next, **link; /* in the server's list, under its lock */
    qd_rpc_request *request;
    qd_arena arena;
    qd_err err;
    uint32_t action;
    int32_t rc;
    _Atomic bool over;
    union {
        qd_coord_range range;
        qd_coord_txn txn;
        qd_coord_session session;
        qd_coord_election election;
        qd_coord_members members;
    } q; /* the op is the first member of each */
};

bool qdi_server_enter(qd_remote_server *s)
{
    qd_mutex_lock(&s->lock);
    bool open = !s->closing;
    s->users += open;
    qd_mutex_unlock(&s->lock);
    return open;
}

void qdi_server_leave(qd_remote_server *s)
{
    qd_mutex_lock(&s->lock);
    if (--s->users == 0) qd_cond_broadcast(&s->idle);
    qd_mutex_unlock(&s->lock);
}

qd_store_kind qdi_server_kind(qd_remote_server *s)
{
    qd_mutex_lock(&s->lock);
    qd_store_kind (*kind)(void *arg) = s->kind;
    void *arg = s->kind_arg;
    qd_mutex_unlock(&s->lock);
    if (kind) return kind(arg);
    return s->vt->head.flags & QD_COORD_EXTERNAL ? QD_STORE_KUBERNETES : QD_STORE_MASTERS;
}

void qdi_server_write_identity(qd_remote_server *s, qd_writer *w)
{
    qd_coord_identity i = {.struct_size = sizeof i};
    s->vt->identity(s->handle, &i);
    qdi_remote_write_identity(w, &i, qdi_server_kind(s));
}

/* --- answers --------------------------------------------------------------------------------- */

static void write_answer(server_request *x, qd_writer *w)
{
    qdi_server_write_identity(x->s, w);
    switch (x->action) {
    case QD_ACTION_COORD_RANGE:
        qdi_remote_write_range_answer(w, &x->q.range);
        break;
    case QD_ACTION_COORD_TXN:
        qd_write_zigzag(w, x->rc);
        qd_write_varint(w, x->q.txn.revision);
        qd_write_varint(w, x->q.txn.failed);
        break;
    case QD_ACTION_COORD_SESSION:
        qdi_remote_write_session(w, &x->q.session);
        break;
    case QD_ACTION_COORD_ELECTION:
        qdi_remote_write_election(w, &x->q.election);
        break;
    default:
        qdi_remote_write_members_answer(w, &x->q.members);
    }
}

static qd_coord_result *result_of(server_request *x)
{
    switch (x->action) {
    case QD_ACTION_COORD_RANGE:
        return x->q.range.result;
    case QD_ACTION_COORD_ELECTION:
        return x->q.election.result;
    case QD_ACTION_COORD_MEMBERS:
        return x->q.members.result;
    default:
        return NULL;
    }
}

/* A conflict is an answer: it carries the store's revision. */
static bool is_answer(const server_request *x)
{
    return x->rc == 0 || (x->action == QD_ACTION_COORD_TXN && x->rc == QD_E_CONFLICT);
}

static void reply(server_request *x)
{
    qd_writer w;
    qd_remote_server *s = x->s;
    int rc = is_answer(x) ? 0 : x->rc;
    qd_writer_init(&w, NULL, REMOTE_BODY_MAX, qd_rpc_request_version(x->request));
    if (!rc) {
        write_answer(x, &w);
        rc = qd_writer_end(&w, "answer of the coordination store", &x->err);
    }
    if (rc && !x->err.code) {
        (void)qd_err_set(&x->err, rc, "coordination store: %s", qd_code_name(rc));
    }
    if (rc) {
        qd_rpc_fail(x->request, &x->err);
    } else {
        qd_rpc_reply(x->request, qd_writer_view(&w), (qd_str){NULL, 0});
    }
    qd_writer_fini(&w);
    qd_err_fini(&x->err);
    qd_arena_fini(&x->arena);
    qd_mutex_lock(&s->lock);
    *x->link = x->next;
    if (x->next) x->next->link = x->link;
    qd_mutex_unlock(&s->lock);
    qd_free(x);
    qdi_server_leave(s);
}

/* On a worker: the store may be called. */
static void answer(qd_work *work)
{
    server_request *x = (server_request *)(void *)work;
    qd_coord_result *result = x->rc ? NULL : result_of(x);
    qd_remote_server *s = x->s;
    if (!result) {
        reply(x);
        return;
    }
    bool in = qdi_server_enter(s); /* the handle stays until the result is gone */
    reply(x);
    s->vt->result_free(s->handle, result);
    if (in) qdi_server_leave(s);
}

static void done(qd_op *op, int32_t rc)
{
    server_request *x = op->user;
    x->rc = rc;
    atomic_store(&x->over, true);
    x->work.run = answer;
    /* a full pool does not refuse; a closing one leaves it to this thread */
    if (qd_pool_submit_forced(x->s->pool, &x->work, NULL)) reply(x);
}

/* --- requests -------------------------------------------------------------------------------- */

/* Whoever asked is gone, or waits no longer. */
static void cancelled(void *arg)
{
    server_request *x = arg;
    if (!atomic_load(&x->over)) x->s->vt->cancel(x->s->handle, &x->q.range.op);
}

static server_request *begin(qd_remote_server *s, qd_rpc_request *request, uint32_t action)
{
    qd_err err;
    bool in = qdi_server_enter(s);
    server_request *x = in ? qd_calloc(NULL, sizeof *x) : NULL;
    if (in && !x) qdi_server_leave(s);
    if (x) {
        x->s = s;
        x->request = request;
        x->action = action;
        qd_err_init(&x->err);
        qd_arena_init(&x->arena, NULL, REMOTE_BODY_MAX);
        qd_mutex_lock(&s->lock);
        x->next = s->requests;
        x->link = &s->requests;
        if (x->next) x->next->link = &x->next;
        s->requests = x;
        qd_mutex_unlock(&s->lock);
        /* before it is submitted: afterwards it may have been answered already */
        qd_rpc_request_on_cancel(request, cancelled, x);
        return x;
    }
    qd_err_init(&err);
    (void)qd_err_set(&err, QD_E_CLOSED, "the node is stopping or lacks memory");
    qd_rpc_fail(request, &err);
    qd_err_fini(&err);
    return NULL;
}

static void submitted(server_request *x, int32_t rc)
{
    if (!rc) return;
    x->rc = rc;
    reply(x);
}

#define READ(x, r, what)                                                                           \
    qd_body_reader_init(&(r), qd_rpc_request_body((x)->request), what,                             \
                        qd_rpc_request_version((x)->request))

static void on_range(void *arg, qd_rpc_request *request)
{
    qd_remote_server *s = arg;
    qd_body_reader r;
    server_request *x = begin(s, request, QD_ACTION_COORD_RANGE);
    if (!x) return;
    READ(x, r, "read of the coordination store");
    qdi_remote_read_range(&r, &x->q.range);
    x->q.range.err = &x->err;
    int rc = qd_body_reader_end(&r, &x->err);
    qd_op_anywhere(&x->q.range.op, done, x);
    submitted(x, rc ? rc : s->vt->range(s->handle, &x->q.range));
}

static void on_txn(void *arg, qd_rpc_request *request)
{
    qd_remote_server *s = arg;
    qd_body_reader r;
    server_request *x = begin(s, request, QD_ACTION_COORD_TXN);
    if (!x) return;
    READ(x, r, "transaction of the coordination store");
    qdi_remote_read_txn(&r, &x->arena, &x->q.txn);
    x->q.txn.err = &x->err;
    int rc = qd_body_reader_end(&r, &x->err);
    qd_op_anywhere(&x->q.txn.op, done, x);
    submitted(x, rc ? rc : s->vt->txn(s->handle, &x->q.txn));
}

static void on_session(void *arg, qd_rpc_request *request)
{
    qd_remote_server *s = arg;
    qd_body_reader r;
    server_request *x = begin(s, request, QD_ACTION_COORD_SESSION);
    if (!x) return;
    READ(x, r, "session of the coordination store");
    qdi_remote_read_session(&r, &x->q.session);
    x->q.session.err = &x->err;
    int rc = qd_body_reader_end(&r, &x->err);
    qd_op_anywhere(&x->q.session.op, done, x);
    submitted(x, rc ? rc : s->vt->session(s->handle, &x->q.session));
}

static void on_election(void *arg, qd_rpc_request *request)
{
    qd_remote_server *s = arg;
    qd_body_reader r;
    server_request *x = begin(s, request, QD_ACTION_COORD_ELECTION);
    if (!x) return;
    READ(x, r, "election of the coordination store");
    qdi_remote_read_election(&r, &x->q.election);
    x->q.election.err = &x->err;
    int rc = qd_body_reader_end(&r, &x->err);
    qd_op_anywhere(&x->q.election.op, done, x);
    submitted(x, rc ? rc : s->vt->election(s->handle, &x->q.election));
}

static void on_members(void *arg, qd_rpc_request *request)
{
    qd_remote_server *s = arg;
    qd_body_reader r;
    server_request *x = begin(s, request, QD_ACTION_COORD_MEMBERS);
    if (!x) return;
    READ(x, r, "members of the coordination store");
    qdi_remote_read_members(&r, &x->q.members);
    x->q.members.err = &x->err;
    int rc = qd_body_reader_end(&r, &x->err);
    qd_op_anywhere(&x->q.members.op, done, x);
    submitted(x, rc ? rc : s->vt->members(s->handle, &x->q.members));
}

/* --- begin, end ------------------------------------------------------------------------------ */

static const qd_rpc_row handlers[] = {
    {QD_ACTION_COORD_RANGE, NULL, 0, on_range},
    {QD_ACTION_COORD_TXN, NULL, 0, on_txn},
    {QD_ACTION_COORD_SESSION, NULL, 0, on_session},
    {QD_ACTION_COORD_ELECTION, NULL, 0, on_election},
    {QD_ACTION_COORD_MEMBERS, NULL, 0, on_members},
    {QD_ACTION_COORD_WATCH, NULL, 0, qdi_server_watch},
};

int qd_remote_server_open(qd_rpc *rpc, qd_coord_store *store, qd_loop *loop, const qd_pools *pools,
                          qd_remote_server **out, qd_err *err)
{
    qd_remote_server *s = qd_calloc(NULL, sizeof *s);
    if (!s) return qd_err_nomem(err, "remote store");
    s->env = qd_loop_env(loop);
    s->rpc = rpc;
    s->loop = loop;
    s->pool = qd_pools_get(pools, "generic");
    s->vt = qd_coord_table(store, &s->handle);
    qd_mutex_init(&s->lock);
    qd_cond_init(&s->idle);
    qd_map_init(&s->watches, NULL);
    int rc = qd_rpc_serve(rpc, handlers, QD_COUNT_OF(handlers), s, err);
    if (!rc) {
        *out = s;
        return 0;
    }
    qd_map_fini(&s->watches);
    qd_cond_fini(&s->idle);
    qd_mutex_fini(&s->lock);
    qd_free(s);
    return rc;
}

void qd_remote_server_kind(qd_remote_server *s, qd_store_kind (*kind)(void *arg), void *arg)
{
    qd_mutex_lock(&s->lock);
    s->kind = kind;
    s->kind_arg = arg;
    qd_mutex_unlock(&s->lock);
}

void qd_remote_server_close(qd_remote_server *s)
{
    if (!s) return;
    qd_mutex_lock(&s->lock);
    s->closing = true;
    qd_mutex_unlock(&s->lock);
    qd_rpc_unserve(s->rpc, handlers, QD_COUNT_OF(handlers));
    qdi_server_watches_end(s);
    qd_mutex_lock(&s->lock);
    /* those that wait for a leader may wait for ever */
    for (server_request *x = s->requests; x; x = x->next) {
        if (!atomic_load(&x->over)) s->vt->cancel(s->handle, &x->q.range.op);
    }
    while (s->users) qd_cond_wait(&s->idle, &s->lock);
    qd_mutex_unlock(&s->lock);
    qd_map_fini(&s->watches);
    qd_cond_fini(&s->idle);
    qd_mutex_fini(&s->lock);
    qd_free(s);
}
