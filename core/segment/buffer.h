/*
 * buffer.h: the indexing buffer of one slot. Documents go in field by field, batches of words at a
 * time; a flush makes one segment file of them and the buffer is used again, its pages kept.
 *
 * A document is begun, filled and committed, or aborted without a trace. Documents are numbered in
 * the order they were begun; aborted ones use no number. Nothing here is searchable before the
 * flush. One thread at a time; a slot belongs to one worker while it writes.
 *
 * Words are kept as one stream of term ids a field (4 bytes a word), sorted once at flush by
 * counting; see docs/format.md and core/segment/README.md for the measured reasons.
 */
#ifndef QD_SEGMENT_BUFFER_H
#define QD_SEGMENT_BUFFER_H

#include "base/err.h"
#include "base/mem.h"
#include "segment/parts.h"
#include "segment/schema.h"
#include "store/store.h"

typedef struct qd_buffer qd_buffer;

#define QD_TERM_SLACK 16u /* bytes readable behind the last byte of a batch's text */

/*
 * The words of one value of a text field, as arrays from analysis. Word i is text[off[i] ..
 * +len[i]), valid UTF-8. Positions start at -1 before a document's first word of the field and grow
 * by pos_inc[i] (NULL: all 1); the first word of the field in a document must not have 0.
 * first_position_gap is added before the first word (the position_increment_gap between values,
 * plus holes left by removed words at the end of the value before); with n = 0 it is carried to the
 * next batch of the field and document. start and end are offsets in UTF-16 units from the
 * beginning of the field's first value, needed for QD_INDEX_OFFSETS only; start never falls.
 */
typedef struct qd_term_batch {
    const char *text;        /* QD_TERM_SLACK bytes readable behind the last word */
    const uint32_t *off;     /* n */
    const uint16_t *len;     /* n, bytes, at least 1 */
    const uint32_t *pos_inc; /* n, or NULL */
    const uint32_t *start;   /* n, or NULL */
    const uint32_t *end;     /* n, or NULL */
    uint32_t n;
    uint32_t first_position_gap;
    bool overlaps; /* words that stand where the one before does count for the length */
} qd_term_batch;

/* What a segment says of itself beside its documents; goes into its META section. */
typedef struct qd_segment_attrs {
    int64_t min_seq_no, max_seq_no; /* of the operations inside; -1 when there are none */
    qd_str user;                    /* at most 64 KiB, the engine's own, given back as it came */
    uint8_t stored_codec;           /* qd_stored_codec of stored.h */
    bool sparse_bitmaps;            /* also bitmaps for terms in N/16 to N/7 of the documents */
} qd_segment_attrs;

/* Makes an empty buffer charged to account (the slot's; its limit is the indexing budget, reaching
 * it fails the document with QD_E_BREAKER). [worker] QD_E_NOMEM. */
QD_MUST_CHECK
int qd_buffer_create(qd_account *account, qd_buffer **out, qd_err *err);
/* Frees it and its pages; NULL is fine. [worker] */
void qd_buffer_destroy(qd_buffer *b);

/* Chooses how sources are stored (qd_stored_codec; default QD_STORED_DEFAULT, QD_STORED_NONE drops
 * them); only while the buffer is empty. A flush with another codec in its attributes changes it
 * from the next reset on. [worker] */
void qd_buffer_stored_codec(qd_buffer *b, uint8_t codec);

/* Finds or adds the field called info->name; *field is its number in this buffer until the next
 * qd_buffer_reset. A known field takes over wider settings only where nothing was written yet,
 * otherwise they must be equal. [worker] QD_E_ARG (differs), QD_E_LIMIT (over 65,535), QD_E_NOMEM.
 */
QD_MUST_CHECK
int qd_buffer_field(qd_buffer *b, const qd_field_info *info, uint32_t *field, qd_err *err);

/* Begins the next document; *doc (may be NULL) gets its number in the segment to come. [worker]
 * QD_E_LIMIT at QD_DOCS_MAX. */
QD_MUST_CHECK
int qd_buffer_doc_begin(qd_buffer *b, uint32_t *doc, qd_err *err);
/* Ends the document well. On failure it must be aborted. [worker] QD_E_NOMEM, QD_E_BREAKER. */
QD_MUST_CHECK
int qd_buffer_doc_commit(qd_buffer *b, qd_err *err);
/* Takes back all that was added since qd_buffer_doc_begin. [worker] */
void qd_buffer_doc_abort(qd_buffer *b);

