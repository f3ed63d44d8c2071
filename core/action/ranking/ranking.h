/*
 * ranking.h: ranked lists of hits that become one: what "retriever", "rank" and the query "hybrid"
 * ask for.
 *
 * A plan is a tree. Its leaves are searches, kept as JSON, which action/search runs on each shard;
 * its inner nodes combine the lists of those below. The leaves of a plan are numbered in the order
 * of the request, so every node that reads the request numbers them alike. Plans live in the arena
 * they are read into, borrow from the request's body, and are immutable [any].
 */
#ifndef QD_ACTION_RANKING_H
#define QD_ACTION_RANKING_H

#include "base/arena.h"
#include "base/err.h"
#include "json/tree.h"
#include "json/writer.h"

#define RANK_LEAVES_MAX 64u
#define RANK_DEPTH_MAX 16u
#define RANK_RESCORES_MAX 32u /* in one request */
#define RANK_WINDOW_STANDARD 10
#define RANK_CONSTANT_STANDARD 60

typedef enum rank_mode {
    RANK_MODE_TOTAL,
    RANK_MODE_MULTIPLY,
    RANK_MODE_AVG,
    RANK_MODE_MAX,
    RANK_MODE_MIN
} rank_mode;

/* A second query that moves the best hits of a first one. */
typedef struct rank_rescore {
    qd_str query; /* JSON */
    int64_t window;
    float weight, query_weight; /* of this query's score, of the score before it */
    rank_mode mode;
} rank_rescore;

typedef struct rank_rescores {
    const rank_rescore *at;
    uint32_t n;
} rank_rescores;

/* A search whose hits are one list. */
typedef struct rank_leaf {
    bool knn;     /* query is an object as the section "knn" takes it */
    qd_str query; /* JSON */
    const qd_json_node *sort, *after, *collapse; /* NULL: none */
    bool has_min_score, scores;                  /* scores: they count, also under a sort */
    float min_score;
    int64_t terminate_after; /* 0: no */
    int64_t window;          /* so many hits; of every shard, where the plan says so */
    rank_rescores rescores;
} rank_leaf;

typedef enum rank_kind {
    RANK_LEAF,
    RANK_RRF,      /* by 1 / (constant + rank) */
    RANK_LINEAR,   /* by the sum of weights * normalized scores */
    RANK_RESCORED, /* one list, its best moved by other queries */
    RANK_COMBINED  /* by a mean of the normalized scores: OpenSearch's */
} rank_kind;

typedef enum rank_norm {
    RANK_NORM_NONE,
    RANK_NORM_MINMAX,
    RANK_NORM_L2,
    RANK_NORM_OS_MINMAX, /* OpenSearch's have other edges */
    RANK_NORM_OS_L2,
    RANK_NORM_OS_ZSCORE
} rank_norm;

typedef enum rank_mean { RANK_MEAN_ARITHMETIC, RANK_MEAN_GEOMETRIC, RANK_MEAN_HARMONIC } rank_mean;

typedef struct rank_node {
    rank_kind kind;
    const char *name; /* of the retriever */
    uint32_t leaf;    /* LEAF: its number */
    const struct rank_node **below;
    uint32_t n;
    const float *weights;   /* by child; NULL: 1 */
    const rank_norm *norms; /* by child; NULL: none. COMBINED: one for all */
    rank_mean mean;
    int64_t window, constant;
    bool has_min_score;
    float min_score;
    rank_rescores rescores;
    uint32_t extra; /* RESCORED: number of its first rescorer among the plan's extra ones */
} rank_node;

/* How the lists of a hybrid query become one. */
typedef struct rank_combine {
    bool ranks; /* by ranks, not by scores */
    int64_t constant;
    rank_norm norm;
    rank_mean mean;
    const float *weights; /* nweights; NULL: all the same */
    uint32_t nweights;
} rank_combine;

typedef struct rank_plan {
    const rank_node *root;
    rank_leaf *leaves;
    uint32_t nleaves;
    /* rescorers of lists that are combined: each shard tells their scores of all its candidates */
    const rank_rescore *extra[RANK_RESCORES_MAX];
    uint32_t nextra;
    bool hybrid;    /* of a hybrid query */
    bool every_hit; /* lists hold the hits of every shard, not so many of all */
} rank_plan;

/* --- reading ---------------------------------------------------------------------------------- */

/* A retriever: an object with one member. QD_E_XCONTENT, QD_E_ARG, QD_E_UNSUPPORTED, QD_E_NOMEM.
 * A plan whose root is a leaf is a search that nothing is combined with. */
QD_MUST_CHECK
int qdi_rank_retriever(qd_arena *a, const qd_json_node *n, rank_plan **out, qd_err *err);
/* "rank" of a search, over a query (n 0: none) and sections knn. */
QD_MUST_CHECK
int qdi_rank_section(qd_arena *a, const qd_json_node *n, qd_str query, const qd_str *knn,
                     uint32_t nknn, rank_plan **out, qd_err *err);
/* The object of a hybrid query over a page; how NULL: only its lists are wanted. */
QD_MUST_CHECK
int qdi_rank_hybrid(qd_arena *a, const qd_json_node *n, int64_t from, int64_t size,
                    const rank_combine *how, rank_plan **out, qd_err *err);
/* "rescore": an object or an array of them. */
QD_MUST_CHECK
int qdi_rank_rescores(qd_arena *a, const qd_json_node *n, rank_rescores *out, qd_err *err);
/* Elasticsearch's validation of windows against the size of the page. QD_E_VALIDATION. */
QD_MUST_CHECK
int qdi_rank_validate(const rank_plan *p, int64_t size, bool scroll, qd_err *err);
/* A query that matches what any leaf with a query does; n 0: there is none. */
QD_MUST_CHECK
int qdi_rank_union(qd_arena *a, const rank_plan *p, qd_str *out, qd_err *err);

/* --- combining -------------------------------------------------------------------------------- */

/* A hit: the place of its shard, its document there, where it stands among the shard's hits. */
typedef struct rank_doc {
    uint32_t shard, doc, at;
    float score;
} rank_doc;

typedef struct rank_list {
    rank_doc *at;
    uint32_t n;
} rank_list;

/* The score that extra rescorer k gives a hit; NaN: it does not match. */
typedef float (*rank_extra_fn)(void *arg, const rank_doc *d, uint32_t k);

/* One list of those of the leaves (by number, best first), in the arena: by score, then place of
 * the shard, then document. O(n log n) for n hits. QD_E_NOMEM. */
QD_MUST_CHECK
int qdi_rank_fuse(const rank_plan *p, const rank_list *leaves, rank_extra_fn extra, void *arg,
                  qd_arena *a, rank_list *out, qd_err *err);
/* The score of a hit of a window: `matches`: the rescorer's query matches it. */
float qdi_rank_rescored(const rank_rescore *s, float first, bool matches, float second);
/* A score that has an order among others: huge in place of infinite, 0 in place of no number. */
float qdi_rank_sound(float score);
/* Replaces the scores of a list by normalized ones. */
void qdi_rank_normalize(rank_norm how, rank_doc *at, uint32_t n);
/* The mean of n scores, 0 of lists without the hit; weights NULL: all the same. */
float qdi_rank_mean(rank_mean how, const float *scores, const float *weights, uint32_t n);

#endif
