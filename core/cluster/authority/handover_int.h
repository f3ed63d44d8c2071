/* handover_int.h: structs of the driver of a hand-over. See handover.h. */
#ifndef QD_CLUSTER_AUTHORITY_HANDOVER_INT_H
#define QD_CLUSTER_AUTHORITY_HANDOVER_INT_H

#include "base/map.h"
#include "base/vec.h"
#include "cluster/authority/handover.h"
#include "runtime/sync.h"

#define HANDOVER_LOG "coordination"
#define HANDOVER_QUEUE_MAX                                                                         \
    ((size_t)32 << 20) /* kept for a slow mirror; beyond, it is copied anew */

/* Changes of whole revisions as they came from the watch. */
typedef struct handover_batch {
    struct handover_batch *next;
    uint64_t revision;
    uint32_t n;
    qd_coord_event *events; /* keys and values in the arena */
    qd_arena arena;
    size_t bytes;
} handover_batch;

/* The plan as it stands in the store in charge. */
typedef struct handover_plan {
    bool there, abort, keep; /* keep: a mirror, and no more until somebody wants it */
    char to[QD_HANDOVER_NAME];
    uint64_t target; /* epoch of the mirror; 0: none yet */
    char peer[33];   /* id of the mirror's store; empty: as target, or the store tells none */
    int64_t since_ms;
    uint64_t mod_revision;
} handover_plan;

struct qd_handover {
    qd_handover_config config;
    qd_mutex lock; /* of queue, status */
    qd_cond wake;
    bool kicked;
    qd_handover_status status;

    /* the mirror's: one watch of the store it follows */
    qd_coord_watch *watch;
    qd_coord_store *watched;
    uint64_t mirror_epoch; /* of the mirror that it feeds */
    handover_batch *first, *last;
    size_t queued;
    bool lost; /* the watch has ended, or did not fit */

    uint64_t spares_ns;        /* what comes waits until then, so that a mirror costs little */
    uint64_t lags_ns, told_ns; /* since when it is behind; when that was said */
    uint64_t compared_ns;      /* when the last round was */
    uint32_t rounds;
};

/* One look at both stores. */
typedef struct handover_look {
    qd_coord_identity id[2];
    int from; /* the store in charge, or sealed; -1: neither */
    int to;   /* the other one */
    handover_plan plan;
} handover_look;

/* The id of a store as text; empty: none. */
void qdi_handover_peer(const qd_coord_identity *id, char out[33]);
/* Names the store that did not answer in what is said of it; returns rc. */
int qdi_handover_said(qd_handover *h, const qd_coord_store *s, int rc, qd_err *err);
/* Its keys and their hash, in batches. */
int qdi_handover_export(qd_handover *h, qd_coord_store *s, qd_coord_export *x, qd_err *err);
/* Reads the plan of a store. */
int qdi_handover_plan_read(qd_handover *h, qd_coord_store *s, handover_plan *out, qd_err *err);
/* Puts it, if it is still as it was read; an empty `to` deletes it. */
int qdi_handover_plan_write(qd_handover *h, qd_coord_store *s, handover_plan *p, qd_err *err);
/* QD_E_STATE: they hold states of two clusters. A store that is to be emptied may have none. */
int qdi_handover_same_cluster(qd_handover *h, const handover_look *l, qd_err *err);
/* Which store is in charge, and its plan. */
int qdi_handover_look(qd_handover *h, handover_look *l, qd_err *err);
/* One step of authority. */
int qdi_handover_step(qd_handover *h, qd_coord_store *s, uint32_t action, uint64_t epoch,
                      uint64_t new_epoch, uint64_t *revision, qd_err *err);

/* Brings the mirror on: by the watch, else by what differs. *revision gets the mirror's.
 * QD_E_CORRUPT: it cannot be brought on and is to be begun anew. */
int qdi_handover_follow(qd_handover *h, const handover_look *l, uint64_t *revision, qd_err *err);
/* The same until the mirror is at the sealed store's last revision. */
int qdi_handover_rest(qd_handover *h, const handover_look *l, uint64_t *revision, qd_err *err);
/* Compares both at the mirror's revision; *differences gets how many keys differ. */
int qdi_handover_compare(qd_handover *h, const handover_look *l, uint64_t *revision,
                         uint64_t *differences, qd_err *err);
/* Ends the watch, forgets what it told. */
void qdi_handover_unfollow(qd_handover *h);

#endif
