/*
 * action.h: every API of the node as a typed call: a name, parameters, a body in; a status and a
 * body out. Front-ends (REST is one) reach it through the SDK's action service and nothing below
 * it.
 *
 * api.def is the one table of APIs: name, methods and paths, parameters, pool, flags, handler,
 * help. Parameter checks, `qd` help and docs/rest.md are made from it. A handler runs on a worker
 * of its pool (QD_API_LOOP: on the caller's thread), synchronously, with the request's arena and
 * task.
 */
#ifndef QD_ACTION_ACTION_H
#define QD_ACTION_ACTION_H

#include "base/arena.h"
#include "cluster/authority/mode.h"
#include "cluster/cluster.h"
#include "config/config.h"
#include "plugin/host.h"
#include "runtime/pool.h"
#include "runtime/task.h"
#include "shard/shards.h"
#include "json/filter.h"
#include "json/writer.h"
#include <quidditch/frontend.h>

/* Connections and traffic of the main HTTP listener. */
typedef struct qd_action_http_stats {
    uint64_t open, opened, requests, bytes_in, bytes_out, rejected;
} qd_action_http_stats;

#define QD_REASON_MAX 1024

/* Where the cluster's state is: what the node's start has decided, and what it knows of the store
 * at this moment. */
typedef struct qd_action_coordination {
    const char *asked, *mode; /* as coordination.mode has them; mode "unknown": not told yet */
    const char *kind;         /* of store: "raft" */
    char why[QD_MODE_REASONS][320];
    uint32_t nwhy, waits; /* waits: why[waits - 1] is waited for; 0: nothing is */
    qd_str plugin;        /* empty: this node has no store of its own */
    bool own, kept;       /* kept: the settings ask for another store than the one that is kept */
    int64_t since_ms;     /* 0: not known */
    bool open;            /* identity is told */
    qd_coord_identity identity;
    const char *other_mode; /* of the other store that this node has open; NULL: none */
    qd_coord_identity other;
    int64_t away_ms, other_away_ms; /* for how long it has not answered; 0: it does, or unknown */
    /* What a request to a store that does not answer is told; empty: it answers. */
    char reason[QD_REASON_MAX], other_reason[QD_REASON_MAX];
} qd_action_coordination;

/* What the node's actions work with; filled by main, constant while requests run. */
typedef struct qd_actions {
    qd_env *env;
    qd_config *config;
    qd_pools *pools;
    qd_tasks *tasks;
    qd_plugin_host *plugins;
    qd_store *store;
    qd_cluster *cluster;
    qd_shards *shards;
    _Atomic bool many; /* a state with several nodes has been seen */
    /* revision at which a node that knew more was waited for in vain (qdi_docs_follow); 0: none */
    _Atomic uint64_t behind;
    _Atomic uint64_t relay_looked_ns; /* when a node that is not reached was dialed last */
    _Atomic uint32_t relay_turn;      /* which other node passes requests on (relay_int.h) */
    qd_account *account;              /* of requests: the request breaker */
    qd_account *vital;     /* of APIs with QD_API_VITAL: outside of the breakers; may be NULL */
    qd_account *fielddata; /* of the fielddata breaker; may be NULL */
    qd_account *in_flight; /* of bodies and answers of the front-end; may be NULL */
    int64_t start_wall_ms;
    uint64_t start_ns;
    qd_str node_id, node_name, node_host;
    qd_str data_path;
    struct qd_rpc *rpc;                     /* transport to other nodes; NULL: there are none */
    struct qd_replication *replication;     /* copies of shards; NULL: each shard has one */
    struct qd_search_nodes *search_nodes;   /* what other nodes' searches took; qd_action_serve */
    struct qd_scrolls *scrolls;             /* open search contexts */
    struct qd_pipelines *pipelines;         /* ingest/pipelines.h */
    struct qd_by_query *by_query;           /* byquery/byquery.h; NULL: no such requests are run */
    struct qd_lifecycle *lifecycle;         /* lifecycle/lifecycle.h; NULL: no policies run */
    struct qd_action_counters *counters;    /* counters.h; NULL: nothing is counted */
    struct qd_plugin_routes *routes;        /* api/plugin_routes.h; NULL: there are none */
    struct qd_request_cache *request_cache; /* request_cache.h; NULL: nothing is kept */
    /* what the front-end told of its connections, NULL: unknown */
    void (*http_stats)(void *arg, qd_action_http_stats *out);
    void *http_stats_arg;
    /* where the state is; NULL: nobody tells */
    void (*coordination)(void *arg, bool stale, int64_t ask_ms, qd_action_coordination *out);
    void *coordination_arg;
    struct qd_driver *driver;    /* of migrations, where both stores are open; NULL: one store */
    struct qd_handover *follows; /* where this node follows them with both: it may finish one */
    /* main: serving: cluster, shards and store above are set, all APIs answer; started: /ready says
     * so. A node that stops (stopping) is not ready any more and still serves what comes. */
    _Atomic bool serving, started, stopping;
    bool alone_ready; /* neither data nor coordination: ready without the cluster */
} qd_actions;

