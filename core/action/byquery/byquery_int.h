/*
 * byquery_int.h: what _reindex, _update_by_query and _delete_by_query share.
 *
 * A job reads the documents that match in a point in time, shard number by shard number in the
 * order of their sequence numbers, in batches, and writes each batch as a bulk request does. Every
 * read and write is a call of the action service, or goes the way of one, so shards may be
 * anywhere. A job that its client does not wait for keeps a record in the index `.tasks`
 * (record.c): its result, and until then how far it is, by which another node goes on when the one
 * that runs it has gone (keeper.c).
 */
#ifndef QD_ACTION_BYQUERY_INT_H
#define QD_ACTION_BYQUERY_INT_H

#include "action/action_int.h"
#include "action/byquery/byquery.h"
#include "action/documents/documents_int.h"
#include "runtime/waitq.h"
#include "script/object.h"
#include "script/script.h"
#include "json/tree.h"

#define BQ_SLICES_MAX 1024u
#define BQ_SLICES_AUTO_MAX 20u
#define BQ_INDICES_MAX 1000u /* of a source: each has a bound of its own in a query */

typedef enum bq_kind { BQ_DELETE, BQ_UPDATE, BQ_REINDEX } bq_kind;

/* What a request asks for; texts in the job's arena. */
typedef struct bq_spec {
    bq_kind kind;
    qd_str index;           /* expression of the source; empty: all */
    qd_str query;           /* JSON; p NULL: all documents */
    qd_str source_filter;   /* JSON of _source; p NULL: whole */
    qd_str sort;            /* JSON: the order of a reindex, for max_docs; p NULL: any */
    qd_str slice;           /* JSON of a slice made by hand; p NULL: none */
    qd_str script;          /* JSON; p NULL: none */
    qd_str preference;      /* of copies; empty: none */
    qd_str routing, scroll; /* of the search; how long the point in time is kept between batches */
    const qd_pair *options; /* ignore_unavailable and the like, as given */
    uint32_t noptions;
    int64_t batch, max_docs; /* documents a batch; max_docs -1: all */
    int64_t timeout_ms, active;
    uint32_t slices; /* 0: auto */
    double rate;     /* documents a second; 0: as fast as it goes */
    bool proceed, refresh, wait;
    /* where to */
    qd_str dest, dest_routing, pipeline; /* dest_routing: "keep", "discard", "=text" */
    doc_op op;
    qd_version_type version_type;
    bool external;            /* the source's version goes with the document */
    struct bq_remote *remote; /* of a reindex from another cluster (remote_int.h); else NULL */
} bq_spec;

typedef struct bq_status {
    uint64_t total, updated, created, deleted, batches, conflicts, noops, bulk_retries,
        search_retries, throttled_ns;
} bq_status;

/* The highest sequence number of an index's shard when the job began: what it goes up to also after
 * another node took it over, as documents that the job has written lie above. */
typedef struct bq_bound {
    qd_str index;
    int64_t max_seq_no;
} bq_bound;

/* The shards of one number of all indices, or a part of their sequence numbers. */
typedef struct bq_unit {
    uint32_t number, part, parts;
    const bq_bound *bounds;
    uint32_t nbounds;
    qd_str pit;
    int64_t from, top;  /* all up to `from` are done; where it ends */
    int64_t tried, had; /* up to there it may have been written; so by the node before */
    bool opened;        /* pit is to be given back */
    bool resumed;       /* its bounds were made before that point in time */
} bq_unit;

typedef struct bq_slice {
    struct bq_job *job;
    uint32_t id;
    bq_unit *units;
    uint32_t nunits;
    bq_status status; /* under the job's lock */
    uint64_t left;    /* of max_docs */
    uint64_t before_n, before_ns;
    bool again; /* the page may have been written by the node before */
    bool newer; /* it has documents that were changed since the job began, and may be copied */
    uint64_t until_ns; /* waits until then, by its rate; under the lock */
    doc_marks marks;
    qd_work work;
    int rc; /* of the search, or of memory */
    qd_err err;
} bq_slice;

typedef struct bq_job {
    struct bq_job *next, **link; /* in the node's list; under its lock */
    qd_actions *a;
    bq_spec spec;
    qd_arena arena;
    qd_task *task; /* the request's, or own */
    qd_task own;
    bool background;
    uint64_t start_ns;
    int64_t start_wall_ms;

    qd_mutex lock;
    qd_waitq changed; /* a slice has ended, the rate is another one, the job is stopped */
    bq_slice *slices;
    uint32_t nslices, running;
    bq_unit *units;
    uint32_t nunits;
    bq_status before;     /* of the node that ran it before */
    double rate;          /* now */
    _Atomic bool stopped; /* a failure ended it */
    _Atomic bool leaves;  /* the node stops: another one goes on */
    int status;           /* the worst of what stopped it */
    qd_buf failures;      /* values of a JSON array */
    uint32_t nfailures;
    bool cancelled;
    char why[96]; /* it was cancelled */

    /* of one in the background (record.c) */
    char id[96];           /* under which its client knows it */
    const char *api;       /* name */
    const qd_pair *params; /* and what it was asked with */
    uint32_t nparams;
    qd_str body;
    int64_t seq_no, term;        /* of its record as written last; seq_no -1: none yet */
    uint64_t told_ns;            /* when it was written */
    qd_mutex record;             /* one writes it at a time; taken before the job's lock */
    const qd_json_node *resumed; /* how far the node before had come */
    /* NULL: it reads and writes batches; else nothing of the above but the task counts */
    const bq_deferred *deferred;
    qd_request *request; /* of the deferred API */
    int64_t change_ms;   /* how long it waits for changes of the cluster's state; 0: as usual */
    qd_work work;
} bq_job;

