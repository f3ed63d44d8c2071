/* own_int.h: words that another similarity than BM25 scores (search/similarity/scorer.h). */
#ifndef QD_SEARCH_OWN_INT_H
#define QD_SEARCH_OWN_INT_H

#include "search/leaf/window_int.h"
#include "search/similarity/scorer.h"

#define QDI_OWN_LOOKUPS_MAX 64u /* candidates below which blocks are not walked */

/* own_term.c: the part of a segment of a term with a scorer. */
extern const qd_node_type qdi_own_term;
/* Plans it: x->scorer is set and the leaf has the term. */
QD_MUST_CHECK
int qdi_own_term_plan(qdi_run *r, const qdi_node *x, qdi_lnode *l, qd_err *err);

/* Documents of a window that wait for their scores. */
typedef struct qdi_own_batch {
    const qdi_scorer *scorer;
    const uint8_t *norms;
    uint32_t norm_mask, n;
    uint32_t doc[QDI_SIM_BLOCK];
    float freq[QDI_SIM_BLOCK];
    uint8_t norm[QDI_SIM_BLOCK];
} qdi_own_batch;

/* Adds the scores of all that wait. */
void qdi_own_flush(qdi_own_batch *b, const qdi_win *w, double *acc);

static inline void qdi_own_add(qdi_own_batch *b, uint32_t doc, float freq, const qdi_win *w,
                               double *acc)
{
    if (b->n == QDI_SIM_BLOCK) qdi_own_flush(b, w, acc);
    b->doc[b->n] = doc;
    b->freq[b->n] = freq;
    b->norm[b->n++] = b->norms[doc & b->norm_mask];
}

#endif
