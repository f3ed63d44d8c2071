/*
 * sim_int.h: how locks and conditions reach the simulator. A thread that belongs to a simulation
 * has qdi_sim set; then a wait yields to the other simulated threads instead of stopping the world.
 */
#ifndef QD_RUNTIME_SIM_INT_H
#define QD_RUNTIME_SIM_INT_H

#include "runtime/sync.h"

struct qdi_sim_hooks {
    void (*yield)(void); /* let others run, come back later */
    int (*cond_wait)(qd_cond *c, qd_mutex *m, uint64_t until_ns); /* 0 = no end; 0 or TIMEOUT */
    void (*cond_wake)(qd_cond *c, bool all);
};
extern _Thread_local const struct qdi_sim_hooks *qdi_sim;

#endif
