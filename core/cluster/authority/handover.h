/*
 * handover.h: moves the authority over the cluster's state from one store of the coordination kind
 * to another one, while the cluster runs. It knows the kind alone: both stores are opened handles,
 * and what is to be done next is read from their states, so that whoever drives may crash at any
 * point and any other one goes on. Every step is a compare-and-set in one of the stores and may be
 * repeated; the one that decides is ACTIVATE in the new store, after the old one was sealed and the
 * copy compared.
 *
 *   prepare  the new store becomes a mirror under an epoch above all used ones
 *   mirror   it follows the old one's changes, in their order; a slow one delays nobody
 *   compare  hashes at one revision, until three rounds are clean and the lag is small
 *   seal     the old store takes no change any more, at revision r
 *   copy     the rest up to r, and the hashes compared at r
 *   decide   the new store takes over at r + 1
 *   follow   nodes go to the store in charge (stores.h)
 *   retire   the old one is kept, for reading, until it is used again
 *
 * The plan is a key of the store in charge ("migration/plan"): where to, the mirror's epoch and the
 * id of its store, and whether it is to be given up, or to be kept as a mirror until it is wanted.
 * A sealed store's plan does not change any more: a mirror of another epoch than the plan's is
 * never activated, and the old store is unsealed only when the plan's mirror never can be.
 */
#ifndef QD_CLUSTER_AUTHORITY_HANDOVER_H
#define QD_CLUSTER_AUTHORITY_HANDOVER_H

#include "cluster/coord/coord.h"

#define QD_HANDOVER_PLAN "migration/plan"
#define QD_HANDOVER_NAME 64

typedef struct qd_handover qd_handover;

typedef struct qd_handover_config {
    qd_env *env;
    qd_coord_store *store[2]; /* opened; closed by their owner after qd_handover_close */
    const char *name[2];      /* as configured; borrow */
    int64_t timeout_ms;       /* of one request; 0: 5,000 */
    int64_t round_ms;         /* between two comparisons; 0: none */
    uint32_t rounds;          /* clean ones before the seal; 0: 3 */
    uint64_t lag_max;         /* revisions behind, for the seal; 0: 100 */
    size_t batch_bytes;       /* of one import, but for a larger revision; 0: 4 MiB */
    /* A mirror in this store is kept while the other one is in charge, also without a migration;
     * NULL: none. */
    const char *keep;
    /* Of a node that follows: its own store. The other one, from afar, may lead to nodes that serve
     * the same store by now. */
    int own;
} qd_handover_config;

typedef enum qd_handover_step {
    QD_HANDOVER_NONE,
    QD_HANDOVER_PREPARE,
    QD_HANDOVER_MIRROR,
    QD_HANDOVER_COMPARE,
    QD_HANDOVER_SEALED, /* copying the rest, deciding; or blocked */
    QD_HANDOVER_RETIRE,
    QD_HANDOVER_ABORT,
    QD_HANDOVER_DONE /* until qd_handover_finish */
} qd_handover_step;

typedef struct qd_handover_status {
    qd_handover_step step;
    char from[QD_HANDOVER_NAME], to[QD_HANDOVER_NAME]; /* empty: no migration */
    uint64_t from_epoch, to_epoch;
    uint64_t revision, copied; /* of the old store; of the new one */
    uint64_t differences;      /* keys, in the last comparison */
    uint32_t rounds;           /* clean ones, so far */
    int64_t since_ms;          /* when it was begun, by the clock of that node */
    bool kept;                 /* a mirror that is kept; no migration is under way */
    char error[512];           /* why the last turn did not get on; empty: it did */
} qd_handover_status;

/* Makes a driver; nothing is asked yet. [worker] */
QD_MUST_CHECK
int qd_handover_open(const qd_handover_config *config, qd_handover **out, qd_err *err);
/* Ends it; what it has begun goes on with another one. NULL is fine. [worker] */
void qd_handover_close(qd_handover *h);
/* Looks at both stores and takes the next step. *again gets for how long there is nothing to do, in
 * ns (0: more is to be done; UINT64_MAX: no migration is under way). One thread at a time. [worker]
 * An error: a store does not answer, or does not fit; the next turn tries again. */
QD_MUST_CHECK
int qd_handover_turn(qd_handover *h, uint64_t *again_ns, qd_err *err);
/* Waits for a change to mirror, a kick, or that long. [worker] */
void qd_handover_wait(qd_handover *h, uint64_t ns);
/* Ends such a wait. [any] */
void qd_handover_kick(qd_handover *h);
/* Another one drives: what only this one kept in memory is forgotten. By the thread of the turns.
 * [worker] */
void qd_handover_aside(qd_handover *h);
/* What both stores show of it, without a turn. [worker] */
QD_MUST_CHECK
int qd_handover_see(qd_handover *h, qd_handover_status *out, qd_err *err);
/* How far the last turn found it. [any] */
void qd_handover_status_get(qd_handover *h, qd_handover_status *out);
/* "none", "prepare", ... [any] */
const char *qd_handover_step_name(qd_handover_step step);

/* The operator's wishes, on whichever node with both handles, also beside a turn; may be repeated.
 * [worker] */

/* Migrates to the store of this name. QD_E_ARG: there is none, or it is in charge already;
 * QD_E_STATE: another cluster's, or another migration is under way. */
QD_MUST_CHECK
int qd_handover_start(qd_handover *h, qd_str to, qd_err *err);
/* Gives it up: before the seal the mirror is dropped; after it the new store is made void first.
 * QD_E_STATE: the new store is in charge already; QD_E_NOTFOUND: no migration. */
QD_MUST_CHECK
int qd_handover_abort(qd_handover *h, qd_err *err);
/* Forgets a migration that is done. QD_E_STATE: it is not; QD_E_NOTFOUND: there was none. */
QD_MUST_CHECK
int qd_handover_finish(qd_handover *h, qd_err *err);

#endif
