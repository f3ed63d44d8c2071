/*
 * search_int.h: searches, as _search, _msearch, scroll, top_hits and the others share them.
 *
 * A search goes: request (parameters and body, no index known) -> bind (once for each index:
 * query, sort, aggregations under its mapping) -> shards (query phase, in parallel on the search
 * pool) -> merge -> fetch (only for the hits shown) -> answer. What is bound lives in the search's
 * arena and is not changed afterwards; each shard works in an arena of its own.
 *
 * The coordinating part knows all shards, merges and answers; a node's part (part_int.h) binds
 * and runs the shards that it is asked for. Both are a search_run: shards that this node searches
 * for itself stand in the coordinating run directly, those of others get their results there.
 */
#ifndef QD_ACTION_SEARCH_INT_H
#define QD_ACTION_SEARCH_INT_H

#include "action/api/lookup_int.h"
#include "action/documents/documents_int.h"
#include "action/ranking/ranking.h"
#include "action/script/script_int.h"
#include "action/search_pipeline/search_pipeline.h"
#include "aggs/aggs.h"
#include "mapping/geo_read.h"
#include "query/dsl.h"
#include "query/script.h"
#include "search/collect/sort.h"
#include "search/fetch/fetch.h"
#include "search/nested.h"
#include "search/plan/plan.h"

#define SEARCH_TOTAL_STANDARD 10000
#define SEARCH_SIZE_STANDARD 10
#define SEARCH_KNN_MAX 16u /* sections "knn" */

/* --- the request ------------------------------------------------------------------------------ */

/* "nested" of a sort. */
typedef struct search_sort_nested {
    qd_str path;
    const qd_query *filter; /* NULL: none */
    int64_t max_children;   /* 0: all */
    struct search_sort_nested *below;
} search_sort_nested;

/* The same in an index. */
typedef struct search_nested_bound {
    const qd_str *paths; /* n, from the documents or the level above down, outer first */
    uint32_t n;
    const qd_node *filter; /* NULL: none */
    uint32_t most;
    struct search_nested_bound *below;
} search_nested_bound;

/* "_script" of a sort. */
typedef struct search_sort_script {
    qd_script_given given;
    bool texts; /* type string, not number */
} search_sort_script;

/* _geo_distance: the keys of a sort that are distances. */
typedef struct search_sort_geo {
    qd_sort_geo of;
    qd_geo_validation validation;
    bool ignore_unmapped;
} search_sort_geo;

/* One element of "sort", before any index is known. */
typedef struct search_sort_field {
    qd_str field;
    bool descending, has_mode;
    qd_sort_mode mode;
    const qd_json_node *missing;    /* NULL: "_last" */
    search_sort_nested *nested;     /* NULL: none */
    search_sort_nested *nested_old; /* by nested_path and nested_filter; `nested` once it
                                     * is read */
    search_sort_script *script;     /* NULL: by a field */
    search_sort_geo *geo;           /* the distances of the field; NULL: its values */
    qd_str unmapped_type, numeric_type, format; /* empty: not given */
} search_sort_field;

typedef struct search_sort {
    search_sort_field *at;
    uint32_t n; /* 0: by score */
} search_sort;

/* A field of "fields" or "docvalue_fields". */
typedef struct search_field {
    qd_str field, format;
    bool unmapped;
} search_field;

/* A field of "script_fields". */
typedef struct search_script_field {
    qd_str name;
    qd_script_given given;
    bool ignore_failure, reads_source;
} search_script_field;

struct search_highlight;
struct search_hits;
struct qd_explanation;

/* What is shown of a hit. */
typedef struct search_show {
    doc_source source;
    bool source_given; /* by a body or parameter, so that stored_fields do not switch it off */
    bool none;         /* stored_fields: _none_ */
    bool stored;       /* stored_fields were given */
    qd_str *stored_fields;
    search_field *docvalues, *fields;
    uint32_t nstored, ndocvalues, nfields;
    bool version, seq_no, explain, named_scores;
    const struct search_highlight *highlight; /* NULL: none */
    search_script_field *scripts;
    uint32_t nscripts;
} search_show;

/* "collapse": hits with one value of a field are one, by the best of them. */
typedef struct search_collapse_inner {
    qd_str name;
    const qd_json_node *node; /* the object of inner_hits */
} search_collapse_inner;
typedef struct search_collapse {
    qd_str field;
    search_collapse_inner *inner;
    uint32_t ninner;
    int64_t at_once; /* max_concurrent_group_searches; 0: not given */
    bool added;      /* the field's values would not be shown otherwise */
} search_collapse;

typedef struct search_boost {
    qd_str index;
    float boost;
} search_boost;

