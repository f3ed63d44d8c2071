/*
 * group_int.h: the groups that a sorter keeps, by the value of a column (field collapsing).
 *
 * A group's value is one integer in the present segment, as sort.c has it for its keys: numbers as
 * they are, ordinal o as 2 o + 1, text that the segment's dictionary lacks as the even number of
 * its gap together with its bytes. One hash table finds the group of a document by that integer;
 * when a segment begins, the groups are converted and the table is filled anew.
 */
#ifndef QD_SEARCH_GROUP_INT_H
#define QD_SEARCH_GROUP_INT_H

#include "search/collect/sort.h"

/* A group that is kept. */
typedef struct qdi_group {
    int64_t v;
    qd_str bytes; /* ORD; p NULL: they are in the present segment's dictionary, by v */
    bool missing; /* the group of documents without a value */
    uint32_t at;  /* its place in the sorter's heap */
    struct qdi_group *next;
} qdi_group;

typedef struct qdi_groups qdi_groups;

/* Room for k groups by key (I64 or ORD), in the arena. [any] QD_E_ARG, QD_E_NOMEM. */
QD_MUST_CHECK
int qdi_groups_make(const qd_sort_key *key, uint32_t k, uint64_t seed, qd_arena *arena,
                    qdi_groups **out, qd_err *err);
/* A segment is planned, begins and ends; leaf_arena lives as long as the segment is collected. */
QD_MUST_CHECK
int qdi_groups_plan(qdi_groups *g, const qd_leaf *leaf, qd_reads *reads, qd_arena *leaf_arena,
                    qd_err *err);
QD_MUST_CHECK
int qdi_groups_begin(qdi_groups *g, qd_err *err);
QD_MUST_CHECK
int qdi_groups_end(qdi_groups *g, qd_err *err);
/* Another batch: values of the one before are forgotten. */
void qdi_groups_batch(qdi_groups *g);
/* The group of document i of the batch, NULL: it is not among those kept. QD_E_ARG: the document
 * has several values. */
QD_MUST_CHECK
int qdi_groups_find(qdi_groups *g, const qd_hits *h, uint32_t i, qdi_group **out, qd_err *err);
/* Keeps the group of document i, which is not kept yet, in place of `instead` (NULL: beside those
 * kept, which are fewer than k). QD_E_NOMEM. */
QD_MUST_CHECK
int qdi_groups_add(qdi_groups *g, const qd_hits *h, uint32_t i, qdi_group *instead, qdi_group **out,
                   qd_err *err);
/* The value of a group, once all segments have ended. */
qd_sort_value qdi_groups_value(const qdi_groups *g, const qdi_group *x);

#endif
