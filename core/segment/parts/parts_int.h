/*
 * parts_int.h: index parts inside the module: sections written by flush and merge, records in
 * PART_INDEX, the check.
 */
#ifndef QD_SEGMENT_PARTS_INT_H
#define QD_SEGMENT_PARTS_INT_H

#include "base/str.h"
#include "segment/check.h"
#include "segment/format_int.h"
#include "segment/merge_in_int.h"
#include "segment/parts.h"

#define QDI_PARTS_MAX 1024u /* sections from QDI_SEC_PART on */

/* A part of a segment being written: its section is written at once, its record goes to PART_INDEX.
 */
typedef struct qdi_index_parts_writer {
    qd_file_writer *file;
    qd_buf *index; /* PART_INDEX */
    uint32_t n;    /* sections written */
    uint64_t polled;
    int (*poll)(void *arg); /* between writes; NULL: none */
    void *poll_arg;
} qdi_index_parts_writer;

/* The parts of a buffer. One of these stands in each field of it that has a part. */
typedef struct qdi_index_part_buffer {
    qd_part_type type;
    qd_part_buffer *buffer;
} qdi_index_part_buffer;

/* Begins a field's buffer. Errors are the type's. */
QD_MUST_CHECK
int qdi_index_part_begin(qdi_index_part_buffer *b, const qd_part_type *t, const qd_field_conf *conf,
                         qd_err *err);
/* Ends it; one that was never begun is fine. */
void qdi_index_part_end(qdi_index_part_buffer *b);
/* Writes it as the part of field of a segment of so many documents. */
QD_MUST_CHECK
int qdi_index_part_write(const qdi_index_part_buffer *b, uint32_t field, uint32_t docs,
                         qdi_index_parts_writer *w, qd_err *err);
/* Merges the parts of all fields that have one in a source. segments: by source of in. */
QD_MUST_CHECK
int qdi_index_parts_merge(const qdi_merge_in *in, struct qd_segment *const *segments,
                          const qd_part_types *types, qdi_index_parts_writer *w, qd_err *err);
/* Has any of the sources a part? */
bool qdi_index_parts_any(struct qd_segment *const *segments, uint32_t n);
/* Does the plugin read the part's version? QD_E_FORMAT_OLD, QD_E_FORMAT_NEW. */
QD_MUST_CHECK
int qdi_index_part_readable(const qd_part_type *t, const qd_part_info *i, qd_err *err);
/* Reads PART_INDEX of an open segment, after its META. */
QD_MUST_CHECK
int qdi_index_parts_open(struct qd_segment *s, qd_err *err);
/* Checks all parts: records, and their bytes by types that types knows. */
QD_MUST_CHECK
int qdi_index_parts_check(struct qd_segment *s, qd_check *c, qd_err *err);

#endif
