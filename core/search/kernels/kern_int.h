/*
 * kern_int.h: inner loops that exist once for each instruction set, with bit-identical results.
 * Decoding of postings is the segment's (segment/codec/codec.h); here are scores, bounds and lists.
 */
#ifndef QD_SEARCH_KERN_INT_H
#define QD_SEARCH_KERN_INT_H

#include <stddef.h>
#include <stdint.h>

#define QD_CLASSES 64u /* impact classes of a term; 0: absent */
#define QD_KERN_SLACK                                                                              \
    64u /* elements readable (and for outputs writable) behind any array below                     \
         */

typedef struct qd_kern {
    const char *name;
    /* out[i] = w - w / (1 + freq[i] * ninv[norm[doc[i] & mask]]): BM25 in Lucene's order. Works in
     * whole groups of 16: from is rounded down, to up; docs there are readable and valid. */
    void (*score)(const uint32_t *freq, const uint32_t *doc, uint32_t mask, const uint8_t *norm,
                  const float *ninv, float w, float *out, uint32_t from, uint32_t to);
    /* The same for freq 1 to 8 and all norms: out[freq * 256 + norm], 9 * 256 of them. */
    void (*table)(float w, const float *ninv, float *out);
    /* Sum of n bytes (a multiple of 64), which are cleared. */
    uint64_t (*sum_clear)(uint8_t *p, size_t n);
    /* Bounds of ranges: bound[i] += tab[cls[i]], saturating is not needed (sums stay < 2^16). */
    void (*bound_add)(const uint8_t *cls, const uint16_t *tab, uint16_t *bound, size_t n);
    /* The same, but 0 where the class is 0 or the bound was 0 already. */
    void (*bound_and)(const uint8_t *cls, const uint16_t *tab, uint16_t *bound, size_t n);
    uint16_t (*bound_max)(const uint16_t *bound, size_t n);
    /* Indices with lo <= bound < hi (hi 65535: no limit); returns their number. */
    size_t (*bound_select)(const uint16_t *bound, size_t n, uint16_t lo, uint16_t hi,
                           uint32_t *out);
    /* Indices with s >= least; returns their number. */
    size_t (*at_least)(const float *s, size_t n, float least, uint32_t *idx);
    size_t (*at_least_d)(const double *s, size_t n, double least, uint32_t *idx);
    /* Greatest of n, at least 0. */
    double (*max_d)(const double *s, size_t n);
    /* Common values of ascending a and b, as indices; a the shorter; 16 words behind b are above
     * all of a. */
    uint32_t (*isect)(const uint32_t *a, uint32_t na, const uint32_t *b, uint32_t nb, uint32_t *ia,
                      uint32_t *ib);
    /* Bit q (q < na, 1 to 16) of the result: is a[q] - q + diff one of b[r] - r, r < nb, nb at
     * least 1, modulo 2^32? */
    uint32_t (*meet)(const uint32_t *a, uint32_t na, const uint32_t *b, uint32_t nb, uint32_t diff);
    /* Is any of b within slop (below 2^30) of any of a? Numbers below 2^31, in any order. */
    uint32_t (*near)(const uint32_t *a, uint32_t na, const uint32_t *b, uint32_t nb, uint32_t slop);
    /* How many of n ascending docs (n <= 128, 16 readable words behind) are below d. */
    uint32_t (*rank)(const uint32_t *docs, uint32_t n, uint32_t d);
    /* a &= b, a |= b, a &= ~b over n words; returns nothing. popcount of n words. */
    void (*and64)(uint64_t *a, const uint64_t *b, size_t n);
    uint64_t (*popcount)(const uint64_t *a, size_t n);
    uint64_t (*popcount_and)(const uint64_t *a, const uint64_t *b, size_t n);
    /* Documents (base + bit) of the set bits of n words, ascending; returns their number. */
    uint32_t (*bits_to_docs)(const uint64_t *a, size_t n, uint32_t base, uint32_t *out);
} qd_kern;

extern const qd_kern qd_kern_scalar;
#if defined(__x86_64__)
extern const qd_kern qd_kern_avx2, qd_kern_avx512;
#endif

/* The table for this machine (and QD_CPU). */
const qd_kern *qd_kern_get(void);

#endif
