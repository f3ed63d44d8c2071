/*
 * state_int.h: what snapshots of the cluster state are made of. See state.h.
 */
#ifndef QD_CLUSTER_STATE_INT_H
#define QD_CLUSTER_STATE_INT_H

#include "base/vec.h"
#include "cluster/state/state.h"

/* The records of an index's shards; shared by all states in which none of them has changed. */
typedef struct qd_state_group {
    _Atomic int32_t refs;
    qd_arena arena;
    qd_shard_meta *at;
    uint32_t n, replicas;
} qd_state_group;

/* What a state knows of one index: a reference each. */
typedef struct qd_state_entry {
    qd_index_meta *meta;
    qd_state_group *group;
} qd_state_entry;

#define STATE_MAPS 4
enum { STATE_NAMES, STATE_ALIASES, STATE_USES, STATE_DAMAGED }; /* maps of the part of indices */
enum { STATE_UUIDS, STATE_HELD };                               /* of the part of shards */

/* What a part of a state stands on, shared by all states in which it has not changed. It refers to
 * no state: one that shared with those before it would keep all of them for ever. */
typedef struct qd_state_part {
    _Atomic int32_t refs;
    qd_arena arena;
    /* to be given up with it, as far as they are there; those not of its kind are empty */
    qd_settings *settings[2];
    qd_pmap map[STATE_MAPS];
} qd_state_part;

/* A state being made. */
typedef struct state_building {
    const qd_map *kv;
    const qd_state *old;             /* NULL: none */
    const qd_state_changes *changes; /* NULL: not known */
    const struct qd_plugin_host *plugins;
    qd_state *s;
} state_building;

/* One reference less; NULL is fine. */
void qdi_state_group_unref(qd_state_group *g);
void qdi_state_part_unref(qd_state_part *p);
/* Gives up an entry and what it refers to. */
void qdi_state_entry_free(void *entry);
/* Are the changes since the state before known? */
static inline bool state_changes_known(const state_building *b)
{
    return b->old && b->changes && !b->changes->every;
}
/* The part is the one of the state before. */
void qdi_state_share(state_building *b, int part);
/* A part of its own; NULL: out of memory. */
qd_state_part *qdi_state_part_make(state_building *b, int part, qd_err *err);
/* The value of a key, NULL. */
const qd_state_kv *qdi_state_key(const state_building *b, const char *prefix, qd_str rest);
/* A want of memory says nothing about a record: the whole state is built again later. */
static inline bool state_passes(int rc)
{
    return rc == QD_E_NOMEM || rc == QD_E_BREAKER;
}
/* Makes the parts of indices and shards, state_indices.c. */
int qdi_state_indices_make(state_building *b, qd_err *err);

/* An index in a state and in the next one. */
typedef struct state_edit {
    const qd_state_entry *was; /* NULL: not in the state before */
    qd_state_entry *is;        /* NULL: not in the next one */
} state_edit;
typedef QD_VEC(state_edit) state_edits;
/* Brings the groups of aliases in line, which p has as they were before; by_uuid has the indices of
 * the next state. state_aliases.c; QD_E_NOMEM */
int qdi_state_aliases_make(qd_state_part *p, const qd_pmap *by_uuid, const state_edits *edits);
/* Orders of nodes and documents, for qsort and bsearch. */
int qdi_node_by_id(const void *a, const void *b);
int qdi_document_by_key(const void *a, const void *b);

#endif