/* A rescorer with its query. */
typedef struct search_rescore {
    const rank_rescore *of;
    const qd_query *query;
} search_rescore;

typedef struct search_request {
    qd_request *q;
    const qd_pair *params; /* as other nodes are told: those of q, and what a template adds */
    uint32_t nparams;
    qd_arena *arena;
    qd_str body;
    qd_query_limits limits; /* the node's; an index adds its own */
    int64_t from, size;
    bool size_given;
    const qd_query *query, *post_filter; /* NULL: all, none */
    const qd_query **knn;                /* sections of nearest vectors beside the query */
    uint32_t nknn;
    const qd_json_node *retriever, *ranked, *hybrid; /* as given; NULL: none */
    const rank_plan *rank;                           /* lists that are combined; NULL: none */
    struct search_request **leaves;                  /* by leaf of rank: a search of its own */
    qd_str query_json; /* of the query, where the body has it elsewhere; n 0: it has not */
    rank_rescores rescore_given;
    search_rescore *rescores, *extra; /* nrescores; those of rank's extra rescorers */
    uint32_t nrescores;
    search_sort sort;
    const qd_json_node *runtime; /* runtime_mappings, an object; NULL: none */
    const qd_json_node *after;   /* search_after, an array; NULL: none */
    search_collapse *collapse;   /* NULL: none */
    struct qdi_suggest *suggest; /* NULL: none */
    uint64_t total;              /* as qd_top_options.total */
    bool total_zero;             /* counting up to 0: told as "0 or more" */
    bool total_given, total_as_int, typed_keys, track_scores, has_min_score, allow_partial;
    bool profile;
    qd_str preference; /* the parameter, or what a header of _msearch says */
    bool proceed;      /* conflicts: proceed, of _delete_by_query */
    float min_score;
    int64_t timeout_ms; /* 0: none */
    int64_t terminate_after;
    int64_t batched_reduce_size;
    int64_t pre_filter, at_once; /* pre_filter_shard_size (0: not given), max_concurrent_shard_… */
    /* The node that the client asks: the body goes through the search pipeline of what it searches;
     * set before the body is read. */
    bool coordinates;
    bool sampled; /* the pipeline says the size */
    qd_str expression;
    uint32_t options;
    const search_pipeline *pipeline; /* NULL: none */
    bool speaks_hybrid;              /* the body has the word: its query may be a hybrid one */
    bool query_only;                 /* the body was read by qdi_search_query_body */
    search_show show;
    qd_aggs *aggs;
    search_boost *boosts;
    uint32_t nboosts;
    bool dfs; /* search_type */
    bool has_slice;
    int64_t slice_id, slice_max;
    qd_str slice_field;
    int64_t scroll_ms; /* 0: no scroll */
    qd_str pit;        /* id of a point in time; empty: none */
    int64_t pit_keep_ms;
    struct search_lookup *lookups; /* of terms queries, as answered: latest first */
    bool given_lookups;            /* they came with the request: nothing is looked up here */
    bool too_long;                 /* out: not for the thread that asks */
} search_request;

/* A request with everything standard. */
void qdi_search_request_init(search_request *r, qd_request *q, qd_arena *arena);
/* Reads the body (may be empty) as _search takes it. */
int qdi_search_body(search_request *r, qd_str body, qd_err *err);
/* Reads a body that may hold nothing but a query (_count, _explain, _validate), or with `limits`
 * what _delete_by_query takes besides. */
int qdi_search_query_body(search_request *r, qd_str body, bool limits, qd_err *err);
/* Takes the query parameters over what the body says. */
int qdi_search_params(search_request *r, qd_err *err);
/* q, df, analyzer … as a query_string; nothing when there is no q. */
int qdi_search_param_query(search_request *r, qd_err *err);
/* Writes that query; false: there is no q. */
bool qdi_search_param_query_write(const qd_request *q, qd_json_writer *w);
/* "search_type": are statistics summed over all shards first? */
int qdi_search_type(qd_str v, bool *dfs, qd_err *err);
/* The preference has a form that is known. */
int qdi_search_preference(const search_request *r, qd_err *err);
/* "pit" of a body. */
int qdi_search_pit_parse(search_request *r, const qd_json_node *n, qd_err *err);
/* What a search over a point in time may not ask for. */
int qdi_search_pit_check(const search_request *r, qd_err *err);
/* Elasticsearch's validation of the whole. */
int qdi_search_validate(const search_request *r, qd_err *err);
/* How queries of this request are read. */
qd_query_reading qdi_search_reading(search_request *r);

