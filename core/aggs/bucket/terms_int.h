/*
 * terms_int.h: the parameters of terms.
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
    qdi_include include;
} qdi_terms;
static inline qdi_terms *qdi_terms_of(const qdi_agg *a)
{
    return a->params;
}

extern const qdi_ops qdi_aggs_terms_ops;

#endif
