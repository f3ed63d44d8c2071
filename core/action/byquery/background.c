/* background.c: the jobs of a node, and those that run behind the answer to their request. */
#include "action/byquery/remote_int.h"
#include "base/log.h"
#include "base/str.h"
#include "runtime/fiber.h"
#include "runtime/pool.h"
#include <stdio.h>

#define ANSWER_MAX ((size_t)64 << 20)

/* --- the node's list --- */

int qdi_bq_list(bq_job *job, qd_err *err)
{
    struct qd_by_query *t = job->a->by_query;
    if (!t)
        return job->background ? qd_err_set(err, QD_E_CLOSED, "this node runs no such tasks") : 0;
    qd_mutex_lock(&t->lock);
    int rc = t->stop ? qd_err_set(err, QD_E_CLOSED, "the node stops") : 0;
    if (!rc) {
        job->next = t->first;
        job->link = &t->first;
        if (job->next) job->next->link = &job->next;
        t->first = job;
    }
    qd_mutex_unlock(&t->lock);
    return rc;
}

void qdi_bq_unlist(bq_job *job)
{
    struct qd_by_query *t = job->a->by_query;
    if (!t) return;
    qd_mutex_lock(&t->lock);
    *job->link = job->next;
    if (job->next) job->next->link = job->link;
    qd_waitq_wake(&t->fewer);
    qd_mutex_unlock(&t->lock);
}

bool qdi_bq_rethrottle(qd_actions *a, uint64_t task, double rate)
{
    struct qd_by_query *t = a->by_query;
    bool found = false;
    if (!t) return false;
    qd_mutex_lock(&t->lock);
    for (bq_job *j = t->first; j; j = j->next) {
        if (j->task->id != task || j->deferred) continue;
        found = true;
        qd_mutex_lock(&j->lock);
        j->rate = rate;
        qd_waitq_wake(&j->changed);
        qd_mutex_unlock(&j->lock);
    }
    qd_mutex_unlock(&t->lock);
    return found;
}

int qd_by_query_open(qd_actions *a, qd_err *err)
{
    struct qd_by_query *t = qd_calloc(NULL, sizeof *t);
    if (!t) return qd_err_nomem(err, "tasks");
    t->a = a;
    int rc = qdi_bq_remote_lists_check(a, err);
    if (!rc) rc = qd_http_client_open(a->env, &t->http, err);
    if (rc) {
        qd_free(t);
        return rc;
    }
    qd_mutex_init(&t->lock);
    qd_cond_init(&t->wake);
    qd_waitq_init(&t->fewer, &t->lock);
    rc = qd_thread_start(a->env, "byquery", qdi_bq_keeper, t, &t->keeper, err);
    if (rc) {
        qd_cond_fini(&t->wake);
        qd_mutex_fini(&t->lock);
        qd_http_client_close(t->http);
        qd_free(t);
        return rc;
    }
    a->by_query = t;
    return 0;
}

void qd_by_query_stop(qd_actions *a)
{
    struct qd_by_query *t = a->by_query;
    if (!t || !t->keeper) return;
    qd_mutex_lock(&t->lock);
    t->stop = true;
    qd_cond_broadcast(&t->wake);
    qd_mutex_unlock(&t->lock);
    qd_thread_join(a->env, t->keeper);
    t->keeper = NULL;
    qd_mutex_lock(&t->lock);
    for (bq_job *j = t->first; j; j = j->next) {
        atomic_store(&j->leaves, true);
        if (j->deferred) (void)!qd_tasks_cancel_id(a->tasks, j->own.id, "the node stops", NULL);
        qd_mutex_lock(&j->lock);
        qd_waitq_wake(&j->changed);
        qd_mutex_unlock(&j->lock);
    }
    while (t->first) (void)qd_waitq_wait(&t->fewer, 0);
    qd_mutex_unlock(&t->lock);
}

void qd_by_query_close(qd_actions *a)
{
    struct qd_by_query *t = a->by_query;
    if (!t) return;
    qd_by_query_stop(a);
    a->by_query = NULL;
    qd_http_client_close(t->http);
    qd_cond_fini(&t->wake);
    qd_mutex_fini(&t->lock);
    qd_free(t);
}

/* --- in the background --- */

static void show_status(const qd_task *task, qd_buf *out)
{
    qd_json_writer w;
    qd_json_writer_init(&w, out, false);
    qd_json_object(&w);
    qdi_bq_status_write((bq_job *)task->status_arg, false, &w);
    qd_json_object_end(&w);
}

void qdi_bq_task_status(bq_job *job)
{
    qd_task_status_set(job->task, show_status, job);
}

static void free_job(bq_job *job)
{
    qd_task_end(&job->own);
    qdi_bq_fini(job);
    qd_free(job);
}