/* The section "knn", an object or an array of them; the reader stands on its first event. */
int qdi_search_knn_parse(search_request *r, qd_json_reader *j, qd_err *err);

/* Parts, also of top_hits. */
int qdi_search_sort_parse(search_request *r, const qd_json_node *n, search_sort *out, qd_err *err);
/* The sort parameter: "field:desc,other". */
int qdi_search_sort_param(search_request *r, qd_str v, qd_err *err);
/* "order" and "mode". */
int qdi_sort_order_parse(qd_str v, bool *descending, qd_err *err);
int qdi_sort_mode_parse(qd_str v, qd_sort_mode *out, qd_err *err);
int qdi_search_source_parse(qd_arena *a, const qd_json_node *n, doc_source *out, qd_err *err);
int qdi_search_fields_parse(qd_arena *a, const qd_json_node *n, const char *what,
                            search_field **out, uint32_t *nout, qd_err *err);
int qdi_search_stored_parse(qd_arena *a, const qd_json_node *n, search_show *out, qd_err *err);
/* Details line and col of a place in the body. */
int qdi_search_err_at(const search_request *r, const char *at, qd_err *err, int code,
                      const char *fmt, ...) QD_PRINTF(5, 6);

/* --- bound to an index ------------------------------------------------------------------------ */

/* How a sort key's values look. */
typedef enum search_value_kind {
    SEARCH_VALUE_I64, /* integers, dates, booleans */
    SEARCH_VALUE_F64,
    SEARCH_VALUE_F32,
    SEARCH_VALUE_TERM,
    SEARCH_VALUE_IP,
    SEARCH_VALUE_SCORE,
    SEARCH_VALUE_DOC,
    SEARCH_VALUE_U64 /* qd_u64_encode */
} search_value_kind;

typedef struct search_sort_bound {
    search_value_kind kind;
    const qd_field *field;        /* NULL: unmapped or no field */
    const qd_date_format *format; /* given with the sort */
    bool shard_doc; /* _shard_doc: the shard's place above 32 bits, the document below */
    const search_nested_bound *nested; /* NULL: none */
} search_sort_bound;

/* Sort keys under one mapping. */
typedef struct search_keys {
    qd_sort_key keys[QD_SORT_KEYS_MAX];
    search_sort_bound bound[QD_SORT_KEYS_MAX];
    uint32_t n;
    bool scores; /* _score is one of them */
} search_keys;

/* Binds sort fields in the index of q, for the documents that q asks of; arena is the result's. */
int qdi_search_sort_bind(const search_sort *s, const qd_query_context *q, qd_arena *arena,
                         search_keys *out, qd_err *err);
/* nested_path and nested_filter, as Elasticsearch had them before 8: is key one of them, under the
 * identity? It is read; and what was read of a field becomes its `nested`. */
bool qdi_sort_nested_old(const search_request *r, qd_str key);
int qdi_sort_nested_old_parse(search_request *r, const qd_json_node *m, search_sort_nested **out,
                              qd_err *err);
int qdi_sort_nested_old_take(search_sort_field *f, qd_err *err);
/* sort_geo.c: _geo_distance: read, and bound. */
int qdi_sort_geo_parse(search_request *r, const qd_json_node *n, search_sort_field *f, qd_err *err);
int qdi_sort_geo_bind(const search_sort_field *s, const qd_query_context *q, qd_arena *arena,
                      search_sort_bound *bound, qd_sort_key *k, qd_err *err);
/* "nested" of a sort: read, bound, and made ready for a searcher: keys in arena in which it is. */
int qdi_sort_nested_parse(search_request *r, const qd_json_node *n, search_sort_nested **out,
                          qd_err *err);
int qdi_sort_nested_bind(const search_sort_nested *s, const qd_query_context *q, qd_arena *arena,
                         const search_nested_bound **out, qd_err *err);
int qdi_sort_nested_keys(const search_keys *k, qd_searcher *s, const qd_plan_options *o,
                         qd_arena *arena, qd_sort_key *out, qd_err *err);
/* "_script" of a sort: read, and bound. */
int qdi_sort_script_parse(search_request *r, const qd_json_node *n, search_sort_field *f,
                          qd_err *err);
int qdi_sort_script_bind(const search_sort_script *s, const qd_query_context *q, qd_arena *arena,
                         search_sort_bound *bound, qd_sort_key *k, qd_err *err);
/* Are the keys the first ones of the index's own sort, and perhaps the document behind them? */
bool qdi_search_sort_by_index(const search_keys *k, const qd_values *v);
/* search_after's values for these keys. */
int qdi_search_after_bind(const qd_json_node *after, const search_keys *k, qd_arena *arena,
                          int64_t now_ms, qd_sort_value *out, qd_err *err);
