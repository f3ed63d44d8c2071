/* sync.c: the waiting halves of the locks. See sync.h. */
#include "runtime/sync.h"
#include "runtime/fiber_int.h"
#include "runtime/sim_int.h"
#include <errno.h>
#include <time.h>

_Thread_local const struct qdi_sim_hooks *qdi_sim;
#if QDI_LOCKS_INLINE
_Thread_local uint32_t qdi_locks_held;
__attribute__((noinline)) static uint32_t locks_held(void)
{
    return qdi_locks_held;
}
#else
static _Thread_local uint32_t held;
__attribute__((noinline)) void qdi_locks_add(uint32_t n)
{
    held += n;
}
__attribute__((noinline)) static uint32_t locks_held(void)
{
    return held;
}
#endif

void qd_mutex_init(qd_mutex *m)
{
    int rc = pthread_mutex_init(&m->m, NULL);
    qd_assert(rc == 0);
}

void qd_mutex_fini(qd_mutex *m)
{
    int rc = pthread_mutex_destroy(&m->m);
    qd_assert(rc == 0); /* EBUSY: somebody holds it */
}

void qd_mutex_lock_wait(qd_mutex *m)
{
    if (qdi_sim) {
        while (pthread_mutex_trylock(&m->m) != 0) qdi_sim->yield();
        return;
    }
    int rc = pthread_mutex_lock(&m->m);
    qd_assert(rc == 0);
}

void qd_cond_init(qd_cond *c)
{
    pthread_condattr_t attr;
    int rc = pthread_condattr_init(&attr);
    qd_assert(rc == 0);
    rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    qd_assert(rc == 0);
    rc = pthread_cond_init(&c->c, &attr);
    qd_assert(rc == 0);
    pthread_condattr_destroy(&attr);
}

void qd_cond_fini(qd_cond *c)
{
    pthread_cond_destroy(&c->c);
}

void qd_cond_wait(qd_cond *c, qd_mutex *m)
{
    if (qdi_sim) {
        qdi_sim->cond_wait(c, m, 0);
        return;
    }
    int rc = pthread_cond_wait(&c->c, &m->m);
    qd_assert(rc == 0);
}

int qd_cond_wait_until(qd_cond *c, qd_mutex *m, uint64_t mono_ns)
{
    if (qdi_sim) return qdi_sim->cond_wait(c, m, mono_ns ? mono_ns : 1);
    struct timespec ts = {.tv_sec = (time_t)(mono_ns / 1000000000u),
                          .tv_nsec = (long)(mono_ns % 1000000000u)};
    int rc = pthread_cond_timedwait(&c->c, &m->m, &ts);
    qd_assert(rc == 0 || rc == ETIMEDOUT);
    return rc == 0 ? 0 : QD_E_TIMEOUT;
}

void qd_cond_signal(qd_cond *c)
{
    if (qdi_sim) {
        qdi_sim->cond_wake(c, false);
        return;
    }
    pthread_cond_signal(&c->c);
}

void qd_cond_broadcast(qd_cond *c)
{
    if (qdi_sim) {
        qdi_sim->cond_wake(c, true);
        return;
    }
    pthread_cond_broadcast(&c->c);
}

void qd_rwlock_init(qd_rwlock *l)
{
    int rc = pthread_rwlock_init(&l->l, NULL);
    qd_assert(rc == 0);
}

void qd_rwlock_fini(qd_rwlock *l)
{
    int rc = pthread_rwlock_destroy(&l->l);
    qd_assert(rc == 0);
}

void qd_rwlock_read_wait(qd_rwlock *l)
{
    if (qdi_sim) {
        while (pthread_rwlock_tryrdlock(&l->l) != 0) qdi_sim->yield();
        return;
    }
    int rc = pthread_rwlock_rdlock(&l->l);
    qd_assert(rc == 0);
}

void qd_rwlock_write_wait(qd_rwlock *l)
{
    if (qdi_sim) {
        while (pthread_rwlock_trywrlock(&l->l) != 0) qdi_sim->yield();
        return;
    }
    int rc = pthread_rwlock_wrlock(&l->l);
    qd_assert(rc == 0);
}

void qd_latch_init(qd_latch *l, uint32_t n)
{
    qd_mutex_init(&l->m);
    qd_cond_init(&l->c);
    l->left = n;
    l->rc = 0;
    l->fiber = NULL;
}

void qd_latch_add(qd_latch *l, uint32_t n)
{
    qd_mutex_lock(&l->m);
    l->left += n;
    qd_mutex_unlock(&l->m);
}

void qd_latch_done(qd_latch *l, int32_t rc)
{
    qd_mutex_lock(&l->m);
    qd_assert(l->left > 0);
    if (rc < 0 && l->rc == 0) l->rc = rc;
    bool last = --l->left == 0;
    qd_fiber *f = last ? l->fiber : NULL;
    /* Signalled under the lock: the waiter may free the latch once it gets the lock back. A fiber
     * does not run before it is handed over. */
    if (last && !f) qd_cond_signal(&l->c);
    qd_mutex_unlock(&l->m);
    if (f) qdi_fiber_resume(f);
}

/* Under the latch's lock, on a thread that has nothing else to do meanwhile. */
static void wait_here(qd_latch *l, uint64_t mono_ns, void (*stop)(void *arg), void *arg)
{
    while (l->left > 0 && mono_ns) {
        if (qd_cond_wait_until(&l->c, &l->m, mono_ns) == 0 || l->left == 0) continue;
        mono_ns = 0;
        qd_mutex_unlock(&l->m);
        stop(arg);
        qd_mutex_lock(&l->m);
    }
    while (l->left > 0) qd_cond_wait(&l->c, &l->m);
}

int32_t qd_latch_wait_until(qd_latch *l, uint64_t mono_ns, bool task, void (*stop)(void *arg),
                            void *arg)
{
    qd_mutex_lock(&l->m);
    if (l->left > 0 && qdi_fiber_now() && locks_held() == 1) {
        qdi_fiber_park(l, mono_ns, task, stop, arg); /* gives the lock back */
        qd_mutex_lock(&l->m);
    }
    wait_here(l, mono_ns, stop, arg);
    int32_t rc = l->rc;
    qd_mutex_unlock(&l->m);
    qd_cond_fini(&l->c);
    qd_mutex_fini(&l->m);
    return rc;
}

int32_t qd_latch_wait_stop(qd_latch *l, void (*stop)(void *arg), void *arg)
{
    return qd_latch_wait_until(l, 0, true, stop, arg);
}

int32_t qd_latch_wait(qd_latch *l)
{
    return qd_latch_wait_stop(l, NULL, NULL);
}
