/*
 * replica.h: what replication asks of one copy of a shard. The protocol itself (who is in sync,
 * when a write is acknowledged, read leases, resync) stands above; see docs/engine.md, "Copies".
 *
 * A copy is in one of two modes. A *primary* indexes: qd_engine_apply gives numbers and the encoded
 * operations for the others. A *replica* only appends encoded operations to its translog
 * (qd_engine_replicate, then qd_engine_sync) and shows segments that a primary published
 * (qd_install_*). Promotion replays the translog above the last published segment; a term that is
 * raised sets a copy back to the global checkpoint.
 *
 * History of a copy: the newest record of each sequence number, generations read newest first. A
 * roll-back forgets operations above the global checkpoint for the checkpoints, but leaves their
 * records: they may have been acknowledged, and a promotion that comes before the resync finds them
 * again. qd_engine_trim_above, at the end of a resync, removes them for good.
 */
#ifndef QD_ENGINE_REPLICA_H
#define QD_ENGINE_REPLICA_H

#include "engine/engine.h"

/* --- operations ------------------------------------------------------------------------------- */

/* Takes the next encoded operation off *in: a whole record as in docs/format.md, "Translog", sealed
 * for generation 0. op's strings point into *in; raw (may be NULL) gets its bytes. QD_E_CORRUPT
 * with the place. [any] */
QD_MUST_CHECK
int qd_op_next(qd_str *in, qd_translog_op *op, qd_str *raw, qd_err *err);
/* Appends op, encoded. QD_E_NOMEM. [any] */
QD_MUST_CHECK
int qd_op_encode(const qd_translog_op *op, qd_buf *out, qd_err *err);

/* Replica: appends encoded operations (one behind the other) of a sender whose term is sender_term.
 * Gaps and any order are allowed; one that is here already is skipped, one at or below the global
 * checkpoint as well. *n (may be NULL) gets how many were in ops; *at is for qd_engine_sync. Not
 * yet durable, and qd_engine_checkpoints_get counts it as persisted after the sync. [worker]
 * QD_E_TERM_OLD: sender_term is below the copy's; QD_E_STATE: it is above, raise it first, or the
 * copy is a primary; QD_E_NOSPACE: nothing of it was taken; QD_E_CORRUPT: bad bytes (nothing was
 * taken), or another operation of the same number and term is here (the copy fails). */
QD_MUST_CHECK
int qd_engine_replicate(qd_engine *e, uint64_t sender_term, qd_str ops, uint32_t *n,
                        qd_translog_location *at, qd_err *err);

typedef struct qd_engine_ops qd_engine_ops;
/* Opens a cursor over the operations from..to (both included; to is cut to the local checkpoint) in
 * the order of their numbers, each once. Holds the translog's generations until closed. [worker]
 * QD_E_OPS_GONE: the translog does not reach back to `from`. */
QD_MUST_CHECK
int qd_engine_ops_open(qd_engine *e, int64_t from, int64_t to, qd_engine_ops **out, qd_err *err);
/* Appends encoded operations to out until max_bytes are exceeded (at least one); *n gets how many,
 * 0 at the end; *last (may be NULL) the last one's number. [worker] QD_E_TRANSLOG_CORRUPT, QD_E_IO.
 */
QD_MUST_CHECK
int qd_engine_ops_next(qd_engine_ops *o, size_t max_bytes, qd_buf *out, uint32_t *n, int64_t *last,
                       qd_err *err);
/* Ends it. NULL is fine. [worker] */
void qd_engine_ops_close(qd_engine_ops *o);
/* Has this copy failed because an operation came that another one contradicts, which it knows to be
 * acknowledged? Then what it holds is to be kept (qd_shard_set_aside). [any] */
bool qd_engine_contradicted(qd_engine *e);
/* The lowest number from which on all operations are retained. [any] */
int64_t qd_engine_ops_from(qd_engine *e);

