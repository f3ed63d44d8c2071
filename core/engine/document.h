/*
 * document.h: from a JSON document to the fields of an indexing buffer: where mapping, analysis and
 * segment meet. One qd_document_writer serves one indexing slot, under the slot's lock; it keeps
 * parser, analysis scratch and field numbers from document to document, so that steady indexing
 * allocates nothing.
 */
#ifndef QD_ENGINE_DOCUMENT_H
#define QD_ENGINE_DOCUMENT_H

#include "engine/engine.h"
#include "mapping/doc_parser.h"

typedef struct qd_document_writer qd_document_writer;

/* Makes a writer charged to account. NULL when out of memory. [any] */
QD_MUST_CHECK
qd_document_writer *qd_document_writer_make(qd_account *account);
/* Frees it; NULL is fine. [any] */
void qd_document_writer_free(qd_document_writer *w);

/*
 * Parses op's source under m and fills the open document of b (life `unit`). 0: filled. 1: the
 * mapping lacks fields, result (zeroed by the caller; its reference to merged is the caller's) says
 * which, and nothing may be kept of the document. Negative: the document's error, in
 * Elasticsearch's words. [worker]
 */
QD_MUST_CHECK
int qd_document_write(qd_document_writer *w, const qd_mapping *m, uint64_t unit, qd_buffer *b,
                      const qd_engine_op *op, qd_doc_result *result, qd_err *err);

/* What a segment keeps of a mapped field. */
void qd_document_field_info(const qd_field *f, qd_field_info *out);

/* Names of the engine's own fields. */
#define QD_FIELD_NAME_ID "_id"
#define QD_FIELD_NAME_SEQ_NO "_seq_no"
#define QD_FIELD_NAME_PRIMARY_TERM "_primary_term"
#define QD_FIELD_NAME_VERSION "_version"
#define QD_FIELD_NAME_ROUTING "_routing"
#define QD_FIELD_NAME_FIELD_NAMES "_field_names"
#define QD_FIELD_NAME_IGNORED "_ignored"
/* Values of stored fields that are not in _source, as JSON; no mapping can name it. */
#define QD_FIELD_NAME_STORED "..stored"

#endif
