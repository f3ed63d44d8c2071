/* ask.c: see ask_int.h. */
#include "action/transport/ask_int.h"
#include "action/transport/relay_int.h"
#include "base/str.h"
#include "rpc/rpc.h"
#include "runtime/waitq.h"

#define TELL_TIMEOUT_MS 10000u
#define LOOK_MS 1000 /* how often long answers are looked at, from the end of a session on */

typedef struct question {
    qd_rpc_call call; /* first */
    qd_asks *all;
    uint64_t begun_ns, took_ns;
    bool started, done;
    bool left; /* its node is not in the cluster any more: it is not waited for */
    int rc;
    qd_str to;                    /* its node's address */
    uint32_t action, relays;      /* relays: nodes that it was given to, to pass it on */
    char via[QD_RPC_ADDRESS_MAX]; /* the last of them */
    qd_buf body;                  /* for the next one */
    uint16_t version;
} question;

struct qd_asks {
    qd_actions *a;
    const qd_state *state;
    qd_task *task;
    uint32_t timeout_ms;
    qd_mutex lock; /* guards done, left, stopped, open */
    bool stopped;
    uint32_t open; /* questions that are not done */
    qd_waitq over; /* none is */
    question *at;
    uint32_t n, room;
};

static qd_str address_of(const qd_state *s, qd_str node)
{
    for (uint32_t lo = 0, hi = s ? s->nnodes : 0; lo < hi;) {
        uint32_t mid = (lo + hi) / 2;
        int c = qd_str_cmp(s->nodes[mid].id, node);
        if (c == 0) return s->nodes[mid].transport_address;
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return (qd_str){NULL, 0};
}

/* --- cancelling --- */

static void stop(qd_asks *q)
{
    qd_mutex_lock(&q->lock);
    q->stopped = true;
    for (uint32_t i = 0; i < q->n; i++) {
        if (q->at[i].started && !q->at[i].done) qd_rpc_call_cancel(q->a->rpc, &q->at[i].call);
    }
    qd_mutex_unlock(&q->lock);
}

static void on_cancel(qd_task *task)
{
    stop(task->user);
}

static bool is_there(const qd_state *s, qd_str address)
{
    uint32_t i = 0;
    while (i < s->nnodes && !qd_str_eq(s->nodes[i].transport_address, address)) i++;
    return i < s->nnodes;
}

/* A node may be heard here and not by the masters. Its copies are others' then, and it may wait for
 * what does not come: long answers of nodes that the cluster has given up are given up too. */
static void look(qd_asks *q)
{
    qd_state *s = qd_cluster_state(q->a->cluster);
    qd_mutex_lock(&q->lock);
    for (uint32_t i = 0; i < q->n; i++) {
        question *x = &q->at[i];
        if (!x->started || x->done || x->left || is_there(s, x->to)) continue;
        x->left = true;
        qd_rpc_call_cancel(q->a->rpc, &x->call);
    }
    qd_mutex_unlock(&q->lock);
    qd_state_unref(s);
}

static int call_via(question *x, qd_err *err);

/* Who was to pass the question on could not, another node may. 0: it was given to one; else the
 * code of the question's error. Under the lock. */
static int pass_again(question *x, int rc)
{
    qd_asks *q = x->all;
    bool unsent = rc == QD_E_CLOSED || rc == QD_E_REJECTED || rc == QD_E_UNSUPPORTED;
    if (!unsent || x->call.sent || q->stopped || x->left) return rc;
    atomic_fetch_add_explicit(&q->a->relay_turn, 1, memory_order_relaxed);
    if (x->relays >= QDI_RELAYS_MAX || !qdi_relay_via(q->a, x->to, x->action, x->via)) return rc;
    qd_rpc_call_fini(&x->call);
    return call_via(x, &x->call.err);
}

static void on_done(qd_rpc_call *call, int rc)
{
    question *x = (question *)(void *)call;
    qd_asks *q = x->all;
    if (x->relays && !rc) rc = qdi_relay_take(call);
    qd_mutex_lock(&q->lock);
    if (x->relays && rc) {
        rc = pass_again(x, rc);
        if (!rc) {
            qd_mutex_unlock(&q->lock);
            return;
        }
    }
    x->done = true;
    x->rc = rc;
    x->took_ns = qd_env_mono_ns(q->a->env) - x->begun_ns;
    if (--q->open == 0) qd_waitq_wake(&q->over);
    qd_mutex_unlock(&q->lock);
}

/* --- asking --- */

int qdi_asks_begin(qd_actions *a, const qd_state *s, qd_task *task, uint32_t n, uint32_t timeout_ms,
                   qd_asks **out, qd_err *err)
{
    qd_asks *q = qd_calloc(a->account, sizeof *q);
    if (q) q->at = qd_calloc(a->account, (n + 1ul) * sizeof *q->at);
    if (!q || !q->at) {
        qd_free(q);
        return qd_err_nomem(err, "questions to other nodes");
    }
    q->a = a;
    q->state = s;
    q->task = task;
    q->timeout_ms = timeout_ms;
    q->room = n;
    qd_mutex_init(&q->lock);
    qd_waitq_init(&q->over, &q->lock);
    if (task) qd_task_on_cancel(task, on_cancel, q);
    *out = q;
    return 0;
}

uint16_t qdi_ask_version(const qd_actions *a, const qd_state *s, qd_str node)
{
    qd_str to = address_of(s, node);
    return a->rpc && to.n ? qd_rpc_version_to(a->rpc, to) : QD_RPC_OLDEST;
}

static int call(question *x, qd_str to, uint32_t action, qd_str body, qd_str tail, uint16_t version,
                qd_err *err)
{
    qd_asks *q = x->all;
    x->call.to = to;
    x->call.action = action;
    x->call.class = QD_RPC_DATA;
    x->call.timeout_ms = q->timeout_ms;
    x->call.body = body;
    x->call.tail = tail;
    x->call.version = version;
    x->call.parent_node = q->task ? q->a->node_id.p : NULL;
    x->call.parent_task = q->task ? q->task->id : 0;
    x->call.done = on_done;
    return qd_rpc_call_start(q->a->rpc, &x->call, err);
}

/* Through the node at x->via. */
static int call_via(question *x, qd_err *err)
{
    qd_writer w;
    qd_str body = qd_buf_view(&x->body);
    x->call = (qd_rpc_call){0};
    qd_err_init(&x->call.err);
    qd_writer_init(&w, NULL, QD_RPC_ADDRESS_MAX + 64, QD_RPC_1_2);
    qdi_relay_head(&w, x->to, x->action, x->version, body.n);
    x->relays++;
    int rc = qd_writer_end(&w, "question to another node", err);
    if (!rc)
        rc = call(x, qd_str_c(x->via), QD_ACTION_RELAY, qd_writer_view(&w), body, QD_RPC_1_2, err);
    qd_writer_fini(&w);
    return rc;
}

/* node: for words. */
static int start(qd_asks *q, question *x, qd_str node, qd_str to, uint32_t action, qd_writer *body)
{
    qd_err *err = &x->call.err;
    qd_err_init(err);
    int rc = qd_writer_end(body, "question to another node", err);
    if (!rc && !q->a->rpc) rc = qd_err_set(err, QD_E_CLOSED, "this node has no transport");
    if (!rc && !to.n) {
        rc = qd_err_set(err, QD_E_CLOSED, "node [%.*s] is not in the cluster", QD_STR_ARG(node));
    }
    if (rc) return rc;
    x->to = to;
    x->action = action;
    if (qdi_relay_via(q->a, to, action, x->via)) {
        x->version = body->version;
        x->body = body->buf; /* kept, for the next node */
        qd_writer_init(body, NULL, 0, body->version);
        return call_via(x, err);
    }
    return call(x, to, action, qd_writer_view(body), (qd_str){NULL, 0}, body->version, err);
}

static uint32_t ask(qd_asks *q, qd_str node, qd_str to, uint32_t action, qd_writer *body)
{
    qd_assert(q->n < q->room);
    question *x = &q->at[q->n];
    x->all = q;
    x->begun_ns = qd_env_mono_ns(q->a->env);
    qd_mutex_lock(&q->lock);
    q->open++;
    qd_mutex_unlock(&q->lock);
    int rc = start(q, x, node, to, action, body);
    qd_writer_fini(body);
    qd_mutex_lock(&q->lock);
    uint32_t number = q->n++;
    x->started = !rc;
    if (rc) {
        x->rc = rc;
        x->done = true;
        q->open--;
    }
    if (q->stopped && !x->done) qd_rpc_call_cancel(q->a->rpc, &x->call);
    qd_mutex_unlock(&q->lock);
    return number;
}

uint32_t qdi_ask(qd_asks *q, qd_str node, uint32_t action, qd_writer *body)
{
    return ask(q, node, address_of(q->state, node), action, body);
}

uint32_t qdi_ask_at(qd_asks *q, qd_str address, uint32_t action, qd_writer *body)
{
    return ask(q, address, address, action, body);
}

/* When long answers are looked at first: the masters give up a node that went silent meanwhile. */
static uint64_t look_ns(const qd_asks *q)
{
    if (!q->a->cluster) return 0;
    int64_t ms = qd_config_ms(q->a->config, QD_SET_COORDINATION_SESSION_TTL) + LOOK_MS;
    return qd_env_mono_ns(q->a->env) + (uint64_t)ms * 1000000u;
}

void qdi_asks_wait(qd_asks *q)
{
    uint64_t at = look_ns(q);
    qd_mutex_lock(&q->lock);
    while (q->open) {
        int rc =
            q->task || q->stopped ? qd_waitq_wait(&q->over, at) : qd_waitq_wait_task(&q->over, at);
        if (!rc) continue;
        qd_mutex_unlock(&q->lock);
        if (at && qd_env_mono_ns(q->a->env) >= at) {
            look(q);
            at = qd_env_mono_ns(q->a->env) + LOOK_MS * UINT64_C(1000000);
        } else { /* the fiber's task has ended */
            stop(q);
        }
        qd_mutex_lock(&q->lock);
    }
    qd_mutex_unlock(&q->lock);
    if (q->task) qd_task_on_cancel(q->task, NULL, NULL);
}

int qdi_answer(qd_asks *q, uint32_t i, qd_str *bytes, uint16_t *version, qd_err *err)
{
    question *x = &q->at[i];
    qd_assert(i < q->n);
    if (x->rc == QD_E_CANCELLED && x->left) {
        return qd_err_set(err, QD_E_CLOSED, "the node at [%.*s] has left the cluster",
                          QD_STR_ARG(x->to));
    }
    if (x->rc) {
        if (err) qd_err_copy(err, &x->call.err);
        if (err && !err->code) (void)qd_err_set(err, x->rc, "node did not answer");
        return x->rc;
    }
    *bytes = x->call.answer;
    *version = x->call.answer_version;
    return 0;
}

bool qdi_answer_sent(const qd_asks *q, uint32_t i)
{
    qd_assert(i < q->n);
    return q->at[i].call.sent;
}

uint64_t qdi_answer_ns(const qd_asks *q, uint32_t i)
{
    return i < q->n ? q->at[i].took_ns : 0;
}

void qdi_asks_end(qd_asks *q)
{
    if (!q) return;
    for (uint32_t i = 0; i < q->n; i++) {
        if (q->at[i].started) {
            qd_rpc_call_fini(&q->at[i].call);
        } else {
            qd_err_fini(&q->at[i].call.err);
        }
        if (q->at[i].relays) qd_buf_fini(&q->at[i].body);
    }
    qd_mutex_fini(&q->lock);
    qd_free(q->at);
    qd_free(q);
}

/* --- telling --- */

static void told(qd_rpc_call *call, int rc)
{
    (void)rc;
    qd_rpc_call_fini(call);
    qd_free(call);
}

void qdi_tell(qd_actions *a, const qd_state *s, qd_str node, uint32_t action, qd_writer *body)
{
    qd_str to = address_of(s, node);
    bool possible = a->rpc && to.n && !qd_writer_end(body, "message", NULL);
    qd_rpc_call *call = possible ? qd_calloc(NULL, sizeof *call) : NULL;
    if (call) {
        *call = (qd_rpc_call){.to = to,
                              .action = action,
                              .class = QD_RPC_DATA,
                              .timeout_ms = TELL_TIMEOUT_MS,
                              .body = qd_writer_view(body),
                              .version = body->version,
                              .done = told};
        if (qd_rpc_call_start(a->rpc, call, NULL)) told(call, 0);
    }
    qd_writer_fini(body);
}

/* --- are there others? --- */

bool qdi_many_nodes(qd_actions *a)
{
    if (!a->rpc || atomic_load_explicit(&a->many, memory_order_relaxed)) return a->rpc != NULL;
    qd_state *s = qd_cluster_state(a->cluster);
    if (s->nnodes > 1) atomic_store_explicit(&a->many, true, memory_order_relaxed);
    qd_state_unref(s);
    return atomic_load_explicit(&a->many, memory_order_relaxed);
}
