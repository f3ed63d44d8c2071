/* run.c: a job from its beginning to its end: slices at once, at a rate, until it is stopped. */
#include "action/byquery/byquery_int.h"
#include "base/str.h"
#include "runtime/fiber.h"
#include "runtime/pool.h"
#include <stdio.h>

#define FAILURES_MAX ((size_t)64 << 20)
#define FAR_NS UINT64_C(500000000) /* a pause before which the record is written */

void qdi_bq_init(bq_job *job, qd_actions *a)
{
    *job = (bq_job){.a = a,
                    .seq_no = -1,
                    .start_ns = qd_env_mono_ns(a->env),
                    .start_wall_ms = qd_env_wall_ms(a->env)};
    qd_arena_init(&job->arena, a->account, 0);
    qd_mutex_init(&job->lock);
    qd_mutex_init(&job->record);
    qd_waitq_init(&job->changed, &job->lock);
    qd_buf_init(&job->failures, a->account, FAILURES_MAX);
}

void qdi_bq_fini(bq_job *job)
{
    for (uint32_t i = 0; job->slices && i < job->nslices; i++) {
        qdi_marks_fini(&job->slices[i].marks);
        qd_err_fini(&job->slices[i].err);
    }
    qd_buf_fini(&job->failures);
    qd_mutex_fini(&job->record);
    qd_mutex_fini(&job->lock);
    qd_arena_fini(&job->arena);
}

int qdi_bq_check(bq_slice *s, qd_err *err)
{
    bq_job *job = s->job;
    if (atomic_load(&job->leaves)) return qd_err_set(err, QD_E_CANCELLED, "the node stops");
    return qd_task_check(job->task, err);
}

/* When the batch before has had the time that the rate gives it. Under the job's lock. */
static uint64_t next_batch(const bq_slice *s)
{
    double rate = s->job->rate / s->job->nslices;
    double ns = rate > 0 ? (double)s->before_n / rate * 1e9 : 0;
    return s->before_ns + (uint64_t)(ns < 0x1p62 ? ns : 0x1p62);
}

int qdi_bq_pause(bq_slice *s, qd_err *err)
{
    bq_job *job = s->job;
    uint64_t from = qd_env_mono_ns(job->a->env), now = from;
    qd_mutex_lock(&job->lock);
    bool far = next_batch(s) > now + FAR_NS;
    qd_mutex_unlock(&job->lock);
    int rc = far ? qdi_bq_record(job, true, err) : 0;
    if (rc) return rc;
    for (;;) {
        if (qd_task_poll(job->task)) break;
        qd_mutex_lock(&job->lock);
        s->until_ns = next_batch(s);
        bool go = s->until_ns <= now || job->stopped || atomic_load(&job->leaves);
        if (!go) (void)qd_waitq_wait_task(&job->changed, s->until_ns);
        qd_mutex_unlock(&job->lock);
        if (go) break;
        now = qd_env_mono_ns(job->a->env);
    }
    qd_mutex_lock(&job->lock);
    s->status.throttled_ns += now - from;
    s->until_ns = 0;
    qd_mutex_unlock(&job->lock);
    return 0;
}

/* --- slices --- */

static void run_slice(bq_slice *s)
{
    bq_job *job = s->job;
    qd_task *before = qd_fiber_task_set(job->task);
    int rc = qdi_bq_read(s, &s->err);
    qdi_marks_refresh(&s->marks, job->a, job->task);
    (void)qd_fiber_task_set(before);
    qd_mutex_lock(&job->lock);
    s->rc = rc;
    job->running--;
    if (rc) job->stopped = true;
    qd_waitq_wake(&job->changed);
    qd_mutex_unlock(&job->lock);
}

static void run_child(void *arg)
{
    run_slice(arg);
}

static void child_work(qd_work *work)
{
    bq_slice *s = work->user;
    qd_fiber_run(qd_pools_get(s->job->a->pools, "generic"), run_child, s);
}

static void run_slices(bq_job *job)
{
    qd_pool *pool = qd_pools_get(job->a->pools, "generic");
    job->running = job->nslices;
    for (uint32_t i = 1; i < job->nslices; i++) {
        bq_slice *s = &job->slices[i];
        s->work = (qd_work){.run = child_work, .user = s};
        if (qd_pool_submit(pool, &s->work, NULL)) run_slice(s);
    }
    run_slice(&job->slices[0]);
    qd_mutex_lock(&job->lock);
    while (job->running) (void)qd_waitq_wait(&job->changed, 0);
    qd_mutex_unlock(&job->lock);
}

/* --- the end --- */

static uint64_t done_of(const bq_job *job)
{
    uint64_t n = job->before.batches;
    for (uint32_t i = 0; i < job->nslices; i++) n += job->slices[i].status.batches;
    return n;
}

/* What the task's error says between brackets. */
static void note_cancelled(bq_job *job)
{
    qd_err why;
    qd_err_init(&why);
    if (qd_task_check(job->task, &why) == QD_E_CANCELLED) {
        qd_str text = qd_str_c(qd_err_reason(&why)), rest = text;
        (void)qd_str_split(&rest, '[');
        if (rest.n) text = qd_str_sub(rest, 0, rest.n - 1);
        qd_mutex_lock(&job->lock);
        snprintf(job->why, sizeof job->why, "%.*s", QD_STR_ARG(text));
        job->cancelled = true;
        qd_mutex_unlock(&job->lock);
    }
    qd_err_fini(&why);
}

/* The first error of a slice: the job's when nothing was done, else a failure beside what was. */
static int gather_errors(bq_job *job, qd_err *err)
{
    for (uint32_t i = 0; i < job->nslices; i++) {
        bq_slice *s = &job->slices[i];
        if (!s->rc || (job->cancelled && s->rc == QD_E_CANCELLED)) continue;
        if (atomic_load(&job->leaves) || s->rc == QD_E_FENCED || !done_of(job)) {
            int rc = s->rc;
            qd_err_copy(err, &s->err);
            return rc;
        }
        qdi_bq_failed(job, &s->err);
    }
    return 0;
}

int qdi_bq_run(bq_job *job, qd_err *err)
{
    qd_mutex_lock(&job->lock);
    if (!job->background) job->rate = job->spec.rate; /* else since its task began */
    qd_mutex_unlock(&job->lock);
    int rc = qdi_bq_open(job, err);
    if (!rc) {
        run_slices(job);
        note_cancelled(job);
        rc = gather_errors(job, err);
    }
    qdi_bq_close(job);
    return rc;
}
