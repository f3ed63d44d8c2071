/*
 * pairs.h: the words of a text two by two, for fields that index pairs of words (index_phrases).
 * The order and the positions are those of Lucene's FixedShingleFilter of size 2: a pair stands at
 * the position of its first word; a word in front of a hole is paired with QD_PAIR_FILLER; the last
 * word of a text without a hole behind it begins no pair; stacked words make stacked pairs.
 */
#ifndef QD_ANALYSIS_PAIRS_H
#define QD_ANALYSIS_PAIRS_H

#include "base/err.h"
#include "base/vec.h"

#define QD_PAIR_HOLE UINT32_MAX
#define QD_PAIR_FILLER "_"    /* stands for a hole */
#define QD_PAIR_SEPARATOR ' ' /* between the two words */

typedef struct qd_word_pair {
    uint32_t first, second; /* numbers of the words; second may be QD_PAIR_HOLE */
    uint32_t inc;           /* position increment to the pair before */
} qd_word_pair;

typedef struct qd_word_pairs {
    QD_VEC(qd_word_pair) v;
    uint32_t end_inc; /* positions behind the last pair */
} qd_word_pairs;

/* Fills p (zeroed, or used before) with the pairs of n words: inc their position increments, length
 * the positions they span (NULL: all 1), end_inc the holes behind the last one. QD_E_NOMEM;
 * QD_E_STATE when more words are stacked than Lucene pairs. Free with qd_vec_fini(&p->v). [any] */
QD_MUST_CHECK
int qd_word_pairs_make(qd_word_pairs *p, qd_account *account, const uint32_t *inc,
                       const uint32_t *length, size_t n, uint32_t end_inc, qd_err *err);

#endif
