/*
 * service.c: the SDK's action service over the table of APIs: a call becomes a request on a worker
 * of its pool, or if it is brief on the caller's thread, and comes back as pieces of an answer.
 *
 * A body that comes in pieces is gathered up to a batch; then a worker feeds it while the caller is
 * told to wait. One worker at a time works for a call, so the state needs no lock but for the queue
 * between caller and worker. A call whose body is still coming ends only after its last piece or
 * its cancellation, even when it has failed before: until then the caller may use it.
 */
#include "action/action_int.h"
#include "action/api/admin_int.h"
#include "action/api/counters.h"
#include "action/api/date_name.h"
#include "action/api/plugin_routes.h"
#include "action/api/submit_int.h"
#include "action/api/words.h"
#include "action/transport/ask_int.h"
#include "base/log.h"
#include "base/str.h"
#include "config/schema.h"
#include "plugin/op.h"
#include "runtime/fiber.h"
#include "runtime/sync.h"
#include "store/store.h"
#include <string.h>

#define LOG "action"
#define ARENA_MAX ((size_t)1 << 30)
#define BRIEF_BODY_MAX 2048u /* bytes of a body that may be read on the caller's thread */
#define ANSWER_LEAST 900u
#define ANSWER_MAX ((size_t)1 << 31)
#define STALE_SLOT 3                 /* of a call's host: how old its answer may be */
#define NODE_SLOT 4                  /* of the same: the node whose actions it was given to */
#define WARNINGS_SLOT 5              /* what is told beside it */
#define PATH_SLOT 6                  /* as the client asked for it, a qd_str; NULL: none */
#define FEED_BYTES ((size_t)2 << 20) /* a batch of a streamed body */

typedef struct running {
    qd_work work; /* first */
    qd_action_call *call;
    qd_arena arena;
    qd_request q;
    qd_response r;
    qd_buf out;
    qd_err err;

    /* of a streamed body; lock guards these between caller and worker */
    qd_mutex lock;
    qd_buf gathered; /* not yet given to the worker */
    bool last, working, cancelled;
    uint32_t cut; /* QD_BODY_*: the body ended early */
    bool served;  /* let in while the node serves: what that works with stays until it has ended */
    int failed;   /* the rest of the body is dropped */
    void (*ready)(qd_action_call *);
    qd_pressure_hold hold; /* bytes of the body */
    /* the worker's */
    qd_buf feeding;
    bool begun, fed;
    void *state;
} running;

static _Atomic uint32_t own_calls; /* under way, of plugins of this process, not of clients */

/* --- answering --- */

/* What is not asked of a primary comes from the state as this node knows it. */
static void note_stale(running *x)
{
    qd_request *q = &x->q;
    if (!x->served) return;
    bool primary = q->api->flags & QD_API_PRIMARY;
    if (q->api->flags & QD_API_READ)
        primary = primary && !qd_str_is(qd_param(q, "realtime"), "false");
    int64_t ms = q->a->cluster && !primary ? qd_cluster_stale_ms(q->a->cluster) : 0;
    if (ms > q->stale_ms) q->stale_ms = ms;
}

static int emit(void *arg, qd_str piece)
{
    running *x = arg;
    note_stale(x);
    qd_slice s = {(const uint8_t *)piece.p, piece.n, NULL, NULL};
    x->call->host[STALE_SLOT] = (void *)(intptr_t)x->q.stale_ms;
    x->call->host[WARNINGS_SLOT] = (void *)(uintptr_t)x->q.warnings;
    return x->call->answer(x->call, x->r.status, x->r.format, &s);
}

/* Counts it and frees it. */
static void drop(running *x)
{
    qd_count_request(x->q.a, x->q.api, x->r.status,
                     qd_env_mono_ns(x->q.a->env) - x->q.task.start_ns);
    qdi_pressure_end(&x->hold);
    if (x->state) x->q.api->stream->drop(x->state);
    qd_task_end(&x->q.task);
    qd_buf_fini(&x->gathered);
    qd_buf_fini(&x->feeding);
    qd_buf_fini(&x->out);
    qd_err_fini(&x->err);
    qd_mutex_fini(&x->lock);
    qd_arena_fini(&x->arena);
    qd_free(x);
}

