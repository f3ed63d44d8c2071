/*
 * wordset_int.h: an immutable set of words (stop words, keywords), or a map from words to numbers.
 * Looked up once for each token, so most misses end at the bit for (length, first byte).
 */
#ifndef QD_ANALYSIS_WORDSET_INT_H
#define QD_ANALYSIS_WORDSET_INT_H

#include "base/str.h"

typedef struct qd_wordset {
    uint64_t first[4];     /* first bytes that occur */
    uint64_t lengths;      /* lengths that occur, 63 = that or longer */
    uint32_t n, mask, cap; /* words, slots - 1, room */
    qd_str *words;         /* in order of adding; owned */
    uint32_t *slots;       /* index + 1 */
} qd_wordset;

/* Adds a copy of word unless it is there; QD_E_NOMEM. Start with a zeroed struct. */
QD_MUST_CHECK
int qd_wordset_add(qd_wordset *w, qd_str word);
/* Index of a word in order of adding, or -1. */
int64_t qd_wordset_find(const qd_wordset *w, const char *p, size_t n);
/* Frees the words. */
void qd_wordset_fini(qd_wordset *w);
/* Is the word in the set? */
static inline bool qd_wordset_has(const qd_wordset *w, const char *p, size_t n)
{
    if (!(w->lengths >> (n < 63 ? n : 63) & 1)) return false;
    if (n == 0) return true;
    unsigned char c = (unsigned char)*p;
    return (w->first[c >> 6] >> (c & 63) & 1) && qd_wordset_find(w, p, n) >= 0;
}

#endif
