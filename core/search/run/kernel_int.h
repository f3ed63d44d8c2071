/*
 * kernel_int.h: kernels for the common ranked shapes over one segment, after the laboratory's
 * measurements (docs/search.md). A kernel answers QD_DONE, QD_DECLINED when the shape is not its
 * own, or an error.
 *
 * Scores of terms are floats, their sums doubles that are rounded once: with at most some hundred
 * terms of like magnitude the double sum is exact, so that every order of adding, and with it every
 * strategy, gives the same bits.
 */
#ifndef QD_SEARCH_KERNEL_INT_H
#define QD_SEARCH_KERNEL_INT_H

#include "base/done.h"
#include "search/collect/topk.h"
#include "search/leaf/leaf_int.h"

#define QDI_K_TERMS_MAX 128u /* longer queries go by windows */
#define QDI_K_LISTS_MAX 8u   /* sparse terms that are intersected pairwise */

/*
 * Costs in nanoseconds, measured (docs/search.md), the one place for them: what reading a posting
 * exhaustively costs, a candidate's look-up in a dense term, and a 128-document range of one term.
 */
#define QDI_COST_POSTING 0.85
#define QDI_COST_EXHAUSTIVE 60000.0
#define QDI_COST_CANDIDATE 38.0
#define QDI_COST_CANDIDATES 25.0 /* one of a thousand and more in one go */
#define QDI_COST_RANGE 75.0
#define QDI_COST_WINDOW 150.0 /* a window of accepted documents */

/* A sparse term, decoded and scored whole. */
typedef struct qdi_list {
    uint32_t *d; /* documents, 16 times QD_NO_DOC behind */
    double *s;   /* scores; sums for documents of several lists, taken from the later ones */
    uint32_t n, pos;
    float max;
} qdi_list;

/* A kernel at work. */
typedef struct qdi_k {
    qdi_run *r;
    const qd_kern *k;
    qd_topk *q;
    uint32_t base; /* global number of document 0 */
    qdi_cur **c;
    uint32_t nt;
    double *acc;
    uint8_t *bytes;
    uint16_t *bound; /* by range */
    uint32_t nranges;
    uint32_t *sel; /* selected ranges */
    float scale;   /* quantized bounds: score * scale */
    qdi_list *lists;
    uint32_t nlists;
    uint64_t want;  /* hits to count while ranking, where that is free; 0: none */
    uint64_t count; /* live hits met, good if counted */
    bool counted;   /* count is exact, or reached want */
    size_t give_up; /* more ranges than this left after the first bands: not worth it */
    const char *name;
} qdi_k;

/* The best documents of the leaf into q, which may hold others already. want: hits that the caller
 * would like counted (0: none); a kernel that meets all of them anyway sets *counted, to their
 * number or to some number of at least want. QD_DONE, QD_DECLINED or an error. */
int qdi_kernel_top(qdi_run *r, qd_topk *q, qd_strategy strategy, uint64_t want, uint64_t *count,
                   bool *counted, const char **name, qd_err *err);
/* Counts; with a limit (not 0) it may stop there. QD_DONE, QD_DECLINED or an error. */
int qdi_kernel_count(qdi_run *r, uint64_t limit, uint64_t *n, qd_err *err);

/* Accepted documents, of which each is live: bits of the segment, in the scratch's memory, and the
 * documents [from, to) that they are in. */
typedef struct qdi_accepted {
    uint64_t *bits;
    uint32_t from, to;
} qdi_accepted;
/* k_filter.c: splits scored clauses from filters and exclusions: QD_DONE with the scored part in
 * *root and the accepted documents in *out, QD_DECLINED when there is nothing to split or few
 * accepted, or an error. */
int qdi_k_filter(qdi_run *r, qdi_lnode **root, qdi_accepted *out, qd_err *err);

/* k_*.c: 0 or an error; each leaves acc and bytes zero. */
int qdi_k_term(qdi_k *k);
int qdi_k_or(qdi_k *k, qd_strategy strategy);
int qdi_k_or_table(qdi_k *k);
int qdi_k_and(qdi_k *k, qd_strategy strategy);
/* k_one.c: one scored term among filters: QD_DONE, QD_DECLINED or an error.
 * Cursors by rising document frequency, which are put into another order. */
int qdi_k_one(qdi_k *k);
/* Is that the way for a scored term and the rarest of its filters? */
bool qdi_k_one_fits(const qdi_cur *scored, const qdi_cur *rarest);
int qdi_k_mix(qdi_k *k, uint32_t nreq);
int qdi_k_phrase(qdi_k *k, qdi_lnode *l); /* q NULL: count up to want */
int qdi_k_count_or(qdi_k *k, uint64_t limit, uint64_t *n);
int qdi_k_count_and(qdi_k *k, uint64_t limit, uint64_t *n);
int qdi_k_count_term(qdi_k *k, uint64_t limit, uint64_t *n);

