/*
 * nested_int.h: the tables of nested documents as buffer, flush, merge and check see them.
 */
#ifndef QD_SEGMENT_NESTED_NESTED_INT_H
#define QD_SEGMENT_NESTED_NESTED_INT_H

#include "base/vec.h"
#include "segment/check.h"
#include "segment/nested.h"
#include "segment/segment_int.h"

#define QDI_CHILDREN_HEADER 16u /* parents, children, width of a count, 0: u32 each */
#define QDI_CHILDREN_BLOCK 64u  /* documents above between two bases */

/* Opens the tables that NESTED names. table: number of s itself, 0 of the whole. [worker] */
QD_MUST_CHECK
int qdi_nested_open(qd_segment *s, uint32_t table, qd_err *err);
/* Lets go of them. */
void qdi_nested_close(qd_segment *s);

/* Compares the counts of n, right below above, with its documents. */
QD_MUST_CHECK
int qdi_children_check(const qd_segment *above, const qd_nested *n, qd_check *c, qd_err *err);

/* The count of a document above, as it stands. */
uint32_t qdi_children_count(const qd_children *c, uint32_t parent);

/* Appends a record of NESTED. */
void qdi_nested_record(qd_buf *out, qd_str path, uint32_t table);
/* Writes CHILDREN from counts by document above. [worker] */
QD_MUST_CHECK
int qdi_children_write(const uint32_t *counts, uint32_t parents, qd_file_writer *w,
                       qd_account *account, qd_err *err);
/* A table written after the segment's own data sections: its residents wait for those of all. */
typedef struct qdi_nested_table {
    uint32_t number;
    qdi_residents residents;
} qdi_nested_table;

/* Tables of one file being written, in the order of their numbers. */
typedef struct qdi_nested_tables {
    qd_account *account;
    QD_VEC(qdi_nested_table *) v;
} qdi_nested_tables;

/* The next one; the sections of the file are its from here on. [worker] QD_E_LIMIT, QD_E_NOMEM. */
QD_MUST_CHECK
int qdi_nested_begin(qdi_nested_tables *t, qd_file_writer *w, qdi_nested_table **out, qd_err *err);
/* Writes all residents: own, of the segment itself, first. [worker] */
QD_MUST_CHECK
int qdi_nested_residents(qdi_nested_tables *t, qdi_residents *own, qd_file_writer *w, qd_err *err);
/* Frees. */
void qdi_nested_tables_fini(qdi_nested_tables *t);

#endif
