/*
 * state_int.h: what snapshots of the cluster state are made of. See state.h.
 */
#ifndef QD_CLUSTER_STATE_INT_H
#define QD_CLUSTER_STATE_INT_H

#include "cluster/state/state.h"

/* The records of an index's shards; shared by all states in which none of them has changed. */
typedef struct qd_state_group {
    _Atomic int32_t refs;
    qd_arena arena;
    qd_shard_meta *at;
    uint32_t n, replicas;
} qd_state_group;

/* What a part of a state stands on, shared by all states in which it has not changed. It refers to
 * no state: one that shared with those before it would keep all of them for ever. */
typedef struct qd_state_part {
    _Atomic int32_t refs;
    qd_arena arena;
    /* to be given up with it, as far as they are there; those not of its kind are empty */
    qd_index_meta **indices;
    qd_state_group **groups;
    uint32_t n; /* of either */
    qd_settings *settings[2];
    qd_map map[3];
} qd_state_part;

/* One reference less; NULL is fine. */
void qdi_state_group_unref(qd_state_group *g);
void qdi_state_part_unref(qd_state_part *p);
/* Place of m in s->indices, -1 when it is not there. */
int64_t qdi_state_place(const qd_state *s, const qd_index_meta *m);
/* Orders of nodes and documents, for qsort and bsearch. */
int qdi_node_by_id(const void *a, const void *b);
int qdi_document_by_key(const void *a, const void *b);

#endif
