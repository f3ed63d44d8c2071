/*
 * buffer_int.h: what an indexing slot holds of each field.
 */
#ifndef QD_SEGMENT_BUFFER_INT_H
#define QD_SEGMENT_BUFFER_INT_H

#include "base/map.h"
#include "segment/buffer/stream_int.h"
#include "segment/buffer/term_table_int.h"
#include "segment/columns/columns_int.h"
#include "segment/parts/parts_int.h"
#include "segment/points/points_int.h"
#include "segment/stored/stored_int.h"

#define QDI_BUFFER_MAGIC 0x51446275u
#define QDI_NO_TERM UINT32_MAX

/* A word whose position is not one more than that of the word before. */
typedef struct qdi_gap {
    uint32_t word; /* number in the field's stream */
    uint32_t inc;
} qdi_gap;

typedef struct qdi_buffer_field {
    qd_field_info info; /* name is the map's key */
    bool wrote;         /* since the last reset */
    uint32_t first;     /* wrote: the document that did first */

    /* words: ids in order; documents and counts follow from the order */
    qdi_term_table table;
    qdi_stream stream, starts, ends;
    QD_VEC(uint32_t) docs;  /* that have the field */
    QD_VEC(uint32_t) words; /* of each */
    QD_VEC(uint8_t) norms;  /* of each */
    QD_VEC(qdi_gap) gaps;
    uint32_t max_position; /* of any document */

    qdi_column_buffer *column;
    qdi_points_buffer *points;
    qdi_index_part_buffer part; /* buffer NULL: none */
    bool column_ids;            /* the ORDINAL column keeps ids of table */

    /* the document being added */
    bool touched;
    uint64_t mark; /* words before it */
    size_t gaps_mark;
    uint32_t length;   /* words with an increment above 0 */
    uint32_t position; /* of the last word, UINT32_MAX before the first */
    uint32_t gap;      /* carried to the next batch */
    uint32_t start;    /* of the last word */
    uint32_t last_id;  /* of the last word by qd_buffer_term */
} qdi_buffer_field;

/* A document with nested ones, and how many. */
typedef struct qdi_nested_count {
    uint32_t doc, n;
} qdi_nested_count;

/* Nested documents of one path. */
typedef struct qdi_nested_buffer {
    qd_str path; /* own */
    qd_buffer *b;
    QD_VEC(qdi_nested_count) counts;
    uint32_t mark; /* those of committed documents: the sum of counts */
} qdi_nested_buffer;

struct qd_buffer {
    uint32_t magic;
    qd_account *account;
    qdi_chunk_pool pool;
    qd_map by_name;                    /* -> qdi_buffer_field */
    QD_VEC(qdi_buffer_field *) fields; /* by number */
    QD_VEC(uint32_t) touched;          /* fields of the document being added */
    uint32_t docs;
    bool in_doc, has_ids;
    uint32_t id_field, id_doc; /* the document whose id was set last */
    qd_str source;             /* of the document being added; p NULL: none */
    qdi_stored_buffer *stored;
    uint8_t stored_codec, next_codec; /* now; from the next reset on */

    /* kept over flushes: sort space, arrays of one term */
    void *space;
    size_t space_cap;
    uint64_t words; /* of all fields */
    QD_VEC(qdi_nested_buffer *) nested;
};

/* The field with its marks set for this document. QD_E_NOMEM. */
QD_MUST_CHECK
int qdi_buffer_touch(qd_buffer *b, uint32_t field, qdi_buffer_field **out, qd_err *err);
/* Takes the words since the field's marks out of the counts. */
void qdi_buffer_forget_words(qd_buffer *b, qdi_buffer_field *f);

/* nested.c: what becomes of nested documents at the end of the one above, and of all. */
void qdi_buffer_nested_commit(qd_buffer *b);
void qdi_buffer_nested_abort(qd_buffer *b);
void qdi_buffer_nested_reset(qd_buffer *b);
void qdi_buffer_nested_free(qd_buffer *b);
/* Their share of qd_buffer_bytes. */
uint64_t qdi_buffer_nested_bytes(const qd_buffer *b);
/* Takes back the documents from number `docs` on; only nested ones are, after their commit. */
void qdi_buffer_cut(qd_buffer *b, uint32_t docs);
/* Room of at least n bytes (uninitialised), good until the next call; NULL when out of memory. */
void *qdi_buffer_space(qd_buffer *b, size_t n);

#endif
