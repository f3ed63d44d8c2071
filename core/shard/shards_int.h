/* shards_int.h: structs shared by the files of this module. */
#ifndef QD_SHARD_SHARDS_INT_H
#define QD_SHARD_SHARDS_INT_H

#include "base/awake.h"
#include "base/map.h"
#include "base/vec.h"
#include "runtime/waitq.h"
#include "shard/gate_int.h"
#include "shard/shards.h"

#define SHARD_LOG "shard"
#define SHARD_REPORT_MS 1000 /* until a report that did not get through is tried again */
#define SHARD_KEY_MAX 48
#define SHARD_FOLDER_MAX 80
#define SHARD_HISTORIES "histories" /* the name of the object, histories.c */
#define SHARD_HISTORY_TEXT 240

typedef enum shard_phase { SHARD_OPENING, SHARD_OPEN, SHARD_FAILED, SHARD_CLOSED } shard_phase;

/* A kind of background work of one shard: queued at most once. */
typedef struct shard_job {
    qd_work work; /* first */
    struct qd_shard *shard;
    _Atomic bool queued; /* until it has ended */
    _Atomic bool due;    /* wanted since it last began: asked for while it ran, or not queued */
} shard_job;

struct qd_shard {
    _Atomic int32_t refs;
    qd_shards *shards;
    char uuid[QD_UUID_TEXT];
    uint32_t number;
    _Atomic uint64_t primary_term;
    bool primary;           /* this copy was given as the primary; else it is filled by one */
    bool existing;          /* the files of this allocation id must be here; else, of a primary,
                             * those that are here are of no use */
    bool resized;           /* never opened: it is made of shards of another index */
    bool forced;            /* they were not in sync: they begin a history of their own */
    _Atomic bool reopening; /* its record changes by its own doing */
    char allocation_id[QD_UUID_TEXT];
    char folder[SHARD_FOLDER_MAX], name[320];
    struct shard_tier *tier, *log_tier; /* of segments; of translog and commit points */
    qd_account account;

    qd_mutex lock; /* phase, index, reason */
    qd_waitq changed;
    shard_phase phase;
    qd_index_meta *index;
    char reason[256];
    bool ended;    /* taken out of the map; under qd_shards.lock: */
    bool stopped;  /* its engine is closed for good */
    bool deleting; /* its files are being removed */
    bool opening;  /* a worker opens its engine, and closes it again if it has ended meanwhile */
    struct qd_shard *next_ended, **ended_at; /* of the list of those that ended; NULL: not there */
    bool removing;                           /* delete the folder when the last reference goes */
    bool index_gone; /* with the index's metadata, when it has no other shard here */

    qdi_gate gate; /* users of the engine; closed while it is replaced */
    qd_engine *engine;
    qd_document_writer *writer[QD_SLOTS_MAX];

    qd_mutex searcher_lock; /* the two below: the newest searcher asked for and its reader */
    qd_searcher *searcher;
    qd_reader *searcher_of;

    QD_VEC(char *) damaged; /* names of files; under lock; owned */
    bool aside;             /* the copy is not in sync any more: they go when it is closed */

    qd_shard_counts counts;
    shard_job open, refresh, flush, sync, reopen, report, close;
    int32_t
        report_rc; /* what is to be reported: 0 started, else the failure; `reason` has its text */
    uint64_t reporting_ns; /* opened; since when that it has started is being committed; 0: not */
    uint32_t idle_ticks;   /* the ticker's: looks at empty buffers in a row */
    qd_awake awake;        /* the ticker looks at it each time; under qd_shards.lock */
    _Atomic uint64_t refresh_due_ns, sync_due_ns, report_due_ns, flush_due_ns;
    _Atomic uint64_t searched_ns; /* when a searcher was last asked for */
    _Atomic int64_t search_from;  /* what it must show before it is searched */
    /* ticker only: since when no operation has come */
    int64_t quiet_seq_no;
    uint64_t quiet_ns;
};

/* A tier of the node (tiers.c). */
typedef struct shard_tier {
    char name[64];
    const char *path;
    qd_store *store;
    uint32_t caps;          /* QD_STORE_* */
    _Atomic bool disk_full; /* read by every write */
    /* ticker only, while no look at the watermarks is queued */
    bool over;  /* the flood stage was exceeded at the last look */
    bool below; /* it was below the high watermark */
    uint64_t total, available;
} shard_tier;

/* A shard's folder with a trace of numbers that were given twice. */
typedef struct shard_history {
    char folder[SHARD_FOLDER_MAX], what[SHARD_HISTORY_TEXT];
} shard_history;

