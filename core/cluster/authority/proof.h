/*
 * proof.h: of a node that belongs to no cluster yet: is the store of masters that it reaches that
 * of a cluster in use? Empty masters, formed beside a cluster whose state is in Kubernetes, look
 * the same to it; what they cannot have is indices, or a mirror that they keep in Kubernetes, which
 * none can begin where another store is in charge.
 */
#ifndef QD_CLUSTER_AUTHORITY_PROOF_H
#define QD_CLUSTER_AUTHORITY_PROOF_H

#include "cluster/coord/coord.h"

typedef struct qd_proof {
    char uuid[64];        /* of the cluster; empty: none has formed */
    uint64_t epoch;       /* control epoch */
    bool active;          /* this store is in charge of it */
    bool indices, mirror; /* it has some; it keeps a copy of itself in Kubernetes */
} qd_proof;

/* Reads, linearizably, what that store shows. [worker] QD_E_NO_COORDINATION, QD_E_TIMEOUT: it does
 * not answer, or nobody leads it. */
QD_MUST_CHECK
int qd_proof_read(qd_coord_store *s, int64_t timeout_ms, qd_proof *out, qd_err *err);
/* May it be joined though nobody can tell whether another store is in charge? [any] */
bool qd_proof_holds(const qd_proof *p);

#endif
