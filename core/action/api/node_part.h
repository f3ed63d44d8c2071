/*
 * node_part.h: what only a node itself can tell: its part of _nodes/stats and the like as JSON, its
 * rows of a _cat table. A request makes these parts on all nodes that it names and puts them
 * together.
 */
#ifndef QD_ACTION_NODE_PART_H
#define QD_ACTION_NODE_PART_H

#include "action/api/cat_table.h"
#include "rpc/rpc.h"

/* Parts that nodes make for each other; numbers travel. */
typedef enum node_part {
    NODE_PART_STATS = 1,
    NODE_PART_INFO = 2,
    NODE_PART_CAT_NODES = 3,
    NODE_PART_CAT_POOLS = 4,
    NODE_PART_CAT_PLUGINS = 5,
    NODE_PART_CAT_ALLOCATION = 6,
    NODE_PART_HOT = 7, /* text */
    NODE_PART_CLUSTER = 8,
    NODE_PART_DANGLING = 9,
    NODE_PART_ENRICH = 10, /* asked for from level 5 of the formats on */
    NODE_PARTS
} node_part;

/* "_nodes": how many were asked and answered. */
typedef struct node_counts {
    uint32_t total, successful, failed;
} node_counts;

/* Asks the nodes that filter names for the part, an object as JSON; calls each for every answer, in
 * the order of the nodes. The part's function gets the same parameters on every node. */
QD_MUST_CHECK
int qdi_node_parts(qd_request *q, const qd_state *s, qd_str filter, node_part part,
                   void (*each)(void *arg, const qd_node_meta *node, qd_str json), void *arg,
                   node_counts *counts, qd_err *err);
/* Answers a request with "_nodes", the cluster's name and the part of each node under its id. */
int qdi_nodes_answer(qd_request *q, qd_str filter, node_part part, qd_response *r, qd_err *err);
/* The same for tables: appends the rows of all nodes to t, whose columns are there. */
QD_MUST_CHECK
int qdi_node_rows(cat_table *t, const qd_state *s, qd_str filter, node_part part, qd_err *err);

/* This node in _nodes/stats: a value. */
int qdi_part_nodes_stats(qd_request *q, qd_json_writer *w, qd_err *err);
/* This node in _nodes. */
int qdi_part_nodes_info(qd_request *q, qd_json_writer *w, qd_err *err);
/* This node's numbers for _cluster/stats. */
int qdi_part_cluster_stats(qd_request *q, qd_json_writer *w, qd_err *err);
/* Indices of which it has files and that the cluster does not know: an array. */
int qdi_part_dangling(qd_request *q, qd_json_writer *w, qd_err *err);
/* Executions of enrich policies, look-ups and their cache on this node. */
int qdi_part_enrich(qd_request *q, qd_json_writer *w, qd_err *err);
/* This node in _nodes/hot_threads: text. */
int qdi_part_nodes_hot(qd_request *q, qd_json_writer *w, qd_err *err);
/* This node in _cat/nodes; a table without columns gets them first, here and below. */
void qdi_part_cat_nodes(cat_table *t);
/* Its thread pools. */
void qdi_part_cat_pools(cat_table *t);
/* Its plugins. */
void qdi_part_cat_plugins(cat_table *t);
/* What it holds. */
void qdi_part_cat_allocation(cat_table *t);

/* What a node does for another: QD_ACTION_NODE_PART; arg is the qd_actions. */
void qdi_node_part_handle(void *arg, qd_rpc_request *request);

#endif
