/*
 * tree.h: questions about a tree of query nodes that need no searcher; search/nodes answers them.
 */
#ifndef QD_SEARCH_TREE_H
#define QD_SEARCH_TREE_H

#include "base/str.h"
#include "query/node.h"

/* Writes a tree as Lucene's Query.toString does ("+a:x #b:[1 TO 2] (c:y)^2.0"), for explain,
 * _validate and tests. QD_E_NOMEM, QD_E_LIMIT of the buffer. [any] */
QD_MUST_CHECK
int qd_node_describe(const qd_node *root, qd_buf *out);
/* Has the tree only nodes whose work is a pass over postings or a column? Adds the passes to
 * *passes. The depth is bounded by what reading a query allows. [any] */
bool qd_node_cost(const qd_node *root, uint32_t *passes);

#endif
