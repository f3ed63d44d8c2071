/*
 * vector_part.h: vectors of a field, one a document at most, as the index part (segment/parts.h) of
 * the built-in types of vectors: rows side by side in the order of documents, read by blocks.
 *
 * Layout, all little-endian: head (16 bytes: dimensions, elements, rows, flags); documents of the
 * rows, 4 bytes each, ascending (absent where every document has one); magnitudes, float each (of
 * FLOAT and BYTE); zeros up to a multiple of 64; rows. docs/format.md has the table.
 */
#ifndef QD_MAPPING_VECTOR_PART_H
#define QD_MAPPING_VECTOR_PART_H

#include "base/str.h"
#include <quidditch/field.h>

typedef enum qd_vector_element {
    QD_ELEMENT_FLOAT,
    QD_ELEMENT_BYTE, /* int8 */
    QD_ELEMENT_BIT   /* dimension d is bit 7 - d % 8 of byte d / 8 */
} qd_vector_element;
#define QD_ELEMENTS 3u

#define QD_VECTOR_DIMS_MAX 32768u /* of any type: bits have most */

/* The functions of the part. What they hold is charged to an account of their own below the root.
 * The value of a document is its row. */
extern const qd_part_vtable qd_vectors_part;
/* The same with codes and a graph behind the rows (ann/graph.h); of the type "vectors.graph", whose
 * merges also take parts of the type "vectors". */
extern const qd_part_vtable qd_vectors_graph_part;

/* Indices of the numbers that begin reads of a field's parameters (qd_field_conf.values). From BITS
 * on of parts with a graph alone, as qd_graph_head has them; CONFIDENCE in f64. */
enum {
    QD_VECTORS_CONF_DIMS,
    QD_VECTORS_CONF_ELEMENT,
    QD_VECTORS_CONF_BITS,
    QD_VECTORS_CONF_FLAT,
    QD_VECTORS_CONF_M,
    QD_VECTORS_CONF_EF,
    QD_VECTORS_CONF_SPACE,
    QD_VECTORS_CONF_THRESHOLD,
    QD_VECTORS_CONF_CONFIDENCE,
    QD_VECTORS_CONF_VALUES
};

/* Bytes of a row. [any] */
static inline uint64_t qd_vectors_row(uint32_t element, uint32_t dims)
{
    return element == QD_ELEMENT_FLOAT  ? (uint64_t)dims * sizeof(float)
           : element == QD_ELEMENT_BYTE ? dims
                                        : dims / 8;
}
/* Length of a vector of FLOAT or BYTE, at any alignment: summed in double, in order. [any] */
float qd_vectors_magnitude(uint32_t element, uint32_t dims, const void *row);

/* The part of a segment, its head checked against its length. */
typedef struct qd_vectors {
    const qd_part_bytes *bytes;
    qd_vector_element element;
    uint32_t dims, rows;
    uint64_t row;                             /* bytes of one */
    uint64_t docs_at, magnitudes_at, rows_at; /* offsets; docs_at 0: row i is of document i */
} qd_vectors;

/* What the open part is; lives as long as the reader. [any] */
const qd_vectors *qd_vectors_of(const qd_part_reader *r);
/* Documents of rows [from, from + n) into docs, checked to be of the segment and ascending; *bytes
 * of the part are pinned until release. [worker] QD_E_CORRUPT, QD_E_IO, QD_E_CANCELLED. */
QD_MUST_CHECK
int qd_vectors_docs(const qd_vectors *v, uint32_t from, uint32_t n, uint32_t *docs, qd_err *err);

#endif
