/*
 * translog.h: the write-ahead log of one shard: every operation with its own sequence number and
 * primary term, in generations of append-only logs on a tier that has them.
 *
 * Adding an operation copies it into a pending buffer and tells its location; qd_translog_sync
 * makes everything up to a location durable, one caller writing and syncing for all who wait (group
 * commit). After each sync a mark is appended that names the durable end, so that at recovery a
 * torn tail (bytes behind the last mark's end) is told from corruption (bytes before it). A failed
 * write or sync is final: the log refuses everything but reads, and its shard reopens from disk.
 *
 * Layout: docs/format.md, "Translog". All functions are [worker] and thread-safe unless said.
 */
#ifndef QD_ENGINE_TRANSLOG_H
#define QD_ENGINE_TRANSLOG_H

#include "base/arena.h"
#include "base/err.h"
#include "runtime/env.h"
#include "store/store.h"

typedef struct qd_translog qd_translog;

typedef enum qd_translog_op_type {
    QD_TRANSLOG_INDEX = 1,
    QD_TRANSLOG_DELETE = 2,
    QD_TRANSLOG_NOOP =
        3, /* fills the sequence number of a failed operation; source is the reason */
} qd_translog_op_type;

#define QD_TRANSLOG_ID_MAX 512u
#define QD_TRANSLOG_ROUTING_MAX 65535u
#define QD_TRANSLOG_SOURCE_MAX (2147483647u - 131072u)
#define QD_TRANSLOG_OVERHEAD 72u /* bytes beside id, routing and source at most */

typedef struct qd_translog_op {
    qd_translog_op_type type;
    uint64_t seq_no;
    uint64_t primary_term; /* of origin; with seq_no names exactly one operation for ever */
    uint64_t version;
    int64_t auto_id_ms; /* wall time at which an id was generated, -1 for a given id */
    qd_str id, routing, source;
} qd_translog_op;

/* Where a record stands; valid until its generation is trimmed. */
typedef struct qd_translog_location {
    uint64_t generation;
    uint64_t offset;
    uint32_t bytes;
} qd_translog_location;

typedef struct qd_translog_stats {
    uint64_t operations, bytes;                         /* in all kept generations */
    uint64_t uncommitted_operations, uncommitted_bytes; /* since the last commit */
    uint64_t syncs, writes;
    uint64_t generation, min_generation;
} qd_translog_stats;

/* Makes the first generation of a new shard below folder; uuid binds log and commit point.
 * QD_E_UNSUPPORTED when the tier has no logs, QD_E_EXISTS, QD_E_IO, QD_E_NOSPACE. */
QD_MUST_CHECK
int qd_translog_create(qd_env *env, qd_store *s, qd_str folder, const uint8_t uuid[16],
                       uint64_t primary_term, qd_account *account, qd_translog **out, qd_err *err);

/*
 * Opens an existing log: reads every generation from min_generation, newest first is not needed on
 * one copy: records come in file order. each(arg, op, location) gets every record once; op lives
 * only during the call; its error ends the opening. A torn tail of the last generation is cut off
 * and logged; any other bad byte is QD_E_TRANSLOG_CORRUPT naming file and offset. Generations below
 * min_generation are removed. A new generation is then begun with primary_term.
 */
QD_MUST_CHECK
int qd_translog_open(qd_env *env, qd_store *s, qd_str folder, const uint8_t uuid[16],
                     uint64_t primary_term, uint64_t min_generation, qd_account *account,
                     int (*each)(void *arg, const qd_translog_op *op,
                                 const qd_translog_location *at, qd_err *err),
                     void *arg, qd_translog **out, qd_err *err);

/* Copies op into the pending buffer; waits while too much is pending. QD_E_LIMIT for an id, routing
 * or source over its maximum, QD_E_NOMEM (nothing added), or the error that closed the log. */
QD_MUST_CHECK
int qd_translog_add(qd_translog *t, const qd_translog_op *op, qd_translog_location *at,
                    qd_err *err);
/* Makes everything up to and including `at` durable. Any error is final for the log. */
QD_MUST_CHECK
int qd_translog_sync(qd_translog *t, const qd_translog_location *at, qd_err *err);
/* Makes everything added so far durable. */
QD_MUST_CHECK
int qd_translog_sync_all(qd_translog *t, qd_err *err);
/* Is everything added so far durable? [any] */
bool qd_translog_synced(qd_translog *t);
/* Reads one record back, from memory or disk, checked; the op's strings live in arena.
 * QD_E_NOTFOUND when its generation is gone, QD_E_TRANSLOG_CORRUPT. */
QD_MUST_CHECK
int qd_translog_read(qd_translog *t, const qd_translog_location *at, qd_arena *arena,
                     qd_translog_op *op, qd_err *err);
/* Syncs and begins a new generation, whose number *generation (may be NULL) gets: all operations
 * added after the return stand in it or later. */
QD_MUST_CHECK
int qd_translog_roll(qd_translog *t, uint64_t *generation, qd_err *err);
/* Removes generations below min_generation, which a durable commit point no longer needs. */
QD_MUST_CHECK
int qd_translog_trim(qd_translog *t, uint64_t min_generation, qd_err *err);
/* Figures. [any] */
void qd_translog_stats_get(qd_translog *t, qd_translog_stats *out);
/* 0, or the error that closed the log, with its text in err. [any] */
int qd_translog_failure(qd_translog *t, qd_err *err);
/* Frees; with sync tries to make the rest durable first (a clean stop). No other call may run. */
int qd_translog_close(qd_translog *t, bool sync, qd_err *err);

#endif
