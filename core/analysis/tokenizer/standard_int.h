/*
 * standard_int.h: the word-break tokenizer, with and without lower-casing.
 */
#ifndef QD_ANALYSIS_STANDARD_INT_H
#define QD_ANALYSIS_STANDARD_INT_H

#include "analysis/analysis_int.h"

/* Tokenizes the source by UAX #29 as Lucene does. max_units: longest token in UTF-16 units; longer
 * ones are cut. lower: lower-case the terms on the way (the fused standard + lowercase chain). */
QD_MUST_CHECK
int qd_standard_run(qd_analysis *s, uint32_t max_units, bool lower);
/* The block kernel, for the baseline and for AVX2. *odd: a mapping was left over that changes its
 * length. */
QD_MUST_CHECK
int qd_standard_blocks(qd_analysis *s, uint32_t max_units, bool lower, bool *odd);
QD_MUST_CHECK
int qd_standard_blocks_avx2(qd_analysis *s, uint32_t max_units, bool lower, bool *odd);
/* Lower-cases all terms (Java's simple mapping of each code point). */
QD_MUST_CHECK
int qd_lower_run(qd_analysis *s);

#endif
