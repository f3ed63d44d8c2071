/*
 * shard_meta.h: the record of a shard: its copies, who is primary under which term, who is in sync.
 * It is one value of the store ("shard/<uuid>/<n>"), changed only by compare-and-set on its
 * revision. Immutable; strings and arrays live in the arena it was read into.
 *
 * Invariants (qd_shard_meta_check):
 * - copies[0] is the primary's place, assigned or not; `primary` is its allocation id, empty when
 *   it is unassigned. The other copies are replicas, and targets of relocations.
 * - a node holds at most one assigned copy; an allocation id names one copy for ever.
 * - a copy that is STARTED or RELOCATING is in sync; a fresh shard has neither.
 * - replicas are assigned only while the primary is active; when it goes, one of the active copies
 *   takes its place in the same change, or all become unassigned.
 * - RELOCATING and its INITIALIZING target name each other as partners.
 * - the primary term rises with each primary: also when the same copy is taken up again by a new
 *   process of its node.
 */
#ifndef QD_CLUSTER_SHARD_META_H
#define QD_CLUSTER_SHARD_META_H

#include "base/arena.h"
#include "base/err.h"
#include "json/writer.h"

#define QD_COPIES_MAX 1024u       /* of one shard in its record */
#define QD_FAILURE_TEXT_MAX 1024u /* bytes kept of why a copy failed */

typedef enum qd_shard_state {
    QD_SHARD_UNASSIGNED,
    QD_SHARD_INITIALIZING,
    QD_SHARD_STARTED,
    QD_SHARD_RELOCATING /* started; its partner is being filled from the primary */
} qd_shard_state;

/* Where an assigned copy gets (got) its data. */
typedef enum qd_recovery_source {
    QD_RECOVERY_EMPTY_STORE,    /* a new, empty shard */
    QD_RECOVERY_EXISTING_STORE, /* the files of this allocation id on its node */
    QD_RECOVERY_PEER            /* the primary */
} qd_recovery_source;

/* Why a place has no copy, by Elasticsearch's names. */
typedef enum qd_unassigned_reason {
    QD_UNASSIGNED_NONE, /* it has one that started */
    QD_UNASSIGNED_INDEX_CREATED,
    QD_UNASSIGNED_CLUSTER_RECOVERED,
    QD_UNASSIGNED_INDEX_REOPENED,
    QD_UNASSIGNED_DANGLING_INDEX_IMPORTED,
    QD_UNASSIGNED_REPLICA_ADDED,
    QD_UNASSIGNED_ALLOCATION_FAILED,
    QD_UNASSIGNED_NODE_LEFT,
    QD_UNASSIGNED_REROUTE_CANCELLED,
    QD_UNASSIGNED_REINITIALIZED,
    QD_UNASSIGNED_REALLOCATED_REPLICA,
    QD_UNASSIGNED_PRIMARY_FAILED,
    QD_UNASSIGNED_FORCED_EMPTY_PRIMARY,
    QD_UNASSIGNED_MANUAL_ALLOCATION,
    QD_UNASSIGNED_NODE_RESTARTING
} qd_unassigned_reason;

typedef struct qd_copy {
    qd_shard_state state;
    qd_recovery_source recovery; /* UNASSIGNED: what the next attempt will use */
    qd_str allocation_id;        /* empty: UNASSIGNED */
    qd_str node;                 /* id; empty: UNASSIGNED */
    qd_str ephemeral;            /* of the node's process that was given the copy */
    qd_str partner; /* allocation id: RELOCATING: the target; of a target: its source; else empty */
    /* why it is, or was before this attempt, unassigned; NONE from STARTED on */
    qd_unassigned_reason reason;
    int64_t since_ms;  /* wall clock */
    uint32_t failures; /* attempts that failed in a row */
    qd_str failure;    /* text of the last one; at most QD_FAILURE_TEXT_MAX bytes */
    qd_str last_node;  /* id of the node that held it last; empty: none */
} qd_copy;

