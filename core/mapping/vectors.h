/*
 * vectors.h: fields of vectors: how their mapping tells two vectors apart, and what it lets in.
 */
#ifndef QD_MAPPING_VECTORS_H
#define QD_MAPPING_VECTORS_H

#include "base/err.h"
#include "base/str.h"
#include "mapping/vector_part.h"

/* What the score of a document comes from. */
typedef enum qd_vector_space {
    QD_SPACE_COSINE,
    QD_SPACE_DOT,     /* of unit length, where the elements are floats */
    QD_SPACE_L2,      /* of bits: how many differ, of all */
    QD_SPACE_MAX_DOT, /* any length */
    QD_SPACE_HAMMING, /* how many bits differ */
} qd_vector_space;

typedef struct qd_vector_field {
    uint32_t dims; /* 0: no document has said it yet */
    qd_vector_element element;
    qd_vector_space space;
    bool searched;   /* by knn; false: kept alone */
    bool opensearch; /* errors are in OpenSearch's words */
    /* The index beside the rows; graphed false: there is none. */
    bool graphed, flat; /* flat: codes without a graph */
    uint32_t bits;      /* of codes: 7, 4, 1; 0: none */
    uint32_t m, ef;     /* of the graph */
    uint32_t ef_search; /* candidates of a search that does not say how many; 0: nor does this */
    float confidence;   /* of codes (ann/codes.h) */
    float oversample;   /* of k, how many candidates are measured by their vectors */
} qd_vector_field;

/* Rows of queries are followed by zeros up to a multiple of this many elements (of bits: bytes). */
#define QD_VECTOR_PAD 64u

/* Numbers that a request or document gives for a vector of so many dimensions: bits come as bytes.
 * [any] */
static inline uint32_t qd_vector_numbers(const qd_vector_field *v, uint32_t dims)
{
    return v->element == QD_ELEMENT_BIT ? dims / 8 : dims;
}
/* Dimensions of a vector given by n numbers. [any] */
static inline uint32_t qd_vector_dims(const qd_vector_field *v, uint32_t n)
{
    return v->element == QD_ELEMENT_BIT ? n * 8 : n;
}
/* Most dimensions that the field may have. [any] */
uint32_t qd_vector_dims_max(const qd_vector_field *v);
/* Hexadecimal digits, two a byte, as n numbers; x has room of them, or is NULL: they are counted
 * and checked. QD_E_ARG; QD_E_LIMIT: there are more. [any] */
QD_MUST_CHECK
int qd_vector_hex(qd_str text, float *x, uint32_t room, uint32_t *n, qd_err *err);
/* Makes the row of n numbers in place: x becomes n floats or n bytes. QD_E_ARG for numbers that the
 * elements or the space do not take, in the words of Elasticsearch or OpenSearch. [any] */
QD_MUST_CHECK
int qd_vector_row(const qd_vector_field *v, float *x, uint32_t n, qd_err *err);

#endif