static void finish(running *x)
{
    qd_action_call *call = x->call;
    bool own = call->origin.remote.n == 0;
    drop(x);
    qd_op_complete(&call->op, 0);
    if (own) atomic_fetch_sub(&own_calls, 1);
}

/* filter_path keeps part of an answer that is JSON. */
static void filter_answer(running *x)
{
    if (!x->q.filter || x->r.format != QD_FORMAT_JSON || x->out.n == 0) return;
    if (x->r.is_error) return; /* errors are shown whole */
    qd_buf kept;
    qd_buf_init(&kept, x->out.account, ANSWER_MAX);
    if (!qd_json_filter_apply(x->q.filter, qd_buf_view(&x->out), x->q.pretty, &kept, NULL)) {
        qd_buf_fini(&x->out);
        x->out = kept;
    } else {
        qd_buf_fini(&kept);
    }
}

/* ?format=yaml, or Accept: application/yaml. */
static void as_yaml(running *x)
{
    qd_str format = qd_param(&x->q, "format");
    bool wanted = format.n ? qd_str_is(format, "yaml") : x->q.accept == QD_FORMAT_YAML;
    if (!wanted || x->r.format != QD_FORMAT_JSON || x->out.n == 0) return;
    qd_buf yaml;
    qd_buf_init(&yaml, x->out.account, ANSWER_MAX);
    if (!qdi_yaml_from_json(qd_buf_view(&x->out), &yaml)) {
        qd_buf_fini(&x->out);
        x->out = yaml;
        x->r.format = QD_FORMAT_YAML;
    } else {
        qd_buf_fini(&yaml);
    }
}

static void answer_whole(running *x)
{
    if (qd_buf_status(&x->out)) {
        qd_err big;
        qd_err_init(&big);
        qd_err_set(&big, QD_E_BREAKER, "[request] answer is too large for the memory allowed");
        qd_response_error(&x->r, &big, false);
        qd_err_fini(&big);
    }
    filter_answer(x);
    as_yaml(x);
    if (x->q.pretty && x->out.n && x->r.format == QD_FORMAT_JSON) (void)qd_buf_char(&x->out, '\n');
    (void)emit(x, qd_buf_view(&x->out));
}

/* --- running --- */

/* How long changes of the cluster's state may take that this request asks for; one that writes
 * documents may make an index first, or a field. */
static int patience(qd_request *q, qd_err *err)
{
    const char *key = qd_param_has(q, "master_timeout")            ? "master_timeout"
                      : qd_param_has(q, "cluster_manager_timeout") ? "cluster_manager_timeout"
                                                                   : "timeout";
    bool counts = strcmp(key, "timeout") != 0 || q->api->flags & QD_API_WRITE;
    int64_t ms = 0;
    int rc = counts && qd_param_has(q, key) ? qd_param_ms(q, key, 0, &ms, err) : 0;
    q->task.change_ms = ms > 0 ? ms : 0;
    return rc;
}

static int common_params(qd_request *q, qd_err *err)
{
    bool page = strcmp(q->api->name, "info") == 0; /* a person's first request, mostly */
    q->pretty = page;
    if (!q->nparams) return 0;
    int rc = qd_param_bool(q, "pretty", page, &q->pretty, err);
    if (!rc) rc = qd_param_bool(q, "human", false, &q->human, err);
    if (!rc) rc = qd_param_bool(q, "error_trace", false, &q->error_trace, err);
    qd_str filter = qd_param(q, "filter_path");
    if (!rc && filter.n) rc = qd_json_filter_path(q->arena, filter, &q->filter, err);
    return rc ? rc : patience(q, err);
}

/* {index} at this time. */
static int date_names(qd_request *q, qd_err *err)
{
    uint32_t i = 0;
    qd_str names;
    while (i < q->nparams && !qd_str_is(q->params[i].key, "index")) i++;
    if (i == q->nparams || q->api->flags & QD_API_NAME_GIVEN) return 0;
    int rc = qdi_date_names(q->arena, q->params[i].value, qd_env_wall_ms(q->a->env), &names, err);
    if (rc || names.p == q->params[i].value.p) return rc;
    qd_pair *own = qd_arena_alloc(q->arena, (q->nparams + 1ul) * sizeof *own);
    if (!own) return qd_err_nomem(err, "request");
    memcpy(own, q->params, q->nparams * sizeof *own);
    if (qdi_is_date_name(own[i].value)) /* an index that a document makes keeps it */
        own[q->nparams++] = (qd_pair){QD_STR(QDI_INDEX_GIVEN), own[i].value};
    own[i].value = names;
    q->params = own;
    return 0;
}

