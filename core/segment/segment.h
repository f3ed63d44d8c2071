/*
 * segment.h: an open segment: one immutable framed file, shared by reference count, read by any
 * number of threads. What it says of itself and its fields is resident; terms, postings, columns,
 * points, stored documents and ids are read through the headers named so, by plan, fetch and run.
 */
#ifndef QD_SEGMENT_SEGMENT_H
#define QD_SEGMENT_SEGMENT_H

#include "base/err.h"
#include "segment/buffer.h"
#include "segment/columns.h"
#include "segment/ids.h"
#include "segment/points.h"
#include "segment/schema.h"
#include "segment/stored.h"
#include "store/file.h"
#include "store/reads.h"

typedef struct qd_segment qd_segment;

#define QD_FIELD_NONE UINT32_MAX

/* Statistics of an indexed field; deleted documents count until they are merged away. */
typedef struct qd_index_stats {
    uint64_t terms;   /* different terms */
    uint64_t sum_df;  /* postings */
    uint64_t sum_ttf; /* words; equals sum_df without frequencies */
    uint32_t docs;    /* documents with at least one term */
    qd_str min, max;  /* first and last term, resident; empty without terms */
} qd_index_stats;

/* Opens the segment `name` and checks what is resident. One reference is the caller's. [worker]
 * QD_E_NOTFOUND, QD_E_CORRUPT, QD_E_FORMAT_OLD/NEW, QD_E_IO, QD_E_NOMEM. */
QD_MUST_CHECK
int qd_segment_open(qd_store *s, qd_str name, qd_account *account, qd_segment **out, qd_err *err);
/* One more reference. [any] */
qd_segment *qd_segment_ref(qd_segment *s);
/* One reference less; the last one closes the file. NULL is fine. [any] */
void qd_segment_unref(qd_segment *s);

/* Documents, deleted ones included. [any] */
uint32_t qd_segment_docs(const qd_segment *s);
/* The object's name. [any] */
qd_str qd_segment_name(const qd_segment *s);
/* The random 128-bit id. [any] */
const uint8_t *qd_segment_id(const qd_segment *s);
/* Length of the file. [any] */
uint64_t qd_segment_bytes(const qd_segment *s);
/* Attributes given when it was written. [any] */
const qd_segment_attrs *qd_segment_attributes(const qd_segment *s);
/* The file, for qd_reads_add. [any] */
qd_file *qd_segment_file(const qd_segment *s);

/* Fields, ordered by name. [any] */
uint32_t qd_segment_fields(const qd_segment *s);
/* The i-th field. [any] */
const qd_field_info *qd_segment_field(const qd_segment *s, uint32_t i);
/* Number of the field of that name, QD_FIELD_NONE when absent. [any] */
uint32_t qd_segment_field_find(const qd_segment *s, qd_str name);
/* Statistics of an indexed field (all zero for others). [any] */
const qd_index_stats *qd_segment_index_stats(const qd_segment *s, uint32_t i);

/* The other parts; NULL where the segment has none. They live as long as the segment. [any] */
const qd_columns *qd_segment_columns(const qd_segment *s);
/* Points of all fields. [any] */
const qd_points_set *qd_segment_points(const qd_segment *s);
/* Stored sources. [any] */
const qd_stored *qd_segment_stored(const qd_segment *s);
/* From ids to documents. [any] */
const qd_ids *qd_segment_ids(const qd_segment *s);

/* Adds the field's norms: one byte a document (Lucene's SmallFloat of the length, 0 where the field
 * is absent), QD_FILE_SLACK bytes readable behind. *present is false, and nothing is added, for a
 * field without norms: its norms count as 1. [worker] */
QD_MUST_CHECK
int qd_segment_norms_plan(qd_segment *s, uint32_t field, qd_reads *r, uint32_t *slot, bool *present,
                          qd_err *err);
/* Length that a norm byte stands for (SmallFloat.byte4ToInt). [any] */
uint32_t qd_norm_length(uint8_t norm);
/* The norm byte of a length (SmallFloat.intToByte4). [any] */
uint8_t qd_norm_of(uint32_t length);

#endif
