/*
 * shards.h: the shards that this node holds. Follows the cluster state: makes and opens engines for
 * shards assigned here, removes those of deleted indices, reports what has started or failed; runs
 * refresh, translog sync, flush and the indexing budget in the background.
 *
 * A qd_shard is counted. Its engine may be replaced when a failed one is opened again; whoever uses
 * it holds the shard's gate for the time of the call (qd_shard_enter/leave).
 */
#ifndef QD_SHARD_SHARDS_H
#define QD_SHARD_SHARDS_H

#include "cluster/cluster.h"
#include "config/config.h"
#include "engine/document.h"
#include "engine/engine.h"
#include "runtime/pool.h"
#include "search/searcher.h"

typedef struct qd_shards qd_shards;
typedef struct qd_shard qd_shard;

#define QD_TIERS_MAX 16u

/* A storage tier beside the node's own. */
typedef struct qd_shards_tier {
    qd_str name;      /* in storage.tiers.<name> */
    const char *path; /* its folder, for statistics; kept */
    qd_store *store;
} qd_shards_tier;

typedef struct qd_shards_config {
    qd_env *env;
    qd_store *store;              /* of the node's own tier, which has logs */
    qd_str tier;                  /* its name; empty: it has none */
    const char *path;             /* its folder, for statistics; kept; NULL: none */
    const qd_shards_tier *others; /* for indices that name one; stores are kept */
    uint32_t nothers;             /* fewer than QD_TIERS_MAX */
    qd_pools *pools;              /* generic, refresh, flush, force_merge, write are used */
    qd_account *account;          /* parent of all shards' memory */
    qd_account *fielddata;        /* its breaker; NULL: none */
    qd_config *config;    /* disk watermarks, measured in the background; may be NULL: defaults */
    int64_t buffer_bytes; /* of documents not yet in segments: qd_config_index_early */
    uint32_t slots;       /* indexing slots of a shard: threads of the write pool */
} qd_shards_config;

/* Opens an empty set. [worker] */
QD_MUST_CHECK
int qd_shards_open(const qd_shards_config *c, qd_shards **out, qd_err *err);
/* The cluster to report to, once it is open; from then on the state is followed, beginning with the
 * newest one that was shown before, when it was not. [worker] */
void qd_shards_cluster(qd_shards *s, qd_cluster *c);
/* The cluster's listener; arg is the qd_shards. [applier's thread] */
void qd_shards_apply(void *arg, const qd_state *old, const qd_state *now);
/* What replication does for shards of several copies; every function may be NULL. */
typedef struct qd_shards_copies {
    /* Before an engine is opened: sets mode, replicated, history, published, due, copies_arg.
     * primary: the copy is the primary. [worker] */
    void (*configure)(void *arg, qd_shard *s, bool primary, qd_engine_config *c);
    /* The engine is open; a primary is reported as started right after. A replica is started by
     * replication, once it is in sync (qd_cluster_copy_started). [worker] */
    void (*opened)(void *arg, qd_shard *s, bool primary, qd_engine *e);
    /* The engine is about to be closed, nobody uses it any more; called once for each opened.
     * [worker] */
    void (*closing)(void *arg, qd_shard *s, qd_engine *e);
    /* The engine that copies_arg of configure was for is closed, or did not come to be opened:
     * nobody calls back any more. [worker] */
    void (*abandoned)(void *arg, void *copies_arg);
} qd_shards_copies;
/* Sets it (NULL: none), before the cluster is followed. [worker] */
void qd_shards_copies_set(qd_shards *s, const qd_shards_copies *copies, void *arg);
/* The node stops: what was written since it was last marked is marked, with the cluster and in this
 * folder, so that older copies of the folder are known for what they are. Before qd_shards_close,
 * while the store of the cluster's state is open. Once. [worker] */
void qd_shards_mark_last(qd_shards *s);
/* Stops background work, flushes and closes all shards. [worker] */
void qd_shards_close(qd_shards *s);
/* At start, before any state is applied: looks into all folders for shards whose history went on
 * under numbers that had been acknowledged (engine/look_back.h), if no start has before, names them
 * in the log and remembers them. [worker] */
void qd_shards_look_back(qd_shards *s);
/* Calls each for those that were found, with the folder below path.data
 * ("indices/<uuid>/<number>"). [any] */
void qd_shards_histories(qd_shards *s, void (*each)(void *arg, qd_str folder, qd_str what),
                         void *arg);
