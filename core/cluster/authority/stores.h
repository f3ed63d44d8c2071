/*
 * stores.h: one store in front of two, of which one is in charge. Everything above (cluster.h, the
 * server of remote/) has one qd_coord_store; when a hand-over has moved the authority, requests,
 * watches and elections go on in the other store, without a restart and without a gap.
 *
 * In charge is the store that is ACTIVE under the highest epoch and holds this cluster. While it is
 * sealed, what it refuses is kept and asked again where the decision falls; for 1.7 s,
 * then it is refused with a sentence that names both. For a minute after a move a
 * transaction is shown to the former store first: that one knows the ids of those it had committed,
 * whose answers were lost, and commits nothing any more. A watch goes on behind the last revision
 * it told; sessions live on under their numbers; candidates stand again.
 */
#ifndef QD_CLUSTER_AUTHORITY_STORES_H
#define QD_CLUSTER_AUTHORITY_STORES_H

#include "cluster/coord/coord.h"

typedef struct qd_stores qd_stores;

typedef struct qd_stores_config {
    qd_env *env;
    qd_coord_store *store[2]; /* opened; closed by their owner after qd_stores_close */
    const char *name[2];      /* as configured; borrow */
    const char *uuid;         /* of the cluster that this node belongs to; NULL or "": that of the
                                 first store, once it is in charge */
    int64_t held_ms;          /* for how long what a sealed store refuses is kept; 0: 1,700 */
} qd_stores_config;

/* Puts the front up. In charge at first is the first store, until the other one says that it is and
 * holds the cluster of this uuid. [worker] */
QD_MUST_CHECK
int qd_stores_open(const qd_stores_config *config, qd_stores **out, qd_err *err);
/* The store for everybody else; it lives as long as s. [any] */
qd_coord_store *qd_stores_front(qd_stores *s);
/* Which one is in charge, as this node knows: 0 or 1. [any] */
int qd_stores_current(qd_stores *s);
/* For how long store i has not answered, as the front has seen; 0: it does. [any] */
int64_t qd_stores_away_ms(qd_stores *s, int i);
/* Ends the front with all that is pending; watches were closed before. NULL is fine. [worker] */
void qd_stores_close(qd_stores *s);

#endif
