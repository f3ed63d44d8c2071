/* nodes_int.h: what the files of nodes/ share. */
#ifndef QD_SEARCH_NODES_INT_H
#define QD_SEARCH_NODES_INT_H

#include "search/plan/plan_int.h"
#include "search/tree.h"

/* --- describing: errors are the buffer's, appending goes on and the status is looked at once ---
 */

void qdi_put(qd_buf *to, const char *text);
void qdi_put_str(qd_buf *to, qd_str s);
void qdi_put_int(qd_buf *to, int64_t v);
void qdi_put_float(qd_buf *to, float v);
/* "field:" */
void qdi_put_field(qd_buf *to, qd_str field);
/* name, the terms or how many there are, and ")". */
void qdi_put_words(qd_buf *to, const char *name, qd_str field, const qd_str *terms, uint32_t n);
/* A node within another, with its boost. */
void qdi_describe(const qd_node *n, bool in_bool, qd_buf *to);

/* --- cost --- */

/* One pass. */
bool qdi_cost_one(const qd_node *n, uint32_t *passes);
/* Of n nodes. */
bool qdi_cost_all(const qd_node *const *list, uint32_t n, uint32_t *passes);
/* Of the child. */
bool qdi_cost_child(const qd_node *n, uint32_t *passes);

/* --- describing and highlighting patterns: pattern.c --- */

void qdi_put_pattern(qd_buf *to, const qd_node_pattern *p);
struct qdi_gather;
int qdi_pattern_matches(struct qdi_gather *g, const qd_node_pattern *p, float boost);

/* --- compiling --- */

/* Inlines disjunctions among the optional clauses of a bool, as Lucene's rewrite does. */
QD_MUST_CHECK
int qdi_bool_flatten(qd_plan *p, qdi_node *x, qd_err *err);

/* --- asking --- */

/* bool.c: a bool that only sums its optional clauses? */
bool qdi_node_is_sum(const qd_node *n);
/* Can the child match? */
bool qdi_child_may_match(const qd_leaf *leaf, const qd_node *n, uint32_t depth);

#endif