/* At start, once the first state is applied: removes what a crash left of deleted indices, names
 * dangling ones, moves whole files that nothing points to into lost+found; on a worker of its own,
 * since it reads all folders. Once. [worker] */
void qd_shards_tidy(qd_shards *s);
/* Calls each for every index whose files lie here though the cluster does not know it; m is NULL
 * when its metadata cannot be read. A result other than 0 ends it and is returned. [worker] */
int qd_shards_dangling(qd_shards *s, int (*each)(void *arg, qd_str uuid, const qd_index_meta *m),
                       void *arg, qd_err *err);
/* Makes a dangling index one of the cluster; *name gets its name, in arena. QD_E_ARG: it does not
 * dangle; QD_E_INDEX_EXISTS; QD_E_CORRUPT. [worker] */
QD_MUST_CHECK
int qd_shards_import(qd_shards *s, qd_str uuid, qd_str *name, qd_arena *arena, qd_err *err);
/* Removes a dangling index's files. QD_E_ARG: it does not dangle. [worker] */
QD_MUST_CHECK
int qd_shards_delete_dangling(qd_shards *s, qd_str uuid, qd_err *err);

/* What all tiers of the node are capable of (QD_STORE_*). [any] */
uint32_t qd_shards_tier_caps(const qd_shards *s);
/* A tier's room: total 0 where it does not tell. */
typedef struct qd_tier_space {
    const char *name, *path;
    bool durable;
    uint64_t total, available;
} qd_tier_space;
/* Calls each for every tier, the node's own first. [worker] */
void qd_shards_tiers(qd_shards *s, void (*each)(void *arg, const qd_tier_space *t), void *arg);
/* Is a tier so full that writes of its shards are refused? [any] */
bool qd_shards_disk_full(qd_shards *s);
/* Bytes in indexing buffers of all shards. [any] */
uint64_t qd_shards_buffer_bytes(qd_shards *s);

/* What the scrubber has read, and what it or readers found. */
typedef struct qd_scrub_stats {
    uint64_t bytes;             /* read and verified since the node's start */
    uint64_t total_bytes;       /* what a pass reads, as of the last portion */
    uint64_t passes;            /* over all shards */
    uint64_t last_pass_wall_ms; /* when the last one ended; 0: none has */
    uint64_t files_damaged;     /* found since the node's start, by whomever */
} qd_scrub_stats;
/* Statistics of the moment. [any] */
void qd_shards_scrub_stats_get(qd_shards *s, qd_scrub_stats *out);
/* A shard held here, with a reference; NULL when it is not. [any] */
qd_shard *qd_shards_get(qd_shards *s, const char *uuid, uint32_t number);
/* One reference less; NULL is fine. [any] */
void qd_shard_unref(qd_shard *s);
/* Calls fn for every shard held, without locks held; a result other than 0 ends it. [worker] */
int qd_shards_each(qd_shards *s, int (*fn)(void *arg, qd_shard *shard), void *arg);

/* Lets the caller use the engine until qd_shard_leave; waits while the shard is being opened, at
 * most timeout_ms. QD_E_NO_SHARD: it failed or is not open, with the reason. [worker] */
QD_MUST_CHECK
int qd_shard_enter(qd_shard *s, int64_t timeout_ms, qd_engine **out, qd_err *err);
/* Ends the use; if the engine failed meanwhile, it is opened again in the background. [worker] */
void qd_shard_leave(qd_shard *s);
/* The index, with a reference for the caller: newest applied metadata. [any] */
qd_index_meta *qd_shard_index(qd_shard *s);
/* Its number. [any] */
uint32_t qd_shard_number(const qd_shard *s);
/* Calls fn for each field with fielddata or ordinals in memory, as the newest searcher has them;
 * one field may come several times. [any] */
void qd_shard_fielddata_each(qd_shard *s, void (*fn)(void *arg, qd_str field, int64_t bytes),
                             void *arg);
/* Lets those of a field go (empty: of all). [any] */
void qd_shard_fielddata_clear(qd_shard *s, qd_str field);
/* Its account, for searches and aggregations. [any] */
qd_account *qd_shard_account(qd_shard *s);
/* Is it open? Else *reason (may be NULL, 256 bytes) says why not. [any] */
bool qd_shard_ready(qd_shard *s, char *reason);
/* Is it open? Where others may have learnt already that it is, waits until this node has as well,
 * at most timeout_ms from when that was first told: while the masters are away nobody waits for
 * every shard anew. [worker] */
