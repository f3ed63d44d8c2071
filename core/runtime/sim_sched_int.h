/*
 * sim_sched_int.h: the scheduler of a simulation, for the simulated threads, loops and pools.
 */
#ifndef QD_RUNTIME_SIM_SCHED_INT_H
#define QD_RUNTIME_SIM_SCHED_INT_H

#include "runtime/sim_env.h"
#include "runtime/sync.h"

typedef struct qdi_fiber qdi_fiber;

/* Simulated env: struct qd_env first. */
typedef struct qdi_sim_env {
    qd_env base;
    qd_sim *sim;
    qd_prng prng;
    int64_t wall_us;    /* wall time at virtual time 0 */
    uint64_t frozen_ns; /* no fiber of it runs before */
    double rate;        /* of its clocks */
    uint64_t behind_ns; /* its clocks stood still so long */
    uint64_t asleep_ns; /* and of that the boot clock went on */
    bool stopped, asleep;
    struct qdi_sim_env *next;
} qdi_sim_env;

/* Starts a fiber of env that runs fn(arg), soon. NULL when out of memory. */
qdi_fiber *qdi_fiber_start(qd_env *env, void (*fn)(void *arg), void *arg);
/* Waits for its end and frees it. */
void qdi_fiber_join(qd_sim *sim, qdi_fiber *f);
/* The running fiber; the driver counts as one. */
qdi_fiber *qdi_fiber_here(const qd_sim *sim);
/* Blocks the running fiber until qdi_fiber_wake or until its env's clock shows until_ns
 * (UINT64_MAX: no end); true when woken. */
bool qdi_fiber_block(qd_sim *sim, uint64_t until_ns);
/* Makes a blocked fiber run again in at most max_delay_ns, chosen by the seed. */
void qdi_fiber_wake(qd_sim *sim, qdi_fiber *f, uint64_t max_delay_ns);
/* The env functions of loops and pools. */
int qdi_loop_sim_open(qd_env *env, const char *name, struct qd_loop **out, qd_err *err);
int qdi_pool_sim_open(qd_env *env, const char *name, uint32_t threads, uint32_t queue_max,
                      struct qd_pool **out, qd_err *err);

#endif
