/*
 * joined_int.h: what children and parent share: the documents of a shard that have the id of a
 * relation (mapping/join.h) in common with those that are collected.
 */
#ifndef QD_AGGS_JOINED_INT_H
#define QD_AGGS_JOINED_INT_H

#include "aggs/bind/bind_int.h"
#include "aggs/bucket/single_int.h"
#include "aggs/parse/parse_int.h"
#include "mapping/join.h"

/* What an index makes of the name of the children. */
typedef struct qdi_joined_bound {
    qd_str ids;               /* the field of ids; n 0: the index has no such relation */
    const qd_node *from, *to; /* the documents that are asked of, and those of the bucket */
} qdi_joined_bound;

/* {"type": …} into *(qd_str *)a->params. */
int qdi_aggs_joined_parse(qdi_parse *p, qdi_agg *a);
/* b->state; up: from children to parents. */
int qdi_aggs_joined_bind(qdi_binder *x, qdi_bound *b, bool up);
extern const qdi_ops qdi_aggs_joined_ops;

#endif