/* Writes one value, as it is shown and a query takes it. */
void qdi_search_value_write(const search_sort_bound *b, const qd_sort_value *v, qd_json_writer *w);
/* Writes "sort":[…]. */
void qdi_search_sort_write(const search_keys *k, const qd_sort_value *v, qd_json_writer *w);
/* Fielddata's refusal of a field that has no values by document. */
int qdi_search_no_values(const qd_field *f, qd_str name, qd_str index, qd_err *err);

/* Inner hits of a query, bound to an index. */
typedef struct search_inner {
    qd_query_inner query;
    qd_str name;
    uint32_t from, size;
    search_show show;
    search_keys keys;
    bool scores;
} search_inner;

typedef struct search_index {
    const qd_index_meta *meta; /* NULL only in a node's part, with rc set: the node lacks it */
    float boost;
    qd_str filter; /* of the aliases: a JSON array of queries, any suffices; empty: none */
    qd_query_context context;
    qd_query_built query; /* and the sections knn */
    const qd_node *own;   /* with sections knn: the query alone; NULL: the request has none */
    const qd_node **knn;  /* by section: KNN, or MATCH_NONE */
    uint32_t nknn;
    const qd_node **rescores;    /* by rescorer */
    const qd_node **extra;       /* by extra rescorer of a plan */
    struct search_index *leaves; /* by leaf of a plan: the same index for its search */
    const qd_node *post;         /* NULL: none */
    const qd_node **filters;     /* of aliases: 0 or 1 */
    uint32_t nfilters;
    qd_str routing; /* of the aliases; empty: all shards */
    search_keys sort;
    qd_sort_value *after;      /* NULL: none */
    qd_sort_key group;         /* of collapse */
    search_sort_bound grouped; /* how its values look */
    qd_aggs_bound *aggs;
    search_inner *inner;       /* of query and post filter: outer before inner */
    uint32_t ninner, inner_of; /* inner_of: those of that number are shown, QD_INNER_TOP at first */
    bool uncacheable; /* some query depends on the clock or on a plugin: not to be cached */
    int rc;           /* of binding: all its shards fail with it */
    qd_err err;
} search_index;

typedef struct search_hit {
    uint32_t doc;
    float score;
    qd_sort_value *values; /* NULL without sort */
    qd_sort_value *group;  /* NULL without collapse */
} search_hit;

/* The best scores of a section knn in a shard, best first. */
typedef struct search_scores {
    float *at;
    uint32_t n;
} search_scores;

/* A list of a plan's leaf: hits from .. from + n of a shard's. */
typedef struct search_span {
    uint32_t from, n;
} search_span;

typedef struct search_shard {
    struct search_run *run;
    search_index *index;
    uint32_t number;
    uint32_t place; /* among all shards of the search: earlier ones win ties */
    qd_shard *shard;
    qd_searcher *searcher;
    qd_arena arena;
    qd_term_budget budget; /* of its plans and of its hits' */
    /* by section knn: */
    const search_scores *scores; /* before the search; NULL: it has not told */
    uint32_t *nearest;           /* its best so many are among the nearest; NULL: not known */
    qd_knn_memo *memos;          /* in arena */
    const search_hit *resume;    /* scroll: behind this hit of the shard; NULL: from the start */
    bool drained;                /* scroll: nothing more is left here */
    /* the coordinating part's: who is asked */
    struct search_target *target; /* NULL: this run searches it itself */
    struct search_copies *copies; /* in the order they are tried; NULL: only here */
    qd_str *tried;                /* allocation ids of all copies tried, once they failed */
    uint32_t ntried;
    bool open;    /* it has no result yet */
    bool skipped; /* can_match: nothing can match */
    bool missing; /* it has no copy that serves, and err says why */
    qd_str *json; /* of hits that a target has fetched, by hit; NULL: none */
    /* results */
    int rc;
    qd_err err;
    bool fetch_failed;
    search_hit *hits;
    uint32_t nhits;
    search_span *lists; /* by leaf of a plan: hits of its lists stand one list behind the other */
    float *extra;       /* by hit and extra query of a plan: its score, NaN: it does not match */
    uint64_t total;
    bool total_lower_bound, timed_out, terminated_early;
    float max_score;  /* NaN: unknown */
    uint64_t took_ns; /* of its query, where this node ran it; 0: not measured */
    int64_t stale_ms; /* how old what the copy shows may be; 0: not at all */
    qd_aggs_partial *aggs;
    qd_str suggest; /* its suggestions (suggest/suggest_int.h), JSON; n 0: none */
    /* fetch phase: its hits among those shown */
    struct search_hits *shown;
    uint32_t nshown;
} search_shard;

