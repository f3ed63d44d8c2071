/*
 * packed_int.h: blocks of 128 values, of one or two streams side by side, packed one after the
 * other with their heads in arrays; and the small loops in front of packing.
 */
#ifndef QD_SEGMENT_PACKED_INT_H
#define QD_SEGMENT_PACKED_INT_H

#include "base/vec.h"
#include "segment/postings.h"

typedef struct qdi_packed {
    uint32_t pending[2][QD_BLOCK]; /* not packed yet */
    uint32_t n;                    /* of them */
    uint8_t *data;
    size_t len, cap;
    QD_VEC(uint32_t) off; /* of blocks, in 16 bytes */
    QD_VEC(uint8_t) bits0;
    QD_VEC(uint8_t) bits1;
} qdi_packed;

/* Empties it, keeps the memory. */
void qdi_packed_reset(qdi_packed *k);
/* Packs what is pending as the next block; all but a term's last one have 128 values. QD_E_NOMEM.
 */
QD_MUST_CHECK
int qdi_packed_block(qdi_packed *k, bool two, qd_account *account);
/* Takes the first streams out of all blocks (values in all). */
void qdi_packed_drop_first(qdi_packed *k, uint64_t values);
/* Frees. */
void qdi_packed_fini(qdi_packed *k);

/* out[i] = docs[i] - docs[i - 1] - 1, the first one against base. */
void qdi_deltas(const uint32_t *docs, uint32_t n, uint32_t base, uint32_t *out);
/* out[i] = in[i] - 1. */
void qdi_minus_one(const uint32_t *in, uint32_t n, uint32_t *out);
/* Sum of n values. */
uint64_t qdi_sum(const uint32_t *in, uint32_t n);

#endif
