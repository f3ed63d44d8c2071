/*
 * replication.h: one shard on several nodes. The primary orders operations, ships their records to
 * every copy and acknowledges what is durable on all copies that count; copies recover from it,
 * follow its published segments, and one of them takes over when it is gone (docs/replication.md).
 *
 * What decides stands in pure state machines (primary_int.h, copy_int.h): events in,
 * actions out. This is their shell over engine, cluster records and transport.
 *
 * A write on the primary:
 *   qd_replication_enter    a permit: this node is the primary, enough copies are there
 *   qd_engine_apply         of each operation, on permit.engine
 *   qd_replication_ship     their records are on the way to the copies
 *   qd_replication_commit   durable here and there; copies that failed are out of the in-sync set
 *   qd_replication_leave
 * A realtime read: qd_replication_enter_read, qd_engine_get, qd_replication_confirm, leave.
 */
#ifndef QD_REPLICATION_REPLICATION_H
#define QD_REPLICATION_REPLICATION_H

#include "cluster/cluster.h"
#include "config/config.h"
#include "shard/shards.h"

struct qd_rpc;
typedef struct qd_replication qd_replication;

typedef struct qd_replication_config {
    qd_env *env;
    struct qd_rpc *rpc; /* NULL: no peers; shards with one copy work as without replication */
    qd_shards *shards;
    qd_cluster *cluster;
    qd_store *store;
    qd_pools *pools;
    qd_account *account; /* parent of what is in flight */
    qd_config *config;   /* indices.recovery.*; may be NULL: defaults */
} qd_replication_config;

/* Opens the node's replication and registers its actions with rpc. [worker] QD_E_NOMEM */
QD_MUST_CHECK
int qd_replication_open(const qd_replication_config *c, qd_replication **out, qd_err *err);
/* Before a node that stops leaves its cluster: primaries that another copy can replace take no more
 * operations (who wants to write waits until the next primary is known), those under way end, at
 * most timeout_ms, and read leases are given back, so that the next one need not wait them out.
 * [worker] */
void qd_replication_retire(qd_replication *r, int64_t timeout_ms);
/* Answers no copy any more and lets what waits here end; before qd_shards_close. NULL is fine.
 * [worker] */
void qd_replication_stop(qd_replication *r);
/* Waits for what is under way and frees; after qd_shards_close, before the cluster and the
 * transport are closed. NULL is fine. [worker] */
void qd_replication_close(qd_replication *r);
/* A new cluster state: primaries, copies and in-sync sets of the shards held here. To be called
 * after qd_shards_apply. [applier's thread] */
void qd_replication_apply(qd_replication *r, const qd_state *old, const qd_state *now);
/* Takes the newest state that was shown before the listener knew r. After qd_shards_cluster, and
 * after the listener knows r. [worker] */
void qd_replication_begin(qd_replication *r);

/* Which primary the sender of a request means; nothing set: whoever is primary here. */
typedef struct qd_write_target {
    const char *uuid; /* of the index */
    uint32_t shard;
    qd_str allocation_id;  /* empty: any */
    uint64_t primary_term; /* 0: any; another one is QD_E_NOT_PRIMARY */
} qd_write_target;

/* The right to use the primary; embedded by the caller, ended by qd_replication_leave. While it is
 * held the shard's engine stays open and no relocation hands the primary over. */
typedef struct qd_permit {
    qd_replication *r;
    struct repl_shard *group;
    qd_shard *shard;   /* borrowed */
    qd_engine *engine; /* borrowed */
    uint64_t primary_term;
    bool write;
    bool encode; /* there are other copies: set qd_engine_op.encoded of each operation */
} qd_permit;

/* _shards of a write's answer. */
typedef struct qd_write_counts {
    uint32_t total, successful, failed;
} qd_write_counts;

/*
 * Takes a permit for writing. Waits, at most timeout_ms, while the shard is opened, promoted or
 * handed over, and until `active` copies are started (wait_for_active_shards; <= 0: do not look).
 * [worker] QD_E_NOT_PRIMARY: another node is primary by now, the sender looks at a newer state and
 * tries again; QD_E_UNAVAILABLE_SHARDS: time-out, with what is missing; QD_E_NO_SHARD: failed here.
 */
QD_MUST_CHECK
int qd_replication_enter(qd_replication *r, const qd_write_target *target, int64_t active,
                         int64_t timeout_ms, qd_permit *out, qd_err *err);
/* Takes a permit for realtime reads: the same without looking at copies; a time-out is
 * QD_E_NO_SHARD. [worker] */
QD_MUST_CHECK
int qd_replication_enter_read(qd_replication *r, const qd_write_target *target, int64_t timeout_ms,
                              qd_permit *out, qd_err *err);
/* Ends a permit. What was applied under it must have been committed (or the engine has failed).
 * [worker] */
void qd_replication_leave(qd_permit *p);

