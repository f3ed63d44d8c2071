/*
 * reduce_int.h: what types use to merge their results and to write them.
 */
#ifndef QD_AGGS_REDUCE_INT_H
#define QD_AGGS_REDUCE_INT_H

#include "aggs/type.h"

/* Merges k results of one definition into arena; final: orders, cuts, fills. */
typedef struct qdi_reduce {
    qd_arena *arena;
    const qd_aggs *tree;
    bool final;
    int64_t buckets;                    /* counted */
    const qd_aggs_bound *const *bounds; /* of all indices that took part */
    size_t nbounds;
    struct qdi_plugin_batch *pending; /* of qdi_aggs_plugin_settle, as the next */
    struct qdi_plugin_written *unwritten;
} qdi_reduce;
/* Out of memory or over a breaker: the right error. */
int qdi_aggs_reduce_no_memory(qdi_reduce *r, size_t bytes, qd_err *err);
int qdi_aggs_reduce_one(qdi_reduce *r, const qdi_agg *def, qdi_out *const *in, uint32_t k,
                        qdi_out **out, qd_err *err);
/* The children of k buckets of the same key; in[i] may be NULL. */
int qdi_aggs_reduce_subs(qdi_reduce *r, const qdi_agg *parent, qdi_out **const *in, uint32_t k,
                         qdi_out ***out, qd_err *err);
/* Counts buckets against search.max_buckets. */
int qdi_aggs_reduce_count(qdi_reduce *r, int64_t n, qd_err *err);
/* Runs the pipelines from nplain to n beside their neighbours: the results of one level. */
int qdi_aggs_reduce_beside(qdi_reduce *r, qdi_agg *const *defs, uint32_t nplain, uint32_t n,
                           qdi_out **subs, qd_err *err);

/* --- merging buckets by key ------------------------------------------------------------------- */

/* A bucket of one input. */
typedef struct qdi_part {
    const qdi_bucket_out *b;
    int64_t key;
    uint32_t in;
} qdi_part;
/* All buckets of all inputs, by key: out's kind is settled, and integers become doubles when
 * another index holds doubles. strict: byte strings and numbers are refused beside each other.
 * order NULL: by bytes or numbers. The caller frees *parts. */
int qdi_aggs_gather(qdi_reduce *r, qdi_out *const *in, uint32_t k, bool strict, qdi_order_fn *order,
                    qdi_out *out, qdi_part **parts, uint32_t *n, qd_err *err);
/* The end of the run of parts with the key of part i. */
uint32_t qdi_aggs_run_end(const qdi_out *out, qdi_order_fn *order, const qdi_part *p, uint32_t i,
                          uint32_t n);
/* One bucket of the n parts of a key; without its children. */
int qdi_aggs_merge_bucket(qdi_reduce *r, const qdi_agg *def, const qdi_part *p, uint32_t n,
                          qdi_bucket_out *o, qd_err *err);
/* The children of the n parts of a key. */
int qdi_aggs_merge_subs(qdi_reduce *r, const qdi_agg *def, const qdi_part *p, uint32_t n,
                        qdi_out ***out, qd_err *err);
/* By the n orders of a definition. */
int qdi_aggs_sort_buckets(qdi_reduce *r, qdi_out *out, const qdi_order *order, uint32_t n,
                          qd_err *err);
/* Types whose definition gives the buckets (qd_agg_type.buckets): bucket by bucket. */
int qdi_aggs_reduce_keyed(qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out, qd_err *err);

/* --- values ----------------------------------------------------------------------------------- */

/* The metric that a path leads to, from the children of a bucket of docs documents, skipping the
 * path's first `from` steps; NAN: none. */
double qdi_aggs_out_metric(qdi_out *const *subs, uint64_t docs, const qdi_path *path,
                           uint32_t from);
double qdi_aggs_out_value(const qdi_out *o, qd_str member);

/* --- writing ---------------------------------------------------------------------------------- */

/* Text of a key or value by a format; returns the length. */
size_t qdi_aggs_format_f64(const qdi_format *f, double v, char out[128]);
size_t qdi_aggs_format_i64(const qdi_format *f, int64_t v, char out[128]);
/* The format of a result's field. */
const qdi_format *qdi_aggs_format_of(const qdi_out *o);
qd_str qdi_aggs_bucket_key_text(const qdi_out *o, uint32_t i, char out[128]);
/* key: v, and text_key: its text where there is a format; null without a value. */
void qdi_aggs_write_value(qd_json_writer *w, const qdi_format *f, const char *key,
                          const char *text_key, double v, bool has);
/* key: the text of a value by a format; booleans are written as such. */
void qdi_aggs_write_text(const qdi_format *f, const char *key, double v, qd_json_writer *w);
/* "buckets": an object or an array. */
void qdi_aggs_buckets_open(bool keyed, qd_json_writer *w);
void qdi_aggs_buckets_close(bool keyed, qd_json_writer *w);
/* "key" and "key_as_string" of bucket i, in that order or (text_first) the other. */
void qdi_aggs_write_key(const qdi_out *o, uint32_t i, bool text_first, qd_json_writer *w);
/* "doc_count", with_error "doc_count_error_upper_bound", the children; ends the bucket's object. */
void qdi_aggs_bucket_end(const qdi_out *o, const qdi_bucket_out *b, bool with_error, bool typed,
                         qd_json_writer *w);
/* The results of children that there are. */
void qdi_aggs_write_subs(qdi_out *const *subs, uint32_t n, bool typed, qd_json_writer *w);
/* The value of a metric that has one: "value", "value_as_string". */
void qdi_aggs_write_single(const qdi_out *o, bool typed, qd_json_writer *w);

#endif
