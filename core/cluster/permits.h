/*
 * permits.h: leave to stop a node. A permit is granted by one compare-and-set on one document
 * ("permit/all"), so of two that exclude each other one is refused. While a permit to restart is
 * open the copies of the node are not made elsewhere, until it is back or the permit expires; a
 * permit to remove empties the node.
 */
#ifndef QD_CLUSTER_PERMITS_H
#define QD_CLUSTER_PERMITS_H

#include "cluster/cluster.h"

#define QD_PERMITS_KEY "permit/all"
#define QD_PERMITS_MAX 1000
#define QD_PERMIT_MS_MAX (7ll * 24 * 3600 * 1000)

typedef struct qd_permit {
    qd_str node, name; /* id and name of the node */
    qd_str holder;
    qd_str ephemeral; /* of the node's process when it was granted */
    bool remove;      /* else restart */
    int64_t granted_ms, expires_ms;
} qd_permit;

/* The open permits of a state at a time (wall clock): those that have not expired and, to restart,
 * whose node has not come back as another process. Strings live in arena or s. [any] QD_E_NOMEM;
 * QD_E_CORRUPT: the document is damaged. */
QD_MUST_CHECK
int qd_permits_read(const qd_state *s, int64_t now_ms, qd_arena *arena, const qd_permit **out,
                    uint32_t *n, qd_err *err);
/* The open permit of a node, NULL. [any] */
const qd_permit *qd_permit_of(const qd_permit *list, uint32_t n, qd_str node);

/* What stands against stopping a node, as sentences. */
typedef struct qd_permit_advice {
    const qd_str *reasons;
    uint32_t n;  /* 0: it may stop */
    bool breaks; /* stopping it would break a shard, a zone or the quorum */
    bool holds;  /* remove: it still holds copies; they are moved once the permit is open */
} qd_permit_advice;
/* How many masters vote, also those that are down; the store's leader is asked where the node is a
 * master. 0: it does not matter; QD_PERMIT_UNKNOWN: it did not answer in time. [worker] */
uint32_t qd_permit_voters(qd_cluster *c, const qd_state *s, qd_str node);
#define QD_PERMIT_UNKNOWN UINT32_MAX
/* Advice about a node (by id). awareness: names of the attributes whose values are zones. voters:
 * as qd_permit_voters has it. In arena. O(copies) [worker] QD_E_NOMEM, QD_E_NOTFOUND. */
QD_MUST_CHECK
int qd_permit_check(const qd_state *s, const qd_permit *open, uint32_t nopen, qd_str node,
                    bool remove, uint32_t voters, const qd_str *awareness, uint32_t nawareness,
                    qd_arena *arena, qd_permit_advice *out, qd_err *err);
/* Grants a permit (its granted_ms and ephemeral are filled in), or replaces that of the same node
 * and holder. One to remove is granted though the node still holds copies. [worker]
 * QD_E_PERMIT_REFUSED with the reasons; QD_E_NOTFOUND: no such node. */
QD_MUST_CHECK
int qd_cluster_permit_take(qd_cluster *c, const qd_permit *wanted, const qd_str *awareness,
                           uint32_t nawareness, qd_state **out, qd_err *err);
/* Gives the permit of a node (id or name: it may be gone) back; nothing happens when it has none.
 * [worker] */
QD_MUST_CHECK
int qd_cluster_permit_release(qd_cluster *c, qd_str node, qd_state **out, qd_err *err);

#endif
