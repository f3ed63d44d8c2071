/*
 * offline.h: a node that does not run, and the stores of cluster state that it can reach: for
 * `qd master recover` and `qd mode force`. Nothing here changes a store but where it says so.
 */
#ifndef QD_MAIN_QD_OFFLINE_H
#define QD_MAIN_QD_OFFLINE_H

#include "cluster/authority/authority.h"
#include "cluster/coord/coord.h"
#include "main/daemon/node.h"

typedef struct qd_offline {
    qd_node *node;              /* paths, settings, plugins, data */
    qd_file_lock *lock;         /* of path.data: the node does not run */
    qd_authority_record record; /* what it has acted on */
    bool recorded;              /* there is such a record */
} qd_offline;

/* What a store holds. */
typedef struct qd_store_seen {
    bool there; /* false: there is none, and the rest is empty */
    uint32_t state;
    uint64_t epoch, revision;
    char uuid[64]; /* of the cluster; empty: its state is not there, or not yet */
    char to[64];   /* where its plan of a migration leads; empty: there is none */
} qd_store_seen;

/* Begins; settings of the command line go to o->node->config. QD_E_NOMEM. */
QD_MUST_CHECK
int qd_offline_make(qd_offline *o, qd_err *err);
/* Reads file (NULL: the usual one) and the environment, takes path.data, reads its record, loads
 * plugins. QD_E_LOCKED: the node runs; QD_E_CORRUPT: the record is damaged. [worker] */
QD_MUST_CHECK
int qd_offline_load(qd_offline *o, const char *file, qd_err *err);
/* Ends it; of one that was never made, nothing. */
void qd_offline_free(qd_offline *o);

/* Opens the masters' store of a folder of path.data ("coordination"), forced to go on alone, under
 * a higher epoch; returns when it leads. QD_E_NOTFOUND: there is none. [worker] */
QD_MUST_CHECK
int qd_offline_masters(qd_offline *o, const char *folder, qd_coord_store **out, qd_err *err);
/* A copy of the masters' store to work with, beside it; forced as that one would be. *out->epoch is
 * that of before. Close *s and then qd_offline_copy_remove. [worker] */
QD_MUST_CHECK
int qd_offline_copy(qd_offline *o, qd_coord_store **s, qd_store_seen *out, qd_err *err);
/* Removes that copy. [worker] */
void qd_offline_copy_remove(qd_offline *o);
/* The copy, closed, becomes the masters' store of this node; before the last step a crash leaves
 * the one that was. [worker] */
QD_MUST_CHECK
int qd_offline_copy_take(qd_offline *o, qd_err *err);
/* It has: what a crash left behind the last step goes. [worker] */
QD_MUST_CHECK
int qd_offline_copy_taken(qd_offline *o, qd_err *err);
/* Do the settings give access to Kubernetes? */
bool qd_offline_reaches_kubernetes(const qd_offline *o);
/* Opens the store in Kubernetes, to work with; returns when it leads. [worker]
 * QD_E_NO_COORDINATION: it cannot be asked, or another node leads. */
QD_MUST_CHECK
int qd_offline_kubernetes(qd_offline *o, qd_coord_store **out, qd_err *err);
/* Looks at it; nothing is created or led. [worker] */
QD_MUST_CHECK
int qd_offline_look(qd_offline *o, qd_store_seen *out, qd_err *err);

#endif
