/*
 * jobs.c: work of plugins in the background. One thread of the host, made for the first job, waits
 * for what is due and hands it to the pool; a job belongs to that thread, to a worker, or is gone.
 */
#include "base/list.h"
#include "plugin/host_int.h"
#include "runtime/crash.h"
#include "runtime/task.h"
#include <quidditch/jobs.h>
#include <stdio.h>

#define TELL_NS (5 * UINT64_C(1000000000)) /* a stop that waits says so this often */

typedef enum job_state {
    JOB_WAITS,  /* for its time */
    JOB_QUEUED, /* in the pool */
    JOB_RUNS,   /* its task may be cancelled */
    JOB_ENDS,
} job_state;

typedef struct job {
    qd_work work; /* first */
    qd_self *self;
    qd_job_spec spec;
    uint64_t id, due_ns;
    job_state state;
    bool cancelled, gone; /* gone: no run follows, ended is being called */
    qd_task task;
    char action[160];
    struct job *prev, *next;
} job;

struct qd_jobs {
    qd_plugin_host *host;
    qd_mutex lock;
    qd_cond changed;
    qd_thread *thread;
    job *first;
    uint64_t last_id;
    bool end;
};

int qdi_jobs_open(qd_plugin_host *h, struct qd_jobs **out)
{
    struct qd_jobs *all = qd_calloc(NULL, sizeof *all);
    if (!all) return QD_E_NOMEM;
    all->host = h;
    qd_mutex_init(&all->lock);
    qd_cond_init(&all->changed);
    *out = all;
    return 0;
}

static uint64_t now_ns(const struct qd_jobs *all)
{
    return qd_env_mono_ns(all->host->config.env);
}

/* Tells the plugin and forgets the job, which is in the list until its plugin has been told: a stop
 * waits for that. Under no lock. */
static void finish(struct qd_jobs *all, job *j)
{
    const qd_crash_call *before =
        qd_crash_call_set(&(qd_crash_call){j->self->name, "ended", j->spec.name});
    if (j->spec.ended) j->spec.ended(j->spec.arg);
    (void)qd_crash_call_set(before);
    qd_mutex_lock(&all->lock);
    QD_LIST_REMOVE(all->first, j);
    qd_free(j); /* under the lock: its account goes when the plugin has no job left */
    qd_cond_broadcast(&all->changed);
    qd_mutex_unlock(&all->lock);
}

/* --- running --- */

static void run_once(job *j)
{
    const char *component = j->self->component;
    qd_tasks *tasks = j->self->host->tasks;
    qd_err err;
    qd_err_init(&err);
    const qd_crash_call *before =
        qd_crash_call_set(&(qd_crash_call){j->self->name, "run", j->spec.name});
    int32_t rc = j->spec.run(j->spec.arg, &j->task, &err);
    (void)qd_crash_call_set(before);
    if (rc)
        qd_log_warn(component, "job [%s] failed: %s", j->spec.name,
                    err.code ? qd_err_reason(&err) : qd_code_name(rc));
    qd_err_fini(&err);
    qd_mutex_lock(&j->self->host->jobs->lock);
    j->state = JOB_ENDS; /* its task is cancelled no more */
    qd_mutex_unlock(&j->self->host->jobs->lock);
    if (tasks) qd_task_end(&j->task);
}

static void run_job(qd_work *work)
{
    job *j = (job *)work;
    struct qd_jobs *all = j->self->host->jobs;
    qd_tasks *tasks = j->self->host->tasks;
    qd_mutex_lock(&all->lock);
    bool go = !j->cancelled;
    if (go) {
        j->task = (qd_task){.magic = QD_TASK_MAGIC};
        if (tasks) qd_task_begin(tasks, &j->task, j->action, qd_str_c(j->spec.name), true);
        j->state = JOB_RUNS;
    }
    qd_mutex_unlock(&all->lock);
    if (go) run_once(j);
    qd_mutex_lock(&all->lock);
    bool again = !j->cancelled && j->spec.period_ns > 0;
    if (again) {
        j->due_ns = now_ns(all) + (uint64_t)j->spec.period_ns;
        j->state = JOB_WAITS;
        qd_cond_broadcast(&all->changed);
    }
    j->gone = !again;
    qd_mutex_unlock(&all->lock);
    if (!again) finish(all, j);
}

/* The first that is due or cancelled; *next when another one will be (0: none). Under the lock. */
static job *due(struct qd_jobs *all, uint64_t *next)
{
    uint64_t now = now_ns(all);
    *next = 0;
    for (job *j = all->first; j; j = j->next) {
        if (j->state != JOB_WAITS) continue;
        if (j->cancelled || j->due_ns <= now) return j;
        if (!*next || j->due_ns < *next) *next = j->due_ns;
    }
    return NULL;
}

static void jobs_main(void *arg)
{
    struct qd_jobs *all = arg;
    qd_mutex_lock(&all->lock);
    while (!all->end) {
        uint64_t next;
        job *j = due(all, &next);
        if (!j && next) (void)qd_cond_wait_until(&all->changed, &all->lock, next);
        if (!j && !next) qd_cond_wait(&all->changed, &all->lock);
        if (!j) continue;
        j->gone = j->cancelled;
        j->state = j->cancelled ? JOB_ENDS : JOB_QUEUED;
        bool ends = j->gone;
        qd_mutex_unlock(&all->lock);
        if (ends || qd_pool_submit_forced(all->host->config.pool, &j->work, NULL))
            finish(all, j); /* the pool is closed: the node ends */
        qd_mutex_lock(&all->lock);
    }
    qd_mutex_unlock(&all->lock);
}

