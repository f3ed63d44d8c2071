/*
 * engine.h: one shard on this node: translog, indexing buffers, version map, refresh, flush, merge,
 * recovery. Knows neither JSON nor mappings: a call-back turns an operation's source into fields.
 *
 * Writes of different ids run in parallel, each thread on its own slot; writes of one id are
 * serialised by the version map's stripe. A refresh stops writers only to swap buffers. Searches
 * take a qd_reader and no lock. A failure of the disk closes the engine: nothing un-synced is kept,
 * the owner opens the shard again from what is verifiably there.
 *
 * Lock order: flush, refresh, slots (ascending), stripe, publish, translog.
 */
#ifndef QD_ENGINE_ENGINE_H
#define QD_ENGINE_ENGINE_H

#include "base/str.h"
#include "engine/merge_policy.h"
#include "engine/reader.h"
#include "engine/translog.h"
#include "runtime/pool.h"
#include "runtime/task.h"
#include "segment/buffer.h"
#include "segment/merge.h"

typedef struct qd_engine qd_engine;

#define QD_SEQ_NO_UNASSIGNED (-2)
#define QD_SEQ_NO_NONE (-1)
#define QD_SLOTS_MAX 64u

typedef enum qd_version_type {
    QD_VERSION_INTERNAL = 0,
    QD_VERSION_EXTERNAL = 1,
    QD_VERSION_EXTERNAL_GTE = 2
} qd_version_type;

typedef struct qd_engine_op {
    bool delete, create; /* create: refuse an id that exists */
    bool is_new;         /* it comes from a client, not from a log or another copy */
    qd_str id, routing, source;
    qd_version_type version_type;
    int64_t version;   /* external types only; -1 otherwise */
    int64_t if_seq_no; /* QD_SEQ_NO_UNASSIGNED: no condition */
    uint64_t if_primary_term;
    int64_t auto_id_ms; /* >= 0: the id was generated just now and cannot exist */
    uint32_t mapping;   /* revision of the mapping that write_doc uses; kept in the record */
    void *user;         /* for the write_doc call-back */
    /* NULL, or gets the encoded operation (replica.h) appended: what the other copies are sent.
     * When qd_engine_apply fails after the number was taken, that of the no-op in its place. */
    qd_buf *encoded;
} qd_engine_op;

typedef struct qd_engine_result {
    int64_t seq_no;
    uint64_t primary_term, version;
    bool created; /* index: there was none; delete: false means not found */
    bool found;   /* delete: there was one */
    /* after QD_E_VERSION_CONFLICT: number of the operation that the answer reveals, which is
     * durable by then (as index.translog.durability asks), or -1 */
    int64_t revealed_seq_no;
    qd_translog_location at;
    uint64_t took_ns;
} qd_engine_result;

typedef enum qd_durability { QD_DURABILITY_REQUEST = 0, QD_DURABILITY_ASYNC = 1 } qd_durability;

/* What may change while the engine runs. */
typedef struct qd_engine_settings {
    qd_durability durability;
    int64_t gc_deletes_ms; /* index.gc_deletes: 60,000 */
    uint8_t stored_codec;  /* qd_stored_codec */
    uint8_t merge_order;   /* qd_merge_order: of documents in segments made by merges */
    qd_merge_policy merge;
    uint64_t merge_bytes_per_s; /* 0: no limit */
    uint32_t merges_max;        /* running at one time: 1 */
    uint32_t refresh_waits_max; /* requests that wait for a refresh; one more forces it: 1,000 */
} qd_engine_settings;

/* Elasticsearch's defaults. */
void qd_engine_settings_default(qd_engine_settings *s);

/*
 * Turns a document into fields of the open document of b: text, keywords, columns, points, and
 * calls qd_buffer_source with what is to be stored. unit names the buffer's present life: field
 * numbers of b hold as long as it stays the same. Runs under the slot's lock, on the writer's
 * thread; during recovery as well (op->user is NULL then). Any result but 0 leaves the document out
 * without a trace and comes back from qd_engine_apply as it is; a negative one is the operation's
 * error.
 */
typedef int (*qd_engine_write_doc)(void *arg, uint32_t slot, uint64_t unit, qd_buffer *b,
                                   const qd_engine_op *op, qd_err *err);

typedef enum qd_engine_mode { QD_ENGINE_PRIMARY = 0, QD_ENGINE_REPLICA = 1 } qd_engine_mode;