/* A copy that holds every acknowledged operation, whether its node is there or not. */
typedef struct qd_in_sync {
    qd_str allocation_id, node;
} qd_in_sync;

typedef struct qd_shard_meta {
    uint64_t primary_term; /* 0: never assigned */
    qd_str primary;        /* allocation id; empty: the primary is unassigned */
    const qd_copy *copies;
    uint32_t ncopies; /* 0: no record */
    const qd_in_sync *in_sync;
    uint32_t nin_sync;
    uint64_t mod_revision; /* of the record, for compare-and-set; 0: not there */
    bool fresh;            /* has never been started: it has no operation to lose */
    bool unopened; /* no files, or ones that were not in sync, were made the primary's, and it has
                    * not been open since: it may have none, and what it finds must begin a history
                    * of its own, as other copies have operations that it lacks under numbers that
                    * it will give away again. The same where operations were acknowledged without
                    * a sync, durability is `request` by now, and the primary has not synced them
                    * yet */
} qd_shard_meta;

/* Is it on a node? [any] */
static inline bool qd_copy_is_assigned(const qd_copy *c)
{
    return c->state != QD_SHARD_UNASSIGNED;
}
/* Does it serve (STARTED or RELOCATING)? [any] */
static inline bool qd_copy_is_active(const qd_copy *c)
{
    return c->state == QD_SHARD_STARTED || c->state == QD_SHARD_RELOCATING;
}
/* Is it the target of a relocation, to replace its partner? [any] */
static inline bool qd_copy_is_target(const qd_copy *c)
{
    return c->state == QD_SHARD_INITIALIZING && c->partner.n;
}

/* The primary's place; NULL without a record. [any] */
static inline const qd_copy *qd_shard_meta_primary(const qd_shard_meta *s)
{
    return s->ncopies ? &s->copies[0] : NULL;
}
/* Can the primary be used? [any] */
static inline bool qd_shard_meta_is_started(const qd_shard_meta *s)
{
    return s->ncopies && qd_copy_is_active(&s->copies[0]);
}
/* The copy assigned to a node (id); NULL: none. [any] */
const qd_copy *qd_shard_meta_copy_of(const qd_shard_meta *s, qd_str node);
/* The assigned copy of an allocation id; NULL: none. [any] */
const qd_copy *qd_shard_meta_copy(const qd_shard_meta *s, qd_str allocation_id);
/* The in-sync entry of an allocation id; NULL: it is not in sync. [any] */
const qd_in_sync *qd_shard_meta_in_sync(const qd_shard_meta *s, qd_str allocation_id);

typedef struct qd_shard_counts_meta {
    uint32_t active, relocating, initializing, unassigned; /* active contains relocating */
} qd_shard_counts_meta;
/* Copies by state of a shard that should have so many replicas; a target counts as initializing.
 * [any] */
void qd_shard_meta_count(const qd_shard_meta *s, uint32_t replicas, qd_shard_counts_meta *out);
/* "UNASSIGNED" … [any] */
const char *qd_shard_state_name(qd_shard_state s);
/* "INDEX_CREATED" …; NULL for NONE. [any] */
const char *qd_unassigned_reason_name(qd_unassigned_reason r);
/* "EMPTY_STORE" … [any] */
const char *qd_recovery_source_name(qd_recovery_source r);

/* The invariants above: 0, or QD_E_CORRUPT saying which does not hold. [any] */
QD_MUST_CHECK
int qd_shard_meta_check(const qd_shard_meta *s, qd_err *err);
/* The record as stored. [any] */
void qd_shard_meta_encode(const qd_shard_meta *s, qd_json_writer *w);
/* Back, checked; mod_revision is left 0; strings live in arena. QD_E_CORRUPT names the member.
 * [any] */
QD_MUST_CHECK
int qd_shard_meta_decode(qd_str record, qd_arena *arena, qd_shard_meta *out, qd_err *err);

#endif