/* Shape of the body, place of work. */
enum {
    QD_API_BODY = 1,            /* a body is allowed */
    QD_API_BODY_REQUIRED = 2,   /* 400 "request body is required" without one */
    QD_API_NDJSON = 4,          /* lines of JSON */
    QD_API_STREAM = 8,          /* the body is fed in pieces (bulk) */
    QD_API_LOOP = 16,           /* some tens of microseconds: runs on the caller's thread */
    QD_API_TEXT = 32,           /* _cat: answers text/plain unless JSON is asked for */
    QD_API_HEAD = 64,           /* HEAD allowed beside GET: same status, no body */
    QD_API_READY = 128,         /* answered before the node is ready */
    QD_API_OBSERVE = 256,       /* answered on metrics.port too */
    QD_API_SAFE = 512,          /* changes nothing though POST is among its methods */
    QD_API_PROBE = 1024,        /* answered whatever name the node was called by */
    QD_API_VITAL = 2048,        /* answered whatever the breakers say */
    QD_API_WRITE = 4096,        /* writes documents */
    QD_API_READ = 8192,         /* reads documents or what was made of them */
    QD_API_SEARCH = 16384,      /* counts as a search */
    QD_API_PRIMARY = 32768,     /* primaries answer, unless realtime=false */
    QD_API_ADMIN = 65536,       /* reads or changes the cluster's state, or waits for it */
    QD_API_NAME_GIVEN = 131072, /* takes {index} with its date math, to keep it */
};

/* Where a request names the indices that it touches. */
typedef enum qd_api_indices {
    QD_API_INDICES_NONE,    /* it touches none, or all by its nature */
    QD_API_INDICES_PATH,    /* {index}; none there means all */
    QD_API_INDICES_BODY,    /* the body, and {index} where it is silent */
    QD_API_INDICES_CONTEXT, /* those of a scroll or a point in time */
} qd_api_indices;

typedef struct qd_scrolls qd_scrolls;
typedef struct qd_request qd_request;
typedef struct qd_response qd_response;

/*
 * How an API with QD_API_STREAM takes its body: feed gets all bytes not yet used and tells how many
 * it used now; with last it uses all. emit hands out pieces of the answer, only inside end; when it
 * says QD_ANSWER_FULL, end returns QD_STREAM_AGAIN and is called again when there is room. A feed
 * that fails ends the request with that error. cut takes the place of the last feed where the body
 * ends early, for the reason why: what was fed stays done, and end tells it. drop frees the state
 * after end, failure or a lost client.
 */
enum { QD_STREAM_AGAIN = 1 };
typedef struct qd_api_stream {
    int (*begin)(qd_request *q, qd_response *r, void **state, qd_err *err);
    int (*feed)(void *state, qd_str bytes, bool last, size_t *used, qd_err *err);
    int (*cut)(void *state, const qd_err *why, qd_err *err);
    int (*end)(void *state, int (*emit)(void *arg, qd_str piece), void *arg, qd_err *err);
    void (*drop)(void *state);
} qd_api_stream;

