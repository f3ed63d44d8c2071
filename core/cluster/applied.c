/*
 * applied.c: what a change's answer promises: every node that can be reached has applied it, so
 * whoever is asked next knows of it. A node asks each other one for a revision; one that has not
 * applied it yet answers when it has. Whoever leaves the cluster, cannot be connected to or gives
 * no sign of life for a moment is not waited for.
 */
#include "cluster/cluster_int.h"
#include "rpc/codec.h"
#include "rpc/rpc.h"

#define BODY_MAX 64u
#define SLICE_NS UINT64_C(100000000)
#define SILENT_NS UINT64_C(2000000000) /* pings come every 1.5 s at least */
#define AGAIN_NS UINT64_C(200000000)   /* to be connected to again, for who fell silent before */

/* --- answering --- */

struct cluster_asked {
    cluster_asked *next;
    qd_rpc_request *request;
    uint64_t revision;
};

static void answer(cluster_asked *list)
{
    while (list) {
        cluster_asked *next = list->next;
        qd_rpc_reply(list->request, (qd_str){NULL, 0}, (qd_str){NULL, 0});
        qd_free(list);
        list = next;
    }
}

/* Takes those out that can be answered, or whose asker has gone. Under the lock. */
static cluster_asked *take(qd_cluster *c, bool all)
{
    cluster_asked *out = NULL;
    for (cluster_asked **at = &c->asked; *at;) {
        cluster_asked *x = *at;
        if (!all && x->revision > c->state->revision && !qd_rpc_request_cancelled(x->request)) {
            at = &x->next;
            continue;
        }
        *at = x->next;
        x->next = out;
        out = x;
    }
    return out;
}

void qdi_applied_tell(qd_cluster *c)
{
    qd_mutex_lock(&c->lock);
    cluster_asked *list = c->asked ? take(c, false) : NULL;
    qd_mutex_unlock(&c->lock);
    answer(list);
}

void qdi_applied_left(const qd_cluster *c, const qd_state *old, const qd_state *now)
{
    if (!c->rpc || !old || old->nodes == now->nodes) return; /* shared while they are the same */
    for (uint32_t i = 0; i < old->nnodes; i++) {
        const qd_node_meta *n = &old->nodes[i];
        bool there = n->transport_address.n == 0 || qd_state_node(now, n->id) != NULL;
        for (uint32_t k = 0; k < now->nnodes && !there; k++)
            there = qd_str_eq(now->nodes[k].transport_address, n->transport_address);
        if (!there) qd_rpc_peer_left(c->rpc, n->transport_address);
    }
}

/* [loop] */
static void on_request(void *arg, qd_rpc_request *request)
{
    qd_cluster *c = arg;
    qd_body_reader r;
    qd_err err;
    qd_err_init(&err);
    qd_body_reader_init(&r, qd_rpc_request_body(request), "question for a revision",
                        qd_rpc_request_version(request));
    uint64_t revision = qd_read_varint(&r, "revision");
    int rc = qd_body_reader_check(&r, &err);
    cluster_asked *x = rc ? NULL : qd_alloc(NULL, sizeof *x);
    if (!rc && !x) rc = qd_err_nomem(&err, "question for a revision");
    if (rc) {
        qd_rpc_fail(request, &err);
        qd_err_fini(&err);
        return;
    }
    *x = (cluster_asked){.request = request, .revision = revision};
    qd_mutex_lock(&c->lock);
    x->next = c->asked;
    c->asked = x;
    x = take(c, false);
    qd_mutex_unlock(&c->lock);
    answer(x);
}

int qdi_applied_open(qd_cluster *c, qd_err *err)
{
    if (!c->rpc) return 0;
    int rc = qd_rpc_handle(c->rpc, QD_ACTION_STATE_APPLIED, NULL, 0, on_request, c, err);
    c->answers = !rc;
    return rc;
}

void qdi_applied_close(qd_cluster *c)
{
    if (!c->answers) return;
    qd_rpc_unhandle(c->rpc, QD_ACTION_STATE_APPLIED);
    c->answers = false;
    qd_mutex_lock(&c->lock);
    cluster_asked *list = take(c, true);
    qd_mutex_unlock(&c->lock);
    answer(list); /* who stops is waited for no more */
}

/* --- asking --- */

typedef struct asking asking;
typedef struct question {
    qd_rpc_call call; /* first */
    asking *all;
    const qd_node_meta *node; /* of the asking's state */
    uint64_t begun_ns;
    bool over, dropped; /* under the lock */
} question;
struct asking {
    qd_cluster *c;
    qd_state *s;
    qd_mutex lock;
    qd_waitq ended;
    uint32_t n, left;
    question *at;
};

