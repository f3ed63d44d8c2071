/*
 * copies.h: changes of a shard's record by those who hold its copies. Each is one compare-and-set,
 * tried again from a newer state while it conflicts, and returns when this node has applied the
 * result. The allocator's changes stand in allocator.h; the steps themselves in shard_edit.h.
 *
 * Errors beside the named: those of qd_coord_commit and qd_coord_read; QD_E_TIMEOUT,
 * QD_E_PROCESS_CLUSTER_EVENT_TIMEOUT: it may have been committed. What is named is final: the
 * store's own record refuses the step. After any other error whoever needs the change asks again.
 * All [worker]; *out (may be NULL) gets the applied state with a reference.
 */
#ifndef QD_CLUSTER_COPIES_H
#define QD_CLUSTER_COPIES_H

#include "cluster/cluster.h"

/* A copy as its holder knows it. */
typedef struct qd_copy_ref {
    const char *uuid; /* of the index */
    uint32_t number;
    qd_str allocation_id;
} qd_copy_ref;

/* The copy (of this node, given to this process) can be used: it becomes STARTED; the target of a
 * replica's move takes its place. QD_E_CONFLICT: it is not in sync yet, or is a primary's target,
 * which only the primary hands over to; QD_E_NOTFOUND: the copy is not assigned any more. */
QD_MUST_CHECK
int qd_cluster_copy_started(qd_cluster *c, const qd_copy_ref *copy, qd_state **out, qd_err *err);
typedef enum qd_copy_failure {
    QD_COPY_FAILED,
    QD_COPY_LOST,  /* its files cannot be used: it leaves the in-sync set unless it is the last one
                    */
    QD_COPY_PASSES /* want of room, or a source that does not answer: attempts go on for ever */
} qd_copy_failure;
/* The copy (of this node) failed, text says why. It becomes unassigned; a failed primary is
 * replaced at once when another copy is started. QD_E_NOTFOUND: the copy is not assigned any more.
 */
QD_MUST_CHECK
int qd_cluster_copy_failed(qd_cluster *c, const qd_copy_ref *copy, qd_str text,
                           qd_copy_failure failure, qd_state **out, qd_err *err);
/* The engine of a copy of this node failed while it was used, its files may be sound. Of a primary
 * without another started copy: it is to be opened again in its place, under *term; it is
 * INITIALIZING until it is started. *term 0: another copy is primary now, or this was a replica;
 * the copy is unassigned. QD_E_NOTFOUND: it was before. */
QD_MUST_CHECK
int qd_cluster_copy_reopen(qd_cluster *c, const qd_copy_ref *copy, qd_str text,
                           qd_copy_failure failure, uint64_t *term, qd_err *err);

/* A primary names itself in what it asks for: another primary or term, and it is refused with
 * QD_E_NOT_PRIMARY. */
typedef struct qd_primary_ref {
    const char *uuid; /* of the index */
    uint32_t number;
    qd_str allocation_id;
    uint64_t term;
} qd_primary_ref;

/* A copy that holds everything joins the in-sync set. QD_E_NOTFOUND: it is not assigned any more.
 */
QD_MUST_CHECK
int qd_cluster_primary_admit(qd_cluster *c, const qd_primary_ref *primary, qd_str allocation_id,
                             qd_state **out, qd_err *err);
/* Copies leave the in-sync set, and their places if they have one: text says why. Those that are
 * neither assigned nor in sync are passed over. To be committed before anything is acknowledged
 * without them. QD_E_ARG: the primary itself. */
QD_MUST_CHECK
int qd_cluster_primary_fail(qd_cluster *c, const qd_primary_ref *primary,
                            const qd_str *allocation_ids, uint32_t n, qd_str text, qd_state **out,
                            qd_err *err);
/* The primary has drained and hands over to the target of its move, which is in sync: the target is
 * primary under the next term. QD_E_NOTFOUND: there is no such target any more. */
QD_MUST_CHECK
int qd_cluster_primary_handoff(qd_cluster *c, const qd_primary_ref *primary, qd_str target,
                               qd_state **out, qd_err *err);

#endif
