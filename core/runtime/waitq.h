/*
 * waitq.h: a condition whose waiters leave their worker.
 *
 * As a qd_cond under the owner's mutex, for waits that may last: on a fiber (fiber.h) that holds no
 * other lock a waiter gives its worker back, elsewhere its thread sleeps. Waking when nobody waits
 * costs one load.
 *
 *   qd_mutex_lock(&g->lock);
 *   while (!g->ready && qd_waitq_wait(&g->changed, until) == 0) continue;
 *   qd_mutex_unlock(&g->lock);
 */
#ifndef QD_RUNTIME_WAITQ_H
#define QD_RUNTIME_WAITQ_H

#include "runtime/sync.h"

struct qd_waiter;

typedef struct qd_waitq {
    qd_mutex *lock;
    struct qd_waiter *first; /* under the lock */
} qd_waitq;

/* Prepares one under a mutex of its owner, which outlives it. [any] */
void qd_waitq_init(qd_waitq *q, qd_mutex *lock);
/* Gives the lock back, waits until it is woken or until mono_ns (0: for ever), takes the lock
 * again. 0: it was woken, for whatever reason; QD_E_TIMEOUT. [worker] */
int qd_waitq_wait(qd_waitq *q, uint64_t mono_ns);
/* The same; the end of the waiting fiber's task ends it too, with QD_E_TIMEOUT. [worker] */
int qd_waitq_wait_task(qd_waitq *q, uint64_t mono_ns);
/* Wakes all waiters; under the lock. [any] */
void qd_waitq_wake(qd_waitq *q);

#endif
