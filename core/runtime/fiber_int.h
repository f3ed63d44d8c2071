/* fiber_int.h: what pools know of fibers. See fiber.h. */
#ifndef QD_RUNTIME_FIBER_INT_H
#define QD_RUNTIME_FIBER_INT_H

#include "runtime/fiber.h"
#include "runtime/sync.h"

typedef struct qd_fiber qd_fiber;

/* The part of a fiber that its pool handles, under the pool's lock. */
typedef struct qdi_parked {
    qd_work work; /* goes on with the fiber */
    struct qdi_parked *prev, *next;
    qd_task *task;           /* NULL: none */
    void (*stop)(void *arg); /* asks what is waited for to end early; NULL: cannot */
    void *stop_arg;
    uint64_t until_ns; /* stop is called then; 0: never */
    bool task_ends;    /* stop is called when the task ends */
    bool stopped;      /* stop was called in this wait */
    bool held;         /* still leaving its worker, or stop runs just now: not to be queued */
    bool came;         /* what it waits for came while it was held */
} qdi_parked;

/* On a fiber: gives l->m back, which is held, and leaves the worker; the latch's last completion
 * resumes it. The rest: see qd_latch_wait_until. */
void qdi_fiber_park(qd_latch *l, uint64_t until_ns, bool task_ends, void (*stop)(void *arg),
                    void *stop_arg);
/* Hands a parked fiber to its pool. [any] */
void qdi_fiber_resume(qd_fiber *f);
/* The fiber that runs on this thread, NULL: none. */
qd_fiber *qdi_fiber_now(void);
/* If the address is on the stack of the fiber that runs on this thread, its bounds; else they are
 * left alone. Also in a signal's handler. */
void qdi_fiber_stack(uintptr_t at, uintptr_t *low, uintptr_t *end);

#endif
