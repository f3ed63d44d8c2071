/*
 * plan_int.h: the compiled tree. Nodes of query/node.h become qdi_nodes: boosts multiplied down,
 * trivial clauses folded, terms shared, statistics and weights filled in. What differs by segment
 * is in leaf_int.h.
 */
#ifndef QD_SEARCH_PLAN_INT_H
#define QD_SEARCH_PLAN_INT_H

#include "automaton/automaton.h"
#include "base/map.h"
#include "base/str.h"
#include "search/node_type_int.h"
#include "search/plan/plan.h"
#include "search/scratch_int.h"
#include "segment/postings.h"

/* A field that the tree names. */
typedef struct qdi_field {
    qd_str name;
    qd_similarity sim;
    qd_collection_stats stats;
    const float *ninv;            /* 256: 1 / (k1 * (1 - b + b * length / average)), by norm byte */
    uint32_t *number;             /* by leaf, QD_FIELD_NONE where absent */
    struct qdi_pattern *patterns; /* sets that a walk without an automaton finds, newest first */
    uint32_t npatterns;
    qd_term_matcher *matcher; /* of them, made by the first pass that takes all together */
    struct qdi_field *next;
} qdi_field;

/* A range of terms that is a clause. */
typedef struct qdi_pattern {
    const qd_term_range *range;
    struct qdi_pattern *next;
} qdi_pattern;

/* A distinct (field, term), looked up in every leaf. */
typedef struct qdi_term {
    qdi_field *field;
    qd_str text;
    const qd_node_stats *given; /* of the node, before the searcher's */
    qd_term *at;                /* by leaf; df 0: absent */
    uint64_t df, ttf;           /* sums */
    bool known;                 /* at[] is filled */
    struct qdi_term *next;
} qdi_term;

typedef struct qdi_node qdi_node;

typedef struct qdi_phrase_slot {
    uint32_t position; /* in the query */
    uint32_t n;        /* alternatives */
    qdi_term **terms;
} qdi_phrase_slot;

struct qdi_node {
    const qd_node_type *type;
    bool scores;       /* false: only documents count; true: weight or boost is the score */
    float boost;       /* product from the root down to here */
    float weight;      /* of terms, synonyms, phrases */
    const float *ninv; /* same */
    const struct qdi_scorer *scorer; /* other similarities than BM25, in place of these; or NULL */
    const qd_node *from;             /* source, for names and parameters */
    uint32_t number;                 /* of the node in the plan: index of leaf states */
    union {
        qdi_term *term;
        struct {
            qdi_field *field;
            qdi_phrase_slot *slots; /* ascending positions, at least 2 */
            uint32_t n, slop;
        } phrase;
        struct {
            qdi_node **must, **should, **filter, **must_not;
            uint32_t nmust, nshould, nfilter, nmust_not;
            uint32_t min_should; /* 0: optional, only with must or filter */
        } b;
        qdi_node *child;
        void *own; /* of the file of the node, which others need not read */
        struct {
            qdi_field *field;
            const qd_str *terms; /* sorted, distinct; NULL: range */
            uint32_t n;
            qd_term_range range;
            bool by_column;   /* of what the column holds, though there is an index */
            uint32_t pattern; /* number among the field's, from 1; 0: none of them */
        } set;
        struct {
            qdi_field *field;
            qd_range_kind kind;
            int64_t lo, hi;
            uint8_t lo16[16], hi16[16];
        } range;
        qdi_field *exists;
        qd_node_doc_set doc_set;
        qdi_node **children; /* of an operator that iterates */
    } u;
};

struct qd_plan {
    uint32_t magic;
    qd_searcher *searcher;
    qd_arena *arena;
    qd_account *account;
    qd_plan_options o;
    qd_similarity sim;
    qdi_node *root;
    qdi_field *fields;
    qdi_term *terms; /* in order of first mention, newest first */
    qdi_term *last_term;
    qd_map term_map;
    uint32_t nterms, nnodes, nclauses;
    struct qd_plan *nested, *next; /* plans of nested documents, and the next of them above */
    uint32_t expanded;             /* terms that scored patterns and ends of phrases have become */
};
#define QDI_PLAN_MAGIC 0x51504c4eu /* QPLN */

/* plan.c */
qdi_field *qdi_plan_field(qd_plan *p, qd_str name, qd_err *err);
qdi_term *qdi_plan_term(qd_plan *p, qdi_field *f, qd_str text, const qd_node_stats *given,
                        qd_err *err);
qdi_node *qdi_plan_node(qd_plan *p, const qd_node_type *type, const qd_node *from, float boost,
                        bool scores, qd_err *err);
/* One node under what stands above it, through its row. */
QD_MUST_CHECK
int qdi_compile(qd_plan *p, const qd_node *n, qdi_above a, qdi_node **out, qd_err *err);
/* The children of a node, a being what stands above the node; *to has room for one more. */
QD_MUST_CHECK
int qdi_compile_list(qd_plan *p, const qd_node *const *in, uint32_t n, qdi_above a, qdi_node ***to,
                     qd_err *err);
/* Can the plan of the node do this? */
static inline bool qdi_plan_can(const qdi_node *x, uint32_t capability)
{
    return (x->type->flags & capability) != 0;
}
/* Drops the nodes that can; returns how many are left. */
uint32_t qdi_plan_drop(qdi_node **list, uint32_t n, uint32_t capability);
/* x is y from now on. */
void qdi_plan_become(qdi_node *x, const qdi_node *y);

