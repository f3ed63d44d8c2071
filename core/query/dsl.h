/*
 * dsl.h: the query DSL: JSON to a parsed query, and a parsed query to native nodes for one index.
 *
 * Two steps, because a request names many indices:
 *
 *   qd_query_read   JSON -> qd_query, once a request; knows no mapping. Refuses what is malformed
 *                   (parsing_exception with line and column).
 *   qd_query_build  qd_query -> qd_node, once an index; analysis, values, dates, fields. Refuses
 *                   what does not fit the mapping (query_shard_exception, illegal_argument …).
 *
 * qd_query_parse does both. A query is found by its name among the rows of types.def, then among
 * the operators of the plugin host, where there is one. Pure: no clock, no I/O; `now` comes with
 * the context. Everything lives in the arenas given; a parsed query and a tree are immutable and
 * may be used by many threads.
 */
#ifndef QD_QUERY_DSL_H
#define QD_QUERY_DSL_H

#include "analysis/analysis.h"
#include "mapping/mapping.h"
#include "plugin/host.h"
#include "query/node.h"
#include "json/reader.h"
#include "json/tree.h"

typedef struct qd_query qd_query; /* a parsed query, independent of any index */

/* Bounds; all of them settings. Start from QD_QUERY_LIMITS_DEFAULT. */
typedef struct qd_query_limits {
    uint32_t max_clauses;        /* indices.query.bool.max_clause_count, 1024 */
    uint32_t max_nested_depth;   /* indices.query.bool.max_nested_depth, 30 */
    uint32_t max_terms;          /* index.max_terms_count, 65536 */
    uint32_t max_regex_length;   /* index.max_regex_length, 1000 */
    bool allow_expensive;        /* search.allow_expensive_queries, true */
    bool allow_leading_wildcard; /* indices.query.query_string.allowLeadingWildcard, true */
    bool analyze_wildcard;       /* indices.query.query_string.analyze_wildcard, false */
} qd_query_limits;

#define QD_QUERY_LIMITS_DEFAULT ((qd_query_limits){1024, 30, 65536, 1000, true, true, false})

/* A document that a query names: one with the values of a terms query at a path, or (path empty)
 * its source. index empty: of the index that is searched. */
typedef struct qd_query_lookup {
    qd_str index, id, routing, path; /* routing: p NULL when none is given */
} qd_query_lookup;
/* Finds its values at the path, in arena; none when there is no document. */
typedef int (*qd_query_lookup_fn)(void *arg, const qd_query_lookup *l, qd_arena *arena,
                                  const qd_query_value **out, uint32_t *n, qd_err *err);

/* What reading depends on. Zeroed members mean defaults; arena is needed. */
typedef struct qd_query_reading {
    qd_arena *arena;               /* of the result; the JSON need not live on */
    const qd_plugin_host *host;    /* where operators are looked up; NULL: built-in ones only */
    const qd_query_limits *limits; /* NULL: the defaults */
    const char *origin; /* first byte of the request's body, when the reader stands in a part of
                           it: lines and columns count from here; NULL: from the reader's input */
    qd_query_lookup_fn lookup; /* NULL: terms look-ups are refused */
    void *lookup_arg;
    /* Finds a stored script; texts in the arena. NULL: none can be named. */
    int (*stored)(void *arg, qd_str id, qd_arena *arena, qd_str *lang, qd_str *source, qd_err *err);
    bool *must_not_wait; /* not NULL: a query that may have to wait sets it, and fails */
} qd_query_reading;

/* What building depends on. Zeroed members mean defaults; arena, analysis and mapping are needed.
 */
typedef struct qd_query_context {
    qd_arena *arena;           /* of the tree; lives as long as any plan made from it */
    qd_analysis *analysis;     /* scratch, used during the call only */
    const qd_mapping *mapping; /* the tree borrows names of fields from it */
    const qd_plugin_host *host;
    const qd_query_limits *limits;
    qd_str index, index_uuid; /* for errors and queries on _index */
    qd_str
        nested; /* path of the nested documents that are asked of; n 0: the documents themselves */
    int64_t now_ms;
    uint32_t size;                /* hits that the request asks for; 0: 10 */
    const qd_str *default_fields; /* index.query.default_field; none: "*" */
    uint32_t ndefault_fields;
    bool lenient; /* index.query_string.lenient */
    /* Does text match a pattern? For fields of one value: qd_pattern_matches of the search. */
    int (*matches)(const qd_node_pattern *p, qd_str text, qd_account *account, bool *yes,
                   qd_err *err);
} qd_query_context;

/* A query that carries a _name, for matched_queries. */
typedef struct qd_query_named {
    qd_str name;
    const qd_node *node; /* that query alone, as a tree of its own */
} qd_query_named;

