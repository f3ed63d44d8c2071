/* relay.c: see relay_int.h. */
#include "action/transport/relay_int.h"
#include "base/log.h"
#include "base/str.h"
#include "runtime/sync.h"
#include <stdio.h>
#include <string.h>

#define FIRST_ACTION 400u /* documents, searches, refreshes and flushes of shards */
#define LAST_ACTION 609u
#define LOOK_NS UINT64_C(500000000) /* so often a node that is not reached is dialed */
#define TOLD_NS UINT64_C(60000000000)
#define LOOK_MS 5000u
#define BODY_MAX ((size_t)256 << 20)

static bool passes(uint32_t action)
{
    return action >= FIRST_ACTION && action <= LAST_ACTION;
}

/* --- asking --- */

static void looked(qd_rpc_call *call, int rc)
{
    (void)rc;
    qd_rpc_call_fini(call);
    qd_free(call);
}

/* Dials the node from time to time, which nobody else may do while all goes through others. */
static void look_again(qd_actions *a, qd_str to, qd_str via)
{
    uint64_t now = qd_env_mono_ns(a->env), last = atomic_load(&a->relay_looked_ns);
    if (now - last < LOOK_NS || !atomic_compare_exchange_strong(&a->relay_looked_ns, &last, now))
        return;
    if (!last || now - last > TOLD_NS)
        qd_log_info("action", "the node at [%.*s] is not reached: requests go through [%.*s]",
                    QD_STR_ARG(to), QD_STR_ARG(via));
    qd_rpc_call *call = qd_calloc(NULL, sizeof *call);
    if (!call) return;
    *call = (qd_rpc_call){.to = to,
                          .action = QD_ACTION_ECHO,
                          .class = QD_RPC_CONTROL,
                          .timeout_ms = LOOK_MS,
                          .done = looked};
    if (qd_rpc_call_start(a->rpc, call, NULL)) looked(call, 0);
}

static bool can_pass(qd_actions *a, const qd_node_meta *n, qd_str to)
{
    return !qd_str_eq(n->id, a->node_id) && !qd_str_eq(n->transport_address, to) &&
           qd_rpc_version_to(a->rpc, n->transport_address) >= QD_RPC_1_2 &&
           !qd_rpc_peer_unreached(a->rpc, n->transport_address);
}

bool qdi_relay_via(qd_actions *a, qd_str to, uint32_t action, char out[QD_RPC_ADDRESS_MAX])
{
    if (!passes(action) || !a->cluster || !qd_rpc_peer_unreached(a->rpc, to)) return false;
    qd_state *s = qd_cluster_state(a->cluster);
    uint32_t turn = atomic_load_explicit(&a->relay_turn, memory_order_relaxed);
    const qd_node_meta *via = NULL;
    for (uint32_t i = 0; i < s->nnodes && !via; i++) {
        const qd_node_meta *n = &s->nodes[(turn + i) % s->nnodes];
        if (can_pass(a, n, to)) via = n;
    }
    if (via) {
        snprintf(out, QD_RPC_ADDRESS_MAX, "%.*s", QD_STR_ARG(via->transport_address));
        look_again(a, to, via->transport_address);
    }
    qd_state_unref(s);
    return via != NULL;
}

void qdi_relay_head(qd_writer *w, qd_str to, uint32_t action, uint16_t version, size_t n)
{
    qd_write_str(w, to);
    qd_write_varint(w, action);
    qd_write_u16(w, version);
    qd_write_varint(w, n); /* the body follows, as text of that length */
}

int qdi_relay_take(qd_rpc_call *call)
{
    qd_body_reader r;
    qd_err err;
    qd_err_init(&err);
    qd_body_reader_init(&r, call->answer, "answer that was passed on", call->answer_version);
    bool failed = qd_read_bool(&r, "failed"), sent = true;
    uint16_t version = call->answer_version;
    qd_str bytes = {NULL, 0};
    if (failed) {
        sent = qd_read_bool(&r, "sent");
        qd_read_err(&r, &err);
    } else {
        version = qd_read_u16(&r, "version");
        bytes = qd_read_str(&r, "answer", BODY_MAX);
    }
    int rc = qd_body_reader_check(&r, failed ? NULL : &err);
    if (!rc && failed) rc = err.code ? err.code : QD_E_CORRUPT;
    if (rc) {
        qd_err_fini(&call->err);
        qd_err_init(&call->err);
        if (!err.code) (void)qd_err_set(&err, rc, "the answer that was passed on is damaged");
        qd_err_move(&call->err, &err);
    } else {
        call->answer = bytes;
        call->answer_version = version;
    }
    call->sent = sent;
    qd_err_fini(&err);
    return rc;
}

/* --- passing on --- */

typedef struct relay {
    qd_rpc_call call; /* first */
    qd_rpc *rpc;
    qd_rpc_request *request;
    qd_mutex lock; /* of the rest */
    bool started, over, cancelled;
} relay;

