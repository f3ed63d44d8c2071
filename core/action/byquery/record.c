/*
 * record.c: what the index .tasks has of jobs that run in the background: how far each is, and when
 * it has ended its result, as Elasticsearch keeps it. A record is written under the condition that
 * it is as this node wrote it last: a job that another node has taken over ends here.
 */
#include "action/byquery/byquery_int.h"
#include "base/log.h"
#include "base/str.h"
#include <stdio.h>

#define TELL_NS UINT64_C(1000000000)
#define BODY_MAX ((size_t)64 << 20)

static const char *const actions[] = {"indices:data/write/delete/byquery",
                                      "indices:data/write/update/byquery",
                                      "indices:data/write/reindex"};

/* --- the index --- */

/* Makes the index where it is not there yet. */
static int make_index(qd_actions *a, qd_arena *arena, qd_err *err)
{
    const qd_json_node *root;
    qd_pair params[] = {{QD_STR("index"), QD_STR(BQ_TASKS)}};
    qd_err why;
    qd_state *s = qd_cluster_state(a->cluster);
    bool there = qd_state_index(s, QD_STR(BQ_TASKS)) != NULL;
    qd_state_unref(s);
    if (there) return 0;
    qd_err_init(&why);
    int rc = qdi_bq_call(
        a, "indices.create", params, 1,
        QD_STR("{\"settings\":{\"index.hidden\":true,\"index.number_of_shards\":1,"
               "\"index.auto_expand_replicas\":\"0-1\"},\"mappings\":{\"dynamic\":false,"
               "\"properties\":{\"completed\":{\"type\":\"boolean\"}}}}"),
        arena, &root, &why);
    s = qd_cluster_state(a->cluster); /* another one may have made it just now */
    if (rc && qd_state_index(s, QD_STR(BQ_TASKS))) rc = 0;
    qd_state_unref(s);
    if (rc) {
        rc = qd_err_set(err, rc, "the record of a task cannot be kept: %s", qd_err_reason(&why));
        qd_err_type(err, NULL, qd_err_status(&why));
    }
    qd_err_fini(&why);
    return rc;
}

/* --- writing --- */

static void write_task(bq_job *job, qd_json_writer *w)
{
    qd_arena arena;
    qd_arena_init(&arena, NULL, 1 << 20);
    qd_str id = qd_str_c(job->id);
    qd_str node = qd_str_split(&id, ':');
    qd_json_key_c(w, "task");
    qd_json_object(w);
    qd_json_field_str(w, "node", node);
    int64_t number = 0;
    (void)qd_str_i64(id, &number);
    qd_json_field_int(w, "id", number);
    qd_json_field_c(w, "type", "transport");
    qd_json_field_c(w, "action",
                    job->deferred ? qdi_bq_deferred_action(job) : actions[job->spec.kind]);
    if (!job->deferred) {
        qd_json_key_c(w, "status");
        qd_json_object(w);
        qdi_bq_status_write(job, true, w);
        qd_json_object_end(w);
    }
    qd_json_field_str(w, "description",
                      job->deferred ? qdi_bq_deferred_description(job)
                                    : qdi_bq_description(&job->spec, &arena));
    qd_json_field_int(w, "start_time_in_millis", job->start_wall_ms);
    qd_json_field_int(w, "running_time_in_nanos",
                      (int64_t)(qd_env_mono_ns(job->a->env) - job->start_ns));
    qd_json_field_bool(w, "cancellable", true);
    qd_json_field_bool(w, "cancelled", job->cancelled);
    qd_json_key_c(w, "headers");
    qd_json_object(w);
    if (job->own.opaque_id[0]) qd_json_field_c(w, "X-Opaque-Id", job->own.opaque_id);
    qd_json_object_end(w);
    qd_json_object_end(w);
    qd_arena_fini(&arena);
}

static void write_units(const bq_slice *s, qd_json_writer *w)
{
    for (uint32_t i = 0; i < s->nunits; i++) {
        const bq_unit *u = &s->units[i];
        qd_json_object(w);
        qd_json_field_int(w, "shard", u->number);
        qd_json_field_int(w, "part", u->part);
        qd_json_field_int(w, "parts", u->parts);
        qd_json_field_int(w, "from", __atomic_load_n(&u->from, __ATOMIC_RELAXED));
        qd_json_field_int(w, "tried", __atomic_load_n(&u->tried, __ATOMIC_RELAXED));
        qd_json_key_c(w, "bounds");
        qd_json_object(w);
        for (uint32_t k = 0; k < u->nbounds; k++) {
            qd_json_key(w, u->bounds[k].index);
            qd_json_int(w, u->bounds[k].max_seq_no);
        }
        qd_json_object_end(w);
        qd_json_object_end(w);
    }
}

