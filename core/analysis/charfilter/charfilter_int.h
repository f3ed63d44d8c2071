/* charfilter_int.h: what char filters share. */
#ifndef QD_ANALYSIS_CHARFILTER_INT_H
#define QD_ANALYSIS_CHARFILTER_INT_H

#include "analysis/analysis_int.h"

/* From unit `at` of the output on, the input lies diff units further (Lucene's addOffCorrectMap).
 */
QD_MUST_CHECK
int qd_fix_add(qd_analysis *s, qd_filtered *f, uint32_t at, int32_t diff);
/* The code point of a named character reference of HTML 4 ("eacute"), or 0. */
uint32_t qd_html_entity(const char *name, size_t n);

#endif
