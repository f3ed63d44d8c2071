/*
 * impact_int.h: impact classes of a term's blocks and ranges, and their frontiers.
 *
 * A pair (freq, norm) dominates another if its frequency is no less and its norm (length) no more:
 * whatever similarity rises with frequency and falls with length gives it at least the same score.
 * Each block and range keeps its Pareto set while the term is written; at the end the sets' best
 * impacts under BM25's default parameters are cut into 63 classes, and a class keeps the Pareto set
 * of all its members. After notes on block-max indexes with deferred scoring (Ding and Suel 2011,
 * Lucene's impacts); classes instead of pairs per block cost an eighth of the space.
 */
#ifndef QD_SEGMENT_IMPACT_INT_H
#define QD_SEGMENT_IMPACT_INT_H

#include "base/err.h"
#include "base/vec.h"
#include "segment/postings.h"

typedef struct qdi_pairs { /* Pareto sets one after the other, ascending in norm and frequency */
    QD_VEC(uint16_t) freq;
    QD_VEC(uint8_t) norm;
    QD_VEC(uint32_t) start; /* of each set; one more than sets when read */
    QD_VEC(uint32_t) id;    /* number of the block or range */
} qdi_pairs;

typedef struct qdi_impacts {
    qd_account *account;
    const uint8_t *norms; /* of the field; NULL: all 1 */
    float inverse[256];   /* 1 / (k1 * (1 - b + b * length / average)), by norm */
    qdi_pairs blocks, ranges;
    uint16_t now_block[256],
        now_range[256]; /* greatest frequency by norm, at most saturated; 0: none */
    uint32_t range;     /* under construction, UINT32_MAX: none */
    bool failed;        /* out of memory; reported by qdi_impacts_table */
    /* scratch of the table: the same by class, of those whose bit is in used */
    uint16_t (*best)[256];
    uint64_t used;
} qdi_impacts;

/* What goes to disk. */
typedef struct qdi_impact_table {
    uint32_t nlevels, npairs;
    uint8_t level_cls[QD_IMPACT_CLASSES], level_pairs[QD_IMPACT_CLASSES];
    const uint16_t *pair_freq;
    const uint8_t *pair_norm;
} qdi_impact_table;

/* Prepares for a field whose norms are given for docs documents. */
QD_MUST_CHECK
int qdi_impacts_field(qdi_impacts *x, const uint8_t *norms, uint32_t docs, qd_account *account,
                      qd_err *err);
/* Forgets the last term. */
void qdi_impacts_term(qdi_impacts *x);
/* Adds a block of n postings; its number is the count of blocks before. */
void qdi_impacts_block(qdi_impacts *x, const uint32_t *docs, const uint32_t *freqs, uint32_t n);
/* Adds the same postings to the ranges they lie in. */
void qdi_impacts_ranges(qdi_impacts *x, const uint32_t *docs, const uint32_t *freqs, uint32_t n);
/* Ends the term: classes of all blocks into cls; with range_cls (zeroed, by number of range) those
 * of the ranges; the table lives until the next term. QD_E_NOMEM. */
QD_MUST_CHECK
int qdi_impacts_table(qdi_impacts *x, uint8_t *cls, uint8_t *range_cls, qdi_impact_table *out,
                      qd_err *err);
/* Frees everything. */
void qdi_impacts_fini(qdi_impacts *x);

#endif
