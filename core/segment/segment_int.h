/*
 * segment_int.h: an open segment, and META, which says what is in it.
 */
#ifndef QD_SEGMENT_SEGMENT_INT_H
#define QD_SEGMENT_SEGMENT_INT_H

#include "base/arena.h"
#include "base/str.h"
#include "runtime/sync.h"
#include "segment/format_int.h"
#include "segment/parts.h"
#include "segment/segment.h"
#include "segment/terms/dict_write_int.h"
#include <stdatomic.h>

/* Opens what stands in file, of which it takes a reference. [worker] As qd_segment_open. */
QD_MUST_CHECK
int qdi_segment_open(qd_file *file, qd_account *account, uint32_t table, qd_segment **out,
                     qd_err *err);

#define QDI_SEGMENT_MAGIC 0x53514d47u

struct qd_segment {
    uint32_t magic;
    _Atomic uint32_t refs;
    qd_file *file;
    qd_account *account;
    qd_arena arena; /* fields, names, statistics */
    uint32_t docs, nfields;
    qd_segment_attrs attrs;
    qd_str writer; /* version that wrote it */
    qd_field_info *fields;
    qdi_field_terms *terms; /* by field; zero without index */
    qd_index_stats *stats;
    const uint8_t *term_index; /* resident */
    uint64_t term_index_len;
    qd_columns *columns;
    qd_points_set *points;
    qd_stored *stored;
    qd_ids *ids;
    qd_part_info *parts; /* by field; nparts */
    uint32_t nparts;
    struct qd_nested *nested; /* by path; nnested */
    uint32_t nnested;
    qd_mutex fielddata_lock; /* the list alone; held shortly */
    struct qdi_fielddata *fielddata;
    struct qdi_overlay *overlay; /* NULL: it is its file */
};

/* Bytes of the resident sections, gathered while the others are written. */
typedef struct qdi_residents {
    qd_buf terms, columns, points, stored, parts, nested, meta;
} qdi_residents;

/* Empty buffers. */
void qdi_residents_init(qdi_residents *r, qd_account *account);
/* Writes the resident sections, the term index (terms) first and META last; empty ones are left
 * out.
 */
QD_MUST_CHECK
int qdi_residents_write(qdi_residents *r, qd_file_writer *w, qd_err *err);
/* Frees. */
void qdi_residents_fini(qdi_residents *r);
/* Appends META's bytes. */
void qdi_meta_write(qd_buf *out, uint32_t docs, const qd_segment_attrs *attrs,
                    const qd_field_info *fields, const qdi_field_terms *terms, uint32_t nfields);
/* Reads META into s (file and arena are set). QD_E_CORRUPT, QD_E_NOMEM. */
QD_MUST_CHECK
int qdi_meta_read(qd_segment *s, const uint8_t *p, uint64_t n, qd_err *err);
/* Blocks of terms that so many terms take. */
static inline uint64_t qdi_term_blocks(uint64_t terms)
{
    return terms / QD_TERMS_PER_BLOCK + (terms % QD_TERMS_PER_BLOCK != 0);
}
/* Records that TERMS, POSTINGS ... of s are impossible at offset. */
static inline int qdi_corrupt(const qd_segment *s, uint32_t section, uint64_t offset,
                              const char *what, qd_err *err)
{
    return qd_file_corrupt(s->file, section, offset, err, what);
}

#endif