static void on_done(qd_rpc_call *call, int rc)
{
    question *x = (question *)(void *)call;
    asking *a = x->all;
    (void)rc; /* whoever does not answer cannot be reached, or is of a version that does not know */
    qd_mutex_lock(&a->lock);
    x->over = true;
    a->left--;
    qd_waitq_wake(&a->ended);
    qd_mutex_unlock(&a->lock);
}

static void start(asking *a, const qd_node_meta *n, qd_str body)
{
    question *x = &a->at[a->n];
    *x = (question){.all = a, .node = n, .begun_ns = qd_env_mono_ns(a->c->env)};
    x->call = (qd_rpc_call){.to = n->transport_address,
                            .action = QD_ACTION_STATE_APPLIED,
                            .class = QD_RPC_CONTROL,
                            .body = body,
                            .version = QD_RPC_1_1,
                            .done = on_done};
    qd_err_init(&x->call.err);
    qd_mutex_lock(&a->lock);
    a->left++;
    qd_mutex_unlock(&a->lock);
    a->n++;
    if (qd_rpc_call_start(a->c->rpc, &x->call, &x->call.err)) on_done(&x->call, QD_E_CLOSED);
}

/* Is this process of a node in the cluster still, and has been heard of lately? */
static bool lives(const asking *a, const qd_state *now, const question *x)
{
    const qd_node_meta *n = qd_state_node(now, x->node->id);
    if (!n || !qd_str_eq(n->ephemeral, x->node->ephemeral)) return false;
    uint64_t now_ns = qd_env_mono_ns(a->c->env);
    if (qd_rpc_peer_up(a->c->rpc, n->transport_address, NULL))
        return now_ns < qd_rpc_peer_heard_ns(a->c->rpc, n->transport_address) + SILENT_NS;
    /* while it is connected to */
    uint64_t heard = qd_rpc_peer_heard_of(a->c->rpc, n->transport_address, n->ephemeral);
    bool fell_silent = heard && x->begun_ns >= heard + SILENT_NS;
    return now_ns < x->begun_ns + (fell_silent ? AGAIN_NS : SILENT_NS);
}

/* Lets go of who does not live, or of all. */
static void let_go(asking *a, bool all)
{
    qd_state *now = qd_cluster_state(a->c);
    for (uint32_t i = 0; i < a->n; i++) {
        question *x = &a->at[i];
        if (!all && lives(a, now, x)) continue;
        qd_mutex_lock(&a->lock); /* its end waits for it */
        if (!x->over && !x->dropped) qd_rpc_call_cancel(a->c->rpc, &x->call);
        x->dropped = true;
        qd_mutex_unlock(&a->lock);
    }
    qd_state_unref(now);
}

/* Waits for all; false: time has run out for one that lives. */
static bool wait_all(asking *a, uint64_t until)
{
    bool late = false;
    qd_mutex_lock(&a->lock);
    while (a->left) {
        uint64_t now = qd_env_mono_ns(a->c->env), next = now + SLICE_NS;
        if (qd_waitq_wait(&a->ended, late || next < until ? next : until) == 0) continue;
        late |= qd_env_mono_ns(a->c->env) >= until;
        qd_mutex_unlock(&a->lock);
        let_go(a, late);
        qd_mutex_lock(&a->lock);
    }
    qd_mutex_unlock(&a->lock);
    return !late;
}

int qd_cluster_wait_all(qd_cluster *c, uint64_t revision, int64_t timeout_ms)
{
    asking a = {.c = c};
    qd_writer w;
    if (!c->rpc) return 0;
    if (timeout_ms < 0) timeout_ms = 0;
    uint64_t until = qd_env_mono_ns(c->env) + (uint64_t)timeout_ms * 1000000u;
    a.s = qd_cluster_state(c);
    a.at = qd_calloc(NULL, (a.s->nnodes + 1ul) * sizeof *a.at);
    qd_writer_init(&w, NULL, BODY_MAX, QD_RPC_1_1);
    qd_write_varint(&w, revision);
    int rc = a.at ? qd_writer_end(&w, "question for a revision", NULL) : QD_E_NOMEM;
    qd_mutex_init(&a.lock);
    qd_waitq_init(&a.ended, &a.lock);
    for (uint32_t i = 0; i < a.s->nnodes && !rc; i++) {
        const qd_node_meta *n = &a.s->nodes[i];
        if (qd_str_eq(n->id, c->self.id) || !n->transport_address.n) continue;
        start(&a, n, qd_writer_view(&w));
    }
    if (!wait_all(&a, until)) rc = QD_E_TIMEOUT;
    for (uint32_t i = 0; i < a.n; i++) qd_rpc_call_fini(&a.at[i].call);
    qd_mutex_fini(&a.lock);
    qd_writer_fini(&w);
    qd_free(a.at);
    qd_state_unref(a.s);
    return rc;
}
