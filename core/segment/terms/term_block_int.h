/*
 * term_block_int.h: reading one block of the dictionary: texts and statistics as two streams.
 */
#ifndef QD_SEGMENT_TERM_BLOCK_INT_H
#define QD_SEGMENT_TERM_BLOCK_INT_H

#include "segment/segment_int.h"
#include "segment/terms.h"

#define QDI_WALK_BYTES 64u /* bytes that cost a walk as much as a term */

typedef struct qdi_block {
    const qd_segment *segment;
    uint32_t field;
    uint32_t docs;
    uint8_t options;
    const uint8_t *begin;
    uint64_t at;                           /* of the block in TERMS, for errors */
    const uint8_t *text, *text_end;        /* next entry; end of the texts */
    const uint8_t *stats, *end;            /* next statistics; end of the block */
    uint64_t postings, positions, offsets; /* running places */
} qdi_block;

/* Where block i of the field lies in TERMS. */
void qdi_block_place(const qdi_field_terms *t, const uint8_t *index, uint64_t i, uint64_t *at,
                     uint64_t *len);
/* Separator of block i: all terms before the block are smaller, none in it. */
qd_str qdi_block_separator(const qdi_field_terms *t, const uint8_t *index, uint64_t i);
/* The block that holds text if any does: the last one whose separator is <= text. */
uint64_t qdi_block_find(const qdi_field_terms *t, const uint8_t *index, qd_str text);
/* The same where it is known to be block lo or a later one, likely a near one. */
uint64_t qdi_block_find_from(const qdi_field_terms *t, const uint8_t *index, uint64_t lo,
                             qd_str text);
/* Reads a block's head. QD_E_CORRUPT. */
QD_MUST_CHECK
int qdi_block_open(qdi_block *b, const qd_segment *s, uint32_t field, uint64_t at, const uint8_t *p,
                   uint64_t n, qd_err *err);
/* Reads the next entry of the texts: bytes shared with the term before, and the rest. QD_E_CORRUPT.
 */
QD_MUST_CHECK
int qdi_block_text(qdi_block *b, uint32_t *shared, qd_str *rest, qd_err *err);
/* Reads the next statistics. QD_E_CORRUPT. */
QD_MUST_CHECK
int qdi_block_stats(qdi_block *b, qd_term *out, qd_err *err);

/* A wildcard pattern's parts: what a text has at its beginning, its end and between. */
typedef struct qdi_term_parts {
    size_t prefix;       /* bytes that are known to be right at the beginning; head, if any, */
    qd_str head, suffix; /* begins there too */
    size_t literal;      /* the suffix's bytes behind its last QD_TERM_ANY */
    const qd_str *inner;
    uint32_t ninner;
    bool plain; /* no QD_TERM_ANY in inner */
} qdi_term_parts;

/* The parts of a range. */
qdi_term_parts qdi_term_parts_of(const qd_term_range *r);
/* Does a text have them all, one behind the other? */
bool qdi_term_has_parts(const qdi_term_parts *x, qd_str text);
/* Does a text lie between the range's bounds, with its prefix and its parts? The automaton is not
 * asked. */
static inline bool qdi_term_between(const qd_term_range *r, const qdi_term_parts *parts,
                                    qd_str text)
{
    int from = qd_str_cmp(text, r->from), to = r->has_to ? qd_str_cmp(text, r->to) : -1;
    if (from < 0 || (from == 0 && r->from_exclusive)) return false;
    if (to > 0 || (to == 0 && !r->to_inclusive)) return false;
    return qd_str_starts(text, r->prefix) && qdi_term_has_parts(parts, text);
}

#endif
