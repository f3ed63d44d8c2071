/*
 * node.h: the tree of native query nodes: what a query is after parsing and rewriting, before it
 * meets segments. Plain data: no functions, no references, everything lives in the arena of the
 * request that built it and is never changed afterwards; one tree may be planned many times.
 *
 * `query` builds it (from the DSL, through each operator's rewrite), `search` compiles it for a
 * searcher (search/plan/plan.h). Nodes name fields by their full path and terms by their indexed
 * bytes: analysis, normalization, date math and type coercion have happened before.
 *
 * Meaning follows Lucene's queries: a boost multiplies down the tree; constant_score, ranges, term
 * sets, exists, ids, doc sets and patterns (unless they score) give their boost; a bool sums its
 * clauses in double and rounds once.
 */
#ifndef QD_QUERY_NODE_H
#define QD_QUERY_NODE_H

#include "base/arena.h"
#include "base/geo.h"
#include <float.h>
#include <quidditch/operator.h>

typedef enum qd_node_kind {
#define QD_NODE(kind, row, holds) QD_NATIVE_##kind,
#include "query/nodes.def"
#undef QD_NODE
} qd_node_kind;
enum {
    QD_NODE_KINDS = 0
#define QD_NODE(kind, row, holds) +1
#include "query/nodes.def"
#undef QD_NODE
};

typedef struct qd_node qd_node;

/* Statistics that replace the searcher's own, for search_type=dfs_query_then_fetch; -1 in a member:
 * the searcher's. */
typedef struct qd_node_stats {
    int64_t doc_freq;            /* documents holding the term */
    int64_t total_term_freq;     /* its occurrences */
    int64_t doc_count;           /* documents having the field */
    int64_t sum_total_term_freq; /* tokens of the field */
} qd_node_stats;

/* Statistics of terms by (field, term), gathered over all shards. NULL result: the searcher's. */
typedef struct qd_node_global_stats {
    const qd_node_stats *(*term)(void *arg, qd_str field, qd_str term);
    void *arg;
} qd_node_global_stats;

typedef struct qd_node_term {
    qd_str field, term;
    const qd_node_stats *stats; /* NULL: the searcher's */
} qd_node_term;

typedef struct qd_node_synonym {
    qd_str field;
    const qd_str *terms;
    const float *boosts; /* factor of each term's frequency; NULL: 1 */
    uint32_t n;
} qd_node_synonym;

typedef struct qd_phrase_term {
    qd_str term;
    uint32_t position; /* from 0, ascending; terms of one position are alternatives */
    bool prefix; /* the terms beginning so, at most max_expansions of them, are alternatives */
} qd_phrase_term;

typedef struct qd_node_phrase {
    qd_str field;
    const qd_phrase_term *terms;
    uint32_t n;
    uint32_t slop;           /* 0: exact */
    uint32_t max_expansions; /* of prefix terms; 0: 50 */
    /* The same phrase over a field of pairs of words (index_phrases): what is run and scored.
     * Whoever wants the words of the query, as highlighting does, finds them above. NULL: none. */
    const qd_node *pairs;
} qd_node_phrase;

/* A phrase over a field without positions: the texts at the paths of the source are analyzed. */
typedef struct qd_node_source_phrase {
    const qd_node *child; /* documents that hold the words; first, where u.child is */
    qd_node_phrase phrase;
    const struct qd_analyzer *analyzer; /* of the index */
    uint32_t gap;                       /* between two values */
    uint32_t npaths;
    const qd_str *paths;
} qd_node_source_phrase;

/* What becomes of the scores of the nested documents of one. */
typedef enum qd_nested_score {
    QD_NESTED_AVG,
    QD_NESTED_SUM,
    QD_NESTED_MIN,
    QD_NESTED_MAX,
    QD_NESTED_NONE, /* 0 */
} qd_nested_score;

/* Documents by their nested ones: the child is a query of those. */
typedef struct qd_node_nested {
    const qd_node *child; /* first, where u.child is */
    const qd_str *paths;  /* n, outer before inner: from right below what the node asks of down */
    uint32_t n;           /* to the path of the child */
    qd_nested_score score;
} qd_node_nested;

/*
 * Parents by their children, or children by their parents: documents of `to` that have an id in
 * common with documents that the child matches. Both sides have it in the field `ids`.
 */