struct qd_shards {
    qd_env *env;
    shard_tier tiers[QD_TIERS_MAX]; /* first the node's own */
    uint32_t ntiers;
    qd_pools *pools;
    qd_account *account;
    qd_account *fielddata;
    qd_cluster *_Atomic cluster; /* comes when threads run already */
    int64_t buffer_bytes;
    _Atomic uint64_t slot_bytes; /* of buffer_bytes, for each slot that is in use */
    uint32_t slots;
    qd_mutex apply; /* one application of a state at a time: the first one comes from main */
    qd_mutex lock;
    qd_cond idle;
    qd_map map;                     /* "<uuid>/<number>" -> qd_shard, one reference each */
    qd_awake_set awake;             /* those that the ticker looks at */
    uint32_t live;                  /* shards not yet freed */
    qd_shard *ended;                /* taken out of the map and not yet freed: weak */
    uint64_t applied;               /* revision of the last state followed; under apply */
    const qd_shards_copies *copies; /* NULL: no replication */
    void *copies_arg;
    bool stop;
    qd_map left; /* "<uuid>/<number>" of shards not held whose files are here (leftovers.c) */
    QD_VEC(shard_history) histories; /* found at start, or then read; constant since */
    qd_map metas; /* uuid -> qd_index_meta to be saved beside its data, a reference each */
    qd_work meta_work;
    bool meta_queued;
    qd_thread *ticker;
    qd_cond tick;
    qd_config *config;
    _Atomic uint64_t closed_due_ns; /* when primaries of closed indices are reported again */
    /* ticker only, but for queued: */
    struct {
        uint64_t due_ns; /* next look at the watermarks */
        /* the work's: what was told last */
        _Atomic uint64_t told_total;
        uint64_t told_available, told_texts;
        qd_work work;
        _Atomic bool queued;
    } flood;
    /* Of the scrubber: the ticker's while it is not queued, else the work's. */
    struct {
        qd_work work;
        _Atomic bool queued;
        bool due;                  /* a portion is, else only a look at what is damaged */
        bool begun, whole;         /* it runs; this pass began with the first shard */
        bool waiting;              /* there is damage in a copy that no other one can replace */
        uint64_t seen;             /* of qd_store_damaged */
        uint64_t done_ns, portion; /* end and bytes of the last portion */
        uint64_t looked_ns;        /* last look at what is damaged */
        char shard[SHARD_KEY_MAX]; /* key of the shard where it stands; empty: before the first */
        char file[80];             /* its file */
        uint64_t at;               /* in it; UINT64_MAX: behind it */
        _Atomic uint64_t bytes, total, passes, ended_wall_ms, files_damaged;
    } scrub;
    struct {
        uint64_t due_ns;  /* the ticker's, and who stops it all */
        uint64_t written; /* the work's: how far, when it was last marked */
        qd_work work;
        _Atomic bool queued;
    } mark;
};

/* The node's tiers, before anything is opened. */
void qdi_tiers_init(qd_shards *all, const qd_shards_config *c);
/* The tier on which an index's files lie, or will. QD_E_CONFIG: it names one that this node has
 * not, and nothing of it is here. [worker] */
int qdi_tier_of(qd_shards *all, const qd_index_meta *m, shard_tier **out, qd_err *err);
/* Where logs and commit points of an index's shards are whose segments are on t. [worker] */
int qdi_tier_of_log(qd_shards *all, const char *uuid, shard_tier *t, shard_tier **out, qd_err *err);
/* QD_E_STATE: a shard has a commit point on two tiers; one is of a time when the other was not
 * configured. [worker] */
int qdi_tiers_check_one(qd_shards *all, const char *folder, qd_err *err);
/* Removes everything below a prefix on all tiers, as qd_store_delete_all. [worker] */
int qdi_tiers_delete_all(qd_shards *all, qd_str prefix, qd_err *err);
/* Sum of qd_store_damaged. */
uint64_t qdi_tiers_damaged(const qd_shards *all);

/* Marks what was written since the last time, if it is time to (mark.c). Of the ticker. */
void qdi_shards_mark(qd_shards *all, uint64_t now);

/* Makes a shard in phase OPENING and queues its opening. */
int qdi_shard_make(qd_shards *s, const qd_index_meta *m, uint32_t number, const qd_shard_meta *r,
                   const qd_copy *c, qd_shard **out, qd_err *err);
/* Takes over changed metadata: mapping, settings. */
void qdi_shard_index_set(qd_shard *s, const qd_index_meta *m);
/* Follows the newest state's record of the shard's index once more: a change that was left to the
 * shard's own doing was not. The caller has a reference. [worker] */
void qdi_shard_follow(qd_shard *s);
/* Engine settings of an index. */
void qdi_shard_engine_settings(const qd_index_meta *m, qd_engine_settings *out);
/* One more reference. */
qd_shard *qdi_shard_ref(qd_shard *s);
/* Queues a job unless it is queued already; keeps a reference meanwhile. What finds it running, or
 * cannot be queued, leaves it due: opening, opening again and reports are queued by the next tick.
 */
void qdi_shard_queue(qd_shard *s, shard_job *job, const char *pool, void (*run)(qd_work *));
/* Puts a job that may be due on its pool, unless it is there. */
void qdi_shard_submit(qd_shard *s, shard_job *job, const char *pool, void (*run)(qd_work *));
/* A job begins: what is asked for from now on is not done by it. false: it is not due (any more),
 * another run has done it: a shard is not opened twice. */
