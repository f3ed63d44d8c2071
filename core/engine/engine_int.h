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
#include "engine/seq_no.h"
#include "engine/translog_int.h"
#include "engine/version_map.h"
#include "runtime/sync.h"
#include "segment/merge.h"

#define ENGINE_LOG "engine"
#define ENGINE_NAME_MAX 600u
#define ENGINE_LISTENERS_MAX 1000u
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
    bool entered;
} engine_buffer;

typedef struct engine_slot {
    qd_mutex lock;
    engine_buffer *buffer;
    uint32_t id_field, seq_field, term_field, version_field, routing_field;
    uint64_t fields_unit; /* unit for which the field numbers above hold */
} __attribute__((aligned(64))) engine_slot;

/* A segment of the shard. refs: one for the list, one for each commit point that names it; the last
 * one removes the file. */
typedef struct engine_segment {
    uint64_t unit;
    qd_segment *segment;
    qd_live *live;            /* current; NULL: all live */
    uint64_t live_generation; /* newest one on disk; 0: none */
    bool live_mutable;        /* a copy that no reader shares yet */
    bool live_unsaved;        /* differs from live_generation on disk */
    bool synced, merging;
    uint32_t refs;
} engine_segment;

/* A merged-away unit: where its documents went. */
typedef struct engine_retired {
    uint64_t unit, into, cut; /* cut: refreshes cut when it was retired */
    uint32_t *map;
    uint32_t docs;
} engine_retired;

typedef QD_VEC(engine_segment *) engine_segments;

struct qd_engine {
    uint32_t magic;
    qd_env *env;
    qd_store *store;
    char *folder, *name;
    qd_account *account;
    qd_pool *merge_pool;
    const _Atomic bool *disk_full;
    qd_engine_write_doc write_doc;
    void *write_doc_arg;
    uint64_t primary_term;
    _Atomic uint64_t slot_bytes;
    uint8_t translog_uuid[16], history_uuid[16];
    char history_text[24];

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
    engine_segments committed; /* of the last commit point */

    qd_mutex refresh_lock;
    QD_VEC(engine_buffer *) detached; /* cut off, not yet published */
    QD_VEC(engine_buffer *) spare;
    int64_t cut_seq_no; /* of the detached buffers */
    bool cut_open;      /* a cut is waiting to be published */
    _Atomic uint64_t cuts;

    qd_mutex publish_lock; /* segments, retired, live documents, listeners */
    engine_segments segments;
    QD_VEC(engine_retired) retired;
    uint64_t reader_version;
    int64_t shown_seq_no;
    qd_refresh_wait *waits;
    uint32_t nwaits;
    bool closed;

    qd_reader_slot reader;
    qd_mutex failure_lock;
    qd_err failure;
    _Atomic int failed;
    _Atomic bool stop_merges;

    qd_mutex merge_lock;
    qd_cond merge_wake;
    uint32_t merges_running;

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
    qd_str source, routing;
    bool source_stored;
} engine_hit;
/* Looks id up in a reader; with source also fetches `_source` and `_routing` into arena. */
int qdi_engine_lookup(qd_engine *e, const qd_reader *r, qd_str id, bool source, qd_arena *arena,
                      engine_hit *out, qd_err *err);
/* Replays one operation of the translog. */
int qdi_engine_replay(qd_engine *e, const qd_translog_op *op, const qd_translog_location *at,
                      qd_err *err);

#endif
