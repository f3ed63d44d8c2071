/*
 * ingest.h: pipelines of processors that change documents before they are indexed.
 *
 * A pipeline is compiled once from its JSON and is immutable afterwards but for its counters; any
 * number of threads run it at the same time [any]. A run works on one document after the other, as
 * a typed tree in an arena that is emptied in between. Time and memory of a document are bounded.
 */
#ifndef QD_INGEST_INGEST_H
#define QD_INGEST_INGEST_H

#include "ingest/value.h"
#include "plugin/host.h"
#include "runtime/task.h"
#include <stdatomic.h>

/* What one thing, a pipeline or a processor of it, has done. */
typedef struct qd_ingest_counts {
    _Atomic uint64_t count, failed, ns;
    _Atomic int64_t current;
} qd_ingest_counts;

typedef struct qd_ingest_pipeline qd_ingest_pipeline;

/* A value that the processor enrich looks for, and the documents that match it. */
typedef struct qd_ingest_lookup {
    qd_str value; /* JSON: a scalar, or a list of them (list) */
    bool list;
    qd_arena *arena; /* for what is found */
    qd_str found;    /* out: JSON, a list of objects */
    int rc;          /* out: of this value alone, with its error in err */
    qd_err *err;     /* may be NULL */
} qd_ingest_lookup;

/* What compiling looks at beside the JSON. */
typedef struct qd_ingest_settings {
    qd_account *account;
    qd_env *env;
    qd_str data_path;              /* where the databases of geoip lie, below ingest-geoip */
    const qd_plugin_host *plugins; /* whose processors pipelines may name; NULL: none */
    /* A stored script by its id, its text in the arena, and the revision of its record. 0 with
     * *source {NULL,0}: there is none. NULL: there are no stored scripts. */
    int (*stored)(void *arg, qd_str id, qd_arena *arena, qd_str *lang, qd_str *source,
                  uint64_t *revision, qd_err *err);
    void *arg;
    /* Is there an enrich policy that was executed? QD_E_ARG. NULL: none is asked for. */
    int (*has_policy)(void *lookup_arg, qd_str policy, qd_err *err);
    /* Looks n values up in what a policy has, at most max documents each. One call for documents
     * that run together; it may wait. NULL: there are no policies. */
    int (*lookup)(void *lookup_arg, qd_task *task, qd_str policy, uint32_t max,
                  qd_ingest_lookup *looks, uint32_t n, qd_err *err);
    void *lookup_arg;
    /* A stored script that cannot be had does not fail the pipeline, but the processor that runs
     * it: the script may have gone after the pipeline was stored. */
    bool late;
} qd_ingest_settings;

/* Compiles a pipeline with one reference. QD_E_ES_PARSE with processor_type, processor_tag and
 * property_name where Elasticsearch tells them; QD_E_ARG, QD_E_NOMEM. [worker] */
QD_MUST_CHECK
int qd_ingest_compile(const qd_ingest_settings *s, qd_str id, qd_str json, qd_ingest_pipeline **out,
                      qd_err *err);
/* One more reference. [any] */
qd_ingest_pipeline *qd_ingest_ref(qd_ingest_pipeline *p);
/* One less; NULL is fine. [any] */
void qd_ingest_unref(qd_ingest_pipeline *p);
/* Its id. */
qd_str qd_ingest_id(const qd_ingest_pipeline *p);
/* Are the stored scripts that it has compiled still those of now? revision: of a script's record,
 * 0: there is none. */
bool qd_ingest_current(const qd_ingest_pipeline *p,
                       uint64_t (*revision)(const void *arg, qd_str id), const void *arg);
/* Its counters. */
qd_ingest_counts *qd_ingest_counts_of(qd_ingest_pipeline *p);
/* Writes the members of one pipeline in the statistics: count … processors. */
void qd_ingest_stats_write(const qd_ingest_pipeline *p, qd_json_writer *w);
/* Takes over what an earlier compilation of the same pipeline has counted. */
void qd_ingest_counts_take(qd_ingest_pipeline *p, const qd_ingest_pipeline *from);

