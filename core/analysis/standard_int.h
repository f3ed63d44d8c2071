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
/* Lower-cases all terms (Java's simple mapping of each code point). */
QD_MUST_CHECK
int qd_lower_run(qd_analysis *s);

#endif
