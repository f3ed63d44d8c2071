/*
 * fiber.h: work that leaves its worker while it waits.
 *
 * A search is synchronous code in phases: plan, fetch, pin, run. Where the tier cannot map its
 * files a fetch waits, and a waiting search must not hold one of the few search threads. So such
 * work runs on a stack of its own; a wait (qd_latch_wait) puts the stack aside, the worker takes
 * other work, and when what was waited for has come, any worker of the same pool goes on with it.
 * Code between two waits runs on one thread; over a wait it may change threads, so it keeps no
 * thread-local state and holds no lock there: a wait under a qd_mutex or qd_rwlock blocks its
 * worker as it does anywhere else.
 *
 * In a simulation threads are fibers already and work runs where it is.
 */
#ifndef QD_RUNTIME_FIBER_H
#define QD_RUNTIME_FIBER_H

#include "runtime/pool.h"
#include "runtime/task.h"

/* Runs fn(arg) on a stack of its own, on the worker of `pool` that calls; returns when fn has
 * returned or has left to wait: the caller must not touch what fn owns afterwards. On a fiber, in a
 * simulation and when there is no memory for a stack it simply runs fn. [worker] */
void qd_fiber_run(qd_pool *pool, void (*fn)(void *arg), void *arg);
/* The task whose end (cancelled, deadline passed) is looked for while the calling fiber waits;
 * NULL: none. Returns the one before. Elsewhere than on a fiber it does nothing. [worker] */
qd_task *qd_fiber_task_set(qd_task *task);
/* The task last set on the calling fiber; NULL: none, or no fiber. [any] */
qd_task *qd_fiber_task(void);
/* Does the caller run on a fiber? [any] */
bool qd_fiber_here(void);

#endif
