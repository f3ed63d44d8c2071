/* vectors_int.h: the words of a document by field: what is asked of them, and how they are told. */
#ifndef QD_ACTION_VECTORS_INT_H
#define QD_ACTION_VECTORS_INT_H

#include "action/documents/documents_int.h"

/* Which terms of each field are told: those of the best scores. */
typedef struct vector_filter {
    bool given;
    int64_t terms; /* max_num_terms */
    int64_t min_freq, max_freq, min_docs, max_docs, min_length, max_length;
} vector_filter;

typedef struct vector_request {
    doc_get get;
    const qd_json_node *doc; /* an artificial document; NULL: one of the index */
    qd_str *fields;          /* patterns */
    uint32_t nfields;
    bool chosen; /* fields were given */
    bool offsets, positions, term_statistics, field_statistics;
    vector_filter filter;
    const qd_json_node *analyzers; /* per_field_analyzer; NULL: none */
} vector_request;

/* --- vectors_read.c --- */
/* What the parameters of the URL say. */
QD_MUST_CHECK
int qdi_vectors_params(const qd_request *q, vector_request *v, qd_err *err);
/* What a body, or an item of one, says besides. */
QD_MUST_CHECK
int qdi_vectors_body(const qd_request *q, const qd_json_node *n, vector_request *v, qd_err *err);

/* --- vectors_terms.c --- */
/* Writes "term_vectors" of a source, with the statistics of the shard. */
QD_MUST_CHECK
int qdi_vectors_write(qd_request *q, const vector_request *v, const qd_index_meta *m, qd_shard *s,
                      qd_str source, qd_json_writer *w, qd_err *err);

#endif
