/*
 * pipeline_int.h: what pipeline aggregations share.
 */
#ifndef QD_AGGS_PIPELINE_INT_H
#define QD_AGGS_PIPELINE_INT_H

#include "aggs/parse/parse_int.h"
#include "aggs/reduce/reduce_int.h"

typedef struct qdi_pipe {
    qd_str path_text;
    qdi_path path;  /* from the level of the pipeline */
    bool skip_gaps; /* else zeros */
    /* bucket_sort */
    qdi_order *sort;
    uint32_t nsort, from, size;
    bool has_size;
} qdi_pipe;
static inline qdi_pipe *qdi_pipe_of(const qdi_agg *a)
{
    return a->params;
}

typedef struct qdi_pipe_result {
    double value;
    bool has;
    qd_str *keys; /* max_bucket, min_bucket */
    uint32_t nkeys;
} qdi_pipe_result;
static inline qdi_pipe_result *qdi_pipe_value(const qdi_out *o)
{
    return o->value;
}

/* gap_policy and format; then buckets_path, which is needed. */
int qdi_aggs_pipe_common(qdi_parse *p, qdi_agg *a);
int qdi_aggs_pipe_parse(qdi_parse *p, qdi_agg *a);
int qdi_aggs_pipe_resolve(qdi_parse *p, qdi_agg *a, qdi_agg *const *level, uint32_t n);
/* A path of a pipeline within buckets, which has to end at a number. */
int qdi_aggs_pipe_path(qdi_parse *p, const qdi_agg *a, qdi_agg *const *level, uint32_t n,
                       qd_str text, qdi_path *path);
/* The value of a bucket, the path's first `from` steps skipped; by the gap policy: NAN is left out.
 */
double qdi_aggs_pipe_bucket(const qdi_agg *p, const qdi_bucket_out *b, uint32_t from);
/* The result of a pipeline within bucket i of o; NULL without memory. */
qdi_out *qdi_aggs_pipe_within(qdi_reduce *r, const qdi_agg *p, uint32_t at, qdi_out *o, uint32_t i,
                              double value);
/* The sum and the number of the values of all buckets beside; NULL: no such neighbour. */
const qdi_out *qdi_aggs_pipe_sum(const qdi_agg *p, qdi_out *const *neighbours, double *sum,
                                 uint64_t *n);
/* The extreme of all buckets beside (sign 1: greatest, -1: least) with their keys. */
int qdi_aggs_pipe_extreme(qdi_reduce *r, int sign, qdi_out *const *neighbours, qdi_out *to,
                          qd_err *err);
double qdi_aggs_pipe_number(const qdi_out *o, qd_str member);
void qdi_aggs_pipe_write(const qdi_out *o, bool typed, qd_json_writer *w);
/* And "keys". */
void qdi_aggs_pipe_write_keys(const qdi_out *o, bool typed, qd_json_writer *w);

#define QDI_PIPE_MEMBERS "buckets_path,gap_policy,format"
/* What the rows have in common. */
#define QDI_PIPE                                                                                   \
    .params_size = sizeof(qdi_pipe), .value_size = sizeof(qdi_pipe_result),                        \
    .resolve = qdi_aggs_pipe_resolve, .value = qdi_aggs_pipe_number

#endif
