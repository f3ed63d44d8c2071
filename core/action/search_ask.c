/*
 * search_ask.c: questions of the coordinating part to other nodes: many at a time, waited for
 * together; when the search is cancelled, so are they.
 */
#include "action/search_part_int.h"
#include "base/str.h"
#include "rpc/codec.h"
#include "rpc/rpc.h"
#include "runtime/sync.h"

#define FREE_TIMEOUT_MS 10000u
#define GRACE_MS 5000u /* beyond a search's own time limit, which its shards keep themselves */

typedef struct question {
    qd_rpc_call call; /* first */
    search_questions *all;
    const search_target *target;
    uint64_t begun_ns, took_ns;
    bool started, done;
    int rc;
} question;

struct search_questions {
    search_run *x;
    qd_rpc *rpc;
    qd_mutex lock; /* guards done, stopped */
    bool stopped;
    qd_latch latch;
    question *at;
    uint32_t n, room;
};

static qd_str address_of(const qd_state *s, qd_str node)
{
    for (uint32_t i = 0; s && i < s->nnodes; i++) {
        if (qd_str_eq(s->nodes[i].id, node)) return s->nodes[i].transport_address;
    }
    return (qd_str){NULL, 0};
}

/* --- cancelling --- */

static void stop(qd_task *task)
{
    search_questions *q = task->user;
    qd_mutex_lock(&q->lock);
    q->stopped = true;
    for (uint32_t i = 0; i < q->n; i++) {
        if (q->at[i].started && !q->at[i].done) qd_rpc_call_cancel(q->rpc, &q->at[i].call);
    }
    qd_mutex_unlock(&q->lock);
}

static void on_done(qd_rpc_call *call, int rc)
{
    question *x = (question *)(void *)call;
    search_questions *q = x->all;
    qd_mutex_lock(&q->lock);
    x->done = true;
    x->rc = rc;
    x->took_ns = qd_env_mono_ns(q->x->a->env) - x->begun_ns;
    qd_mutex_unlock(&q->lock);
    qd_latch_done(&q->latch, 0);
}

/* --- asking --- */

int qdi_ask_begin(search_run *x, uint32_t n, search_questions **out, qd_err *err)
{
    search_questions *q = qd_calloc(x->a->account, sizeof *q);
    if (q) q->at = qd_calloc(x->a->account, (n + 1ul) * sizeof *q->at);
    if (!q || !q->at) {
        qd_free(q);
        return qd_err_nomem(err, "questions to other nodes");
    }
    q->x = x;
    q->rpc = x->a->rpc;
    q->room = n;
    qd_mutex_init(&q->lock);
    qd_latch_init(&q->latch, 0);
    qd_task_on_cancel(x->task, stop, q);
    *out = q;
    return 0;
}

uint16_t qdi_ask_version(search_run *x, const search_target *t)
{
    qd_str to = address_of(x->state, t->node);
    return x->a->rpc && to.n ? qd_rpc_version_to(x->a->rpc, to) : QD_RPC_OLDEST;
}

static int start(search_questions *q, question *x, uint32_t action, qd_writer *body)
{
    qd_err *err = &x->call.err;
    qd_str to = address_of(q->x->state, x->target->node);
    qd_err_init(err);
    int rc = qd_writer_end(body, "question to another node", err);
    if (!rc && !q->rpc) rc = qd_err_set(err, QD_E_CLOSED, "this node has no transport");
    if (!rc && !to.n) {
        rc = qd_err_set(err, QD_E_CLOSED, "node [%.*s] is not in the cluster",
                        QD_STR_ARG(x->target->node));
    }
    if (rc) return rc;
    int64_t limit = q->x->r->timeout_ms;
    x->call.to = to;
    x->call.action = action;
    x->call.class = QD_RPC_DATA;
    x->call.timeout_ms = limit && limit < INT32_MAX ? (uint32_t)limit + GRACE_MS : 0;
    x->call.body = qd_writer_view(body);
    x->call.version = body->version;
    x->call.parent_node = q->x->a->node_id.p;
    x->call.parent_task = q->x->task->id;
    x->call.done = on_done;
    return qd_rpc_call_start(q->rpc, &x->call, err);
}

void qdi_ask(search_questions *q, search_target *t, uint32_t action, qd_writer *body)
{
    qd_assert(q->n < q->room);
    question *x = &q->at[q->n];
    x->all = q;
    x->target = t;
    x->begun_ns = qd_env_mono_ns(q->x->a->env);
    qd_latch_add(&q->latch, 1);
    int rc = start(q, x, action, body);
    qd_writer_fini(body);
    qd_mutex_lock(&q->lock);
    q->n++;
    x->started = !rc;
    if (rc) {
        x->rc = rc;
        x->done = true;
    }
    if (q->stopped && !x->done) qd_rpc_call_cancel(q->rpc, &x->call);
    qd_mutex_unlock(&q->lock);
    if (rc) qd_latch_done(&q->latch, 0);
}

void qdi_ask_wait(search_questions *q)
{
    (void)qd_latch_wait(&q->latch);
    qd_task_on_cancel(q->x->task, NULL, NULL);
}

static question *find(const search_questions *q, const search_target *t)
{
    for (uint32_t i = 0; i < q->n; i++) {
        if (q->at[i].target == t) return &q->at[i];
    }
    return NULL;
}

