/*
 * gate_int.h: many may use a thing, or one alone may replace it. Like a read-write lock that
 * prefers readers, but it belongs to no thread: a fiber may wait inside and go on elsewhere.
 */
#ifndef QD_SHARD_GATE_INT_H
#define QD_SHARD_GATE_INT_H

#include "runtime/sync.h"
#include <stdatomic.h>

typedef struct qdi_gate {
    _Atomic uint32_t users; /* GATE_ALONE: one alone */
    _Atomic uint32_t waiting;
    qd_mutex lock; /* of those who wait */
    qd_cond changed;
} qdi_gate;

/* Prepares one that nobody uses. */
void qdi_gate_init(qdi_gate *g);
/* Ends one that nobody uses. */
void qdi_gate_fini(qdi_gate *g);
/* One user more; waits while somebody is alone. A user may enter once more. [worker] */
void qdi_gate_enter(qdi_gate *g);
/* One user more, unless somebody is alone. [any] */
bool qdi_gate_try(qdi_gate *g);
/* One user less. [any] */
void qdi_gate_leave(qdi_gate *g);
/* Waits until there is no user, then keeps all out. [worker] */
void qdi_gate_close(qdi_gate *g);
/* Lets users in again. [any] */
void qdi_gate_open(qdi_gate *g);

#endif
