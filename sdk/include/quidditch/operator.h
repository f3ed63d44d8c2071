/*
 * operator.h: the operator kind, version 0.2: a query of the query DSL, {"<name>": {...}}.
 *
 *   parse    reads the JSON object behind the name, once a request
 *   rewrite  turns it into a tree of native nodes: plain data that the planner fuses into its own
 *            kernels. Almost every operator ends here.
 *   open_iter, next_block (which advances too), max_score: only for what cannot be said in native
 * nodes; called per segment for blocks of documents, never for one document at a time. Where a
 * match is costly to decide, next_block gives candidates and match_block decides (TWO_PHASE).
 *
 * The host does `boost` and `_name`, as in every query: parse does not see these two members of the
 * object. The host explains scores, too; explain adds how a score came about.
 *
 * Every call runs on a thread of the host's while its search waits: a call that takes longer than
 * plugins.call_timeout, or than the search's own time, is left. What it was given stays until it
 * returns; functions of context and view fail from then on, and close_iter follows.
 *
 * A parsed operator is immutable and used by many threads. All memory of parse and rewrite comes
 * from the context's arena, which lives as long as the request.
 */
#ifndef QUIDDITCH_OPERATOR_H
#define QUIDDITCH_OPERATOR_H

#include <quidditch/abi.h>
#include <quidditch/field.h>