typedef struct qd_api {
    const char *name;    /* "search", "indices.create" */
    const char *methods; /* "GET|POST" */
    const char *paths;   /* "/_search;/{index}/_search" */
    const char *params;  /* accepted query parameters, comma-separated; common ones always */
    const char *pool;    /* thread pool */
    uint32_t flags;
    const char *privilege; /* Elasticsearch's name; "none": anybody */
    qd_api_indices indices;
    int (*run)(qd_request *q, qd_response *r, qd_err *err); /* NULL with stream */
    const qd_api_stream *stream;
    /* May this request run on the caller's thread? Only if it does little and waits for nothing, as
     * far as that can be told without running it. The handler sees q->brief and may still answer
     * QD_API_LONG: then it runs again, on a worker. NULL: never. */
    bool (*brief)(qd_request *q);
    const char *help;
} qd_api;

enum { QD_API_LONG = 1 };

/* All APIs. */
extern const qd_api qd_apis[];
extern const uint32_t qd_apis_n;
/* API by name, NULL. [any] */
const qd_api *qd_api_find(qd_str name);
/* Is key one of api's query parameters or a common one? [any] */
bool qd_api_accepts(const qd_api *api, qd_str key);

struct qd_request {
    qd_actions *a;
    const qd_api *api;
    const qd_pair *params; /* of path and query, decoded */
    uint32_t nparams;
    qd_str path;          /* as it was asked for; empty: not over HTTP */
    qd_str body;          /* whole; empty when there is none */
    uint32_t body_format; /* QD_FORMAT_* */
    uint32_t accept;      /* QD_FORMAT_* that the client wants; 0: any */
    bool head;            /* HEAD: the handler may leave the body out */
    bool forwarded;       /* by another node: it is about what is on this one */
    bool brief;           /* it runs on the caller's thread and must not wait */
    int64_t stale_ms;     /* told by the handler: how old the answer may be; 0: not at all */
    const char *warnings; /* of qd_request_warn, by lines; NULL: none */
    qd_action_origin origin;
    qd_arena *arena;
    qd_task task;
    struct qdi_own_run *own; /* runs in place of the API's handler (api/submit_int.h); NULL */
    /* of the common parameters */
    bool pretty, human, error_trace;
    qd_json_filter *filter; /* filter_path, NULL */
};

struct qd_response {
    int status;      /* 200 at the start */
    uint32_t format; /* QD_FORMAT_JSON at the start */
    qd_buf *out;
    qd_json_writer w; /* writes into out, pretty or not */
    bool is_error;    /* an error stands in it: shown whole, whatever filter_path says */
};

/* Tells the client something beside the answer, in a header Warning as Elasticsearch writes it; a
 * text twice is told once, and beyond some KB no more. */
void qd_request_warn(qd_request *q, const char *text);
/* Of a call that answers: its warnings, one a line, each what stands behind "Warning: "; NULL:
 * none. Valid within its `answer`. */
const char *qd_action_warnings(const qd_action_call *call);
/* Before the submit: the path that the client asked for, undecoded; kept until the call is done. */
void qd_action_path_set(qd_action_call *call, const qd_str *path);

/* --- parameters ---------------------------------------------------------------------------------
 */

/* Text of a parameter; {NULL,0} when absent. */
qd_str qd_param(const qd_request *q, const char *key);
/* Is it there (with or without a value)? */
bool qd_param_has(const qd_request *q, const char *key);
/* Boolean: "", "true" are true. QD_E_ARG "Failed to parse value [x] as only [true] or [false] are
 * allowed." */
QD_MUST_CHECK
int qd_param_bool(const qd_request *q, const char *key, bool standard, bool *out, qd_err *err);
/* Integer. QD_E_ARG "Failed to parse int parameter [size] with value [x]" */
QD_MUST_CHECK
int qd_param_i64(const qd_request *q, const char *key, int64_t standard, int64_t *out, qd_err *err);
/* The same for what Elasticsearch reads as a long: "Failed to parse long parameter …". */
QD_MUST_CHECK
int qd_param_long(const qd_request *q, const char *key, int64_t standard, int64_t *out,
                  qd_err *err);
/* Time in milliseconds ("30s"). */
QD_MUST_CHECK
int qd_param_ms(const qd_request *q, const char *key, int64_t standard, int64_t *out, qd_err *err);
/* ignore_unavailable, allow_no_indices, expand_wildcards over the API's own options. */
QD_MUST_CHECK
int qd_param_indices_options(const qd_request *q, uint32_t standard, uint32_t *out, qd_err *err);
/* Refuses unknown parameters: "request [/x] contains unrecognized parameter: [y] -> did you mean
 * [z]?". path is shown. */
