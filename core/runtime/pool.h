/*
 * pool.h: bounded pools of workers, named as in Elasticsearch (search, write, get, ...).
 *
 * A submit never waits and allocates nothing: the work is a struct embedded by the caller. A full
 * queue answers QD_E_REJECTED, which REST shows as 429. Threads start when they are first needed.
 * A worker that finds nothing spins for some 30 us (one worker of a pool at a time) before it
 * sleeps, since waking a sleeper costs more than a small request. Work runs in the order of
 * arrival.
 */
#ifndef QD_RUNTIME_POOL_H
#define QD_RUNTIME_POOL_H

#include "runtime/env.h"

typedef struct qd_pool qd_pool;

/* Work for a pool; embedded by the caller, untouched from submit until run, which may free it. */
typedef struct qd_work {
    struct qd_work *next;
    void (*run)(struct qd_work *work);
    void *user;         /* the caller's */
    uint64_t queued_ns; /* when it was submitted */
} qd_work;

/* What _nodes/stats and _cat/thread_pool show. */
typedef struct qd_pool_stats {
    const char *name;
    uint32_t threads, threads_max;
    uint32_t active, queue, queue_max, largest; /* largest: threads at work at one time */
    uint64_t rejected, completed;
    uint64_t wait_ns;                /* sum over completed work of the time in the queue */
    uint32_t parked, parked_largest; /* left their worker to wait (fiber.h); the most at one time */
    uint64_t parks;                  /* times that work left its worker */
} qd_pool_stats;

/* Opens a pool of at most `threads` workers and queue_max waiting pieces (UINT32_MAX: no bound, for
 * management work that bounds itself). name is copied. 0 or QD_E_NOMEM. [any] */
QD_MUST_CHECK
int qd_pool_open(qd_env *env, const char *name, uint32_t threads, uint32_t queue_max, qd_pool **out,
                 qd_err *err);
/* Runs work->run(work) on a worker. 0, QD_E_REJECTED (queue full), QD_E_CLOSED (closing); err gets
 * Elasticsearch's text. On failure run never runs. [any] */
QD_MUST_CHECK
int qd_pool_submit(qd_pool *pool, qd_work *work, qd_err *err);
/* The same, but a full queue does not refuse: for the second half of work already admitted (a
 * replica's write, an answer to a waiting client). 0 or QD_E_CLOSED. [any] */
QD_MUST_CHECK
int qd_pool_submit_forced(qd_pool *pool, qd_work *work, qd_err *err);
/* Refuses new work, runs what is queued, joins the workers, frees the pool. [any but a worker] */
void qd_pool_close(qd_pool *pool);
/* Changes the bounds of a running pool; fewer threads take effect as workers fall idle. [any] */
void qd_pool_resize(qd_pool *pool, uint32_t threads, uint32_t queue_max);
/* Reads the counters. [any] */
void qd_pool_stats_get(qd_pool *pool, qd_pool_stats *out);
/* Its name. [any] */
const char *qd_pool_name(const qd_pool *pool);
/* The env it belongs to. [any] */
qd_env *qd_pool_env(const qd_pool *pool);

/* All pools of a node, by name. Filled at start by main, read only afterwards. */
#define QD_POOLS_MAX 32
typedef struct qd_pools {
    qd_pool *at[QD_POOLS_MAX];
    uint32_t n;
} qd_pools;
/* Opens a pool and adds it. 0, QD_E_NOMEM, QD_E_LIMIT (too many pools). */
QD_MUST_CHECK
int qd_pools_add(qd_pools *pools, qd_env *env, const char *name, uint32_t threads,
                 uint32_t queue_max, qd_err *err);
/* The pool of this name; asserts that it exists, as the names are fixed at start. [any] */
qd_pool *qd_pools_get(const qd_pools *pools, const char *name);
/* The same, NULL when there is none. [any] */
qd_pool *qd_pools_find(const qd_pools *pools, qd_str name);
/* Closes all, in reverse order of opening. */
void qd_pools_close(qd_pools *pools);

#endif
