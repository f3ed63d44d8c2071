/*
 * composite_int.h: the parameters of composite, and of its sources.
 */
#ifndef QD_AGGS_COMPOSITE_INT_H
#define QD_AGGS_COMPOSITE_INT_H

#include "aggs/bucket/rounding.h"

typedef enum qdi_source_kind {
    QDI_SOURCE_TERMS,
    QDI_SOURCE_HISTOGRAM,
    QDI_SOURCE_DATES
} qdi_source_kind;

/* A source is a definition (name, field, format) with parameters of its own. */
typedef struct qdi_composite_source {
    qdi_source_kind kind;
    qdi_rounding round; /* of intervals */
    bool descending, missing_bucket;
    int8_t missing_order; /* -1 first, 0 by order, 1 last */
} qdi_composite_source;
static inline qdi_composite_source *qdi_source_of(const qdi_agg *a)
{
    return a->params;
}

typedef struct qdi_composite {
    qdi_agg **sources;
    uint32_t n, size;
    const qd_json_node *after;
} qdi_composite;
static inline qdi_composite *qdi_composite_of(const qdi_agg *a)
{
    return a->params;
}

typedef struct qdi_composite_bound {
    qdi_bound *sources;
    const qdi_slot *after; /* a slot a source; NULL: the first page */
} qdi_composite_bound;
static inline qdi_composite_bound *qdi_composite_bound_of(const qdi_bound *b)
{
    return b->state;
}

extern const qdi_ops qdi_aggs_composite_ops;
/* Order of keys. */
int qdi_aggs_slots_order(const qdi_agg *composite, const qdi_slot *a, const qdi_slot *b);

#endif