bool qd_shard_settled(qd_shard *s, int64_t timeout_ms);
/* The newest reader with a reference, without waiting; NULL when not open. Give it back before the
 * shard: its memory is accounted there. [any] */
qd_reader *qd_shard_reader(qd_shard *s);
/* A primary that was opened from its disk is searched only once it shows everything up to seq_no;
 * before that, searches and gets that are not in real time are refused. For each opening, before
 * anybody can use the engine (qd_shards_copies.opened). */
void qd_shard_search_from(qd_shard *s, int64_t seq_no);
/* Is it open, but does it not show yet what it showed before it was opened? Cheap. [any] */
bool qd_shard_behind(qd_shard *s);
/* Waits, at most timeout_ms, until it is open and shows what it showed before. QD_E_NO_SHARD: it
 * does not, with the reason. [worker] */
QD_MUST_CHECK
int qd_shard_searchable(qd_shard *s, int64_t timeout_ms, qd_err *err);
/* A searcher over the newest reader with a reference, made once for each reader and shared. Give it
 * back (qd_searcher_unref) before the shard: its memory is accounted there. QD_E_NO_SHARD when not
 * open or behind, QD_E_LIMIT, QD_E_NOMEM. [any] */
QD_MUST_CHECK
int qd_shard_searcher(qd_shard *s, qd_searcher **out, qd_err *err);
/* The searcher that a search would get now, with a reference, if it is there without work or
 * waiting: it was made before, and the shard was searched within the last second. Else NULL: that
 * search may wake the shard, make a searcher or wait, on a worker. [any] */
qd_searcher *qd_shard_searcher_now(qd_shard *s);
/* One more reference of a shard; returns s. [any] */
qd_shard *qd_shard_ref(qd_shard *s);
/* Primary term that it obeys: under which it was opened, then what qd_shard_term_set said. [any] */
uint64_t qd_shard_primary_term(const qd_shard *s);
/* A higher term, after the engine has adopted it (promotion, a new primary). [any] */
void qd_shard_term_set(qd_shard *s, uint64_t term);
/* The copy is primary under `term` from now on, its engine was promoted. [any] */
void qd_shard_promoted(qd_shard *s, uint64_t term);
/* The copy cannot go on (its engine failed, it cannot be filled): it is closed without a flush,
 * opened again under a new term if it is the only started one, else reported as failed, with text.
 * why: QD_E_CORRUPT when its files cannot be used; QD_E_NOSPACE, QD_E_NOMEM, QD_E_BREAKER for want
 * of room, QD_E_TIMEOUT where its source does not answer, which pass; else QD_E_IO. [any] */
void qd_shard_fail(qd_shard *s, qd_str text, int32_t why);
/* What this copy holds contradicts the history of its primary, which has lost operations that were
 * acknowledged: text says the numbers. The copy fails; whoever opens its folder next moves the
 * files into lost+found as they are, with a note, and begins with an empty copy. [worker] */
void qd_shard_set_aside(qd_shard *s, qd_str text);
/* Allocation id. [any] */
qd_str qd_shard_allocation_id(const qd_shard *s);

/* What searches and updates of a shard add to, for _stats; the engine counts the rest. */
typedef struct qd_shard_counts {
    _Atomic uint64_t query_total, query_ns, query_current;
    _Atomic uint64_t fetch_total, fetch_ns, fetch_current;
    _Atomic uint64_t scroll_total, scroll_ns, scroll_current;
    _Atomic uint64_t noop_updates;
    _Atomic uint64_t request_cache_hits, request_cache_misses, request_cache_evictions;
    _Atomic int64_t request_cache_bytes;
    _Atomic uint64_t opened_ns, opened_wall_ms; /* how long opening took, and when it ended */
} qd_shard_counts;
/* The shard's counters, as long as the caller holds it. [any] */
qd_shard_counts *qd_shard_counts_of(qd_shard *s);

/* What a write needs besides the operation: goes into op->user of qd_engine_apply. */
typedef struct qd_shard_write {
    const qd_mapping *mapping; /* under which the document is parsed */
    qd_arena *arena;           /* receives update */
    bool needs_mapping;        /* out: the mapping lacks fields; put update, try again */
    qd_str update;             /* out: JSON of the mapping update */
} qd_shard_write;

#endif
