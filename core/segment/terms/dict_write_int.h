/*
 * dict_write_int.h: writes the dictionary of one field: front-coded blocks of 32 terms into the
 * TERMS spool, and the resident index of their heads.
 */
#ifndef QD_SEGMENT_DICT_WRITE_INT_H
#define QD_SEGMENT_DICT_WRITE_INT_H

#include "base/vec.h"
#include "segment/format_int.h"
#include "segment/postings/spool_int.h"
#include "segment/terms.h"

/* What META keeps of an indexed field. */
typedef struct qdi_field_terms {
    uint64_t terms, sum_df, sum_ttf;
    uint32_t docs;
    uint64_t terms_at, terms_len; /* in TERMS */
    uint64_t index_at, index_len; /* in TERM_INDEX */
    qd_str min, max;              /* in the writer's arena, until its fini */
    bool has_norms;
    uint64_t norms_at; /* in NORMS */
} qdi_field_terms;

typedef struct qdi_dict_writer {
    qdi_spool *spool;
    qd_buf *index; /* TERM_INDEX of all fields */
    qd_account *account;
    uint8_t options;    /* qd_index_options of the field */
    uint64_t field_at;  /* where the field begins in TERMS */
    uint64_t terms;     /* so far */
    qd_buf text, stats; /* of the block under construction */
    qd_buf last;        /* the last term */
    qd_buf first;       /* the field's first term */
    uint32_t in_block;
    uint64_t postings, positions, offsets; /* where the block's data begin */
    qd_buf separators;
    QD_VEC(uint32_t) separator_end;
    QD_VEC(uint64_t) block_at; /* from field_at */
    qd_buf block;              /* a block put together */
} qdi_dict_writer;

/* Prepares an empty writer. */
void qdi_dict_init(qdi_dict_writer *d, qdi_spool *spool, qd_buf *index, qd_account *account);
/* Begins a field. */
void qdi_dict_field(qdi_dict_writer *d, uint8_t options);
/* Adds the next term, greater than the one before; t's places are those of its data. QD_E_NOMEM,
 * QD_E_IO. */
QD_MUST_CHECK
int qdi_dict_term(qdi_dict_writer *d, qd_str text, const qd_term *t, qd_err *err);
/* Ends the field: fills terms, places, min and max (views good until the next field). */
QD_MUST_CHECK
int qdi_dict_field_end(qdi_dict_writer *d, qdi_field_terms *out, qd_err *err);
/* Frees. */
void qdi_dict_fini(qdi_dict_writer *d);

#endif
