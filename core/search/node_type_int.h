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
#include "segment/columns.h"

struct qd_plan;
struct qdi_node;
struct qdi_run;
struct qdi_lnode;
struct qdi_win;
struct qdi_explaining;
struct qdi_gather;
struct qd_explanation;

/*
 * What a node can do, as a plan (plan/plan_int.h) and as a part of a segment's (leaf/leaf_int.h):
 * what kernels and shortcuts are picked by. Each names members that others may read then.
 */
enum {
    QDI_NODE_NOTHING = 1u << 0,    /* matches no document */
    QDI_NODE_EVERYTHING = 1u << 1, /* matches all documents */
    QDI_NODE_CURSOR = 1u << 2,     /* the documents of one term: u.term, u.cur */
    QDI_NODE_POSITIONS = 1u << 3,  /* cursors whose positions count: u.phrase */
    QDI_NODE_BITMAP = 1u << 4,     /* documents are a bitmap: u.bits */
    QDI_NODE_INTERVAL = 1u << 5,   /* values between bounds: u.range */
    QDI_NODE_TERMS = 1u << 6,      /* the documents of many terms: u.set */
    QDI_NODE_CLAUSES = 1u << 7,    /* required, optional, excluded nodes: u.b */
    QDI_NODE_SAME_DOCS = 1u << 8,  /* the documents of u.child */
    QDI_NODE_FLAT = 1u << 9,       /* all documents score the boost */
};

/* What stands above a node that is compiled. */
typedef struct qdi_above {
    float boost; /* product, with the node's own when its row is called */
    bool scores; /* somebody asks for them */
    uint32_t depth;
} qdi_above;

typedef struct qd_node_type {
    const char *name;
    uint32_t flags; /* QDI_NODE_… */

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

    /* --- the plan: plan/plan_int.h --- */

    /* The plan of the node; may be one of another row. */
    int (*compile)(struct qd_plan *p, const qd_node *n, qdi_above a, struct qdi_node **out,
                   qd_err *err);
    /* Weights of it and all below. NULL: it has none. */
    int (*weigh)(struct qd_plan *p, struct qdi_node *x, qd_err *err);

    /* --- a segment: leaf/leaf_int.h. Rows that plans never have lack all of these. --- */

    /* What the segment has of the plan x: sets type, cost and u of l, which matches nothing until
     * then, and names what is to be fetched. */
    int (*plan)(struct qdi_run *r, const struct qdi_node *x, struct qdi_lnode *l, qd_err *err);
    /* After the fetch. NULL: nothing to do. */
    void (*ready)(struct qdi_lnode *l);
    /* Those below are called once a window (of 4,096 documents), through qdi_next, qdi_bound and
     * qdi_fill, which see to nodes that do not score. */
    uint32_t (*next)(struct qdi_run *r, struct qdi_lnode *l, uint32_t from);
    float (*bound)(struct qdi_run *r, struct qdi_lnode *l, uint32_t from, uint32_t to);
    int (*fill)(struct qdi_run *r, struct qdi_lnode *l, const struct qdi_win *w,
                const uint64_t *cand, uint64_t *out, double *acc, qd_err *err);
    /* Do all documents score alike here? NULL: as flags say. */
    bool (*is_flat)(const struct qdi_lnode *l);
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
/* plan/bounds.c: of the column of a field of the leaf; NULL: it has none. */
const qd_column_stats *qdi_column_stats(const qd_leaf *leaf, uint32_t field);

#endif
