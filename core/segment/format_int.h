/*
 * format_int.h: numbers of the segment format in one place: object format, sections, versions.
 * docs/format.md describes the bytes. A number once released is never given another meaning.
 */
#ifndef QD_SEGMENT_FORMAT_INT_H
#define QD_SEGMENT_FORMAT_INT_H

#include "store/file.h"

#define QDI_SEGMENT_FORMAT ((qd_file_format){{"qd-segment", 10}, 3, 1})
/* Version of a segment without index parts: older nodes read it. */
#define QDI_SEGMENT_WITHOUT_PARTS 1u
/* And of one without nested documents. */
#define QDI_SEGMENT_WITHOUT_NESTED 2u
/* The format of a segment to be written. */
static inline qd_file_format qdi_segment_format(bool parts, bool nested)
{
    qd_file_format f = QDI_SEGMENT_FORMAT;
    if (!nested) f.version = parts ? QDI_SEGMENT_WITHOUT_NESTED : QDI_SEGMENT_WITHOUT_PARTS;
    return f;
}
#define QDI_LIVE_FORMAT ((qd_file_format){{"qd-live", 7}, 1, 1})

/* Sections of a segment; those without a byte are left out. The data sections come first (written
 * in the order postings, positions, offsets, terms, norms, columns, ...), the resident ones last,
 * so that a cold open is one range read. */
typedef enum qdi_section {
    QDI_SEC_TERMS = 1,
    QDI_SEC_POSTINGS = 2,
    QDI_SEC_POSITIONS = 3,
    QDI_SEC_OFFSETS = 4,
    QDI_SEC_NORMS = 5,
    QDI_SEC_COLUMN_DICT = 6,
    QDI_SEC_COLUMNS = 7,
    QDI_SEC_POINTS = 8,
    QDI_SEC_STORED = 9,
    QDI_SEC_IDS = 10,
    QDI_SEC_CHILDREN = 11, /* of nested documents: how many each one above has */
    /* resident */
    QDI_SEC_TERM_INDEX = 32,
    QDI_SEC_COLUMN_INDEX = 33,
    QDI_SEC_POINT_INDEX = 34,
    QDI_SEC_STORED_INDEX = 35,
    QDI_SEC_META = 36,
    QDI_SEC_PART_INDEX = 37,
    QDI_SEC_NESTED = 38,
    /* not resident: index parts of field types, one section a part */
    QDI_SEC_PART = 64
} qdi_section;

/* Nested documents stand in tables of their own, numbered from 1 in the file; the sections of table
 * n have ids from n << 16 on. */
#define QDI_NESTED_SECTIONS(table) ((uint32_t)(table) << 16)

/* Sections of a live object. */
typedef enum qdi_live_section {
    QDI_LIVE_SEC_BITS = 1,
    QDI_LIVE_SEC_META = 2 /* resident */
} qdi_live_section;

#define QD_TERMS_PER_BLOCK 32u
#define QD_SEGMENT_FIELDS_MAX 65535u
#define QD_SEGMENT_USER_MAX 65536u

#endif