/* QD_API_LONG, or 0: it has answered. */
static int run(qd_request *q, qd_response *r)
{
    qd_err err;
    qd_err_init(&err);
    int rc = qd_task_check(&q->task, &err);
    if (!rc) rc = q->own ? q->own->run(q->own, q, &err) : q->api->run(q, r, &err);
    if (rc == QD_API_LONG && q->brief) return rc;
    if (rc) {
        if (qd_never(!err.code)) { /* a handler that fails says why */
            qd_err_set(&err, rc < 0 ? rc : QD_E_INTERNAL, "[%s] failed", q->api->name);
        }
        if (q->own) q->own->failed(q->own, &err);
        qdi_words_answer(q, &err);
        qd_response_error(r, &err, q->error_trace);
    }
    qd_err_fini(&err);
    return 0;
}

void qd_action_run(qd_request *q, qd_response *r)
{
    q->brief = false;
    (void)run(q, r);
}

/* false: it was to be brief and is not; nothing has happened. */
static bool run_here(running *x)
{
    qd_fiber_task_set(&x->q.task);
    int rc = run(&x->q, &x->r);
    qd_fiber_task_set(NULL);
    if (rc == QD_API_LONG) {
        x->q.brief = false;
        qd_buf_reset(&x->out);
        qd_response_init(&x->r, &x->out, x->q.pretty);
        return false;
    }
    if (!x->q.own) answer_whole(x);
    finish(x);
    return true;
}

static void run_whole(qd_work *work)
{
    bool done = run_here((running *)(void *)work);
    qd_assert(done);
}

static void run_fiber(void *arg)
{
    run_whole(arg);
}

/* A write that is to wait for copies, by its parameter or by the setting of an index. */
static bool waits_for_copies(const qd_request *q)
{
    int64_t active;
    if (!(q->api->flags & QD_API_WRITE) || qdi_active_param(q, &active, NULL)) return false;
    return qdi_active_waits(q->a, active);
}

/* Reads of a tier that cannot be mapped wait, and so does what asks other nodes, and what
 * administrators wait for: without its worker, or workers that wait for one another would end all
 * work. */
static bool waits(const running *x)
{
    const qd_request *q = &x->q;
    const qd_api *api = q->api;
    if (api->flags & QD_API_ADMIN) return true;
    if (!x->served) return false; /* of the parts behind it none is looked at yet */
    if ((q->a->rpc && qdi_many_nodes(q->a)) || waits_for_copies(q)) return true;
    if (!q->a->shards || (qd_shards_tier_caps(q->a->shards) & QD_STORE_MMAP)) return false;
    return api->flags & QD_API_READ;
}

/* A hand-off to a worker that sleeps, and back, costs more than a short request itself. */
static bool brief(running *x)
{
    qd_request *q = &x->q;
    if (!q->api->brief || q->body.n > BRIEF_BODY_MAX || !x->served || waits(x)) return false;
    q->brief = q->api->brief(q);
    return q->brief;
}

static void run_on_fiber(qd_work *work)
{
    running *x = (running *)(void *)work;
    qd_fiber_run(qd_pools_get(x->q.a->pools, x->q.api->pool), run_fiber, work);
}

/* A call whose client does not take its answer waits without a worker: this slot of it holds the
 * call then, or RESUMED when the room came before it waited. */
#define WAITING_SLOT 2
static char resumed_mark;
#define RESUMED ((void *)&resumed_mark)

