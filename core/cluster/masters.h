/*
 * masters.h: the members of the coordination store: who votes, who stands by, who shall not vote.
 * Whatever node asks, the store's leader answers.
 */
#ifndef QD_CLUSTER_MASTERS_H
#define QD_CLUSTER_MASTERS_H

#include "cluster/cluster.h"

typedef struct qd_master {
    qd_str id, name, address;
    uint32_t role; /* QD_COORD_VOTER ... */
    bool leader, alive, excluded;
} qd_master;

/* All of them, in the arena. [worker] QD_E_TIMEOUT, QD_E_NO_COORDINATION. */
QD_MUST_CHECK
int qd_masters_list(qd_cluster *c, int64_t timeout_ms, qd_arena *arena, const qd_master **out,
                    uint32_t *n, qd_err *err);
/* The term under which the master is elected; it rises with each one. [worker] QD_E_NOTFOUND: none
 * is; QD_E_TIMEOUT, QD_E_NO_COORDINATION. */
QD_MUST_CHECK
int qd_masters_term(qd_cluster *c, int64_t timeout_ms, uint64_t *term, qd_err *err);
/* One step, QD_COORD_MEMBERS_EXCLUDE, INCLUDE, REMOVE (see quidditch/coordination.h), by name; an
 * empty one with INCLUDE means all. Waits until it is done. [worker] QD_E_NOTFOUND, QD_E_TIMEOUT,
 * QD_E_UNSUPPORTED. */
QD_MUST_CHECK
int qd_masters_change(qd_cluster *c, uint32_t action, qd_str name, int64_t timeout_ms, qd_err *err);
/* "voter", "standby", "spare", "client". [any] */
const char *qd_master_role(uint32_t role);

#endif
