/*
 * source_int.h: one source of a merge read from front to back: the terms of one field in order, and
 * their data through windows that only move forward.
 */
#ifndef QD_SEGMENT_MERGE_SOURCE_INT_H
#define QD_SEGMENT_MERGE_SOURCE_INT_H

#include "segment/postings/postings_int.h"
#include "segment/terms/term_block_int.h"

/* A stretch of a section that is fetched and pinned; 1 MiB or one term's data if that is more. */
typedef struct qdi_window {
    qd_segment *segment;
    uint32_t section;
    qd_arena arena;
    qd_reads *reads;
    uint64_t bytes; /* of the section */
    uint64_t from, len;
    const uint8_t *p;
} qdi_window;

/* Starts; absent sections are fine until something is asked of them. QD_E_NOMEM. */
QD_MUST_CHECK
int qdi_window_open(qdi_window *w, qd_segment *s, uint32_t section, qd_account *a, qd_err *err);
/* [at, at + n) of the section, with slack bytes behind; valid until the next call. QD_E_CORRUPT. */
QD_MUST_CHECK
int qdi_window_get(qdi_window *w, uint64_t at, uint64_t n, uint64_t slack, const uint8_t **p,
                   qd_err *err);
/* Frees. */
void qdi_window_close(qdi_window *w);

typedef struct qdi_source {
    qd_segment *segment;
    qd_account *account;
    uint32_t number;     /* among the sources */
    uint32_t base;       /* new number of its first live document */
    const uint32_t *map; /* old -> new, UINT32_MAX: gone; NULL: base + old */
    qdi_window terms, postings, positions, offsets;

    /* the walk over one field */
    const qdi_field_terms *field;
    uint32_t field_number;
    uint64_t next_block, blocks;
    qdi_block block;
    bool in_block;
    qd_buf text;
    uint64_t head; /* first eight bytes of text, big-endian, for comparing */
    qd_term term;
    qd_postings view;
} qdi_source;

/* Prepares. */
QD_MUST_CHECK
int qdi_source_open(qdi_source *s, qd_segment *segment, qd_account *a, qd_err *err);
/* Goes to the field's beginning (QD_FIELD_NONE: there is nothing). */
void qdi_source_field(qdi_source *s, uint32_t field);
/* The next term: 1, or 0 at the end of the field. QD_E_CORRUPT. */
QD_MUST_CHECK
int qdi_source_next(qdi_source *s, qd_err *err);
/* Opens the present term's postings with positions and offsets as wanted into s->view. */
QD_MUST_CHECK
int qdi_source_postings(qdi_source *s, qd_index_options want, qd_err *err);
/* Frees. */
void qdi_source_close(qdi_source *s);
/* Order of the present terms, then of the sources. */
bool qdi_source_less(const qdi_source *a, const qdi_source *b);
/* Same present term? */
bool qdi_source_same(const qdi_source *a, const qdi_source *b);

#endif
