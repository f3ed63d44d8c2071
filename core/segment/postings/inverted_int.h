/*
 * inverted_int.h: the writer of the inverted part of a segment. Flush and merge feed it
 * field by field, term by term in byte order, with documents, frequencies, positions and offsets in
 * document order and pieces of any size; so both give the same bytes.
 *
 * Postings go to the file as they come, one term at a time in memory; positions, offsets, terms and
 * norms wait in spools. One thread at a time.
 */
#ifndef QD_SEGMENT_INVERTED_INT_H
#define QD_SEGMENT_INVERTED_INT_H

#include "base/arena.h"
#include "segment/postings/impact_int.h"
#include "segment/postings/packed_int.h"
#include "segment/terms/dict_write_int.h"

/* Flags of a term of more than one block. */
enum {
    QDI_TERM_CLASSES = 1u << 0,
    QDI_TERM_RANGES = 1u << 1,
    QDI_TERM_BITMAP = 1u << 2,
    QDI_TERM_DOCS_IN_BITMAP = 1u << 3 /* no packed documents */
};
#define QDI_TERM_HEADER 16u /* flags, levels, pairs (u16), 4 zero bytes, data bytes (u64) */

typedef struct qdi_inverted {
    qd_file_writer *file;
    qd_account *account;
    uint32_t docs;
    bool sparse_bitmaps;
    bool begun;                                          /* section POSTINGS is open */
    int (*step)(void *arg, uint64_t bytes, qd_err *err); /* NULL: none; bytes since the last call */
    void *step_arg;
    uint64_t stepped;
    qdi_spool positions, offsets, terms, norms;
    qd_buf term_index;
    qdi_dict_writer dict;
    qdi_impacts impacts;

    uint8_t options; /* of the field */
    qdi_field_terms *field;

    /* the term under construction */
    uint32_t df, df_most, last;
    uint64_t ttf;
    bool classes, ranges, bitmap;
    uint32_t block_docs[QD_BLOCK], block_freqs[QD_BLOCK]; /* pending in post, as they came */
    qdi_packed post, pos, offs;
    QD_VEC(uint32_t) block_last;
    QD_VEC(uint32_t) pos_before;
    uint64_t *bits; /* docs rounded up to 512 */
    qd_buf head;
    QD_VEC(uint8_t) cls;
    qd_arena names; /* least and greatest terms of fields */
} qdi_inverted;

/* Prepares: the file is created, no section is open. name: for the spools. QD_E_NOMEM. */
QD_MUST_CHECK
int qdi_inverted_init(qdi_inverted *x, qd_file_writer *file, qd_store *s, qd_str name,
                      uint32_t docs, bool sparse_bitmaps, qd_account *account, qd_err *err);
/* Begins a field; norms (docs bytes, or NULL) live until its end. out is filled until then. */
QD_MUST_CHECK
int qdi_inverted_field(qdi_inverted *x, const qd_field_info *info, const uint8_t *norms,
                       qdi_field_terms *out, qd_err *err);
/* Begins a term with at most df_most documents. */
void qdi_inverted_term(qdi_inverted *x, uint32_t df_most);
/* Adds postings: ascending documents behind those before; freqs NULL: all 1. */
QD_MUST_CHECK
int qdi_inverted_postings(qdi_inverted *x, const uint32_t *docs, const uint32_t *freqs, uint32_t n,
                          qd_err *err);
/* Adds positions: n deltas (a document's first one from 0). */
QD_MUST_CHECK
int qdi_inverted_positions(qdi_inverted *x, const uint32_t *deltas, uint32_t n, qd_err *err);
/* Adds offsets: n deltas of starts (a document's first from 0) and lengths. */
QD_MUST_CHECK
int qdi_inverted_offsets(qdi_inverted *x, const uint32_t *starts, const uint32_t *lengths,
                         uint32_t n, qd_err *err);
/* Ends the term; one without documents leaves no trace. text is greater than the term before. */
QD_MUST_CHECK
int qdi_inverted_term_end(qdi_inverted *x, qd_str text, qd_err *err);
/* Ends the field; docs: documents with at least one term. */
QD_MUST_CHECK
int qdi_inverted_field_end(qdi_inverted *x, uint32_t docs, qd_err *err);
/* Ends POSTINGS and writes POSITIONS, OFFSETS, TERMS and NORMS; term_index holds the resident
 * section's bytes for the caller. */
QD_MUST_CHECK
int qdi_inverted_finish(qdi_inverted *x, qd_err *err);
/* After finish: the bytes of the term index, which are *to's from here on. */
void qdi_inverted_take_index(qdi_inverted *x, qd_buf *to);
/* Frees; after a failure as well. */
void qdi_inverted_fini(qdi_inverted *x);

/* Bytes between the begin of a term's data and the alignment its form asks for. */
static inline uint64_t qdi_align(uint64_t at, uint64_t count)
{
    return count > QD_BLOCK ? (at + 7) & ~(uint64_t)7 : at;
}
/* Is the term's frequency high enough for range classes, a bitmap, a bitmap instead of documents?
 */
static inline bool qdi_term_frequent(uint64_t df, uint32_t docs, uint32_t divisor)
{
    return df >= QD_IMPACT_MIN_DF && df * divisor >= docs;
}

#endif
