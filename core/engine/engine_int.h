/*
 * engine_int.h: the engine's struct and what its files share. See engine.h.
 *
 * Units: every indexing buffer and every segment has a number that is never reused; a flushed
 * segment keeps its buffer's. "Document d of unit u" thus names a document before and after the
 * flush; retired units (merged away) keep a map until nobody can name them any more.
 */
#ifndef QD_ENGINE_ENGINE_INT_H
#define QD_ENGINE_ENGINE_INT_H

#include "base/vec.h"
#include "engine/commit.h"
#include "engine/engine.h"
#include "engine/mutants.h"
#include "engine/pair.h"
#include "engine/replica.h"
#include "engine/seq_no.h"
#include "engine/translog_int.h"
#include "engine/version_map.h"
#include "runtime/sync.h"
#include "segment/merge.h"
#include "store/copy.h"
#include <check/invariant.h>

#define ENGINE_LOG "engine"
#define ENGINE_NAME_MAX 600u
#define ENGINE_CURSORS 4u
#define ENGINE_MAGIC 0x51454e47u

/* A document to delete once the buffer whose operation replaced it becomes visible. */
typedef struct engine_delete {
    uint64_t unit;
    uint32_t doc;
} engine_delete;

typedef struct engine_buffer {
    qd_buffer *b;
    uint64_t unit;
    QD_VEC(engine_delete) deletes;
    int64_t min_seq_no, max_seq_no;
    /* while its refresh is not yet published: written and opened; about to be listed; listed */
    qd_segment *segment;
    struct engine_segment *entry;
    uint32_t *map;   /* of a sorted index, beside `segment`: where its documents are in it, */
    uint32_t mapped; /* as many; UINT32_MAX: left out */
    bool entered;
} engine_buffer;

typedef struct engine_slot {
    qd_mutex lock;
    engine_buffer *buffer;
    uint32_t id_field, seq_field, term_field, version_field, routing_field;
    uint64_t fields_unit; /* unit for which the field numbers above hold */
} __attribute__((aligned(64))) engine_slot;

/* A file of live documents. refs: one of its segment while it is the newest, one for each commit
 * point and publication that names it; the last one removes the file. */
typedef struct engine_live {
    uint64_t generation, bytes, hash;
    uint8_t segment[16];
    uint32_t count; /* live documents */
    bool synced;
    uint32_t refs; /* 0: being removed */
    struct engine_segment *owner;
    struct engine_live *next; /* of the owner */
} engine_live;

/* A segment of the shard. refs: one for the list, one for each commit point and publication that
 * names it; the last one removes the file. */
typedef struct engine_segment {
    uint64_t unit, oldest; /* oldest: the first unit of which it may have documents */
    qd_segment *segment;
    qd_live *live;      /* current; NULL: all live */
    engine_live *file;  /* newest one on disk; NULL: none */
    engine_live *files; /* all there are */
    bool live_mutable;  /* a copy that no reader shares yet */
    bool live_unsaved;  /* differs from file */
    bool synced, merging;
    uint32_t refs; /* 0: being removed */
} engine_segment;

/* What a commit point or a publication names; both counted. */
typedef struct engine_pair {
    engine_segment *segment;
    engine_live *file; /* NULL: all live */
} engine_pair;
typedef QD_VEC(engine_pair) engine_pairs;

/* A merged-away unit: where its documents went. */
typedef struct engine_retired {
    uint64_t unit, into, cut; /* cut: refreshes cut when it was retired */
    uint32_t *map;
    uint32_t docs;
} engine_retired;

typedef QD_VEC(engine_segment *) engine_segments;

/* A whole file in the folder that nothing names yet: an install was aborted, or the process ended.
 */
typedef struct engine_orphan {
    uint8_t segment[16];
    uint64_t live_generation; /* 0: the segment itself */
} engine_orphan;

/* What a replica remembers of an operation above the global checkpoint: a retry is told from
 * another operation of the same number. */
typedef struct engine_recent {
    int64_t seq_no; /* -1: free */
    uint64_t term;
    uint64_t sum; /* XXH3-64 of the record behind its checksum */
} engine_recent;

