/*
 * alloc_view.h: the cluster state as the allocation (allocation/allocation.h) looks at it. Places
 * in the view are those of the state: index i of one is index i of the other, shards are grouped by
 * index, nodes of the state come first, then those that only copies and in-sync sets name.
 */
#ifndef QD_CLUSTER_ALLOC_VIEW_H
#define QD_CLUSTER_ALLOC_VIEW_H

#include "cluster/allocation/allocation.h"
#include "cluster/state/state.h"

#define QD_ALLOC_PAIRS_MAX 64u
#define QD_ALLOC_PAIR_MS 120000 /* for so long a pair of nodes counts as failed */

/* Two nodes, by ids: copies could not be filled on the target from the source. */
typedef struct qd_alloc_pair_fact {
    char target[64], source[64];
    int64_t until_ms; /* wall clock */
} qd_alloc_pair_fact;

/* What is known beside the state; zeros where nothing is. */
typedef struct qd_alloc_facts {
    int64_t now_ms;          /* wall clock */
    const qd_values *values; /* of the node's configuration with the cluster's settings; NULL:
                                Elasticsearch's defaults */
    /* bytes of a copy; 0: not known. May be NULL */
    int64_t (*shard_size)(void *arg, const char *uuid, uint32_t number);
    void *arg;
    const qd_alloc_pair_fact *pairs; /* beside those that the state tells of; over ones are left
                                        out */
    uint32_t npairs;
} qd_alloc_facts;

/* Makes the view in arena; s and facts->values are borrowed for as long as it is used. O(copies).
 * A copy that has failed twice in a row or more, lately, makes a failed pair of the node where it
 * did and of the one that has its primary. [any] QD_E_NOMEM */
QD_MUST_CHECK
int qd_alloc_view_make(const qd_state *s, const qd_alloc_facts *facts, qd_arena *arena,
                       qd_alloc_view *out, qd_err *err);
/* A view of the nodes of s and one index that is not in it yet, all of whose shards are fresh; what
 * the nodes hold already is counted. O(nodes + shards of m) [any] QD_E_NOMEM */
QD_MUST_CHECK
int qd_alloc_view_new(const qd_state *s, const qd_alloc_facts *facts, const qd_index_meta *m,
                      qd_arena *arena, qd_alloc_view *out, qd_err *err);
/* The settings alone. QD_E_NOMEM [any] */
QD_MUST_CHECK
int qd_alloc_settings_make(const qd_values *values, qd_arena *arena, qd_alloc_settings *out,
                           qd_err *err);

#endif
