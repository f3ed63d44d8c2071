/*
 * copy_stats.h: statistics of shard copies, gathered from the nodes that hold them: what _stats,
 * _segments, _recovery and _cat show of shards.
 */
#ifndef QD_ACTION_COPY_STATS_H
#define QD_ACTION_COPY_STATS_H

#include "action/indices/stats_int.h"
#include "replication/replication.h"
#include "rpc/rpc.h"

typedef struct copy_segment {
    uint64_t unit, bytes;
    uint32_t docs, live;
    bool committed;
} copy_segment;

/* One copy as its node sees it. */
typedef struct copy_stats {
    char uuid[QD_UUID_TEXT];
    uint32_t number;
    qd_str node; /* id */
    bool open;
    qd_str reason; /* why it is not open; empty: it is being opened */
    qd_str path;   /* of the node's data */
    qdi_stats stats;
    uint64_t opened_ns;     /* how long opening took */
    int64_t opened_wall_ms; /* and when it ended */
    qd_recovery_progress
        recovery; /* from a peer; uuid empty: it came from its own disk, or is new */
    uint32_t nsegments;
    const copy_segment *segments; /* with QDI_COPY_STATS_SEGMENTS */
    qdi_field_bytes *fielddata;   /* with QDI_COPY_STATS_FIELDDATA */
} copy_stats;

typedef struct copy_stats_list {
    copy_stats *at; /* by uuid, number, node */
    uint32_t n;
    uint32_t nodes_failed; /* that did not answer: their copies are missing */
} copy_stats_list;

enum { QDI_COPY_STATS_SEGMENTS = 1, QDI_COPY_STATS_FIELDDATA = 2 };
/* Gathers the copies of the indices (NULL: of all) from all nodes that hold some. All memory is of
 * the request's arena. QD_E_NOMEM */
QD_MUST_CHECK
int qdi_copy_stats_collect(qd_request *q, const qd_state *s, const qd_resolved *indices,
                           uint32_t flags, copy_stats_list *out, qd_err *err);
/* A copy on a node, NULL. */
const copy_stats *qdi_copy_stats_find(const copy_stats_list *f, const char *uuid, uint32_t number,
                                      qd_str node);
/* The copies of one index: *first gets the place of the first one, returns how many follow. */
uint32_t qdi_copy_stats_of(const copy_stats_list *f, const char *uuid, uint32_t *first);
/* Sums over the open copies of an index: of the primaries, of all. open: how many. */
void qdi_copy_stats_sum(const copy_stats_list *f, const qd_state *s, const qd_index_meta *m,
                        qdi_stats *primaries, qdi_stats *all, uint32_t *open);
/* The fielddata by field of the copies of an index (NULL: of all) on a node (empty: on all), or of
 * the primaries alone. NULL: none, or no memory. */
const qdi_field_bytes *qdi_copy_stats_fields(const copy_stats_list *f, const qd_state *s,
                                             const qd_index_meta *m, qd_str node, bool primaries,
                                             qd_arena *arena);
/* Sum over the open copies of a node (id; empty: of all nodes). */
void qdi_copy_stats_node(const copy_stats_list *f, qd_str node, qdi_stats *out);
/* Is this copy its shard's primary? */
bool qdi_copy_stats_primary(const qd_state *s, const qd_index_meta *m, const copy_stats *f);

/* What a node does for another: QD_ACTION_NODE_SHARDS; arg is the qd_actions. */
void qdi_node_shards_handle(void *arg, qd_rpc_request *request);

#endif