/* false: there is room already. Otherwise x belongs to who resumes it. */
static bool wait_for_room(running *x)
{
    void **slot = &x->call->host[WAITING_SLOT], *now = NULL;
    if (__atomic_compare_exchange_n(slot, &now, x, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        return true;
    }
    __atomic_store_n(slot, NULL, __ATOMIC_RELEASE);
    return false;
}

/* Ends a streamed request: its answer, or the error that stopped it. */
static void end_stream(running *x, int rc)
{
    const qd_api_stream *s = x->q.api->stream;
    while (!rc && !x->cancelled && (rc = s->end(x->state, emit, x, &x->err)) == QD_STREAM_AGAIN) {
        if (wait_for_room(x)) return;
        rc = 0;
    }
    if (rc && !x->cancelled) {
        qdi_words_answer(&x->q, &x->err);
        qd_response_error(&x->r, &x->err, x->q.error_trace);
        answer_whole(x);
    }
    finish(x);
}

/* Takes over what has been gathered; true when the body is complete with it. */
static bool take_gathered(running *x, int *rc)
{
    qd_mutex_lock(&x->lock);
    if (x->feeding.n == 0) {
        qd_buf swap = x->feeding;
        x->feeding = x->gathered;
        x->gathered = swap;
        x->gathered.max = 4 * FEED_BYTES;
        x->feeding.max = ANSWER_MAX;
    } else if (x->gathered.n && qd_buf_add(&x->feeding, x->gathered.p, x->gathered.n)) {
        *rc = *rc ? *rc : QD_E_BREAKER;
    }
    if (!*rc) *rc = x->failed;
    qd_buf_reset(&x->gathered);
    bool last = x->last;
    void (*ready)(qd_action_call *) = x->ready;
    x->ready = NULL;
    qd_mutex_unlock(&x->lock);
    if (*rc == QD_E_LIMIT) {
        (void)qdi_pressure_refuse(x->q.a, FEED_BYTES, &x->err);
    } else if (*rc) {
        qd_err_set(&x->err, *rc, "[request] body does not fit in the memory allowed");
    }
    if (ready && !last) ready(x->call);
    return last;
}

/* Is there another batch to work on now? If not, the next piece of the body starts the worker. */
static bool stay(running *x)
{
    qd_mutex_lock(&x->lock);
    x->working = x->last || x->gathered.n >= FEED_BYTES || x->ready;
    bool working = x->working;
    qd_mutex_unlock(&x->lock);
    return working;
}

/* The body ended before its end. */
static int cut(running *x)
{
    qd_err why;
    qd_err_init(&why);
    if (x->cut == QD_BODY_TOO_LARGE)
        (void)qd_err_set(&why, QD_E_TOO_LARGE, "body is larger than http.max_content_length");
    else if (x->cut == QD_BODY_LATE)
        (void)qd_err_set(&why, QD_E_HTTP_BAD, "the rest of the body did not arrive in time");
    else
        (void)qd_err_set(&why, QD_E_HTTP_BAD, "the rest of the body cannot be read");
    int status = x->cut == QD_BODY_TOO_LARGE ? 413 : x->cut == QD_BODY_LATE ? 408 : 400;
    qd_err_type(&why, NULL, status);
    int rc = x->q.api->stream->cut(x->state, &why, &x->err);
    qd_err_fini(&why);
    return rc;
}

static void feed(running *x, bool last)
{
    size_t used = 0;
    /* what was fed before may have had its effect: of the rest the stream tells that it had none */
    int rc = x->fed ? 0 : qd_task_check(&x->q.task, &x->err);
    x->fed = true;
    if (!rc) {
        qd_task *before = qd_fiber_task_set(&x->q.task);
        rc = last && x->cut
                 ? cut(x)
                 : x->q.api->stream->feed(x->state, qd_buf_view(&x->feeding), last, &used, &x->err);
        if (last && x->cut) used = x->feeding.n;
        (void)qd_fiber_task_set(before);
    }
    if (rc) used = x->feeding.n;
    if (used) memmove(x->feeding.p, x->feeding.p + used, x->feeding.n - used);
    x->feeding.n -= used;
}

/* Goes on with an answer. */
static void run_end(qd_work *work)
{
    end_stream((running *)(void *)work, 0);
}

static void run_stream(qd_work *work)
{
    running *x = (running *)(void *)work;
    bool last = false;
    int rc;
    if (!x->begun) (void)x->q.api->stream->begin(&x->q, &x->r, &x->state, &x->err);
    x->begun = true;
    do {
        rc = x->err.code;
        last = take_gathered(x, &rc);
        if (!rc) feed(x, last);
        if (x->err.code) qd_buf_fini(&x->feeding); /* what still comes is dropped */
        qd_mutex_lock(&x->lock);
        x->failed = x->failed ? x->failed : x->err.code;
        qdi_pressure_shrink(&x->hold,
                            x->gathered.n); /* the rest of a line is no work to wait for */
        qd_mutex_unlock(&x->lock);
        if (last) {
            end_stream(x, x->err.code);
            return;
        }
    } while (stay(x));
}

static void stream_fiber(void *arg)
{
    run_stream(&((running *)arg)->work);
}

/* Operations on other nodes are waited for without the worker, or two nodes that write to each
 * other could use up each other's workers. */
static void run_stream_on_fiber(qd_work *work)
{
    running *x = (running *)(void *)work;
    qd_fiber_run(qd_pools_get(x->q.a->pools, x->q.api->pool), stream_fiber, x);
}

/* --- the service's slots --- */

/* Only what does not need the cluster is answered before this node belongs to one. */
static int check_serving(qd_actions *a, const qd_api *api, qd_err *err)
{
    if (atomic_load(&a->serving) || (api->flags & QD_API_READY)) return 0;
    int rc = qd_err_set(err, QD_E_CLUSTER_BLOCK,
                        "blocked by: [SERVICE_UNAVAILABLE/1/state not recovered / initialized];");
    qd_err_type(err, "cluster_block_exception", 503);
    return rc;
}

/* What tells about a node and mends its settings is answered on one that refuses all else. */
static qd_account *account_of(qd_actions *a, const qd_api *api)
{
    return api->flags & QD_API_VITAL ? a->vital : a->account;
}

static int prepare(qd_actions *a, qd_action_call *call, const qd_api *api, qdi_own_run *own,
                   running **out, qd_err *err)
{
    qd_account *account = account_of(a, api);
    running *x = qd_calloc(account, sizeof *x);
    if (!x) return qd_err_nomem(err, "request");
    x->call = call;
    if (call->origin.remote.n == 0) atomic_fetch_add(&own_calls, 1);
    qd_mutex_init(&x->lock);
    qd_err_init(&x->err);
    qd_arena_init(&x->arena, account, ARENA_MAX);
    qd_buf_init(&x->out, account, ANSWER_MAX);
    qd_buf_init(&x->gathered, account, 4 * FEED_BYTES);
    qd_buf_init(&x->feeding, account, ANSWER_MAX);
    x->q = (qd_request){
        .a = a,
        .api = api,
        .params = call->params,
        .nparams = call->nparams,
        .path = call->host[PATH_SLOT] ? *(const qd_str *)call->host[PATH_SLOT] : QD_STR(""),
        .body = {(const char *)call->body.data, call->body.len},
        .body_format = call->format,
        .accept = call->accept,
        .origin = call->origin,
        .arena = &x->arena,
        .own = own,
    };
    qd_task_begin(a->tasks, &x->q.task, api->name, qd_param(&x->q, "index"), true);
    call->host[1] = (void *)(uintptr_t)x->q.task.id;
    if (call->origin.opaque_id.n) qd_task_opaque_set(&x->q.task, call->origin.opaque_id);
    int rc = common_params(&x->q, err);
    if (!rc) rc = date_names(&x->q, err);
    if (!rc && (api->flags & QD_API_BODY_REQUIRED) && !own && !call->more && call->body.len == 0) {
        bool source = strcmp(api->name, "mget") == 0 || strcmp(api->name, "msearch") == 0;
        rc = qd_err_set(err, QD_E_ES_PARSE, "request body%s is required",
                        source ? " or source parameter" : "");
    }
    (void)qd_buf_reserve(&x->out, ANSWER_LEAST); /* most need no more; an error shows later */
    qd_response_init(&x->r, &x->out, x->q.pretty);
    *out = x;
    return rc;
}

/* An error before the request could run is an answer too. */
static int32_t refuse(qd_action_call *call, running *x, qd_err *err)
{
    if (!x) return err->code;
    qdi_words_answer(&x->q, err);
    qd_response_error(&x->r, err, false);
    answer_whole(x);
    (void)call;
    finish(x);
    return 0;
}

/* Indexing takes part in the indexing pressure with the bytes of its body. */
static bool charge(running *x, size_t n)
{
    return !(x->q.api->flags & QD_API_WRITE) || qdi_pressure_grow(&x->hold, x->q.a, n);
}

/* Starts a streamed call: with its whole body, or waiting for pieces. */
static int submit_stream(qd_action_call *call, running *x, qd_err *err)
{
    if (qd_buf_add(&x->feeding, call->body.data, call->body.len)) {
        return qd_err_nomem(err, "body of the request");
    }
    x->last = !call->more;
    x->working = x->last || x->feeding.n >= FEED_BYTES;
    bool fiber = (x->q.a->rpc && qdi_many_nodes(x->q.a)) || waits_for_copies(&x->q);
    x->work.run = fiber ? run_stream_on_fiber : run_stream;
    if (!x->last) call->host[0] = x;
    if (!x->working) return 0;
    int rc = qd_pool_submit(qd_pools_get(x->q.a->pools, x->q.api->pool), &x->work, err);
    if (rc) call->host[0] = NULL;
    return rc;
}

int32_t qd_actions_submit(qd_actions *a, qd_action_call *call, qd_err *err)
{
    running *x = NULL;
    qd_err why;
    const qd_api *api = qd_api_find(call->action);
    if (!api) api = qd_plugin_routes_find(a->routes, call->action);
    if (!api) {
        return qd_err_set(err, QD_E_ARG, "no action of the name [%.*s]", QD_STR_ARG(call->action));
    }
    qd_err_init(&why);
    call->host[NODE_SLOT] = a;
    /* A plugin's op comes as it is, zeroed: it is told wherever the call ends, but not within this
     * submit. Its thread is no place for a request either. */
    bool here = call->op.host[0] != NULL;
    if (!here) qd_op_anywhere(&call->op, call->op.done, call->op.user);
    int rc = prepare(a, call, api, NULL, &x, &why);
    if (!rc) rc = check_serving(a, api, &why);
    if (!rc) x->served = atomic_load(&a->serving);
    if (!rc && !charge(x, call->body.len)) rc = qdi_pressure_refuse(a, call->body.len, &why);
    if (!rc && (api->flags & QD_API_STREAM)) {
        rc = submit_stream(call, x, &why);
    } else if (!rc && here && (api->flags & QD_API_LOOP)) {
        run_whole(&x->work);
    } else if (!rc && (!here || !brief(x) || !run_here(x))) {
        x->work.run = waits(x) ? run_on_fiber : run_whole;
        rc = qd_pool_submit(qd_pools_get(a->pools, api->pool), &x->work, &why);
    }
    int32_t refused = rc ? refuse(call, x, &why) : 0;
    if (refused && err) qd_err_copy(err, &why);
    qd_err_fini(&why);
    return refused;
}

int qdi_submit_own(qd_actions *a, qd_action_call *call, const qd_api *api, qdi_own_run *own,
                   qd_err *err)
{
    running *x = NULL;
    call->host[NODE_SLOT] = a;
    qd_op_anywhere(&call->op, call->op.done, call->op.user);
    int rc = prepare(a, call, api, own, &x, err);
    if (!rc) rc = check_serving(a, api, err);
    if (!rc) x->served = atomic_load(&a->serving);
    if (!rc && !charge(x, own->bytes)) rc = qdi_pressure_refuse(a, own->bytes, err);
    if (!rc) {
        own->task = x->q.task.id;
        x->work.run = waits(x) ? run_on_fiber : run_whole;
        rc = qd_pool_submit(qd_pools_get(a->pools, api->pool), &x->work, err);
    }
    if (!rc || !x) return rc;
    if (call->origin.remote.n == 0) atomic_fetch_sub(&own_calls, 1);
    x->r.status = qd_code_status(rc);
    drop(x);
    return rc;
}

/* Another piece under x's lock: 0, QD_E_REJECTED (not now), or an error that ends the call. */
static int gather(running *x, qd_slice piece, void (*ready)(qd_action_call *))
{
    if (x->failed || x->cancelled || piece.len == 0) return 0;
    if (x->gathered.n >= FEED_BYTES && x->working) {
        x->ready = ready; /* the worker is behind: the caller stops reading */
        return QD_E_REJECTED;
    }
    while (!charge(x, piece.len)) {
        if (!qdi_pressure_fits(x->q.a, piece.len)) return QD_E_LIMIT;
        if (x->working || x->gathered.n) {
            x->ready = ready; /* the worker makes room */
            return QD_E_REJECTED;
        }
        if (qdi_pressure_wait(&x->hold, x->q.a, piece.len, ready, x->call)) return QD_E_REJECTED;
    }
    /* a large body: all the room at once, and no more than is used */
    if (x->gathered.n + piece.len > FEED_BYTES / 4 && x->gathered.cap < FEED_BYTES) {
        (void)qd_buf_reserve(&x->gathered, FEED_BYTES + piece.len - x->gathered.n);
    }
    return qd_buf_add(&x->gathered, piece.data, piece.len) ? QD_E_BREAKER : 0;
}

static int32_t body(qd_action_call *call, qd_slice piece, uint32_t last,
                    void (*ready)(qd_action_call *))
{
    running *x = call->host[0];
    if (!x) return QD_E_STATE;
    qd_mutex_lock(&x->lock);
    int rc = gather(x, piece, ready);
    if (rc && rc != QD_E_REJECTED) {
        x->failed = rc;
        qd_buf_fini(&x->gathered);
    }
    if (rc != QD_E_REJECTED) x->last = last != 0;
    if (x->last && last != QD_BODY_LAST) x->cut = last;
    bool start = !x->working && (x->last || x->ready || x->gathered.n >= FEED_BYTES);
    if (start) x->working = true;
    if (x->last) call->host[0] = NULL; /* the worker may end it from now on */
    qd_mutex_unlock(&x->lock);
    /* admitted at its first piece: the rest of it is never refused */
    if (start &&
        qd_pool_submit_forced(qd_pools_get(x->q.a->pools, x->q.api->pool), &x->work, NULL)) {
        call->host[0] = NULL;
        finish(x);
    }
    return rc == QD_E_REJECTED ? rc : 0;
}

static void cancel(qd_action_call *call)
{
    running *x = call->host[0];
    if (!x) {
        /* it may have ended: only the registry knows */
        uint64_t id = (uintptr_t)call->host[1];
        const qd_actions *a = call->host[NODE_SLOT];
        if (a && id && qd_tasks_cancel_id(a->tasks, id, "the client has gone away", NULL)) return;
        return;
    }
    call->host[0] = NULL;
    qd_task_cancel(&x->q.task, "the client has gone away");
    qdi_pressure_unwait(&x->hold);
    qd_mutex_lock(&x->lock);
    x->cancelled = x->last = true;
    bool start = !x->working;
    x->working = true;
    qd_mutex_unlock(&x->lock);
    if (start &&
        qd_pool_submit_forced(qd_pools_get(x->q.a->pools, x->q.api->pool), &x->work, NULL)) {
        finish(x);
    }
}

static void resume(qd_action_call *call)
{
    void **slot = &call->host[WAITING_SLOT], *now = NULL;
    if (__atomic_compare_exchange_n(slot, &now, RESUMED, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE) ||
        now == RESUMED) {
        return; /* it does not wait yet */
    }
    __atomic_store_n(slot, NULL, __ATOMIC_RELEASE);
    running *x = now;
    x->work.run = run_end;
    if (qd_pool_submit_forced(qd_pools_get(x->q.a->pools, x->q.api->pool), &x->work, NULL)) {
        finish(x);
    }
}

const char *qd_action_warnings(const qd_action_call *call)
{
    return call->host[WARNINGS_SLOT];
}

void qd_action_path_set(qd_action_call *call, const qd_str *path)
{
    call->host[PATH_SLOT] = (void *)(uintptr_t)path;
}

static int64_t stale_ms(const qd_action_call *call)
{
    return (int64_t)(intptr_t)call->host[STALE_SLOT];
}

static int32_t submit(qd_self *self, qd_action_call *call, qd_err *err)
{
    return qd_actions_submit(qd_plugin_service_arg(self, QD_SERVICE_ACTION), call, err);
}

static const qd_svc_action service = {
    .head = {.struct_size = sizeof service, .major = 0, .minor = 4},
    .submit = submit,
    .body = body,
    .cancel = cancel,
    .resume = resume,
    .stale_ms = stale_ms,
};

bool qd_action_quiet(qd_env *env, int64_t wait_ms)
{
    while (atomic_load(&own_calls) && wait_ms > 0) {
        qd_env_sleep_ns(env, 10000000);
        wait_ms -= 10;
    }
    return atomic_load(&own_calls) == 0;
}

const qd_vtable *qd_action_service(void)
{
    return &service.head;
}