typedef struct qd_node_join {
    const qd_node *child; /* first, where u.child is: of documents elsewhere in the shard */
    const qd_node *to;
    qd_str ids;            /* a keyword with terms and a column, one value a document */
    qd_nested_score score; /* of the child's documents; NONE: the boost */
    uint32_t min, max;     /* of them that an id is to have */
} qd_node_join;

/*
 * Lucene's BooleanQuery: all of must and filter, none of must_not, at least min_should of should
 * (with neither must nor filter at least one); must and should are scored. A bool of must_not alone
 * matches nothing: whoever wants Elasticsearch's meaning adds a match_all as filter.
 */
typedef struct qd_node_bool {
    const qd_node *const *must, *const *should, *const *filter, *const *must_not;
    uint32_t nmust, nshould, nfilter, nmust_not;
    uint32_t min_should;
} qd_node_bool;

typedef struct qd_node_dis_max {
    const qd_node *const *children;
    uint32_t n;
    float tie_breaker;
    /* Children are TERM nodes (with or without a boost) of one word in several fields, scored with
     * Lucene's blended document frequencies (multi_match of type cross_fields). */
    bool blended;
} qd_node_dis_max;

typedef struct qd_node_term_set {
    qd_str field;
    const qd_str *terms; /* any order, may repeat */
    uint32_t n;
} qd_node_term_set;

typedef enum qd_range_kind {
    QD_RANGE_I64, /* points or column of sortable 64-bit integers, whichever is cheaper */
    QD_RANGE_B16, /* points of 16 bytes */
    QD_RANGE_TERM /* the field's terms in byte order */
} qd_range_kind;

typedef struct qd_node_range {
    qd_str field;
    qd_range_kind kind;
    int64_t lo, hi;             /* I64: both inclusive; INT64_MIN/MAX: open */
    uint8_t lo16[16], hi16[16]; /* B16: both inclusive */
    qd_str from, to;            /* TERM */
    bool by_column;             /* TERM: of what the column holds, not of the index */
    qd_str from_text, to_text;  /* by_column: as the request has them */
    bool has_from, has_to, from_inclusive, to_inclusive;
} qd_node_range;

typedef enum qd_pattern_kind {
    QD_PATTERN_PREFIX,
    QD_PATTERN_WILDCARD, /* '*', '?', '\' escapes */
    QD_PATTERN_REGEXP,   /* Lucene's syntax */
    QD_PATTERN_FUZZY
} qd_pattern_kind;

typedef enum qd_pattern_rewrite {
    QD_REWRITE_CONSTANT,    /* constant_score: the default but for fuzzy */
    QD_REWRITE_SCORING,     /* scoring_boolean: every term scored, at most 1024 of them */
    QD_REWRITE_TOP_BLENDED, /* top_terms_blended_freqs_N: fuzzy's default */
    QD_REWRITE_TOP_BOOST,   /* top_terms_boost_N */
    QD_REWRITE_TOP          /* top_terms_N */
} qd_pattern_rewrite;

typedef struct qd_node_pattern {
    qd_str field, text;
    qd_pattern_kind kind;
    qd_pattern_rewrite rewrite;
    uint32_t rewrite_n;     /* N of the top_terms rewrites; fuzzy's max_expansions; 0: 50 */
    bool case_insensitive;  /* ASCII and simple folding as Lucene's */
    uint32_t regexp_flags;  /* Lucene's RegExp flags */
    uint32_t max_states;    /* regexp: max_determinized_states; 0: 10000 */
    uint8_t max_edits;      /* fuzzy: 0 to 2 */
    uint32_t prefix_length; /* fuzzy: code points that must be equal */
    bool no_transpositions; /* fuzzy: a swap counts as two edits */
} qd_node_pattern;

/* What an interval of a document has to do with that of the query. */
typedef enum qd_interval_relation {
    QD_INTERVAL_INTERSECTS,
    QD_INTERVAL_CONTAINS, /* it holds the query's */
    QD_INTERVAL_WITHIN,   /* it lies in the query's */
} qd_interval_relation;

/*
 * Looks at the values of the documents that other clauses leave: beside them in a bool it confirms
 * what they only narrow. The field has an ORDINAL column; one of the three is the test.
 */
