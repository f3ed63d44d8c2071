/*
 * alloc_model.h: a cluster as arrays that the allocator's decisions are carried out on, for tests
 * and the bench: it makes clusters from a seed, applies decisions while checking that each is
 * allowed, finishes recoveries, loses nodes.
 */
#ifndef QD_TESTS_ALLOC_MODEL_H
#define QD_TESTS_ALLOC_MODEL_H

#include "cluster/allocation/allocation.h"

#define ALLOC_MODEL_COPIES 10

typedef struct alloc_model {
    uint64_t random;
    qd_arena arena;
    qd_alloc_view view;
    qd_alloc_node *nodes;
    qd_alloc_index *indices;
    qd_alloc_shard *shards;
    uint32_t ids;       /* allocation ids given */
    uint64_t trace;     /* hash of all decisions */
    const char *broken; /* the first rule that a decision broke; NULL: none */
    char text[256];
    uint64_t started; /* decisions of each kind applied */
    uint64_t counts[16];
    /* sums by node, every relocation counted at its target */
    double *sum_shards, *sum_bytes, *sum_load;
    bool check_gain; /* moves for balance must lessen the imbalance */
} alloc_model;

/* How to make one. */
typedef struct alloc_model_shape {
    uint64_t seed;
    uint32_t nodes, indices, shards_max; /* shards_max: of one index, 1 to it */
    uint32_t total;                      /* != 0: shards in all, spread over the indices */
    uint32_t replicas;                   /* at most; each index draws */
    bool replicas_fixed;
    uint32_t zones;
    int64_t size_mean; /* bytes; skewed */
    int64_t disk;      /* bytes of each node; 0: not measured */
    bool loads;        /* indices have write loads */
} alloc_model_shape;

/* Makes a cluster with nothing assigned. */
void alloc_model_init(alloc_model *m, const alloc_model_shape *shape);
/* Frees it. */
void alloc_model_fini(alloc_model *m);
/* A random number below n (splitmix64). */
uint64_t alloc_model_draw(alloc_model *m, uint64_t n);
/* Carries out decisions; the first broken rule goes to m->broken. */
void alloc_model_apply(alloc_model *m, const qd_alloc_result *r);
/* Finishes recoveries, each with probability percent; returns how many are left. */
uint32_t alloc_model_finish(alloc_model *m, uint32_t percent);
/* One round and its application; returns the decisions made. */
uint32_t alloc_model_round(alloc_model *m, qd_alloc_result *out);
/* Rounds and recoveries until nothing is decided any more or limit rounds passed; rounds used. */
uint32_t alloc_model_settle(alloc_model *m, uint32_t limit, qd_alloc_result *last);
/* Takes a node's process away (its copies are lost); brings it back. */
void alloc_model_kill(alloc_model *m, uint32_t node);
void alloc_model_return(alloc_model *m, uint32_t node);

/* Spread of shards and bytes over the data nodes that are up: largest deviation from the mean, in
 * percent of it. */
typedef struct alloc_model_spread {
    double shards, bytes, load;
    double shards_mean, bytes_mean;
} alloc_model_spread;
alloc_model_spread alloc_model_measure(const alloc_model *m);

/* The weights of imbalance, reckoned anew from the view (docs/allocation.md). */
typedef struct alloc_model_weights {
    double shard, index, byte, load;
} alloc_model_weights;
alloc_model_weights alloc_model_weigh(const alloc_model *m);
/* What moving a copy of a shard from one node to another would lessen the imbalance by, with every
 * relocation counted at its target; *gap gets the difference of weights. O(nodes of the index). */
double alloc_model_gain(const alloc_model *m, const alloc_model_weights *w, uint32_t shard,
                        uint32_t from, uint32_t to, double *gap);

#endif
