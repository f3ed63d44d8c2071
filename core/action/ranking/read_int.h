/* read_int.h: what the readers of plans share. */
#ifndef QD_ACTION_RANKING_READ_INT_H
#define QD_ACTION_RANKING_READ_INT_H

#include "action/ranking/ranking.h"
#include "base/str.h"

/* The filters of a retriever and of those above it. */
typedef struct rank_filters {
    const struct rank_filters *above;
    const qd_json_node *node; /* a query, or an array of them; NULL: none */
} rank_filters;

/* A plan while it is read. */
typedef struct rank_reading {
    qd_arena *arena;
    rank_plan *plan;
    uint32_t depth;
    uint32_t nrescores; /* in the whole plan */
    qd_err *err;
} rank_reading;

/* Members that every retriever has. */
typedef struct rank_common {
    rank_filters filters;
    qd_str name;
    bool has_min_score;
    float min_score;
} rank_common;

/* An integer, or a number as text. QD_E_NUMBER_FORMAT, QD_E_ARG. */
int qdi_rank_int(const qd_json_node *n, int64_t *out, qd_err *err);
int qdi_rank_float(const qd_json_node *n, float *out, qd_err *err);
/* "[what] unknown field [key]". */
int qdi_rank_unknown(const char *what, qd_str key, qd_err *err);
/* A node of the plan; NULL: out of memory, and err says so. */
rank_node *qdi_rank_node(rank_reading *rd, rank_kind kind, const char *name);
/* A new leaf of the plan; NULL: too many, or out of memory, and err says so. */
rank_leaf *qdi_rank_leaf(rank_reading *rd, rank_node **node);
/* A retriever below others: an object with one member; window: the hits that are wanted of it. */
int qdi_rank_child(rank_reading *rd, const qd_json_node *n, const rank_filters *above,
                   int64_t window, bool scores, const rank_node **out);
/* Reads a member that every retriever has; 1: it is none of them. */
int qdi_rank_common(rank_common *c, const qd_json_node *m, qd_err *err);
/* rrf, linear, rescorer. */
int qdi_rank_rrf(rank_reading *rd, const qd_json_node *n, const rank_filters *above,
                 const rank_node **out);
int qdi_rank_linear(rank_reading *rd, const qd_json_node *n, const rank_filters *above,
                    const rank_node **out);
int qdi_rank_rescorer(rank_reading *rd, const qd_json_node *n, const rank_filters *above,
                      const rank_node **out);
/* A query within filters and with a name, as JSON; n 0 of query: all documents. p NULL: out of
 * memory. */
qd_str qdi_rank_within(qd_arena *a, qd_str query, const rank_filters *filters, qd_str name);
/* Writes all filters as elements of an array. */
void qdi_rank_filters_write(const rank_filters *f, qd_json_writer *w);

#endif