/* --- checkpoints and terms -------------------------------------------------------------------- */

typedef struct qd_engine_checkpoints {
    int64_t max_seq_no;       /* highest number taken or received */
    int64_t processed;        /* local checkpoint: all up to here are in the log or its buffer */
    int64_t persisted;        /* all up to here are durable */
    int64_t durable;          /* the same by what the log has not synced: for pair assertions */
    int64_t global;           /* known */
    int64_t global_persisted; /* known after a power loss */
    int64_t shown;            /* of the newest reader */
} qd_engine_checkpoints;
/* Statistics of the moment. [any] */
void qd_engine_checkpoints_get(qd_engine *e, qd_engine_checkpoints *out);
/* The term of this copy. [any] */
uint64_t qd_engine_primary_term(qd_engine *e);
/* [any] */
qd_engine_mode qd_engine_mode_get(qd_engine *e);
/* config.copies_arg. [any] */
void *qd_engine_copies_arg(const qd_engine *e);
/* 16 bytes naming the history of operations. [any] */
void qd_engine_history(qd_engine *e, uint8_t out[16]);

/* A global checkpoint that is at least this; a lower one is ignored, and a replica takes no more
 * than it has itself (while it recovers it lacks operations below). On a primary it lets a written
 * refresh be shown: config.due is called then, or, without it, the publication happens inside this
 * call ([worker] then). It becomes durable with the next sync of the translog. [any] */
void qd_engine_global_checkpoint_set(qd_engine *e, int64_t checkpoint);
/* Switches config.replicated while running: the first copy comes, the last one went. [worker] */
void qd_engine_replicated_set(qd_engine *e, bool replicated);
/* Makes the known global checkpoint durable, writing only when it is not (idle copies). [worker] */
QD_MUST_CHECK
int qd_engine_global_checkpoint_sync(qd_engine *e, qd_err *err);

/* Adopts a higher term: waits until running qd_engine_replicate and qd_engine_apply calls have
 * ended, makes the term durable in a new generation. The same term again does nothing. A primary
 * becomes a replica: qd_engine_rollback must follow and does both. [worker] QD_E_TERM_OLD; an error
 * of the disk fails the engine. */
QD_MUST_CHECK
int qd_engine_term_raise(qd_engine *e, uint64_t term, qd_err *err);
/* Sets a copy back to the global checkpoint, in the term `term` (adopted first if higher): buffers,
 * written but unshown segments and the version map are dropped, waits for visibility end with
 * QD_E_WRITE_UNKNOWN, the checkpoints go back. It is a replica afterwards. Segments are never
 * touched. global: for a copy of the in-sync set what the new primary knows, whose operations it
 * has all: those in its translog up to there count again, and the resync begins behind them.
 * QD_SEQ_NO_NONE for any other copy, whose records above what it knew itself may be of another
 * history: it is recovered. *to (may be NULL) gets the number it was set back to. [worker] As
 * qd_engine_term_raise. */
QD_MUST_CHECK
int qd_engine_rollback(qd_engine *e, uint64_t term, int64_t global, int64_t *to, qd_err *err);
/* How far what is on this copy's disk reaches, whatever it was set back to: the highest number in
 * its log, or its checkpoint. A copy that was killed still has what it had called durable. [any] */
int64_t qd_engine_log_end(qd_engine *e);
/* End of a resync: records above seq_no whose term is below `term` (the sender's) are discarded,
 * durably. [worker] QD_E_TERM_OLD. */
QD_MUST_CHECK
int qd_engine_trim_above(qd_engine *e, int64_t seq_no, uint64_t term, qd_err *err);
/* Replica to primary: makes the new term durable, replays the own translog above the last published
 * segment, fills gaps up to the highest number with no-ops of the new term, all durable on return.
 * Writes are taken from then on; what is above the global checkpoint is not shown. The caller has
 * waited out its read-lease grants. [worker] QD_E_TERM_OLD; any other failure fails the engine. */
