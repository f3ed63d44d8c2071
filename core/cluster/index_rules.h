/*
 * index_rules.h: what settings of an index must be to each other and to the cluster: copies that a
 * write waits for, replicas by the number of nodes, shards that the cluster may hold.
 */
#ifndef QD_CLUSTER_INDEX_RULES_H
#define QD_CLUSTER_INDEX_RULES_H

#include "cluster/allocation/alloc_view.h"
#include "cluster/state/state.h"

#define QD_ACTIVE_SHARDS_ALL (-1)

/* index.auto_expand_replicas: "0-1", "0-all", "false". */
typedef struct qd_auto_expand {
    bool on;
    uint32_t min, max; /* max UINT32_MAX: all */
} qd_auto_expand;

/* index.write.wait_for_active_shards: a count, or QD_ACTIVE_SHARDS_ALL. QD_E_ARG. [any] */
QD_MUST_CHECK
int qd_index_active_parse(qd_str text, int64_t *out, qd_err *err);
/* index.auto_expand_replicas. QD_E_ARG in Elasticsearch's words. [any] */
QD_MUST_CHECK
int qd_index_auto_expand_parse(qd_str text, qd_auto_expand *out, qd_err *err);
/* Do the typed settings of an index with so many replicas hold together? QD_E_ARG. [any] */
QD_MUST_CHECK
int qd_index_rules_check(const qd_values *v, uint32_t replicas, qd_err *err);

/* Replicas that the index should have with so many nodes that may hold it. [any] */
uint32_t qd_auto_expand_replicas(const qd_auto_expand *x, uint32_t nodes);

/* Settings of an index with the number of replicas that auto_expand_replicas gives it on the data
 * nodes of s (the allocator looks at filters and tiers too): *out is one reference more to in, or a
 * new object. QD_E_ARG, QD_E_NOMEM. [any] */
QD_MUST_CHECK
int qd_index_expand(const qd_state *s, qd_settings *in, qd_settings **out, qd_err *err);

/* May so many more shards (copies) be opened under cluster.max_shards_per_node? Those open now and
 * the data nodes come from s. QD_E_VALIDATION in Elasticsearch's words. O(indices). [any] */
QD_MUST_CHECK
int qd_cluster_shards_check(const qd_state *s, const qd_values *values, uint64_t more, qd_err *err);

#endif