struct qd_engine {
    uint32_t magic;
    qd_env *env;
    qd_store *log_store, *segment_store; /* may be one */
    char *folder, *name;
    qd_account *account;
    qd_pool *merge_pool;
    uint64_t order_memory;
    qd_merge_sort *sort; /* index.sort.*, nsort; 0: not sorted */
    uint32_t nsort;
    qd_part_types part_types;
    const _Atomic bool *disk_full;
    qd_engine_write_doc write_doc;
    bool (*slot_idle)(void *write_doc_arg, uint32_t slot);
    struct qd_mapping *(*source_mapping)(void *write_doc_arg);
    void *write_doc_arg;
    _Atomic uint64_t primary_term;
    _Atomic uint64_t office_term; /* in which this copy was last the primary */
    _Atomic int mode; /* qd_engine_mode; changes under all slots and the replica's lock */
    _Atomic bool replicated;
    _Atomic bool promoting; /* a replica that replays: its buffers may be cut */
    void (*published)(void *arg, int64_t max_seq_no);
    void (*due)(void *arg);
    void *copies_arg;
    _Atomic uint64_t slot_bytes;
    uint8_t translog_uuid[16];
    qd_mutex history_lock;    /* a leaf: what is behind it is read by any thread */
    uint8_t history_uuid[16]; /* qd_engine_history, qdi_engine_history_set */

    _Atomic int durability; /* a copy: read by every operation */
    qd_mutex settings_lock;
    qd_engine_settings settings;

    qd_translog *translog; /* NULL during replay */
    qd_version_map *versions;
    qd_seq_no seq_no;

    uint32_t nslots;
    engine_slot *slots;
    _Atomic uint64_t next_unit;

    qd_mutex flush_lock;
    uint64_t commit_generation, committed_translog;
    _Atomic int64_t committed_checkpoint;
    _Atomic uint64_t committed_term;   /* the primary term of the commit point */
    uint8_t committed_history[16];     /* and its history */
    engine_pairs committed;            /* of the last commit point */
    _Atomic int64_t complete_from;     /* the translog holds every operation from here on */
    _Atomic uint64_t reset_generation; /* of a recovery that has not installed anything yet */
    qd_install *install;               /* under way */
    qd_mutex orphans_lock;
    QD_VEC(engine_orphan) orphans;
    qd_mutex save_lock; /* writing of live documents */
    qd_mutex all_lock;  /* e->all, and the files of each; below publish_lock */

    qd_mutex refresh_lock;
    QD_VEC(engine_buffer *) detached; /* cut off, not yet published */
    QD_VEC(engine_buffer *) spare;
    int64_t cut_seq_no;          /* of the detached buffers */
    bool cut_open;               /* a cut is waiting to be published */
    bool cut_written;            /* its segments are there */
    bool cut_again;              /* somebody asked for a refresh while a cut was waiting */
    _Atomic int64_t cut_waiting; /* checkpoint that a written cut waits for; INT64_MAX: none does */
    _Atomic uint64_t cuts;

    qd_mutex publish_lock; /* segments, retired, live documents, listeners */
    engine_segments segments;
    engine_segments
        all; /* whose file is there: listed, or named by a commit point or publication */
    QD_VEC(engine_retired) retired;
    uint64_t reader_version;
    int64_t shown_seq_no;
    uint64_t published_term, published_generation; /* of what is shown */
    qd_cond shown;                                 /* it, the failure, the mode changed */
    qd_refresh_wait *waits;
    uint32_t nwaits;
    bool closed;

    _Atomic int64_t global;    /* checkpoint, as told */
    qd_mutex replica_lock;     /* appending on a replica */
    qd_mutex global_lock;      /* raising `global` on a replica; the innermost but for seq_no's */
    _Atomic bool contradicted; /* see qd_engine_contradicted */
    engine_recent *recent;     /* operations above the global checkpoint, by number */
    uint64_t recent_size;

    /* cursors that were closed half-way: who reads on does not search the log again */
    qd_mutex cursors_lock;
    struct engine_cursor {
        qd_translog_cursor *c; /* NULL: free */
        int64_t next;
        uint64_t used;
    } cursors[ENGINE_CURSORS];
    uint64_t cursors_clock;

    qd_mutex leases_lock;
    QD_VEC(qd_engine_lease) leases;

