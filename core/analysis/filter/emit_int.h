/*
 * emit_int.h: filters that write another number of tokens than they read: into the spare batch, one
 * after the other, with all columns that they need.
 */
#ifndef QD_ANALYSIS_EMIT_INT_H
#define QD_ANALYSIS_EMIT_INT_H

#include "analysis/analysis_int.h"

/* The output; s->b stays the input until the end. */
typedef struct qd_emit {
    qd_analysis *s;
    qd_batch *to;
} qd_emit;

/* One token in full; columns that are not there are left out. */
typedef struct qd_emit_token {
    qd_span term, offset;
    uint32_t inc, length;
    uint8_t type, keyword;
} qd_emit_token;

/* Gives the input the columns `need` (QD_TOKENS_), and the output the input's; end_* are carried
 * over. */
QD_MUST_CHECK
int qd_emit_begin(qd_emit *e, qd_analysis *s, uint32_t need);
/* Room for one more token; its number is e->to->t.n. */
QD_MUST_CHECK
int qd_emit_room(qd_emit *e);
/* Appends token i of the input as it is. */
QD_MUST_CHECK
int qd_emit_copy(qd_emit *e, size_t i);
/* Appends a token. */
QD_MUST_CHECK
int qd_emit_put(qd_emit *e, const qd_emit_token *t);
/* Appends token i of the input with another term and increment. */
QD_MUST_CHECK
int qd_emit_like(qd_emit *e, size_t i, qd_span term, uint32_t inc);
/* Makes the output the batch. Its terms may overlap. */
QD_MUST_CHECK
int qd_emit_end(qd_emit *e);
/* Token i of the input in full. */
qd_emit_token qd_emit_get(const qd_emit *e, size_t i);
/* The length of a term in the unit in which offsets count now: bytes while a chain runs, UTF-16
 * units once they are finished. */
uint32_t qd_offset_length(const qd_analysis *s, qd_span term);
/* A term by its UTF-16 units: the order of Java's chars. */
int qd_units_compare(qd_str a, qd_str b);

#endif