/* A hit among all. */
typedef struct search_ref {
    search_shard *shard;
    uint32_t at; /* in shard->hits */
} search_ref;

typedef struct search_run {
    search_request *r;
    qd_actions *a;
    qd_arena *arena;
    qd_task *task;
    qd_state *state;
    int64_t now_ms;
    uint64_t start_ns;
    search_index *indices;
    uint32_t nindices;
    search_shard *shards;
    uint32_t nshards;
    qd_analysis *analysis;
    bool scroll, later;         /* later: not the first page */
    bool had_aggs;              /* later: the first page had aggregations */
    bool part;                  /* a node's part of a search */
    bool asks_knn;              /* nodes are asked for scores of their nearest vectors */
    bool opens_pit;             /* only searchers are opened, and kept */
    qd_str expression, routing; /* as the search was begun, but for a point in time */
    uint32_t options;
    struct search_id *pit;             /* the point in time that is searched; NULL: the newest */
    struct search_target *targets;     /* nodes that are asked, this one too where it is asked so */
    const qd_node_global_stats *stats; /* of dfs_query_then_fetch; NULL: each shard's own */
    struct search_stat *dfs;           /* the same as a list, for other nodes */
    uint32_t ndfs;
    /* merged */
    search_ref *refs;
    uint32_t nrefs; /* from .. from + size */
    uint64_t total;
    bool total_lower_bound, timed_out, terminated_early;
    float max_score; /* NaN: null */
    qd_aggs_reducer *reducer;
    uint32_t reduced; /* shards whose aggregations are in it */
    const qd_aggs_result *aggs;
    uint32_t doubles; /* sort keys that became doubles, by bit */
    uint32_t failed;
    uint64_t moved_until_ns; /* until when copies that have moved are looked for; 0: not yet */
    size_t answer_from;      /* in the answer's buffer: behind "took"; 0: not written */
} search_run;

/* What all plans of a search on one of its indices have in common: similarities, statistics, limits
 * of clauses and terms. budget: the shard's. */
struct qd_plan_options qdi_search_plan_options(const search_run *x, const search_index *ix,
                                               qd_term_budget *budget);

/* Begins: state, indices resolved from `expression` under options, everything bound, copies of the
 * shards chosen. Always end with qdi_search_end, also after a failure. */
int qdi_search_begin(search_run *x, search_request *r, qd_task *task, qd_str expression,
                     uint32_t options, qd_str routing, qd_err *err);
/* The same over the point in time that the request names. */
int qdi_search_pit_begin(search_run *x, search_request *r, qd_task *task, qd_err *err);
/* Runs the query phase on all shards and merges. A failure of all shards is an error. */
int qdi_search_query_phase(search_run *x, qd_err *err);
/* The failure of a search: all shards failed. */
int qdi_search_failed(search_run *x, qd_err *err);
/* Writes the answer's object without braces, fetching what is shown. */
int qdi_search_write(search_run *x, qd_str scroll_id, qd_json_writer *w, qd_err *err);
/* Gives back shards, searchers, memory. */
void qdi_search_end(search_run *x);
/* "_shards": {…} with skipped and failures. */
void qdi_search_shards_write(const search_run *x, qd_json_writer *w);
/* One shard's query phase. [worker] */
void qdi_search_shard_run(search_run *x, search_shard *s);
/* What the shard's plans may spend on terms, by the setting as it is now. [worker] */
qd_term_budget *qdi_search_budget(const search_run *x, search_shard *s);
/* A shard's plan of the query for hits, with scores. [worker] */
int qdi_search_shard_plan(search_run *x, search_shard *s, qd_plan **out, qd_err *err);
/* knn.c: the sections knn of a request, bound to an index beside its query. */
int qdi_search_knn_bind(search_run *x, search_index *ix, qd_err *err);
/* The query and the sections of a shard, limited to what is known of the nearest. [worker] */
int qdi_search_knn_root(search_shard *s, const qd_node **out, qd_err *err);
/* A query of the hits' index as it was run on their shard: the whole, or one with a name; made in
 * the hits' arena. NULL: out of memory. [worker] */
const qd_node *qdi_search_knn_shown(const struct search_hits *h, const qd_node *n);
/* The shards of this run find their best scores. [worker] */
void qdi_search_knn_tell(search_run *x);
/* All shards tell theirs, and are told how many of their best are among the nearest; nothing for
 * one shard. [worker] */
int qdi_search_knn(search_run *x, qd_err *err);
/* rank.c: what a retriever, "rank" or a query "hybrid" asks for becomes searches; after everything
 * else of the request was read. */
