/*
 * schema.h: what a segment knows of a field. Names and encoded values only: types, JSON and
 * analysis stay above (mapping, analysis); scores stay above (search).
 */
#ifndef QD_SEGMENT_SCHEMA_H
#define QD_SEGMENT_SCHEMA_H

#include <quidditch/types.h>

/* What is kept of a term's occurrence in a document; each level includes those before it. */
typedef enum qd_index_options {
    QD_INDEX_NONE = 0,
    QD_INDEX_DOCS = 1,      /* documents only */
    QD_INDEX_FREQS = 2,     /* and how often */
    QD_INDEX_POSITIONS = 3, /* and where, as token positions */
    QD_INDEX_OFFSETS = 4    /* and start and end in UTF-16 units */
} qd_index_options;

/* A field's values by document (doc values), any number of values a document. */
typedef enum qd_column_type {
    QD_COLUMN_NONE = 0,
    QD_COLUMN_I64 = 1,     /* sorted within a document; doubles and floats as sortable integers */
    QD_COLUMN_ORDINAL = 2, /* byte strings by ordinal in byte order, a sorted set a document */
    QD_COLUMN_BYTES = 3    /* one byte string a document, unsorted (ids, binary) */
} qd_column_type;

/* One-dimensional points for ranges. */
typedef enum qd_point_type {
    QD_POINT_NONE = 0,
    QD_POINT_I64 = 1, /* signed 64-bit */
    QD_POINT_B16 = 2  /* 16 bytes in byte order (IPv6) */
} qd_point_type;

typedef struct qd_field_info {
    qd_str name;    /* at most 65,535 bytes */
    uint8_t index;  /* qd_index_options */
    uint8_t norms;  /* 1: one length byte a document (Lucene's SmallFloat) */
    uint8_t column; /* qd_column_type */
    uint8_t point;  /* qd_point_type */
} qd_field_info;

#define QD_DOCS_MAX 0x7fffff00u  /* documents in one segment */
#define QD_TERM_BYTES_MAX 32766u /* bytes of one term */

#endif