/* A query whose own matches are shown within the hits of the whole (inner_hits). */
typedef struct qd_query_inner {
    const qd_node *node; /* what it asks of the nested documents, or of those that a join finds */
    const qd_node_join *join; /* from the documents of `in` to those it asks of; NULL: nested */
    const qd_str *paths; /* n, outer before inner: from the documents of `in` to those it asks of */
    uint32_t n;
    qd_str path, json; /* path, or name of the relation; json: the object of inner_hits */
    uint32_t in; /* number of the one within whose hits it is shown; QD_INNER_TOP: the whole's */
} qd_query_inner;
#define QD_INNER_TOP UINT32_MAX
#define QD_INNER_MAX 64u /* of one query */

/* A tree and what is known of it. */
typedef struct qd_query_built {
    const qd_node *root;         /* never NULL */
    const qd_query_named *named; /* in order of appearance; for one name the last one counts */
    uint32_t nnamed;
    bool uncacheable; /* depends on the clock or on a plugin: results must not be cached */
    uint32_t clauses; /* of the whole tree, as max_clauses counts them */
    const qd_query_inner *inner; /* outer before inner */
    uint32_t ninner;
} qd_query_built;

/*
 * Reads a query. The reader stands on the query's START_OBJECT, or on the event before it (a key);
 * it is left on the query's END_OBJECT. QD_E_PARSE, QD_E_XCONTENT, QD_E_ARG with Elasticsearch's
 * texts, and details line and col; QD_E_NOMEM. [any]
 */
QD_MUST_CHECK
int qd_query_read(const qd_query_reading *how, qd_json_reader *r, const qd_query **out,
                  qd_err *err);
/* The same of what stands behind the name of a query of the DSL: the reader stands on its
 * START_OBJECT. */
QD_MUST_CHECK
int qd_query_read_as(const qd_query_reading *how, const char *name, qd_json_reader *r,
                     const qd_query **out, qd_err *err);
/* The same from text that holds one query object and nothing else. [any] */
QD_MUST_CHECK
int qd_query_read_text(const qd_query_reading *how, qd_str json, const qd_query **out, qd_err *err);
/* The tree of a query in an index. QD_E_QUERY_SHARD "failed to create query: …", QD_E_ARG,
 * QD_E_NUMBER_FORMAT, QD_E_ES_PARSE, QD_E_TOO_MANY_CLAUSES, QD_E_NOMEM. [any] */
QD_MUST_CHECK
int qd_query_build(const qd_query_context *c, const qd_query *q, qd_query_built *out, qd_err *err);
/* Puts the frame "failed to create query: …" around an error of an index, for what fails where a
 * tree is planned (a regexp too complex); returns the code. [any] */
int qd_query_failed(const qd_query_context *c, int rc, qd_err *err);
/* Reads and builds; the query's strings live in c->arena. [any] */
QD_MUST_CHECK
int qd_query_parse(const qd_query_context *c, qd_str json, qd_query_built *out, qd_err *err);
/* The same for a node of a JSON tree (its raw bytes); body: the whole text that raw is part of, for
 * lines and columns; may be {NULL, 0}. [any] */
QD_MUST_CHECK
int qd_query_parse_node(const qd_query_context *c, const qd_json_node *json, qd_str body,
                        qd_query_built *out, qd_err *err);

/* A parsed match_all; static. [any] */
const qd_query *qd_query_match_all(void);

/*
 * query within filters that do not score (aliases, slices, post filters): a bool of one must and n
 * filters; query itself when n is 0. query NULL: match_all. NULL when out of memory. [any]
 */
QD_MUST_CHECK
const qd_node *qd_node_filtered(qd_arena *arena, const qd_node *query,
                                const qd_node *const *filters, uint32_t n);
/* Any of n queries, as a filter (several aliases of one index). NULL when out of memory. [any] */
QD_MUST_CHECK
const qd_node *qd_node_any_of(qd_arena *arena, const qd_node *const *nodes, uint32_t n);

/*
 * Calls fn for each leaf, in the order of the query, for highlighting; must_not clauses are left
 * out. boost: the product of the boosts above and of the leaf. A result other than 0 ends the walk
 * and is returned. [any]
 */
int qd_node_each_leaf(const qd_node *root, int (*fn)(void *arg, const qd_node *leaf, float boost),
                      void *arg);
/*
 * minimum_should_match ("2", "-1", "75%", "-25%", "2<75%", "3<-25% 9<-3") for so many optional
 * clauses: 0 with *out in [0, optional] or more ("5" of 3 clauses is 5: nothing matches), or QD_E_*
 * as Elasticsearch fails. [any]
 */
QD_MUST_CHECK
int qd_minimum_should_match(qd_str spec, uint32_t optional, uint32_t *out, qd_err *err);

#endif
