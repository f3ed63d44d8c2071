/*
 * scorer.h: scores of terms by other similarities than BM25, which the kernels have of their own
 * (plan/weight.c). A scorer is made once for a clause and called once for a block of documents.
 *
 * Formulas and their order of operations are Lucene's, in double, rounded to float once for each
 * term of the clause. All of them rise with the frequency and fall with the length, so the
 * frontiers of impact classes bound them (leaf/own_term.c).
 */
#ifndef QD_SEARCH_SIMILARITY_SCORER_H
#define QD_SEARCH_SIMILARITY_SCORER_H

#include "base/arena.h"
#include "mapping/similarity.h"

#define QDI_SIM_BLOCK 128u      /* documents of one call, at most */
#define QDI_SIM_FREQ_MAX 4.3e9f /* more than any document has of a word */
#define QDI_SIM_SLACK 1.00001f  /* past what rounding adds to a bound */

/* What the scores of a term depend on, over all segments. */
typedef struct qdi_sim_stats {
    uint64_t docs;    /* documents that have the field */
    uint64_t df, ttf; /* documents that have the term, its occurrences */
    uint64_t sum_ttf; /* words of the field */
} qdi_sim_stats;

typedef struct qdi_sim_type qdi_sim_type;

/* One term: its statistics and what the type made of them. */
typedef struct qdi_sim_part {
    qdi_sim_stats stats;
    double average; /* length of the field */
    double k[2];
} qdi_sim_part;

typedef struct qdi_scorer {
    const qdi_sim_type *type;
    const qd_similarity *sim;
    float boost;
    float max; /* no document scores more */
    uint32_t n;
    qdi_sim_part part[]; /* scores of the parts are added: one a word of a phrase */
} qdi_scorer;

struct qdi_sim_type {
    const char *name; /* as explanations call it */
    void (*prepare)(const qd_similarity *s, qdi_sim_part *p);
    /* Scores, without the boost, of n documents with these frequencies and lengths. */
    void (*score)(const qd_similarity *s, const qdi_sim_part *p, const double *freq,
                  const double *length, uint32_t n, double *out);
    const char *formula; /* of the score */
};

/* A scorer for n terms, in the arena; sim outlives it. QD_E_NOMEM. [any] */
QD_MUST_CHECK
int qdi_scorer_make(qd_arena *arena, const qd_similarity *sim, float boost,
                    const qdi_sim_stats *stats, uint32_t n, const qdi_scorer **out, qd_err *err);
/* Scores of n documents (at most QDI_SIM_BLOCK) with these frequencies and norms. [any] */
void qdi_scorer_block(const qdi_scorer *s, const float *freq, const uint8_t *norm, uint32_t n,
                      float *out);
/* One document. [any] */
float qdi_scorer_one(const qdi_scorer *s, float freq, uint8_t norm);

/* normalization.c: frequencies as DFR and IB normalize them by the length. */
void qdi_sim_normalize(const qd_similarity *s, const qdi_sim_part *p, const double *freq,
                       const double *length, uint32_t n, double *out);
/* As Lucene takes it: of natural logarithms. */
static inline double qdi_log2(double x)
{
    return __builtin_log(x) / 0.693147180559945309417;
}

extern const qdi_sim_type qdi_sim_boolean, qdi_sim_dfr, qdi_sim_dfi, qdi_sim_ib, qdi_sim_dirichlet,
    qdi_sim_jelinek;

#endif
