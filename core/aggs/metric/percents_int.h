/*
 * percents_int.h: what percentiles and percentile_ranks share: a t-digest or an HdrHistogram an
 * owner. median_absolute_deviation shares the t-digest.
 */
#ifndef QD_AGGS_PERCENTS_INT_H
#define QD_AGGS_PERCENTS_INT_H

#include "aggs/parse/parse_int.h"
#include "aggs/reduce/reduce_int.h"
#include "aggs/sketch/digest_int.h"
#include "aggs/sketch/hdr_int.h"

#define QDI_COMPRESSION_MIN 10    /* less counts as this */
#define QDI_COMPRESSION_MAX 10000 /* more is refused */

typedef struct qdi_percents {
    double *at; /* percents, or (ranks) values; ascending */
    uint32_t n;
    double compression;
    int8_t digits; /* hdr; -1: t-digest */
    bool ranks;    /* percentile_ranks */
} qdi_percents;
static inline qdi_percents *qdi_percents_of(const qdi_agg *a)
{
    return a->params;
}

/* One of them, or none. */
typedef struct qdi_percents_sketch {
    qdi_digest *digest;
    qdi_hdr *hdr;
} qdi_percents_sketch;
static inline qdi_percents_sketch *qdi_percents_value(const qdi_out *o)
{
    return o->value;
}

extern const qdi_ops qdi_aggs_digest_ops, qdi_aggs_hdr_ops;
/* qdi_ops of a t-digest an owner, for types whose parameters begin with qdi_percents and whose
 * values begin with qdi_percents_sketch. */
int qdi_percents_open(qdi_aggr *a, qd_err *err);
int qdi_percents_grow(qdi_aggr *a, uint32_t n, qd_err *err);
int qdi_percents_collect(qdi_aggr *a, const uint32_t *idx, const uint32_t *owner, uint32_t n,
                         qd_err *err);
int qdi_percents_build(qdi_aggr *a, uint32_t owner, qdi_out *out, qd_err *err);
void qdi_percents_close(qdi_aggr *a);
/* The digest of an owner, settled; NULL without memory. */
const qdi_digest *qdi_percents_digest(qdi_aggr *a, uint32_t owner);
int qdi_aggs_percents_parse(qdi_parse *p, qdi_agg *a);
bool qdi_aggs_percents_has_member(const qdi_agg *a, qd_str m);
const qdi_ops *qdi_aggs_percents_pick(const qdi_agg *a);
int qdi_aggs_percents_reduce(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out,
                             qd_err *err);
double qdi_aggs_percents_number(const qdi_out *o, qd_str member);
void qdi_aggs_percents_send(const qdi_out *o, qd_writer *w);
void qdi_aggs_percents_receive(qd_body_reader *r, qdi_out *o, const qd_aggs *tree, qd_arena *arena);
void qdi_aggs_percents_write(const qdi_out *o, bool typed, qd_json_writer *w);

/* What the rows of both have in common. */
#define QDI_PERCENTS                                                                               \
    .flags = QDI_METRIC | QDI_VALUES, .params_size = sizeof(qdi_percents),                         \
    .value_size = sizeof(qdi_percents_sketch), .has_member = qdi_aggs_percents_has_member,         \
    .pick = qdi_aggs_percents_pick, .reduce = qdi_aggs_percents_reduce,                            \
    .value = qdi_aggs_percents_number, .send = qdi_aggs_percents_send,                             \
    .receive = qdi_aggs_percents_receive, .write = qdi_aggs_percents_write

#endif