/* k_list.c: hits that are a list and score alike: QD_DONE, QD_DECLINED or an error. *counted is
 * set where anything is wanted. */
int qdi_k_list_top(qdi_run *r, qd_topk *q, uint64_t want, uint64_t *count, bool *counted,
                   qd_err *err);
int qdi_k_list_count(qdi_run *r, qdi_lnode *l, uint64_t limit, uint64_t *n, qd_err *err);

/* k_common.c */
/* Sparse terms have no range classes. */
static inline bool qdi_k_dense(const qdi_cur *c)
{
    return c->p->range_cls != NULL;
}
/* Offers n scored documents. */
void qdi_k_offer(qdi_k *k, const uint32_t *docs, const float *s, uint32_t n);
/* Offers the window of accumulators [from, from + n) and clears it. */
void qdi_k_offer_acc(qdi_k *k, uint32_t from, uint32_t n);
static inline bool qdi_k_live(const qdi_k *k, uint32_t d)
{
    return qdi_run_live(k->r, d);
}
/* One document. */
static inline void qdi_k_push(qdi_k *k, double sum, uint32_t d)
{
    float s = (float)sum;
    if (s >= k->q->threshold && qdi_k_live(k, d)) qd_topk_push(k->q, s, k->base + d);
}
/* Counts the live ones of n documents that are all the hits of the leaf. */
void qdi_k_count_all(qdi_k *k, const uint32_t *d, uint32_t n);
/* Removes this leaf's documents from q, to begin anew with the threshold reached. */
void qdi_k_restart(qdi_k *k);
/* Score table of a cursor, in scratch; 0 or QD_E_NOMEM. */
int qdi_k_table(qdi_k *k, qdi_cur *c);
/* Scores of the whole block at hand into c->score. */
void qdi_k_score_block(qdi_k *k, qdi_cur *c);
int qdi_k_list_load(qdi_k *k, qdi_list *l, qdi_cur *c);
/* Keeps documents d[0..n) (ascending) that c has, adding its scores to s unless NULL. */
uint32_t qdi_k_keep_in(qdi_k *k, qdi_cur *c, uint32_t *d, uint32_t n, double *s);
/* Adds c's scores to those of d[0..n) (ascending) that it has. */
void qdi_k_add_in(qdi_k *k, qdi_cur *c, const uint32_t *d, uint32_t n, double *s);
/* Range bounds of dense cursors c[0..nd), all needed (and) or any; 0 or QD_E_NOMEM. */
int qdi_k_bounds(qdi_k *k, qdi_cur **c, uint32_t nd, float sum, bool all);
/* Bands of falling bounds, each in document order: QD_DONE, QD_DECLINED (given up) or an error. */
int qdi_k_bands(qdi_k *k, uint32_t nd, void (*range)(qdi_k *, uint32_t nd, uint32_t range));
/* Sorts cursors by rising document frequency. */
void qdi_k_by_df(qdi_cur **c, uint32_t n);
/* Rewinds a cursor. */
static inline void qdi_k_rewind(qdi_cur *c)
{
    c->blk = c->freq_blk = QD_NO_DOC;
    c->n = c->pos = 0;
    c->hint = 0;
}

/* Postings of c below `end` from where it stands: BODY sees p (documents) and m (how many). */
#define QDI_EACH_BELOW(K, c, end, p, m, ...)                                                       \
    for (;;) {                                                                                     \
        if ((c)->pos == (c)->n) {                                                                  \
            uint32_t nb_ = (c)->blk + 1; /* QD_NO_DOC + 1 = 0 */                                   \
            if (nb_ >= (c)->p->nblk) break;                                                        \
            if (nb_ && (c)->p->last[nb_ - 1] + 1 >= (end)) break;                                  \
            qdi_cur_load((c), nb_);                                                                \
            if ((c)->n == 0) continue; /* damaged: nothing in it */                                \
        }                                                                                          \
        const uint32_t *p = (c)->docs + (c)->pos;                                                  \
        uint32_t m;                                                                                \
        if (QD_LIKELY((c)->docs[(c)->n - 1] < (end)))                                              \
            m = (c)->n - (c)->pos;                                                                 \
        else                                                                                       \
            m = (K)->rank((c)->docs, (c)->n, (end)) - (c)->pos;                                    \
        (c)->pos += m;                                                                             \
        __VA_ARGS__;                                                                               \
        if ((c)->pos < (c)->n) break;                                                              \
    }

#endif