int qdi_rank_finish(search_request *r, qd_err *err);
/* Binds the leaves of a plan to an index that is bound itself. */
int qdi_rank_bind(search_run *x, search_index *ix, qd_err *err);
/* The lists of a shard, and the total and aggregations of all of them together. [worker] */
int qdi_rank_shard(search_run *x, search_shard *s, qd_err *err);
/* Makes x->refs of the lists of all shards. */
int qdi_rank_merge(search_run *x, qd_err *err);
/* Queries whose scores each candidate of a plan has: rescorers, and behind them the post filter. */
uint32_t qdi_rank_extra(const search_request *r);
/* Refuses from an index what nodes of before level 5 do not know. */
int qdi_rank_level(const search_run *x, const char *what, qd_err *err);

/* rescore.c: reads the queries of rescorers; *out is an array in r's arena. */
int qdi_rescore_read(search_request *r, const rank_rescore *const *given, uint32_t n,
                     search_rescore **out, qd_err *err);
/* What rescorers may not stand beside. */
int qdi_rescore_check(const search_request *r, qd_err *err);
/* Their trees in an index, within its limit of windows. */
int qdi_rescore_bind(search_run *x, search_index *ix, const search_rescore *of, uint32_t n,
                     const qd_node ***out, qd_err *err);
/* Which of n ascending documents of a shard match, and their scores. [worker] */
int qdi_rescore_test(const search_run *x, search_shard *s, const qd_node *node,
                     const uint32_t *docs, uint32_t n, uint64_t *bits, float *scores, qd_err *err);
/* Moves the best hits of a shard. [worker] */
int qdi_rescore_shard(search_run *x, search_shard *s, qd_err *err);
/* The plan of rescorer i for statistics of its terms. [worker] */
int qdi_rescore_plan(const search_run *x, search_shard *s, const qd_node *node, qd_plan **out,
                     qd_err *err);
/* The explanation of a hit's score before rescorers becomes that of the score behind them. */
int qdi_rescore_explain(struct search_hits *h, uint32_t i, struct qd_explanation **e, qd_err *err);
/* A query of a request, as text: within its body or not. */
int qdi_search_query_text(search_request *r, qd_str json, const qd_query **out, qd_err *err);
/* The query phase of a shard that is open. [worker] */
int qdi_search_shard_query(search_run *x, search_shard *s, qd_err *err);
/* Limits that an index sets to a request. */
int qdi_search_check_window(const search_run *x, const search_index *ix, qd_err *err);

/* Sums the statistics of the query's terms over all shards into x->stats. [worker] */
int qdi_search_dfs(search_run *x, qd_err *err);
/* The newest searcher of a shard of this node into s->searcher, waiting for one that is just being
 * opened. [worker] */
int qdi_search_shard_open(search_shard *s, qd_err *err);
/* A sort value of this kind as a double, as other indices hold it. */
void qdi_search_value_to_double(search_value_kind kind, qd_sort_value *v);
/* Adds the aggregations of shards from the front on, as far as none is open. */
int qdi_search_reduce(search_run *x, qd_err *err);
/* runtime.c: the mapping of an index with the request's runtime fields; it lives as long as x. */
int qdi_search_mapping(const search_run *x, const search_index *ix, const qd_mapping **out,
                       qd_err *err);
/* Has the mapping that it is bound to runtime fields? */
bool qdi_search_has_runtime(const search_index *ix);
/* Puts a searcher with the runtime fields in the place of s->searcher; nothing where there are
 * none. */
int qdi_search_runtime_open(search_shard *s, qd_err *err);
/* The same for hits: their searcher makes the fields of these documents alone. */
int qdi_hits_narrow(struct search_hits *h, const uint32_t *docs, qd_err *err);
/* How old what a request's answer shows may be is at least ms. [any] */
void qdi_search_note_stale(qd_request *q, int64_t ms);
/* Searches that run at one time when no parameter says how many: as Elasticsearch, what the search
 * pools of the data nodes run. */
int64_t qdi_search_at_once(qd_actions *a);
/* Merges only their hits, in x->refs. */
int qdi_search_merge_hits(search_run *x, qd_err *err);
/* Merges the results of all shards: totals, hits, aggregations. */
int qdi_search_merge(search_run *x, qd_err *err);
/* Runs fn for 0 .. n - 1 on the search pool, the caller helping; returns when all have run. */
void qdi_search_fan(qd_actions *a, uint32_t n, void (*fn)(void *arg, uint32_t i), void *arg);
/* Does the caller's tier wait off its worker, so that what reads should all begin at once? */
bool qdi_search_waits(const qd_actions *a);
/* The same with at most so many under way at one time; 0: as many as there are workers. */
void qdi_search_fan_of(qd_actions *a, uint32_t n, int64_t at_once,
                       void (*fn)(void *arg, uint32_t i), void *arg);