/* --- parse.c --- */

/* Reads parameters and body of a request into job->spec. QD_E_ARG and others in Elasticsearch's
 * words. [worker] */
int qdi_bq_parse(bq_job *job, const qd_request *q, bq_kind kind, qd_err *err);
/* --- call.c: calls of this node's own APIs --- */

typedef struct bq_call {
    qd_action_call call;
    qd_mutex lock;
    qd_waitq done;
    bool ended;
    int32_t rc;
    int status;
    qd_buf answer;
} bq_call;

/* --- read.c --- */

/* Resolves the source, makes units and slices, opens points in time. [worker] */
int qdi_bq_open(bq_job *job, qd_err *err);
/* Gives the points in time back. [worker] */
void qdi_bq_close(bq_job *job);
/* Reads a slice to its end and writes what it finds. [worker] */
int qdi_bq_read(bq_slice *s, qd_err *err);

/* --- write.c --- */

/* Writes a batch of hits (members of "hits") of a search. [worker] */
int qdi_bq_write(bq_slice *s, const qd_json_node *hits, qd_err *err);
/* A failure of the search or of a node, which stops the job; err is emptied. */
void qdi_bq_failed(bq_job *job, qd_err *err);

/* --- status.c --- */

/* Members of a status, without the braces: all slices together with what was done before. */
void qdi_bq_status_write(bq_job *job, bool slices, qd_json_writer *w);
/* The whole answer. */
void qdi_bq_answer(bq_job *job, qd_json_writer *w);
/* "reindex from [a] to [b]": for lists of tasks; in arena. */
qd_str qdi_bq_description(const bq_spec *s, qd_arena *arena);

/* --- run.c --- */

/* An empty job; its arena is open. */
void qdi_bq_init(bq_job *job, qd_actions *a);
/* Frees what it holds. */
void qdi_bq_fini(bq_job *job);
/* Runs a job to its end; an error: nothing was done, or what was done has no answer. [worker, or a
 * fiber] */
int qdi_bq_run(bq_job *job, qd_err *err);
/* Waits until the rate allows the next batch; ends early when the job ends. QD_E_FENCED. */
int qdi_bq_pause(bq_slice *s, qd_err *err);
/* Is it to end? QD_E_CANCELLED, with the task's text. */
int qdi_bq_check(bq_slice *s, qd_err *err);
/* --- record.c --- */

#define BQ_TASKS ".tasks"
/* Writes the record of a job in the background: how far it is. now: else once a second. One that
 * cannot be written is an error the first time. QD_E_FENCED: another node has taken the job over.
 * [worker] */
int qdi_bq_record(bq_job *job, bool now, qd_err *err);
/* Writes the result in its place: answer is the JSON of its response, or failed is set. [worker] */
void qdi_bq_record_end(bq_job *job, qd_str answer, const qd_err *failed);
/* Makes a job of a record (the source of the document), up to where it had come: QD_E_CORRUPT when
 * it is none. [worker] */
int qdi_bq_record_read(bq_job *job, qd_str id, const qd_json_node *record, qd_err *err);

/* --- background.c --- */

struct qd_by_query {
    qd_actions *a;
    qd_mutex lock;
    qd_cond wake;
    qd_waitq fewer; /* a job in the background has ended */
    bq_job *first;
    _Atomic bool again; /* a record was another one than it seemed: the keeper is to look again */
    bool stop;
    qd_thread *keeper;
    struct qd_http_client *http; /* to other clusters */
};

/* Runs a job behind the answer to its request, under its own task, whose id goes to id, and a
 * record. On success the job is not the caller's any more. [worker] */
int qdi_bq_background(bq_job *job, const qd_request *q, char id[96], qd_err *err);
/* The same of one whose node has gone, which has a record. [worker] */
int qdi_bq_take_over(bq_job *job, qd_err *err);
/* Copies what q asks with into the job; q has the copies from then on. */
int qdi_bq_keep(bq_job *job, qd_request *q, qd_err *err);
/* Lists of tasks show the job's status with its task. */
void qdi_bq_task_status(bq_job *job);
/* Takes a job into the node's list, by which tasks find it. [any] QD_E_CLOSED: the node stops. */
int qdi_bq_list(bq_job *job, qd_err *err);
/* Out of it. [any] */
void qdi_bq_unlist(bq_job *job);

/* --- deferred.c --- */

/* Runs the deferred API of a job, whose answer goes to out. [a fiber] */
int qdi_bq_deferred_run(bq_job *job, qd_buf *out, qd_err *err);
/* How lists of tasks name it, and what they say of it; the latter in the job's arena. */
const char *qdi_bq_deferred_action(const bq_job *job);
qd_str qdi_bq_deferred_description(bq_job *job);

/* --- keeper.c --- */

/* [the keeper's thread] arg: the qd_by_query. */
void qdi_bq_keeper(void *arg);

/* --- script.c --- */

/* The script of a job, for one batch. */
typedef struct bq_script {
    bq_job *job;
    qd_script *script; /* NULL: there is none */
    qd_script_ref ref;
    qd_script_exec x;
} bq_script;
/* Compiles it; its tree lies in the arena. */
QD_MUST_CHECK
int qdi_bq_script_open(bq_script *b, bq_job *job, qd_arena *arena, qd_err *err);
void qdi_bq_script_close(bq_script *b);
/* Runs it for a hit; the operation is changed accordingly, what it names lies in the arena. skip:
 * nothing is to be done. */
QD_MUST_CHECK
int qdi_bq_script_run(bq_script *b, const doc_ctx *told, doc_item *i, qd_arena *arena, bool *skip,
                      qd_err *err);

#endif