    qd_reader_slot reader;
    qd_mutex failure_lock;
    qd_err failure;
    _Atomic int failed;
    _Atomic bool order_kept; /* the last merge to be ordered was not, for want of memory: told */
    _Atomic bool stop_merges;

    qd_mutex merge_lock;
    qd_cond merge_wake;
    uint32_t merges_running, merges_held; /* held: no natural ones are begun */

    struct {
        _Atomic uint64_t index_total, index_ns, index_failed, delete_total, delete_ns, noop_total;
        _Atomic uint64_t get_total, get_ns, get_found, refresh_total, refresh_ns, flush_total;
        _Atomic uint64_t flush_ns, merge_total, merge_ns, merge_docs, merge_bytes, merge_failed;
    } stats;
};

/* Records the first failure and closes the engine to writes; returns its code. */
int qdi_engine_fail(qd_engine *e, qd_err *err);
/* 0 or the failure, copied into err. */
int qdi_engine_alive(qd_engine *e, qd_err *err);
/* A copy of the settings. */
qd_engine_settings qdi_engine_settings(qd_engine *e);
/* "<folder>/seg-<hex>" */
qd_str qdi_engine_segment_name(const qd_engine *e, const uint8_t id[16], char *buf);
/* Was the segment made by this shard's history? */
bool qdi_engine_made(qd_engine *e, const qd_segment *s);
/* The order of its documents (qd_merge_order). */
uint8_t qdi_engine_order_of(const qd_segment *s);
/* The one that merges give them. */
qd_merge_order qdi_engine_order(qd_engine *e);
/* Takes the sort of c; frees it. */
int qdi_engine_sort_set(qd_engine *e, const qd_engine_config *c, qd_err *err);
void qdi_engine_sort_fini(qd_engine *e);
/* Writes b's segment, of these attributes, in the order of the sort, and puts it in the place of
 * the former one, whose file goes; b->map leads there. What operations of the cut replaced is left
 * out: with no document left, and on failure, b has no segment. */
int qdi_engine_sort_segment(qd_engine *e, engine_buffer *b, const qd_segment_attrs *attrs,
                            qd_err *err);
/* Makes b->entry of its sorted segment, under a unit of its own to which that of the buffer leads.
 * Under publish_lock. */
int qdi_engine_sort_enter(qd_engine *e, engine_buffer *b, qd_err *err);
/* Fresh random id. */
void qdi_engine_id(qd_engine *e, uint8_t id[16]);

/* Makes an empty buffer with a new unit number (a spare one if there is). Under refresh_lock, or
 * while opening. */
int qdi_engine_buffer_get(qd_engine *e, engine_buffer **out, qd_err *err);
/* Empties a buffer into the spares. */
void qdi_engine_buffer_put(qd_engine *e, engine_buffer *b);
/* Frees a buffer. */
void qdi_engine_buffer_free(engine_buffer *b);

/* Takes a segment into an engine_segment with one reference (its segment reference moves). */
engine_segment *qdi_engine_segment_make(qd_engine *e, qd_segment *s, uint64_t unit, qd_err *err);
/* Drops n references; at zero removes the files. Not under publish_lock. */
void qdi_engine_segment_drop(qd_engine *e, engine_segment *s);
/* The same for a file of live documents; NULL is fine. */
void qdi_engine_live_drop(qd_engine *e, engine_live *x);
/* The same for a pair. */
void qdi_engine_pair_drop(qd_engine *e, engine_pair p);
/* Tells that something new is visible; under no lock. */
void qdi_engine_tell(qd_engine *e);
/* Is this a primary whose checkpoint is told? */
static inline bool qdi_engine_follows(const qd_engine *e)
{
    return !atomic_load_explicit(&e->replicated, memory_order_relaxed);
}
/* Publishes a reader over e->segments. Under publish_lock. */
int qdi_engine_publish(qd_engine *e, int64_t seq_no, qd_err *err);
/* The listed segment of a unit, NULL. Under publish_lock. */
engine_segment *qdi_engine_segment_find(qd_engine *e, uint64_t unit);
/* Refresh with refresh_lock held. During replay there is no translog to sync yet. */
int qdi_engine_refresh_locked(qd_engine *e, qd_err *err);
/* Starts a background merge if the policy wants one. */
void qdi_engine_merge_kick(qd_engine *e);
/* Waits until no merge runs. */
void qdi_engine_merges_wait(qd_engine *e);
/* Ends all waits for visibility with rc. */
void qdi_engine_waits_end(qd_engine *e, int64_t shown, int rc);

