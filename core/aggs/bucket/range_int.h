/*
 * range_int.h: what range, date_range, ip_range and geo_distance share: [from, to) intervals that
 * the request gives.
 */
#ifndef QD_AGGS_RANGE_INT_H
#define QD_AGGS_RANGE_INT_H

#include "aggs/bind/bind_int.h"
#include "aggs/parse/parse_int.h"
#include "aggs/reduce/reduce_int.h"
#include "base/geo.h"

typedef struct qdi_range {
    qd_str key;
    qd_query_value from, to, mask; /* as written; text.p NULL: open */
} qdi_range;

typedef struct qdi_ranges {
    qdi_range *at;
    uint32_t n;
    bool addresses; /* ip_range */
    bool distances; /* geo_distance: of the values, which are points */
    bool plane;
    qd_geo origin;
    double unit; /* meters */
} qdi_ranges;
static inline qdi_ranges *qdi_ranges_of(const qdi_agg *a)
{
    return a->params;
}

typedef struct qdi_bound_range {
    bool has_from, has_to;
    double from, to;
    uint8_t ip_from[16], ip_to[16];
    qd_str key;
} qdi_bound_range;

typedef struct qdi_ranges_bound {
    qdi_bound_range *ranges; /* in ascending order */
} qdi_ranges_bound;
static inline const qdi_bound_range *qdi_ranges_bound_at(const qdi_bound *b)
{
    return ((const qdi_ranges_bound *)b->state)->ranges;
}

int qdi_aggs_ranges_parse(qdi_parse *p, qdi_agg *a);
int qdi_aggs_ranges_bind(qdi_binder *x, qdi_bound *b);
extern const qdi_ops qdi_aggs_ranges_ops;
uint32_t qdi_aggs_ranges_buckets(const qdi_agg *a);
qd_str qdi_aggs_ranges_key_text(const qdi_out *o, uint32_t i, char out[128]);
void qdi_aggs_ranges_write(const qdi_out *o, bool typed, qd_json_writer *w);

/* What the rows of the three have in common. */
#define QDI_RANGES                                                                                 \
    .params_size = sizeof(qdi_ranges), .bound_size = sizeof(qdi_ranges_bound),                     \
    .bind = qdi_aggs_ranges_bind, .ops = &qdi_aggs_ranges_ops, .buckets = qdi_aggs_ranges_buckets, \
    .reduce = qdi_aggs_reduce_keyed, .write = qdi_aggs_ranges_write,                               \
    .key_text = qdi_aggs_ranges_key_text

#endif