#ifdef __cplusplus
extern "C" {
#endif

/* qd_vtable.flags */
enum {
    QD_OPERATOR_REWRITES = 1,   /* rewrite is there */
    QD_OPERATOR_ITERATES = 2,   /* open_iter, next_block, close_iter are there */
    QD_OPERATOR_SCORES = 4,     /* scores differ from document to document */
    QD_OPERATOR_MAX_SCORE = 8,  /* max_score is there: takes part in pruning */
    QD_OPERATOR_CACHEABLE = 16, /* same JSON, same segment: same documents */
    QD_OPERATOR_TWO_PHASE = 32, /* match_block is there: next_block gives candidates */
    QD_OPERATOR_EXPLAINS = 64   /* explain is there */
};

/* Kinds of native nodes, and the members of qd_query_node that they use. */
enum {
    QD_NODE_ALL = 1, /* every document, score 1 */
    QD_NODE_NONE,
    QD_NODE_TERM,     /* field, text: the exact indexed term (numbers, dates as written) */
    QD_NODE_TERMS,    /* field, texts: any of them, score 1 */
    QD_NODE_SYNONYM,  /* field, texts: one pseudo-term of summed frequency */
    QD_NODE_MATCH,    /* field, text: analysed by the field's search analyzer; minimum, flag
                         QD_NODE_AND */
    QD_NODE_PHRASE,   /* field, texts + positions, slop */
    QD_NODE_RANGE,    /* field, lo, hi, flags QD_NODE_LO_OPEN ... */
    QD_NODE_PREFIX,   /* field, text */
    QD_NODE_WILDCARD, /* field, text with * and ? */
    QD_NODE_REGEXP,   /* field, text in Lucene's syntax */
    QD_NODE_FUZZY,    /* field, text, edits, prefix_len */
    QD_NODE_EXISTS,   /* field */
    QD_NODE_IDS,      /* texts */
    QD_NODE_BOOL,     /* children with occur; minimum of the SHOULD ones */
    QD_NODE_DIS_MAX,  /* children; tie */
    QD_NODE_CONSTANT, /* one child: score = boost */
    QD_NODE_QUERY,    /* text: query DSL as JSON, parsed as if written there */
    QD_NODE_SELF,     /* this operator's own iterator; field, texts: indexed terms whose statistics
                         it asks for (dfs_query_then_fetch gathers them); children: what it iterates
                         by child_open */
    QD_NODE_SUBQUERY  /* self: a query that parse met, as `subquery` gave it */
};
enum { QD_OCCUR_MUST = 1, QD_OCCUR_FILTER, QD_OCCUR_SHOULD, QD_OCCUR_MUST_NOT };
enum {
    QD_NODE_LO_OPEN = 1, /* lo is excluded */
    QD_NODE_HI_OPEN = 2,
    QD_NODE_LO_NONE = 4, /* no lower bound */
    QD_NODE_HI_NONE = 8,
    QD_NODE_AND = 16,    /* MATCH: all terms */
    QD_NODE_NO_CASE = 32 /* PREFIX, WILDCARD, REGEXP, TERM: ASCII case ignored */
};
/* A node; zero what is not used. Everything lives in the arena. */
typedef struct qd_query_node {
    uint32_t struct_size, type;
    uint32_t flags, occur;     /* occur: in the parent BOOL */
    float boost, tie;          /* boost 1 is neutral; must not be 0 by accident */
    int32_t minimum, slop;     /* minimum_should_match; 0: default */
    int32_t edits, prefix_len; /* edits -1: AUTO */
    qd_str field, text, lo, hi;
    const qd_str *texts;
    const int32_t *positions; /* of texts; NULL: 0, 1, 2 ... */
    struct qd_query_node *const *children;
    uint32_t ntexts, nchildren;
    const void *self; /* SELF: what parse made; SUBQUERY */
} qd_query_node;

/* A query within the operator's JSON. */
typedef struct qd_subquery qd_subquery;

/* A word of a text as a field's search analyzer gives it. */
typedef struct qd_query_token {
    qd_str term;
    uint32_t position, length; /* length: positions that it spans */
} qd_query_token;
#define QD_QUERY_TOKENS_MAX 1024 /* tokens of a text */

/* Where a query runs; keep while the operator does. */
typedef struct qd_query_ctx {
    uint32_t struct_size, reserved;
    qd_self *self;
    qd_arena *arena;
    const qd_task *task;
    qd_str index;
    int64_t now_ms; /* wall clock of the request, the same on all shards */
    /* Type of a field in the mapping ("text", "long", ...); empty: unmapped. */
    qd_str (*field_type)(const struct qd_query_ctx *, qd_str field);
    /* In parse: takes the query that is the reader's next value, {"match": {...}}, and leaves the
     * reader behind it. *out: keep; rewrite puts it into the tree as SUBQUERY. The host reads the
     * query when parse has returned, and answers with what is wrong with it. At most 64 in an
     * operator: QD_E_LIMIT. */
    int32_t (*subquery)(const struct qd_query_ctx *, qd_json_in *, const qd_subquery **out,
                        qd_err *);
    /* In rewrite: the words of a text as `match` takes them, in the arena; the text itself where
     * the field has no analyzer, none where it is unmapped. More than QD_QUERY_TOKENS_MAX:
     * QD_E_LIMIT. In parse, which knows no mapping: QD_E_STATE. */
    int32_t (*analyze)(const struct qd_query_ctx *, qd_str field, qd_str text,
                       const qd_query_token **out, uint32_t *n, qd_err *);
} qd_query_ctx;

/* What BM25 wants to know of a field over all segments of the shard, deleted documents included,
 * and the parameters of its similarity: score = w - w / (1 + freq / (k1 * (1 - b + b * length /
 * average))), w = factor * idf. */
typedef struct qd_field_stats {
    uint64_t doc_count;           /* documents that have the field */
    uint64_t sum_doc_freq;        /* postings */
    uint64_t sum_total_term_freq; /* words */
    float k1, b, factor;
    uint32_t reserved;
} qd_field_stats;

/* The same of a term: over the shard or, with dfs_query_then_fetch and a term that SELF names, over
 * all shards. These are the numbers that native nodes score with. */
typedef struct qd_term_stats {
    uint64_t doc_freq, total_term_freq;      /* of the term */
    uint64_t doc_count, sum_total_term_freq; /* of its field */
} qd_term_stats;

enum {
    QD_POSTINGS_FREQS = 1,    /* frequencies; each is 1 where they are not asked for */
    QD_POSTINGS_POSITIONS = 2 /* positions, and frequencies */
};

#define QD_OPERATOR_BLOCK 128 /* documents in a block at most */
/* A block of matches in ascending order. scores only when asked for; negative ones count as 0. A
 * document that is out of order or not in the segment, a score that is no finite number or above
 * what max_score says fails the search, with the name of operator, plugin and call. */
typedef struct qd_doc_block {
    uint32_t struct_size, n; /* n 0: the end */
    uint32_t docs[QD_OPERATOR_BLOCK];
    float scores[QD_OPERATOR_BLOCK];
} qd_doc_block;

/* A segment as an iterating operator sees it: columns and terms in blocks. Documents are numbered
 * from 0; deleted ones are left out by the host afterwards. Functions return 0 or an error, and are
 * called from calls of the iterator alone.
 *
 * Lists of several values a document: docs are n ascending documents, the values of docs[i] are
 * out[first[i]] to out[first[i + 1] - 1] in ascending order; first has room for n + 1. out has room
 * for cap; *done documents were looked at, fewer than n where the next one's values find no room.
 * QD_E_LIMIT: those of docs[0] alone are more than cap. */
typedef struct qd_segment_postings qd_segment_postings;
typedef struct qd_segment_child qd_segment_child;
typedef struct qd_segment_view {
    uint32_t struct_size, max_doc;
    void *host;
    qd_arena *arena; /* as long as the iterator */
    /* out[i] = value of docs[i], ascending, in a numeric, date or boolean field (floats of any size
     * as the bits of a double, scaled_float as the number times its factor); has[i] = 1 when there
     * is one; the smallest of several. QD_E_ARG: a field of another type, or none. */
    int32_t (*i64)(const struct qd_segment_view *, qd_str field, const uint32_t *docs, uint32_t n,
                   int64_t *out, uint8_t *has, qd_err *);
    /* Documents and frequencies of a term, in order. NOTFOUND: none has it. */
    int32_t (*postings)(const struct qd_segment_view *, qd_str field, qd_str term,
                        qd_segment_postings **out, uint32_t *doc_freq, qd_err *);
    /* Next up to cap documents >= from (and their frequencies, freqs may be NULL); *n 0: the end.
     */
    int32_t (*postings_next)(qd_segment_postings *, uint32_t from, uint32_t cap, uint32_t *docs,
                             uint32_t *freqs, uint32_t *n, qd_err *);
    /* Statistics; zeros of what is not there. */
    int32_t (*field_stats)(const struct qd_segment_view *, qd_str field, qd_field_stats *out,
                           qd_err *);
    int32_t (*term_stats)(const struct qd_segment_view *, qd_str field, qd_str term,
                          qd_term_stats *out, qd_err *);
    /* *out: a byte a document (max_doc of them, as long as the iterator) that stands for the
     * field's length, 0 where the document lacks the field. NULL: the field has no norms here, each
     * counts as 1. */
    int32_t (*norms)(const struct qd_segment_view *, qd_str field, const uint8_t **out, qd_err *);
    const uint32_t *norm_lengths; /* words, by norm byte: 256 */
    /* As postings, with what is asked for (QD_POSTINGS_...). QD_E_ARG: the field lacks positions.
     */
    int32_t (*postings_open)(const struct qd_segment_view *, qd_str field, qd_str term,
                             uint32_t want, qd_segment_postings **out, uint32_t *doc_freq,
                             qd_err *);
    /* The positions of the term in each of n documents: a list as above, empty of documents that
     * lack the term. Goes its own way, wherever postings_next stands. */
    int32_t (*positions)(qd_segment_postings *, const uint32_t *docs, uint32_t n, uint32_t cap,
                         uint32_t *first, uint32_t *out, uint32_t *done, qd_err *);
    /* As i64, all values: a list as above. */
    int32_t (*i64_all)(const struct qd_segment_view *, qd_str field, const uint32_t *docs,
                       uint32_t n, uint32_t cap, uint32_t *first, int64_t *out, uint32_t *done,
                       qd_err *);
    /* Keyword and ip fields: the numbers of their strings in this segment's dictionary, in byte
     * order from 0: a list as above. QD_E_ARG: a field of another type, or none. */
    int32_t (*ordinals)(const struct qd_segment_view *, qd_str field, const uint32_t *docs,
                        uint32_t n, uint32_t cap, uint32_t *first, uint32_t *out, uint32_t *done,
                        qd_err *);
    /* Strings in the dictionary. */
    int32_t (*ordinal_count)(const struct qd_segment_view *, qd_str field, uint32_t *out, qd_err *);
    /* The least number whose string is key or behind it, ordinal_count when none is; *found 1: it
     * is key. */
    int32_t (*ordinal_find)(const struct qd_segment_view *, qd_str field, qd_str key, uint32_t *out,
                            int32_t *found, qd_err *);
    /* The strings of n ascending numbers, in the iterator's arena. */
    int32_t (*ordinal_strings)(const struct qd_segment_view *, qd_str field, const uint32_t *ords,
                               uint32_t n, qd_str *out, qd_err *);
    /* The strings of documents, in the iterator's arena: a list as above. */
    int32_t (*strings)(const struct qd_segment_view *, qd_str field, const uint32_t *docs,
                       uint32_t n, uint32_t cap, uint32_t *first, qd_str *out, uint32_t *done,
                       qd_err *);
    /* The matches of a child of SELF, by its place among the children; open_iter opens it, later
     * calls read it. QD_E_ARG: there is no such child. */
    int32_t (*child_open)(const struct qd_segment_view *, uint32_t child, qd_segment_child **out,
                          qd_err *);
    /* The next matches from `from` on, with scores where open_iter was asked for them; n 0: the
     * end. QD_E_STATE in open_iter. */
    int32_t (*child_next)(qd_segment_child *, uint32_t from, qd_doc_block *out, qd_err *);
    /* No score of the child in [from, to) is above the result. */
    float (*child_max_score)(qd_segment_child *, uint32_t from, uint32_t to);
    /* The index part of a field (field.h), opened by the field's type: a reader that only its own
     * plugin understands, and its bytes; both until the iterator is closed. *type: name of the
     * field's type. QD_E_NOTFOUND: the segment has none. */
    int32_t (*part)(const struct qd_segment_view *, qd_str field, qd_str *type,
                    struct qd_part_reader **out, const struct qd_part_bytes **bytes, qd_err *);
} qd_segment_view;

/* Takes the lines of an explanation. */
typedef struct qd_explain_sink {
    uint32_t struct_size, reserved;
    void *host;
    /* A line, before those that it is made of; depth 0 of the first, at most one more than of the
     * line before. count 1: the value is a whole number. At most 1,024 lines: QD_E_LIMIT. */
    int32_t (*line)(const struct qd_explain_sink *, uint32_t depth, double value, int32_t count,
                    qd_str text, qd_err *);
} qd_explain_sink;

typedef struct qd_operator_iter qd_operator_iter; /* defined by the plugin */

typedef struct qd_operator_vtable {
    qd_vtable head;
    /* The reader stands before the value behind the name and must be left behind it. *out: keep.
     * Errors by the json service's fail carry line and column. [any] */
    int32_t (*parse)(const qd_query_ctx *, qd_json_in *, const void **out, qd_err *);
    /* REWRITES: *out a tree of at most 1,024 nodes; SELF only together with ITERATES. [any] */
    int32_t (*rewrite)(const qd_query_ctx *, const void *query, qd_query_node **out, qd_err *);
    /* ITERATES. scores: 1 when wanted. [worker] */
    int32_t (*open_iter)(const qd_query_ctx *, const void *query, const qd_segment_view *,
                         int32_t scores, qd_operator_iter **out, qd_err *);
    /* The next matches from `from` on, at most QD_OPERATOR_BLOCK. min_score: hits below it are not
     * wanted and may be left out. from never goes back. TWO_PHASE: candidates, without scores; a
     * match that is none of them is lost. [worker] */
    int32_t (*next_block)(qd_operator_iter *, uint32_t from, float min_score, qd_doc_block *out,
                          qd_err *);
    /* MAX_SCORE: no score in [from, to) is above the result, wherever next_block stands. [worker]
     */
    float (*max_score)(qd_operator_iter *, uint32_t from, uint32_t to);
    void (*close_iter)(qd_operator_iter *);
    /* TWO_PHASE: leaves in the block those of its documents that match, in their order, with scores
     * where they are wanted. The documents, which are candidates that the rest of the query lets
     * through, ascend from call to call; next_block may be far ahead of them. [worker] */
    int32_t (*match_block)(qd_operator_iter *, float min_score, qd_doc_block *io, qd_err *);
    /* EXPLAINS: how the score of a document came about, without boost. On an iterator that was just
     * opened with scores; the document matches. [worker] */
    int32_t (*explain)(qd_operator_iter *, uint32_t doc, const qd_explain_sink *, qd_err *);
} qd_operator_vtable;

#ifdef __cplusplus
}
#endif
#endif