typedef struct qd_engine_config {
    qd_env *env;
    /* Where the shard's commit point and translog are (a tier with logs), and where its segments
     * and live documents are, which a commit point names. Mostly the same one. In both the shard
     * has `folder` for itself. */
    qd_store *log_store, *segment_store;
    qd_str folder; /* of the shard: "indices/<uuid>/<number>" */
    qd_str name;   /* for messages: "[index][shard]" */
    /* not below any used before; a primary that other copies have followed is opened with a new
     * one: its no-ops for numbers whose records were lost are operations of this term */
    uint64_t primary_term;
    uint32_t slots;            /* writers in parallel, 1 to QD_SLOTS_MAX */
    uint64_t slot_bytes;       /* a buffer of this size is refreshed away by its writer */
    qd_account *account;       /* buffers, version map, readers */
    qd_pool *merge_pool;       /* NULL: merges run only in qd_engine_merge_step */
    qd_part_types part_types;  /* who merges index parts; find NULL: nobody */
    const qd_merge_sort *sort; /* nsort: the order of documents in all segments; copied */
    uint32_t nsort;            /* 0: none */
    uint64_t order_memory;     /* of a merge for finding an order by terms; 0: segment/merge.h's */
    /* NULL, or set by the owner while the tier lacks room: writes are refused before they take a
     * number, so that what is buffered still finds room */
    const _Atomic bool *disk_full;
    qd_engine_settings settings;
    qd_engine_write_doc write_doc;
    /* Under the slot's lock, when nobody has written to the shard for a while: frees what write_doc
     * keeps for the slot; whether there was something. NULL: nothing is kept. */
    bool (*slot_idle)(void *write_doc_arg, uint32_t slot);
    /* NULL: documents are shown as they are stored. Else, with write_doc_arg: the mapping by which
     * their sources are made (doc_sources.h), a reference. */
    struct qd_mapping *(*source_mapping)(void *write_doc_arg);
    void *write_doc_arg;

    /* Copies (replica.h). A replica appends operations and shows what a primary published. */
    qd_engine_mode mode;
    /* A primary whose global checkpoint is told by qd_engine_global_checkpoint_set: a refresh shows
     * nothing above it. false: the only copy, whose checkpoint follows what is durable here. */
    bool replicated;
    const uint8_t *history; /* of qd_engine_create: 16 bytes; NULL: a new one */
    /* A new publication is visible (refresh, merge, install, promotion); before the files that it
     * replaces go. On the thread that published: may call qd_engine_publication and queue work, but
     * neither refresh nor flush nor install. */
    void (*published)(void *arg, int64_t max_seq_no);
    /* The global checkpoint covers a written refresh: qd_engine_refresh_finish is due on a worker.
     * On the thread of qd_engine_global_checkpoint_set. NULL: that call does it. */
    void (*due)(void *arg);
    void *copies_arg;
} qd_engine_config;

/* Makes an empty shard: translog and first commit point. QD_E_EXISTS if one is there. [worker] */
QD_MUST_CHECK
int qd_engine_create(const qd_engine_config *c, qd_engine **out, qd_err *err);
/* Opens a shard: last commit point, replay of the translog above it, refresh. Files that nothing
 * points to are removed (ours) or set aside (others). QD_E_NOTFOUND without a commit point;
 * QD_E_CORRUPT, QD_E_TRANSLOG_CORRUPT with file and offset. [worker] */
QD_MUST_CHECK
int qd_engine_open(const qd_engine_config *c, qd_engine **out, qd_err *err);
/* Stops merges and closes; with flush commits first (a clean stop), without it only what is durable
 * stays (a deletion, a failure). No other call may run. [worker] */
void qd_engine_close(qd_engine *e, bool flush);
/* 0, or the error that closed the engine to writes, with its text. [any] */
int qd_engine_failure(qd_engine *e, qd_err *err);
/* Applies changed settings. [worker] */
void qd_engine_settings_set(qd_engine *e, const qd_engine_settings *s);
/* What operations are acknowledged by at this moment. [any] */
qd_durability qd_engine_durability(const qd_engine *e);

/*
 * Applies one operation: look-up of the version, conflict check, sequence number, translog, buffer.
 * Not yet durable: qd_engine_sync comes before the acknowledgement. slot_hint (a worker's number)
 * picks the indexing slot; another free one is taken if it is busy. [worker]
 * QD_E_VERSION_CONFLICT, QD_E_ARG (empty or long id), QD_E_NOSPACE (disk_full; deletions are
 * refused as well), QD_E_BREAKER, what write_doc gave, or the failure of the engine.
 */
QD_MUST_CHECK
int qd_engine_apply(qd_engine *e, uint32_t slot_hint, const qd_engine_op *op,
                    qd_engine_result *result, qd_err *err);
/* Makes everything applied by this caller up to `at` durable, as the durability setting asks: with
 * async it returns at once. [worker] */
QD_MUST_CHECK
int qd_engine_sync(qd_engine *e, const qd_translog_location *at, qd_err *err);
/* Is it, as far as the setting asks? [any] */
bool qd_engine_reached(qd_engine *e, const qd_translog_location *at);
/* Makes all durable whatever the setting (sync_interval, clean stop). [worker] */
QD_MUST_CHECK
int qd_engine_sync_all(qd_engine *e, qd_err *err);

