/*
 * mlt.h: words of texts and documents that others are to be like, which a node MORE_LIKE_THIS
 * (node.h) holds; a plan keeps those that tell most by the frequencies of its searcher.
 */
#ifndef QD_QUERY_MLT_H
#define QD_QUERY_MLT_H

#include "query/node.h"

typedef struct qd_mlt_word {
    qd_str term;
    uint32_t freq; /* in what is liked */
} qd_mlt_word;

/* Words of one selection: each counts in the field that has it most often. */
typedef struct qd_mlt_group {
    const qd_str *fields;
    uint32_t nfields;
    const qd_mlt_word *words; /* distinct */
    uint32_t n;
} qd_mlt_group;

typedef struct qd_node_mlt {
    const qd_mlt_group *groups;
    uint32_t n;
    uint32_t max_terms; /* of a group */
    uint32_t min_doc_freq, max_doc_freq;
    float boost_terms; /* 0: all alike */
    qd_str minimum;    /* minimum_should_match */
} qd_node_mlt;

#endif
