/*
 * topk.h: the best k documents by score; ties go to the lower document.
 *
 * Entries are 64-bit keys, score bits above the complement of the document, so that a greater key
 * is better and keys compare as integers (scores are never negative nor NaN). They go unsorted into
 * a buffer of twice k; a full buffer is cut back by a histogram of score bits, and the end is a
 * radix sort (`docs/search.md`). A threshold rises with each cut: what scores below it is lost for
 * sure, what equals it may still win by its document.
 */
#ifndef QD_SEARCH_TOPK_H
#define QD_SEARCH_TOPK_H

#include "base/arena.h"
#include <quidditch/types.h>
#include <string.h>

#define QD_TOPK_MAX (1u << 28)

typedef struct qd_topk {
    uint32_t k, n, cap;
    float threshold; /* 0 until k documents are known, unless set by the caller */
    uint64_t *at;    /* cap + 64 keys */
    uint64_t *sort;  /* as many, for the radix sort */
} qd_topk;

/* Score and document as one key. */
static inline uint64_t qd_topk_key(float score, uint32_t doc)
{
    uint32_t bits;
    memcpy(&bits, &score, 4);
    return (uint64_t)bits << 32 | (uint32_t)~doc;
}
/* The score of a key. */
static inline float qd_topk_score(uint64_t key)
{
    uint32_t bits = (uint32_t)(key >> 32);
    float s;
    memcpy(&s, &bits, 4);
    return s;
}
/* The document of a key. */
static inline uint32_t qd_topk_doc(uint64_t key)
{
    return ~(uint32_t)key;
}

/* Prepares for k (0 to QD_TOPK_MAX) documents, buffers from the arena. 0 or QD_E_NOMEM. [any] */
QD_MUST_CHECK
int qd_topk_init(qd_topk *q, uint32_t k, qd_arena *arena);
/* Cuts the buffer back to about k and raises the threshold. [any] */
void qd_topk_shrink(qd_topk *q);
/* Puts the k greatest of a[0..n) first, 1 <= k <= n, the least of them at a[k - 1], the others in
 * no order (Hoare's selection). [any] */
void qd_topk_select(uint64_t *a, uint32_t n, uint32_t k);
/* Leaves at most k keys, best first. [any] */
void qd_topk_finish(qd_topk *q);
/* Adds a document whose score is at least the threshold. */
static inline void qd_topk_push(qd_topk *q, float score, uint32_t doc)
{
    q->at[q->n++] = qd_topk_key(score, doc);
    if (q->n == q->cap) qd_topk_shrink(q);
}

#endif