QD_MUST_CHECK
int qd_engine_promote(qd_engine *e, uint64_t term, qd_err *err);
/* Replica, before a recovery by files from another history: forgets all operations; those that
 * arrive from now on belong to `history` (16 bytes). What is on the disk is replaced by the first
 * publication that is installed, and stays until then, also over a restart. The copy's own history
 * again does nothing. [worker] QD_E_STATE: a primary; or `history` is that of what is on the disk,
 * after a reset to another one: the copy fails, and opened anew has its log of it. */
QD_MUST_CHECK
int qd_engine_recovery_reset(qd_engine *e, const uint8_t *history, qd_err *err);

/* Primary that was forced or restored, whose operations may lack some that others have: names its
 * history anew, durably, so that no copy of the old one catches up by operations. [worker]
 * QD_E_NOT_PRIMARY; any other failure fails the engine. */
QD_MUST_CHECK
int qd_engine_history_renew(qd_engine *e, qd_err *err);

/* --- visibility on a replicated primary ------------------------------------------------------- */

/* As qd_engine_refresh, but does not wait for the global checkpoint: *seq_no (may be NULL) gets the
 * number whose checkpoint shows what was cut now or before. For background, full buffers, and
 * refresh=true together with qd_engine_refresh_wait. [worker] */
QD_MUST_CHECK
int qd_engine_refresh_start(qd_engine *e, int64_t *seq_no, qd_err *err);
/* What config.due asks for: shows a written refresh that the global checkpoint covers. [worker] */
QD_MUST_CHECK
int qd_engine_refresh_finish(qd_engine *e, qd_err *err);

/* --- publications ----------------------------------------------------------------------------- */

/* A segment of a publication: its file "seg-<id>" and, with live_generation > 0, "live-<id>-<gen>".
 * Hashes cover checksums and footer of the file, which cover every byte. */
typedef struct qd_publication_segment {
    uint8_t id[16];
    uint32_t docs, live;
    uint64_t bytes, hash;
    uint64_t live_generation, live_bytes, live_hash;
} qd_publication_segment;

typedef struct qd_publication {
    uint64_t primary_term, generation; /* its order */
    int64_t max_seq_no;                /* every operation up to here is in it */
    int64_t global_checkpoint;         /* known when it was made; not below max_seq_no */
    uint8_t history[16];
    uint32_t n;
    qd_publication_segment *segments;
} qd_publication;

typedef struct qd_publication_file {
    char name[64]; /* below the shard's folder */
    uint64_t bytes, hash;
    bool live; /* live documents */
} qd_publication_file;

/* The newest publication of a primary, its files held until qd_publication_unref: for listing, for
 * fetching, for a recovery by files. Live documents that are not on the disk yet are written (not
 * synced). [worker] QD_E_NOT_PRIMARY, QD_E_IO, QD_E_NOSPACE. */
QD_MUST_CHECK
int qd_engine_publication(qd_engine *e, qd_publication **out, qd_err *err);
/* One reference more. [any] */
qd_publication *qd_publication_ref(qd_publication *p);
/* One reference less; files that nothing else needs are removed with the last one. NULL is fine.
 * Before the engine closes. [worker] */
void qd_publication_unref(qd_publication *p);
/* -1, 0, 1 as a is older than, the same as, newer than b. [any] */
int qd_publication_compare(const qd_publication *a, const qd_publication *b);
/* Number of files. [any] */
uint32_t qd_publication_files(const qd_publication *p);
/* The i-th file. [any] */
void qd_publication_file_at(const qd_publication *p, uint32_t i, qd_publication_file *out);
/* Reads bytes of the i-th file of a held publication, as they are on the disk; *got < n only at the
 * end. [worker] QD_E_IO. */
QD_MUST_CHECK
int qd_publication_read(qd_publication *p, uint32_t i, uint64_t offset, void *buf, size_t n,
                        size_t *got, qd_err *err);
