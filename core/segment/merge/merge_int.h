/*
 * merge_int.h: the state of one merge, shared by its files.
 */
#ifndef QD_SEGMENT_MERGE_INT_H
#define QD_SEGMENT_MERGE_INT_H

#include "segment/merge.h"
#include "segment/merge/source_int.h"
#include "segment/merge_in_int.h"
#include "segment/postings/inverted_int.h"

typedef struct qdi_merge {
    const qd_merge_options *options;
    qd_account *account;
    qd_err *err;
    qd_arena arena; /* maps of fields, schema */
    qd_file_writer *file;
    qdi_source *sources;   /* n */
    qdi_merge_part *parts; /* the same as the other parts see them */
    uint32_t **maps;       /* by source; NULL without deletions */
    uint32_t n, docs;
    bool deletions;
    qd_field_info *fields; /* merged schema */
    qdi_field_terms *terms;
    uint32_t nfields;
    qdi_inverted inverted;
    uint8_t *norms; /* of one field, by new document */
    uint64_t *seen; /* documents of a field without norms, when some are deleted */
    qdi_source **heap;
    uint32_t nheap;
    uint64_t written, section_at; /* for step */
} qdi_merge;

/* Merges the schemas; maps of fields go to parts[i].fields. QD_E_STATE when a field cannot be both.
 */
QD_MUST_CHECK
int qdi_merge_schema(qdi_merge *m);
/* Merges terms, postings and norms of all fields. */
QD_MUST_CHECK
int qdi_merge_inverted(qdi_merge *m);

#endif
