/* waitq.c: see waitq.h. */
#include "runtime/waitq.h"

typedef struct qd_waiter {
    struct qd_waiter *next;
    qd_waitq *q;
    qd_latch latch;
    bool gone; /* out of the list: it was woken, or gave up */
} qd_waiter;

void qd_waitq_init(qd_waitq *q, qd_mutex *lock)
{
    *q = (qd_waitq){.lock = lock};
}

void qd_waitq_wake(qd_waitq *q)
{
    qd_waiter *next;
    for (qd_waiter *w = q->first; w; w = next) {
        next = w->next; /* it may run, and be gone, as soon as it is told */
        w->gone = true;
        qd_latch_done(&w->latch, 0);
    }
    q->first = NULL;
}

/* Its time is over. */
static void give_up(void *arg)
{
    qd_waiter *w = arg;
    qd_waitq *q = w->q;
    qd_mutex_lock(q->lock);
    if (!w->gone) {
        qd_waiter **at = &q->first;
        while (*at != w) at = &(*at)->next;
        *at = w->next;
        w->gone = true;
        qd_latch_done(&w->latch, QD_E_TIMEOUT);
    }
    qd_mutex_unlock(q->lock);
}

static int wait(qd_waitq *q, uint64_t mono_ns, bool task)
{
    qd_waiter w = {.next = q->first, .q = q};
    qd_latch_init(&w.latch, 1);
    q->first = &w;
    qd_mutex_unlock(q->lock);
    int rc = qd_latch_wait_until(&w.latch, mono_ns, task, give_up, &w);
    qd_mutex_lock(q->lock);
    return rc;
}

int qd_waitq_wait(qd_waitq *q, uint64_t mono_ns)
{
    return wait(q, mono_ns, false);
}

int qd_waitq_wait_task(qd_waitq *q, uint64_t mono_ns)
{
    return wait(q, mono_ns, true);
}
