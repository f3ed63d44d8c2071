/*
 * plan.h: a tree of query nodes compiled for a searcher, and the ways to run it.
 *
 * Making a plan looks up terms in all segments, sums statistics, computes weights (BM25 in Lucene's
 * float order) and expands patterns. Running goes segment by segment: ranges are planned, fetched
 * and pinned, then a kernel or the window executor reads them. A plan lives in the arena given,
 * keeps a reference of its searcher until the arena is reset, and is used by one thread at a time;
 * it may be run several times.
 */
#ifndef QD_SEARCH_PLAN_H
#define QD_SEARCH_PLAN_H

#include "mapping/similarity.h"
#include "query/node.h"
#include "runtime/task.h"
#include "search/collect/collect.h"
#include "search/searcher.h"

typedef struct qd_plan qd_plan;

/* Elasticsearch's default: k1 1.2, b 0.75, factor 2.2. */
extern const qd_similarity qd_similarity_es;
/* Lucene's: factor 1. */
extern const qd_similarity qd_similarity_lucene;

/* What the plans of one search on one shard may spend on walks over dictionaries, in terms looked
 * at (segment/terms.h says what a walk costs), beyond eight walks over each dictionary of the
 * shard. One thread at a time. */
typedef struct qd_term_budget {
    uint64_t limit; /* search.max_pattern_terms; UINT64_MAX: none */
    uint64_t spent;
    uint64_t walks; /* what eight walks cost; 0: not known yet */
} qd_term_budget;

typedef struct qd_plan_options {
    const qd_similarity *similarity; /* NULL: qd_similarity_es */
    /* A field's own similarity; NULL or a NULL result: the default above, whose factor is that of
     * all BM25: k1 + 1 or none. */
    const qd_similarity *(*similarity_of)(void *arg, qd_str field);
    void *similarity_arg;
    const qd_node_global_stats *stats; /* NULL: the searcher's own */
    uint32_t max_clauses;   /* terms that scored patterns and ends of phrases may become; 0: 1024 */
    qd_term_budget *budget; /* outlives the plan; NULL: none */
    struct qd_task *task;   /* cancellation and deadline; may be NULL */
    bool no_scores;         /* nobody will ask for scores */
    uint32_t depth;         /* of the node of another plan that this one is made for */
    qd_account *account;    /* scratch of the runs; NULL: the arena's */
} qd_plan_options;

/* Compiles root. The tree, options' members and arena outlive the plan. [worker] QD_E_LIMIT (too
 * deep, too many clauses: QD_E_TOO_MANY_CLAUSES, automaton too large: QD_E_TOO_COMPLEX), QD_E_ARG
 * (also when run: the budget of terms is spent), QD_E_CORRUPT, QD_E_IO, QD_E_NOMEM, QD_E_BREAKER.
 */
QD_MUST_CHECK
int qd_plan_make(qd_searcher *s, const qd_node *root, const qd_plan_options *options,
                 qd_arena *arena, qd_plan **out, qd_err *err);
/* Does text match the pattern? For fields that have one value (qd_query_context.matches). Errors as
 * those of the pattern's automaton. [worker] */
QD_MUST_CHECK
int qd_pattern_matches(const qd_node_pattern *p, qd_str text, qd_account *account, bool *yes,
                       qd_err *err);

/* Can nothing match (known without reading postings)? [any] */
bool qd_plan_is_empty(const qd_plan *p);
/* Do all documents match (known likewise)? [any] */
bool qd_plan_is_everything(const qd_plan *p);

/* Hits counted exactly, however many. */
#define QD_TOTAL_EXACT UINT64_MAX

/* Strategies that tests may force; ranked shapes only. */
typedef enum qd_strategy {
    QD_STRATEGY_AUTO = 0,
    QD_STRATEGY_WINDOWS, /* the executor of all trees */
    QD_STRATEGY_KERNEL_EXHAUSTIVE,
    QD_STRATEGY_KERNEL_RANGES,
    QD_STRATEGY_KERNEL_CANDIDATES
} qd_strategy;

typedef struct qd_top_options {
    uint32_t k;
    uint64_t total;  /* track_total_hits: 0: not counted, QD_TOTAL_EXACT, or exact up to N */
    float min_score; /* 0: none */
    bool has_after;  /* only documents behind (after_score, after_doc) in the order */
    float after_score;
    uint32_t after_doc;       /* global */
    uint64_t terminate_after; /* documents collected a shard; 0: all */
    qd_strategy strategy;
} qd_top_options;

typedef struct qd_top_hit {
    uint32_t doc; /* global */
    float score;
} qd_top_hit;

typedef struct qd_top_result {
    qd_top_hit *hits; /* best first; in the plan's arena */
    uint32_t n;
    uint64_t total;         /* hits counted */
    bool total_lower_bound; /* there may be more ("gte") */
    bool timed_out;         /* the task's deadline passed: what is here is partial */
    bool terminated_early;
    const char *strategy; /* what ran in the largest segment, for profile and tests; static */
} qd_top_result;

/* The best k by score. A passed deadline gives the partial result with timed_out; a cancelled task
 * QD_E_CANCELLED. [worker] */
QD_MUST_CHECK
int qd_plan_top(qd_plan *p, const qd_top_options *o, qd_top_result *out, qd_err *err);
/* Counts matching live documents; stops at limit or a little later (0: none). [worker] */
QD_MUST_CHECK
int qd_plan_count(qd_plan *p, uint64_t limit, uint64_t *count, qd_err *err);

typedef struct qd_collect_result {
    bool timed_out, terminated_early;
} qd_collect_result;

/* Feeds a collector with all matches, segment by segment in order. post_filter (may be NULL,
 * planned for the same searcher) narrows what the collector gets. [worker] */
QD_MUST_CHECK
int qd_plan_collect(qd_plan *p, qd_plan *post_filter, qd_collector *c, qd_collect_result *out,
                    qd_err *err);

/* Which of n ascending global documents match: bit i of *matches (n bits), and their scores unless
 * scores is NULL. For matched_queries, rescoring and percolation of single hits. [worker] */
QD_MUST_CHECK
int qd_plan_test(qd_plan *p, const uint32_t *docs, uint32_t n, uint64_t *matches, float *scores,
                 qd_err *err);

/* Terms that the tree scores, for the first phase of dfs_query_then_fetch: called once for each
 * distinct (field, term) with its statistics here. [worker] */
QD_MUST_CHECK
int qd_plan_terms(qd_plan *p,
                  int (*each)(void *arg, qd_str field, qd_str term, const qd_node_stats *stats),
                  void *arg, qd_err *err);

#ifdef QD_RESCORE
/* Builds that work out each answer again without pruning and abort where it differs: false for
 * tests of damaged segments, whose bounds may be wrong. Set it before any search. */
extern bool qd_plan_rescores;
#endif

#endif