typedef struct qd_node_check {
    qd_str field;
    const qd_node_pattern *pattern; /* by its automaton; scores and rewrites do not count */
    const qd_node_range *terms;     /* of QD_RANGE_TERM */
    /* Of values that are intervals: two ends of equal length side by side, in byte order. */
    qd_interval_relation relation;
    qd_str lo, hi; /* p NULL: not of intervals */
    /* Where each document has one value at most the clauses beside it decide: all pass. */
    bool exact_alone;
} qd_node_check;

typedef enum qd_node_shape { QD_SHAPE_CIRCLE, QD_SHAPE_BOX, QD_SHAPE_POLYGON } qd_node_shape;

/*
 * A shape on the earth; looks at the points (base/geo.h) of the documents that other clauses leave.
 * The field has an I64 column.
 */
typedef struct qd_node_geo {
    qd_str field;
    qd_node_shape shape;
    int32_t lat[2]; /* cells of all its latitudes, inclusive */
    int32_t lon[2]; /* BOX: of its longitudes; the first above the second: over the date line */
    qd_geo center;  /* CIRCLE */
    double meters;  /* CIRCLE: the greatest distance from it, on a plane or over the sphere */
    bool plane;
    const qd_geo *corners; /* POLYGON: straight lines in degrees, the last one to the first */
    uint32_t n;
} qd_node_geo;

/* The child's documents; a script scores them, or says which of them match (filter). */
typedef struct qd_node_script {
    const qd_node *child;              /* first, where u.child is */
    const struct qd_script_bind *bind; /* script.h */
    bool filter, has_min;
    float min_score;
} qd_node_script;

typedef enum qd_score_mode {
    QD_SCORE_FIRST,
    QD_SCORE_AVG,
    QD_SCORE_MAX,
    QD_SCORE_SUM,
    QD_SCORE_MIN,
    QD_SCORE_MULTIPLY,
} qd_score_mode;
typedef enum qd_boost_mode {
    QD_BOOST_MULTIPLY,
    QD_BOOST_REPLACE,
    QD_BOOST_SUM,
    QD_BOOST_AVG,
    QD_BOOST_MIN,
    QD_BOOST_MAX,
} qd_boost_mode;

/* A function of function_score: its weight alone, times that of a script, or a random number. */
typedef struct qd_score_function {
    const qd_node *filter; /* NULL: of all documents */
    float weight;
    const struct qd_script_bind *bind; /* NULL: none */
    bool random, by_seq_no;
    uint64_t seed;
} qd_score_function;

typedef struct qd_node_function_score {
    const qd_score_function *functions;
    uint32_t n;
    qd_score_mode score_mode;
    qd_boost_mode boost_mode;
    float max_boost, min_score;
    bool has_min;
} qd_node_function_score;
typedef struct qd_node_functions {
    const qd_node *child; /* first, where u.child is */
    const qd_node_function_score *of;
} qd_node_functions;

typedef struct qd_node_ids {
    const qd_str *ids;
    uint32_t n;
} qd_node_ids;

/* Documents of segment number `leaf` of the searcher as a bitmap of its documents: bit d of word
 * d / 64; NULL: none. Owned by the provider for as long as the plan lives. */
typedef struct qd_node_doc_set {
    const uint64_t *(*bits)(void *arg, uint32_t leaf, uint32_t docs);
    void *arg;
} qd_node_doc_set;

/* Documents whose vectors are nearest to one, over all segments of a searcher. */
typedef struct qd_node_knn {
    const qd_node *filter; /* only documents that it matches are looked at; NULL: all */
    qd_str field;
    const struct qd_vector_field *vectors; /* of the mapping */
    const void *row; /* of the query, as the field's rows are, zeros behind it (QD_VEC_LANES) */
    /* npaths, outer first: from the documents to the nested ones that have the vectors: a document
     * has the score of its nearest one, and filter is of the documents; 0: the documents have them
     */
    const qd_str *paths;
    uint32_t npaths;
    uint32_t k; /* best by score, ties to the lower document; 0: all */
    /* Where a segment has codes or a graph: how many it finds by them, and of how many of these the
     * vectors are looked at. They do not follow k, which may be less in a second round. */
    uint32_t candidates, rescored;
    bool has_min; /* and scores at least min_score, before the boost */
    float min_score;
    struct qd_knn_memo *memo; /* NULL: none */
} qd_node_knn;
/* What one plan has found, for the later ones of the same searcher and arena. One thread at a time.
 */
typedef struct qd_knn_memo {
    const void *found; /* NULL: nothing yet */
} qd_knn_memo;

