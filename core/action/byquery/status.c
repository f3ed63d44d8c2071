/* status.c: what a job has done, as its answer and lists of tasks show it. */
#include "action/byquery/remote_int.h"
#include "base/str.h"

static void add(bq_status *to, const bq_status *s)
{
    to->total += s->total;
    to->updated += s->updated;
    to->created += s->created;
    to->deleted += s->deleted;
    to->batches += s->batches;
    to->conflicts += s->conflicts;
    to->noops += s->noops;
    to->bulk_retries += s->bulk_retries;
    to->search_retries += s->search_retries;
    to->throttled_ns += s->throttled_ns;
}

/* Milliseconds until a slice goes on. Under the job's lock. */
static int64_t waits_ms(const bq_slice *s)
{
    uint64_t now = qd_env_mono_ns(s->job->a->env);
    return s->until_ns > now ? (int64_t)((s->until_ns - now) / 1000000u) : 0;
}

static void counts(const bq_job *job, const bq_status *s, double rate, int64_t until_ms,
                   qd_json_writer *w)
{
    bq_kind kind = job->spec.kind;
    qd_json_field_int(w, "total", (int64_t)s->total);
    if (kind != BQ_DELETE) qd_json_field_int(w, "updated", (int64_t)s->updated);
    if (kind == BQ_REINDEX) qd_json_field_int(w, "created", (int64_t)s->created);
    qd_json_field_int(w, "deleted", (int64_t)s->deleted);
    qd_json_field_int(w, "batches", (int64_t)s->batches);
    qd_json_field_int(w, "version_conflicts", (int64_t)s->conflicts);
    qd_json_field_int(w, "noops", (int64_t)s->noops);
    qd_json_key_c(w, "retries");
    qd_json_object(w);
    qd_json_field_int(w, "bulk", (int64_t)s->bulk_retries);
    qd_json_field_int(w, "search", (int64_t)s->search_retries);
    qd_json_object_end(w);
    qd_json_field_int(w, "throttled_millis", (int64_t)(s->throttled_ns / 1000000u));
    qd_json_key_c(w, "requests_per_second");
    qd_json_float(w, rate > 0 ? (float)rate : -1.0f);
    if (job->cancelled) qd_json_field_c(w, "canceled", job->why);
    qd_json_field_int(w, "throttled_until_millis", until_ms);
}

void qdi_bq_status_write(bq_job *job, bool slices, qd_json_writer *w)
{
    int64_t until = INT64_MAX;
    qd_mutex_lock(&job->lock);
    bq_status sum = job->before;
    for (uint32_t i = 0; job->slices && i < job->nslices; i++) {
        int64_t ms = waits_ms(&job->slices[i]);
        add(&sum, &job->slices[i].status);
        if (ms < until) until = ms;
    }
    counts(job, &sum, job->rate, until == INT64_MAX ? 0 : until, w);
    if (slices && job->slices && job->nslices > 1) {
        qd_json_key_c(w, "slices");
        qd_json_array(w);
        for (uint32_t i = 0; i < job->nslices; i++) {
            const bq_slice *s = &job->slices[i];
            qd_json_object(w);
            qd_json_field_int(w, "slice_id", s->id);
            counts(job, &s->status, job->rate / job->nslices, waits_ms(s), w);
            qd_json_object_end(w);
        }
        qd_json_array_end(w);
    }
    qd_mutex_unlock(&job->lock);
}

void qdi_bq_answer(bq_job *job, qd_json_writer *w)
{
    uint64_t took = qd_env_mono_ns(job->a->env) - job->start_ns;
    qd_json_object(w);
    qd_json_field_int(w, "took", (int64_t)(took / 1000000u));
    qd_json_field_bool(w, "timed_out", false);
    qdi_bq_status_write(job, true, w);
    qd_json_key_c(w, "failures");
    qd_json_array(w);
    if (job->failures.n) qd_json_raw_bytes(w, qd_buf_view(&job->failures));
    qd_json_array_end(w);
    qd_json_object_end(w);
}

qd_str qdi_bq_description(const bq_spec *s, qd_arena *arena)
{
    static const char *const what[] = {"delete-by-query", "update-by-query", "reindex from"};
    qd_str index = s->index.n ? s->index : QD_STR("_all");
    bool copy = s->kind == BQ_REINDEX;
    const bq_remote *r = s->remote;
    if (r)
        return qd_arena_printf(
            arena, "reindex from [scheme=%s host=%s port=%d%s%s%s%s%s][%.*s] to [%.*s]", r->scheme,
            r->host, r->port, r->prefix[0] ? " pathPrefix=" : "", r->prefix,
            r->username ? " username=" : "", r->username ? r->username : "",
            r->password ? " password=<<>>" : "", QD_STR_ARG(s->index), QD_STR_ARG(s->dest));
    return qd_arena_printf(arena, "%s [%.*s]%s%.*s%s", what[s->kind], QD_STR_ARG(index),
                           copy ? " to [" : "", QD_STR_ARG(s->dest), copy ? "]" : "");
}