/* Inverts one value's words; may be called again for further values of the field. On failure the
 * document must be aborted. [worker] QD_E_ARG for words over QD_TERM_BYTES_MAX, falling offsets, a
 * first increment of 0; QD_E_NOMEM, QD_E_BREAKER. */
QD_MUST_CHECK
int qd_buffer_terms(qd_buffer *b, uint32_t field, const qd_term_batch *batch, qd_err *err);
/* Inverts one value as one word (keyword, id, boolean, a field name). No slack needed. [worker] */
QD_MUST_CHECK
int qd_buffer_term(qd_buffer *b, uint32_t field, qd_str term, qd_err *err);
/* Adds n values of an I64 column. [worker] */
QD_MUST_CHECK
int qd_buffer_column_i64(qd_buffer *b, uint32_t field, const int64_t *v, uint32_t n, qd_err *err);
/* Adds one value of an ORDINAL column (any number a document, duplicates are dropped) or the value
 * of a BYTES column (one a document). [worker] */
QD_MUST_CHECK
int qd_buffer_column_bytes(qd_buffer *b, uint32_t field, qd_str v, qd_err *err);
/* Adds n values of an I64 point. [worker] */
QD_MUST_CHECK
int qd_buffer_points_i64(qd_buffer *b, uint32_t field, const int64_t *v, uint32_t n, qd_err *err);
/* Adds one 16-byte value of a B16 point. [worker] */
QD_MUST_CHECK
int qd_buffer_point_b16(qd_buffer *b, uint32_t field, const uint8_t v[16], qd_err *err);
/* Sets the document's stored source; the bytes stay the caller's and must live until commit.
 * [worker] */
QD_MUST_CHECK
int qd_buffer_source(qd_buffer *b, qd_str source, qd_err *err);
/* Sets the document's id: the id index and the BYTES column of the field `_id`, which is made if it
 * is not there; adding the column's value as well is harmless. [worker] */
QD_MUST_CHECK
int qd_buffer_id(qd_buffer *b, qd_str id, qd_err *err);

/* The field has an index part of type t from its next document on; a field that has one already
 * keeps it. conf is borrowed for the call. [worker] The type's errors, QD_E_LIMIT
 * over 1,024. */
QD_MUST_CHECK
int qd_buffer_field_part(qd_buffer *b, uint32_t field, const qd_part_type *t,
                         const qd_field_conf *conf, qd_err *err);
/* Adds the document's value for the field's index part, at most one. On failure the document must
 * be aborted. [worker] The type's errors. */
QD_MUST_CHECK
int qd_buffer_part(qd_buffer *b, uint32_t field, qd_str value, qd_err *err);

/* The buffer of nested documents of the open document at this path (nested.h): those that are begun
 * and committed in it before the document's own commit belong to it, in their order; its abort
 * takes them back. They have neither source nor id. The result is b's. [worker] QD_E_NOMEM. */
QD_MUST_CHECK
int qd_buffer_nested(qd_buffer *b, qd_str path, qd_buffer **out, qd_err *err);
/* Committed nested documents, of all paths and levels. [any: the owner] */
uint64_t qd_buffer_nested_docs(const qd_buffer *b);

/* Committed documents. [any: the owner] */
uint32_t qd_buffer_docs(const qd_buffer *b);
/* Bytes that decide on a flush: what the documents take now plus what sorting them will need. */
uint64_t qd_buffer_bytes(const qd_buffer *b);

/* Writes all documents as the segment `name` (random 128-bit id given by the caller, also inside
 * the name), durable at return if sync, else by a later qd_store_sync; *bytes (may be NULL) gets
 * its length. The buffer keeps its contents until qd_buffer_reset, so that a failed flush may be
 * tried again. [worker] QD_E_STATE without documents; QD_E_IO, QD_E_NOSPACE, QD_E_NOMEM. */
QD_MUST_CHECK
int qd_buffer_flush(qd_buffer *b, qd_store *s, qd_str name, const uint8_t id[16],
                    const qd_segment_attrs *attrs, bool sync, uint64_t *bytes, qd_err *err);
/* Empties the buffer at a cost of what it holds, keeps its pages and forgets its fields. [worker]
 */
void qd_buffer_reset(qd_buffer *b);
/* Gives all kept pages back (an idle slot). Only after reset. [worker] */
void qd_buffer_trim(qd_buffer *b);

#endif
