/*
 * ingest_int.h: pipelines for operations, before they are placed: which ones, where they run, and
 * what they make of an operation.
 */
#ifndef QD_ACTION_DOCS_INGEST_INT_H
#define QD_ACTION_DOCS_INGEST_INT_H

#include "action/documents/documents_int.h"
#include "ingest/ingest.h"
#include "rpc/rpc.h"

/* One operation's part of the work. */
typedef struct doc_ingest {
    uint32_t item;           /* its number */
    qd_str pipeline, final;  /* ids; n 0: none */
    qd_str source;           /* of an update: what of its body is worked on */
    const qd_json_node *doc; /* of an update: where that stands */
} doc_ingest;

/* Runs pipelines on operations of this node, each of which gets its results: the new document, or
 * dropped, or its error. Errors of all: QD_E_NOMEM, QD_E_CANCELLED. */
QD_MUST_CHECK
int qdi_ingest_here(qd_actions *a, qd_task *task, doc_item *items, const doc_ingest *work, size_t n,
                    qd_arena *arena, qd_err *err);
/* The same on a node with the role ingest. */
QD_MUST_CHECK
int qdi_ingest_there(qd_actions *a, qd_state *s, qd_task *task, int64_t timeout_ms, doc_item *items,
                     const doc_ingest *work, size_t n, qd_arena *arena, qd_err *err);
/* What a pipeline has made becomes the operation's; what a pipeline has dropped is done. */
QD_MUST_CHECK
int qdi_ingest_take(doc_item *i, const doc_ingest *w, const qd_ingest_doc *d, qd_arena *arena,
                    qd_err *err);
void qdi_ingest_drop(doc_item *i);
/* Answers QD_ACTION_DOCS_INGEST; arg: the qd_actions. */
void qdi_docs_ingest_handle(void *arg, qd_rpc_request *request);

#endif
