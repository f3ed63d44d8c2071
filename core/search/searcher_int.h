/*
 * searcher_int.h: what a searcher keeps for the plans over it: tables of length norms, which depend
 * only on the similarity and the statistics of a field.
 */
#ifndef QD_SEARCH_SEARCHER_INT_H
#define QD_SEARCH_SEARCHER_INT_H

#include "search/plan/plan.h"

/* A table of 256 inverse norms for these statistics, made by fill when there is none yet; lives as
 * long as the searcher. NULL: no room or no memory; the caller makes its own. [any] lock-free */
const float *qdi_searcher_ninv(qd_searcher *s, const qd_similarity *sim, uint64_t docs,
                               uint64_t sum_ttf,
                               void (*fill)(const qd_similarity *sim, uint64_t docs,
                                            uint64_t sum_ttf, float *out));

/* Fields whose ordinals of the whole shard were asked for (ordinals.c): the newest first, never
 * taken away; *account pays for them. [any] lock-free */
struct qdi_ordinals_entry;
struct qdi_ordinals_entry *qdi_searcher_ordinals(const qd_searcher *s, qd_account **account);
/* Puts e in front of first; false: first is not the first any more. [any] lock-free */
bool qdi_searcher_ordinals_put(qd_searcher *s, struct qdi_ordinals_entry *first,
                               struct qdi_ordinals_entry *e);
/* Frees a list. */
void qdi_ordinals_free(struct qdi_ordinals_entry *e);

/* Searchers of nested documents (nested.c), kept as the ordinals are. */
struct qdi_nested_entry;
struct qdi_nested_entry *qdi_searcher_nested(const qd_searcher *s, qd_account **account);
bool qdi_searcher_nested_put(qd_searcher *s, struct qdi_nested_entry *first,
                             struct qdi_nested_entry *e);
void qdi_nested_free(struct qdi_nested_entry *e);

#endif