int qdi_answer(search_questions *q, const search_target *t, qd_str *bytes, uint16_t *version,
               qd_err *err)
{
    question *x = find(q, t);
    if (qd_never(!x)) return qd_err_set(err, QD_E_INTERNAL, "a node was not asked");
    if (x->rc) {
        qd_err_copy(err, &x->call.err);
        if (err && !err->code) (void)qd_err_set(err, x->rc, "node did not answer");
        return x->rc;
    }
    *bytes = x->call.answer;
    *version = x->call.answer_version;
    return 0;
}

uint64_t qdi_answer_ns(const search_questions *q, const search_target *t)
{
    const question *x = find(q, t);
    return x ? x->took_ns : 0;
}

void qdi_ask_end(search_questions *q)
{
    if (!q) return;
    for (uint32_t i = 0; i < q->n; i++) {
        if (q->at[i].started) {
            qd_rpc_call_fini(&q->at[i].call);
        } else {
            qd_err_fini(&q->at[i].call.err);
        }
    }
    qd_mutex_fini(&q->lock);
    qd_free(q->at);
    qd_free(q);
}

/* --- contexts that are of no more use --- */

static void write_free(qd_writer *w, const uint8_t *context)
{
    qd_write_bool(w, context != NULL);
    if (context) qd_write_raw(w, context, SEARCH_CONTEXT_ID);
}

static void told(qd_rpc_call *call, int rc)
{
    (void)rc;
    qd_rpc_call_fini(call);
    qd_free(call);
}

void qdi_tell_free(qd_actions *a, const qd_state *s, qd_str node,
                   const uint8_t context[SEARCH_CONTEXT_ID])
{
    qd_str to = address_of(s, node);
    qd_rpc_call *call = a->rpc && to.n ? qd_calloc(NULL, sizeof *call) : NULL;
    qd_writer w;
    if (!call) return; /* it ends by itself there */
    qd_writer_init(&w, NULL, 64, QD_RPC_OLDEST);
    write_free(&w, context);
    *call = (qd_rpc_call){.to = to,
                          .action = QD_ACTION_SEARCH_FREE,
                          .class = QD_RPC_DATA,
                          .timeout_ms = FREE_TIMEOUT_MS,
                          .body = qd_writer_view(&w),
                          .version = QD_RPC_OLDEST,
                          .done = told};
    if (qd_rpc_call_start(a->rpc, call, NULL)) {
        qd_rpc_call_fini(call);
        qd_free(call);
    }
    qd_writer_fini(&w);
}

int qdi_ask_free(search_run *x, search_target *first, const search_context_kind *kind,
                 uint32_t *freed, qd_err *err)
{
    search_questions *q;
    uint32_t n = 0;
    for (search_target *t = first; t; t = t->next) n += !t->local;
    if (!n) return 0;
    int rc = qdi_ask_begin(x, n, &q, err);
    if (rc) return rc;
    for (search_target *t = first; t; t = t->next) {
        qd_writer w;
        if (t->local) continue;
        qd_writer_init(&w, NULL, 64, qdi_ask_version(x, t));
        write_free(&w, kind ? NULL : t->context);
        if (kind) qd_write_u8(&w, (uint8_t)*kind);
        qdi_ask(q, t, QD_ACTION_SEARCH_FREE, &w);
    }
    qdi_ask_wait(q);
    for (search_target *t = first; t; t = t->next) {
        qd_str bytes;
        uint16_t version;
        qd_body_reader r;
        if (t->local || qdi_answer(q, t, &bytes, &version, NULL)) continue;
        qd_body_reader_init(&r, bytes, "answer of a node", version);
        *freed += (uint32_t)qd_read_varint_max(&r, "freed", UINT32_MAX);
    }
    qdi_ask_end(q);
    return 0;
}

/* A run of nothing but targets. */
static void begin_bare(qd_request *q, search_run *x, search_request *r)
{
    qdi_search_request_init(r, q, q->arena);
    *x = (search_run){.r = r,
                      .a = q->a,
                      .arena = q->arena,
                      .task = &q->task,
                      .state = qd_cluster_state(q->a->cluster)};
}

int qdi_contexts_free(qd_request *q, const search_id *id, uint32_t *freed, qd_err *err)
{
    search_run x;
    search_request r;
    uint32_t n = 0;
    int rc = 0;
    begin_bare(q, &x, &r);
    for (uint32_t i = 0; i < id->nnodes && !rc; i++) {
        search_target *t;
        rc = qdi_target_add(&x, id->nodes[i].node, 0, &t, err);
        if (!rc) memcpy(t->context, id->nodes[i].context, SEARCH_CONTEXT_ID);
        if (!rc && t->local) n += qdi_context_drop(q->a, t->context, id->kind);
    }
    if (!rc) rc = qdi_ask_free(&x, x.targets, NULL, &n, err);
    *freed += n > 0;
    qdi_search_end(&x);
    return rc;
}

int qdi_contexts_free_all(qd_request *q, search_context_kind kind, uint32_t *freed, qd_err *err)
{
    search_run x;
    search_request r;
    int rc = 0;
    begin_bare(q, &x, &r);
    *freed += qdi_context_drop(q->a, NULL, kind);
    for (uint32_t i = 0; i < x.state->nnodes && !rc && q->a->rpc; i++) {
        search_target *t;
        if (!qd_node_is_data(&x.state->nodes[i])) continue;
        rc = qdi_target_add(&x, x.state->nodes[i].id, 0, &t, err);
    }
    if (!rc) rc = qdi_ask_free(&x, x.targets, &kind, freed, err);
    qdi_search_end(&x);
    return rc;
}
