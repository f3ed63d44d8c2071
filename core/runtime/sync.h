/*
 * sync.h: mutex, condition, read-write lock and a completion to wait for, over pthread.
 *
 * The uncontended paths are inline, so that ThreadSanitizer sees them as what they are. A thread
 * that would have to wait goes through runtime, which lets a simulated thread yield to the others
 * instead of stopping the world. Waiting is for workers: a loop that blocks is a defect.
 */
#ifndef QD_RUNTIME_SYNC_H
#define QD_RUNTIME_SYNC_H

#include "runtime/env.h"
#include <pthread.h>

typedef struct qd_mutex {
    pthread_mutex_t m;
} qd_mutex;
typedef struct qd_cond {
    pthread_cond_t c;
} qd_cond;
typedef struct qd_rwlock {
    pthread_rwlock_t l;
} qd_rwlock;

/* Locks that the calling thread holds, counted: a wait under one does not leave its worker
 * (fiber.h). A function where a compiler may keep the address of a thread's variable over a call:
 * with ThreadSanitizer it does so everywhere.
 */
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
#define QDI_LOCKS_INLINE 1
extern _Thread_local uint32_t qdi_locks_held;
#define qdi_locks_add(n) ((void)(qdi_locks_held += (n)))
#else
#define QDI_LOCKS_INLINE 0
/* Counts n locks more. */
void qdi_locks_add(uint32_t n);
#endif

#define QD_MUTEX_INIT                                                                              \
    {                                                                                              \
        PTHREAD_MUTEX_INITIALIZER                                                                  \
    }

/* Prepares a mutex. [any] */
void qd_mutex_init(qd_mutex *m);
/* Ends a mutex that nobody holds. [any] */
void qd_mutex_fini(qd_mutex *m);
/* The waiting half of qd_mutex_lock. */
void qd_mutex_lock_wait(qd_mutex *m);
/* Takes the mutex; not recursive. [any] */
static inline void qd_mutex_lock(qd_mutex *m)
{
    if (QD_UNLIKELY(pthread_mutex_trylock(&m->m) != 0)) qd_mutex_lock_wait(m);
    qdi_locks_add(1);
}
/* Takes the mutex if nobody holds it. [any] */
static inline bool qd_mutex_trylock(qd_mutex *m)
{
    if (pthread_mutex_trylock(&m->m) != 0) return false;
    qdi_locks_add(1);
    return true;
}
/* Gives the mutex back. [any] */
static inline void qd_mutex_unlock(qd_mutex *m)
{
    int rc = pthread_mutex_unlock(&m->m);
    qd_assert(rc == 0);
    qdi_locks_add(-1u);
}

/* Prepares a condition (timed waits count on the monotonic clock). [any] */
void qd_cond_init(qd_cond *c);
/* Ends a condition that nobody waits for. [any] */
void qd_cond_fini(qd_cond *c);
/* Gives m back, waits for a signal, takes m again; may wake for no reason. [worker] */
void qd_cond_wait(qd_cond *c, qd_mutex *m);
/* The same until mono_ns (of the caller's env) at most: 0 or QD_E_TIMEOUT. [worker] */
int qd_cond_wait_until(qd_cond *c, qd_mutex *m, uint64_t mono_ns);
/* Wakes one waiter. [any] */
void qd_cond_signal(qd_cond *c);
/* Wakes all waiters. [any] */
void qd_cond_broadcast(qd_cond *c);

/* Prepares a read-write lock. [any] */
void qd_rwlock_init(qd_rwlock *l);
/* Ends a lock that nobody holds. [any] */
void qd_rwlock_fini(qd_rwlock *l);
/* The waiting half of qd_rwlock_read. [worker] */
void qd_rwlock_read_wait(qd_rwlock *l);
/* The waiting half of qd_rwlock_write. [worker] */
void qd_rwlock_write_wait(qd_rwlock *l);
/* Takes the lock together with other readers. [any] */
static inline void qd_rwlock_read(qd_rwlock *l)
{
    if (QD_UNLIKELY(pthread_rwlock_tryrdlock(&l->l) != 0)) qd_rwlock_read_wait(l);
    qdi_locks_add(1);
}
/* Takes the lock alone. [any] */
static inline void qd_rwlock_write(qd_rwlock *l)
{
    if (QD_UNLIKELY(pthread_rwlock_trywrlock(&l->l) != 0)) qd_rwlock_write_wait(l);
    qdi_locks_add(1);
}
/* Gives the lock back, whichever way it was taken. [any] */
static inline void qd_rwlock_unlock(qd_rwlock *l)
{
    int rc = pthread_rwlock_unlock(&l->l);
    qd_assert(rc == 0);
    qdi_locks_add(-1u);
}

/* Waits for a number of completions, keeps the first error. For synchronous code on a worker over
 * asynchronous operations; on a fiber that holds no lock the wait leaves the worker (fiber.h). The
 * memory may go as soon as qd_latch_wait has returned. */
typedef struct qd_latch {
    qd_mutex m;
    qd_cond c;
    uint32_t left;
    int32_t rc;
    struct qd_fiber *fiber; /* that waits */
} qd_latch;
/* Prepares a latch that waits for n completions. [any] */
void qd_latch_init(qd_latch *l, uint32_t n);
/* One more completion to wait for; before the wait. [any] */
void qd_latch_add(qd_latch *l, uint32_t n);
/* Counts one completion; rc < 0 is kept if it is the first. [any] */
void qd_latch_done(qd_latch *l, int32_t rc);
/* Waits until all have come; returns 0 or the first error, and ends the latch. [worker] */
int32_t qd_latch_wait(qd_latch *l);
/* The same; when the task of the waiting fiber is cancelled or its deadline passes meanwhile,
 * stop(arg) is called once, on some thread that may not wait, to make the completions come early.
 * They are waited for nevertheless, and stop has returned before this does. [worker] */
int32_t qd_latch_wait_stop(qd_latch *l, void (*stop)(void *arg), void *arg);
/* The same with a time: stop(arg) is called once mono_ns has come (0: never), some milliseconds
 * late on a fiber; with task also as above. [worker] */
int32_t qd_latch_wait_until(qd_latch *l, uint64_t mono_ns, bool task, void (*stop)(void *arg),
                            void *arg);

#endif
