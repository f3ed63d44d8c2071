/*
 * aggs.h: aggregations: a request's "aggs" parsed, bound to an index, collected by a shard, reduced
 * over all shards and written as JSON.
 *
 *   qd_aggs_parse      once a request: JSON -> immutable tree, refusals as Elasticsearch words them
 *   qd_aggs_bind       once an index: fields, formats and filters of that mapping
 *   qd_aggs_shard_...  once a shard: a collector for qd_plan_collect, then a partial result
 *   qd_aggs_reducer_.. once a request: partial results in any order -> the final result
 *   qd_aggs_write      the JSON of the final result
 *
 * A tree and a bound tree are immutable and shared [any]; shard, reducer and result belong to one
 * thread at a time. Lifetimes: arena of the request (tree, bound trees) > reducer and result. The
 * mapping given to qd_aggs_bind outlives the bound tree; partial results need neither shard nor
 * searcher. All growing memory is charged to the account given, so a breaker stops a request with
 * QD_E_BREAKER. Algorithms and accuracy: docs/aggregations.md.
 */
#ifndef QD_AGGS_AGGS_H
#define QD_AGGS_AGGS_H

#include "base/arena.h"
#include "base/err.h"
#include "mapping/mapping.h"
#include "runtime/task.h"
#include "search/collect/collect.h"
#include "search/collect/sort.h"
#include "json/tree.h"
#include "json/writer.h"

struct qd_nested_level;
struct qd_query_reading;
struct qd_query_context;
struct qd_plugin_host;

#define QD_AGGS_DEPTH_MAX 50u     /* nested aggregations; deeper ones are refused */
#define QD_AGGS_COUNT_MAX 1024u   /* aggregations of one request */
#define QD_AGGS_FILTERS_MAX 1024u /* filters of all of them; each is a search of its own */
#define QD_AGGS_BUCKETS_MAX 65536 /* default of search.max_buckets */

typedef struct qd_aggs qd_aggs;                 /* a parsed request */
typedef struct qd_aggs_bound qd_aggs_bound;     /* a tree bound to one index */
typedef struct qd_aggs_shard qd_aggs_shard;     /* collects one shard */
typedef struct qd_aggs_partial qd_aggs_partial; /* one shard's result */
typedef struct qd_aggs_reducer qd_aggs_reducer; /* takes partial results */
typedef struct qd_aggs_result qd_aggs_result;   /* the final result */

/* --- parse ----------------------------------------------------------------------------------- */

/* Whose habits to follow where products and versions differ: where quantiles lie between few values
 * (percentiles with t-digest), and the status of refused orders. */
typedef enum qd_aggs_flavour {
    QD_AGGS_ES8 = 0, /* at rank q (n - 1), between neighbours: Elasticsearch 8.9 on */
    QD_AGGS_OLD = 1, /* between the middles of values: Elasticsearch 7, OpenSearch 2 */
    QD_AGGS_OS3 = 2  /* single values are steps: OpenSearch 3 */
} qd_aggs_flavour;

/* What parsing depends on. arena and reading are needed. */
typedef struct qd_aggs_reading {
    qd_arena *arena;                        /* of the tree; the JSON tree lives as long */
    const struct qd_query_reading *reading; /* for the queries of filter aggregations */
    qd_str body;         /* text that the JSON was parsed from: line and column */
    int64_t max_buckets; /* search.max_buckets; 0: the default; -1: no limit */
    qd_aggs_flavour flavour;
} qd_aggs_reading;

/* Parses the value of "aggs" (an object). QD_E_PARSE (details line, col), QD_E_XCONTENT, QD_E_ARG,
 * QD_E_VALIDATION with Elasticsearch's texts; QD_E_NOMEM. [any] */
QD_MUST_CHECK
int qd_aggs_parse(const qd_aggs_reading *how, const qd_json_node *json, qd_aggs **out, qd_err *err);
/* The types of aggregations with the kinds of values that each takes, as an object: {"avg":
 * {"types":["boolean","date","numeric"]}, …}. Pipelines are none. [any] */