/* Greatest product of boosts: sums over all clauses of a query stay finite, and each document that
 * matches has a score. */
#define QDI_BOOST_MAX 1e33f

static inline float qdi_boost_of(float above, const qd_node *n)
{
    float boost = above * n->boost;
    return boost < QDI_BOOST_MAX ? boost : QDI_BOOST_MAX;
}

/* wildcard.c: what of a wildcard pattern is to be had by comparing bytes, as bounds of a walk over
 * terms, and the text of which an automaton is needed beside them; p NULL: of none. The texts
 * live in arena. 0 or QD_E_NOMEM. */
QD_MUST_CHECK
int qdi_wildcard_range(qd_arena *arena, const qd_node_pattern *n, qd_term_range *out,
                       qd_str *automaton);

/* work.c: charges n terms looked at to the search's budget. QD_E_ARG: it is spent. */
QD_MUST_CHECK
int qdi_plan_spend(qd_plan *p, qd_str field, uint64_t n, qd_err *err);

/* A walk over terms that is charged to the plan, and ends with its task: then qd_term_iter_step
 * gives QD_E_CANCELLED or QD_E_TIMEOUT without a text, or QD_E_ARG. */
typedef struct qdi_walk {
    qd_term_iter *it;
    qd_term_payer payer;
    qd_plan *plan;
    qd_str field;
} qdi_walk;

/* Opens w->it on the terms of range in a leaf; w, arena and range outlive it. */
QD_MUST_CHECK
int qdi_walk_open(qdi_walk *w, qd_plan *p, const qd_leaf *leaf, uint32_t field,
                  const qd_term_range *range, qd_arena *arena, qd_err *err);

/* expand.c: the automaton of a pattern with this text, which ends with the arena. */
QD_MUST_CHECK
int qdi_pattern_automaton(const qd_node_pattern *n, qd_str text, qd_arena *arena,
                          qd_account *account, qd_automaton **out, qd_err *err);
/* expand.c: patterns. Both return a node in *out. */
int qdi_expand_pattern(qd_plan *p, const qd_node *n, float boost, bool scores, qdi_node **out,
                       qd_err *err);
int qdi_expand_prefix_terms(qd_plan *p, qdi_field *f, qd_str prefix, uint32_t max,
                            qdi_term ***terms, uint32_t *n, qd_err *err);
/* All terms of a PATTERN or of a RANGE of terms, its best ones where its rewrite says so; more than
 * max (0: than a query may have clauses) are refused. */
QD_MUST_CHECK
int qdi_expand_terms(qd_plan *p, const qd_node *n, uint32_t max, qdi_term ***terms, uint32_t *count,
                     qd_err *err);
int qdi_set_from_range(qd_plan *p, const qd_node *n, float boost, bool scores, qdi_node **out,
                       qd_err *err);
int qdi_set_from_terms(qd_plan *p, const qd_node *n, float boost, bool scores, qdi_node **out,
                       qd_err *err);

/* weight.c: statistics and BM25. */
int qdi_plan_lookup(qd_plan *p, qd_err *err);
int qdi_plan_weigh(qd_plan *p, qd_err *err);
/* Weights of a node and all below. */
QD_MUST_CHECK
int qdi_weigh(qd_plan *p, qdi_node *x, qd_err *err);
/* See above. */
QD_MUST_CHECK
int qdi_weigh_list(qd_plan *p, qdi_node *const *list, uint32_t n, qd_err *err);
float qdi_idf(uint64_t df, uint64_t docs);
/* ninv table for these statistics, in the plan's arena; NULL when out of memory. */
const float *qdi_ninv_table(qd_plan *p, const qd_similarity *sim, uint64_t docs, uint64_t sum_ttf);

/* Statistics of one term as they count: given with the node, global, or the searcher's. */
typedef struct qdi_term_stats {
    uint64_t df, ttf, docs, sum_ttf;
    bool own; /* docs and sum_ttf are the searcher's */
} qdi_term_stats;
/* See above; of the searcher, or of what replaces it. */
qdi_term_stats qdi_term_stats_of(const qd_plan *p, const qdi_term *t);
/* The similarity of a field under these options. */
qd_similarity qdi_similarity_of(const qd_plan_options *o, qd_str field);
/* Does another similarity than BM25 score the field? Then qdi_weigh_own weighs its nodes. */
static inline bool qdi_scores_own(const qdi_field *f)
{
    return f->sim.kind != QD_SIM_BM25;
}
/* The scorer of a node by the statistics of its n words. */
QD_MUST_CHECK
int qdi_weigh_own(qd_plan *p, qdi_node *x, qdi_field *f, const qdi_term_stats *s, uint32_t n,
                  qd_err *err);
/* Weight and norms of a node that scores with these. */
QD_MUST_CHECK
int qdi_weigh_stats(qd_plan *p, qdi_node *x, qdi_field *f, const qdi_term_stats *s, float idf,
                    qd_err *err);

/* BM25 of one document in Lucene's order of operations. */
static inline float qdi_score(float w, float freq, float ninv)
{
    return w - w / (1.0f + freq * ninv);
}

#endif
