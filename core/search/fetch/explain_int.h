/* explain_int.h: what explanations of nodes are made with. Errors stay in x->rc; NULL then. */
#ifndef QD_SEARCH_EXPLAIN_INT_H
#define QD_SEARCH_EXPLAIN_INT_H

#include "search/fetch/explain.h"
#include "search/similarity/scorer.h"

typedef struct qdi_explaining {
    qd_searcher *s;
    const qd_plan_options *o;
    uint32_t doc; /* global */
    const qd_leaf *leaf;
    uint32_t local;
    qd_arena *arena;
    qd_err *err;
    int rc;
} qdi_explaining;

qd_explanation *qdi_explain_make(qdi_explaining *x, bool match, float value, qd_str description);
/* A value, or a count. */
qd_explanation *qdi_explain_number(qdi_explaining *x, float value, const char *description);
/* See above. */
qd_explanation *qdi_explain_count(qdi_explaining *x, uint64_t value, const char *description);
/* Appends e (may be NULL) to the details. */
void qdi_explain_add(qdi_explaining *x, qd_explanation *to, qd_explanation *e);
/* A node under the product of the boosts above it. */
qd_explanation *qdi_explain_node(qdi_explaining *x, const qd_node *n, float boost);
/* Queries that give every document the same: their text, and the score if it is not 1. framed: in
 * "ConstantScore()". */
qd_explanation *qdi_explain_constant(qdi_explaining *x, const qd_node *n, bool match, float score,
                                     bool framed);
/* A node as text. */
qd_str qdi_explain_describe(qdi_explaining *x, const qd_node *n);

/* Frequency of a term in the document, 0 when absent; statistics over all segments. */
uint32_t qdi_explain_frequency(qdi_explaining *x, qd_str field, qd_str term, qdi_sim_stats *st);
/* Length of the field in the document as norms keep it; 1 without norms. */
uint32_t qdi_explain_length(qdi_explaining *x, qd_str field);
/* BM25's idf. */
float qdi_explain_idf_of(uint64_t df, uint64_t docs);
/* See above, with what it comes from. */
qd_explanation *qdi_explain_idf(qdi_explaining *x, uint64_t df, uint64_t docs);
/* The field's similarity. */
qd_similarity qdi_explain_similarity(const qdi_explaining *x, qd_str field);

/* What a frequency counts. */
typedef enum qdi_freq_kind { QDI_FREQ_TERM, QDI_FREQ_SYNONYM, QDI_FREQ_PHRASE } qdi_freq_kind;

/* "weight(title:fox in 3) [PerFieldSimilarity], result of:" over the score and its factors. */
qd_explanation *qdi_explain_weight(qdi_explaining *x, const qd_node *n, qd_str field, float boost,
                                   float score, float freq, qd_explanation *idf, qdi_freq_kind of);

/* The same by another similarity than BM25, from the statistics of the n words that score; freq 0:
 * it is worked out from the score. */
qd_explanation *qdi_explain_own(qdi_explaining *x, const qd_node *n, qd_str field, float boost,
                                float score, float freq, const qdi_sim_stats *stats,
                                uint32_t nstats);

#endif
