/*
 * forced.h: the report of a `qd mode force`, a file of path.data (forced-EPOCH.json): for
 * people, and for the same command when the one before was cut off. It is written before anything
 * takes over.
 */
#ifndef QD_MAIN_QD_FORCED_H
#define QD_MAIN_QD_FORCED_H

#include "cluster/authority/mode.h"
#include "main/paths.h"
#include "runtime/env.h"

typedef struct qd_forced {
    char path[QD_PATH_MAX + 64];
    char uuid[64];            /* of the cluster */
    qd_store_kind to;         /* what takes over; the other one is lost */
    uint64_t lost_epoch;      /* as the operator named it */
    uint64_t epoch, revision; /* the new one; what is taken over */
    uint64_t acted_on;        /* revision that this node has acted on; 0: none */
    char base[80], lost[240]; /* what that is of; which revisions may be lost */
} qd_forced;

/* Writes it to path.data, durably; f->path says where. [worker] Errors of the disk. */
QD_MUST_CHECK
int qd_forced_write(qd_forced *f, const char *data, qd_env *env, qd_err *err);
/* The newest report of path.data of a forcing to f->to from f->lost_epoch, into the rest of *f.
 * QD_E_NOTFOUND: there is none, and err says nothing. [worker] Errors of the disk. */
QD_MUST_CHECK
int qd_forced_find(qd_forced *f, const char *data, qd_err *err);

#endif