/* Where a document of an id is in the newest reader. */
typedef struct engine_hit {
    bool found;
    uint64_t unit;
    uint32_t doc; /* in the unit */
    uint64_t version, primary_term, seq_no;
    qd_str source, routing, stored;
    bool source_stored;
} engine_hit;
/* Looks id up in a reader; with source also fetches `_source` and `_routing` into arena. */
int qdi_engine_lookup(qd_engine *e, const qd_reader *r, qd_str id, bool source, qd_arena *arena,
                      engine_hit *out, qd_err *err);
/* Replays one operation of the translog. */
int qdi_engine_replay(qd_engine *e, const qd_translog_op *op, const qd_translog_location *at,
                      qd_err *err);
/* Replays the translog above seq_no, fills the gaps up to the highest number, syncs. The copy is a
 * primary, or nobody else has it. */
int qdi_engine_replay_above(qd_engine *e, int64_t seq_no, qd_err *err);
/* Removes orphans that p (NULL: nothing) does not name. */
void qdi_engine_orphans_clear(qd_engine *e, const qd_publication *p);
/* May a sender of this term give operations to this copy? QD_E_TERM_OLD, QD_E_STATE, the failure.
 */
int qdi_engine_check_sender(qd_engine *e, uint64_t sender_term, qd_err *err);
/* Lets cursors go that nobody reads. */
void qdi_engine_cursors_clear(qd_engine *e);
/* Forgets what a replica remembers of operations. Under its lock. */
void qdi_engine_recent_clear(qd_engine *e);
/* Keeps writers and appenders out, and lets them in again. */
void qdi_engine_hold(qd_engine *e);
void qdi_engine_release(qd_engine *e);
/* Takes a segment's file of live documents in: sizes and hash. NULL when out of memory or
 * unreadable. */
engine_live *qdi_engine_live_make(qd_engine *e, engine_segment *s, uint64_t generation,
                                  uint32_t count, qd_err *err);
/* Frees a segment's struct; its file is gone, or stays for others. */
void qdi_engine_segment_free(qd_engine *e, engine_segment *s);
/* The same for live documents. */
void qdi_engine_live_free(qd_engine *e, engine_live *x);
/* "<folder>/live-<segment>-<generation>" */
qd_str qdi_engine_live_name(const qd_engine *e, const uint8_t segment[16], uint64_t generation,
                            char buf[ENGINE_NAME_MAX + QD_LIVE_NAME_BYTES]);

/* What is listed at one moment, each pair counted, live documents on the disk. */
typedef struct engine_snapshot {
    engine_pairs pairs;
    int64_t shown;
    uint64_t published_term, published_generation;
} engine_snapshot;
/* Takes it; with sync all of it is durable (a failed sync fails the engine). */
int qdi_engine_snapshot(qd_engine *e, bool sync, engine_snapshot *out, qd_err *err);
/* Makes the files of a snapshot durable; a failure fails the engine. */
int qdi_engine_sync_files(qd_engine *e, const engine_snapshot *s, qd_err *err);
/* Drops what is left in it. */
void qdi_engine_snapshot_fini(qd_engine *e, engine_snapshot *s);
/* Writes a commit point over a durable snapshot, whose pairs become the commit point's, and lets go
 * what only the one before needed. Replay begins in the generation that seq_no asks for, not before
 * translog_least. Under flush_lock. */
int qdi_engine_commit(qd_engine *e, engine_snapshot *s, uint64_t translog_least, qd_err *err);
/* Removes generations of the log that neither a commit point nor a lease needs; covered: up to
 * there all are in segments that a durable commit point names. */
QD_MUST_CHECK
int qdi_engine_log_trim(qd_engine *e, uint64_t generation, int64_t retain, int64_t covered,
                        qd_err *err);
/* 16 random bytes as people see them. */
void qdi_engine_history_set(qd_engine *e, const uint8_t history[16]);
bool qdi_engine_history_is(qd_engine *e, const void *history);
void qdi_engine_uuid_text(const uint8_t id[16], char out[23]);

#endif