void qd_aggs_types_write(qd_json_writer *w);
/* The i-th type's module in Elasticsearch, by which clients look for it; "": it needs none; NULL:
 * there are fewer types. [any] */
const char *qd_aggs_type_module(uint32_t i);
/* Is there no aggregation at all ("aggs": {})? Then the answer has none either. [any] */
bool qd_aggs_empty(const qd_aggs *a);
/* Does some aggregation need scores (top_hits by score)? Then the query must be scored. [any] */
bool qd_aggs_needs_scores(const qd_aggs *a);
/* Does some aggregation look at more than what the query matches (global, terms of min_doc_count
 * 0)? Then no shard may be left out. [any] */
bool qd_aggs_visits_all(const qd_aggs *a);
/* Is there a global aggregation? It sees all documents: see qd_aggs_shard_run_global. [any] */
bool qd_aggs_has_global(const qd_aggs *a);

/* Is there a built-in aggregation of that name? [any] */
bool qd_aggs_type_known(qd_str name);
/* Refuses aggregations of plugins that have the name of a built-in one, after they are loaded:
 * QD_E_EXISTS. [any] */
QD_MUST_CHECK
int qd_aggs_plugins_check(const struct qd_plugin_host *host, qd_err *err);

/* --- bind ------------------------------------------------------------------------------------ */

/* How top_hits sort, as the search action reads it from the "sort" of the aggregation. */
typedef struct qd_aggs_hits_sort {
    const qd_sort_key *keys; /* none: by score */
    uint32_t nkeys;
    bool scores;    /* hits carry scores: no sort, _score among its keys, or track_scores */
    void *prepared; /* the host's own; handed to fetch */
} qd_aggs_hits_sort;

/* What top_hits need of the search action; may be NULL where no request has top_hits. */
typedef struct qd_aggs_host {
    void *arg;
    /* Reads sort, _source, highlight … of a top_hits body for the index of q, whose documents or
     * nested ones the buckets hold; the result lives in arena. Unknown members are refused here
     * with "[top_hits] unknown field …". */
    int (*hits_bind)(void *arg, const qd_json_node *body, const struct qd_query_context *q,
                     qd_arena *arena, qd_aggs_hits_sort *out, qd_err *err);
} qd_aggs_host;

/* What binding depends on: the context of the queries (its arena, mapping, now_ms, index), the
 * host for top_hits, and settings. task (NULL: none) ends it: cancelled with its error, and of
 * filters those that a deadline leaves match nothing. */
typedef struct qd_aggs_binding {
    const struct qd_query_context *query;
    const qd_aggs_host *host;
    struct qd_task *task;
    int64_t hits_window; /* index.max_inner_result_window; 0: 100 */
    bool id_values;      /* indices.id_field_data.enabled */
} qd_aggs_binding;

/* Binds to an index. Unmapped fields give empty results; QD_E_ARG "Field [x] of type [text] is not
 * supported for aggregation [avg]", "Fielddata is disabled on [x] …"; errors of queries. [any] */
QD_MUST_CHECK
int qd_aggs_bind(const qd_aggs *a, const qd_aggs_binding *how, qd_aggs_bound **out, qd_err *err);
/* Does some filter depend on the clock or on a plugin (results must not be cached)? [any] */
bool qd_aggs_bound_uncacheable(const qd_aggs_bound *b);

/* --- collect --------------------------------------------------------------------------------- */

/* Renders hits of top_hits: for each of n hits (documents global in the shard's searcher, or of a
 * level of nested documents below it: level not NULL, with sort
 * values and, if asked for, scores) one JSON object as in hits.hits (_index, _id, _score, _source,
 * sort), in arena. */
typedef int qd_aggs_fetch(void *arg, void *prepared, const struct qd_nested_level *level,
                          const qd_sort_hit *hits, uint32_t n, qd_arena *arena, qd_str *json,
                          qd_err *err);

/* The sort keys of top_hits made ready for a searcher, the nkeys of `prepared`, into out; what they
 * need lives in arena. */