/* What another node needs to go on: what was asked, what is done. */
static void write_run(bq_job *job, qd_json_writer *w)
{
    qd_json_key_c(w, "run");
    qd_json_object(w);
    qd_json_field_str(w, "owner", qd_cluster_self(job->a->cluster)->ephemeral);
    qd_json_key_c(w, "as");
    qd_json_printf(w, "%.*s:%llu", QD_STR_ARG(job->a->node_id), (unsigned long long)job->own.id);
    qd_json_field_c(w, "api", job->api);
    qd_json_field_int(w, "slices", job->nslices ? job->nslices : job->spec.slices);
    qd_json_key_c(w, "params");
    qd_json_array(w);
    for (uint32_t i = 0; i < job->nparams; i++) {
        qd_json_array(w);
        qd_json_str(w, job->params[i].key);
        qd_json_str(w, job->params[i].value);
        qd_json_array_end(w);
    }
    qd_json_array_end(w);
    qd_json_field_str(w, "body", job->body);
    qd_json_key_c(w, "counts");
    qd_json_object(w);
    qdi_bq_status_write(job, false, w);
    qd_json_object_end(w);
    qd_json_key_c(w, "progress");
    qd_json_array(w);
    for (uint32_t i = 0; job->slices && i < job->nslices; i++) write_units(&job->slices[i], w);
    qd_json_array_end(w);
    qd_json_object_end(w);
}

/* Puts the document, if it is still as this node wrote it last. */
static int put(bq_job *job, qd_str body, bool refresh, qd_err *err)
{
    qd_pair params[7];
    char seq_no[24], term[24];
    uint32_t n = 0;
    qd_arena arena;
    const qd_json_node *root;
    qd_arena_init(&arena, job->a->account, 0);
    snprintf(seq_no, sizeof seq_no, "%lld", (long long)job->seq_no);
    snprintf(term, sizeof term, "%lld", (long long)job->term);
    params[n++] = (qd_pair){QD_STR("index"), QD_STR(BQ_TASKS)};
    params[n++] = (qd_pair){QD_STR("id"), qd_str_c(job->id)};
    params[n++] = (qd_pair){QD_STR("timeout"), QD_STR("10s")};
    if (refresh) params[n++] = (qd_pair){QD_STR("refresh"), QD_STR("true")};
    if (job->seq_no >= 0) {
        params[n++] = (qd_pair){QD_STR("if_seq_no"), qd_str_c(seq_no)};
        params[n++] = (qd_pair){QD_STR("if_primary_term"), qd_str_c(term)};
    }
    int rc = make_index(job->a, &arena, err);
    if (!rc) rc = qdi_bq_call(job->a, "index", params, n, body, &arena, &root, err);
    if (!rc) {
        (void)qd_str_i64(qd_json_text(qd_json_get(root, "_seq_no")), &job->seq_no);
        (void)qd_str_i64(qd_json_text(qd_json_get(root, "_primary_term")), &job->term);
    }
    qd_arena_fini(&arena);
    return rc;
}

int qdi_bq_record(bq_job *job, bool now, qd_err *err)
{
    qd_json_writer w;
    qd_buf b;
    qd_err why;
    uint64_t at = qd_env_mono_ns(job->a->env);
    if (!job->background || job->deferred) return 0; /* it has a result and no progress */
    if (now)
        qd_mutex_lock(&job->record);
    else if (!qd_mutex_trylock(&job->record))
        return 0; /* another slice is at it */
    if (!now && at < job->told_ns + TELL_NS) {
        qd_mutex_unlock(&job->record);
        return 0;
    }
    qd_err_init(&why);
    qd_buf_init(&b, job->a->account, BODY_MAX);
    qd_json_writer_init(&w, &b, false);
    qd_json_object(&w);
    qd_json_field_bool(&w, "completed", false);
    write_task(job, &w);
    write_run(job, &w);
    qd_json_object_end(&w);
    bool first = job->seq_no < 0;
    int rc = qd_buf_status(&b) ? qd_err_nomem(&why, "the record of a task")
                               : put(job, qd_buf_view(&b), first, &why);
    job->told_ns = at;
    qd_buf_fini(&b);
    qd_mutex_unlock(&job->record);
    if (rc == QD_E_VERSION_CONFLICT)
        rc = qd_err_set(err, QD_E_FENCED, "another node has taken the task [%s] over", job->id);
    else if (rc && first)
        qd_err_copy(err, &why);
    else
        rc = 0; /* that it is not as new as it could be stops nothing */
    qd_err_fini(&why);
    return rc;
}

void qdi_bq_record_end(bq_job *job, qd_str answer, const qd_err *failed)
{
    qd_json_writer w;
    qd_buf b;
    qd_err why;
    uint64_t pause = TELL_NS / 10;
    qd_buf_init(&b, job->a->account, 2 * BODY_MAX);
    qd_json_writer_init(&w, &b, false);
    qd_json_object(&w);
    qd_json_field_bool(&w, "completed", true);
    write_task(job, &w);
    qd_json_key_c(&w, failed ? "error" : "response");
    if (failed)
        qd_error_write(&w, failed);
    else
        qd_json_raw_value(&w, answer);
    qd_json_object_end(&w);
    qd_err_init(&why);
    for (int i = 0; i < 8; i++, pause *= 2) { /* the shard may be on its way */
        int rc = put(job, qd_buf_view(&b), true, &why);
        bool over = !rc || rc == QD_E_VERSION_CONFLICT || atomic_load(&job->leaves);
        if (!over)
            qd_log_warn("action", "the result of task [%s] is not kept yet: %s", job->id,
                        qd_err_reason(&why));
        qd_err_fini(&why);
        if (over) break;
        qd_mutex_lock(&job->lock);
        (void)qd_waitq_wait(&job->changed, qd_env_mono_ns(job->a->env) + pause);
        qd_mutex_unlock(&job->lock);
    }
    qd_buf_fini(&b);
}

