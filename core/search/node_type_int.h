/*
 * node_type_int.h: what is done with a native node. A file of nodes/ has the row of a node and all
 * that is particular to it; query/nodes.def is the table. No other file asks of which kind a node
 * is: it calls the row, or asks for what the row can do.
 */
#ifndef QD_SEARCH_NODE_TYPE_INT_H
#define QD_SEARCH_NODE_TYPE_INT_H

#include "base/str.h"
#include "query/node.h"
#include "search/searcher.h"

struct qdi_explaining;
struct qdi_gather;
struct qd_explanation;

typedef struct qd_node_type {
    const char *name;

    /* --- the tree: query/node.h --- */

    /* Appends what Lucene's Query.toString writes, without the boost; in_bool: within another. */
    void (*describe)(const qd_node *n, bool in_bool, qd_buf *to);
    /* Is the work of n and all below a pass over postings or columns? Adds their number. NULL: it
     * is not. */
    bool (*cost)(const qd_node *n, uint32_t *passes);
    /* Can a document of the segment match, by what is in memory? NULL: it can. */
    bool (*may_match)(const qd_leaf *leaf, const qd_node *n, uint32_t depth);
    /* How the score of the document came about. boost: of all above and n. NULL: all documents
     * score alike. */
    struct qd_explanation *(*explain)(struct qdi_explaining *x, const qd_node *n, float boost,
                                      bool match, float score);
    /* Tells the words that match, for highlighting. NULL: it has none. */
    int (*matches)(struct qdi_gather *g, const qd_node *n, float boost);
} qd_node_type;

#define QD_NODE(kind, row, holds) extern const qd_node_type qdi_node_##row;
#include "query/nodes.def"
#undef QD_NODE

/* Rows by kind: nodes/nodes.c. */
extern const qd_node_type *const qdi_node_types[QD_NODE_KINDS];

static inline const qd_node_type *qdi_node_type_of(const qd_node *n)
{
    return qdi_node_types[n->kind];
}

/* plan/bounds.c: what may_match is of children. */
bool qdi_node_may_match(const qd_leaf *leaf, const qd_node *n, uint32_t depth);

#endif
