/*
 * wire.h: operations, their results and reads of documents as they travel between nodes.
 */
#ifndef QD_ACTION_DOCS_WIRE_H
#define QD_ACTION_DOCS_WIRE_H

#include "action/documents/documents_int.h"
#include "rpc/codec.h"
#include "rpc/rpc.h"

#define QDI_WIRE_ITEMS_MAX 100000u

/* What all operations of a request share. */
typedef struct doc_wire_head {
    uint64_t revision;  /* newest of the records by which they were placed */
    int64_t timeout_ms; /* what is left */
    int64_t active;     /* wait_for_active_shards */
    uint32_t n;
} doc_wire_head;

/* Writes the head and which of items are meant (pick: n numbers). */
void qdi_wire_items(qd_writer *w, const doc_wire_head *h, const doc_item *items,
                    const uint32_t *pick);
/* Reads them into the arena; text stays where the bytes are. QD_E_CORRUPT. */
QD_MUST_CHECK
int qdi_wire_items_read(qd_str body, uint16_t version, qd_arena *arena, doc_wire_head *h,
                        doc_item **items, qd_err *err);
/* Writes the results of n items. */
void qdi_wire_results(qd_writer *w, const doc_item *items, uint32_t n);
/* Reads them into the picked items; what they point to is in arena. QD_E_CORRUPT. */
QD_MUST_CHECK
int qdi_wire_results_read(qd_str body, uint16_t version, qd_arena *arena, doc_item *items,
                          const uint32_t *pick, uint32_t n, qd_err *err);

/* Writes the picked reads behind the newest revision of the records they were placed by. */
void qdi_wire_gets(qd_writer *w, uint64_t revision, const doc_read *reads, const uint32_t *pick,
                   uint32_t n);
/* Reads them into the arena; text stays where the bytes are. */
QD_MUST_CHECK
int qdi_wire_gets_read(qd_str body, uint16_t version, qd_arena *arena, uint64_t *revision,
                       doc_read **reads, uint32_t *n, qd_err *err);
/* Writes what one read gave: rc 0 and doc, or err. */
void qdi_wire_got(qd_writer *w, int rc, const qd_engine_doc *doc, const qd_err *err);
/* Reads one; the document is copied into arena. Returns its rc with err set, or QD_E_CORRUPT. */
int qdi_wire_got_read(qd_body_reader *r, qd_arena *arena, qd_engine_doc *doc, qd_err *err);

/* Writes and reads marks: shards to be refreshed. */
void qdi_wire_marks(qd_writer *w, bool wait, const doc_mark *marks, const uint32_t *pick,
                    uint32_t n);
/* Reads them into the arena. */
QD_MUST_CHECK
int qdi_wire_marks_read(qd_str body, uint16_t version, doc_marks *out, qd_err *err);

/* What a node does for another: QD_ACTION_DOCS_WRITE, _GET, _REFRESH; arg is the qd_actions. */
void qdi_docs_write_handle(void *arg, qd_rpc_request *request);
/* The same for reads. */
void qdi_docs_get_handle(void *arg, qd_rpc_request *request);
/* The same for refreshes. */
void qdi_docs_refresh_handle(void *arg, qd_rpc_request *request);

#endif