static void run(void *arg)
{
    bq_job *job = arg;
    qd_json_writer w;
    qd_buf b;
    qd_err err;
    qd_err_init(&err);
    qd_buf_init(&b, job->a->account, ANSWER_MAX);
    qd_json_writer_init(&w, &b, false);
    int rc = job->resumed ? qdi_bq_record(job, true, &err) : 0;
    if (rc == QD_E_FENCED)
        atomic_store(&job->a->by_query->again, true);
    else if (job->resumed && !job->spec.remote)
        qd_log_info("action", "task [%s] goes on here: its node has gone", job->id);
    if (!rc && job->resumed && job->spec.remote)
        rc = qd_err_set(&err, QD_E_CLOSED,
                        "the node of the task [%s] has gone; a reindex from a remote cluster does "
                        "not go on elsewhere, as no record keeps its credentials and its scroll: "
                        "start it again",
                        job->id);
    else if (!rc)
        rc = job->deferred ? qdi_bq_deferred_run(job, &b, &err) : qdi_bq_run(job, &err);
    if (!rc && !job->deferred) qdi_bq_answer(job, &w);
    if (rc == QD_E_FENCED)
        qd_log_info("action", "%s", qd_err_reason(&err));
    else if (atomic_load(&job->leaves))
        (void)!qdi_bq_record(job, true, NULL);
    else
        qdi_bq_record_end(job, qd_buf_view(&b), rc ? &err : NULL);
    qd_buf_fini(&b);
    qd_err_fini(&err);
    qdi_bq_unlist(job);
    free_job(job);
}

static void work(qd_work *w)
{
    bq_job *job = w->user;
    qd_fiber_run(qd_pools_get(job->a->pools, "generic"), run, job);
}

/* Begins the task of a job and queues it; on failure the job is the caller's again, without one. */
static int begin(bq_job *job, qd_err *err)
{
    job->task = &job->own;
    job->background = true;
    qd_task_begin(job->a->tasks, &job->own, job->api,
                  job->deferred ? qdi_bq_deferred_description(job)
                                : qdi_bq_description(&job->spec, &job->arena),
                  true);
    if (!job->deferred) qdi_bq_task_status(job);
    if (!job->id[0])
        snprintf(job->id, sizeof job->id, "%.*s:%llu", QD_STR_ARG(job->a->node_id),
                 (unsigned long long)job->own.id);
    job->rate = job->spec.rate;
    return qdi_bq_list(job, err);
}

static int queue(bq_job *job, qd_err *err)
{
    job->work = (qd_work){.run = work, .user = job};
    int rc = qd_pool_submit(qd_pools_get(job->a->pools, "generic"), &job->work, err);
    if (rc) qdi_bq_unlist(job);
    return rc;
}

/* What the record has to say of the request. */
static int keep_request(bq_job *job, const qd_request *q, qd_err *err)
{
    qd_pair *at = qd_arena_alloc(&job->arena, (q->nparams + 1ul) * sizeof *at);
    if (!at) return qd_err_nomem(err, "a task");
    for (uint32_t i = 0; i < q->nparams; i++) {
        qd_pair p = {qd_arena_str(&job->arena, q->params[i].key),
                     qd_arena_str(&job->arena, q->params[i].value)};
        if ((q->params[i].key.n && !p.key.p) || (q->params[i].value.n && !p.value.p))
            return qd_err_nomem(err, "a task");
        at[job->nparams++] = p;
    }
    job->params = at;
    job->body = qd_arena_str(&job->arena, q->body);
    return q->body.n && !job->body.p ? qd_err_nomem(err, "a task") : 0;
}

int qdi_bq_background(bq_job *job, const qd_request *q, char id[96], qd_err *err)
{
    int rc = begin(job, err);
    memcpy(id, job->id, sizeof job->id);
    if (rc) {
        qd_task_end(&job->own);
        return rc;
    }
    qd_task_opaque_set(&job->own, q->origin.opaque_id);
    rc = qdi_bq_record(job, true, err);
    if (rc)
        qdi_bq_unlist(job);
    else
        rc = queue(job, err);
    if (rc) qd_task_end(&job->own);
    return rc;
}

int qdi_bq_take_over(bq_job *job, qd_err *err)
{
    int rc = begin(job, err);
    if (!rc) rc = queue(job, err);
    if (rc) qd_task_end(&job->own);
    return rc;
}

/* The request's texts are the job's from here on. */
int qdi_bq_keep(bq_job *job, qd_request *q, qd_err *err)
{
    int rc = keep_request(job, q, err);
    if (rc) return rc;
    q->params = job->params;
    q->body = job->body;
    return 0;
}