static void reply_failed(qd_rpc_request *request, bool sent, const qd_err *err)
{
    qd_writer w;
    qd_err none;
    qd_err_init(&none);
    qd_writer_init(&w, NULL, BODY_MAX, qd_rpc_request_version(request));
    qd_write_bool(&w, true);
    qd_write_bool(&w, sent);
    qd_write_err(&w, err);
    if (qd_writer_end(&w, "answer that is passed on", &none))
        qd_rpc_fail(request, &none);
    else
        qd_rpc_reply(request, qd_writer_view(&w), (qd_str){NULL, 0});
    qd_writer_fini(&w);
    qd_err_fini(&none);
}

static void answered(qd_rpc_call *call, int rc)
{
    relay *x = (relay *)(void *)call;
    qd_mutex_lock(&x->lock);
    x->over = true;
    qd_mutex_unlock(&x->lock);
    if (rc) {
        reply_failed(x->request, call->sent, &call->err);
    } else {
        qd_writer w;
        qd_writer_init(&w, NULL, 64, qd_rpc_request_version(x->request));
        qd_write_bool(&w, false);
        qd_write_u16(&w, call->answer_version);
        qd_write_varint(&w, call->answer.n);
        qd_rpc_reply(x->request, qd_writer_view(&w), call->answer);
        qd_writer_fini(&w);
    }
    qd_rpc_call_fini(call);
    qd_mutex_fini(&x->lock);
    qd_free(x);
}

static void cancelled(void *arg)
{
    relay *x = arg;
    qd_mutex_lock(&x->lock);
    x->cancelled = true;
    if (x->started && !x->over) qd_rpc_call_cancel(x->rpc, &x->call);
    qd_mutex_unlock(&x->lock);
}

/* Only nodes of the cluster are asked for others, and only for what is passed on. */
static int may_pass(qd_actions *a, qd_str to, uint32_t action, qd_err *err)
{
    bool there = false;
    qd_state *s = qd_cluster_state(a->cluster);
    for (uint32_t i = 0; i < s->nnodes && !there; i++)
        there = qd_str_eq(s->nodes[i].transport_address, to);
    qd_state_unref(s);
    if (!passes(action))
        return qd_err_set(err, QD_E_ARG, "[%s] is not passed on", qd_rpc_action_name(action));
    if (!there)
        return qd_err_set(err, QD_E_CLOSED, "there is no node at [%.*s] in the cluster",
                          QD_STR_ARG(to));
    if (qd_rpc_peer_unreached(a->rpc, to))
        return qd_err_set(err, QD_E_CLOSED, "node [%.*s] does not reach [%.*s] either",
                          QD_STR_ARG(a->node_name), QD_STR_ARG(to));
    return 0;
}

/* Gives the request to the target; x is gone when that has answered. */
static int pass(relay *x, qd_str to, uint32_t action, uint16_t version, qd_str body, qd_err *err)
{
    uint64_t task;
    qd_str parent = qd_rpc_request_parent(x->request, &task);
    char node[64];
    snprintf(node, sizeof node, "%.*s", QD_STR_ARG(parent));
    x->call.to = to;
    x->call.action = action;
    x->call.class = QD_RPC_DATA;
    x->call.body = body;
    x->call.version = version;
    x->call.parent_node = task ? node : NULL;
    x->call.parent_task = task;
    x->call.done = answered;
    qd_rpc_request_on_cancel(x->request, cancelled, x);
    qd_mutex_lock(&x->lock);
    int rc = qd_rpc_call_start(x->rpc, &x->call, err);
    x->started = !rc;
    if (!rc && x->cancelled) qd_rpc_call_cancel(x->rpc, &x->call);
    qd_mutex_unlock(&x->lock);
    return rc;
}

void qdi_relay_handle(void *arg, qd_rpc_request *request)
{
    qd_actions *a = arg;
    qd_body_reader r;
    qd_err err;
    qd_err_init(&err);
    qd_body_reader_init(&r, qd_rpc_request_body(request), "request that is passed on",
                        qd_rpc_request_version(request));
    qd_str to = qd_read_str(&r, "address", QD_RPC_ADDRESS_MAX - 1);
    uint32_t action = (uint32_t)qd_read_varint_max(&r, "action", UINT32_MAX);
    uint16_t version = qd_read_u16(&r, "version");
    qd_str body = qd_read_str(&r, "body", BODY_MAX);
    relay *x = NULL;
    int rc = qd_body_reader_check(&r, &err);
    if (!rc) rc = may_pass(a, to, action, &err);
    if (!rc && !(x = qd_calloc(a->account, sizeof *x)))
        rc = qd_err_nomem(&err, "a request that is passed on");
    if (!rc) {
        x->rpc = a->rpc;
        x->request = request;
        qd_mutex_init(&x->lock);
        qd_err_init(&x->call.err);
        rc = pass(x, to, action, version, body, &err);
    }
    if (rc) {
        reply_failed(request, false, &err); /* from here on it is not told of a cancellation */
        if (x) qd_mutex_fini(&x->lock);
        qd_free(x);
    }
    qd_err_fini(&err);
}