QD_MUST_CHECK
bool qdi_shard_job_begin(shard_job *job);
/* The ends of a job: not queued any more, reference given back. */
void qdi_shard_job_end(shard_job *job);
/* Closes the engine; with flush a clean stop. */
void qdi_shard_stop(qd_shard *s, bool flush);
/* Reports the primary of a closed index, which has no engine, as started. */
void qdi_closed_report(qd_shards *all, const char *uuid, uint32_t number, qd_str allocation_id);
/* That did not get through: all such are reported again in a while. */
void qdi_closed_report_later(qd_shards *all);
/* Does so, by the state of this moment. */
void qdi_closed_reports(qd_shards *all);
/* Reports that the shard is open, or why not. */
void qdi_shard_report_run(qd_work *w);
/* Starts to open the shard's engine again after a failure. */
void qdi_shard_failed(qd_shard *s);
/* Lets the kept searcher go: all: in any case; else only if its reader is not the newest any more,
 * so that merged segments do not live on in a shard that nobody searches. */
void qdi_shard_searcher_drop(qd_shard *s, bool all);
/* Lets it go when it holds maps of ordinals and nobody searches by it: the next search makes a new
 * one, and the third one the maps. */
void qdi_shard_searcher_relieve(qd_shard *s);
/* Measures the tier: refusal of writes, watermarks. buffered: bytes in indexing buffers. */
void qdi_shards_space(qd_shards *s, uint64_t now, uint64_t buffered);
/* Queues the scrubber's next portion when it is due, and the look at what others found. [ticker] */
void qdi_shards_scrub(qd_shards *s, uint64_t now);
/* The engine is closed: damaged files of a copy that is not in sync any more are set aside, and the
 * rest is no copy any more, so that one that comes here is filled with all files. */
void qdi_shard_damage_aside(qd_shard *s);
/* Frees what is remembered of damaged files. */
void qdi_shard_damage_fini(qd_shard *s);
/* Before the first shard. */
void qdi_shards_tick_init(qd_shards *all);
/* Background thread. It looks at shards that are awake, where something was done lately, and at the
 * others now and then. */
void qdi_shards_tick(void *arg);
/* The ticker looks at the shard again: something is being done, or has been. One atomic load where
 * it does so anyway. [any] */
void qdi_shard_wake(qd_shard *s);
/* The same, and it looks no more, under qd_shards.lock; the caller has a reference of its own. */
void qdi_shard_awake(qd_shard *s);
void qdi_shard_asleep(qd_shard *s);
/* Removes a shard's files; with the last one of an index that is gone, its metadata. */
void qdi_shard_files_remove(qd_shards *s, const char *uuid, uint32_t number, const char *name,
                            bool index_gone);
/* Files of a shard that is not held (any more) are here. */
void qdi_leftover_add(qd_shards *s, const char *uuid, uint32_t number);
/* The shard is held again: they stay. */
void qdi_leftover_taken(qd_shards *s, const char *uuid, uint32_t number);
/* Are they being removed right now? Under s->lock. */
bool qdi_leftover_going(const qd_shards *s, const char *uuid, uint32_t number);
/* The record of a shard that is not held (NULL: its index is deleted): are its files here of no use
 * any more? Then they go. */
void qdi_leftover_look(qd_shards *s, const char *uuid, uint32_t number, const qd_shard_meta *r,
                       const qd_node_meta *self);
/* At start: the same, unless it is held. */
void qdi_leftover_found(qd_shards *s, const char *uuid, uint32_t number);
/* Looks at all shards of the state. */
void qdi_leftovers_look(qd_shards *s);
/* Runs one job of each kind. */
void qdi_shard_refresh_run(qd_work *w);
void qdi_shard_flush_run(qd_work *w);
void qdi_shard_sync_run(qd_work *w);
void qdi_shard_open_run(qd_work *w);
void qdi_shard_reopen_run(qd_work *w);
void qdi_shard_close_run(qd_work *w);

/* Moves what is in the folder into lost+found, where qd_shard_set_aside has noted that; *moved: it
 * has. Before the engine is opened. [worker] */
int qdi_shard_aside(qd_shard *s, bool *moved, qd_err *err);
/* The files are the primary's by force: such a note holds no more. */
void qdi_shard_aside_void(qd_shard *s);
/* Of a replica that could not be opened, as *err says: notes that and moves its files in the same
 * way, once no copy of this node counts. QD_E_TIMEOUT: one still does. [worker] */
int qdi_shard_damaged_aside(qd_shard *s, qd_err *err);

/* --- resize.c --- */

/* Is the index made of another one? *source (may be NULL) gets that one's uuid. */
bool qdi_shard_is_resized(const qd_index_meta *m, qd_str *source);
/* Fills the empty folder of a shard whose index is made of another one; c is what it is opened by
 * then. QD_E_TIMEOUT: a source is not open here yet. [worker] */
QD_MUST_CHECK
int qdi_shard_resize(qd_shard *s, const qd_engine_config *c, qd_err *err);

#endif