QD_MUST_CHECK
int qd_params_check(const qd_request *q, qd_str path, qd_err *err);
/* Resolves the {index} parameter of the request in state s. */
QD_MUST_CHECK
int qd_param_indices(const qd_request *q, const qd_state *s, uint32_t standard, qd_resolved *out,
                     qd_err *err);

/* --- answers
 * --------------------------------------------------------------------------------------- */

/* Prepares an answer that writes into out. */
void qd_response_init(qd_response *r, qd_buf *out, bool pretty);
/* Replaces whatever is written by Elasticsearch's error body and status. */
void qd_response_error(qd_response *r, const qd_err *err, bool error_trace);
/* Writes "error" as an object {"root_cause":…,"type":…,"reason":…}: for items and shards. */
void qd_error_write(qd_json_writer *w, const qd_err *err);
/* A raw detail of this name is an error's own list of root causes (an array). */
#define QD_ERR_ROOT_CAUSE "root_cause"
/* The same with root_cause. */
void qd_error_write_root(qd_json_writer *w, const qd_err *err);
/* {"acknowledged":true} */
void qd_response_acknowledged(qd_response *r);
/* "_shards":{"total":…,"successful":…,"failed":…} */
void qd_shards_write(qd_json_writer *w, uint32_t total, uint32_t successful, uint32_t failed);
/* Elasticsearch's name of an HTTP status: "INTERNAL_SERVER_ERROR". [any] */
const char *qd_status_name(int status);

/* Bytes of indexing requests in flight, for _nodes/stats. */
typedef struct qd_action_pressure_stats {
    int64_t current_bytes, total_bytes, limit_bytes;
    uint64_t rejections;
} qd_action_pressure_stats;
/* Reads the counters. [any] */
void qd_action_pressure(qd_actions *a, qd_action_pressure_stats *out);

/* At start: removes answers that a crash left on the tier. [worker] */
void qd_action_tidy(qd_store *s);
/* Opens the table of scrolls into a->scrolls, with the thread that ends expired ones; before
 * requests come. [worker] QD_E_NOMEM. */
QD_MUST_CHECK
int qd_scrolls_open(qd_actions *a, qd_err *err);
/* Ends all scrolls; no request runs any more. Before the shards are closed. [worker] */
void qd_scrolls_close(qd_actions *a);
/* Open scrolls. [any] */
uint32_t qd_scrolls_count(const qd_actions *a);

/* Answers what other nodes ask of this one: documents, searches, statistics. After a->rpc, scrolls
 * and all that requests need is there. Without a->rpc nothing is answered. [worker] QD_E_NOMEM,
 * QD_E_EXISTS. */
QD_MUST_CHECK
int qd_action_serve(qd_actions *a, qd_err *err);
/* Answers them no more, waits for those under way, and ends all search contexts. Before the shards
 * are closed. [worker] */
void qd_action_unserve(qd_actions *a);

/* Runs q's handler with a task registered, and writes an error answer if it fails. [worker] */
void qd_action_run(qd_request *q, qd_response *r);

/* Part of the cluster's listener: applies _cluster/settings to this node's configuration and
 * plugins (may be NULL) when they changed. [applier's thread] */
void qd_action_settings_follow(qd_config *config, qd_plugin_host *plugins, const qd_state *old,
                               const qd_state *now);

/* Waits until no call of a plugin's own is under way, those that came from no client; a->serving is
 * false. Whether it is so. [worker] */
bool qd_action_quiet(qd_env *env, int64_t wait_ms);

/* Gives a call to this node's actions, which are kept until it has ended: an answer, or what the
 * SDK says of its submit. [any] 0, or why no answer comes */
QD_MUST_CHECK
int32_t qd_actions_submit(qd_actions *a, struct qd_action_call *call, qd_err *err);
/* The service table that front-ends get (qd_plugin_host_service QD_SERVICE_ACTION). Its calls go to
 * the actions that qd_plugin_host_service_arg was given for the plugin's host. */
const qd_vtable *qd_action_service(void);
/* The same of QD_SERVICE_DOCUMENTS. */
const qd_vtable *qd_documents_service(void);

#endif
