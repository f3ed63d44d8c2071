/*
 * operator.h: the operator kind, version 0.1: a query of the query DSL, {"<name>": {...}}.
 *
 *   parse    reads the JSON object behind the name, once a request
 *   rewrite  turns it into a tree of native nodes: plain data that the planner fuses into its own
 *            kernels. Almost every operator ends here.
 *   open_iter, next_block (which advances too), max_score: only for what cannot be said in native
 * nodes; called per segment for blocks of documents, never for one document at a time.
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

#ifdef __cplusplus
extern "C" {
#endif

/* qd_vtable.flags */
enum {
    QD_OPERATOR_REWRITES = 1,  /* rewrite is there */
    QD_OPERATOR_ITERATES = 2,  /* open_iter, next_block, close_iter are there */
    QD_OPERATOR_SCORES = 4,    /* scores differ from document to document */
    QD_OPERATOR_MAX_SCORE = 8, /* max_score is there: takes part in pruning */
    QD_OPERATOR_CACHEABLE = 16 /* same JSON, same segment: same documents */
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
    QD_NODE_SELF      /* this operator's own iterator */
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
    const void *self; /* SELF: what parse made */
} qd_query_node;

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
} qd_query_ctx;

/* A segment as an iterating operator sees it: columns and terms in blocks. Documents are numbered
 * from 0; deleted ones are left out by the host afterwards. Functions return 0 or an error. */
typedef struct qd_segment_postings qd_segment_postings;
typedef struct qd_segment_view {
    uint32_t struct_size, max_doc;
    void *host;
    qd_arena *arena; /* as long as the iterator */
    /* out[i] = value of docs[i], ascending, in a numeric, date or boolean field (doubles as their
     * bits); has[i] = 1 when there is one; the smallest of several. QD_E_ARG: a field of another
     * type, or none. */
    int32_t (*i64)(const struct qd_segment_view *, qd_str field, const uint32_t *docs, uint32_t n,
                   int64_t *out, uint8_t *has, qd_err *);
    /* Documents of a term, in order. NOTFOUND: none has it. */
    int32_t (*postings)(const struct qd_segment_view *, qd_str field, qd_str term,
                        qd_segment_postings **out, uint32_t *doc_freq, qd_err *);
    /* Next up to cap documents >= from (and their frequencies, freqs may be NULL); *n 0: the end.
     */
    int32_t (*postings_next)(qd_segment_postings *, uint32_t from, uint32_t cap, uint32_t *docs,
                             uint32_t *freqs, uint32_t *n, qd_err *);
} qd_segment_view;

#define QD_OPERATOR_BLOCK 128 /* documents in a block at most */
/* A block of matches in ascending order. scores only when asked for; negative ones count as 0, one
 * that is no number fails the search. */
typedef struct qd_doc_block {
    uint32_t struct_size, n; /* n 0: the end */
    uint32_t docs[QD_OPERATOR_BLOCK];
    float scores[QD_OPERATOR_BLOCK];
} qd_doc_block;

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
     * wanted and may be left out. from never goes back. [worker] */
    int32_t (*next_block)(qd_operator_iter *, uint32_t from, float min_score, qd_doc_block *out,
                          qd_err *);
    /* MAX_SCORE: no score in [from, to) is above the result. [worker] */
    float (*max_score)(qd_operator_iter *, uint32_t from, uint32_t to);
    void (*close_iter)(qd_operator_iter *);
} qd_operator_vtable;

#ifdef __cplusplus
}
#endif
#endif
