/*
 * collect.h: who receives matching documents: batches of one segment's documents in ascending
 * order, with scores if asked for. Aggregations, sorts and counters are collectors.
 *
 * Order of calls: for each segment in order plan, (ranges are fetched), begin, collect..., end. A
 * collector is embedded by its owner as first member and used by one thread.
 */
#ifndef QD_SEARCH_COLLECT_H
#define QD_SEARCH_COLLECT_H

#include "search/searcher.h"
#include "store/reads.h"

#define QD_COLLECT_BATCH 4096u /* documents in a batch at most */

/* Flags of a collector. */
enum {
    QD_COLLECT_SCORES = 1u << 0, /* batches carry scores */
    QD_COLLECT_BITS = 1u << 1    /* bits are enough: docs may be NULL in batches without scores */
};

/* Matching, live documents of one leaf. */
typedef struct qd_hits {
    const qd_leaf *leaf;
    const uint32_t *docs; /* local, ascending; NULL only for QD_COLLECT_BITS */
    const float *scores;  /* NULL unless asked for */
    uint32_t n;           /* 1 to QD_COLLECT_BATCH */
    /* The same documents as a bitmap of `words` words: bit i is document from + i, from a multiple
     * of 64. NULL: not at hand. */
    const uint64_t *bits;
    uint32_t from, words;
} qd_hits;

/* Results of collect other than 0 and errors. */
enum {
    QD_COLLECT_LEAF_DONE = 1, /* nothing more of this segment is wanted */
    QD_COLLECT_ALL_DONE = 2   /* nothing more at all (terminate_after) */
};

typedef struct qd_collector qd_collector;

struct qd_points; /* segment/points.h */

/* The order in which a collector would like documents of a leaf, best first. */
typedef struct qd_collect_order {
    const struct qd_points *points; /* the key's values; each document's key is one of its own */
    bool descending;
    bool natural;   /* the key is the document's first value in this order */
    bool has_start; /* nothing before start (in this order) is wanted */
    int64_t start;
    uint32_t k; /* hits that are wanted */
} qd_collect_order;

/* What a collector that keeps the best by a key can tell; hits may then come to it in any order,
 * each once, and those it does not want not at all. */
typedef struct qd_collect_order_vt {
    /* Asked behind begin: does this leaf have such an order? */
    bool (*get)(qd_collector *c, const qd_leaf *leaf, qd_collect_order *out);
    /* Need hits that are not kept be collected, for their number? */
    bool (*settled)(const qd_collector *c);
    /* The leaf has n hits: collect need not count them. */
    void (*counted)(qd_collector *c, uint64_t n);
    /* Can a document with this key be kept? later: it comes behind all collected ones of its key.
     */
    bool (*wanted)(const qd_collector *c, int64_t key, bool later);
    /* Can one without a value be? */
    bool (*wanted_absent)(const qd_collector *c);
    /* Can one of documents [from, to) of a window be? later: none behind them was collected. */
    bool (*wanted_window)(const qd_collector *c, uint32_t from, uint32_t to, bool later);
    /* Does the window of document `last` have better ones than the window of `first`, as far as it
     * knows? */
    bool (*better_last)(const qd_collector *c, uint32_t first, uint32_t last);
    /* Clears bits of documents of the window [from, to) that cannot be kept, as far as it knows. */
    int (*narrow)(qd_collector *c, uint32_t from, uint32_t to, uint64_t *bits, qd_err *err);
} qd_collect_order_vt;

typedef struct qd_collector_vt {
    /* Names the byte ranges that the collector will read in this leaf; may be NULL. */
    int (*plan)(qd_collector *c, const qd_leaf *leaf, qd_reads *reads, qd_err *err);
    /* The ranges are pinned; documents of this leaf follow. May be NULL. QD_COLLECT_LEAF_DONE: skip
     * this leaf. */
    int (*begin)(qd_collector *c, const qd_leaf *leaf, qd_reads *reads, qd_err *err);
    /* One batch. 0, QD_COLLECT_..._DONE or a negative code. */
    int (*collect)(qd_collector *c, const qd_hits *hits, qd_err *err);
    /* No more documents of this leaf; may be NULL. */
    int (*end)(qd_collector *c, const qd_leaf *leaf, qd_err *err);
    /* Documents scoring less than this need not be collected any more; may be NULL (all do). */
    float (*threshold)(qd_collector *c);
    /* NULL: every hit is wanted, in ascending order of documents. */
    const qd_collect_order_vt *order;
} qd_collector_vt;

struct qd_collector {
    const qd_collector_vt *vt;
    uint32_t flags; /* QD_COLLECT_ */
};

/* Counts documents, and ends the search after `stop_at` of them (0: never). */
typedef struct qd_count_collector {
    qd_collector c;
    uint64_t n, stop_at;
} qd_count_collector;
/* Prepares a counter. [any] */
void qd_count_collector_init(qd_count_collector *c, uint64_t stop_at);

/* Feeds several collectors; asks for scores if one of them does and prunes only if all allow it. */
#define QD_MULTI_COLLECTOR_MAX 16
typedef struct qd_multi_collector {
    qd_collector c;
    qd_collector *at[QD_MULTI_COLLECTOR_MAX];
    uint8_t state[QD_MULTI_COLLECTOR_MAX]; /* 0, LEAF_DONE or ALL_DONE of each */
    uint32_t n;
} qd_multi_collector;
/* Prepares a collector over n others, which outlive it. [any] */
void qd_multi_collector_init(qd_multi_collector *c, qd_collector *const *at, uint32_t n);

/* Hands on only documents scoring at least min_score, with their scores. */
typedef struct qd_min_score_collector {
    qd_collector c;
    qd_collector *inner;
    float min_score;
    uint32_t docs[QD_COLLECT_BATCH];
    float scores[QD_COLLECT_BATCH];
} qd_min_score_collector;
/* Prepares the filter before inner, which outlives it. [any] */
void qd_min_score_collector_init(qd_min_score_collector *c, qd_collector *inner, float min_score);

#endif