/* A batch on its way; embedded by the caller, who keeps it until qd_replication_commit has
 * returned.
 */
typedef struct qd_commit {
    qd_permit *permit;
    qd_translog_location last;
    struct repl_shipment *shipment; /* NULL: no other copy */
    int rc;
} qd_commit;

/* What gathers operations for other copies is counted here. [any] */
qd_account *qd_replication_account(qd_replication *r);
/*
 * Ships operations applied under the permit to all copies, without waiting. encoded: what
 * qd_engine_op.encoded gathered where the permit asks for it, in any order, also no-ops of those
 * that failed; its bytes are taken, it is empty afterwards (they are of qd_replication_account).
 * min, max: their numbers' range. at: where the last of them stands in the translog.
 * Several shards are shipped first and committed then, so that their copies work at one time.
 * [worker] Never fails: what goes wrong comes from qd_replication_commit, which must be called.
 */
void qd_replication_ship(qd_permit *p, qd_buf *encoded, int64_t min, int64_t max,
                         const qd_translog_location *at, qd_commit *c);
/*
 * Makes the batch durable here (as index.translog.durability asks) and waits for the same on every
 * copy that counts. A copy that fails leaves the in-sync set first, by a change of the shard's
 * record that names this primary and its term. 0: acknowledge, with *counts. [worker]
 * QD_E_WRITE_UNKNOWN: another primary took over, or the record could not be changed: the write may
 * survive or not, it is neither acknowledged nor called failed. The engine's failure otherwise.
 */
QD_MUST_CHECK
int qd_replication_commit(qd_commit *c, qd_write_counts *counts, qd_err *err);

/*
 * Confirms a realtime read: what was read is on every copy that counts and no other primary can
 * have acknowledged anything newer when this returns 0. seq_no: of the document read;
 * QD_SEQ_NO_NONE for "not found", which waits for all that had a number. Call after the read, also
 * before a version conflict is told. One round trip when the lease of some copy has ended. [worker]
 * QD_E_NOT_PRIMARY: try again by a newer state. QD_E_TIMEOUT.
 */
QD_MUST_CHECK
int qd_replication_confirm(qd_permit *p, int64_t seq_no, int64_t timeout_ms, qd_err *err);

/*
 * Makes everything up to seq_no (QD_SEQ_NO_NONE: everything so far) visible on all started copies:
 * now, or with wait by the next refresh that comes (forced when too many wait: *forced). A copy
 * that does not follow within 30 s is failed, which counts tell. For a shard whose primary is here.
 * [worker]
 * QD_E_NOT_PRIMARY, QD_E_UNAVAILABLE_SHARDS.
 */
QD_MUST_CHECK
int qd_replication_refresh(qd_replication *r, const qd_write_target *target, int64_t seq_no,
                           bool wait, bool *forced, qd_write_counts *counts, qd_err *err);

/* How old answers of a shard held here may be, in milliseconds: 0 for a primary with a control
 * plane and for a copy that heard its primary within 5 s. X-Quidditch-Stale is this in seconds.
 * [any] */
int64_t qd_replication_stale_ms(qd_replication *r, const char *uuid, uint32_t shard);

typedef enum qd_recovery_stage {
    QD_STAGE_INIT,
    QD_STAGE_INDEX,    /* files */
    QD_STAGE_TRANSLOG, /* operations */
    QD_STAGE_FINALIZE,
    QD_STAGE_DONE,
} qd_recovery_stage;
/* One recovery of a shard of this node, as _cat/recovery and _recovery show it. */
typedef struct qd_recovery_progress {
    char uuid[QD_UUID_TEXT];
    uint32_t shard;
    bool primary;
    bool empty_store; /* made new; else source_node tells where it came from */
    bool relocation;
    qd_recovery_stage stage;
    char source_node[32], target_node[32]; /* ids; source empty: this node's disk */
    int64_t start_wall_ms, stop_wall_ms;   /* stop 0: it runs */
    uint64_t elapsed_ns;
    uint32_t files_total, files_reused, files_recovered;
    uint64_t bytes_total, bytes_reused, bytes_recovered;
    uint64_t ops_total, ops_recovered;
    uint64_t throttle_ns; /* waited for the rate limit */
} qd_recovery_progress;

/* The newest recovery of one copy held here; false: there was none from a peer. [any] */
bool qd_replication_recovery(qd_replication *r, const char *uuid, uint32_t shard,
                             qd_recovery_progress *out);

/* Recoveries between this node and others. */
typedef struct qd_recovery_counts {
    uint32_t as_source, as_target; /* under way */
    uint64_t throttle_ns;          /* waited for the rate limit, by all since the node's start */
} qd_recovery_counts;
/* Of one copy held here (throttle_ns: of its newest one), or of all: uuid NULL. [any] */
void qd_replication_recovering(qd_replication *r, const char *uuid, uint32_t shard,
                               qd_recovery_counts *out);

#endif
