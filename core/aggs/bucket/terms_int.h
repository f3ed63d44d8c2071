/*
 * terms_int.h: what terms, rare_terms and buckets of plugins share.
 */
#ifndef QD_AGGS_TERMS_INT_H
#define QD_AGGS_TERMS_INT_H

#include "aggs/type.h"

/* include and exclude. */
typedef struct qdi_include {
    bool any; /* something is asked for */
    bool has_list, has_not_list;
    qd_str include, exclude; /* regular expressions; p NULL: none */
    const qd_str *list, *not_list;
    uint32_t nlist, nnot_list;
    uint32_t partition, partitions; /* partitions 0: none */
} qdi_include;

typedef struct qdi_terms {
    uint32_t size, shard_size;
    int64_t shard_min_doc_count;
    bool show_error;
    uint64_t most_docs; /* a bucket of more is never shown, and needs no children; 0: no limit */
    qdi_include include;
} qdi_terms;
static inline qdi_terms *qdi_terms_of(const qdi_agg *a)
{
    return a->params;
}

extern const qdi_ops qdi_aggs_terms_ops;

/* As the request has them; shard_size -1: it has none. */
typedef struct qdi_terms_sizes {
    int64_t size, shard_size, shard_min_doc_count;
} qdi_terms_sizes;
/* Reads size, shard_size, min_doc_count and shard_min_doc_count. Errors of other members come after
 * these and before those of limits. */
int qdi_terms_read_sizes(struct qdi_parse *p, qdi_agg *a, qdi_terms_sizes *out);
/* Reads order, checks limits, and sets what was read in a and its qdi_terms. */
int qdi_terms_set_sizes(struct qdi_parse *p, qdi_agg *a, const qdi_terms_sizes *s,
                        int64_t least_min_doc_count);
/* Reads include and exclude. */
int qdi_terms_parse_include(struct qdi_parse *p, qdi_agg *a);
/* Merges buckets by key; final: orders and cuts. */
int qdi_terms_reduce(struct qdi_reduce *r, qdi_out *const *in, uint32_t k, qdi_out *out,
                     qd_err *err);

struct qd_ordinals;
/* What a shard has found. */
typedef struct qdi_terms_found {
    const qdi_strings *strings;      /* of the keys, by number; NULL: keys are numbers, or .. */
    const struct qd_ordinals *shard; /* .. the shard's ordinals; NULL: they are not */
    bool sortable;                   /* doubles are sortable bits; else as the column has them */
    const qdi_buckets *universe;     /* min_doc_count 0: numbers that exist; NULL: none */
    uint64_t left_out;               /* documents of buckets that cannot be among the best */
} qdi_terms_found;
/* The best buckets of an owner; out->kind says what keys are. */
int qdi_terms_build(qdi_aggr *a, uint32_t owner, const qdi_terms_found *f, qdi_out *out,
                    qd_err *err);

/* Of a type that collects as terms do and keeps more: its own state, beside that of terms. */
void **qdi_terms_extra(qdi_aggr *a);
/* What keys of buckets are, once all is collected. */
void qdi_terms_found_of(const qdi_aggr *a, qdi_terms_found *out);
/* The key of an ordinal of the leaf; false: no bucket has it. After the leaf of a->src was begun.
 */
int qdi_terms_key_of(qdi_aggr *a, uint32_t leaf, uint32_t ord, bool *has, int64_t *key,
                     qd_err *err);

#endif