/* --- the service --- */

static int check_spec(const qd_self *self, const qd_job_spec *s, qd_err *err)
{
    if (!s || s->struct_size < sizeof *s || !s->run || !s->name || !*s->name ||
        strlen(s->name) > 63)
        return qd_err_set(err, QD_E_ARG, "plugin [%s]: a job wants a name of 1 to 63 bytes and run",
                          self->name);
    if (s->delay_ns < 0 || s->period_ns < 0 ||
        (s->period_ns > 0 && s->period_ns < QD_JOB_PERIOD_LEAST))
        return qd_err_set(err, QD_E_ARG,
                          "plugin [%s]: job [%s]: wanted a delay from 0 on and a period of 0 or at "
                          "least %d ns, found %lld and %lld",
                          self->name, s->name, QD_JOB_PERIOD_LEAST, (long long)s->delay_ns,
                          (long long)s->period_ns);
    return self->host->config.pool
               ? 0
               : qd_err_set(err, QD_E_UNSUPPORTED, "this host has no pool for jobs");
}

/* Under the lock. */
static int add(struct qd_jobs *all, qd_self *self, job *j, qd_err *err)
{
    uint32_t n = 0;
    for (const job *x = all->first; x; x = x->next) n += x->self == self;
    if (self->jobs_closed || all->end)
        return qd_err_set(err, QD_E_CLOSED, "plugin [%s] is stopped", self->name);
    if (n == QD_JOBS_MAX)
        return qd_err_set(err, QD_E_LIMIT, "plugin [%s] has %u jobs already", self->name,
                          QD_JOBS_MAX);
    int rc = all->thread ? 0
                         : qd_thread_start(all->host->config.env, "jobs", jobs_main, all,
                                           &all->thread, err);
    if (rc) return rc;
    j->id = ++all->last_id;
    QD_LIST_PUSH(all->first, j);
    qd_cond_broadcast(&all->changed);
    return 0;
}

static int32_t job_start(qd_self *self, const qd_job_spec *spec, uint64_t *id, qd_err *err)
{
    QD_CHECK(self, QD_SELF_MAGIC);
    int rc = id ? check_spec(self, spec, err) : qd_err_set(err, QD_E_ARG, "a job wants an id");
    if (rc) return rc;
    struct qd_jobs *all = self->host->jobs;
    job *j = qd_calloc(&self->account, sizeof *j);
    if (!j) return qd_err_nomem(err, "a job");
    j->work.run = run_job;
    j->self = self;
    j->spec = *spec;
    j->due_ns = now_ns(all) + (uint64_t)spec->delay_ns;
    snprintf(j->action, sizeof j->action, "plugin.%s/%s", self->name, spec->name);
    qd_mutex_lock(&all->lock);
    rc = add(all, self, j, err);
    if (!rc) *id = j->id;
    qd_mutex_unlock(&all->lock);
    if (rc) qd_free(j);
    return rc;
}

/* Under the lock. */
static void cancel(struct qd_jobs *all, job *j, const char *why)
{
    j->cancelled = true;
    if (j->state == JOB_RUNS && all->host->tasks) (void)qd_task_cancel(&j->task, why);
    if (j->state == JOB_RUNS) atomic_store(&j->task.stop, QD_TASK_CANCELLED);
    qd_cond_broadcast(&all->changed);
}

static int32_t job_cancel(qd_self *self, uint64_t id)
{
    QD_CHECK(self, QD_SELF_MAGIC);
    struct qd_jobs *all = self->host->jobs;
    int32_t rc = QD_E_NOTFOUND;
    qd_mutex_lock(&all->lock);
    for (job *j = all->first; j && rc; j = j->next) {
        if (j->self != self || j->id != id || j->gone) continue;
        cancel(all, j, "its plugin asks for it");
        rc = 0;
    }
    qd_mutex_unlock(&all->lock);
    return rc;
}

const qd_svc_jobs qdi_svc_jobs = {
    {sizeof(qd_svc_jobs), QD_ABI_MAJOR, QD_ABI_MINOR, 0}, job_start, job_cancel};

/* --- the end --- */

/* One of the plugin's that is left; NULL. Under the lock. */
static const job *any_of(const struct qd_jobs *all, const qd_self *self)
{
    const job *j = all->first;
    while (j && j->self != self) j = j->next;
    return j;
}

void qdi_jobs_stop(qd_self *self)
{
    struct qd_jobs *all = self->host->jobs;
    const job *left;
    qd_mutex_lock(&all->lock);
    self->jobs_closed = true;
    for (job *j = all->first; j; j = j->next)
        if (j->self == self) cancel(all, j, "its plugin stops");
    while ((left = any_of(all, self)) != NULL) {
        if (qd_cond_wait_until(&all->changed, &all->lock, now_ns(all) + TELL_NS) == 0) continue;
        if ((left = any_of(all, self)) != NULL)
            qd_log_warn(self->component,
                        "the stop waits for job [%s], which has not ended since it was cancelled",
                        left->spec.name);
    }
    qd_mutex_unlock(&all->lock);
}

void qdi_jobs_close(struct qd_jobs *all)
{
    if (!all) return;
    qd_mutex_lock(&all->lock);
    all->end = true;
    qd_cond_broadcast(&all->changed);
    qd_mutex_unlock(&all->lock);
    if (all->thread) qd_thread_join(all->host->config.env, all->thread);
    qd_assert(all->first == NULL); /* each plugin's stop has waited for its own */
    qd_cond_fini(&all->changed);
    qd_mutex_fini(&all->lock);
    qd_free(all);
}