typedef int qd_aggs_hits_keys(void *arg, void *prepared, qd_searcher *s, qd_arena *arena,
                              qd_sort_key *out, qd_err *err);

typedef struct qd_aggs_shard_options {
    qd_searcher *searcher;         /* outlives the shard */
    qd_account *account;           /* the request's */
    struct qd_task *task;          /* cancellation; may be NULL */
    struct qd_term_budget *budget; /* of the plans of filters; NULL: none */
    uint32_t shard;                /* number in the request: breaks ties of top_hits */
    qd_aggs_fetch *fetch;          /* NULL without top_hits */
    qd_aggs_hits_keys *hits_keys;  /* NULL: keys need nothing of a searcher */
    void *fetch_arg;               /* of both */
} qd_aggs_shard_options;

/* Makes the collector of one shard. Filters are planned here. [worker] QD_E_NOMEM, QD_E_BREAKER,
 * errors of qd_plan_make. */
QD_MUST_CHECK
int qd_aggs_shard_make(const qd_aggs_bound *b, const qd_aggs_shard_options *o, qd_aggs_shard **out,
                       qd_err *err);
/* The collector for qd_plan_collect, alone or below a qd_multi_collector; asks for scores if the
 * tree needs them. [any] */
qd_collector *qd_aggs_shard_collector(qd_aggs_shard *s);
/* Collects global aggregations over all live documents; call once if qd_aggs_has_global. [worker]
 */
QD_MUST_CHECK
int qd_aggs_shard_run_global(qd_aggs_shard *s, qd_err *err);
/* Ends collecting: *out holds all that this shard found (top buckets as shard_size says, hits
 * fetched). The shard may be freed afterwards. [worker] QD_E_BREAKER, QD_E_CORRUPT, QD_E_IO,
 * QD_E_NOMEM, errors of fetch. */
QD_MUST_CHECK
int qd_aggs_shard_finish(qd_aggs_shard *s, qd_aggs_partial **out, qd_err *err);
/* Frees it; NULL is fine. [worker] */
void qd_aggs_shard_free(qd_aggs_shard *s);
/* Frees a partial result that was not handed to a reducer; NULL is fine. [any] */
void qd_aggs_partial_free(qd_aggs_partial *p);
/* Bytes that a partial result takes. [any] */
size_t qd_aggs_partial_bytes(const qd_aggs_partial *p);

/* --- reduce and write ------------------------------------------------------------------------ */

/* A reducer of a tree; account pays for what it keeps. [any] QD_E_NOMEM. */
QD_MUST_CHECK
int qd_aggs_reducer_make(const qd_aggs *a, qd_account *account, qd_aggs_reducer **out, qd_err *err);
/* So many results wait at most before they are merged (2 to 64; batched_reduce_size). [any] */
void qd_aggs_reducer_batch(qd_aggs_reducer *r, uint32_t n);
/* Adds a shard's result, in any order; takes it over, also on failure. Merges in between when many
 * wait. [any] QD_E_BREAKER, QD_E_NOMEM. */
QD_MUST_CHECK
int qd_aggs_reducer_add(qd_aggs_reducer *r, qd_aggs_partial *p, qd_err *err);
/* The final result over all that was added (none: empty aggregations): orders, sizes, empty buckets
 * of histograms, pipeline aggregations; counts final buckets. The result is the reducer's.
 * QD_E_TOO_MANY_BUCKETS (detail max_buckets), QD_E_BREAKER, QD_E_NOMEM. [worker] */
QD_MUST_CHECK
int qd_aggs_reducer_finish(qd_aggs_reducer *r, const qd_aggs_result **out, qd_err *err);
/* Frees the reducer and its result; NULL is fine. [any] */
void qd_aggs_reducer_free(qd_aggs_reducer *r);
/* Writes the object behind "aggregations", {"name": {…}, …}; with typed_keys names are
 * "sterms#name". [any] */
void qd_aggs_write(const qd_aggs_result *r, bool typed_keys, qd_json_writer *w);

#endif
