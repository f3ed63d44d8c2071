/*
 * codes.h: short codes of float vectors, from which a similarity is estimated without the vector.
 *
 * A vector is taken relative to the mean of its segment (of unit length for cosine): r = x - c. Its
 * code has an unsigned number n of 7, 4 or 1 bits a dimension, which stands for 2n - (2^bits - 1),
 * and a scale s by which the code, projected on r, has r's length: s = |r|^2 / <code, r>. Then
 * s * <q, code> estimates <q, r> without bias, as in RaBitQ (Gao and Long, SIGMOD 2024) and its
 * extension to more bits (Gao et al., SIGMOD 2025). Vectors of 4 and 1 bits are rotated before, by
 * signs and Hadamard transforms, so that no dimension has more of them than others.
 *
 * A record is: float scale, float of its own (L2: -|r|^2, else <c, r>), the numbers. The numbers of
 * a query are signed bytes; all sums of them are exact, so a code gives the same on any processor.
 */
#ifndef QD_MAPPING_CODES_H
#define QD_MAPPING_CODES_H

#include "mapping/ann/vec.h"
#include "mapping/vectors.h"

#define QD_CODE_HEAD 8u /* bytes before the numbers */

typedef struct qd_coding {
    uint32_t bits, dims;
    qd_vector_space space;
    float confidence;    /* share of the numbers of a vector within the range of its code; 0: the
                            range that keeps its direction best */
    const float *centre; /* dims */
} qd_coding;

/* Elements of a query's numbers, zeros behind the last dimension. */
static inline uint32_t qd_coding_padded(const qd_coding *c)
{
    return (c->dims + 1) / 64 * 64 + 2 * QD_VEC_LANES;
}
/* Bytes of a record. [any] */
static inline uint64_t qd_coding_stride(uint32_t bits, uint32_t dims)
{
    uint64_t n = bits == 7 ? dims : bits == 4 ? (dims + 1) / 2 : (dims + 63) / 64 * 8;
    return QD_CODE_HEAD + (n + 7) / 8 * 8;
}

/* Turns v of dims floats, in place; the same for all vectors of so many. [any] */
void qd_coding_rotate(float *v, uint32_t dims);
/* Code of the vector x of this length (cosine divides by it) into out, qd_coding_stride bytes;
 * scratch: 2 * dims floats. [any] */
void qd_coding_encode(const qd_coding *c, const float *x, float length, float *scratch, char *out);

/* A query against codes. */
typedef struct qd_code_query {
    int8_t *q; /* qd_coding_padded */
    int32_t sum;
    float factor; /* of the estimate */
} qd_code_query;

/* Numbers of the query x into out->q, which has room; scratch as above. [any] */
void qd_coding_query(const qd_coding *c, const float *x, float length, float *scratch,
                     qd_code_query *out);
/* Estimates how near the records at places at[0..n) are, but for a number that is the same for all;
 * greater is nearer. sums: room of n. [any] */
void qd_coding_near(const qd_coding *c, const qd_vec_kern *k, const qd_code_query *q,
                    const char *records, const uint32_t *at, uint32_t n, int32_t *sums, float *out);

#endif
