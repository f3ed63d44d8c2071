/* api.c: the three requests. */
#include "action/byquery/remote_int.h"

/* Runs it while the client waits. */
static int wait_for(bq_job *job, qd_request *q, qd_response *r, qd_err *err)
{
    job->task = &q->task;
    int rc = qdi_bq_list(job, err);
    if (rc) return rc;
    qdi_bq_task_status(job);
    rc = qdi_bq_run(job, err);
    qd_task_status_set(&q->task, NULL, NULL);
    qdi_bq_unlist(job);
    if (rc) return rc;
    if (job->nfailures) r->status = job->status ? job->status : 500;
    qdi_bq_answer(job, &r->w);
    return 0;
}

static int run(qd_request *q, qd_response *r, bq_kind kind, qd_err *err)
{
    bq_job *job = qd_calloc(q->a->account, sizeof *job);
    if (!job) return qd_err_nomem(err, "a task");
    const qd_pair *params = q->params; /* the job's copies may go before the answer is written */
    qd_str body = q->body;
    qdi_bq_init(job, q->a);
    job->api = q->api->name;
    int rc = qdi_bq_keep(job, q, err);
    if (!rc) rc = qdi_bq_parse(job, q, kind, err);
    if (!rc && job->spec.remote) rc = qdi_bq_remote_allowed(job, err);
    if (!rc && !job->spec.wait) {
        char id[96];
        rc = qdi_bq_background(job, q, id, err);
        q->params = params;
        q->body = body;
        if (!rc) {
            qd_json_object(&r->w);
            qd_json_field_c(&r->w, "task", id);
            qd_json_object_end(&r->w);
            return 0;
        }
    } else if (!rc) {
        rc = wait_for(job, q, r, err);
    }
    q->params = params;
    q->body = body;
    qdi_bq_fini(job);
    qd_free(job);
    return rc;
}

int qdi_api_reindex(qd_request *q, qd_response *r, qd_err *err)
{
    return run(q, r, BQ_REINDEX, err);
}

int qdi_api_update_by_query(qd_request *q, qd_response *r, qd_err *err)
{
    return run(q, r, BQ_UPDATE, err);
}

int qdi_api_delete_by_query(qd_request *q, qd_response *r, qd_err *err)
{
    return run(q, r, BQ_DELETE, err);
}
