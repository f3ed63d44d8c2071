/*
 * shingles.h: analyzers that make of another one's words those of search_as_you_type: each run of
 * `size` words as one, joined by spaces, at the position of its first word, as Lucene's
 * FixedShingleFilter with an empty filler; for prefixes the runs at the end of a text too, though
 * they are shorter, and of each run its first 1 to QD_SHINGLE_GRAM characters and the whole.
 */
#ifndef QD_ANALYSIS_SHINGLES_H
#define QD_ANALYSIS_SHINGLES_H

#include "analysis/analysis.h"

#define QD_SHINGLE_MIN 2u
#define QD_SHINGLE_MAX 4u
#define QD_SHINGLE_GRAM 20u
#define QD_SHINGLE_SEPARATOR " "

/* Makes such an analyzer behind base, with its name; *out has one reference. size is within the
 * bounds. [any] QD_E_NOMEM. */
QD_MUST_CHECK
int qd_analyzer_shingles(const qd_analyzer *base, uint32_t size, bool prefixes, qd_analyzer **out,
                         qd_err *err);

#endif