/* The same for whole searches, which may ask other nodes: on a fiber the helpers are fibers too. */
void qdi_search_fan_requests(qd_actions *a, uint32_t n, int64_t at_once,
                             void (*fn)(void *arg, uint32_t i), void *arg);

/* Does what has begun so little that it may run on the thread that asks? Takes the searcher then.
 * [any] */
bool qdi_search_is_brief(search_run *x);
/* Begins the task of one search below its request's. */
void qdi_search_task_begin(const search_request *r, qd_task *t);
/* A whole search; writes its answer's members. Of a brief request (q->brief) QD_API_LONG when it is
 * none. */
int qdi_search_execute(search_request *r, qd_str expression, uint32_t options, qd_str routing,
                       qd_json_writer *w, qd_err *err);
/* The same over the indices that the path of its request names, or a scroll of them, as the whole
 * answer. */
int qdi_search_answer(search_request *s, uint32_t options, qd_response *r, qd_err *err);
/* The same as the first page of a scroll. */
int qdi_scroll_open(search_request *r, qd_str expression, uint32_t options, qd_str routing,
                    qd_json_writer *w, qd_err *err);

/* --- hits ------------------------------------------------------------------------------------- */

/* Some hits of one shard, fetched. */
typedef struct search_hits {
    search_run *x;
    search_index *index;
    uint32_t shard;
    const search_shard *of; /* whose query found them; NULL: hits within hits */
    qd_searcher *searcher;
    const search_show *show;
    const search_keys *keys; /* NULL: by score */
    const search_hit *hits;
    uint32_t n;
    bool scores; /* hits carry scores worth showing */
    qd_arena *arena;
    qd_task *task;
    qd_term_budget *budget; /* the shard's */
    /* Nested documents, of searcher: their level and the searcher at its top; NULL: none. */
    const qd_nested_level *level;
    qd_searcher *top;
    /* made by fetch */
    qd_fetched *got;
    qd_str *columns; /* of docvalues */
    const qd_field **column_fields;
    search_field *column_specs;
    uint32_t ncolumns;
    uint32_t nown;          /* columns behind them that are not fields: _ignored, then this */
    uint32_t stored_column; /* values of stored fields beside _source; 0: not asked for */
    uint64_t *matched;      /* by named query: a bit for each hit */
    float *matched_scores;
    qd_analysis *analysis;      /* made when first needed */
    qd_str *identities;         /* of nested documents: "_nested" */
    qd_plan **inner_plans;      /* by definition of inner hits, as needed */
    struct search_shown *shown; /* hit_fields.c's; NULL: not looked for yet */
    void *highlighting;         /* highlight.c's */
    void *explaining;           /* explain.c's */
    qd_json_filter *no_vectors; /* NULL: the index has no vectors */
    bool vectors_known;
    const qd_script_bind **script_binds; /* by script field */
    struct qd_script_doc **script_docs;  /* the same, by leaf */
} search_hits;

/* Scratch for analysis, of the hits' arena; NULL when out of memory. */
qd_analysis *qdi_hits_analysis(search_hits *h);

/* Writes the source of a hit as the request shows it, as the next value. */
int qdi_hits_source_write(search_hits *h, qd_str source, qd_json_writer *w, qd_err *err);
/* Fetches all that shows the hits. */
int qdi_hits_fetch(search_hits *h, qd_err *err);
/* Writes hit i as an object; after an error it stands half written, for the caller to take back. */
int qdi_hit_write(search_hits *h, uint32_t i, qd_json_writer *w, qd_err *err);

/* Are there fields among those to be shown whose type's plugin writes them, or whose columns are
 * built? It may take its time. */
bool qdi_hits_call_plugins(const search_show *s, const qd_mapping *m);
/* Refuses formats and fields that cannot be shown, once an index. */
int qdi_hits_check(const search_show *s, const search_index *ix, qd_err *err);
/* Can a field be shown in the format that was asked for? decimal: numbers have one too. QD_E_ARG.
 */
int qdi_field_format_check(const search_field *spec, const qd_field *f, bool decimal, qd_err *err);
/* hit_fields.c: writes "fields" of hit i, where it has any, and "ignored_field_values". */
int qdi_hit_fields_write(search_hits *h, uint32_t i, qd_json_writer *w, qd_err *err);
/* Which hits match a tree: sets bit i of matches (zeroed) and scores[i] (may be NULL). */
int qdi_hits_test(search_hits *h, const qd_node *node, uint64_t *matches, float *scores,
                  qd_err *err);