/*
 * An operator that could not be rewritten (rule 13 of the engine): search opens its iterator on
 * each segment, reads blocks of documents and takes part in pruning by its max_score.
 */
typedef struct qd_node_custom {
    const qd_operator_vtable *vt; /* with QD_OPERATOR_ITERATES */
    const qd_query_ctx *ctx;
    const void *query;               /* what its parse made */
    struct qd_operator_scope *scope; /* what its calls work with (scope.h); NULL: they return */
    uint64_t cost;                   /* estimate of documents over all segments; 0: unknown */
    qd_str field;                    /* of terms */
    const qd_str *terms;             /* whose statistics it asks for */
    const qd_node *const *children;  /* that it iterates */
    uint32_t nterms, nchildren;
} qd_node_custom;

struct qd_node {
    qd_node_kind kind;
    float boost; /* factor of all scores below; 1 by default */
    qd_str name; /* _name for matched_queries; n 0: none */
    union {
        qd_node_term term;
        qd_node_synonym synonym;
        qd_node_phrase phrase;
        qd_node_source_phrase source_phrase;
        const struct qd_node_prox *prox; /* prox.h */
        const struct qd_node_mlt *mlt;   /* mlt.h */
        qd_node_bool boolean;
        qd_node_dis_max dis_max;
        qd_node_nested nested;
        qd_node_join join;
        const qd_node *child; /* CONSTANT, BOOST */
        qd_node_term_set term_set;
        qd_node_range range;
        qd_node_pattern pattern;
        qd_node_check check;
        const qd_node_geo *geo;
        qd_str exists; /* field */
        qd_node_script script;
        qd_node_functions functions;
        qd_node_ids ids;
        qd_node_doc_set doc_set;
        qd_node_knn knn;
        qd_node_custom custom;
    } u;
};

/* May a user give this factor of scores? Not below 0, infinite or no number (Lucene's BoostQuery).
 */
static inline bool qd_boost_valid(float boost)
{
    return boost >= 0 && boost <= FLT_MAX;
}

#define QD_NODE_DEPTH_MAX 64u /* nesting; deeper trees are refused by the planner (QD_E_LIMIT) */

/* A list of nodes within a node. */
typedef struct qd_node_list {
    const qd_node *const *nodes;
    uint32_t n;
    bool excluded; /* what they match is not to match, or is other documents */
} qd_node_list;
#define QD_NODE_LISTS_MAX 4u
/* The clauses of a bool; NULL when the node is none. [any] */
const qd_node_bool *qd_node_clauses(const qd_node *n);
/* The pattern, the range of terms, the term that a node is; NULL when it is none. [any] */
const qd_node_pattern *qd_node_pattern_of(const qd_node *n);
/* See above. */
const qd_node_range *qd_node_term_range_of(const qd_node *n);
/* See above. */
const qd_node_term *qd_node_term_of(const qd_node *n);
/* Does it match nothing whatever the documents are? [any] */
bool qd_node_is_none(const qd_node *n);
/* What a CONSTANT is of; the node itself when it is none. [any] */
const qd_node *qd_node_unwrapped(const qd_node *n);
/* The search for nearest vectors; NULL when the node is none. [any] */
const qd_node_knn *qd_node_nearest(const qd_node *n);
/* The lists that a node holds, in the order of the query, into out (QD_NODE_LISTS_MAX); returns how
 * many: 0 of a leaf. [any] */
uint32_t qd_node_lists(const qd_node *n, qd_node_list *out);

/* A node of this kind in the arena, boost 1, the rest zero; NULL when out of memory. [any] */
QD_MUST_CHECK
qd_node *qd_node_make(qd_arena *arena, qd_node_kind kind);
/* A term node; field and term are borrowed (they live as long as the tree). [any] */
QD_MUST_CHECK
qd_node *qd_node_term_make(qd_arena *arena, qd_str field, qd_str term);
/* A bool node with room for so many children, whose arrays the caller fills through the returned
 * writable pointers (any may be NULL when its count is 0). [any] */
QD_MUST_CHECK
qd_node *qd_node_bool_make(qd_arena *arena, uint32_t nmust, uint32_t nshould, uint32_t nfilter,
                           uint32_t nmust_not, const qd_node ***must, const qd_node ***should,
                           const qd_node ***filter, const qd_node ***must_not);

#endif