/* Appends p in a form for the wire. QD_E_NOMEM. [any] */
QD_MUST_CHECK
int qd_publication_encode(const qd_publication *p, qd_buf *out, qd_err *err);
/* Reads it back: *out with one reference, holding no files. QD_E_CORRUPT with the place. [any] */
QD_MUST_CHECK
int qd_publication_decode(qd_str in, qd_account *account, qd_publication **out, qd_err *err);
/* What is shown now: term and generation of the last publication made or installed (0, 0: none),
 * its max_seq_no. After qd_engine_recovery_reset nothing, as what is still shown is of another
 * history. [any] */
void qd_engine_published(qd_engine *e, uint64_t *term, uint64_t *generation, int64_t *max_seq_no);

typedef struct qd_install qd_install;
/* Replica: begins to install p (copied): finds which files are missing. One at a time. [worker]
 * QD_E_EXISTS: one as new is shown; QD_E_TERM_OLD; QD_E_STATE: a primary, another history (see
 * qd_engine_recovery_reset), or one is under way. */
QD_MUST_CHECK
int qd_install_begin(qd_engine *e, const qd_publication *p, qd_install **out, qd_err *err);
/* Files to be received, as indices for qd_publication_file_at. [any] */
uint32_t qd_install_missing(const qd_install *i, const uint32_t **files);
/* Begins a missing file, under a temporary name; again: from its beginning. Different files may be
 * received by different threads. [worker] */
QD_MUST_CHECK
int qd_install_file_begin(qd_install *i, uint32_t file, qd_err *err);
/* Appends bytes in order. QD_E_CORRUPT: more than the file has. [worker] */
QD_MUST_CHECK
int qd_install_file_append(qd_install *i, uint32_t file, const void *p, size_t n, qd_err *err);
/* Checks length, every checksum and the hash, names it. A bad file is removed and may be begun
 * again. A later qd_install_begin finds a finished one, also of an install that was aborted.
 * [worker] QD_E_CORRUPT. */
QD_MUST_CHECK
int qd_install_file_finish(qd_install *i, uint32_t file, qd_err *err);
/* Syncs a finished file before the commit does, which is the shorter then: what is not done while
 * others come is done at the end. A failure fails the engine. [worker] */
QD_MUST_CHECK
int qd_install_file_sync(qd_install *i, uint32_t file, qd_err *err);
/* All files are there: syncs them, writes the commit point, shows the new reader in one step, lets
 * old files and covered translog go. Frees i in any case. [worker] QD_E_STATE: a file is missing,
 * or the term was raised meanwhile; a failed sync fails the engine. */
QD_MUST_CHECK
int qd_install_commit(qd_install *i, qd_err *err);
/* Gives up; finished files stay for the next one. NULL is fine. [worker] */
void qd_install_abort(qd_install *i);

/* --- retention -------------------------------------------------------------------------------- */

#define QD_LEASE_ID_MAX 128u
#define QD_LEASES_MAX 1024u

typedef struct qd_engine_lease {
    char id[QD_LEASE_ID_MAX + 1];
    int64_t retaining_seq_no; /* this one and all above are kept */
    int64_t renewed_ms;       /* wall clock, as its owner said */
} qd_engine_lease;

/* Adds or renews a lease; durable with the next commit point, at once for this process. A lease
 * that asks for less than is retained gets what there is: qd_engine_ops_from tells. [any] QD_E_ARG
 * (id), QD_E_LIMIT. */
QD_MUST_CHECK
int qd_engine_lease_set(qd_engine *e, qd_str id, int64_t retaining_seq_no, int64_t renewed_ms,
                        qd_err *err);
/* Removes it; an absent one is fine. [any] */
void qd_engine_lease_remove(qd_engine *e, qd_str id);
/* Copies at most max leases; returns how many there are. [any] */
uint32_t qd_engine_leases(qd_engine *e, qd_engine_lease *out, uint32_t max);

#endif