/* --- reading --- */

int qdi_bq_record_get(qd_actions *a, qd_str id, qd_arena *arena, const qd_json_node **out,
                      qd_err *err)
{
    qd_pair params[] = {{QD_STR("index"), QD_STR(BQ_TASKS)}, {QD_STR("id"), id}};
    const qd_json_node *root = NULL;
    qd_state *s = qd_cluster_state(a->cluster);
    bool there = qd_state_index(s, QD_STR(BQ_TASKS)) != NULL;
    qd_err why;
    qd_state_unref(s);
    *out = NULL;
    if (!there) return 0;
    qd_err_init(&why);
    int rc = qdi_bq_call(a, "get", params, 2, (qd_str){NULL, 0}, arena, &root, &why);
    if (!rc || rc == QD_E_NOTFOUND) {
        *out = root ? qd_json_get(root, "_source") : NULL;
        rc = 0;
    } else {
        qd_err_copy(err, &why);
    }
    qd_err_fini(&why);
    return rc;
}

qd_str qdi_bq_record_runs_as(const qd_json_node *record)
{
    const qd_json_node *as = qd_json_get(qd_json_get(record, "run"), "as");
    return as ? qd_json_text(as) : (qd_str){NULL, 0};
}

static uint64_t number(const qd_json_node *n, const char *key)
{
    const qd_json_node *m = n ? qd_json_get(n, key) : NULL;
    uint64_t v;
    return m && qd_str_u64(qd_json_text(m), &v) ? v : 0;
}

static int damaged(qd_str id, const char *what, qd_err *err)
{
    return qd_err_set(err, QD_E_CORRUPT, "the record of task [%.*s] has no %s", QD_STR_ARG(id),
                      what);
}

static int read_params(bq_job *job, const qd_json_node *list, qd_err *err)
{
    qd_pair *at = qd_arena_alloc(&job->arena, (list->n + 1ul) * sizeof *at);
    if (!at) return qd_err_nomem(err, "a job");
    for (const qd_json_node *m = list->first; m; m = m->next)
        if (m->first && m->first->next)
            at[job->nparams++] = (qd_pair){qd_json_text(m->first), qd_json_text(m->first->next)};
    job->params = at;
    return 0;
}

static void read_counts(bq_job *job, const qd_json_node *c)
{
    const qd_json_node *retries = qd_json_get(c, "retries");
    job->before = (bq_status){.total = number(c, "total"),
                              .updated = number(c, "updated"),
                              .created = number(c, "created"),
                              .deleted = number(c, "deleted"),
                              .batches = number(c, "batches"),
                              .conflicts = number(c, "version_conflicts"),
                              .noops = number(c, "noops"),
                              .bulk_retries = number(retries, "bulk"),
                              .search_retries = number(retries, "search"),
                              .throttled_ns = number(c, "throttled_millis") * 1000000u};
}

int qdi_bq_record_read(bq_job *job, qd_str id, const qd_json_node *record, qd_err *err)
{
    static const char *const apis[] = {"delete_by_query", "update_by_query", "reindex"};
    const qd_json_node *run = qd_json_get(record, "run");
    const qd_json_node *api = qd_json_get(run, "api"), *params = qd_json_get(run, "params");
    const qd_json_node *body = qd_json_get(run, "body"), *counts = qd_json_get(run, "counts");
    bq_kind kind = BQ_DELETE;
    if (!run || !api || !params || !body || !counts) return damaged(id, "[run]", err);
    while (kind <= BQ_REINDEX && !qd_str_is(api->text, apis[kind])) kind++;
    if (kind > BQ_REINDEX) return damaged(id, "known API", err);
    snprintf(job->id, sizeof job->id, "%.*s", QD_STR_ARG(id));
    job->api = apis[kind];
    job->body = body->text;
    int rc = read_params(job, params, err);
    qd_request q = {.a = job->a, .params = job->params, .nparams = job->nparams, .body = job->body};
    q.arena = &job->arena;
    if (!rc) rc = qdi_bq_parse(job, &q, kind, err);
    if (rc) return rc;
    read_counts(job, counts);
    job->resumed = qd_json_get(run, "progress");
    if (number(run, "slices")) job->spec.slices = (uint32_t)number(run, "slices");
    const qd_json_node *task = qd_json_get(record, "task");
    job->start_wall_ms = (int64_t)number(task, "start_time_in_millis");
    /* what the present total is of is counted again */
    uint64_t done = job->before.created + job->before.updated + job->before.deleted +
                    job->before.conflicts + job->before.noops;
    job->before.total = done;
    return 0;
}
