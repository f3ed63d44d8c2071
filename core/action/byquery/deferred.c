/*
 * deferred.c: APIs that run behind their answer when a client does not wait
 * (wait_for_completion=false) and that are no jobs of batches: a forced merge and, as OpenSearch
 * has it, a resize. Each runs under a task of its own, and the index .tasks keeps what it would
 * have answered. A node that ends drops those that it runs; no other node takes them over.
 */
#include "action/api/admin_int.h"
#include "action/byquery/byquery_int.h"
#include "action/indices/indices_int.h"
#include "action/streams/streams_int.h"
#include "base/str.h"
#include "runtime/fiber.h"

static qd_str or_otherwise(const qd_request *q, const char *key, const char *otherwise)
{
    return qd_param_has(q, key) ? qd_param(q, key) : qd_str_c(otherwise);
}

static qd_str describe_merge(const qd_request *q, qd_arena *arena)
{
    return qd_arena_printf(
        arena,
        "Force-merge indices [%.*s], maxSegments[%.*s], onlyExpungeDeletes[%.*s], flush[%.*s]",
        QD_STR_ARG(qd_param(q, "index")), QD_STR_ARG(or_otherwise(q, "max_num_segments", "-1")),
        QD_STR_ARG(or_otherwise(q, "only_expunge_deletes", "false")),
        QD_STR_ARG(or_otherwise(q, "flush", "true")));
}

static qd_str describe_resize(const qd_request *q, qd_arena *arena)
{
    return qd_arena_printf(arena, "%s from [%.*s] to [%.*s]", q->api->name + strlen("indices."),
                           QD_STR_ARG(qd_param(q, "index")), QD_STR_ARG(qd_param(q, "target")));
}

static qd_str describe_open(const qd_request *q, qd_arena *arena)
{
    return qd_arena_printf(arena, "open indices [%.*s]", QD_STR_ARG(qd_param(q, "index")));
}

static const bq_deferred opening = {"indices:admin/open", true, qdi_open_check, qdi_open,
                                    describe_open};
static const bq_deferred merge = {"indices:admin/forcemerge", false, qdi_forcemerge_check,
                                  qdi_forcemerge, describe_merge},
                         resize = {"indices:admin/resize", true, qdi_resize_check, qdi_resize,
                                   describe_resize};

/* --- behind the answer ------------------------------------------------------------------------ */

const char *qdi_bq_deferred_action(const bq_job *job)
{
    return job->deferred->action;
}

qd_str qdi_bq_deferred_description(bq_job *job)
{
    return job->deferred->describe(job->request, &job->arena);
}

int qdi_bq_deferred_run(bq_job *job, qd_buf *out, qd_err *err)
{
    qd_request *q = job->request;
    qd_response r;
    qd_response_init(&r, out, false);
    qd_task_begin(q->a->tasks, &q->task, job->api, qdi_bq_deferred_description(job), true);
    qd_task_parent_set(&q->task, &job->own);
    q->task.change_ms = job->change_ms;
    qd_task *before = qd_fiber_task_set(&q->task);
    int rc = qd_task_check(&q->task, err);
    if (!rc) rc = job->deferred->run(q, &r, err);
    job->cancelled = qd_task_poll(&q->task) == QD_E_CANCELLED;
    (void)qd_fiber_task_set(before);
    qd_task_end(&q->task);
    return rc;
}

/* The request as the job keeps it. */
static int keep(bq_job *job, qd_request *q, qd_err *err)
{
    const qd_pair *params = q->params;
    qd_str body = q->body;
    int rc = qdi_bq_keep(job, q, err);
    qd_request *own = rc ? NULL : qd_arena_calloc(&job->arena, sizeof *own);
    if (own)
        *own = (qd_request){.a = q->a,
                            .api = q->api,
                            .params = q->params,
                            .nparams = q->nparams,
                            .body = q->body,
                            .body_format = q->body_format,
                            .arena = &job->arena};
    q->params = params;
    q->body = body;
    job->request = own;
    job->change_ms = q->task.change_ms;
    return rc || own ? rc : qd_err_nomem(err, "a task");
}

static int later(qd_request *q, const bq_deferred *e, qd_response *r, qd_err *err)
{
    char id[96];
    bq_job *job = qd_calloc(q->a->account, sizeof *job);
    if (!job) return qd_err_nomem(err, "a task");
    qdi_bq_init(job, q->a);
    job->api = q->api->name;
    job->deferred = e;
    int rc = keep(job, q, err);
    if (!rc) rc = qdi_bq_background(job, q, id, err);
    if (rc) {
        qdi_bq_fini(job);
        qd_free(job);
        return rc;
    }
    qd_json_object(&r->w);
    qd_json_field_c(&r->w, "task", id);
    qd_json_object_end(&r->w);
    return 0;
}

/* --- the requests ----------------------------------------------------------------------------- */

static int unknown(const qd_request *q, const char *key, qd_err *err)
{
    return qd_err_set(err, QD_E_ARG, "request [%.*s] contains unrecognized parameter: [%s]",
                      QD_STR_ARG(q->path), key);
}

int qdi_deferred_run(qd_request *q, const bq_deferred *e, qd_response *r, qd_err *err)
{
    bool wait;
    qdi_identity id;
    qdi_identity_get(q->a, &id);
    static const char *const keys[] = {"wait_for_completion", "task_execution_timeout"};
    for (size_t i = 0; i < QD_COUNT_OF(keys) && e->opensearch && !id.opensearch; i++)
        if (qd_param_has(q, keys[i])) return unknown(q, keys[i], err);
    int rc = qd_param_bool(q, "wait_for_completion", true, &wait, err);
    if (rc || wait) return rc ? rc : e->run(q, r, err);
    rc = e->check(q, err);
    return rc ? rc : later(q, e, r, err);
}

int qdi_api_indices_forcemerge(qd_request *q, qd_response *r, qd_err *err)
{
    return qdi_deferred_run(q, &merge, r, err);
}

int qdi_api_indices_open(qd_request *q, qd_response *r, qd_err *err)
{
    return qdi_deferred_run(q, &opening, r, err);
}

int qdi_api_indices_shrink(qd_request *q, qd_response *r, qd_err *err)
{
    return qdi_deferred_run(q, &resize, r, err);
}

int qdi_api_indices_split(qd_request *q, qd_response *r, qd_err *err)
{
    return qdi_deferred_run(q, &resize, r, err);
}

int qdi_api_indices_clone(qd_request *q, qd_response *r, qd_err *err)
{
    return qdi_deferred_run(q, &resize, r, err);
}