typedef struct qd_engine_doc {
    bool found;
    uint64_t version, primary_term;
    int64_t seq_no;
    qd_str source;  /* in the arena; empty when not stored */
    qd_str routing; /* in the arena */
    qd_str stored;  /* values of stored fields beside the source (document.h), with it */
    bool source_stored;
    bool as_sent; /* the source is the client's, whatever of it the mapping keeps */
} qd_engine_doc;

/* Gets a document by id. realtime: the newest acknowledged state, from translog or reader, without
 * a refresh; otherwise as searches see it. want_source false leaves the source out. [worker] */
QD_MUST_CHECK
int qd_engine_get(qd_engine *e, qd_str id, bool realtime, bool want_source, qd_arena *arena,
                  qd_engine_doc *out, qd_err *err);

/* Makes everything applied before the call visible to searches; cheap when nothing is new.
 * On a replicated primary it waits for the global checkpoint, at most 30 s (QD_E_TIMEOUT); see
 * qd_engine_refresh_start in replica.h. [worker] */
QD_MUST_CHECK
int qd_engine_refresh(qd_engine *e, qd_err *err);
/* Is there anything a refresh would show? false while one is running. Does not wait. [any] */
bool qd_engine_refresh_needed(qd_engine *e);

/* A wait for visibility (refresh=wait_for); embedded by the caller, alive until done. */
typedef struct qd_refresh_wait {
    struct qd_refresh_wait *next;
    int64_t seq_no;
    void (*done)(struct qd_refresh_wait *w, int rc);
    void *user;
} qd_refresh_wait;
/* Calls w->done once seq_no is visible: at once (inside the call) when it is already, else from the
 * thread of a later refresh. With over 1,000 waiting it refreshes instead and *forced is true. An
 * engine that closes calls done with QD_E_CLOSED, one that fails with its failure. [worker] */
QD_MUST_CHECK
int qd_engine_refresh_wait(qd_engine *e, qd_refresh_wait *w, bool *forced, qd_err *err);

/* Commits: refresh, syncs of all files, commit point, translog trimmed. force: even if nothing
 * changed. [worker] */
QD_MUST_CHECK
int qd_engine_flush(qd_engine *e, bool force, qd_err *err);
/* Merges down to max_segments, or only deletions away, what is there when it begins; waits for it.
 * task may be NULL. [worker] */
QD_MUST_CHECK
int qd_engine_force_merge(qd_engine *e, uint32_t max_segments, bool only_deletes, qd_task *task,
                          qd_err *err);
/* Merges end soon, also forced ones whose callers are inside, and no new ones begin: before the
 * engine is closed. [any] */
void qd_engine_merges_stop(qd_engine *e);
/* Runs one natural merge on this thread if the policy finds one: *did tells. [worker] */
QD_MUST_CHECK
int qd_engine_merge_step(qd_engine *e, bool *did, qd_err *err);

/* The newest reader with a reference for the caller. [any] lock-free */
qd_reader *qd_engine_reader(qd_engine *e);

typedef struct qd_engine_stats {
    uint64_t index_total, index_ns, index_failed, delete_total, delete_ns, noop_total, get_total,
        get_ns, get_found;
    uint64_t refresh_total, refresh_ns, flush_total, flush_ns;
    uint64_t merge_total, merge_ns, merge_docs, merge_bytes, merge_current, merge_failed;
    uint64_t buffer_bytes, version_map_bytes, version_map_entries;
    uint64_t segment_bytes, part_bytes; /* part_bytes: of these, index parts of field types */
    uint32_t segments;
    int64_t max_seq_no, local_checkpoint, global_checkpoint;
    uint64_t refresh_listeners;
    qd_translog_stats translog;
} qd_engine_stats;
/* Statistics of the moment. [any] */
void qd_engine_stats_get(qd_engine *e, qd_engine_stats *out);
/* Bytes in indexing buffers, for the node's budget. Adds to *used (may be NULL) how many slots hold
 * something. [any] */
uint64_t qd_engine_buffer_bytes(qd_engine *e, uint32_t *used);
/* Changes slot_bytes. [any] */
void qd_engine_slot_bytes_set(qd_engine *e, uint64_t bytes);
/* The highest sequence number if the last commit point lacks it, -1 when it lacks nothing. [any] */
int64_t qd_engine_uncommitted(qd_engine *e);
/* Does anybody wait for a refresh? [any] */
bool qd_engine_waited_for(qd_engine *e);
/* Gives the pages of empty buffers back: for a shard that nobody writes to. *some becomes true if
 * buffers were freed. false: a refresh is running, ask again later; it never waits for one. [any]
 */
bool qd_engine_trim(qd_engine *e, bool *some);
/* Bytes of the translog since the last commit point: what a flush would let go. [any] */
uint64_t qd_engine_translog_bytes(qd_engine *e);
/* History, as commit and stats show it: 22 characters and a NUL. [any] */
void qd_engine_history_uuid(qd_engine *e, char out[23]);

/* Is a segment part of the last commit point? For _cat/segments. [any] */
bool qd_engine_committed(qd_engine *e, uint64_t unit);

#endif
