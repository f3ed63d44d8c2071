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
 * Every generation's header says under which term it was begun and which records of those before it
 * are void, so that a copy that changes sides keeps immutable files. Each mark also names the
 * global checkpoint that was known.
 *
 * Layout: docs/format.md, "Translog". All functions are [worker] and thread-safe unless said.
 */
#ifndef QD_ENGINE_TRANSLOG_H
#define QD_ENGINE_TRANSLOG_H

#include "base/arena.h"
#include "base/err.h"
#include "engine/seq_no.h"
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
    uint32_t mapping;   /* revision of the mapping that the operation needs */
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
    uint64_t current_bytes; /* of the newest generation */
} qd_translog_stats;

/* What binds a log to its shard. */
typedef struct qd_translog_identity {
    uint8_t uuid[16];      /* of log and commit point */
    uint8_t history[16];   /* of the operations */
    uint64_t primary_term; /* not below any used before */
} qd_translog_identity;

/* Makes the first generation of a new shard below folder.
 * QD_E_UNSUPPORTED when the tier has no logs, QD_E_EXISTS, QD_E_IO, QD_E_NOSPACE. */
QD_MUST_CHECK
int qd_translog_create(qd_env *env, qd_store *s, qd_str folder, const qd_translog_identity *who,
                       qd_account *account, qd_translog **out, qd_err *err);

/*
 * Opens an existing log and begins a new generation. Generations below first are removed; of those
 * from first on, below replay, only the headers are read (kept for others,
 * qd_translog_cursor_open); from replay on every byte is checked. A torn tail of the last
 * generation is cut off and logged; any other bad byte is QD_E_TRANSLOG_CORRUPT naming file and
 * offset. Generations at the end that belong to another history than who's come from a recovery
 * that never ended and are removed.
 */
QD_MUST_CHECK
int qd_translog_open(qd_env *env, qd_store *s, qd_str folder, const qd_translog_identity *who,
                     uint64_t first, uint64_t replay, qd_account *account, qd_translog **out,
                     qd_err *err);
/* The highest primary term of any generation. [any] */
uint64_t qd_translog_term(qd_translog *t);

/* The numbers whose durable checkpoint this log moves from now on: to what was processed when the
 * records that a sync has covered were taken. Before anything is added; they outlive the log. */
void qd_translog_tell(qd_translog *t, qd_seq_no *numbers);
/* Highest number, local and durable checkpoint of one moment; *durable: the latter by what the log
 * has not synced. Ends the process where *persisted is above it. After qd_translog_tell. [any] */
void qd_translog_numbers(qd_translog *t, int64_t *max, int64_t *processed, int64_t *persisted,
                         int64_t *durable);
/* Is the record, and all before it, on the disk? [any] */
bool qd_translog_reached(qd_translog *t, const qd_translog_location *at);
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
/* Where everything added so far ends, for qd_translog_sync. [any] */
qd_translog_location qd_translog_end(qd_translog *t);
/* The global checkpoint to be written with the next mark; never lower than before. [any] */
void qd_translog_checkpoint_set(qd_translog *t, int64_t checkpoint);
/* The one that a power loss leaves; -1: none. [any] */
int64_t qd_translog_checkpoint(qd_translog *t);
/* Makes the newest one durable; writes nothing when it is. [worker] */
QD_MUST_CHECK
int qd_translog_checkpoint_sync(qd_translog *t, qd_err *err);
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
#define TRANSLOG_ALL_TERMS ((uint64_t)INT64_MAX)
/* What the header of a new generation says beside its number. */
typedef struct qd_translog_turn {
    uint64_t primary_term;  /* not below the present one */
    const uint8_t *history; /* 16 bytes; NULL: the present one. Another one: a new beginning, its
                             * checkpoint is -1 */
    int64_t trim_above;     /* records of all generations before with a higher number and a term */
    uint64_t trim_below_term; /* below this are discarded; 0: none. TRANSLOG_ALL_TERMS with
                               * trim_above -1: all of them, they count for nothing any more */
} qd_translog_turn;
/* qd_translog_roll with more to say. Nobody adds meanwhile. */
QD_MUST_CHECK
int qd_translog_turn_over(qd_translog *t, const qd_translog_turn *turn, uint64_t *generation,
                          qd_err *err);
/* Might a generation begun under a lower term hold anything above seq_no? [any] */
bool qd_translog_above(qd_translog *t, int64_t seq_no, uint64_t below_term);
/* The highest number of an operation that stands in it, also of one that was discarded since, but
 * for those of another history; -1: none does. [any] */
int64_t qd_translog_highest(qd_translog *t);
/* The first generation with an operation above seq_no: where replay begins once all up to seq_no is
 * in segments. At most the current one. [any] */
uint64_t qd_translog_generation_above(qd_translog *t, int64_t seq_no);
/* Lets the oldest generations go that are below generation (a durable commit point no longer
 * replays them) and hold nothing from retain_seq_no on. */
QD_MUST_CHECK
int qd_translog_trim(qd_translog *t, uint64_t generation, int64_t retain_seq_no, qd_err *err);
/* What the oldest one would be after such a trim; *highest gets the highest number that would go,
 * -1: none. [any] */
uint64_t qd_translog_trim_plan(qd_translog *t, uint64_t generation, int64_t retain_seq_no,
                               int64_t *highest);

/*
 * The history that the kept generations hold: for each number the newest record that no later
 * generation discards, in the order of the numbers. A cursor keeps its generations' files open;
 * they may be trimmed meanwhile. Two records of one number and term with different bytes are
 * QD_E_TRANSLOG_CORRUPT. One thread at a time.
 */
typedef struct qd_translog_cursor qd_translog_cursor;
/* Operations from..to (included) that were added before this call. */
QD_MUST_CHECK
int qd_translog_cursor_open(qd_translog *t, int64_t from, int64_t to, qd_translog_cursor **out,
                            qd_err *err);
/* The next one: *more is false at the end. op's strings and raw (the record's bytes; may be NULL)
 * live until the next call; at (may be NULL) is where it stands. */
QD_MUST_CHECK
int qd_translog_cursor_next(qd_translog_cursor *c, bool *more, qd_translog_op *op, qd_str *raw,
                            qd_translog_location *at, qd_err *err);
/* Ends it; NULL is fine. */
void qd_translog_cursor_close(qd_translog_cursor *c);
/* Calls each with every operation above seq_no, as the cursor gives them. */
QD_MUST_CHECK
int qd_translog_replay(qd_translog *t, int64_t above,
                       int (*each)(void *arg, const qd_translog_op *op,
                                   const qd_translog_location *at, qd_err *err),
                       void *arg, qd_err *err);
/* Statistics. [any] */
void qd_translog_stats_get(qd_translog *t, qd_translog_stats *out);
/* 0, or the error that closed the log, with its text in err. [any] */
int qd_translog_failure(qd_translog *t, qd_err *err);
/* Frees; with sync tries to make the rest durable first (a clean stop). No other call may run. */
int qd_translog_close(qd_translog *t, bool sync, qd_err *err);

#endif
