/*
 * column_walk_int.h: a whole column in order, document by document: merge, check, ids.
 */
#ifndef QD_SEGMENT_COLUMN_WALK_INT_H
#define QD_SEGMENT_COLUMN_WALK_INT_H

#include "base/arena.h"
#include "base/vec.h"
#include "segment/columns/column_reader_int.h"

typedef struct qdi_column_walk {
    const qd_column *c;
    qd_account *account;
    qd_arena arena; /* of the heads in hand */
    qd_reads *reads;
    qd_column_reader *rd;
    uint32_t head, heads_end; /* next head; end of those fetched */
    uint32_t at, ndocs;       /* in the block */
    uint32_t docs[QD_COLUMN_BLOCK];
    QD_VEC(int64_t) values;   /* all of the block, when it has one value a document; else one's */
    qdi_strings_walk strings; /* BYTES */
} qdi_column_walk;

/* Starts before the first document. Close in any case. */
QD_MUST_CHECK
int qdi_column_walk_open(qdi_column_walk *w, const qd_column *c, qd_account *account, qd_err *err);
/* The next document that has values, and these (valid until the next call); *end at the end. BYTES:
 * values is NULL and n is 1. */
QD_MUST_CHECK
int qdi_column_walk_next(qdi_column_walk *w, uint32_t *doc, const int64_t **values, uint32_t *n,
                         bool *end, qd_err *err);
/* BYTES: the next document and its string. */
QD_MUST_CHECK
int qdi_column_walk_string(qdi_column_walk *w, uint32_t *doc, qd_str *s, bool *end, qd_err *err);
/* Frees. */
void qdi_column_walk_close(qdi_column_walk *w);

#endif
