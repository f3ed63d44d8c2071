/*
 * shard_edit.h: the transitions of a shard's record, as pure functions on a copy of it. Whoever
 * changes a record begins an edit from the applied one, makes its step, and commits the result
 * under a compare on mod_revision. Steps that the present record does not allow return
 * QD_E_CONFLICT and leave it as it was. All [any].
 *
 * Safety: no step takes the last copy in sync away but the forced ones; a primary is made only from
 * a copy in sync (or of a fresh shard, or forced), and raises the term; what is removed from the
 * in-sync set can come back only by qd_shard_edit_admit under a new allocation id.
 */
#ifndef QD_CLUSTER_SHARD_EDIT_H
#define QD_CLUSTER_SHARD_EDIT_H

#include "cluster/state/shard_meta.h"

typedef struct qd_shard_edit {
    qd_arena *arena;
    qd_shard_meta s; /* as it is now; arrays are the edit's own */
    qd_copy *copies;
    qd_in_sync *in_sync;
    uint32_t room, in_sync_room;
    int64_t now_ms;
    bool changed;
} qd_shard_edit;

/* Where a copy is put. */
typedef struct qd_shard_place {
    qd_str allocation_id; /* new, but for a primary from its existing store */
    qd_str node, ephemeral;
} qd_shard_place;

typedef enum qd_primary_force {
    QD_FORCE_NONE,
    QD_FORCE_STALE, /* files of a copy that is not in sync: what it lacks is lost */
    QD_FORCE_EMPTY  /* everything is lost */
} qd_primary_force;

/* Starts from a record (with strings that live as long as arena); QD_E_NOMEM. */
QD_MUST_CHECK
int qd_shard_edit_begin(qd_shard_edit *e, qd_arena *arena, const qd_shard_meta *from,
                        int64_t now_ms);
/* A record of a new shard: one primary and as many replicas (bounded by QD_COPIES_MAX), none
 * assigned. */
QD_MUST_CHECK
int qd_shard_edit_new(qd_shard_edit *e, qd_arena *arena, uint32_t replicas, int64_t now_ms);

/* Gives the unassigned primary a place, under the next term. Not forced: a fresh shard is made
 * empty; else the place must be that of a copy in sync. */
QD_MUST_CHECK
int qd_shard_edit_assign_primary(qd_shard_edit *e, const qd_shard_place *p, qd_primary_force force);
/* Gives an unassigned replica (the one with fewest failures) a place; it is filled from the
 * primary.
 */
QD_MUST_CHECK
int qd_shard_edit_assign_replica(qd_shard_edit *e, const qd_shard_place *p);
/* Begins to move a started copy. */
QD_MUST_CHECK
int qd_shard_edit_relocate(qd_shard_edit *e, qd_str allocation_id, const qd_shard_place *p);
/* Adds an assigned, initialising copy to those in sync; what its node had of the shard before is
 * not any more. 0 too when it is there already. */
QD_MUST_CHECK
int qd_shard_edit_admit(qd_shard_edit *e, qd_str allocation_id);
/* An initialising copy can be used. Replicas must be in sync. The target of a move takes the place
 * of its source: for a primary, under the next term. 0 too when it is there already. */
QD_MUST_CHECK
int qd_shard_edit_start(qd_shard_edit *e, qd_str allocation_id);
/* The primary is open: it has files from now on, and if it was forced, a history of its own; or all
 * that it acknowledged without a sync is synced (qd_shard_edit_unsynced). */
void qd_shard_edit_opened(qd_shard_edit *e);
/* Operations were acknowledged that may be on no disk yet: whoever is opened as primary before
 * qd_shard_edit_opened begins a history of its own, with the files that it has. */
void qd_shard_edit_unsynced(qd_shard_edit *e);
/*
 * Takes an assigned copy away. A failed primary is replaced by an active copy, under the next term,
 * and copies that it was filling begin again; without such a copy all become unassigned. stale: the
 * copy is not in sync any more (unless it is the last one).
 */
QD_MUST_CHECK
int qd_shard_edit_fail(qd_shard_edit *e, qd_str allocation_id, qd_unassigned_reason reason,
                       qd_str failure, bool stale);
/* An allocation id that is not assigned leaves the in-sync set, which keeps at least one. */
QD_MUST_CHECK
int qd_shard_edit_stale(qd_shard_edit *e, qd_str allocation_id);
/* Takes away all copies for which lives(arg, copy) is false; they stay in sync. */
QD_MUST_CHECK
int qd_shard_edit_gone(qd_shard_edit *e, bool (*lives)(void *arg, const qd_copy *c), void *arg,
                       qd_unassigned_reason reason);
/* Failures of unassigned copies count from 0 again. */
QD_MUST_CHECK
int qd_shard_edit_retry(qd_shard_edit *e);
/* Makes room for so many replicas, or takes away those too many, unassigned ones first. */
QD_MUST_CHECK
int qd_shard_edit_replicas(qd_shard_edit *e, uint32_t replicas);

#endif