/* "script_fields" of a body. */
int qdi_search_script_fields_parse(search_request *r, const qd_json_node *n, search_show *out,
                                   qd_err *err);
/* Does one of them look at the source? */
bool qdi_script_fields_read_source(const search_show *s);
/* Writes script field k of hit i: its name and values. */
int qdi_script_field_write(search_hits *h, uint32_t i, uint32_t k, qd_json_writer *w, qd_err *err);

/* "highlight" of a body. */
int qdi_search_highlight_parse(search_request *r, const qd_json_node *n, search_show *out,
                               qd_err *err);
/* Writes "highlight":{…} of hit i, nothing when there is none. */
int qdi_highlight_write(search_hits *h, uint32_t i, qd_json_writer *w, qd_err *err);
/* Writes the explanation of hit i's score as a value. */
int qdi_explain_write(search_hits *h, uint32_t i, qd_json_writer *w, qd_err *err);

/* collapse.c: "collapse" of a body. */
int qdi_collapse_parse(search_request *r, const qd_json_node *n, qd_err *err);
/* Shows the field's values with each hit; after all else was read. */
int qdi_collapse_show(search_request *r, qd_err *err);
/* Binds it to an index, before what is shown is checked. */
int qdi_collapse_bind(const search_run *x, search_index *ix, qd_err *err);
/* Does it go with the index's sort and inner hits, which are bound? */
int qdi_collapse_check(const search_run *x, const search_index *ix, qd_err *err);
/* Leaves of *n hits in order the first of each group, as many as the request shows of them. */
int qdi_collapse_refs(const search_run *x, search_ref *all, uint64_t *n, qd_err *err);

/* expand.c: searches the groups of the hits shown for their inner hits: *out by hit the members of
 * "inner_hits", NULL when none were asked for. Lives in x's arena. */
int qdi_expand(search_run *x, const qd_str **out, qd_err *err);
/* Writes a hit (an object, compact) of an index with members in its inner_hits. */
int qdi_expand_write(const search_run *x, const search_index *ix, qd_str json, qd_str members,
                     qd_json_writer *w, qd_err *err);

/* inner.c: binds what is shown within hits of an index; post may be NULL. */
int qdi_inner_bind(search_run *x, search_index *ix, const qd_query_built *post, qd_err *err);
/* Reads the members of an object that says how hits within hits or buckets are shown, but from and
 * size. */
int qdi_inner_member(search_request *r, const qd_json_node *m, search_show *s, search_sort *sort,
                     qd_err *err);
/* Reads name, from and size of one; *taken: m is one of them, or has no meaning here. */
int qdi_inner_own_member(search_inner *in, const qd_json_node *m, bool *taken, qd_err *err);
/* What qd_fetch gives of nested documents is theirs alone: fills in what is the documents' above,
 * and their part of the source. */
int qdi_nested_fetch(search_hits *h, const qd_fetch_options *o, qd_err *err);
/* Writes the part of a filtered source that is nested document i's. */
int qdi_nested_source(const search_hits *h, uint32_t i, qd_json_writer *w, qd_err *err);
/* Writes "inner_hits" of hit i; nothing when there are none. */
int qdi_inner_write(search_hits *h, uint32_t i, qd_json_writer *w, qd_err *err);

/* The host that aggregations get for top_hits. */
qd_aggs_host qdi_search_aggs_host(search_run *x);
/* Its sort keys and its fetch, with the shard as argument. */
int qdi_search_aggs_keys(void *arg, void *prepared, qd_searcher *searcher, qd_arena *arena,
                         qd_sort_key *out, qd_err *err);
int qdi_search_aggs_fetch(void *arg, void *prepared, const qd_nested_level *level,
                          const qd_sort_hit *hits, uint32_t n, qd_arena *arena, qd_str *json,
                          qd_err *err);

/* profile.c: slow logs. */
/* Tells the phase of a search on one shard, if it took long enough. */
void qdi_slow_query(const search_run *x, const search_shard *s, uint64_t took_ns);
/* The same of a fetch; total: hits that are fetched. */
void qdi_slow_fetch(const search_run *x, const qd_index_meta *m, uint32_t shard, uint32_t total,
                    uint64_t took_ns);

/* Refuses a scroll that is kept for longer than search.max_keep_alive; shown: as it was asked for.
 */
int qdi_scroll_keep_check(const qd_actions *a, int64_t ms, qd_str shown, qd_err *err);

/* "profile" with the shards of a search. */
void qdi_search_profile_write(const search_run *x, qd_json_writer *w);

#endif
