/*
 * jobs.h: the service `jobs`, version 1.0 (since 1.6): work of a plugin in the background, once or
 * again and again, on the host's pool. _tasks lists each run as "plugin.<plugin>/<name>" and may
 * cancel it. Before the host calls the plugin's stop it cancels all jobs and waits for their ends.
 */
#ifndef QUIDDITCH_JOBS_H
#define QUIDDITCH_JOBS_H

#include <quidditch/abi.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QD_JOBS_MAX 64u              /* of one plugin at a time */
#define QD_JOB_PERIOD_LEAST 10000000 /* 10 ms */

/* What to do when; borrow, but name and arg. */
typedef struct qd_job_spec {
    uint32_t struct_size, reserved;
    const char *name;  /* static, 1 to 63 bytes */
    int64_t delay_ns;  /* before the first run; 0: at once */
    int64_t period_ns; /* from the end of a run to the next one; 0: it runs once */
    /* One run; an error is logged, and the next run follows all the same. It returns soon once the
     * task is cancelled: the plugin's stop waits for it. [worker], one run of a job at a time. */
    int32_t (*run)(void *arg, const qd_task *task, qd_err *err);
    /* Exactly once when no run follows any more; arg may go. May be NULL. [worker], or the thread
     * of the host that stops the plugin. */
    void (*ended)(void *arg);
    void *arg; /* keep until ended */
} qd_job_spec;

typedef struct qd_svc_jobs {
    qd_vtable head;
    /* *id names the job for cancel; run may begin before it returns. ARG: the spec; LIMIT: too many
     * jobs; CLOSED: the plugin stops; UNSUPPORTED: this host has no pool. [any] */
    int32_t (*start)(qd_self *, const qd_job_spec *, uint64_t *id, qd_err *);
    /* A request: the run under way sees its task cancelled, no further one begins, ended follows.
     * NOTFOUND: it has ended. [any], also within run */
    int32_t (*cancel)(qd_self *, uint64_t id);
} qd_svc_jobs;

#ifdef __cplusplus
}
#endif
#endif