/* A document as a request brings it and as pipelines leave it. */
typedef struct qd_ingest_doc {
    qd_str index, id, routing; /* p NULL: none */
    qd_str type;               /* es7: shown; p NULL: there are no types */
    bool has_version;
    int64_t version;
    qd_str version_type; /* p NULL: not given */
    bool has_seq_no;
    int64_t if_seq_no, if_primary_term;
    qd_str source;
} qd_ingest_doc;

/* What is asked for while pipelines run. */
typedef struct qd_ingest_calls {
    /* A pipeline by its id, with a reference that the run gives back; NULL: there is none. */
    qd_ingest_pipeline *(*find)(void *arg, qd_str id);
    void *arg;
    qd_task *task; /* whose end calls of plugins look for; NULL: none */
} qd_ingest_calls;

typedef struct qd_ingest_run qd_ingest_run;
/* A run for many documents. QD_E_NOMEM */
QD_MUST_CHECK
int qd_ingest_run_open(const qd_ingest_settings *s, const qd_ingest_calls *calls,
                       qd_ingest_run **out, qd_err *err);
/* Frees it; NULL is fine. */
void qd_ingest_run_close(qd_ingest_run *r);
/* Begins a document, which replaces the one before. QD_E_XCONTENT, QD_E_NOMEM. */
QD_MUST_CHECK
int qd_ingest_begin(qd_ingest_run *r, const qd_ingest_doc *doc, qd_err *err);
enum { QD_INGEST_DROPPED = 1, QD_INGEST_REROUTED = 2 };
/* Runs a pipeline on the document: 0, QD_INGEST_DROPPED, QD_INGEST_REROUTED (no other pipeline of
 * the same kind is to run), or the error of a processor. */
QD_MUST_CHECK
int qd_ingest_apply(qd_ingest_run *r, qd_ingest_pipeline *p, qd_err *err);
#define QD_INGEST_BATCH 32u
/* The same for n documents, at most QD_INGEST_BATCH, each in a run of its own, a processor at a
 * time: one of a plugin gets them in one call. rc[i], err[i]: as qd_ingest_apply gives them. */
void qd_ingest_apply_all(qd_ingest_run *const *runs, uint32_t n, qd_ingest_pipeline *p, int *rc,
                         qd_err *const *err);
/* Is that worth while: has it a processor of a plugin? */
bool qd_ingest_batched(const qd_ingest_pipeline *p);
/* The document as it is now, its text in the arena. QD_E_ARG: what processors made of its metadata
 * is none; QD_E_NOMEM. */
QD_MUST_CHECK
int qd_ingest_end(qd_ingest_run *r, qd_arena *a, qd_ingest_doc *out, qd_err *err);
/* The index as it is now; {NULL,0}: it is no text. */
qd_str qd_ingest_index(const qd_ingest_run *r);
/* Writes the document as _simulate shows it. */
void qd_ingest_doc_write(const qd_ingest_run *r, qd_json_writer *w);

/* What _simulate verbose shows of one processor. */
typedef struct qd_ingest_trace {
    const char *type;
    qd_str tag, description; /* p NULL: none */
    const char *status;      /* "success", "error", "error_ignored", "dropped", "skipped" */
    const qd_err *err;       /* NULL: none */
} qd_ingest_trace;
/* From now on each processor that has run is told, before the next. NULL: none. */
void qd_ingest_trace_set(qd_ingest_run *r,
                         void (*told)(void *arg, const qd_ingest_run *r, const qd_ingest_trace *t),
                         void *arg);

/* Writes the grok patterns of a set ("disabled" or "v1") as members, sorted or in their order. */
QD_MUST_CHECK
int qd_ingest_grok_write(bool ecs, bool sorted, qd_json_writer *w, qd_err *err);
/* Writes {"type":"append"}, … of all processors that work here, plugins' too, for _nodes/ingest. */
void qd_ingest_types_write(const qd_plugin_host *plugins, qd_json_writer *w);
/* QD_E_EXISTS when a plugin provides a processor that is built in; QD_E_ARG: its name is too long.
 */
QD_MUST_CHECK
int qd_ingest_plugins_check(const qd_plugin_host *host, qd_err *err);
/* Does a processor of that name work here? */
bool qd_ingest_type_known(qd_str name);

#endif
