/*
 * explain.h: why a copy is where it is, or is nowhere: for each node what each decider says.
 */
#ifndef QD_CLUSTER_ALLOCATION_EXPLAIN_H
#define QD_CLUSTER_ALLOCATION_EXPLAIN_H

#include "cluster/allocation/allocation.h"

/* One decider's word. */
typedef struct qd_alloc_word {
    const char *decider; /* "same_shard" */
    qd_alloc_verdict verdict;
    qd_str text;
} qd_alloc_word;

/* What all deciders say to the copy on one node. */
typedef struct qd_alloc_node_word {
    uint32_t node;
    qd_alloc_verdict verdict;
    bool worse;           /* allowed, but the balance would not be better: "worse_balance" */
    bool in_sync, stale;  /* the node has files of the shard */
    qd_str allocation_id; /* of those files */
    uint32_t rank;        /* 1: the best place */
    const qd_alloc_word *words;
    uint32_t nwords;
} qd_alloc_node_word;

typedef struct qd_alloc_explanation {
    uint32_t shard, copy;
    bool primary;
    qd_alloc_copy_state state;
    uint32_t node; /* NONE: unassigned */
    uint32_t rank; /* of node */
    /* unassigned */
    qd_alloc_status status;
    const char *can_allocate; /* "yes", "no", "throttled", "allocation_delayed",
                                 "no_valid_shard_copy" */
    qd_str allocate_text;
    int64_t delay_ms, remaining_ms; /* -1: none */
    /* assigned */
    qd_alloc_verdict can_remain;
    const qd_alloc_word *remain; /* those that say no */
    uint32_t nremain;
    const char *can_move; /* may not remain: "yes", "no", "throttled" */
    qd_str move_text;
    qd_alloc_verdict can_rebalance_cluster;
    const qd_alloc_word *cluster;
    uint32_t ncluster;
    const char *can_rebalance; /* "yes", "no", "throttled" */
    qd_str rebalance_text;
    qd_str text; /* of a copy that is initializing or moving: nothing is decided meanwhile */
    const qd_alloc_node_word *nodes; /* all but its own, best first */
    uint32_t nnodes;
} qd_alloc_explanation;

/* Explains one copy of a shard (places in the view). Words of deciders that say yes are left out
 * unless with_yes. Everything in *out lives in arena. [worker] QD_E_NOMEM, QD_E_ARG. */
QD_MUST_CHECK
int qd_allocation_explain(const qd_alloc_view *view, uint32_t shard, uint32_t copy, bool with_yes,
                          qd_arena *arena, qd_alloc_explanation *out, qd_err *err);

#endif
